//! All measured variants, running side by side; a variant idles while another one is measured.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::wire::Request;
use harness::{Edge, Part, Port, Process};

use crate::filters;
use crate::leases;
use crate::load::Target;
use crate::sessions::Sessions;
use crate::variants::{Form, Variant};

/// The path of all requests; its route requires a signed-in person.
pub(crate) const PATH: &str = "/users/@me";

/// The changes to try next to an unchanged edge.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    /// The edge whose configuration is changed: cold or warm.
    pub(crate) edge: Variant,
    /// The commands that change it, one for each row.
    pub(crate) commands: Vec<String>,
}

/// The running edges, and an Envoy for each other variant.
pub(crate) struct Stage {
    /// Cold and native: every other configuration is derived from it, and its key signs for all.
    cold: Edge,
    /// The other edges.
    edges: Vec<(Variant, Edge)>,
    envoys: Vec<(Variant, Process, Port)>,
    naive: Option<(Process, Port)>,
    sessions: Vec<Sessions>,
    /// The edge and the commands of `--try`.
    tried: Tried,
    directory: tempfile::TempDir,
}

/// The development edge's file with leases, and unchanged.
pub(crate) fn edge_files() -> (String, String) {
    let text = Edge::dev_text();
    (leases::with_leases(&text), text)
}

/// The development edge with `text` as its file, `backend` as every backend and its guard in `form`.
pub(crate) fn edge(text: &str, backend: SocketAddr, form: Form) -> Edge {
    let (_, original) = edge_files();
    let guard = form.guard();
    let edge = Edge::dev().variable("CUTOVER_GUARD", &guard.display().to_string());
    edge.replace(&original, text).every_backend(backend).start()
}

/// `text` of an edge file with `new` instead of the first `old`.
pub(crate) fn changed(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "envoy/edges/dev.yaml has no {old:?}; change the benchmark, too");
    text.replacen(old, new, 1)
}

/// Envoy and authorizer of a running edge.
pub(crate) fn target_of(edge: &mut Edge) -> Target {
    Target {
        address: edge.public(),
        envoy: edge.part(Part::Envoy).id(),
        authorizer: Some(edge.part(Part::Authz).id()),
    }
}

impl Stage {
    /// Starts the programs for `variants`, in front of `backend`. The edge without leases always runs: the configuration of
    /// the other variants is derived from it.
    pub(crate) fn set(backend: SocketAddr, variants: &[Variant], tried: &Tried) -> Self {
        let (with, without) = edge_files();
        let cold = edge(&without, backend, Form::Native);
        let start = |variant: Variant| {
            let (text, form) = match variant {
                Variant::Warm(form) => (&with, form),
                // The filters of a further guard are taken from an edge that has it.
                Variant::Cold(Form::Wasm) | Variant::Guard(Form::Wasm) => (&without, Form::Wasm),
                Variant::Cold(Form::Native)
                | Variant::Guard(Form::Native)
                | Variant::Bare
                | Variant::Jwt
                | Variant::JwtCached
                | Variant::LuaJwtCached
                | Variant::Naive
                | Variant::Tried(_) => return None,
            };
            let edge = edge(text, backend, form);
            // One set of sessions for all: the same key signs for every edge.
            for name in ["session.pem", "session.jwks.json"] {
                std::fs::copy(cold.home().join("keys").join(name), edge.home().join("keys").join(name))
                    .expect("the homes are writable");
            }
            Some((Self::home_of(variant), edge))
        };
        let mut edges: Vec<(Variant, Edge)> = Vec::new();
        for variant in variants {
            if edges.iter().all(|(known, _)| *known != Self::home_of(*variant)) {
                edges.extend(start(*variant));
            }
        }
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut stage = Self {
            cold,
            edges,
            envoys: Vec::new(),
            naive: None,
            sessions: Vec::new(),
            tried: tried.clone(),
            directory,
        };
        stage.settle();
        if variants.contains(&Variant::Naive) {
            let port = Port::lease();
            stage.naive = Some((start_naive(&stage.cold, &port, stage.directory.path()), port));
        }
        for variant in variants {
            if !matches!(variant, Variant::Cold(_) | Variant::Warm(_)) {
                stage.start(*variant);
            }
        }
        stage
    }

    /// Starts the other edges' authorizers again, with the key that signs for all.
    fn settle(&mut self) {
        for (_, edge) in &mut self.edges {
            edge.stop(Part::Authz, harness::Signal::Terminate);
            edge.start(Part::Authz);
            edge.wait_until_ready();
        }
    }

    /// The edge from which a guard alone is taken, or the one of `variant`.
    const fn home_of(variant: Variant) -> Variant {
        match variant {
            Variant::Guard(form) => Variant::Cold(form),
            Variant::Bare
            | Variant::Jwt
            | Variant::JwtCached
            | Variant::LuaJwtCached
            | Variant::Naive
            | Variant::Cold(_)
            | Variant::Warm(_)
            | Variant::Tried(_) => variant,
        }
    }

    /// The edge of `variant`, or the cold edge when `variant` is not an edge.
    fn edge_of(&self, variant: Variant) -> &Edge {
        let other = self.edges.iter().find(|(known, _)| *known == Self::home_of(variant));
        other.map_or(&self.cold, |(_, edge)| edge)
    }

