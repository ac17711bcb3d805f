//! What is compared: the rendered edge, and the same listener with other filters.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use harness::wire::Request;
use harness::{Edge, Part, Port, Process};
use serde_json::{Value, json};

use crate::load::{self, Measured};

/// One thing to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Envoy, its access log, its router.
    Bare,
    /// The guard and nothing else.
    Guard,
    /// Envoy's own JWT filter.
    Jwt,
    /// The same with its token cache.
    JwtCached,
    /// Headers stripped by Lua, then the cached JWT filter.
    LuaJwtCached,
    /// An authorizer as one writes it first.
    Naive,
    /// The edge: a full check on every request.
    Cold,
}

/// All of them, in the order of the table.
pub(crate) const ALL: [Variant; 7] = [
    Variant::Bare,
    Variant::Guard,
    Variant::Jwt,
    Variant::JwtCached,
    Variant::LuaJwtCached,
    Variant::Naive,
    Variant::Cold,
];

impl Variant {
    /// Its name in the table and in the figures.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::Guard => "guard",
            Self::Jwt => "jwt",
            Self::JwtCached => "jwt_cached",
            Self::LuaJwtCached => "lua_jwt_cached",
            Self::Naive => "naive_ext_authz",
            Self::Cold => "cold",
        }
    }

    /// What it is, for the table.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Bare => "bare Envoy",
            Self::Guard => "guard alone",
            Self::Jwt => "jwt_authn",
            Self::JwtCached => "jwt_authn, token cache",
            Self::LuaJwtCached => "Lua header strip + jwt_authn, token cache",
            Self::Naive => "naive tonic ext_authz",
            Self::Cold => "the edge, a full check on every request",
        }
    }
}

/// The running edge and an Envoy for each other variant.
pub(crate) struct Stage {
    edge: Edge,
    token: String,
    envoys: Vec<(Variant, Process, Port)>,
    naive: Option<Process>,
    _naive_port: Port,
    _directory: tempfile::TempDir,
}

impl Stage {
    /// Starts everything that `chosen` needs, before `backend`.
    pub(crate) fn set(backend: SocketAddr, chosen: &[Variant]) -> Self {
        let edge = Edge::dev().every_backend(backend).start();
        let token = edge.mint().good(0);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let naive_port = Port::lease();
        let mut stage = Self {
            naive: chosen
                .contains(&Variant::Naive)
                .then(|| start_naive(&edge, &naive_port, directory.path())),
            edge,
            token,
            envoys: Vec::new(),
            _naive_port: naive_port,
            _directory: directory,
        };
        for variant in chosen.iter().copied().filter(|v| *v != Variant::Cold) {
            stage.start(variant);
        }
        stage
    }

    /// Measures one variant once.
    pub(crate) fn measure(&mut self, variant: Variant, duration: Duration, connections: usize) -> Measured {
        let (address, envoy, authorizer) = if variant == Variant::Cold {
            (self.edge.public(), self.edge.part(Part::Envoy).id(), Some(self.edge.part(Part::Authz).id()))
        } else {
            let (_, process, port) =
                self.envoys.iter().find(|(v, _, _)| *v == variant).expect("it was started");
            let naive = self.naive.as_ref().filter(|_| variant == Variant::Naive);
            (port.address(), process.id(), naive.map(Process::id))
        };
        // Connections and caches are warm before anything counts.
        let _ = load::measure(address, &self.token, Duration::from_secs(1), connections, envoy, authorizer);
        load::measure(address, &self.token, duration, connections, envoy, authorizer)
    }

