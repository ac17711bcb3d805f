//! The supervisor of a run: supervisord where it is installed (`make setup` does), otherwise one of this program's own.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Child;
use tokio::sync::{mpsc, oneshot};

use super::Plan;
use super::own::{Later, Own};
use super::part::{self, Program};
use super::programs;

/// How long supervisord may take to stop everything: it stops the programs one after the other, and each of the five has ten
/// seconds.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// What keeps the programs running.
pub(super) enum Supervisor {
    /// supervisord, a process.
    Daemon(Child),
    /// This program itself.
    Own(Box<Own>),
}

/// Starts all programs of `plan`.
pub(super) fn start(plan: &Plan) -> Result<Supervisor, String> {
    let programs = programs::all(plan)?;
    if !has_daemon(&plan.venv) {
        return Own::start(&plan.home, programs).map(|own| Supervisor::Own(Box::new(own)));
    }
    let program = plan.venv.join("bin/supervisord");
    let text = configuration(plan, &programs);
    let file = file(&plan.home);
    fs::write(&file, text).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    part::ending_with_this(&program)
        .arg("--nodaemon")
        .arg("--configuration")
        .arg(&file)
        .stdout(std::process::Stdio::null())
        // It writes only errors of its start there; later messages go to its log.
        .stderr(std::process::Stdio::inherit())
        // In a process group of its own it receives Ctrl-C once, from this program, and not from the terminal, too.
        .process_group(0)
        .spawn()
        .map(Supervisor::Daemon)
        .map_err(|e| format!("cannot start {} ({e}); `make setup` installs it", program.display()))
}

/// Whether supervisord is installed there.
pub(super) fn has_daemon(venv: &Path) -> bool {
    ["supervisord", "supervisorctl"].iter().all(|name| venv.join("bin").join(name).exists())
}

impl Supervisor {
    /// Keeps the programs running. Returns when the supervisor itself ended, and says how.
    pub(super) async fn ended(&mut self) -> String {
        match self {
            Self::Daemon(child) => {
                child.wait().await.map_or_else(|e| e.to_string(), |status| status.to_string())
            }
            Self::Own(own) => {
                own.serve().await;
                "no program can be added any more".to_owned()
            }
        }
    }

    /// Stops all programs.
    pub(super) async fn stop(&mut self) {
        match self {
            Self::Own(own) => own.stop().await,
            Self::Daemon(child) => {
                if let Some(id) = child.id() {
                    let _ = std::process::Command::new("kill").arg("-TERM").arg(id.to_string()).status();
                }
                if tokio::time::timeout(STOP_WITHIN, child.wait()).await.is_err() {
                    let _ = child.kill().await;
                }
            }
        }
    }

    /// The way to start further programs from another thread.
    pub(super) fn adder(&self, plan: &Plan) -> Adder {
        match self {
            Self::Daemon(_) => Adder::Daemon { home: plan.home.clone(), venv: plan.venv.clone() },
            Self::Own(own) => Adder::Own(own.sender()),
        }
    }
}

/// Starts further programs. Not for use in the thread of the supervisor.
pub(super) enum Adder {
    /// Through supervisorctl.
    Daemon { home: PathBuf, venv: PathBuf },
    /// Through this program's own supervisor.
    Own(mpsc::Sender<Later>),
}

impl Adder {
    /// Makes the supervisor start one more program and keep it running.
    pub(super) fn add(&self, program: Program) -> Result<(), String> {
        match self {
            Self::Daemon { home, venv } => add(home, venv, &program),
            Self::Own(sender) => {
                let (started, outcome) = oneshot::channel();
                let ended = || "the run is ending".to_owned();
                sender.blocking_send(Later { program, started }).map_err(|_| ended())?;
                outcome.blocking_recv().map_err(|_| ended())?
            }
        }
    }
}

fn file(home: &Path) -> PathBuf {
    home.join("supervisord.conf")
}

fn add(home: &Path, venv: &Path, program: &Program) -> Result<(), String> {
    let (file, control) = (file(home), venv.join("bin/supervisorctl"));
    let failed = |e: std::io::Error| format!("cannot write {}: {e}", file.display());
    let mut text = fs::read_to_string(&file).map_err(failed)?;
    let header = format!("\n[program:{}]\n", program.name);
    if !text.contains(&header) {
        // First in the order, so it stops last.
        text.push_str(&section(home, 0, program));
        fs::write(&file, text).map_err(failed)?;
    }
    let output = std::process::Command::new(&control)
        .arg("--configuration")
        .arg(&file)
        .args(["update", &program.name])
        .output()
        .map_err(|e| format!("cannot start {} ({e}); `make setup` installs it", control.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("the supervisor cannot start {}: {}", program.name, String::from_utf8_lossy(&said).trim()))
}

fn configuration(plan: &Plan, programs: &[Program]) -> String {
    let home = escaped(&plan.home.display().to_string());
    let mut text = format!(
        "; Written by `cutover run` at every start.\n\
         [supervisord]\n\
         logfile={home}/logs/supervisord.log\n\
         logfile_maxbytes=5MB\n\
         pidfile={home}/supervisord.pid\n\
         nodaemon=true\n\
         umask=077\n\
         \n\
         [unix_http_server]\n\
         file={home}/supervisor.sock\n\
         chmod=0700\n\
         \n\
         [rpcinterface:supervisor]\n\
         supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n\
         \n\
         [supervisorctl]\n\
         serverurl=unix://{home}/supervisor.sock\n"
    );
    for (priority, program) in programs.iter().enumerate() {
        text.push_str(&section(&plan.home, priority + 1, program));
    }
    text
}

/// The section of one program. A program with a higher priority starts later and stops earlier: Envoy closes its
/// connections to clients before the programs that it needs stop.
fn section(home: &Path, priority: usize, program: &Program) -> String {
    let home = escaped(&home.display().to_string());
    let mut text = String::new();
    let environment: Vec<_> =
        program.environment.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    let command: Vec<_> = program.command.iter().map(|part| quoted(part)).collect();
    let directory = program.directory.as_ref();
    let directory = directory.map(|path| format!("directory={}\n", escaped(&path.display().to_string())));
    let directory = directory.unwrap_or_default();
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "\n[program:{}]\n\
             command={}\n\
             environment={}\n\
             priority={}\n\
             autostart=true\n\
             autorestart=true\n\
             startsecs=1\n\
             startretries=5\n\
             stopsignal=TERM\n\
             stopwaitsecs=10\n\
             stopasgroup=true\n\
             killasgroup=true\n\
             redirect_stderr=true\n\
             stdout_logfile={home}/logs/{}.log\n\
             stdout_logfile_maxbytes=20MB\n\
             stdout_logfile_backups=1\n\
             {directory}",
        program.name,
        command.join(" "),
        environment.join(","),
        priority,
        program.name,
    );
    text
}

/// supervisord expands `%(…)s` in its file.
fn escaped(text: &str) -> String {
    text.replace('%', "%%")
}

fn quoted(text: &str) -> String {
    format!("'{}'", escaped(text).replace('\'', "'\\''"))
}
