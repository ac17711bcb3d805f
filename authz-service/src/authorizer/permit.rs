//! Steps 3 to 6 of the chain: from the credential to the permit of the policy, for each kind of policy.

use std::sync::Arc;

use edge_config::edge::{
    AcceptedCredential, BesideCookie, CertificatePolicy, Exposure, InternalPolicy, Policy, PublicPolicy,
    SessionPolicy, SignedPolicy, WebhookPolicy,
};

use super::{Authorizer, Walk};
use crate::check::CheckInput;
use crate::credential::accept::{Credentials, Principal, Proved};
use crate::credential::api_key::ApiKeyCredentials;
use crate::credential::assertion;
use crate::credential::certificate;
use crate::credential::cookie;
use crate::credential::legacy::LegacyCredentials;
use crate::credential::presented::Presented;
use crate::credential::recognise::{recognise, unclear};
use crate::credential::session::SessionCredentials;
use crate::decision::DenyReason;
use crate::failure::{Failure, Stop};
use crate::policy::{self, Permit};
use crate::session;
use crate::snapshot::Located;
use crate::streams;
use crate::tenant;
use crate::who::{Caller, Who};

impl Authorizer {
    /// The kinds of credentials that `policy` accepts, with what verifies each.
    fn credentials<'a>(
        &'a self,
        policy: &SessionPolicy,
        located: &'a Located,
        input: &CheckInput<'_>,
    ) -> Credentials<'a> {
        let snapshot = located.snapshot();
        let (sessions, legacy) = (snapshot.sessions.as_ref(), snapshot.legacy_sessions.as_ref());
        let one_cookie =
            sessions.zip(legacy).is_some_and(|(sessions, legacy)| sessions.cookie == legacy.cookie);
        let shares_cookie = one_cookie
            && policy.accepts(AcceptedCredential::Session)
            && policy.accepts(AcceptedCredential::LegacySession);
        let in_cookie = |name: &str| cookie::count(&input.cookies(), name.as_bytes()) > 0;
        let has_cookie = || {
            let session = sessions.filter(|_| policy.accepts(AcceptedCredential::Session));
            let legacy = legacy.filter(|_| policy.accepts(AcceptedCredential::LegacySession));
            session.is_some_and(|rules| in_cookie(&rules.cookie) || cookie::has_part(&input.cookies(), rules))
                || legacy.is_some_and(|rules| in_cookie(&rules.cookie))
        };
        let ignores_bearer = policy.bearer_beside_cookie == BesideCookie::Ignore && has_cookie();
        Credentials {
            sessions: sessions.map(|rules| SessionCredentials {
                rules,
                bearer: rules.bearer && !ignores_bearer,
                keys: &self.keys,
                opaque: &self.opaque,
                cache: &self.tokens,
                shares_cookie,
            }),
            api_keys: snapshot
                .api_keys
                .as_ref()
                .zip(self.api_keys.as_deref())
                .map(|(rules, keys)| ApiKeyCredentials { rules, keys }),
            legacy: legacy.zip(self.legacy.as_deref()).map(|(rules, verifier)| LegacyCredentials {
                rules,
                sessions: verifier,
                shares_cookie,
                reading: sessions.filter(|_| shares_cookie).map(|rules| rules.reading).unwrap_or_default(),
            }),
        }
    }
}

