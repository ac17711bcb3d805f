//! The configuration of every variant that is not an edge: the edge's own listener with other filters in it, so
//! that everything else (codec, limits, access log, routes, cluster) is the same.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::variants::Variant;

/// Ports and files of one Envoy.
#[derive(Debug)]
pub(crate) struct EnvoyFiles<'a> {
    /// The public listener's port.
    pub(crate) public: u16,
    /// The admin interface's port.
    pub(crate) admin: u16,
    /// The naive authorizer's port; 0 without one.
    pub(crate) naive: u16,
    /// The access log.
    pub(crate) log: &'a Path,
}

/// The rendered configuration of the edge at `home` in one piece, with the filters of `variant`.
///
/// # Panics
/// When the rendering has an unexpected form.
pub(crate) fn configuration(home: &Path, variant: Variant, place: &EnvoyFiles<'_>) -> Value {
    let text = std::fs::read(home.join("envoy/current/validation.json")).expect("the edge is rendered");
    let mut whole: Value = serde_json::from_slice(&text).expect("the rendering is JSON");
    set(&mut whole, "/admin/address/socket_address/port_value", json!(place.admin));
    let listeners = array(&mut whole, "/static_resources/listeners");
    listeners.retain(|listener| listener["name"] == "public");
    let listener = listeners.first_mut().expect("there is a public listener");
    set(listener, "/address/socket_address/port_value", json!(place.public));
    let manager = "/filter_chains/0/filters/0/typed_config";
    // For requests with an id, and for those without one.
    for logger in [0, 1] {
        set(listener, &format!("{manager}/access_log/{logger}/typed_config/path"), json!(place.log));
    }
    if let Variant::Tried(_) = variant {
        return whole;
    }
    let filters = array(listener, &format!("{manager}/http_filters"));
    let of =
        |name: &str| filters.iter().find(|f| f["name"] == name).cloned().expect("the filter is rendered");
    let (guard, router) = (of("guard"), of("envoy.filters.http.router"));
    *filters = match variant {
        Variant::Bare | Variant::Cold(_) | Variant::Warm(_) | Variant::Tried(_) => vec![router],
        Variant::Guard(_) => vec![guard, router],
        Variant::Jwt => vec![jwt(home, false), router],
        Variant::JwtCached => vec![jwt(home, true), router],
        Variant::LuaJwtCached => vec![lua(), jwt(home, true), router],
        Variant::Naive => vec![naive(), router],
    };
    // The early lookup is a part of the edge.
    if let Some(manager) = listener.pointer_mut(manager).and_then(Value::as_object_mut) {
        manager.remove("early_header_mutation_extensions");
    }
    // Per-route settings of filters that are not in the chain would be refused.
    let routes = listener.pointer_mut(&format!("{manager}/route_config")).expect("there are routes");
    remove_everywhere(routes, "typed_per_filter_config");
    if variant == Variant::Naive {
        point_authorizer(&mut whole, place.naive);
    }
    whole
}

/// `configuration` after the shell command `command`, which reads it from standard input and writes it to standard output.
///
/// # Panics
/// When the command fails or prints no JSON.
pub(crate) fn changed(configuration: &Value, command: &str) -> Value {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell starts");
    let mut stdin = child.stdin.take().expect("it is piped");
    let text = configuration.to_string();
    // On a thread of its own: the command may write before it has read everything.
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().expect("the command ends");
    let _ = writer.join();
    assert!(output.status.success(), "--try {command}: it failed");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|e| panic!("--try {command}: it printed no JSON: {e}"))
}

/// Removes `field` from every object below `value`, at any depth: routes may be in trees.
fn remove_everywhere(value: &mut Value, field: &str) {
    match value {
        Value::Object(map) => {
            map.remove(field);
            map.values_mut().for_each(|below| remove_everywhere(below, field));
        }
        Value::Array(all) => all.iter_mut().for_each(|below| remove_everywhere(below, field)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn set(value: &mut Value, pointer: &str, new: Value) {
    *value.pointer_mut(pointer).unwrap_or_else(|| panic!("the rendering has no {pointer}")) = new;
}

fn array<'a>(value: &'a mut Value, pointer: &str) -> &'a mut Vec<Value> {
    let found = value.pointer_mut(pointer).and_then(Value::as_array_mut);
    found.unwrap_or_else(|| panic!("the rendering has no list at {pointer}"))
}

fn point_authorizer(whole: &mut Value, port: u16) {
    let clusters = array(whole, "/static_resources/clusters");
    let cluster = clusters.iter_mut().find(|c| c["name"] == "authorizer").expect("there is an authorizer");
    // The naive authorizer does not know the health protocol.
    if let Some(cluster) = cluster.as_object_mut() {
        cluster.remove("health_checks");
    }
    let place = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address/port_value";
    set(cluster, place, json!(port));
}

fn jwt(home: &Path, cached: bool) -> Value {
    let keys = std::fs::read_to_string(home.join("keys/session.jwks.json")).expect("the keys are there");
    let mut provider = json!({
        "issuer": "https://api.dev-domain.test/auth",
        "audiences": ["https://api.dev-domain.test"],
        "local_jwks": { "inline_string": keys },
        "from_cookies": [harness::SESSION_COOKIE],
        "forward": true,
        "claim_to_headers": [
            { "header_name": "x-auth-subject", "claim_name": "sub" },
            { "header_name": "x-tenant-id", "claim_name": "tenantId" },
        ],
    });
    if let (true, Some(provider)) = (cached, provider.as_object_mut()) {
        let cache = json!({ "jwt_cache_size": 100_000, "jwt_max_token_size": 8192 });
        provider.insert("jwt_cache_config".to_owned(), cache);
    }
    json!({ "name": "jwt", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": { "session": provider },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "session" } }],
    } })
}

/// The usual Lua code to remove forged headers without a guard.
const STRIP: &str = "\
function envoy_on_request(handle)
  local headers = handle:headers()
  local gone = {}
  for name, _ in pairs(headers) do
    if name:sub(1, 7) == 'x-auth-' or name == 'x-tenant-id'
      or name:sub(1, 12) == 'x-forwarded-' and name ~= 'x-forwarded-proto' then
      gone[#gone + 1] = name
    end
  end
  for _, name in ipairs(gone) do headers:remove(name) end
end
";

fn lua() -> Value {
    json!({ "name": "lua", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": { "inline_string": STRIP },
    } })
}

fn naive() -> Value {
    json!({ "name": "naive", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": { "envoy_grpc": { "cluster_name": "authorizer" }, "timeout": "1s" },
    } })
}
