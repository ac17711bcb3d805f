//! One decision, as the observers keep and show it.
//!
//! A record cannot hold a token, a cookie or a header's value: a [`Record`] is made of names from the edge
//! file, codes from the source, ids from *verified* tokens, and the connection's address.

use std::net::IpAddr;
use std::sync::Arc;

use clock::UnixTime;
use edge_config::edge::AcceptedCredential;
use serde::{Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::check::CheckInput;
use crate::credential::fault::Claim;
use crate::lease::grant::Granted;
use crate::observe::lack::Lack;
use crate::observe::name::cut;
use crate::observe::stage::{Step, Way};
use crate::verdict::Verdict;
use crate::who::{Caller, Who};

/// The kind of caller, as far as verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// No caller was verified.
    Anonymous,
    /// A person.
    Person,
    /// A service of the platform.
    Service,
    /// A client with an API key.
    Client,
}

/// One remembered decision: about 450 bytes with its place in the index.
#[derive(Clone, Debug)]
pub struct Record {
    /// The time of the decision.
    pub time: UnixTime,
    /// The request's id; `-` when there was no usable one.
    pub request_id: Arc<str>,
    /// The route's name.
    pub route: Arc<str>,
    /// The policy's name.
    pub policy: Arc<str>,
    /// The edge revision of Envoy's check.
    pub revision: Arc<str>,
    /// `public`, `internal`, or `-` when the check was unreadable.
    pub exposure: &'static str,
    /// `allow`, `deny` or `error`.
    pub decision: &'static str,
    /// The stable code of the reason.
    pub reason: &'static str,
    /// The claim of a token that the reason is about, if it is about one.
    pub claim: Option<&'static str>,
    /// The status of the answer to the client; 0 for an allow, because the backend answers that one.
    pub status: u16,
    /// The connection's peer.
    pub client: Option<IpAddr>,
    /// The limit that was exceeded, if one was.
    pub limit: Option<Arc<str>>,
    /// The refusals that only a shadow made.
    pub shadow: Option<Arc<str>>,
    /// The lease with an allow, if there is one.
    pub lease: Option<Lease>,
    /// The attributes that the caller lacked when the policy refused. The caller does not learn them.
    pub lack: Option<Box<Lack>>,
    who: Who,
    kind: Option<AcceptedCredential>,
    way: Way,
}

impl Record {
    /// The record of `verdict`.
    #[must_use]
    pub fn of(verdict: &Verdict, input: Option<&CheckInput<'_>>, now: UnixTime) -> Self {
        let wire = |name: &str| Arc::from(cut(name));
        let (route, policy) = match (&verdict.route, input) {
            (Some(route), _) => (Arc::clone(&route.name), Arc::clone(&route.policy_name)),
            (None, Some(input)) => (wire(input.route), wire(input.policy)),
            (None, None) => (wire("-"), wire("-")),
        };
        Self {
            time: now,
            request_id: wire(input.map_or("-", |input| input.request_id)),
            route,
            policy,
            revision: wire(input.map_or("-", |input| input.revision)),
            exposure: input.map_or("-", |input| input.exposure.as_str()),
            decision: verdict.decision.as_str(),
            reason: verdict.decision.code(),
            claim: verdict.decision.claim().map(Claim::as_str),
            status: verdict.answer().map_or(0, |(_, answer)| answer.status.get()),
            client: input.and_then(|input| input.client),
            limit: verdict.limit().cloned(),
            shadow: verdict.shadows.reasons().map(Arc::from),
            lease: verdict.lease.as_ref().map(Lease::of),
            lack: Lack::of(verdict, input.and_then(|input| input.client)).map(Box::new),
            who: verdict.who.clone(),
            kind: verdict.kind,
            way: Way::of(verdict.route.as_ref().map(|route| &route.policy), &verdict.decision),
        }
    }

    /// Whether the audit records it: every refusal, and every request of a service.
    #[must_use]
    pub fn is_of_consequence(&self) -> bool {
        self.status != 0 || matches!(self.who, Who::Caller(Caller::Service(_)))
    }

    /// Whether the caller was verified.
    #[must_use]
    pub const fn is_proved(&self) -> bool {
        match self.who {
            Who::Anyone => false,
            Who::Caller(Caller::Person(_))
            | Who::Caller(Caller::Service(_))
            | Who::Caller(Caller::Client(_)) => true,
        }
    }

