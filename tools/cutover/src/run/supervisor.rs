//! The supervisor: supervisord with a configuration file.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use tokio::process::{Child, Command};

use super::Plan;
use super::programs::{self, Program};

/// Writes the supervisor's configuration and starts it.
pub(super) fn start(plan: &Plan) -> Result<Child, String> {
    let program = plan.venv.join("bin/supervisord");
    let text = configuration(plan, &programs::all(plan)?);
    let file = file(plan);
    fs::write(&file, text).map_err(|e| format!("cannot write {}: {e}", file.display()))?;
    command(&program)
        .arg("--nodaemon")
        .arg("--configuration")
        .arg(&file)
        .stdout(std::process::Stdio::null())
        // It writes only errors of its start there; later messages go to its log.
        .stderr(std::process::Stdio::inherit())
        // In a process group of its own it receives Ctrl-C once, from this program, and not from the terminal, too.
        .process_group(0)
        .spawn()
        .map_err(|e| format!("cannot start {} ({e}); `make setup` installs it", program.display()))
}

fn file(plan: &Plan) -> PathBuf {
    plan.home.join("supervisord.conf")
}

/// Makes the running supervisor start one more program and keep it running.
pub(super) fn add(plan: &Plan, program: &Program) -> Result<(), String> {
    let (file, control) = (file(plan), plan.venv.join("bin/supervisorctl"));
    let failed = |e: std::io::Error| format!("cannot write {}: {e}", file.display());
    let mut text = fs::read_to_string(&file).map_err(failed)?;
    let header = format!("\n[program:{}]\n", program.name);
    if !text.contains(&header) {
        // First in the order, so it stops last.
        text.push_str(&section(&plan.home, 0, program));
        fs::write(&file, text).map_err(failed)?;
    }
    let output = std::process::Command::new(&control)
        .arg("--configuration")
        .arg(&file)
        .args(["update", program.name])
        .output()
        .map_err(|e| format!("cannot start {} ({e}); `make setup` installs it", control.display()))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("the supervisor cannot start {}: {}", program.name, String::from_utf8_lossy(&said).trim()))
}

/// Where the system supports it, the supervisor receives a signal when this program dies, however it dies: even after a
/// SIGKILL no process is left.
fn command(program: &Path) -> Command {
    match programs::resolve(Path::new("setpriv")) {
        Ok(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "TERM", "--"]).arg(program);
            command
        }
        Err(_) => Command::new(program),
    }
}

/// Sends SIGTERM, in the only way without unsafe code.
pub(super) fn terminate(supervisor: &Child) {
    if let Some(id) = supervisor.id() {
        let _ = std::process::Command::new("kill").arg("-TERM").arg(id.to_string()).status();
    }
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
             stdout_logfile_backups=1\n",
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
