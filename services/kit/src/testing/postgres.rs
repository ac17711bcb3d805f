//! A private PostgreSQL, in a temporary directory on a free port; alone, with rules of its own, or with a standby.

use std::ffi::OsStr;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The directory of the binaries on Debian; `PG_BIN` names another.
const DEBIAN_BINARIES: &str = "/usr/lib/postgresql";

/// A running PostgreSQL. Stopped and removed when dropped.
#[derive(Debug)]
pub struct PrivatePostgres {
    binaries: PathBuf,
    directory: tempfile::TempDir,
    port: u16,
}

impl PrivatePostgres {
    /// Creates a cluster and starts it.
    ///
    /// # Panics
    /// If PostgreSQL is not installed: a test that needs it fails without it.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("", None, &[])
    }

    /// The same with further lines of `postgresql.conf`, with the lines of `pg_hba.conf` instead of trust for all, and with
    /// copies of `files` in its data directory, readable for the server alone.
    ///
    /// # Panics
    /// If PostgreSQL is not installed, or refuses its configuration.
    #[must_use]
    pub fn start_with(settings: &str, rules: Option<&str>, files: &[(&str, &Path)]) -> Self {
        let (binaries, directory, data) = prepare();
        run(command(&binaries, "initdb")
            .arg("--no-sync")
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale", "-D"])
            .arg(&data));
        append(&data.join("postgresql.conf"), settings);
        if let Some(rules) = rules {
            std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
        }
        for (name, file) in files {
            let copy = data.join(name);
            std::fs::copy(file, &copy).unwrap();
            std::fs::set_permissions(&copy, std::fs::Permissions::from_mode(0o600)).unwrap();
            give(&copy);
        }
        Self::launched(binaries, directory)
    }

    /// A standby of this server, which streams all changes from now on. Its name among the primary's standbys is `standby`.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn standby(&self) -> Self {
        let (binaries, directory, data) = prepare();
        let from = format!("host=127.0.0.1 port={} user=postgres application_name=standby", self.port);
        run(command(&binaries, "pg_basebackup")
            .args([
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--no-sync",
                "--wal-method=stream",
                "-d",
                &from,
                "-D",
            ])
            .arg(&data));
        Self::launched(binaries, directory)
    }

    /// Makes a standby the primary.
    ///
    /// # Panics
    /// If it is not promoted.
    pub fn promote(&self) {
        run(command(&self.binaries, "pg_ctl").args(["promote", "--wait", "--silent", "-D"]).arg(self.data()));
    }

    /// Runs `statement` as the superuser and returns the rows, one on a line.
    ///
    /// # Panics
    /// If the statement fails.
    pub fn sql(&self, statement: &str) -> String {
        self.sql_in("postgres", statement)
    }

    /// The same in the database `name`.
    ///
    /// # Panics
    /// If the statement fails.
    pub fn sql_in(&self, name: &str, statement: &str) -> String {
        let url = format!("postgres://postgres@127.0.0.1:{}/{name}", self.port);
        let mut psql = command(&self.binaries, "psql");
        psql.args([
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--set=ON_ERROR_STOP=1",
            "-d",
            &url,
        ]);
        let output = psql.args(["-c", statement]).stdout(std::process::Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Returns its port at 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    fn launched(binaries: PathBuf, directory: tempfile::TempDir) -> Self {
        let data = directory.path().join("data");
        // Another process may take the port before PostgreSQL does; then the next port is tried.
        for _ in 0..5 {
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            if launch(&binaries, &data, port) {
                return Self { binaries, directory, port };
            }
        }
        panic!("PostgreSQL did not start on five different ports");
    }

    /// Ends the server as a crash does. [`restart`](Self::restart) brings it back with its data.
    pub fn kill(&self) {
        let mut stop = command(&self.binaries, "pg_ctl");
        run(stop.args(["stop", "--mode=immediate", "--silent", "-D"]).arg(self.data()));
    }

    /// Starts the server again at the same address.
    ///
    /// # Panics
    /// If the server does not start.
    pub fn restart(&self) {
        assert!(launch(&self.binaries, &self.data(), self.port), "PostgreSQL does not start again");
    }

    /// Pauses or resumes the server and all processes of its connections.
    pub fn freeze(&self, frozen: bool) {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let file = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        let server = file.lines().next().unwrap_or_default().to_owned();
        let children = std::fs::read_to_string(format!("/proc/{server}/task/{server}/children")).unwrap();
        let all = std::iter::once(server.as_str()).chain(children.split_whitespace());
        for process in all {
            // A process that has just ended needs no signal.
            let _ = Command::new("kill").args([signal, process]).status().unwrap();
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Returns its `DATABASE_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        let mut stop = command(&self.binaries, "pg_ctl");
        stop.args(["stop", "--mode=immediate", "--silent", "-D"]).arg(self.data());
        // A panic in `drop` would hide why the test failed.
        drop(stop.status());
    }
}

/// The binaries, and a directory that the server's user owns.
fn prepare() -> (PathBuf, tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    // PostgreSQL refuses to run as root, so its own user gets the directory.
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, std::fs::Permissions::from_mode(0o700)).unwrap();
    give(&data);
    (binaries(), directory, data)
}

/// Makes the server's user the owner.
fn give(path: &Path) {
    if as_root() {
        run(Command::new("chown").arg("postgres").arg(path));
    }
}

fn append(file: &Path, text: &str) {
    use std::io::Write as _;
    std::fs::OpenOptions::new().append(true).open(file).unwrap().write_all(text.as_bytes()).unwrap();
}

fn launch(binaries: &Path, data: &Path, port: u16) -> bool {
    let options = format!("-h 127.0.0.1 -p {port} -k '' -c fsync=off -c shared_buffers=16MB");
    let mut start = command(binaries, "pg_ctl");
    start.arg("start").args(["--wait", "--silent", "--log=/dev/null", "-D"]).arg(data).arg("-o").arg(options);
    start.status().unwrap().success()
}

fn binaries() -> PathBuf {
    if let Some(directory) = std::env::var_os("PG_BIN") {
        return PathBuf::from(directory);
    }
    let versions = std::fs::read_dir(DEBIAN_BINARIES).into_iter().flatten().flatten();
    versions
        .map(|version| version.path().join("bin"))
        .filter(|directory| directory.join("initdb").exists())
        .max()
        .expect("PostgreSQL is not installed: run `make setup`, or set PG_BIN to the directory of initdb")
}

fn as_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    // The owner of /proc/self is the user that this process runs as.
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

fn command(binaries: &Path, name: &str) -> Command {
    let program = binaries.join(name);
    let mut command = if as_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    // The user `postgres` may have no access to the directory that the test runs in.
    command.current_dir("/").stdout(std::process::Stdio::null());
    command
}

fn run(command: &mut Command) {
    let status = command.status().unwrap();
    let name = command.get_program().to_string_lossy().into_owned();
    let arguments: Vec<&OsStr> = command.get_args().collect();
    assert!(status.success(), "{name} {arguments:?} failed with {status}");
}
