//! `cutover run` runs the whole edge in the foreground, under one supervisor.
//!
//! It prepares a run (keys, tenants, configuration), starts Envoy, the authorizer, the comparator when a route has a shadow,
//! and what the file beside the edge file names ([`beside`]), waits until all of them are ready, prints where they listen, and
//! stops all of them on a signal. It needs no repository: a release has all of it in one directory.

mod beside;
mod own;
mod part;
mod ports;
mod programs;
mod readiness;
mod rotation;
mod supervisor;
mod watching;
mod welcome;

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use edge_config::{Edge, Environment};
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{DONE, FOUND, INVALID, exit};
use crate::home::{DEFAULT_VENV, Home, Programs, usual_edge_file};
use crate::{certs, keys, lint, out, render};
use beside::{Beside, Values};
use programs::{Addresses, surroundings};

/// `cutover run`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The edge file.
    #[arg(env = "EDGE_FILE", default_value = usual_edge_file(), value_name = "EDGE_FILE")]
    pub file: PathBuf,
    /// The edge file, as an option.
    #[arg(long, value_name = "EDGE_FILE", hide = true)]
    pub edge: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub programs: Programs,
    /// A Python environment with Envoy and supervisord, as `make setup` makes it. Without supervisord, this program keeps the
    /// others running itself.
    #[arg(long, default_value = DEFAULT_VENV, value_name = "DIRECTORY")]
    pub venv: PathBuf,
    /// The time within which all parts must be ready.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub ready_within: u64,
}

/// The settings of a run, with absolute paths.
struct Plan {
    home: PathBuf,
    edge_file: PathBuf,
    edge: Edge,
    beside: Beside,
    addresses: Addresses,
    /// What the variables in the file beside the edge file stand for.
    values: Values,
    envoy: PathBuf,
    venv: PathBuf,
    bootstrap: PathBuf,
    paths: render::Paths,
    /// Held as long as this run lasts.
    _home_is_ours: File,
}

/// Why a run did not start. The message is for people and names the fix.
struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self { code: FOUND, message: message.into() }
    }
}

/// Starts the edge and stays until Ctrl-C.
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    let outcome = prepare(arguments, environment).and_then(|plan| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Failure::new(format!("cannot start: {e}")))?;
        runtime.block_on(supervise(&Arc::new(plan), Duration::from_secs(arguments.ready_within)))
    });
    match outcome {
        Ok(()) => exit(DONE),
        Err(failure) => {
            out::error!("{}", failure.message);
            exit(failure.code)
        }
    }
}

/// Does everything before the first program starts, so that most errors are reported here.
fn prepare(arguments: &Arguments, environment: Environment<'_>) -> Result<Plan, Failure> {
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(|e| Failure::new(format!("{}: {e}", path.display())));
    let home = absolute(&arguments.home.home)?;
    let edge_file = absolute(arguments.edge.as_ref().unwrap_or(&arguments.file))?;
    let beside = Beside::of(&edge_file).map_err(Failure::new)?;
    let with_home = |name: &str| surroundings(&home, &beside, name, environment);
    let edge = render::load(&edge_file, &with_home).map_err(|message| Failure { code: INVALID, message })?;
    let addresses = Addresses::new(&edge, &beside, environment).map_err(Failure::new)?;
    secret_file::make_directory(&home)
        .map_err(|e| Failure::new(format!("cannot make {}: {e}", home.display())))?;
    let home_is_ours = lock(&home)?;
    ports::check(&addresses).map_err(Failure::new)?;

    let own = ["envoy", "keys", "logs", "sessions"].map(PathBuf::from);
    for directory in own.iter().chain(&beside.directories) {
        let path = home.join(directory);
        fs::create_dir_all(&path)
            .map_err(|e| Failure::new(format!("cannot make {}: {e}", path.display())))?;
    }
    keys::make_missing(&home.join("keys")).map_err(|e| Failure::new(e.to_string()))?;
    if let Some(listed) = edge.tenants.as_ref().and_then(|tenants| tenants.file()) {
        first_tenants(&beside.first_tenants(&edge_file), listed)?;
    }
    first_certificates(&edge, &home)?;
    named_files(&edge, &edge_file)?;
    let guard = arguments.programs.guard();
    let paths = render::paths(&home.join("envoy"), &guard, &home.join("logs/access.json"))
        .map_err(|e| Failure::new(e.to_string()))?;
    let venv = absolute(&arguments.venv)?;
    let envoy = arguments.programs.envoy(&venv);
    let envoy = part::resolve(&envoy).map_err(|e| Failure::new(render::missing_envoy(&envoy, &e)))?;
    render::check_envoy(&envoy).map_err(Failure::new)?;
    let rendered = render::store(&edge, &paths, &|bootstrap| render::validated(&envoy, bootstrap))
        .map_err(|e| Failure::new(e.to_string()))?;
    let named = [("CUTOVER_HOME", home.as_path()), ("EDGE_FILE", &edge_file), ("VENV", &venv)];
    let values = programs::values(&edge, &addresses, named);
    Ok(Plan {
        home,
        edge_file,
        edge,
        beside,
        addresses,
        values,
        envoy,
        venv,
        bootstrap: rendered.bootstrap,
        paths,
        _home_is_ours: home_is_ours,
    })
}

