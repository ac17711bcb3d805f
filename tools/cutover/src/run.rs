//! `cutover run` runs the whole edge in the foreground, under one supervisor.
//!
//! It prepares a run (keys, tenants, configuration), starts every program through supervisord, waits until all of them
//! are ready, prints where they listen, and stops all of them on a signal.

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
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::{DONE, FOUND, INVALID, exit};
use crate::home::{Home, Programs};
use crate::out;
use crate::{certs, keys, render};
use programs::{Addresses, surroundings};

/// `cutover run`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The edge file.
    #[arg(long, env = "EDGE_FILE", default_value = "envoy/edges/dev.yaml", value_name = "EDGE_FILE")]
    pub edge: PathBuf,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub programs: Programs,
    /// The Python environment with the supervisor and the server of the legacy sample.
    #[arg(long, default_value = ".tools/venv", value_name = "DIRECTORY")]
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
    addresses: Addresses,
    envoy: PathBuf,
    venv: PathBuf,
    bootstrap: PathBuf,
    paths: render::Paths,
    /// Held as long as this run lasts.
    _home_is_ours: File,
}

impl Plan {
    /// Whether clients connect with TLS.
    fn is_encrypted(&self) -> bool {
        self.edge.listeners.get("public").is_some_and(|listener| listener.tls.is_some())
    }
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
    // The legacy sample and the first people are files of the repository.
    for path in ["contracts/legacy/app.py", "services/users/seed/dev.yaml"] {
        if !Path::new(path).exists() {
            let message =
                format!("{path} does not exist here; start `cutover run` in the root of the repository");
            return Err(Failure::new(message));
        }
    }
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(|e| Failure::new(format!("{}: {e}", path.display())));
    let home = absolute(&arguments.home.home)?;
    let with_home = |name: &str| surroundings(&home, name, environment);
    let edge_file = absolute(&arguments.edge)?;
    let edge = render::load(&edge_file, &with_home).map_err(|message| Failure { code: INVALID, message })?;
    let addresses = Addresses::new(&edge, environment).map_err(Failure::new)?;
    secret_file::make_directory(&home)
        .map_err(|e| Failure::new(format!("cannot make {}: {e}", home.display())))?;
    let home_is_ours = lock(&home)?;
    ports::check(&addresses).map_err(Failure::new)?;

    for directory in ["db", "envoy", "keys", "logs", "mail", "sessions"] {
        let path = home.join(directory);
        fs::create_dir_all(&path)
            .map_err(|e| Failure::new(format!("cannot make {}: {e}", path.display())))?;
    }
    keys::make_missing(&home.join("keys")).map_err(|e| Failure::new(e.to_string()))?;
    if let Some(listed) = edge.tenants.as_ref().and_then(|tenants| tenants.file()) {
        first_tenants(&edge_file, listed)?;
    }
    first_certificates(&edge, &home)?;
    let paths = render::paths(&home.join("envoy"), &arguments.programs.guard, &home.join("logs/access.json"))
        .map_err(|e| Failure::new(e.to_string()))?;
    let envoy = programs::resolve(&arguments.programs.envoy)
        .map_err(|e| Failure::new(render::missing_envoy(&arguments.programs.envoy, &e)))?;
    render::check_envoy(&envoy).map_err(Failure::new)?;
    let rendered = render::store(&edge, &paths, &|bootstrap| render::validated(&envoy, bootstrap))
        .map_err(|e| Failure::new(e.to_string()))?;
    Ok(Plan {
        home,
        edge_file,
        edge,
        addresses,
        envoy,
        venv: absolute(&arguments.venv)?,
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
        let missing = [&tls.certificate, &tls.key].into_iter().find(|path| !path.exists());
        let Some(missing) = missing else { continue };
        let own =
            tls.certificate == directory.join(certs::CERTIFICATE) && tls.key == directory.join(certs::KEY);
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

/// Copies the tenants for a first run: the file beside the edge file (`dev.tenants.yaml`), or that of the development
/// edge, to whose tenants the first people of a run belong. Later runs keep the present directory.
fn first_tenants(edge_file: &Path, directory: &Path) -> Result<(), Failure> {
    if directory.exists() {
        return Ok(());
    }
    let own = edge_file.with_extension("tenants.yaml");
    let shipped = if own.exists() { own } else { edge_file.with_file_name("dev.tenants.yaml") };
    fs::copy(&shipped, directory).map(|_| ()).map_err(|e| {
        Failure::new(format!(
            "there is no tenant directory at {} and no initial one at {} ({e}); write one",
            directory.display(),
            shipped.display()
        ))
    })
}

async fn supervise(plan: &Arc<Plan>, ready_within: Duration) -> Result<(), Failure> {
    let mut stop = Stop::new().map_err(|e| Failure::new(format!("cannot listen for signals: {e}")))?;
    let mut supervisor = supervisor::start(plan).map_err(Failure::new)?;
    let outcome = tokio::select! {
        ready = readiness::wait(plan, ready_within) => ready,
        status = supervisor.wait() => Err(format!("the supervisor ended before the edge was ready ({})", shown(&status))),
        () = stop.requested() => { end(&mut supervisor).await; return Ok(()); }
    };
    if let Err(message) = outcome {
        end(&mut supervisor).await;
        return Err(Failure::new(message));
    }
    out::line!("{}", welcome::text(plan));
    let _watching = watching::start(plan);
    let rotating = tokio::spawn(rotation::run(plan.paths.access_log.clone(), plan.edge.admin));
    let ended = tokio::select! {
        status = supervisor.wait() => Err(Failure::new(format!("the supervisor ended unexpectedly ({})", shown(&status)))),
        () = stop.requested() => Ok(()),
    };
    rotating.abort();
    end(&mut supervisor).await;
    ended
}

fn shown(status: &std::io::Result<std::process::ExitStatus>) -> String {
    status.as_ref().map_or_else(ToString::to_string, ToString::to_string)
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

/// How long the supervisor may take to stop everything: it stops the programs one after the other, and each of the five
/// has ten seconds.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// Stops the supervisor and all programs that it started.
async fn end(supervisor: &mut Child) {
    supervisor::terminate(supervisor);
    if tokio::time::timeout(STOP_WITHIN, supervisor.wait()).await.is_err() {
        let _ = supervisor.kill().await;
    }
}
