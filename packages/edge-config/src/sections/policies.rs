//! The section `policies`.

mod attainable;

use identity::{Role, ServiceName};

use super::credentials;
use crate::declared::Declared;
use crate::edge::{
    AcceptedCredential, BesideCookie, CertificateHolder, InternalPolicy, Policy, PublicPolicy, RoleNames,
    Service, SessionPolicy, Webhook,
};
use crate::node::Node;
use crate::reader::{self, Context, Fields};

use super::kinds::{self, Recognition};
use super::{client_certificates, leases, limits, services, signatures, webhooks};
use crate::reader::choice;

/// The sections that exist for the policies.
#[derive(Clone, Copy)]
pub(crate) struct Stores {
    pub(crate) sessions: bool,
    pub(crate) api_keys: bool,
    pub(crate) legacy_sessions: bool,
    pub(crate) signatures: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    Public,
    Session,
    Internal,
    Signed,
    Webhook,
    Certificate,
}

/// The callers that are described in sections of their own, and to which policies refer.
#[derive(Clone, Copy)]
pub(crate) struct Callers<'a> {
    pub(crate) services: &'a Declared<(ServiceName, Service)>,
    pub(crate) webhooks: &'a Declared<Webhook>,
    pub(crate) certificates: &'a Declared<CertificateHolder>,
}

pub(crate) fn policy(
    context: Context<'_>,
    name: &str,
    node: &Node,
    callers: Callers<'_>,
    stores: Stores,
    recognition: Recognition<'_>,
) -> Option<Policy> {
    let Callers { services, webhooks, certificates } = callers;
    let what = format!("policy `{name}`");
    let mut fields = Fields::of(context, node, &*what);
    let kinds = [
        ("public", Kind::Public),
        ("session", Kind::Session),
        ("internal", Kind::Internal),
        ("signed", Kind::Signed),
        ("webhook", Kind::Webhook),
        ("client-certificate", Kind::Certificate),
    ];
    let kind = fields
        .required(
            "kind",
            "choose its kind: `public`, `session`, `internal`, `signed`, `webhook` or `client-certificate`",
        )
        .and_then(|n| choice(context, n, &format!("the kind of {what}"), &kinds));
    let place = fields.place;
    let policy = match kind? {
        Kind::Public => public(context, &mut fields, &what, recognition).map(Policy::Public),
        Kind::Session => {
            let accept = credentials::accept(context, &mut fields, &what, stores);
            if !stores.sessions && (accept.is_empty() || accept.contains(&AcceptedCredential::Session)) {
                context.faults.report(
                    place,
                    format!("{what} needs sessions, and the file has no `sessions`"),
                    "add the section `sessions`",
                );
            }
            let kinds = [("compare", BesideCookie::Compare), ("ignore", BesideCookie::Ignore)];
            let beside = match fields.optional("bearer_beside_cookie") {
                None => Some(BesideCookie::default()),
                Some(n) => choice(context, n, &format!("`bearer_beside_cookie` of {what}"), &kinds),
            };
            let role = match fields.optional("role") {
                None => Some(None),
                Some(n) => reader::number(context, n, "`role`", 0, 255)
                    .and_then(|r| u8::try_from(r).ok())
                    .map(|r| Some(Role(r))),
            };
            let roles = match fields.optional("roles") {
                None => Some(None),
                Some(n) => roles(context, n, &what).map(Some),
            };
            let scopes = fields.optional("scopes").map(|n| scopes(context, n, &what)).unwrap_or_default();
            let tenant = match fields.optional("tenant") {
                None => Some(None),
                Some(n) => limits::tenant_match(context, n, &what).map(Some),
            };
            let mode = limits::mode(context, &mut fields, &what);
            let lease = leases::field(context, &mut fields, &what, mode, tenant.as_ref());
            let sign_in = match fields.optional("sign_in") {
                None => Some(None),
                Some(n) => super::sign_in::read(context, n, &what, &accept).map(Some),
            };
            let policy = role.zip(roles).zip(tenant).zip(mode).zip(lease).zip(beside).zip(sign_in).map(
                |((((((role, roles), tenant), mode), lease), bearer_beside_cookie), sign_in)| SessionPolicy {
                    accept,
                    bearer_beside_cookie,
                    role,
                    roles,
                    scopes,
                    tenant,
                    mode,
                    lease,
                    sign_in,
                },
            );
            if let Some(policy) = &policy {
                attainable::check(context, place, &what, policy, recognition);
            }
            policy.map(Policy::Session)
        }
        Kind::Internal => {
            let mut accepted = Vec::new();
            if let Some(list) = fields.optional("services") {
                for element in reader::list(context, list, &format!("`services` of {what}")) {
                    let named = services.reference(context, element, &format!("a service of {what}"));
                    accepted.extend(named.and_then(|name| name.parse::<ServiceName>().ok()));
                }
            }
            let permissions = fields.optional("permissions");
            let policy = InternalPolicy {
                services: accepted,
                permissions: permissions
                    .map(|n| services::permissions(context, n, &what))
                    .unwrap_or_default(),
            };
            if let Some(node) = permissions {
                services::check_permissions(context, node, &what, &policy, services);
            }
            Some(Policy::Internal(policy))
        }
        Kind::Signed => {
            signatures::policy(context, &mut fields, &what, stores.signatures).map(Policy::Signed)
        }
        Kind::Webhook => webhooks::policy(context, &mut fields, &what, webhooks).map(Policy::Webhook),
        Kind::Certificate => {
            client_certificates::policy(context, &mut fields, &what, certificates).map(Policy::Certificate)
        }
    };
    fields.finish();
    policy
}

