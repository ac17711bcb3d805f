//! The development edge with leases, as a team that needs speed would configure it.

/// The beginning of the measured policy in the development edge: every request is a full check.
const CHECKED: &str = "signed-in: { kind: session";

/// The same with leases of the longest lifetime, and uses for a client that only sends requests.
const LEASED: &str = "signed-in: { kind: session, lease: { seconds: 25, uses: 100000 }";

/// Slots for every session of a crowd of a hundred thousand; the default of 16,384 would measure evictions.
const ROOM: &str = "\nleases: { slots: 262144 }\n\npolicies:\n";

/// `text` with leases on the measured policy.
///
/// # Panics
/// When the development edge's policy is written in another way: then this file has to be changed, too.
pub(crate) fn with_leases(text: &str) -> String {
    assert!(text.contains(CHECKED), "envoy/edges/dev.yaml has no `{CHECKED}`; change the benchmark, too");
    text.replace(CHECKED, LEASED).replacen("\npolicies:\n", ROOM, 1)
}

#[cfg(test)]
mod tests {
    use super::with_leases;

    /// Both texts that are measured: the one for the edge alone, and the shipped one with the services.
    #[test]
    fn the_development_edge_takes_leases() {
        let shipped = harness::repository().join("envoy/edges/dev.yaml");
        let shipped = std::fs::read_to_string(shipped).expect("the edge file is readable");
        for text in [harness::Edge::dev_text(), shipped] {
            let leased = with_leases(&text);
            assert!(leased.contains("lease: { seconds: 25") && leased.contains("slots: 262144"), "{leased}");
        }
    }
}
