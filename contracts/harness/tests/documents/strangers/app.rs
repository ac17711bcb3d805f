//! A running application that was not written for the edge.

use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::{Port, Process, Signal, apps, eventually_logged, repository, venv};

/// It listens on a port of its own and writes into its log.
pub(crate) struct App {
    process: Process,
    port: Port,
}

impl App {
    /// pypiserver under gunicorn, with one package.
    pub(crate) fn pypiserver(place: &Path) -> Self {
        let packages = place.join("packages");
        std::fs::create_dir(&packages).expect("it is writable");
        let bytes: Vec<u8> =
            (0..200_000_u32).map(|number| u8::try_from(number % 251).unwrap_or_default()).collect();
        std::fs::write(packages.join("first-1.0-py3-none-any.whl"), bytes).expect("it is writable");
        let port = Port::lease();
        let mut command = python(&venv());
        command.args(["-m", "pypiserver", "run", "--interface", "127.0.0.1", "--server", "gunicorn"]);
        command.args(["--disable-fallback", "--passwords", ".", "--authenticate", ".", "--port"]);
        command.arg(port.address().port().to_string()).arg(&packages).current_dir(place).env("HOME", place);
        Self::start("pypiserver", port, &mut command, place)
    }

    /// The WSGI application `module:name` under gunicorn, which answers one request at a time, because httpbin shares one
    /// generator of random bytes. Its own files are in `contracts/apps/FOLDER`.
    pub(crate) fn wsgi(folder: &str, application: &str, place: &Path) -> Self {
        let port = Port::lease();
        let mut command = python(&apps());
        // Workers of another class close each connection.
        command.args(["-m", "gunicorn", "--worker-class", "gthread", "--threads", "1"]);
        command.args(["--bind", &port.address().to_string(), application]);
        command.current_dir(repository().join("contracts/apps").join(folder));
        command.env("HOME", place).env("PYTHONDONTWRITEBYTECODE", "1");
        // The object store takes buckets from the path, whatever the host is.
        command.env("S3_IGNORE_SUBDOMAIN_BUCKETNAME", "true");
        // Its parts of an upload may be smaller than Amazon's five mebibytes.
        command.env("S3_UPLOAD_PART_MIN_SIZE", "1048576");
        Self::start(folder, port, &mut command, place)
    }

    /// What the program `contracts/apps/PATH` prints about the application at `address`.
    pub(crate) fn asked_by(path: &str, address: std::net::SocketAddr, place: &Path) -> std::process::Output {
        let mut command = python(&apps());
        command.arg(repository().join("contracts/apps").join(path)).arg(address.to_string());
        command.current_dir(place).env("HOME", place).env("PYTHONDONTWRITEBYTECODE", "1");
        command.output().expect("it can be started")
    }

    /// The Python program `contracts/apps/FOLDER/server.py`.
    pub(crate) fn python(folder: &str, place: &Path) -> Self {
        let port = Port::lease();
        let mut command = python(&apps());
        command.arg(repository().join("contracts/apps").join(folder).join("server.py"));
        command.arg(port.address().port().to_string());
        Self::start(folder, port, &mut command, place)
    }

    /// The Node program of `contracts/apps/FOLDER`.
    pub(crate) fn node(folder: &str, place: &Path) -> Self {
        let port = Port::lease();
        let program = repository().join("contracts/apps").join(folder).join("server.mjs");
        let mut command = Command::new("node");
        command.arg(program).arg(port.address().port().to_string());
        Self::start(folder, port, &mut command, place)
    }

    fn start(name: &str, port: Port, command: &mut Command, place: &Path) -> Self {
        let process = Process::start(name, command, &place.join("app.log"));
        eventually_logged(
            "the application listens",
            || process.log(),
            || TcpStream::connect(port.address()).is_ok(),
        );
        Self { process, port }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.port.address()
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // gunicorn ends its workers when it is asked to end, and not when it is killed.
        self.process.signal(Signal::Terminate);
        let _ = self.process.wait(Duration::from_secs(20));
    }
}

fn python(environment: &Path) -> Command {
    let python = environment.join("bin/python");
    assert!(python.exists(), "{} is not there: `make setup` installs it", python.display());
    Command::new(python)
}
