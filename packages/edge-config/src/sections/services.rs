//! The sections `services` and `service_tokens`.

use identity::{ServiceName, TenantId};

use crate::declared::Declared;
use crate::edge::{InternalPolicy, Service, ServiceTenants, ServiceTokens};
use crate::fault::suggest;
use crate::node::{Node, Value};
use crate::notes::Shape;
use crate::reader::path;
use crate::reader::{self, Context, Fields};

pub(crate) fn service(context: Context<'_>, name: &str, node: &Node) -> Option<(ServiceName, Service)> {
    let mut fields = Fields::of(context, node, format!("service `{name}`"));
    let keys = fields
        .required("keys", "name the file of its public keys: `keys: path/to/keys.jwks.json`")
        .and_then(|n| path(context, n, &format!("`keys` of service `{name}`")));
    let what = format!("service `{name}`");
    let permissions =
        fields.optional("permissions").map(|n| permissions(context, n, &what)).unwrap_or_default();
    let tenants = fields.optional("tenants").map(|n| tenants(context, n, &what)).unwrap_or_default();
    fields.finish();
    Some((name.parse().ok()?, Service { keys: keys?, permissions, tenants }))
}

pub(crate) fn tokens(context: Context<'_>, node: &Node) -> Option<ServiceTokens> {
    let mut fields = Fields::of(context, node, "`service_tokens`");
    let issuer = fields
        .required("issuer", "give the `iss` that a service token must have")
        .and_then(|n| reader::text(context, n, "the issuer of `service_tokens`").map(str::to_owned));
    let keys = fields
        .required("keys", "name the file of the issuer's public keys: `keys: service-token.jwks.json`")
        .and_then(|n| path(context, n, "`keys` of `service_tokens`"));
    fields.finish();
    Some(ServiceTokens { issuer: issuer?, keys: keys? })
}

/// A list of permissions: scope tokens (RFC 6749 §3.3), because services request them as scopes.
pub(crate) fn permissions(context: Context<'_>, node: &Node, what: &str) -> Vec<String> {
    let mut permissions: Vec<String> = Vec::new();
    for element in reader::list(context, node, &format!("`permissions` of {what}")) {
        let Some(text) = reader::text(context, element, &format!("a permission of {what}")) else { continue };
        let token = |b: u8| b == 0x21 || (0x23..=0x5b).contains(&b) || (0x5d..=0x7e).contains(&b);
        if text.is_empty() || text.len() > 64 || !text.bytes().all(token) {
            let problem = format!("a permission of {what} is {text:?}");
            context.faults.report(element.place, problem, "write 1 to 64 visible characters without quotes");
        } else if permissions.iter().any(|permission| permission == text) {
            let problem = format!("{what} lists the permission `{text}` twice");
            context.faults.report(element.place, problem, "remove one");
        } else if permissions.len() == 32 {
            let problem = format!("{what} has more than 32 permissions, `{text}` is one too many");
            context.faults.report(
                element.place,
                problem,
                "use fewer, wider ones: a token carries all of them",
            );
        } else {
            permissions.push(text.to_owned());
        }
    }
    permissions
}

/// More would make the edge file a directory of tenants, which is a file of its own.
const MAX_TENANTS: usize = 256;

/// The tenants for which a service may act: `any`, or a list of their ids.
pub(crate) fn tenants(context: Context<'_>, node: &Node, what: &str) -> ServiceTenants {
    context.expects(node, || Shape::Choice(vec!["any"]));
    if matches!(&node.value, Value::Text(text) if text == "any") {
        return ServiceTenants::Any;
    }
    let mut tenants: Vec<TenantId> = Vec::new();
    for element in reader::list(context, node, &format!("`tenants` of {what}")) {
        let mend = "write the tenant's id, or `tenants: any`";
        let Some(tenant) = reader::parsed(context, element, &format!("a tenant of {what}"), mend) else {
            continue;
        };
        if tenants.contains(&tenant) {
            let problem = format!("{what} lists the tenant {tenant} twice");
            context.faults.report(element.place, problem, "remove one");
        } else if tenants.len() == MAX_TENANTS {
            let problem = format!("{what} has more than {MAX_TENANTS} tenants");
            context.faults.report(element.place, problem, "write `tenants: any`");
        } else {
            tenants.push(tenant);
        }
    }
    ServiceTenants::Listed(tenants)
}

/// Reports a permission that no service has, so that no caller would pass.
pub(crate) fn check_permissions(
    context: Context<'_>,
    node: &Node,
    what: &str,
    policy: &InternalPolicy,
    services: &Declared<(ServiceName, Service)>,
) {
    let known =
        services.good.values().flat_map(|(_, service)| service.permissions.iter().map(String::as_str));
    for permission in &policy.permissions {
        if !known.clone().any(|known| known == permission) {
            let problem = format!("{what} requires the permission `{permission}`, which no service has");
            context.faults.report(node.place, problem, suggest(permission, known.clone()));
        }
    }
}
