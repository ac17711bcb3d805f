//! The section `tracing`.

use crate::edge::{Endpoint, Percent, Tracing, TrustIncoming};
use crate::node::Node;
use crate::reader::{self, Context, Fields, choice};

const MEND: &str = "write a host and a port, such as 127.0.0.1:4317";

/// One percent: an edge with a thousand requests a second sends ten spans a second, and a failure that concerns one in a
/// hundred requests is still found within minutes.
const SAMPLE_PERCENT: u8 = 1;

pub(crate) fn read(context: Context<'_>, node: &Node) -> Option<Tracing> {
    let mut fields = Fields::of(context, node, "`tracing`");
    let collector = fields
        .required("collector", "name the OpenTelemetry collector: `collector: 127.0.0.1:4317`")
        .and_then(|n| reader::parsed::<Endpoint>(context, n, "`collector` of `tracing`", MEND));
    let sample = fields.optional("sample_percent").map_or_else(
        || Percent::whole(SAMPLE_PERCENT),
        |n| reader::percent(context, n, "`sample_percent` of `tracing`"),
    );
    let choices = [TrustIncoming::Never, TrustIncoming::Services, TrustIncoming::Always];
    let trust_incoming = fields.optional("trust_incoming").map_or(Some(TrustIncoming::default()), |n| {
        choice(context, n, "`trust_incoming` of `tracing`", &choices.map(|it| (it.as_str(), it)))
    });
    fields.finish();
    Some(Tracing { collector: collector?, sample: sample?, trust_incoming: trust_incoming? })
}
