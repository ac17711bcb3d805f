//! An edge for deliveries, and a program that signs them.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use clock::{Clock as _, SystemClock};
use harness::wire::{Answer, Connection, Request};
use harness::{Edge, Part, Port, Process, Signal, eventually, program, repository};
use identity::assertion::Signer;
use signed_request::{Message, Signature, SigningKey, sign};

const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// The key of another program.
pub(crate) const WRONG: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
const HOST: &str = "sync.dev-domain.test";

/// The edge `sync` with its services.
pub(crate) struct Stage {
    edge: Edge,
    listener: Port,
    service: Port,
    pictures: tempfile::TempDir,
    _sync: Process,
}

impl Stage {
    pub(crate) fn start(database_url: Option<String>) -> Self {
        let (listener, service) = (Port::lease(), Port::lease());
        let pictures = tempfile::tempdir().unwrap();
        let mut builder = Edge::shipped("sync")
            .without(Part::Legacy)
            .without(Part::Users)
            // It is ready when a delivery passes, which is not what other edges wait for.
            .without(Part::Envoy)
            .variable("EDGE_NAME", "sync")
            // As `cutover run` starts it beside this edge.
            .variable("LIBRARY_SURFACE", "later")
            .variable("EDGE_SYNC_ADDRESS", &listener.address().to_string())
            .variable("SYNC_ADDRESS", &service.address().to_string())
            .prepare(|home| {
                write_secret(&home.join("keys/crawler.secret"), SECRET);
                let keys =
                    "keys:\n  crawler: { service: crawler, alg: hmac-sha256, secrets: [crawler.secret] }\n";
                std::fs::write(home.join("keys/signing-keys.yaml"), keys).unwrap();
            });
        if let Some(url) = &database_url {
            builder = builder.variable("DATABASE_URL", url);
        }
        let mut edge = builder.start();
        let mut command = Command::new(program("sync"));
        command.current_dir(repository()).env_remove("DATABASE_URL");
        command.env("CUTOVER_HOME", edge.home()).env("EDGE_NAME", "sync");
        command.env("SYNC_ADDRESS", service.address().to_string()).env("SYNC_ROOT", pictures.path());
        command.env("SERVICE_EDGE_URL", format!("http://{}", edge.address("EDGE_SERVICE_ADDRESS")));
        if let Some(url) = database_url {
            command.env("DATABASE_URL", url);
        }
        let sync = Process::start("sync", &mut command, &edge.home().join("logs/sync.log"));
        edge.start(Part::Envoy);
        let stage = Self { edge, listener, service, pictures, _sync: sync };
        let ready = stage.signed("GET", "/_sync/jobs/ready", b"");
        eventually("a delivery passes", || {
            ready.try_send().is_ok_and(|answer| answer.status == 429)
                || stage
                    .signed("GET", "/_sync/jobs/ready", b"")
                    .try_send()
                    .is_ok_and(|answer| answer.status == 200)
        });
        stage
    }

    /// The listener for deliveries.
    pub(crate) fn sync(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The listener for services.
    pub(crate) fn services(&self) -> SocketAddr {
        self.edge.address("EDGE_SERVICE_ADDRESS")
    }

    /// The sync service itself.
    pub(crate) fn service(&self) -> SocketAddr {
        self.service.address()
    }

    pub(crate) fn pictures(&self) -> &Path {
        self.pictures.path()
    }

    pub(crate) fn stop_library(&mut self) {
        self.edge.stop(Part::Library, Signal::Terminate);
    }

    pub(crate) fn start_library(&mut self) {
        self.edge.start(Part::Library);
    }

    /// A request of the program, signed now.
    pub(crate) fn signed(&self, method: &str, target: &str, body: &[u8]) -> Delivery {
        self.signed_with(method, target, body, SECRET)
    }

    pub(crate) fn signed_with(&self, method: &str, target: &str, body: &[u8], secret: &str) -> Delivery {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let now = SystemClock.now();
        let nonce =
            format!("{}-{}-{}", std::process::id(), now.millis(), COUNT.fetch_add(1, Ordering::Relaxed));
        let headers: Vec<(&str, &[u8])> =
            if body.is_empty() { vec![] } else { vec![("content-type", b"application/json")] };
        let message = Message { method, target, scheme: "http", host: HOST, headers, body };
        let mut components = vec!["@method", "@path", "@query", "@authority", "content-digest"];
        components.extend((!body.is_empty()).then_some("content-type"));
        let signature = Signature {
            key_id: "crawler",
            nonce: Some(&nonce),
            names_algorithm: true,
            tag: None,
            created: now.seconds(),
            expires: None,
            components: &components,
        };
        let lines = sign(&message, &signature, &SigningKey::read(secret).unwrap()).unwrap();
        let mut request = Request::new(self.sync(), method, target).host(HOST);
        for (name, value) in lines {
            request = request.header(name, value);
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body);
        }
        Delivery { address: self.sync(), request }
    }