/// Allows one run for each home: a second one would replace the configuration of the first one's Envoy.
fn lock(home: &Path) -> Result<File, Failure> {
    let path = home.join("run.lock");
    let failed = |e: std::io::Error| Failure::new(format!("cannot use {}: {e}", path.display()));
    fs::create_dir_all(home).map_err(failed)?;
    let file = File::options().create(true).append(true).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::new(format!(
            "another `cutover run` uses {}; stop it, or set CUTOVER_HOME to another directory (and change the ports)",
            home.display()
        ))),
        Err(TryLockError::Error(e)) => Err(failed(e)),
    }
}

/// Makes a development pair in a first run, for a listener that names the home's own pair (`cutover certs`). The owner of
/// the edge provides any other pair.
fn first_certificates(edge: &Edge, home: &Path) -> Result<(), Failure> {
    let directory = home.join("certs");
    for (name, listener) in &edge.listeners {
        let Some(tls) = &listener.tls else { continue };
        let lacking = tls.certificates.iter().find_map(|files| {
            let missing = [&files.certificate, &files.key].into_iter().find(|path| !path.exists())?;
            Some((files, missing))
        });
        let Some((files, missing)) = lacking else { continue };
        let own = files.certificate == directory.join(certs::CERTIFICATE)
            && files.key == directory.join(certs::KEY);
        if !own {
            return Err(Failure::new(format!(
                "listener `{name}` needs {}, which does not exist; put certificate and key there, or name \
                 ${{CUTOVER_HOME}}/certs/{} and ${{CUTOVER_HOME}}/certs/{}, a pair that `cutover run` makes",
                missing.display(),
                certs::CERTIFICATE,
                certs::KEY
            )));
        }
        let names = edge.hosts.values().flat_map(|host| &host.names).filter(|name| *name != "*").cloned();
        let mut names: Vec<String> = names.chain(["localhost".to_owned()]).collect();
        names.sort();
        names.dedup();
        certs::make(&directory, &names, false).map_err(|e| Failure::new(e.to_string()))?;
    }
    Ok(())
}

/// Copies the tenants for a first run from `initial`. Later runs keep the present directory.
fn first_tenants(initial: &Path, directory: &Path) -> Result<(), Failure> {
    if directory.exists() {
        return Ok(());
    }
    fs::copy(initial, directory).map(|_| ()).map_err(|e| {
        Failure::new(format!(
            "there is no tenant directory at {} and no initial one at {} ({e}); write one: `tenants: [{{ id: …, status: active }}]`",
            directory.display(),
            initial.display()
        ))
    })
}

/// Reports files that the edge file names and that are missing or unusable: the authorizer would wait for them.
fn named_files(edge: &Edge, edge_file: &Path) -> Result<(), Failure> {
    let text = fs::read_to_string(edge_file).unwrap_or_default();
    let found = lint::named_files(edge, &text);
    if found.is_empty() {
        return Ok(());
    }
    let shown = found.iter().map(|fault| {
        format!("{}:{}: {}\n  help | {}", edge_file.display(), fault.place.line, fault.problem, fault.mend)
    });
    Err(Failure::new(shown.collect::<Vec<_>>().join("\n")))
}

async fn supervise(plan: &Arc<Plan>, ready_within: Duration) -> Result<(), Failure> {
    let mut stop = Stop::new().map_err(|e| Failure::new(format!("cannot listen for signals: {e}")))?;
    let mut supervisor = supervisor::start(plan).map_err(Failure::new)?;
    let outcome = tokio::select! {
        ready = readiness::wait(plan, ready_within) => ready,
        how = supervisor.ended() => Err(format!("the supervisor ended before the edge was ready ({how})")),
        () = stop.requested() => { supervisor.stop().await; return Ok(()); }
    };
    let welcome = match outcome.and_then(|()| welcome::text(plan)) {
        Ok(welcome) => welcome,
        Err(message) => {
            supervisor.stop().await;
            return Err(Failure::new(message));
        }
    };
    out::line!("{welcome}");
    let _watching = watching::start(plan, supervisor.adder(plan));
    let rotating = tokio::spawn(rotation::run(plan.paths.access_log.clone(), plan.edge.admin));
    let ended = tokio::select! {
        how = supervisor.ended() => Err(Failure::new(format!("the supervisor ended unexpectedly ({how})"))),
        () = stop.requested() => Ok(()),
    };
    rotating.abort();
    supervisor.stop().await;
    ended
}

/// The signals that stop a run.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Stop {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn requested(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
