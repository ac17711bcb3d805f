//! The audit: one JSON event for each decision of consequence and each change of what decides.
//!
//! Two sinks, each with a bounded queue of its own: a [`file`] that is rotated before it fills the disk, and
//! RabbitMQ ([`broker`]). Putting an event into a queue never waits: what has no room is dropped and counted as
//! `authz_audit_dropped_total{sink}`. Refusals of callers who proved nothing take half of a queue at the most. The fields are a promise to whoever reads them; see docs/observability.md.

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

/// Where events go in.
#[derive(Debug)]
pub struct Audit {
    clock: Arc<dyn Clock>,
    random: SystemRandom,
    file: Option<file::Queue>,
    broker: Option<broker::Queue>,
}

/// Keeps the sinks. Dropping it writes out what waits, within a few seconds.
#[derive(Debug, Default)]
pub struct Sinks {
    file: Option<FileSink>,
    broker: Option<Broker>,
}

impl Audit {
    /// An audit that goes nowhere yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, random: SystemRandom::new(), file: None, broker: None }
    }

    /// Writes events to `path`, too.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn to_file(&mut self, path: &Path, counts: Counts, sinks: &mut Sinks) -> std::io::Result<()> {
        let (queue, sink) = file::open(path, file::Limits::default(), counts)?;
        self.file = Some(queue);
        sinks.file = Some(sink);
        Ok(())
    }

    /// Publishes events to `address`, too.
    ///
    /// # Errors
    /// When the system gives no thread.
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

    /// A decision of consequence.
    pub fn decision(&self, record: &Arc<Record>) {
        self.put(Body::Decision(Arc::clone(record)));
    }

    /// The edge file was applied or refused.
    pub fn edge_reload(&self, result: &'static str, revision: &str, problem: Option<&str>) {
        self.put(Body::EdgeReload {
            result,
            revision: revision.to_owned(),
            problem: problem.map(str::to_owned),
        });
    }

    /// Somebody started or ended the process.
    pub fn admin(&self, action: &'static str, detail: String) {
        self.put(Body::Admin { action, detail });
    }

    /// The status of a tenant changed. `to` is absent when the tenant is gone.
    pub fn tenant(&self, tenant: TenantId, from: Option<&'static str>, to: Option<&'static str>) {
        self.put(Body::Tenant { tenant: tenant.to_string(), from, to });
    }

    fn put(&self, body: Body) {
        let time = self.clock.now();
        let mut random = [0; 10];
        // Without randomness the id is still unique by its time for all but the same millisecond.
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
