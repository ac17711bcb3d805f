//! A whole edge for one test.

mod builder;
mod programs;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::parts;
use crate::ports::Port;
use crate::process::{Process, Signal};
use crate::tls::Tunnel;
use crate::tokens::Mint;
use crate::wire::Request;
use crate::{eventually_some, pause, within};

pub use builder::EdgeBuilder;

/// The parts of an edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The legacy sample.
    Legacy,
    /// The users service.
    Users,
    /// The auth service.
    Auth,
    /// The library service, of an edge whose file names it.
    Library,
    /// The image service with made-up pictures, of an edge whose file names it.
    Image,
    /// The service of pages, files and the OpenAPI document, of an edge whose file names it.
    Web,
    /// The authorizer.
    Authz,
    /// The authorizer's other replica, of an edge with two.
    SecondAuthz,
    /// Envoy with the guard.
    Envoy,
}

const ALL: [Part; 9] = [
    Part::Legacy,
    Part::Users,
    Part::Auth,
    Part::Library,
    Part::Image,
    Part::Web,
    Part::Authz,
    Part::SecondAuthz,
    Part::Envoy,
];

/// How long a part may take to become ready. Machines that run tests are busy.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A running edge. Everything ends when it is dropped.
pub struct Edge {
    // Dropped first: the parts must end before their directory is removed.
    processes: BTreeMap<Part, Process>,
    environment: Vec<(String, String)>,
    /// The number of Envoys before the present one; absent when no other Envoy can take over.
    epoch: Option<u32>,
    workers: u8,
    drain_seconds: u32,
    file: PathBuf,
    addresses: BTreeMap<&'static str, SocketAddr>,
    _ports: Vec<Port>,
    /// In front of a listener with TLS, so that tests can still send plain bytes.
    tunnel: Option<Tunnel>,
    home: TempDir,
}

impl Edge {
    /// The development edge with three services less: books, pictures, pages and the OpenAPI document are still at the
    /// legacy backend, and so is the activity of people, which has books in it. Most tests need some backend behind
    /// `/books`, the file host and the web host, and neither library, image nor web service ([`Edge::shipped`] has all of
    /// them). It does not accept sessions of the legacy backend: a test that is about them describes them itself.
    #[must_use]
    pub fn dev() -> EdgeBuilder {
        Self::shipped("dev").more_at_legacy()
    }

    /// The file of [`Edge::dev`].
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn dev_text() -> String {
        let file = parts::repository().join("envoy/edges/dev.yaml");
        builder::with_more_at_legacy(&std::fs::read_to_string(file).expect("the edge file is readable"))
    }

    /// An edge of `envoy/edges`, by its name. One with a certificate gets a development pair, and
    /// [`Edge::public`] is a tunnel to it.
    #[must_use]
    pub fn shipped(name: &str) -> EdgeBuilder {
        EdgeBuilder::of(parts::repository().join(format!("envoy/edges/{name}.yaml")))
    }

    /// Its `CUTOVER_HOME`.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Its edge file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// An address by its variable's name.
    ///
    /// # Panics
    /// When the variable does not exist.
    #[must_use]
    pub fn address(&self, variable: &str) -> SocketAddr {
        *self.addresses.get(variable).unwrap_or_else(|| panic!("{variable} is not an address of an edge"))
    }

    /// The address for clients.
    #[must_use]
    pub fn public(&self) -> SocketAddr {
        self.tunnel.as_ref().map_or_else(|| self.address("EDGE_ADDRESS"), Tunnel::address)
    }

