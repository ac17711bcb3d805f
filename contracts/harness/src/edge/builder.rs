//! Configures the edge of a test and starts it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::{ALL, Edge, Part};
use crate::parts;
use crate::ports::Port;
use crate::tls::Tunnel;

/// The edge that a test needs.
pub struct EdgeBuilder {
    file: PathBuf,
    edits: Vec<(String, String)>,
    stand_ins: BTreeMap<&'static str, SocketAddr>,
    without: Vec<Part>,
    environment: Vec<(String, String)>,
    restartable: bool,
    two_authorizers: bool,
    workers: u8,
    drain_seconds: u32,
    prepare: Option<Prepare>,
    more_at_legacy: bool,
}

/// The backends of books, pictures and pages in `envoy/edges/dev.yaml`.
const BACKENDS: [&str; 4] = [
    "  library: { address: \"${LIBRARY_ADDRESS:-127.0.0.1:3023}\" }\n",
    "  library-calls: { address: \"${LIBRARY_ADDRESS:-127.0.0.1:3023}\", audience: library, protocol: grpc, request_timeout_ms: 2000 }\n",
    "  image: { address: \"${IMAGE_ADDRESS:-127.0.0.1:3024}\" }\n",
    "  web: { address: \"${WEB_ADDRESS:-127.0.0.1:3028}\" }\n",
];

/// The end of each route to them, and of those that need them.
const ROUTES: [&str; 6] = [
    "prefix: /books, policy: signed-in, to: library,",
    "prefix: /open-graph, methods: [GET, HEAD], policy: public, to: library,",
    // Lists of people's activity have books in them.
    "prefix: /users/@me, policy: signed-in, to: users,",
    "host: file, prefix: /, policy: signed-in, to: image,",
    "host: web, prefix: /, methods: [GET, HEAD], policy: public, to: web,",
    "prefix: /openapi, methods: [GET, HEAD], policy: public, to: web,",
];

/// The policies of the routes between services that lead to the library, and how those routes name them.
const POLICIES: [&str; 2] = [
    "  catalogue: { kind: internal, services: [users] }\n",
    "  book-renewal: { kind: internal, services: [users] }\n",
];
const OF_SERVICES: [&str; 2] = [" policy: catalogue,", " policy: book-renewal,"];

/// How the section about sessions of the legacy backend, with its comment, begins in `envoy/edges/dev.yaml`.
const LEGACY_SESSIONS: &str = "# Sessions that began at the legacy backend live on.";

/// What else that section needs in other places, and those places without it.
const FOR_LEGACY_SESSIONS: [(&str, &str); 2] = [
    ("signed-in: { kind: session, accept: [session, legacy-session] }", "signed-in: { kind: session }"),
    ("  refresh_cookie: madome_refresh_token\n", ""),
];

/// The development edge's `text` without the sessions of the legacy backend: a test that is about them describes them
/// itself.
fn without_legacy_sessions(text: &str) -> String {
    let section = text.split("\n\n").find(|part| part.starts_with(LEGACY_SESSIONS));
    let section = section.expect("envoy/edges/dev.yaml describes the sessions of the legacy backend");
    FOR_LEGACY_SESSIONS.iter().fold(text.replace(&format!("{section}\n\n"), ""), |text, (with, without)| {
        assert!(text.contains(with), "envoy/edges/dev.yaml has no {with:?}");
        text.replace(with, without)
    })
}

/// The development edge's `text` before books, pictures, pages and the OpenAPI document moved to services of their own,
/// and without the sessions of the legacy backend.
pub(super) fn with_more_at_legacy(text: &str) -> String {
    let text = &without_legacy_sessions(text);
    let missing = BACKENDS.iter().chain(&ROUTES).chain(&POLICIES).find(|piece| !text.contains(**piece));
    assert_eq!(missing, None, "envoy/edges/dev.yaml sends books, pictures or pages elsewhere");
    let text = BACKENDS.iter().fold(text.to_owned(), |text, backend| text.replace(backend, ""));
    let moved = ROUTES.iter().fold(text, |text, route| {
        let (kept, _) = route.rsplit_once("to: ").unwrap_or_default();
        text.replace(route, &format!("{kept}to: legacy,"))
    });
    let moved = POLICIES.iter().fold(moved, |text, policy| text.replace(policy, ""));
    let is_of_services = |line: &&str| OF_SERVICES.iter().any(|policy| line.contains(policy));
    moved.split_inclusive('\n').filter(|line| !is_of_services(line)).collect()
}

/// Writes files into the home before anything reads them.
type Prepare = Box<dyn FnOnce(&std::path::Path)>;

impl EdgeBuilder {
    /// An edge of the edge file at `file`, with all its parts.
    pub(super) fn of(file: PathBuf) -> Self {
        Self {
            file,
            edits: Vec::new(),
            stand_ins: BTreeMap::new(),
            without: vec![Part::SecondAuthz],
            environment: Vec::new(),
            restartable: false,
            two_authorizers: false,
            workers: 1,
            drain_seconds: 600,
            prepare: None,
            more_at_legacy: false,
        }
    }