    /// Whether the caller is `subject`, as shown.
    #[must_use]
    pub fn is_about(&self, subject: &str) -> bool {
        match &self.who {
            Who::Anyone => false,
            Who::Caller(Caller::Person(person)) => person.subject.with_text(|text| text == subject),
            Who::Caller(Caller::Service(service)) => service.name.as_str() == subject,
            Who::Caller(Caller::Client(client)) => client.name.as_str() == subject,
        }
    }

    /// Whether the caller belongs to `tenant`, or acts for it.
    #[must_use]
    pub fn is_of(&self, tenant: &str) -> bool {
        let of = match &self.who {
            Who::Anyone => None,
            Who::Caller(Caller::Person(person)) => person.tenant.as_ref(),
            Who::Caller(Caller::Service(service)) => service.tenant.as_ref(),
            Who::Caller(Caller::Client(client)) => client.tenant.as_ref(),
        };
        of.is_some_and(|of| of.with_text(|text| text == tenant))
    }

    /// Whether a service was admitted.
    #[must_use]
    pub fn is_service_call(&self) -> bool {
        self.status == 0 && matches!(self.who, Who::Caller(Caller::Service(_)))
    }

    /// The record in the form that is shown.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        let (principal, subject, tenant, session) = match &self.who {
            Who::Anyone => (PrincipalKind::Anonymous, None, None, None),
            Who::Caller(Caller::Person(person)) => (
                PrincipalKind::Person,
                Some(person.subject.to_string()),
                person.tenant.as_ref().map(ToString::to_string),
                person.session.as_ref().map(ToString::to_string),
            ),
            Who::Caller(Caller::Service(service)) => (
                PrincipalKind::Service,
                Some(service.name.to_string()),
                service.tenant.as_ref().map(ToString::to_string),
                None,
            ),
            Who::Caller(Caller::Client(client)) => (
                PrincipalKind::Client,
                Some(client.name.to_string()),
                client.tenant.as_ref().map(ToString::to_string),
                None,
            ),
        };
        View {
            time: Timestamp(self.time),
            request_id: &self.request_id,
            route: &self.route,
            policy: &self.policy,
            revision: &self.revision,
            exposure: self.exposure,
            decision: self.decision,
            reason: self.reason,
            claim: self.claim,
            principal,
            subject,
            tenant,
            session,
            kind: self.kind.map(AcceptedCredential::as_str),
            client: self.client,
            limit: self.limit.as_deref(),
            shadow_reason: self.shadow.as_deref(),
            had: self.lack.as_ref().map(|lack| lack.had.as_slice()),
            needed: self.lack.as_ref().map(|lack| lack.needed.as_slice()),
            lease: self.lease,
            status: (self.status != 0).then_some(self.status),
        }
    }

    /// The stages of the decision, with their outcomes.
    #[must_use]
    pub fn stages(&self) -> Vec<Step> {
        self.way.steps(self.reason)
    }
}

/// A lease: how the edge may use an allow again without a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Lease {
    /// Its lifetime in milliseconds.
    pub milliseconds: u64,
    /// Its number of further requests.
    pub uses: u32,
}

impl Lease {
    fn of(granted: &Granted) -> Self {
        let milliseconds = u64::try_from(granted.lifetime.as_millis()).unwrap_or(u64::MAX);
        Self { milliseconds, uses: granted.uses }
    }
}

/// A [`Record`] as JSON. Absent fields do not apply.
#[derive(Debug, Serialize)]
pub struct View<'a> {
    time: Timestamp,
    request_id: &'a str,
    route: &'a str,
    policy: &'a str,
    revision: &'a str,
    exposure: &'static str,
    decision: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    claim: Option<&'static str>,
    principal: PrincipalKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shadow_reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    had: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    needed: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<Lease>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
}

/// A time as RFC 3339 in UTC, with milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp(pub UnixTime);

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nanoseconds = i128::from(self.0.millis()) * 1_000_000;
        let time =
            OffsetDateTime::from_unix_timestamp_nanos(nanoseconds).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&time.format(&Rfc3339).map_err(serde::ser::Error::custom)?)
    }
}
