//! The audit: one JSON event for each decision of consequence and each change of the state behind decisions.
//!
//! Two sinks, each with a bounded queue of its own: a [`file`] that is rotated before it fills the disk, and
//! RabbitMQ ([`broker`]). Putting an event into a queue never waits: without room it is dropped and counted
//! as `authz_audit_dropped_total{sink}`. Refusals of unverified callers take at most half of a queue. The
//! fields are a stable interface; see docs/observability.md.

pub mod broker;
pub mod event;
pub mod file;
pub mod sink;

use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use clock::Clock;
use identity::TenantId;

use crate::observe::audit::broker::Broker;
use crate::observe::audit::event::{Body, Event};
use crate::observe::audit::file::FileSink;
use crate::observe::audit::sink::Counts;
use crate::observe::record::Record;

/// The entrance for events.
#[derive(Debug)]
pub struct Audit {
    clock: Arc<dyn Clock>,
    random: SystemRandom,
    file: Option<file::Queue>,
    broker: Option<broker::Queue>,
}

/// Keeps the sinks. Dropping it writes the queued events, within a few seconds.
#[derive(Debug, Default)]
pub struct Sinks {
    file: Option<FileSink>,
    broker: Option<Broker>,
}

impl Audit {
    /// An audit without a sink.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, random: SystemRandom::new(), file: None, broker: None }
    }

    /// Also writes events to `path`.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn to_file(&mut self, path: &Path, counts: Counts, sinks: &mut Sinks) -> std::io::Result<()> {
        let (queue, sink) = file::open(path, file::Limits::default(), counts)?;
        self.file = Some(queue);
        sinks.file = Some(sink);
        Ok(())
    }

    /// Also publishes events to `address`.
    ///
    /// # Errors
    /// When the system cannot start a thread.
    pub fn to_broker(
        &mut self,
        address: broker::Address,
        counts: Counts,
        sinks: &mut Sinks,
    ) -> std::io::Result<()> {
        let (queue, sink) = broker::open(address, counts)?;
        self.broker = Some(queue);
        sinks.broker = Some(sink);
        Ok(())
    }

    /// Records a decision of consequence.
    pub fn decision(&self, record: &Arc<Record>) {
        self.put(Body::Decision(Arc::clone(record)));
    }

    /// Records that the edge file was applied or refused.
    pub fn edge_reload(&self, result: &'static str, revision: &str, problem: Option<&str>) {
        self.put(Body::EdgeReload {
            result,
            revision: revision.to_owned(),
            problem: problem.map(str::to_owned),
        });
    }

    /// Records a start or an end of the process.
    pub fn admin(&self, action: &'static str, detail: String) {
        self.put(Body::Admin { action, detail });
    }

    /// Records a change of a tenant's status. `to` is absent for a removed tenant.
    pub fn tenant(&self, tenant: &TenantId, from: Option<&'static str>, to: Option<&'static str>) {
        self.put(Body::Tenant { tenant: tenant.to_string(), from, to });
    }

    fn put(&self, body: Body) {
        let time = self.clock.now();
        let mut random = [0; 10];
        // Without randomness the time still makes the id unique, except within the same millisecond.
        let _ = self.random.fill(&mut random);
        let id = uuid::Builder::from_unix_timestamp_millis(time.millis(), &random).into_uuid();
        let event = Arc::new(Event { id, time, body });
        if let Some(file) = &self.file {
            file.put(Arc::clone(&event));
        }
        if let Some(broker) = &self.broker {
            broker.put(event);
        }
    }
}
