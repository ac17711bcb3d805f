//! Two servers, the program, and what it printed.

use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use harness::eventually;
use kit::testing::PrivatePostgres;
use serde_json::Value;

/// The legacy backend's tables with rows.
pub(crate) const LEGACY: &str = include_str!("legacy.sql");

/// How many sessions sleep. By what they wait for, because the text of this query would find itself in a session that
/// ends.
pub(crate) const SLEEPING: &str = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";

/// A source with the legacy backend's data, an empty target on another server, and a directory for the move.
pub(crate) struct Stage {
    pub(crate) source: PrivatePostgres,
    pub(crate) target: PrivatePostgres,
    pub(crate) directory: tempfile::TempDir,
}

/// What a command printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) report: Value,
    pub(crate) log: String,
}

impl Ended {
    fn of(output: Output) -> Self {
        let text = String::from_utf8(output.stdout).unwrap();
        let report = if text.is_empty() { Value::Null } else { serde_json::from_str(&text).expect(&text) };
        Self { code: output.status.code(), report, log: String::from_utf8(output.stderr).unwrap() }
    }

    /// Each difference as `kind name`.
    pub(crate) fn differences(&self) -> Vec<String> {
        let all = self.report["parity"]["differences"].as_array().unwrap_or_else(|| panic!("{self:?}"));
        let shown =
            |one: &Value| format!("{} {}", one["kind"].as_str().unwrap(), one["name"].as_str().unwrap());
        all.iter().map(shown).collect()
    }
}

impl Stage {
    pub(crate) fn set() -> Self {
        let stage = Self {
            source: PrivatePostgres::start(),
            target: PrivatePostgres::start(),
            directory: tempfile::tempdir().unwrap(),
        };
        stage.source.sql(LEGACY);
        stage
    }

    /// A stage whose target has the source's data already.
    pub(crate) fn moved() -> Self {
        let stage = Self::set();
        let moved = stage.run(&["run"]);
        assert_eq!(moved.code, Some(0), "{moved:?}");
        stage
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_db-migrate"));
        command.args(arguments).args(["--json", "--state"]).arg(self.state());
        command.env("DB_MIGRATE_SOURCE", self.source.url()).env("DB_MIGRATE_TARGET", self.target.url());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }

    /// Writes a file of checks and returns its path.
    pub(crate) fn checks(&self, text: &str) -> String {
        let path = self.directory.path().join("checks.yaml");
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Writes programs in place of `pg_dump` and `pg_restore`, and returns their directory.
    pub(crate) fn programs(&self, dump: &str, restore: &str) -> String {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = self.directory.path().join("programs");
        std::fs::create_dir_all(&directory).unwrap();
        for (name, script) in [("pg_dump", dump), ("pg_restore", restore)] {
            let program = directory.join(name);
            std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        directory.to_str().unwrap().to_owned()
    }

    /// Starts a move that stays in its last step, the checks, until it is ended.
    pub(crate) fn stuck_in_the_checks(&self, more: &[&str]) -> Child {
        let checks = "checks: [{ name: endless, sql: SELECT 1 FROM pg_sleep(600), expect: '1' }]";
        let checks = self.checks(checks);
        let child = self.command(&["run", "--checks", &checks]).args(more).spawn().unwrap();
        eventually("the checks run", || self.target.sql(SLEEPING) == "1");
        child
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("move")
    }

    /// Whether a new session on the source may write.
    pub(crate) fn source_takes_writes(&self) -> bool {
        self.source.sql("SHOW default_transaction_read_only") == "off"
    }
}

/// Waits for the end of `child`.
pub(crate) fn ended(child: Child) -> Ended {
    Ended::of(child.wait_with_output().unwrap())
}

/// Sends `signal` to `child`.
pub(crate) fn send(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}