    /// Without library, image and web service: the legacy backend has books, pictures, pages and the OpenAPI document.
    pub(super) fn more_at_legacy(mut self) -> Self {
        self.more_at_legacy = true;
        self
    }

    /// Two replicas of the authorizer, [`Part::Authz`] and [`Part::SecondAuthz`].
    #[must_use]
    pub fn two_authorizers(mut self) -> Self {
        self.without.retain(|part| *part != Part::SecondAuthz);
        self.two_authorizers = true;
        self
    }

    /// An Envoy that passes its sockets to the next one ([`Edge::hand_over`]).
    #[must_use]
    pub fn restartable(mut self) -> Self {
        self.restartable = true;
        self
    }

    /// The number of Envoy's workers. One, unless a test checks what they share.
    #[must_use]
    pub const fn workers(mut self, workers: u8) -> Self {
        self.workers = workers;
        self
    }

    /// How long Envoy keeps connections of a replaced configuration. Its own ten minutes, unless a test checks that.
    #[must_use]
    pub const fn drain_seconds(mut self, seconds: u32) -> Self {
        self.drain_seconds = seconds;
        self
    }

    /// Writes files into the home that the edge file names, such as certificates, before anything reads them.
    #[must_use]
    pub fn prepare(mut self, write: impl FnOnce(&std::path::Path) + 'static) -> Self {
        self.prepare = Some(Box::new(write));
        self
    }

    /// Replaces a piece of the edge file, which must contain it.
    #[must_use]
    pub fn replace(mut self, old: &str, new: &str) -> Self {
        self.edits.push((old.to_owned(), new.to_owned()));
        self
    }

    /// The library's refusals as JSON, for tests of answers with a content type that says how a body is read.
    #[must_use]
    pub fn json_library(self) -> Self {
        let texts = "    content_type: text/plain; charset=utf-8\n    unauthenticated: { status: 401, body: Unauthorized }\n    forbidden: { status: 403, body: Permission denied }\n    not_found: { status: 404, body: Not Found }\n    unavailable: { status: 503, body: Service unavailable }\n";
        let json = |status: u16, name: &str, message: &str| {
            format!("{{ status: {status}, body: '{{\"name\":\"{name}\",\"message\":\"{message}\"}}' }}\n")
        };
        let lines = [
            "    content_type: application/json; charset=utf-8\n".to_owned(),
            format!("    unauthenticated: {}", json(401, "Unauthorized", "Unauthorized")),
            format!("    forbidden: {}", json(403, "Permission denied", "Permission denied")),
            format!("    not_found: {}", json(404, "Not found resource", "Not found")),
            format!("    unavailable: {}", json(503, "Service unavailable", "Service unavailable")),
        ];
        self.replace(texts, &lines.concat())
    }

    /// One more route: `/open` and below on the API host, public for every method, to the legacy backend.
    #[must_use]
    pub fn with_open_route(self) -> Self {
        self.replace(
            "routes:\n",
            "routes:\n  - { name: open, host: api, prefix: /open, policy: public, to: legacy, answers: auth }\n",
        )
    }

    /// One more public listener, `tls` at `address`, with the development certificate. Every host of `public` is on it, too.
    #[must_use]
    pub fn also_encrypted(self, address: SocketAddr) -> Self {
        let home = "${CUTOVER_HOME:-.run}";
        let tls = format!(
            "exposure: public }}\n  tls: {{ address: \"{address}\", exposure: public, tls: {{ certificate: \"{home}/certs/edge.pem\", key: \"{home}/certs/edge.key\" }} }}"
        );
        self.replace("exposure: public }", &tls).replace("{ listener: public,", "{ listeners: [public, tls],")
    }

    /// Replaces a backend by another address: `LEGACY_ADDRESS`, `AUTH_ADDRESS`, `USERS_ADDRESS`, `LIBRARY_ADDRESS`,
    /// `IMAGE_ADDRESS` or `WEB_ADDRESS`.
    #[must_use]
    pub fn stand_in(mut self, variable: &'static str, address: SocketAddr) -> Self {
        self.without.extend(match variable {
            "LEGACY_ADDRESS" => Some(Part::Legacy),
            "AUTH_ADDRESS" => Some(Part::Auth),
            "USERS_ADDRESS" => Some(Part::Users),
            "LIBRARY_ADDRESS" => Some(Part::Library),
            "IMAGE_ADDRESS" => Some(Part::Image),
            "WEB_ADDRESS" => Some(Part::Web),
            other => panic!("{other} is not the address of a backend"),
        });
        self.stand_ins.insert(variable, address);
        self
    }

