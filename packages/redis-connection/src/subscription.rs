//! What every primary publishes.
//!
//! A server of a cluster passes each message on to all others, but a server that has lost touch with them still answers pings.
//! So a subscription is held at each primary: a message comes from the very server that wrote it, and from the others again. A
//! reader must take a repeated message as it takes the first.

use std::pin::Pin;
use std::time::Duration;

use futures_util::future::try_join_all;
use futures_util::stream::{SelectAll, select_all};
use futures_util::{Stream, StreamExt as _};
use redis::aio::{PubSub, PubSubSink};
use redis::{Msg, RedisResult, Value};

use crate::open;

/// A subscription at each primary.
pub struct Subscription {
    pulse: Pulse,
    messages: Messages,
}

/// Asks whether the servers of a subscription still answer.
pub struct Pulse {
    sinks: Vec<PubSubSink>,
}

/// The messages of a subscription.
pub struct Messages {
    all: SelectAll<Pin<Box<dyn Stream<Item = Option<Msg>> + Send + Sync>>>,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("servers", &self.pulse.sinks.len()).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Pulse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pulse").field("servers", &self.sinks.len()).finish()
    }
}

impl std::fmt::Debug for Messages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Messages").field("servers", &self.all.len()).finish()
    }
}

impl Subscription {
    pub(crate) fn new(servers: Vec<PubSub>) -> Self {
        let mut sinks = Vec::new();
        let mut streams = Vec::new();
        for server in servers {
            let (sink, stream) = server.split();
            sinks.push(sink);
            // The end of one ends them all.
            let stream = stream.map(Some).chain(futures_util::stream::once(std::future::ready(None)));
            streams.push(Box::pin(stream) as Pin<Box<dyn Stream<Item = Option<Msg>> + Send + Sync>>);
        }
        Self { pulse: Pulse { sinks }, messages: Messages { all: select_all(streams) } }
    }

    /// The next message; `None` after one of the servers has closed its connection.
    pub async fn next(&mut self) -> Option<Msg> {
        self.messages.next().await
    }

    /// Both halves, for two tasks.
    #[must_use]
    pub fn split(self) -> (Pulse, Messages) {
        (self.pulse, self.messages)
    }
}

impl Pulse {
    /// Waits until every server has answered a ping, for `patience` at most.
    ///
    /// # Errors
    /// The error of Redis: of one is enough.
    pub async fn beat(&mut self, patience: Duration) -> RedisResult<()> {
        let pings = self.sinks.iter_mut().map(|sink| sink.ping::<Value>());
        open::within(patience, try_join_all(pings)).await.map(|_| ())
    }
}

impl Messages {
    /// The next message; `None` after one of the servers has closed its connection.
    pub async fn next(&mut self) -> Option<Msg> {
        self.all.next().await.flatten()
    }
}
