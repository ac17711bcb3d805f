//! The legacy sample, asked directly: it must really behave like the old product (G1), or comparing with it
//! proves nothing.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use contract_suite::{Failure, Target, contracts_dir};

scripts! {
    Legacy::start();
    auth => "http/legacy/auth.hurl",
    books => "http/legacy/books.hurl",
    users => "http/legacy/users.hurl",
    wire => "http/legacy/wire.hurl",
}

/// One sample on a free port, with a home of its own; stopped when dropped.
struct Legacy {
    server: Child,
    home: tempfile::TempDir,
    api: String,
}

impl Legacy {
    fn start() -> Self {
        let gunicorn = std::env::var_os("GUNICORN")
            .map_or_else(|| contracts_dir().join("../.tools/venv/bin/gunicorn"), PathBuf::from);
        let home = tempfile::tempdir().unwrap();
        let mut server = Command::new(&gunicorn)
            .arg("-c")
            .arg(contracts_dir().join("legacy/gunicorn.conf.py"))
            .arg("legacy.app:application")
            .env("LEGACY_ADDRESS", "127.0.0.1:0")
            .env("LEGACY_WIRE", "1")
            .env("CUTOVER_HOME", home.path())
            .env_remove("AUTH_URL")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}: `make setup` installs it", gunicorn.display()));
        let mut log = BufReader::new(server.stdout.take().unwrap());
        let mut said = String::new();
        let api = loop {
            let start = said.len();
            if log.read_line(&mut said).unwrap() == 0 {
                panic!("the legacy ended before it listened:\n{said}");
            }
            let line = said.get(start..).unwrap();
            if let Some((_, rest)) = line.split_once("Listening at: ") {
                break rest.split_whitespace().next().expect("an address").to_owned();
            }
        };
        // A full pipe would stop the server.
        std::thread::spawn(move || {
            let _ = log.read_to_end(&mut Vec::new());
        });
        Self { server, home, api }
    }

    fn run(&self, script: &str) -> Result<(), Failure> {
        Target::new(&self.api, self.home.path()).run(script)
    }
}

impl Drop for Legacy {
    fn drop(&mut self) {
        // SIGTERM lets gunicorn end its worker too; SIGKILL would leave it behind.
        let _ = Command::new("kill").arg(self.server.id().to_string()).status();
        let _ = self.server.wait();
    }
}