/// `{ kind: public, ended: refuse }`
fn public(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    what: &str,
    recognition: Recognition<'_>,
) -> Option<PublicPolicy> {
    let Some(node) = fields.optional("ended") else { return Some(PublicPolicy::default()) };
    let refuse_ended =
        choice(context, node, &format!("`ended` of {what}"), &[("pass", false), ("refuse", true)])?;
    if refuse_ended {
        kinds::check_ended(context, node.place, what, recognition);
    }
    Some(PublicPolicy { refuse_ended })
}

/// More roles than this are a role of their own.
const MAX_ROLES: usize = 32;

/// `roles: { any: [admin, support] }`, or `roles: { all: [admin, support] }`.
fn roles(context: Context<'_>, node: &Node, what: &str) -> Option<RoleNames> {
    let mut fields = Fields::of(context, node, format!("`roles` of {what}"));
    let (any, all) = (fields.optional("any"), fields.optional("all"));
    fields.finish();
    match (any, all) {
        (Some(n), None) => role_names(context, n, what).map(RoleNames::Any),
        (None, Some(n)) => role_names(context, n, what).map(RoleNames::All),
        (Some(_), Some(_)) | (None, None) => {
            let problem = format!("`roles` of {what} needs either `any` or `all`");
            context.faults.report(node.place, problem, "give exactly one of them: `roles: { any: [admin] }`");
            None
        }
    }
}

fn role_names(context: Context<'_>, node: &Node, what: &str) -> Option<Vec<String>> {
    let elements = reader::list(context, node, &format!("`roles` of {what}"));
    if elements.is_empty() || elements.len() > MAX_ROLES {
        let problem = format!("`roles` of {what} lists {} roles", elements.len());
        context.faults.report(node.place, problem, format!("list 1 to {MAX_ROLES}"));
        return None;
    }
    let mut names: Vec<String> = Vec::with_capacity(elements.len());
    for element in elements {
        let name = reader::text(context, element, &format!("a role of {what}"))?;
        if !identity::principal::is_role_name(name) {
            let problem = format!("a role of {what} is {name:?}");
            let mend = "write 1 to 255 bytes without commas and control characters: roles travel in one header, separated by commas";
            context.faults.report(element.place, problem, mend);
            return None;
        }
        if names.iter().any(|known| known == name) {
            context.faults.report(
                element.place,
                format!("{what} lists the role `{name}` twice"),
                "list it once",
            );
            continue;
        }
        names.push(name.to_owned());
    }
    Some(names)
}

fn scopes(context: Context<'_>, node: &Node, what: &str) -> Vec<String> {
    let mut scopes = Vec::new();
    for element in reader::list(context, node, &format!("`scopes` of {what}")) {
        let Some(scope) = reader::text(context, element, &format!("a scope of {what}")) else { continue };
        // RFC 6749 §3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E )
        let token = |b: u8| b == 0x21 || (0x23..=0x5b).contains(&b) || (0x5d..=0x7e).contains(&b);
        if scope.is_empty() || !scope.bytes().all(token) {
            context.faults.report(
                element.place,
                format!("a scope of {what} is {scope:?}"),
                "write a scope token (RFC 6749 §3.3)",
            );
        }
        scopes.push(scope.to_owned());
    }
    scopes
}
