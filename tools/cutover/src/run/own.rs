//! A supervisor of this program's own, for machines without supervisord: it starts programs, starts them again when they end,
//! and stops them, each after the ones that need it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Child;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::part::{self, Program};
use crate::out;

/// How long a program may take to end after SIGTERM. The longest of them drains open requests for as long as one may take.
const STOP_WITHIN: Duration = Duration::from_secs(10);

/// The first pause before a program is started again.
const PAUSE: Duration = Duration::from_millis(500);
/// The longest pause: a program that cannot start costs next to nothing then, and is up soon after its cause is mended.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A program that ran for this long has started well, and its next pause is the first one again.
const STARTED: Duration = Duration::from_secs(10);

/// A log longer than this is put aside at the next start.
const LONGEST_LOG: u64 = 20 * 1_024 * 1_024;

/// Programs to start later wait here; there is one, the comparator.
const WAITING: usize = 8;

/// The programs that run.
pub(super) struct Own {
    logs: PathBuf,
    /// In the order of their start.
    running: Vec<Running>,
    later: mpsc::Receiver<Later>,
    sender: mpsc::Sender<Later>,
}

/// A program to start now, and where the outcome goes.
pub(super) struct Later {
    pub(super) program: Program,
    pub(super) started: oneshot::Sender<Result<(), String>>,
}

struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Own {
    /// Starts `programs` in their order.
    pub(super) fn start(home: &Path, programs: Vec<Program>) -> Result<Self, String> {
        let (sender, later) = mpsc::channel(WAITING);
        let mut own = Self { logs: home.join("logs"), running: Vec::new(), later, sender };
        for program in programs {
            let running = own.run(program)?;
            own.running.push(running);
        }
        Ok(own)
    }

    /// Where further programs are handed in.
    pub(super) fn sender(&self) -> mpsc::Sender<Later> {
        self.sender.clone()
    }

    /// Starts the programs that are handed in, until the future is dropped.
    pub(super) async fn serve(&mut self) {
        while let Some(Later { program, started }) = self.later.recv().await {
            let outcome = self.run(program);
            let said = match outcome {
                // First in the order, so it stops last.
                Ok(running) => {
                    self.running.insert(0, running);
                    Ok(())
                }
                Err(error) => Err(error),
            };
            // A caller that left needs no answer.
            let _ = started.send(said);
        }
    }

    /// Starts a program and keeps it running. An error is that of its first start.
    fn run(&self, program: Program) -> Result<Running, String> {
        let log = self.logs.join(format!("{}.log", program.name));
        let first =
            spawn(&program, &log).map_err(|error| format!("cannot start {}: {error}", program.name))?;
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(keep(program, log, first, stopped));
        Ok(Running { stop, task })
    }

    /// Stops all programs, the last one first.
    pub(super) async fn stop(&mut self) {
        while let Some(Running { stop, task }) = self.running.pop() {
            // A task that ended has no program left.
            let _ = stop.send(true);
            let _ = task.await;
        }
    }
}

/// Waits for the program and starts it again, until it is to stop.
async fn keep(program: Program, log: PathBuf, first: Child, mut stopped: watch::Receiver<bool>) {
    let (mut child, mut pause) = (Some(first), PAUSE);
    loop {
        let since = Instant::now();
        if let Some(mut running) = child.take() {
            tokio::select! {
                status = running.wait() => {
                    let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                    out::error!("{} ended ({status}) and is started again; its log is {}", program.name, log.display());
                }
                () = asked_to_stop(&mut stopped) => {
                    end(&mut running).await;
                    return;
                }
            }
        }
        pause = if since.elapsed() >= STARTED { PAUSE } else { LONGEST_PAUSE.min(pause * 2) };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = asked_to_stop(&mut stopped) => return,
        }
        match spawn(&program, &log) {
            Ok(again) => child = Some(again),
            Err(error) => out::error!("cannot start {}: {error}", program.name),
        }
    }
}

/// Waits until the program is to stop. A sender that is gone means the same.
async fn asked_to_stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

fn spawn(program: &Program, log: &Path) -> io::Result<Child> {
    if fs::metadata(log).is_ok_and(|data| data.len() > LONGEST_LOG) {
        fs::rename(log, log.with_extension("log.1"))?;
    }
    let log = File::options().create(true).append(true).open(log)?;
    let Some((name, arguments)) = program.command.split_first() else {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    };
    let mut command = part::ending_with_this(Path::new(name));
    command.args(arguments).envs(program.environment.iter().map(|(name, value)| (name, value)));
    if let Some(directory) = &program.directory {
        command.current_dir(directory);
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        // In a process group of its own it does not receive Ctrl-C from the terminal, and its children end with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Ends a program with SIGTERM, and after a while with SIGKILL.
async fn end(child: &mut Child) {
    signal(child, Signal::TERM);
    if tokio::time::timeout(STOP_WITHIN, child.wait()).await.is_err() {
        signal(child, Signal::KILL);
        let _ = child.wait().await;
    }
}

/// Sends `signal` to the program and its children, which are its process group. One that has ended gets none.
fn signal(child: &Child, signal: Signal) {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(group) = group {
        let _ = kill_process_group(group, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(name: &str, script: &str, home: &Path) -> Program {
        Program {
            name: name.to_owned(),
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            environment: vec![("HERE".to_owned(), home.display().to_string())],
            directory: Some(home.to_owned()),
        }
    }

    async fn holds(what: &str, path: &Path, wanted: impl Fn(&str) -> bool) {
        let text = || fs::read_to_string(path).unwrap_or_default();
        harness::eventually_async(what, async || wanted(&text())).await;
    }

    #[tokio::test]
    async fn a_program_that_ends_is_started_again_and_the_last_one_is_stopped_first() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("logs")).unwrap();
        let waits = |name: &str| {
            format!(
                "trap 'echo {name} >> $HERE/stopped; exit 0' TERM; echo up >> $HERE/{name}; while :; do sleep 0.1; done"
            )
        };
        let programs = vec![
            shell("first", &waits("first"), home.path()),
            shell("ends", "echo once >> runs; echo said", home.path()),
            shell("last", &waits("last"), home.path()),
        ];
        let mut own = Own::start(home.path(), programs).unwrap();
        for name in ["first", "last"] {
            holds("it is up", &home.path().join(name), |text| text == "up\n").await;
        }
        holds("it was started again", &home.path().join("runs"), |text| text.lines().count() >= 2).await;
        holds("what it prints is in its log", &home.path().join("logs/ends.log"), |text| {
            text.contains("said")
        })
        .await;
        own.stop().await;
        let stopped = fs::read_to_string(home.path().join("stopped")).unwrap();
        assert_eq!(stopped, "last\nfirst\n");
    }

    #[tokio::test]
    async fn a_program_that_does_not_exist_is_an_error_of_the_start() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("logs")).unwrap();
        let program = Program {
            name: "absent".to_owned(),
            command: vec!["/nowhere/absent".to_owned()],
            environment: Vec::new(),
            directory: None,
        };
        // Where the system has `setpriv`, that program starts and reports it in the log.
        match Own::start(home.path(), vec![program]) {
            Ok(mut own) => {
                let log = home.path().join("logs/absent.log");
                holds("the log says it", &log, |text| text.contains("/nowhere/absent")).await;
                own.stop().await;
            }
            Err(said) => assert!(said.contains("absent"), "{said}"),
        }
    }
}
