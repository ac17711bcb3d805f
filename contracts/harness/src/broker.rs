//! A RabbitMQ for one test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::authority::Pair;
use crate::ports::Port;
use crate::process::{Process, Signal};
use crate::{parts, within};

/// Erlang starts slowly on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(90);

/// A RabbitMQ on a free port, with a directory of its own. It ends when this is dropped.
#[derive(Debug)]
pub struct RabbitMq {
    process: Option<Process>,
    port: Port,
    distribution: Port,
    /// The port with TLS, if it has one.
    encrypted: Option<Port>,
    home: TempDir,
}

impl RabbitMq {
    /// Starts it and waits until it accepts connections.
    ///
    /// # Panics
    /// When it is not installed, or not ready in time.
    #[must_use]
    pub fn start() -> Self {
        let mut broker = Self::prepare();
        broker.run();
        broker
    }

    /// Starts one with a further port for TLS: it presents `own` there, and demands a client certificate of the authority in
    /// the file `ca`.
    ///
    /// # Panics
    /// When it is not installed, or not ready in time.
    #[must_use]
    pub fn start_encrypted(ca: &Path, own: &Pair) -> Self {
        let mut broker = Self::prepare();
        let port = Port::lease();
        let lines = format!(
            "listeners.ssl.default = 127.0.0.1:{}\nssl_options.cacertfile = {}\nssl_options.certfile = {}\n\
             ssl_options.keyfile = {}\nssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n",
            port.number(),
            ca.display(),
            own.certificate.display(),
            own.key.display()
        );
        std::fs::write(broker.home.path().join("rabbitmq.conf"), lines).expect("the directory is writable");
        broker.encrypted = Some(port);
        broker.run();
        broker
    }

    fn prepare() -> Self {
        let home =
            tempfile::Builder::new().prefix("cutover-rabbit-").tempdir().expect("a temporary directory");
        Self { process: None, port: Port::lease(), distribution: Port::lease(), encrypted: None, home }
    }

    /// The number of its port without TLS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The number of its port with TLS.
    ///
    /// # Panics
    /// When it was started without one.
    #[must_use]
    pub fn encrypted_port(&self) -> u16 {
        self.encrypted.as_ref().expect("it was started with TLS").number()
    }

    /// Its URL, for `AMQP_URL`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port.number())
    }

    /// Starts it (again), with its stored data.
    ///
    /// # Panics
    /// When it is not ready in time.
    pub fn run(&mut self) {
        // The script on the path changes to another user; the one behind it does not.
        let script = parts::present(
            PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmq-server"),
            "`make setup` installs it",
        );
        let home = self.home.path();
        let mut command = Command::new(script);
        command
            .env("HOME", home)
            .env("RABBITMQ_NODENAME", format!("cutover-{}@localhost", self.port.number()))
            .env("RABBITMQ_MNESIA_BASE", home.join("db"))
            .env("RABBITMQ_LOG_BASE", home.join("log"))
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_PID_FILE", self.pid_file())
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.number().to_string())
            .env("RABBITMQ_DIST_PORT", self.distribution.number().to_string())
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("plugins"))
            .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq"))
            .env("RABBITMQ_CONF_ENV_FILE", home.join("no-environment"))
            // One busy test machine, several of these: no spinning, one scheduler.
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 1:1 +sbwt none");
        let mut process = Process::start("rabbitmq", &mut command, &home.join("rabbitmq.log"));
        let ready = within(READY_WITHIN, || {
            assert!(process.is_running(), "RabbitMQ ended while it was starting:\n{}", process.log());
            process.log().contains("Server startup complete").then_some(())
        });
        assert!(ready.is_some(), "RabbitMQ is not ready after {READY_WITHIN:?}:\n{}", process.log());
        self.process = Some(process);
    }

    fn pid_file(&self) -> PathBuf {
        self.home.path().join("pid")
    }

    /// Sends `signal` to the Erlang machine itself; the process above it is a shell.
    pub fn signal(&self, signal: Signal) {
        send(&self.pid_file(), signal);
    }

    /// Ends it at once, like a crash, and keeps its stored data.
    pub fn kill(&mut self) {
        self.signal(Signal::Kill);
        if let Some(mut process) = self.process.take() {
            let log = self.home.path().join("rabbitmq.log");
            process.wait(Duration::from_secs(20));
            let _ = std::fs::remove_file(log);
        }
    }
}

fn send(pid_file: &Path, signal: Signal) {
    let Ok(pid) = std::fs::read_to_string(pid_file) else { return };
    let name = match signal {
        Signal::Terminate => "-TERM",
        Signal::Kill => "-KILL",
        Signal::Stop => "-STOP",
        Signal::Continue => "-CONT",
    };
    let _ = Command::new("kill").args([name, pid.trim()]).stderr(Stdio::null()).status();
}

impl Drop for RabbitMq {
    fn drop(&mut self) {
        if self.process.is_some() {
            send(&self.pid_file(), Signal::Kill);
        }
    }
}
