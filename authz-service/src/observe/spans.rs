//! Sends one OpenTelemetry span for each decision to a collector over OTLP (gRPC).
//!
//! Only when a collector is configured; otherwise nothing here exists and a decision pays for reading one
//! empty cell. A span goes into a bounded queue, and a task of its own sends the queued spans in batches: a
//! slow or unavailable collector costs spans, which are counted, and never a decision.
//!
//! When Envoy traces, its call carries a W3C `traceparent`, and the span is a child of Envoy's. Otherwise one in the request
//! is continued, and without one a span begins a trace. A permit whose parent is not sampled has no span; a refusal and a
//! failure have one in any case, so that no flag of a client hides them. Attributes are names from the edge file, codes from the
//! source and verified ids; the types cannot hold a token, a cookie or a key.

use std::fmt;
use std::time::{Duration, SystemTime};

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use clock::UnixTime;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use prometheus::IntCounter;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::check::CheckInput;
use crate::decision::Decision;
use crate::observe::name::cut;
use crate::verdict::Verdict;
use crate::who::{Caller, Who};

/// The variable that names the collector: `http://HOST:PORT` (OpenTelemetry's own variable).
pub const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// How many spans wait: about 2 MB. Without room a span is dropped and counted.
const MAX_WAITING: usize = 2_048;

/// How many spans are sent at once, as in OpenTelemetry's own batches.
const MAX_BATCH: usize = 512;

/// How long the first span of a batch waits for others.
const GATHER: Duration = Duration::from_millis(500);

/// How long the collector may take for a batch; after that the batch is dropped and counted.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long shutdown waits for the last batches.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The header that continues a trace (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";

/// Counters of spans by result.
#[derive(Clone, Debug)]
pub struct Counts {
    /// Accepted by the collector.
    pub exported: IntCounter,
    /// Dropped for lack of room in the queue.
    pub dropped: IntCounter,
    /// Dropped because the collector did not accept them.
    pub failed: IntCounter,
}

/// An unusable collector address.
#[derive(Debug, thiserror::Error)]
#[error("{ENDPOINT} cannot be used ({0}); write http://HOST:PORT of an OTLP collector that speaks gRPC")]
pub struct CannotExport(#[from] ExporterBuildError);

/// The entrance for spans.
pub struct Spans {
    queue: mpsc::Sender<SpanData>,
    random: SystemRandom,
    scope: InstrumentationScope,
    dropped: IntCounter,
}

impl fmt::Debug for Spans {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spans").finish_non_exhaustive()
    }
}

/// The task that sends.
#[derive(Debug)]
pub struct Exporting {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Exporting {
    /// Sends the queued spans, within two seconds, and ends.
    pub async fn finish(self) {
        let Self { end, mut task } = self;
        // Fails only when the task has already ended.
        let _ = end.send(());
        if timeout(LAST_WORDS, &mut task).await.is_err() {
            task.abort();
        }
    }
}

/// Spans to the collector at `endpoint`, with the edge `edge` as their source. The connection is opened with
/// the first span, on the tokio runtime around the call.
///
/// # Errors
/// [`CannotExport`] when `endpoint` is not a valid address, or uses TLS: a collector belongs on the same
/// machine or in the same trusted network, as Envoy's does.
pub fn open(endpoint: &str, edge: &str, counts: Counts) -> Result<(Spans, Exporting), CannotExport> {
    let mut exporter =
        SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT).build()?;
    let version = env!("CARGO_PKG_VERSION");
    let named = [("service.name", "authz-service"), ("service.version", version), ("cutover.edge", edge)];
    let named = named.map(|(name, value)| KeyValue::new(name, value.to_owned()));
    exporter.set_resource(&Resource::builder_empty().with_attributes(named).build());
    let (queue, waiting) = mpsc::channel(MAX_WAITING);
    let (end, ended) = oneshot::channel();
    let dropped = counts.dropped.clone();
    let task = tokio::spawn(run(waiting, exporter, counts, ended));
    let scope = InstrumentationScope::builder("authz-service").with_version(version).build();
    Ok((Spans { queue, random: SystemRandom::new(), scope, dropped }, Exporting { end, task }))
}

async fn run(
    mut waiting: mpsc::Receiver<SpanData>,
    exporter: SpanExporter,
    counts: Counts,
    mut ended: oneshot::Receiver<()>,
) {
    let mut fails = false;
    loop {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        let until = tokio::select! {
            received = waiting.recv_many(&mut batch, MAX_BATCH) => {
                if received == 0 {
                    return;
                }
                Instant::now() + GATHER
            }
            // The queued spans are still sent; `recv_many` returns nothing after the last one.
            _ = &mut ended, if !waiting.is_closed() => {
                waiting.close();
                continue;
            }
        };
        while batch.len() < MAX_BATCH && !waiting.is_closed() {
            let room = MAX_BATCH - batch.len();
            tokio::select! {
                more = timeout_at(until, waiting.recv_many(&mut batch, room)) => {
                    if more.is_err() {
                        break;
                    }
                }
                _ = &mut ended => waiting.close(),
            }
        }
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        match exporter.export(batch).await {
            Ok(()) => {
                counts.exported.inc_by(count);
                if std::mem::take(&mut fails) {
                    tracing::info!("span collector available again");
                }
            }
            Err(error) => {
                counts.failed.inc_by(count);
                if !std::mem::replace(&mut fails, true) {
                    tracing::warn!(%error, "span collector unavailable; spans are dropped and counted");
                }
            }
        }
    }
}

