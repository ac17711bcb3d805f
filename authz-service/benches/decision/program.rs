//! The real program: started with its own configuration, asked over gRPC as Envoy asks it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use clock::{Clock as _, SystemClock};
use edge_config::Edge;
use prost::Message as _;
use serde_json::{Value, json};

use crate::load::{self, Asker};
use crate::report::{Report, Samples};
use crate::{Bench, cpu, mint};

/// As many sessions as the program is to hold warm.
const SESSIONS: usize = 100_000;
/// Rounds of load; odd, so that there is a middle one.
const ROUNDS: usize = 9;
/// Checks in each round.
const CHECKS: usize = 40_000;

/// A process that ends with its owner.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// This very program once more, as the service that does nothing.
    fn nothing() -> Self {
        let this = std::env::current_exe().expect("a program knows its own path");
        let mut command = Command::new(this);
        command.env(load::DO_NOTHING, "127.0.0.1:0").env("TOKIO_WORKER_THREADS", "1");
        Self::start(command, "address")
    }

    fn authorizer(bench: &Bench, edge: &Path) -> Self {
        let home = bench.home.path();
        let mut command = Command::new(program());
        command
            .env_clear()
            .env("EDGE_FILE", edge)
            .env("CUTOVER_HOME", home)
            .env("AUTHZ_ADDRESS", "127.0.0.1:0")
            .env("AUTHZ_ADMIN_ADDRESS", "127.0.0.1:0")
            .env("AUTHZ_IDENTITY_KEY", home.join("identity.pem"))
            .env("TOKIO_WORKER_THREADS", "1");
        Self::start(command, "checks")
    }

    /// Starts `command` and reads its lines until one says `field`, its address.
    fn start(mut command: Command, field: &str) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output is a pipe"));
        let address = loop {
            let mut line = String::new();
            assert_ne!(lines.read_line(&mut line).expect("its output is text"), 0, "it ended at once");
            let line: Value = serde_json::from_str(&line).expect("every line is JSON");
            if let Some(address) = line[field].as_str() {
                break address.parse().expect("an address");
            }
        };
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut lines.by_ref(), &mut std::io::sink());
        });
        Self { child, address }
    }

    /// Processor time of all of its threads so far, in seconds.
    fn cpu_seconds(&self) -> f64 {
        cpu::of_process(self.child.id()).as_secs_f64()
    }

    /// Memory that it holds now, in MiB.
    fn memory_mib(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        kib / 1024.0
    }
}

fn program() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_authz-service"))
}

/// Questions about sessions that are good by the machine's clock.
struct Questions<'b> {
    bench: &'b Bench,
    issued: u64,
}

impl Questions<'_> {
    fn of(&self, session: usize) -> Vec<u8> {
        let changes = json!({
            "sid": format!("0192d3c0-0000-7000-8000-{session:012x}"),
            "sub": format!("0192d3c0-0000-7000-8001-{session:012x}"),
            "iat": self.issued,
            "exp": self.issued + 14_400,
        });
        let token = self.bench.session.token(&mint::claims_with(&changes));
        self.bench.with_token("me", &token).encode_to_vec()
    }
}

pub(crate) fn measure(report: &mut Report) {
    let bench = Bench::new(crate::FEW);
    let edge = bench.home.path().join("edge.yaml");
    std::fs::write(&edge, edge_text(&bench.edge, bench.home.path())).expect("the directory is writable");
    let authorizer = Running::authorizer(&bench, &edge);
    let questions = Questions { bench: &bench, issued: SystemClock.now().seconds() - 10 };

    eprintln!("load against a service that does nothing");
    let nothing = Running::nothing();
    let question = questions.of(0);
    let (mut ours, mut theirs) = (Asker::connect(authorizer.address), Asker::connect(nothing.address));
    let mut rates = (Samples::default(), Samples::default());
    let mut cpu = (Samples::default(), Samples::default());
    for round in 0..=ROUNDS {
        for (running, asker, rates, cpu) in [
            (&authorizer, &mut ours, &mut rates.0, &mut cpu.0),
            (&nothing, &mut theirs, &mut rates.1, &mut cpu.1),
        ] {
            let before = running.cpu_seconds();
            let rate = asker.ask_again(&question, CHECKS);
            if round > 0 {
                rates.push(rate);
                #[expect(clippy::cast_precision_loss, reason = "a small count")]
                cpu.push((running.cpu_seconds() - before) * 1e6 / CHECKS as f64);
            }
        }
    }
    report.measured("load_checks_per_second", &rates.0);
    report.measured("load_nothing_per_second", &rates.1);
    report.measured("load_ratio", &rates.0.over(&rates.1));
    report.measured("load_cpu_us", &cpu.0);
    report.measured("load_nothing_cpu_us", &cpu.1);
    report.measured("load_cpu_ratio", &cpu.1.over(&cpu.0));

    report.one("memory_mib_1", authorizer.memory_mib());
    eprintln!("{SESSIONS} sessions");
    for first in (0..SESSIONS).step_by(1_000) {
        let batch: Vec<_> = (first..first + 1_000).map(|session| questions.of(session)).collect();
        ours.ask_each(&batch);
    }
    report.one("memory_mib_100000", authorizer.memory_mib());
}

/// The text that `edge` was read from: the program reads a file.
fn edge_text(edge: &Edge, home: &Path) -> String {
    let text = crate::EDGE.replace("HOME", home.to_str().expect("a plain path"));
    let read = edge_config::parse(Path::new("bench.yaml"), &text, &|_| None);
    assert!(read.is_ok_and(|read| read.revision == edge.revision), "questions carry this revision");
    text
}
