//! A primary, two replicas and three sentinels.

use std::net::SocketAddr;

use tempfile::TempDir;

use crate::eventually;
use crate::ports::Port;
use crate::process::Process;
use crate::stores::server::{RedisServer, launch, settled, try_cli};

/// The name of the primary.
const PRIMARY: &str = "main";

/// After this many ms without an answer a sentinel takes the primary for dead. Redis's own default is 30 seconds.
const DOWN_AFTER: &str = "1000";

/// A Redis that fails over: a primary, two replicas and three sentinels. The sentinels have a password of their own.
#[derive(Debug)]
pub struct RedisSentinels {
    servers: Vec<RedisServer>,
    sentinels: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    _process: Process,
    port: Port,
    _home: TempDir,
}

/// The password of the sentinels.
const PASSWORD: &str = "of-the-sentinels";

impl RedisSentinels {
    /// Starts them and waits until each sentinel knows all others.
    ///
    /// # Panics
    /// When `redis-server` or `redis-cli` is missing or something does not start.
    #[must_use]
    pub fn start() -> Self {
        let server = |of: Option<SocketAddr>| {
            RedisServer::start(|_, port, _| {
                let mut arguments = vec!["--port".to_owned(), port.number().to_string()];
                if let Some(primary) = of {
                    arguments.extend([
                        "--replicaof".to_owned(),
                        "127.0.0.1".to_owned(),
                        primary.port().to_string(),
                    ]);
                }
                // A replica that begins gets its data at once.
                arguments.extend(["--repl-diskless-sync-delay", "0"].map(str::to_owned));
                arguments
            })
        };
        let primary = server(None);
        let replicas = [server(Some(primary.address())), server(Some(primary.address()))];
        eventually("both replicas are connected", || {
            primary.cli(&["INFO", "replication"]).matches("state=online").count() == 2
        });
        let sentinels = (0..3).map(|_| Sentinel::start(primary.address())).collect();
        let all = Self { servers: std::iter::once(primary).chain(replicas).collect(), sentinels };
        settled("every sentinel knows the others and the replicas", || {
            all.sentinels.iter().all(|sentinel| {
                let told = sentinel.ask(&["SENTINEL", "MASTER", PRIMARY]).unwrap_or_default();
                let lines: Vec<&str> = told.lines().collect();
                let has = |name, value| lines.windows(2).any(|pair| *pair == [name, value]);
                has("num-slaves", "2") && has("num-other-sentinels", "2")
            })
        });
        all
    }

    /// The address for `REDIS_URL`. The first sentinel that it names is not there.
    ///
    /// # Panics
    /// Never: there are three sentinels.
    #[must_use]
    pub fn url(&self) -> String {
        let absent = Port::lease().address().to_string();
        let hosts = self.sentinels.iter().map(|sentinel| sentinel.port.address().to_string());
        let hosts: Vec<String> = std::iter::once(absent).chain(hosts).collect();
        format!("redis+sentinel://{}/{PRIMARY}?sentinel_password={PASSWORD}", hosts.join(","))
    }

    /// The primary, as most sentinels have it.
    ///
    /// # Panics
    /// When they do not agree within a minute.
    pub fn primary(&mut self) -> &mut RedisServer {
        let mut named = None;
        eventually("the sentinels agree", || {
            let ask = |sentinel: &Sentinel| {
                let told = sentinel.ask(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", PRIMARY])?;
                told.lines().nth(1)?.parse::<u16>().ok()
            };
            let ports: Vec<Option<u16>> = self.sentinels.iter().map(ask).collect();
            named = ports.first().copied().flatten();
            named.is_some() && ports.iter().all(|port| *port == named)
        });
        let mut servers = self.servers.iter_mut();
        servers.find(|server| Some(server.address().port()) == named).expect("it is one of the servers")
    }

    /// The server at `address`.
    ///
    /// # Panics
    /// When it is none of them.
    pub fn server(&mut self, address: SocketAddr) -> &mut RedisServer {
        self.servers.iter_mut().find(|server| server.address() == address).expect("one of the servers")
    }

    /// Waits until the primary is another one than the one at `old`, and takes writes.
    ///
    /// # Panics
    /// When that does not happen.
    pub fn fail_over_from(&mut self, old: SocketAddr) {
        eventually("another server is the primary", || {
            let primary = self.primary();
            primary.address() != old
                && primary.try_cli(&["ROLE"]).is_some_and(|role| role.starts_with("master"))
        });
    }
}

impl Sentinel {
    fn start(primary: SocketAddr) -> Self {
        let home = tempfile::Builder::new().prefix("sentinel-").tempdir().expect("a temporary directory");
        let port = Port::lease();
        // A sentinel writes what it knows into its configuration.
        let file = home.path().join("sentinel.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\nrequirepass {PASSWORD}\nsentinel sentinel-pass {PASSWORD}\n\
             sentinel monitor {PRIMARY} 127.0.0.1 {primary} 2\n\
             sentinel down-after-milliseconds {PRIMARY} {DOWN_AFTER}\nsentinel failover-timeout {PRIMARY} 4000\n",
            port = port.number(),
            primary = primary.port(),
        );
        std::fs::write(&file, text).expect("the directory is writable");
        let process = launch(&[file.display().to_string(), "--sentinel".to_owned()], home.path());
        let sentinel = Self { _process: process, port, _home: home };
        settled("a sentinel answers", || sentinel.ask(&["PING"]).is_some());
        sentinel
    }

    fn ask(&self, arguments: &[&str]) -> Option<String> {
        let mut all = vec!["--no-auth-warning", "-a", PASSWORD];
        all.extend(arguments);
        try_cli(self.port.address(), &all)
    }
}