    /// A request to the public listener.
    #[must_use]
    pub fn request(&self, method: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Request {
        Request::new(self.public(), method, target)
    }

    /// A GET to the public listener.
    #[must_use]
    pub fn get(&self, target: impl AsRef<[u8]>) -> Request {
        self.request("GET", target)
    }

    /// A GET to the public listener with a good token of role 0.
    #[must_use]
    pub fn signed_in(&self, target: impl AsRef<[u8]>) -> Request {
        self.get(target).token(&self.mint().good(0))
    }

    /// Mints tokens that this edge accepts.
    #[must_use]
    pub fn mint(&self) -> Mint {
        Mint::of(self.home())
    }

    /// A running part.
    ///
    /// # Panics
    /// When it was never started.
    pub fn part(&mut self, part: Part) -> &mut Process {
        self.processes.get_mut(&part).unwrap_or_else(|| panic!("{part:?} is not part of this edge"))
    }

    /// Ends a part and waits for its end.
    pub fn stop(&mut self, part: Part, signal: Signal) {
        let process = self.part(part);
        process.signal(signal);
        process.wait(Duration::from_secs(20));
    }

    /// Starts a part (again).
    pub fn start(&mut self, part: Part) {
        let (name, mut command) = self.command(part);
        command.current_dir(parts::repository());
        let log = self.home().join("logs").join(format!("{name}.log"));
        self.processes.insert(part, Process::start(name, &mut command, &log));
    }

    /// Starts another Envoy that takes over the sockets of the present one. Returns the present one, which ends by itself
    /// once its connections are done.
    ///
    /// # Panics
    /// When this edge is not [`EdgeBuilder::restartable`].
    pub fn hand_over(&mut self) -> Process {
        let epoch = self.epoch.as_mut().expect("the edge is restartable");
        *epoch += 1;
        let old = self.processes.remove(&Part::Envoy).expect("Envoy is part of this edge");
        self.start(Part::Envoy);
        old
    }

    /// The `cutover` program with this edge's addresses, home, guard and Envoy in its environment, and no arguments
    /// yet. It runs at the root of the repository unless the caller changes that.
    #[must_use]
    pub fn cutover_program(&self) -> Command {
        let mut command = Command::new(parts::program("cutover"));
        command.current_dir(parts::repository());
        command.env("CUTOVER_GUARD", parts::guard()).env("ENVOY", parts::envoy());
        self.surround(&mut command);
        command
    }

    /// Runs the `cutover` program for this edge.
    ///
    /// # Panics
    /// When it fails.
    pub fn cutover(&self, arguments: &[&str]) -> String {
        let output = self.cutover_program().args(arguments).output().expect("cutover can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cutover {arguments:?} failed: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// The output of `cutover explain` about this edge, as JSON.
    ///
    /// # Panics
    /// When it fails, or prints no JSON.
    #[must_use]
    pub fn explain(&self, arguments: &[&str]) -> serde_json::Value {
        let file = self.file.display().to_string();
        let all = [&["explain", file.as_str()], arguments, &["--json"]].concat();
        serde_json::from_str(&self.cutover(&all)).expect("it prints JSON")
    }

    /// Renders the edge file (again).
    pub fn render(&self) {
        let file = self.file.display().to_string();
        self.cutover(&["render", &file]);
    }

    /// Starts `cutover render --watch` for this edge. It ends when it is dropped.
    #[must_use]
    pub fn watch(&self) -> Process {
        let mut command = self.cutover_program();
        command.arg("render").arg(&self.file).arg("--watch");
        let authorizers =
            [(Part::Authz, "AUTHZ_ADMIN_ADDRESS"), (Part::SecondAuthz, "AUTHZ_2_ADMIN_ADDRESS")];
        for (_, name) in authorizers.iter().filter(|(part, _)| self.processes.contains_key(part)) {
            command.arg("--authorizer-admin").arg(self.address(name).to_string());
        }
        Process::start("watch", &mut command, &self.home().join("logs/watch.log"))
    }

    /// Waits until every part that runs is ready.
    ///
    /// # Panics
    /// When one is not ready in time.
    pub fn wait_until_ready(&mut self) {
        let has = |edge: &Self, part| edge.processes.contains_key(&part);
        let probes = [
            (Part::Legacy, "LEGACY_ADDRESS", "/"),
            (Part::Users, "USERS_ADDRESS", "/readyz"),
            (Part::Auth, "AUTH_ADDRESS", "/readyz"),
            (Part::Library, "LIBRARY_ADDRESS", "/readyz"),
            (Part::Image, "IMAGE_ADDRESS", "/readyz"),
            (Part::Web, "WEB_ADDRESS", "/readyz"),
            (Part::Authz, "AUTHZ_ADMIN_ADDRESS", "/readyz"),
            (Part::SecondAuthz, "AUTHZ_2_ADMIN_ADDRESS", "/readyz"),
            (Part::Envoy, "ENVOY_ADMIN_ADDRESS", "/ready"),
        ];
        for (part, variable, path) in probes {
            if has(self, part) {
                let request = Request::new(self.address(variable), "GET", path);
                // The legacy sample has no probes: any answer counts.
                let enough = |status: u16| status == 200 || part == Part::Legacy;
                self.until(part, || request.try_send().is_ok_and(|answer| enough(answer.status)));
            }
        }
        if has(self, Part::Envoy) && has(self, Part::Authz) {
            // Envoy must reach the authorizer: 401 is a decision, 503 means that there was none.
            let request = self.get("/users/@me");
            self.until(Part::Envoy, || request.try_send().is_ok_and(|answer| answer.status == 401));
        }
    }

    fn until(&mut self, part: Part, ready: impl Fn() -> bool) {
        let is_ready = within(READY_WITHIN, || {
            assert!(self.part(part).is_running(), "{part:?} ended while it was starting");
            ready().then_some(())
        });
        assert!(is_ready.is_some(), "{part:?} is not ready after {READY_WITHIN:?}");
    }

    /// The value of an Envoy counter or gauge.
    #[must_use]
    pub fn envoy_stat(&self, name: &str) -> Option<u64> {
        let answer = Request::new(self.address("ENVOY_ADMIN_ADDRESS"), "GET", "/stats").send();
        let text = answer.text();
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")?.parse().ok())
    }

    /// The number of leased requests. The guard reports five times a second, so this waits for the next report.
    #[must_use]
    pub fn leased(&self) -> u64 {
        pause(Duration::from_millis(300), "the guard reports five times a second");
        self.envoy_stat("wasmcustom.cutover_guard_leased").unwrap_or_default()
    }

    /// The access log so far, one JSON object for each request. Waits until Envoy has written at least `count`.
    ///
    /// # Panics
    /// When they do not come.
    #[must_use]
    pub fn access_log(&self, count: usize) -> Vec<serde_json::Value> {
        let path = self.home().join("logs/access.json");
        eventually_some(&format!("the access log has {count} lines"), || {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<_> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
            (lines.len() >= count).then_some(lines)
        })
    }

    /// The newest line of the access log with this path and status. Waits until Envoy has written it.
    ///
    /// # Panics
    /// When it does not come.
    #[must_use]
    pub fn logged(&self, path: &str, status: u64) -> serde_json::Value {
        eventually_some(&format!("{path} with {status} is in the access log"), || {
            let lines = self.access_log(1);
            lines.into_iter().rev().find(|line| line["path"] == path && line["status"] == status)
        })
    }

    /// The login code in the newest mail to `address`.
    ///
    /// # Panics
    /// When there is no mail.
    #[must_use]
    pub fn login_code(&self, address: &str) -> String {
        let directory = self.home().join("mail").join(address);
        let mut mails: Vec<_> = std::fs::read_dir(&directory)
            .unwrap_or_else(|e| panic!("no mail at {}: {e}", directory.display()))
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .collect();
        mails.sort();
        let newest = mails.pop().expect("there is a mail");
        let mail: serde_json::Value =
            serde_json::from_slice(&std::fs::read(newest).expect("the mail is readable"))
                .expect("the mail is JSON");
        mail["variables"]["authcode"].as_str().expect("the mail has a code").to_owned()
    }
}
