//! Trusted proxies and the PROXY protocol in the edge file: what may be written, and each wrong way with its mend.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use edge_config::edge::{ForwardedBy, Http10, ProxyProtocol, TrustedProxies};
use edge_config::{Edge, Faults, Severity, inspect_text, parse};

const PUBLIC: &str = "127.0.0.1:8080}\", exposure: public }";
const INTERNAL: &str = "127.0.0.1:8081}\", exposure: internal }";

fn text(of: &str, choices: &str) -> String {
    let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(dev).unwrap();
    assert!(text.contains(of));
    text.replacen(of, &of.replace(" }", &format!(", {choices} }}")), 1)
}

fn read(choices: &str) -> Result<Edge, Faults> {
    parse(Path::new("edge.yaml"), &text(PUBLIC, choices), &|_| None)
}

#[test]
fn a_list_and_a_mapping_say_the_same() {
    let proxies = |choices: &str| read(choices).unwrap().listeners["public"].trusted_proxies.clone();
    let usual = TrustedProxies {
        addresses: ["10.0.0.0/8", "2001:db8::/32"].map(|range| range.parse().unwrap()).to_vec(),
        header: ForwardedBy::XForwardedFor,
        hops: 1,
        passes_host: false,
    };
    let list = "[10.0.0.0/8, \"2001:db8::/32\"]";
    assert_eq!(proxies(&format!("trusted_proxies: {list}")), Some(usual.clone()));
    assert_eq!(proxies(&format!("trusted_proxies: {{ addresses: {list} }}")), Some(usual.clone()));
    let all = format!("trusted_proxies: {{ addresses: {list}, header: forwarded, hops: 2, host: pass }}");
    let other = TrustedProxies { header: ForwardedBy::Forwarded, hops: 2, passes_host: true, ..usual };
    assert_eq!(proxies(&all), Some(other));
    assert_eq!(proxies("http_1_0: refuse"), None);
    let edge = read("trusted_proxies: [10.0.0.0/8], proxy_protocol: required, http_1_0: trusted").unwrap();
    let public = &edge.listeners["public"];
    assert_eq!((public.proxy_protocol, public.http_10), (Some(ProxyProtocol::Required), Http10::FromProxies));
}

#[test]
fn each_of_these_is_a_fault() {
    for (choices, expected) in [
        ("trusted_proxies: []", "has no address: no proxy would be trusted"),
        ("trusted_proxies: [0.0.0.0/0]", "every client could name any address as its own"),
        ("trusted_proxies: [\"::/0\"]", "every client could name any address as its own"),
        ("trusted_proxies: [10.0.0.1]", "write an address and a length"),
        ("trusted_proxies: [10.0.0.1/8]", "write 10.0.0.0/8 for the range"),
        ("trusted_proxies: [balancer.internal]", "write an address and a length"),
        ("trusted_proxies: [10.0.0.0/8, 10.1.0.0/16]", "which another range of the list covers"),
        ("trusted_proxies: 10.0.0.0/8", "`trusted_proxies` of listener `public`"),
        ("trusted_proxies: { header: forwarded }", "list the addresses of the proxies"),
        ("trusted_proxies: { addresses: [10.0.0.0/8], header: x-real-ip }", "x-real-ip"),
        ("trusted_proxies: { addresses: [10.0.0.0/8], hops: 0 }", "write a whole number from 1 to 9"),
        ("trusted_proxies: { addresses: [10.0.0.0/8], hops: 10 }", "write a whole number from 1 to 9"),
        ("trusted_proxies: { addresses: [10.0.0.0/8], host: keep }", "keep"),
        ("trusted_proxies: { addresses: [10.0.0.0/8], headers: forwarded }", "did you mean `header`?"),
        ("proxy_protocol: optional", "has `proxy_protocol` and no `trusted_proxies`"),
        ("proxy_protocol: required", "has `proxy_protocol` and no `trusted_proxies`"),
        ("trusted_proxies: [10.0.0.0/8], proxy_protocol: v2", "`proxy_protocol` is \"v2\""),
        ("trusted_proxies: [10.0.0.0/8], proxy_protocol: true", "`proxy_protocol`"),
        ("http_1_0: trusted", "has `http_1_0: trusted` and no `trusted_proxies`"),
    ] {
        let faults = read(choices).unwrap_err().to_string();
        assert!(faults.contains(expected), "{choices} should say {expected:?}:\n{faults}");
        assert!(faults.contains("edge.yaml:12:") || faults.contains("edge.yaml:13:"), "{choices}: {faults}");
    }
}

#[test]
fn wide_ranges_and_proxies_of_an_internal_listener_are_warned_of() {
    for (of, choices, expected) in [
        (PUBLIC, "trusted_proxies: [0.0.0.0/1]", "wider than any network of one organisation"),
        (PUBLIC, "trusted_proxies: [\"2000::/3\"]", "wider than any network of one organisation"),
        (INTERNAL, "trusted_proxies: [10.0.0.0/8]", "internal paths are open to what they pass on"),
    ] {
        let (_, warnings) = inspect_text(Path::new("edge.yaml"), &text(of, choices), &|_| None).unwrap();
        assert!(!warnings.prevent());
        let said = warnings.to_string();
        assert!(said.contains(expected), "{choices}: {said}");
        assert!(warnings.faults.iter().all(|fault| fault.severity == Severity::Warning));
    }
}