impl Walk<'_> {
    /// The permit that the policy of the route gives the caller.
    pub(super) async fn permit(&mut self) -> Result<Permit, Stop<DenyReason>> {
        match &self.located.route().policy {
            Policy::Public(policy) => self.permit_anyone(*policy),
            Policy::Session(policy) => self.permit_person(policy).await,
            Policy::Internal(policy) => self.permit_service(policy).await,
            Policy::Signed(policy) => self.permit_signer(policy).await,
            Policy::Webhook(policy) => self.permit_sender(policy).await,
            Policy::Certificate(policy) => self.permit_holder(policy),
        }
    }

    /// Envoy sends checks for a public route when it has limits, distinguishes kinds of sessions, or refuses ended ones.
    fn permit_anyone(&mut self, policy: PublicPolicy) -> Result<Permit, Stop<DenyReason>> {
        let Self { authorizer, located, input, now, .. } = *self;
        if policy.refuse_ended || located.route().has_kinds {
            let snapshot = located.snapshot();
            let recognised = recognise(input, snapshot.sessions.as_ref(), snapshot.legacy_sessions.as_ref());
            self.trail.kind = recognised.as_ref().map(|recognised| recognised.kind);
            if policy.refuse_ended
                && let Some(fault) =
                    unclear(input, snapshot.sessions.as_ref(), snapshot.legacy_sessions.as_ref())
            {
                return Err(Stop::Denied(DenyReason::Credential(fault)));
            }
            if policy.refuse_ended
                && let Some(claimed) = recognised.and_then(|recognised| recognised.claimed)
            {
                session::refuse_ended(&claimed, authorizer.revocations.as_deref(), now)?;
            }
        }
        Ok(policy::permit_anyone())
    }

    async fn permit_person(&mut self, policy: &SessionPolicy) -> Result<Permit, Stop<DenyReason>> {
        let Self { authorizer, located, input, now, .. } = *self;
        let (route, tenants) = (located.route(), authorizer.tenants.as_ref());
        let credentials = authorizer.credentials(policy, located, input);
        let Proved { principal, kind } = verified(credentials.present(policy.accepted(), input, now).await?)?;
        self.trail.kind = Some(kind);
        let authenticated = match principal {
            Principal::Person(person) => person,
            Principal::Client(client) => {
                self.trail.who = Who::Caller(Caller::Client(Arc::clone(client.client())));
                self.trail.key = Some(client.key().clone());
                self.trail.stream = streams::of_client(route.ends_with, &client, now);
                let member = tenant::admit_client(&client, tenants, now).await?;
                return Ok(policy::permit_client(&member, policy, route, input, &mut self.trail.shadows)?);
            }
        };
        self.trail.who = Who::Caller(Caller::Person(Arc::clone(authenticated.person())));
        self.trail.stream = streams::of_person(route.ends_with, &authenticated, authenticated.person(), now);
        let live = session::admit(&authenticated, authorizer.revocations.as_deref(), now)?;
        authorizer.tenant_changes.note(live.person());
        let member = tenant::admit(live, tenants, now).await?;
        Ok(policy::permit_person(member, policy, route, input, &mut self.trail.shadows)?)
    }

    async fn permit_service(&mut self, policy: &InternalPolicy) -> Result<Permit, Stop<DenyReason>> {
        let Self { authorizer, located, input, now, .. } = *self;
        // Envoy and the edge file must agree that this listener is internal.
        match (input.exposure, located.route().exposure) {
            (Exposure::Internal, Exposure::Internal) => {}
            (Exposure::Public, _) | (_, Exposure::Public) => return Err(DenyReason::InternalOnly.into()),
        }
        let service = verified(assertion::present(&authorizer.assertions, input, now)?)?;
        self.trail.who = Who::Caller(Caller::Service(service.service().clone()));
        let service = tenant::admit_service(service, authorizer.tenants.as_ref(), now).await?;
        let permit = policy::permit_service(&service, policy);
        if permit.is_err() {
            // For the operator: the record names the missing permission beside these.
            self.trail.permissions = service.service().permissions().to_vec();
        }
        Ok(permit?)
    }

    async fn permit_signer(&mut self, policy: &SignedPolicy) -> Result<Permit, Stop<DenyReason>> {
        let Self { authorizer, input, now, .. } = *self;
        // The address comes first: from another address, a client cannot learn whether a signature is valid,
        // or use it up.
        let address = policy::admit_address(input.client, &policy.addresses)?;
        // `edge_config` refuses a signed policy without `signatures`.
        let signed = authorizer.signed.as_ref().ok_or(Failure::SigningKeysUnavailable)?;
        let signer = verified(signed.present(&policy.profile, input, now).await?)?;
        self.trail.who = Who::Caller(Caller::Service(signer.service().clone().into()));
        Ok(policy::permit_signer(address, &signer, policy)?)
    }

    fn permit_holder(&mut self, policy: &CertificatePolicy) -> Result<Permit, Stop<DenyReason>> {
        let Self { located, input, .. } = *self;
        if !policy.addresses.is_empty() {
            let _ = policy::admit_address(input.client, &policy.addresses)?;
        }
        let holder = verified(certificate::present(&located.snapshot().holders, input))?;
        self.trail.who = Who::Caller(Caller::Service(holder.name().clone().into()));
        Ok(policy::permit_holder(&holder, policy)?)
    }

    async fn permit_sender(&mut self, policy: &WebhookPolicy) -> Result<Permit, Stop<DenyReason>> {
        let Self { authorizer, located, input, now, .. } = *self;
        // First, so that a caller from elsewhere does not learn whether a signature is right.
        if !policy.addresses.is_empty() {
            let _ = policy::admit_address(input.client, &policy.addresses)?;
        }
        // `edge_config` refuses a policy of a webhook that the file does not describe.
        let rules = located.snapshot().webhooks.get(&policy.of).ok_or(Failure::WebhookSecretsUnavailable)?;
        let webhooks = authorizer.webhooks.as_ref().ok_or(Failure::WebhookSecretsUnavailable)?;
        let sender = verified(webhooks.present(&policy.of, rules, input, now).await?)?;
        self.trail.who = Who::Caller(Caller::Service(sender.name().clone().into()));
        Ok(policy::permit_sender(&sender))
    }
}

/// The caller that a credential verified.
fn verified<T>(presented: Presented<T>) -> Result<T, DenyReason> {
    match presented {
        Presented::Verified(caller) => Ok(caller),
        Presented::NotOffered => Err(DenyReason::NoCredential),
        Presented::Failed(fault) => Err(DenyReason::Credential(fault)),
    }
}