    fn start(&mut self, variant: Variant) {
        let (port, admin) = (Port::lease(), Port::lease());
        let file = self._directory.path().join(format!("{}.json", variant.name()));
        let configuration = self.configuration(variant, &port, &admin);
        std::fs::write(&file, configuration.to_string()).expect("the directory is writable");
        let mut command = Command::new(harness::envoy());
        command.arg("-c").arg(&file).args([
            "--disable-hot-restart",
            "--concurrency",
            "1",
            "--log-level",
            "error",
        ]);
        let log = self._directory.path().join(format!("{}.log", variant.name()));
        let mut process = Process::start(variant.name(), &mut command, &log);
        let until = Instant::now() + Duration::from_secs(30);
        let ready = Request::new(port.address(), "GET", "/users/@me").token(&self.token);
        while !ready.try_send().is_ok_and(|answer| answer.status == 200) {
            assert!(
                process.is_running() && Instant::now() < until,
                "{} does not start:\n{}",
                variant.name(),
                process.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
        self.envoys.push((variant, process, port));
    }

    /// The edge's own configuration in one piece, with other filters in the public listener.
    fn configuration(&self, variant: Variant, port: &Port, admin: &Port) -> Value {
        let current = self.edge.home().join("envoy/current/validation.json");
        let text = std::fs::read(&current).expect("the edge is rendered");
        let mut whole: Value = serde_json::from_slice(&text).expect("the rendering is JSON");
        let set = |value: &mut Value, pointer: &str, new: Value| {
            *value.pointer_mut(pointer).unwrap_or_else(|| panic!("the rendering has no {pointer}")) = new;
        };
        set(&mut whole, "/admin/address/socket_address/port_value", json!(admin.number()));
        let listeners = whole
            .pointer_mut("/static_resources/listeners")
            .and_then(Value::as_array_mut)
            .expect("there are listeners");
        listeners.retain(|listener| listener["name"] == "public");
        let listener = listeners.first_mut().expect("there is a public listener");
        set(listener, "/address/socket_address/port_value", json!(port.number()));
        let manager = "/filter_chains/0/filters/0/typed_config";
        let log = self._directory.path().join(format!("{}.access.json", variant.name()));
        set(listener, &format!("{manager}/access_log/0/typed_config/path"), json!(log));
        let filters = listener.pointer_mut(&format!("{manager}/http_filters")).expect("there are filters");
        let of = |name: &str| {
            filters
                .as_array()
                .and_then(|all| all.iter().find(|f| f["name"] == name))
                .cloned()
                .expect("the filter is rendered")
        };
        let (guard, router) = (of("guard"), of("envoy.filters.http.router"));
        let chain = match variant {
            Variant::Bare | Variant::Cold => vec![router],
            Variant::Guard => vec![guard, router],
            Variant::Jwt => vec![self.jwt(false), router],
            Variant::JwtCached => vec![self.jwt(true), router],
            Variant::LuaJwtCached => vec![lua(), self.jwt(true), router],
            Variant::Naive => vec![naive(), router],
        };
        *filters = Value::Array(chain);
        // Per-route settings of filters that are not in the chain would be refused.
        if let Some(hosts) = listener.pointer_mut(&format!("{manager}/route_config/virtual_hosts")) {
            without_filter_settings(hosts);
        }
        if variant == Variant::Naive {
            self.point_authorizer(&mut whole);
        }
        whole
    }

    fn point_authorizer(&self, whole: &mut Value) {
        let clusters = whole
            .pointer_mut("/static_resources/clusters")
            .and_then(Value::as_array_mut)
            .expect("there are clusters");
        let cluster =
            clusters.iter_mut().find(|c| c["name"] == "authorizer").expect("there is an authorizer");
        if let Some(cluster) = cluster.as_object_mut() {
            cluster.remove("health_checks");
        }
        let place = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address/port_value";
        *cluster.pointer_mut(place).expect("it has an endpoint") = json!(self._naive_port.number());
    }

    fn jwt(&self, cached: bool) -> Value {
        let keys = std::fs::read_to_string(self.edge.home().join("keys/session.jwks.json"))
            .expect("the keys are there");
        let mut provider = json!({
            "issuer": "https://api.dev-domain.test/auth",
            "audiences": ["https://api.dev-domain.test"],
            "local_jwks": { "inline_string": keys },
            "from_cookies": ["madome_access_token"],
            "forward": true,
            "claim_to_headers": [
                { "header_name": "x-madome-auth-sub", "claim_name": "sub" },
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
}

/// Removes the settings of filters from every route below `value`, wherever in the tree it stands.
fn without_filter_settings(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.remove("typed_per_filter_config");
            fields.values_mut().for_each(without_filter_settings);
        }
        Value::Array(elements) => elements.iter_mut().for_each(without_filter_settings),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn lua() -> Value {
    let code = "function envoy_on_request(handle)\n  local headers = handle:headers()\n  local gone = {}\n  for name, _ in pairs(headers) do\n    if name:sub(1, 9) == 'x-madome-' or name:sub(1, 12) == 'x-forwarded-' and name ~= 'x-forwarded-proto' or name == 'x-tenant-id' then gone[#gone + 1] = name end\n  end\n  for _, name in ipairs(gone) do headers:remove(name) end\nend\n";
    json!({ "name": "lua", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua",
        "default_source_code": { "inline_string": code },
    } })
}

fn naive() -> Value {
    json!({ "name": "naive", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": { "envoy_grpc": { "cluster_name": "authorizer" }, "timeout": "1s" },
    } })
}

fn start_naive(edge: &Edge, port: &Port, directory: &Path) -> Process {
    let this: PathBuf = std::env::current_exe().expect("a program knows its own path");
    let mut command = Command::new(this);
    command.arg("--naive-authorizer").arg(port.address().to_string());
    command.arg("--keys").arg(edge.home().join("keys/session.jwks.json"));
    Process::start("naive authorizer", &mut command, &directory.join("naive.log"))
}