    pub(crate) fn send(&self, method: &str, target: &str, body: impl AsRef<[u8]>) -> Answer {
        self.signed(method, target, body.as_ref()).send()
    }

    pub(crate) fn json(&self, method: &str, target: &str, body: &str) -> (u16, serde_json::Value) {
        let answer = self.send(method, target, body);
        (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default())
    }

    /// What the edge signs about `caller` for `service`.
    fn identity(&self, caller: &identity::Caller, service: &str) -> String {
        let form = identity::Form { tenant: "tenantId".to_owned(), ..identity::Form::default() };
        let key = self.edge.home().join("keys/identity.pem");
        let signer = Signer::from_file("sync", &key).unwrap().in_form(form);
        signer.sign(caller, service, SystemClock.now()).unwrap()
    }

    /// A request for the sync service itself, of the program that the edge has proved.
    pub(crate) fn direct(&self, method: &str, target: &[u8]) -> Request {
        let program = identity::Service { name: "crawler".parse().unwrap(), tenant: None };
        let signed = self.identity(&identity::Caller::Service(program), "sync");
        Request::new(self.service(), method, target).header("x-madome-identity", signed)
    }

    /// Puts books at the library itself, as the edge passes on another service's request.
    pub(crate) fn put_in_library(&self, body: &str) -> Answer {
        let service = identity::Service { name: "importer".parse().unwrap(), tenant: None };
        let signed = self.identity(&identity::Caller::Service(service), "library");
        Request::new(self.edge.address("LIBRARY_ADDRESS"), "PUT", "/_/books")
            .header("x-madome-identity", signed)
            .header("content-type", "application/json")
            .body(body)
            .send()
    }

    /// The title of a book.
    pub(crate) fn title(&self, id: u64) -> String {
        self.book(id)["title"].as_str().unwrap().to_owned()
    }

    /// A book, as the library serves it.
    pub(crate) fn book(&self, id: u64) -> serde_json::Value {
        let person = identity::Person {
            subject: "00000000-0000-7000-8000-0000000000a0".parse().unwrap(),
            tenant: Some(harness::tokens::DEMO_TENANT.parse().unwrap()),
            roles: Vec::new(),
            session: Some("00000000-0000-7000-8000-00000000005e".parse().unwrap()),
            role: Some(identity::Role::NORMAL),
            scopes: Vec::new(),
        };
        let signed = self.identity(&identity::Caller::Person(person), "library");
        let request = Request::new(self.edge.address("LIBRARY_ADDRESS"), "GET", format!("/books/{id}"))
            .header("x-madome-identity", signed)
            .header("x-tenant-id", harness::tokens::DEMO_TENANT);
        request.send().json()
    }

    /// Lists an address that is not this machine's.
    pub(crate) fn list_another_address(&self) {
        let file: PathBuf = self.edge.file().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, text.replace("127.0.0.1/32", "192.0.2.1/32")).unwrap();
        self.edge.render();
    }
}

/// A signed request, which can be sent more than once.
pub(crate) struct Delivery {
    address: SocketAddr,
    request: Request,
}

impl Delivery {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    pub(crate) fn send(&self) -> Answer {
        self.request.send()
    }

    pub(crate) fn request(&self) -> &Request {
        &self.request
    }

    pub(crate) fn try_send(&self) -> std::io::Result<Answer> {
        self.request.try_send()
    }

    /// Sends it, and reads the answer as it comes.
    pub(crate) fn stream(&self) -> Stream {
        let mut connection = Connection::open(self.address).unwrap();
        connection.write(&self.request.bytes()).unwrap();
        Stream(connection)
    }
}

/// An answer that goes on.
pub(crate) struct Stream(Connection);

impl Stream {
    /// Everything up to `end`.
    pub(crate) fn until(&mut self, end: &str) -> String {
        String::from_utf8(self.0.read_until(end.as_bytes()).unwrap()).unwrap()
    }
}

/// The headers that the edge writes for a backend.
pub(crate) fn unsigned_headers(request: Request) -> Request {
    request.header("x-madome-auth-sub", "crawler").header("x-madome-gw", "1")
}

/// The digest of `bytes`, in hexadecimal.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_secret(path: &Path, secret: &str) {
    std::fs::write(path, secret).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