    fn edge_of_mut(&mut self, variant: Variant) -> &mut Edge {
        let other = self.edges.iter_mut().find(|(known, _)| *known == Self::home_of(variant));
        other.map_or(&mut self.cold, |(_, edge)| edge)
    }

    /// Whether `variant` runs here: edges other than the cold one run only on request.
    pub(crate) fn has(&self, variant: Variant) -> bool {
        match variant {
            Variant::Warm(_) | Variant::Cold(Form::Wasm) => {
                self.edges.iter().any(|(known, _)| *known == variant)
            }
            Variant::Bare
            | Variant::Guard(_)
            | Variant::Jwt
            | Variant::JwtCached
            | Variant::LuaJwtCached
            | Variant::Naive
            | Variant::Cold(Form::Native)
            | Variant::Tried(_) => true,
        }
    }

    /// The directory for temporary files.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The processes of one variant.
    pub(crate) fn target(&mut self, variant: Variant) -> Target {
        match variant {
            Variant::Cold(_) | Variant::Warm(_) => target_of(self.edge_of_mut(variant)),
            Variant::Bare
            | Variant::Guard(_)
            | Variant::Jwt
            | Variant::JwtCached
            | Variant::LuaJwtCached
            | Variant::Naive
            | Variant::Tried(_) => {
                let (_, process, port) =
                    self.envoys.iter().find(|(v, _, _)| *v == variant).expect("it was started");
                let (address, envoy) = (port.address(), process.id());
                let naive = self.naive.as_ref().map(|(process, _)| process.id());
                let authorizer = match variant {
                    Variant::Naive => naive,
                    Variant::Tried(_) | Variant::Cold(_) | Variant::Warm(_) => {
                        Some(self.edge_of_mut(self.tried.edge).part(Part::Authz).id())
                    }
                    Variant::Bare
                    | Variant::Guard(_)
                    | Variant::Jwt
                    | Variant::JwtCached
                    | Variant::LuaJwtCached => None,
                };
                Target { address, envoy, authorizer }
            }
        }
    }

    /// Makes `count` sessions, unless they exist already.
    pub(crate) fn prepare_sessions(&mut self, count: usize) {
        if !self.sessions.iter().any(|sessions| sessions.count() == count) {
            let file = self.directory.path().join(format!("sessions-{count}"));
            self.sessions.push(Sessions::new(&self.cold.mint(), count, file));
        }
    }

    /// The prepared `count` sessions.
    pub(crate) fn sessions(&self, count: usize) -> &Sessions {
        self.sessions.iter().find(|sessions| sessions.count() == count).expect("they were prepared")
    }

    /// Empties the access logs: Envoy appends, so it continues at the beginning, and the disk stays free.
    pub(crate) fn empty_logs(&self) {
        let homes = std::iter::once(&self.cold).chain(self.edges.iter().map(|(_, edge)| edge));
        let mut logs: Vec<PathBuf> = homes.map(|edge| edge.home().join("logs/access.json")).collect();
        logs.extend(self.envoys.iter().map(|(variant, _, _)| self.access_log(*variant)));
        for log in logs {
            let _ = std::fs::File::options().write(true).truncate(true).open(log);
        }
    }

    fn access_log(&self, variant: Variant) -> PathBuf {
        self.directory.path().join(format!("{}.access.json", variant.name()))
    }

    fn start(&mut self, variant: Variant) {
        let (port, admin) = (Port::lease(), Port::lease());
        let place = filters::EnvoyFiles {
            public: port.number(),
            admin: admin.number(),
            naive: self.naive.as_ref().map_or(0, |(_, port)| port.number()),
            log: &self.access_log(variant),
        };
        // The authorizer of the changed edge decides for a variant of `--try`.
        let like = if let Variant::Tried(_) = variant { self.tried.edge } else { variant };
        let home = self.edge_of(like).home();
        let mut configuration = filters::configuration(home, variant, &place);
        if let Variant::Tried(number) = variant
            && let Some(command) = self.tried.commands.get(usize::from(number))
        {
            configuration = filters::changed(&configuration, command);
        }
        let file = self.directory.path().join(format!("{}.json", variant.name()));
        std::fs::write(&file, configuration.to_string()).expect("the directory is writable");
        let mut command = Command::new(harness::envoy());
        // As for the edges: one worker, so that each variant has one core.
        command.arg("-c").arg(&file);
        command.args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "error"]);
        let log = self.directory.path().join(format!("{}.log", variant.name()));
        let mut process = Process::start(&variant.name(), &mut command, &log);
        let ready = Request::new(port.address(), "GET", PATH).token(&self.cold.mint().good(0));
        let is_ready = harness::within(Duration::from_mins(1), || {
            assert!(process.is_running(), "{} ended:\n{}", variant.name(), process.log());
            ready.try_send().is_ok_and(|answer| answer.status == 200).then_some(())
        });
        assert!(is_ready.is_some(), "{} does not start:\n{}", variant.name(), process.log());
        self.envoys.push((variant, process, port));
    }
}

fn start_naive(edge: &Edge, port: &Port, directory: &Path) -> Process {
    let this: PathBuf = std::env::current_exe().expect("a program knows its own path");
    let mut command = Command::new(this);
    command.arg("--naive-authorizer").arg(port.address().to_string());
    command.arg("--keys").arg(edge.home().join("keys/session.jwks.json"));
    Process::start("naive authorizer", &mut command, &directory.join("naive.log"))
}
