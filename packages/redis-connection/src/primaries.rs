//! The servers that take writes, one by one: for what a cluster does not do as a whole.

use std::collections::BTreeSet;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{Client, RedisResult, Value};

use crate::address::{Address, Form};
use crate::connection::Bounds;
use crate::open;
use crate::subscription::Subscription;

/// The servers that take writes: one, or the primaries of a cluster.
#[derive(Clone, Debug)]
pub struct Primaries {
    address: Address,
    clients: Vec<Client>,
    names: BTreeSet<String>,
}

/// What the primaries of a cluster say about their slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    slots: Vec<String>,
}

impl Layout {
    /// Whether a slot is moving: its keys are at two servers then.
    #[must_use]
    pub fn is_in_motion(&self) -> bool {
        // `[93-<-ID]` and `[93->-ID]`, https://redis.io/docs/latest/commands/cluster-nodes/
        self.slots.iter().any(|slots| slots.contains('['))
    }
}

impl Primaries {
    /// Finds the primaries of `address`: within three seconds, because a sentinel or a node that hangs is passed over after one.
    ///
    /// # Errors
    /// The error of Redis.
    pub async fn of(address: &Address) -> RedisResult<Self> {
        open::within(open::OPEN, Self::find(address)).await
    }

    async fn find(address: &Address) -> RedisResult<Self> {
        let loaded = open::load(address).await?;
        let clients = match &address.form {
            Form::One(one) => vec![loaded.client(one.clone())?],
            Form::Sentinels { sentinels, primary } => {
                vec![open::primary_of(sentinels, primary, &loaded).await?]
            }
            Form::Cluster(nodes) => {
                let encrypted = loaded.certificates.is_some();
                let mut last = None;
                let mut found = None;
                for node in nodes {
                    let client = loaded.client(node.address(encrypted))?;
                    // One that hangs leaves time for the others.
                    match open::within(open::CONNECT, slots_of(&client)).await {
                        Ok(slots) => {
                            found = Some((slots, node));
                            break;
                        }
                        Err(error) => last = Some(error),
                    }
                }
                let Some((slots, asked)) = found else {
                    return Err(last.unwrap_or_else(|| std::io::Error::other("no node to ask").into()));
                };
                let named =
                    |(host, port): (Option<String>, u16)| (host.unwrap_or_else(|| asked.name.clone()), port);
                let primaries: BTreeSet<(String, u16)> = slots.into_iter().map(named).collect();
                let client =
                    |(name, port)| loaded.client(crate::hosts::Host { name, port }.address(encrypted));
                primaries.into_iter().map(client).collect::<RedisResult<_>>()?
            }
        };
        let names = clients.iter().map(|client| client.get_connection_info().addr().to_string()).collect();
        Ok(Self { address: address.clone(), clients, names })
    }

    /// Whether they are still the primaries. One server always is.
    ///
    /// # Errors
    /// The error of Redis: neither a sentinel nor a node of the cluster knows.
    pub async fn are_current(&self) -> RedisResult<bool> {
        match self.address.form {
            Form::One(_) => Ok(true),
            Form::Sentinels { .. } | Form::Cluster(_) => {
                Ok(Self::of(&self.address).await?.names == self.names)
            }
        }
    }

    /// Whether they are a cluster.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        self.address.is_cluster()
    }

    /// Subscribes to `channels` at each of them, within `patience`.
    ///
    /// # Errors
    /// The error of Redis: of one is enough.
    pub async fn subscribe(&self, channels: &[&str], patience: Duration) -> RedisResult<Subscription> {
        open::within(patience, async {
            let mut all = Vec::new();
            for client in &self.clients {
                let mut one = client.get_async_pubsub().await?;
                one.subscribe(channels).await?;
                all.push(one);
            }
            Ok(Subscription::new(all))
        })
        .await
    }

    /// Connects to each of them, within `patience`, which is then the bound of each answer, too.
    ///
    /// # Errors
    /// The error of Redis: of one is enough.
    pub async fn connect(&self, patience: Duration) -> RedisResult<Vec<MultiplexedConnection>> {
        open::within(patience, async {
            let mut all = Vec::new();
            for client in &self.clients {
                all.push(open::connect(client, Bounds::answer(patience)).await?);
            }
            Ok(all)
        })
        .await
    }

    /// What the servers at `connections` say about their own slots; nothing unless they are a cluster.
    ///
    /// # Errors
    /// The error of Redis.
    pub async fn layout(&self, connections: &mut [MultiplexedConnection]) -> RedisResult<Layout> {
        let mut slots = Vec::new();
        for connection in connections.iter_mut().filter(|_| self.is_cluster()) {
            let nodes: String = redis::cmd("CLUSTER").arg("NODES").query_async(connection).await?;
            let own = nodes
                .lines()
                .find(|line| line.split(' ').nth(2).is_some_and(|flags| flags.contains("myself")));
            let own = own.unwrap_or_default();
            // After the eight fields of the server itself come its slots.
            slots.push(own.split(' ').skip(8).collect::<Vec<_>>().join(" "));
        }
        Ok(Layout { slots })
    }
}

/// The primaries with slots; without a host it is the one that was asked.
async fn slots_of(client: &Client) -> RedisResult<Vec<(Option<String>, u16)>> {
    let mut connection = open::connect(client, Bounds::answer(open::CONNECT)).await?;
    let ranges: Vec<Vec<Value>> = redis::cmd("CLUSTER").arg("SLOTS").query_async(&mut connection).await?;
    let mut primaries = Vec::new();
    for range in ranges {
        // Start, end, primary, replicas: https://redis.io/docs/latest/commands/cluster-slots/
        let Some(Value::Array(node)) = range.get(2) else { continue };
        let Some(Value::Int(port)) = node.get(1) else { continue };
        let Ok(port) = u16::try_from(*port) else { continue };
        let host = match node.first() {
            Some(Value::BulkString(host)) if !host.is_empty() => {
                Some(String::from_utf8_lossy(host).into_owned())
            }
            Some(Value::SimpleString(host)) if !host.is_empty() => Some(host.clone()),
            Some(_) | None => None,
        };
        // `?` is a server whose name is not known.
        if host.as_deref() == Some("?") {
            return Err(
                std::io::Error::other("the cluster does not know the name of one of its servers").into()
            );
        }
        primaries.push((host, port));
    }
    if primaries.is_empty() {
        return Err(std::io::Error::other("the node knows of no primary with slots").into());
    }
    Ok(primaries)
}