    /// One address for every backend.
    #[must_use]
    pub fn every_backend(self, address: SocketAddr) -> Self {
        self.stand_in("LEGACY_ADDRESS", address)
            .stand_in("AUTH_ADDRESS", address)
            .stand_in("USERS_ADDRESS", address)
            .stand_in("LIBRARY_ADDRESS", address)
            .stand_in("IMAGE_ADDRESS", address)
            .stand_in("WEB_ADDRESS", address)
    }

    /// Leaves a part out.
    #[must_use]
    pub fn without(mut self, part: Part) -> Self {
        self.without.push(part);
        self
    }

    /// One more variable for every program.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When a part is missing, does not start, or is not ready in time.
    #[must_use]
    pub fn start(self) -> Edge {
        let home = tempfile::Builder::new().prefix("cutover-").tempdir().expect("a temporary directory");
        for directory in ["logs", "db", "mail", "sessions"] {
            std::fs::create_dir_all(home.path().join(directory)).expect("the home is writable");
        }
        let mut text = std::fs::read_to_string(&self.file).expect("the edge file is readable");
        if self.more_at_legacy {
            text = with_more_at_legacy(&text);
        }
        let optional = [
            (Part::Library, "${LIBRARY_ADDRESS"),
            (Part::Image, "${IMAGE_ADDRESS"),
            (Part::Web, "${WEB_ADDRESS"),
        ];
        let is_named = optional.map(|(part, variable)| (part, text.contains(variable)));
        for (old, new) in &self.edits {
            assert!(text.contains(old.as_str()), "{old:?} is not in {}", self.file.display());
            text = text.replace(old.as_str(), new);
        }
        let names = [
            "EDGE_ADDRESS",
            "EDGE_SERVICE_ADDRESS",
            "EDGE_STATS_ADDRESS",
            "ENVOY_ADMIN_ADDRESS",
            "AUTHZ_ADDRESS",
            "AUTHZ_ADMIN_ADDRESS",
            "AUTHZ_2_ADDRESS",
            "AUTHZ_2_ADMIN_ADDRESS",
            "LEGACY_ADDRESS",
            "AUTH_ADDRESS",
            "USERS_ADDRESS",
            "LIBRARY_ADDRESS",
            "IMAGE_ADDRESS",
            "WEB_ADDRESS",
        ];
        let ports = names.map(|name| (name, Port::lease()));
        let mut addresses: BTreeMap<&str, SocketAddr> =
            ports.iter().map(|(name, port)| (*name, port.address())).collect();
        addresses.extend(self.stand_ins);
        if self.two_authorizers {
            // Without variables: each replica has its own AUTHZ_ADDRESS, and both read this file.
            let both = ["AUTHZ_ADDRESS", "AUTHZ_2_ADDRESS"].map(|name| format!("\"{}\"", addresses[name]));
            let one = "address: \"${AUTHZ_ADDRESS:-127.0.0.1:9191}\"";
            assert!(text.contains(one), "{one:?} is not in {}", self.file.display());
            text = text.replace(one, &format!("addresses: [{}]", both.join(", ")));
        }
        let encrypted = text.contains("certs/edge.pem");
        let file = home.path().join("edge.yaml");
        std::fs::write(&file, text).expect("the home is writable");
        let tenants = parts::repository().join("envoy/edges/dev.tenants.yaml");
        std::fs::copy(tenants, home.path().join("tenants.yaml")).expect("the tenants are readable");

        let mut edge = Edge {
            processes: BTreeMap::new(),
            environment: self.environment,
            epoch: self.restartable.then_some(0),
            workers: self.workers,
            drain_seconds: self.drain_seconds,
            file,
            addresses,
            _ports: ports.into_iter().map(|(_, port)| port).collect(),
            tunnel: None,
            home,
        };
        edge.cutover(&["keys"]);
        if encrypted {
            edge.cutover(&["certs", "--name", "localhost"]);
        }
        if let Some(prepare) = self.prepare {
            prepare(edge.home());
        }
        edge.render();
        if is_encrypted(&edge) {
            let certificate = edge.home().join("certs/edge.pem");
            edge.tunnel = Some(Tunnel::to(edge.address("EDGE_ADDRESS"), &certificate));
        }
        for part in ALL {
            let is_in_file = is_named.iter().all(|(named, is)| *named != part || *is);
            if !self.without.contains(&part) && is_in_file {
                edge.start(part);
            }
        }
        edge.wait_until_ready();
        edge
    }
}

/// Whether the listener for clients has a certificate.
fn is_encrypted(edge: &Edge) -> bool {
    let environment = |name: &str| {
        let own = edge.environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let home = (name == "CUTOVER_HOME").then(|| edge.home().display().to_string());
        own.or(home).or_else(|| edge.addresses.get(name).map(ToString::to_string))
    };
    let read = edge_config::load(edge.file(), &environment).expect("the edge file was rendered");
    let clients = edge.address("EDGE_ADDRESS");
    read.listeners.values().any(|listener| listener.address == clients && listener.tls.is_some())
}
