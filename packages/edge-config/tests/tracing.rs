//! Traces, in an edge file.

use std::path::Path;

use edge_config::edge::{Percent, TrustIncoming};
use edge_config::{Edge, Faults};

#[expect(clippy::expect_used, reason = "a test without the development edge has nothing to test")]
fn dev_with(tracing: &str) -> Result<Edge, Faults> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(&file).expect("the development edge is there");
    let text = text.replacen("\nroutes:\n", &format!("\n{tracing}\nroutes:\n"), 1);
    edge_config::parse(&file, &text, &|_| None)
}

#[test]
fn a_collector_a_share_and_whose_traces_are_continued() {
    assert_eq!(dev_with("").unwrap().tracing, None);
    let tracing = |text: &str| dev_with(text).unwrap().tracing.unwrap();
    let short = tracing("tracing: { collector: \"127.0.0.1:4317\" }");
    assert_eq!((short.collector.host.as_str(), short.collector.port), ("127.0.0.1", 4317));
    assert_eq!((short.sample, short.trust_incoming), (Percent::whole(1).unwrap(), TrustIncoming::Services));
    let full =
        tracing("tracing: { collector: otel.internal:4317, sample_percent: 0.125, trust_incoming: never }");
    assert_eq!(
        (full.sample, full.trust_incoming),
        (Percent::of_thousandths(125).unwrap(), TrustIncoming::Never)
    );
}

#[test]
fn each_of_these_is_a_fault_of_tracing() {
    for (tracing, part) in [
        ("tracing: {}", "`tracing` has no `collector`"),
        ("tracing: { collector: here }", "`collector` of `tracing`"),
        ("tracing: { collector: \"http://127.0.0.1:4317\" }", "`collector` of `tracing`"),
        ("tracing: { collector: \"127.0.0.1:4317\", sample_percent: 101 }", "`sample_percent` of `tracing`"),
        (
            "tracing: { collector: \"127.0.0.1:4317\", sample_percent: 0.0001 }",
            "`sample_percent` of `tracing`",
        ),
        (
            "tracing: { collector: \"127.0.0.1:4317\", trust_incoming: trusted }",
            "`trust_incoming` of `tracing`",
        ),
        ("tracing: { collector: \"127.0.0.1:4317\", sample: 1 }", "has no field `sample`"),
        ("tracing: true", "`tracing`"),
    ] {
        let faults = dev_with(tracing).unwrap_err().to_string();
        assert!(faults.contains(part), "{tracing}: {faults}");
    }
}
