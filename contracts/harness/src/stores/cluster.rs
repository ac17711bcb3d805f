//! Three primaries, each with a replica.

use std::net::SocketAddr;

use crate::eventually;
use crate::stores::server::{RedisServer, settled};

/// After this many ms without an answer a server counts as dead. Redis's own default is 15 seconds.
const DEAD_AFTER: &str = "1000";

/// The first and the last slot of each primary.
const SLOTS: [(u16, u16); 3] = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)];

/// A Redis Cluster of three primaries, each with one replica.
#[derive(Debug)]
pub struct RedisCluster {
    servers: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts it and waits until every server knows all slots and every replica has its primary.
    ///
    /// # Panics
    /// When `redis-server` or `redis-cli` is missing or something does not start.
    #[must_use]
    pub fn start() -> Self {
        let server = || {
            RedisServer::start(|_, port, bus| {
                [
                    ("--port", port.number().to_string()),
                    ("--cluster-port", bus.number().to_string()),
                    ("--cluster-enabled", "yes".to_owned()),
                    ("--cluster-node-timeout", DEAD_AFTER.to_owned()),
                    ("--repl-diskless-sync-delay", "0".to_owned()),
                ]
                .into_iter()
                .flat_map(|(name, value)| [name.to_owned(), value])
                .collect()
            })
        };
        let servers: Vec<RedisServer> = (0..6).map(|_| server()).collect();
        let cluster = Self { servers };
        let [primaries, replicas] = [&cluster.servers[..3], &cluster.servers[3..]];
        for (server, (first, last)) in primaries.iter().zip(SLOTS) {
            server.cli(&["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()]);
        }
        for server in &cluster.servers[1..] {
            let (port, bus) = (server.address().port().to_string(), server.bus().to_string());
            cluster.servers[0].cli(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus]);
        }
        settled("every server knows the others", || {
            cluster
                .servers
                .iter()
                .all(|server| server.cli(&["CLUSTER", "NODES"]).matches(" connected").count() == 6)
        });
        for (replica, primary) in replicas.iter().zip(primaries) {
            replica.cli(&["CLUSTER", "REPLICATE", &primary.cli(&["CLUSTER", "MYID"])]);
        }
        settled("the cluster serves all slots, and each primary has a replica", || {
            cluster.servers.iter().all(|server| server.cli(&["CLUSTER", "INFO"]).contains("cluster_state:ok"))
                && primaries
                    .iter()
                    .all(|server| server.cli(&["INFO", "replication"]).contains("state=online"))
                && cluster.servers[0].cli(&["CLUSTER", "SLOTS"]).matches("127.0.0.1").count() == 6
        });
        cluster
    }

    /// The address for `REDIS_URL`. The first node that it names is not there.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_for("")
    }

    /// The same with `login` (`user:password@`).
    #[must_use]
    pub fn url_for(&self, login: &str) -> String {
        let absent = crate::ports::Port::lease().address();
        let hosts = std::iter::once(absent).chain(self.servers.iter().map(RedisServer::address));
        let hosts: Vec<String> = hosts.map(|address| address.to_string()).collect();
        format!("redis+cluster://{login}{}", hosts.join(","))
    }

    /// All servers.
    #[must_use]
    pub fn servers(&self) -> &[RedisServer] {
        &self.servers
    }

    /// The primary that has `key`.
    ///
    /// # Panics
    /// When there is none.
    pub fn primary_of(&mut self, key: &str) -> &mut RedisServer {
        let slot = self.slot(key);
        let address = self.owner(slot).expect("a primary has the slot");
        self.server(address)
    }

    /// Kills the primary that has `key`, and waits until a replica has taken its place.
    ///
    /// # Panics
    /// When that does not happen.
    pub fn kill_primary_of(&mut self, key: &str) -> SocketAddr {
        let slot = self.slot(key);
        let primary = self.primary_of(key);
        let old = primary.address();
        primary.kill();
        eventually("a replica has become a primary", || self.owner(slot).is_some_and(|owner| owner != old));
        old
    }

    /// Moves the slot of `key`, with all that is in it, to another primary; `half_way` is called while it is moving: one of its
    /// keys is at the new primary, the others are not.
    ///
    /// # Panics
    /// When Redis refuses.
    pub fn move_slot(&mut self, key: &str, half_way: impl FnOnce()) {
        let slot = self.slot(key);
        let from = self.owner(slot).expect("a primary has the slot");
        let to = (SLOTS.iter().filter_map(|(first, _)| self.owner(*first)).find(|owner| *owner != from))
            .expect("there is another primary");
        let (from, to) = (self.server(from).address(), self.server(to).address());
        let ask = |at: SocketAddr, arguments: &[&str]| {
            let server =
                self.servers.iter().find(|server| server.address() == at).expect("one of the servers");
            server.cli(arguments)
        };
        let text = slot.to_string();
        let (source, target) = (ask(from, &["CLUSTER", "MYID"]), ask(to, &["CLUSTER", "MYID"]));
        ask(to, &["CLUSTER", "SETSLOT", &text, "IMPORTING", &source]);
        ask(from, &["CLUSTER", "SETSLOT", &text, "MIGRATING", &target]);
        let port = to.port().to_string();
        let move_key = |key: &str| ask(from, &["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
        move_key(key);
        half_way();
        for rest in
            ask(from, &["CLUSTER", "GETKEYSINSLOT", &text, "1000"]).lines().filter(|key| !key.is_empty())
        {
            move_key(rest);
        }
        for at in [to, from] {
            ask(at, &["CLUSTER", "SETSLOT", &text, "NODE", &target]);
        }
        settled("the slot is at its new primary", || self.owner(slot) == Some(to));
    }

    fn slot(&self, key: &str) -> u16 {
        let told = self.servers.iter().find_map(|server| server.try_cli(&["CLUSTER", "KEYSLOT", key]));
        told.and_then(|slot| slot.parse().ok()).expect("a server is there")
    }

    fn server(&mut self, address: SocketAddr) -> &mut RedisServer {
        self.servers.iter_mut().find(|server| server.address() == address).expect("one of the servers")
    }

    /// The primary of `slot`, as every server that is alive has it.
    fn owner(&self, slot: u16) -> Option<SocketAddr> {
        let mut owners = self.servers.iter().filter_map(|server| {
            let nodes = server.try_cli(&["CLUSTER", "NODES"])?;
            Some(nodes.lines().find_map(|line| owner_of(line, slot)))
        });
        let first = owners.next()??;
        owners.all(|owner| owner == Some(first)).then_some(first)
    }
}

/// Whether a line of `CLUSTER NODES` is about a living primary with `slot`: its address.
fn owner_of(line: &str, slot: u16) -> Option<SocketAddr> {
    let fields: Vec<&str> = line.split(' ').collect();
    let is_primary = fields[2].contains("master") && !fields[2].contains("fail");
    let has = fields.iter().skip(8).filter(|range| !range.starts_with('[')).any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let within = |first: u16, last: u16| (first..=last).contains(&slot);
        first.parse().is_ok_and(|first| last.parse().is_ok_and(|last| within(first, last)))
    });
    (is_primary && has).then(|| fields[1].split('@').next()?.parse().ok())?
}
