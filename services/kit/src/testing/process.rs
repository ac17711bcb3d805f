//! Starts a real binary, waits until it is ready, and stops it as an operator does.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use super::TestHome;
use crate::settings::Variable;

/// The path of a service's binary: `Binary(env!("CARGO_BIN_EXE_users"))`.
#[derive(Clone, Copy, Debug)]
pub struct Binary(pub &'static str);

/// A start that fails: the environment, the exit code, and the texts that the error must contain.
pub type Refusal<'a> = (&'a [(&'a str, &'a str)], i32, &'a [&'a str]);

impl Binary {
    /// Starts it with only `environment` in its environment, and waits for its ready line.
    ///
    /// # Panics
    /// If the process ends before it is ready.
    #[must_use]
    pub fn start(self, environment: &[(&str, &str)]) -> Running {
        Running::start(self.0, environment)
    }

    /// Checks what every service has: it listens on a port with `environment`, answers probes and shows its metrics without an
    /// identity, and stops on SIGTERM with 0.
    ///
    /// # Panics
    /// If it does not.
    pub fn assert_starts_and_stops(self, environment: &[(&str, &str)]) {
        let running = self.start(environment);
        assert_ne!(running.address().port(), 0);
        for probe in ["/healthz", "/readyz"] {
            let answer = running.get(probe);
            assert!(answer.starts_with("HTTP/1.1 200 "), "{probe}: {answer}");
        }
        let metrics = running.get("/metrics");
        assert!(metrics.starts_with("HTTP/1.1 200 "), "{metrics}");
        // Prometheus takes no answer without it.
        let content_type = "\r\ncontent-type: text/plain; version=0.0.4\r\n";
        assert!(metrics.to_ascii_lowercase().contains(content_type), "{metrics}");
        let name = Path::new(self.0).file_name().unwrap().to_str().unwrap();
        for line in [
            &format!("service_build_info{{service=\"{name}\",version=\""),
            r#"service_requests_total{method="GET",route="/readyz",status="2xx"} 1"#,
            r#"service_request_seconds_count{method="GET",route="/readyz"} 1"#,
        ] {
            assert!(metrics.contains(line), "{line} is missing in: {metrics}");
        }
        let (status, log) = running.terminate();
        assert_eq!(status.code(), Some(0), "{log}");
        assert!(log.contains("stopped"), "{log}");
    }

    /// Checks that it refuses to start in each of `cases`, and returns its errors.
    ///
    /// # Panics
    /// If an exit code differs, or an error lacks a text.
    pub fn assert_refuses(self, cases: &[Refusal<'_>]) -> Vec<String> {
        let refused = |(environment, code, texts): &Refusal<'_>| {
            let output = Command::new(self.0).env_clear().envs(environment.iter().copied()).output().unwrap();
            let complaint = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(*code), "{complaint}");
            for text in *texts {
                assert!(complaint.contains(text), "{text:?} is missing in: {complaint}");
            }
            complaint
        };
        cases.iter().map(refused).collect()
    }

    /// Checks the refusals that a service with a database and initial data has in common with the others. `prefix` begins
    /// the names of its variables; the file `seed` has content that it refuses with a text that contains `complaint`.
    ///
    /// # Panics
    /// If it starts, or an exit code differs, or an error lacks its place.
    pub fn assert_refuses_as_every_service(self, prefix: &str, seed: &str, complaint: &str) {
        let (home, empty) = (TestHome::new(), tempfile::tempdir().unwrap());
        let (home, empty) = (home.path().to_str().unwrap(), empty.path().to_str().unwrap());
        let file = format!("{empty}/seed.yaml");
        std::fs::write(&file, seed).unwrap();
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let taken = taken.local_addr().unwrap().to_string();
        let (address, initial) = (format!("{prefix}_ADDRESS"), format!("{prefix}_SEED"));
        let wrong = format!("{address}=\"localhost\"");
        self.assert_refuses(&[
            (&[("CUTOVER_HOME", home), (&address, &taken)], 1, &[&taken, "in use", &address]),
            (&[("CUTOVER_HOME", empty)], 64, &["keys/identity.jwks.json", "cutover keys"]),
            (&[(&address, "localhost"), ("RUST_LOG", "a=b=c")], 64, &[&wrong, "RUST_LOG=\"a=b=c\""]),
            (&[("CUTOVER_HOME", home), (&initial, &file)], 64, &["seed.yaml", complaint]),
        ]);
    }

    /// Checks that `--help` lists each of `variables`.
    ///
    /// # Panics
    /// If it does not.
    pub fn assert_help_lists(self, variables: &[Variable]) {
        let output = Command::new(self.0).arg("--help").output().unwrap();
        // Long lines are wrapped, also inside the brackets.
        let help = String::from_utf8(output.stdout).unwrap();
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for variable in variables {
            assert!(help.contains(&format!("[env: {}]", variable.name)), "{help}");
        }
        assert_eq!(output.status.code(), Some(0));
    }
}

/// A running service.
#[derive(Debug)]
pub struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Running {
    /// Starts `binary` with only `environment` in its environment, and waits for its ready line.
    ///
    /// # Panics
    /// If the process ends before it is ready.
    #[must_use]
    pub fn start(binary: &str, environment: &[(&str, &str)]) -> Self {
        let mut child = Command::new(binary)
            .env_clear()
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            if output.read_line(&mut line).unwrap() == 0 {
                let mut complaint = String::new();
                child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
                panic!("{binary} ended before it was ready: {complaint}");
            }
            let json: serde_json::Value = serde_json::from_str(&line).expect("every log line is JSON");
            if json.get("message").and_then(|m| m.as_str()) == Some("ready") {
                break json.get("address").and_then(|a| a.as_str()).unwrap().parse().unwrap();
            }
        };
        Self { child, output, address }
    }

    /// Returns the address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends `GET path`, and returns the whole answer.
    #[must_use]
    pub fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Sends SIGTERM and waits for the end. Returns the exit status and the rest of the log.
    #[must_use]
    pub fn terminate(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap(), rest)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended after `terminate`. Otherwise this stops the process of a failed test.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