impl Spans {
    /// Records `verdict` on `input`, which was made at `now` after `took`; `traceparent` is that of Envoy's call. Never waits.
    pub fn record(
        &self,
        verdict: &Verdict,
        input: Option<&CheckInput<'_>>,
        traceparent: Option<&str>,
        (now, took): (UnixTime, Duration),
    ) {
        let parent = traceparent.and_then(read_parent).or_else(|| input.and_then(parent));
        let is_permit = matches!(verdict.decision, Decision::Allow(_));
        if is_permit && parent.as_ref().is_some_and(|parent| !parent.is_sampled()) {
            return;
        }
        let Some(span) = self.span(verdict, input, parent.as_ref(), now, took) else {
            self.dropped.inc();
            return;
        };
        if self.queue.try_send(span).is_err() {
            self.dropped.inc();
        }
    }

    fn span(
        &self,
        verdict: &Verdict,
        input: Option<&CheckInput<'_>>,
        parent: Option<&SpanContext>,
        now: UnixTime,
        took: Duration,
    ) -> Option<SpanData> {
        let (mut trace, mut own) = ([0; 16], [0; 8]);
        self.random.fill(&mut own).ok()?;
        let trace_id = match parent {
            Some(parent) => parent.trace_id(),
            None => {
                self.random.fill(&mut trace).ok()?;
                TraceId::from_bytes(trace)
            }
        };
        let flags = TraceFlags::SAMPLED;
        let own = SpanId::from_bytes(own);
        let end_time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(now.millis()))?;
        Some(SpanData {
            span_context: SpanContext::new(trace_id, own, flags, false, TraceState::NONE),
            parent_span_id: parent.map_or(SpanId::INVALID, SpanContext::span_id),
            parent_span_is_remote: parent.is_some(),
            span_kind: SpanKind::Server,
            name: "check".into(),
            start_time: end_time.checked_sub(took)?,
            end_time,
            attributes: attributes(verdict, input),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: match &verdict.decision {
                // A refusal is a normal result; only the inability to decide is an error.
                Decision::Allow(_) | Decision::Deny(_) => Status::Unset,
                Decision::Fail(failure) => Status::error(failure.code()),
            },
            instrumentation_scope: self.scope.clone(),
        })
    }
}

fn attributes(verdict: &Verdict, input: Option<&CheckInput<'_>>) -> Vec<KeyValue> {
    let mut all = vec![
        KeyValue::new("cutover.decision", verdict.decision.as_str()),
        KeyValue::new("cutover.reason", verdict.decision.code()),
    ];
    if let Some(input) = input {
        all.push(KeyValue::new("cutover.request_id", input.request_id.to_owned()));
        all.push(KeyValue::new("cutover.revision", cut(input.revision).to_owned()));
        all.push(KeyValue::new("cutover.exposure", input.exposure.as_str()));
    }
    if let Some(route) = &verdict.route {
        all.push(KeyValue::new("cutover.route", route.name.to_string()));
        all.push(KeyValue::new("cutover.policy", route.policy_name.to_string()));
    }
    let (subject, tenant) = match &verdict.who {
        Who::Anyone => (None, None),
        Who::Caller(Caller::Person(person)) => {
            (Some(person.subject.to_string()), person.tenant.as_ref().map(ToString::to_string))
        }
        Who::Caller(Caller::Service(name)) => (Some(name.to_string()), None),
        Who::Caller(Caller::Client(client)) => {
            (Some(client.name.to_string()), client.tenant.as_ref().map(ToString::to_string))
        }
    };
    all.extend(subject.map(|subject| KeyValue::new("cutover.subject", subject)));
    all.extend(tenant.map(|tenant| KeyValue::new("cutover.tenant", tenant)));
    all
}

/// The span that `input` continues, when it has exactly one valid `traceparent`.
fn parent(input: &CheckInput<'_>) -> Option<SpanContext> {
    let mut lines = input.values(TRACEPARENT);
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    read_parent(std::str::from_utf8(line).ok()?)
}

/// Parses `VERSION-TRACE-SPAN-FLAGS` (W3C Trace Context §3.2): lower-case digits, no id of zeros. A future
/// version may have more fields after its flags; `ff` is not a valid version.
fn read_parent(line: &str) -> Option<SpanContext> {
    let mut parts = line.split('-');
    let mut part = |length: usize| {
        let part = parts.next()?;
        let digits = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        (part.len() == length && digits).then_some(part)
    };
    let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    if version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_in_its_one_spelling() {
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let parent = read_parent(good).unwrap();
        assert_eq!(parent.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(parent.span_id().to_string(), "b7ad6b7169203331");
        assert!(parent.is_sampled() && parent.is_remote());
        assert!(!read_parent(&good.replace("-01", "-00")).unwrap().is_sampled());
        assert!(
            read_parent(&good.replacen("00-", "01-", 1).replace("-01", "-01-more")).is_some(),
            "a later version"
        );
        for bad in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert!(read_parent(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn spans_without_room_are_counted_and_no_request_waits() {
        let dropped = IntCounter::new("dropped", "x").unwrap();
        let (queue, waiting) = mpsc::channel(2);
        let scope = InstrumentationScope::builder("test").build();
        let spans = Spans { queue, random: SystemRandom::new(), scope, dropped: dropped.clone() };
        let verdict = Verdict::failed(crate::failure::Failure::UnknownRevision, crate::verdict::last_words());
        for _ in 0..5 {
            spans.record(&verdict, None, None, (UnixTime::from_seconds(1_000), Duration::from_micros(20)));
        }
        assert_eq!((waiting.len(), dropped.get()), (2, 3));
    }
}
