//! The limits of the wire: what an edge file may say, the defaults, and the faults beyond Envoy's own range.

use std::path::Path;
use std::time::Duration;

use edge_config::Edge;
use edge_config::edge::{AnswerHeads, RouteTimes, WireLimits};

fn read(listener: &str, backend: &str, route: &str) -> Result<Edge, String> {
    let text = format!(
        "edge: small\nlisteners: {{ public: {{ address: 127.0.0.1:8080{listener} }} }}\nhosts: {{ api: {{ names: [api.test] }} }}\n\
         backends: {{ legacy: {{ address: 127.0.0.1:3000{backend} }} }}\npolicies: {{ public: {{ kind: public }} }}\n\
         routes:\n  - {{ name: all, host: api, prefix: /, methods: [GET], policy: public, to: legacy{route} }}\n"
    );
    edge_config::parse(Path::new("edge.yaml"), &text, &|_| None).map_err(|faults| faults.to_string())
}

#[test]
fn every_limit_has_a_default_and_is_read_as_written() {
    let edge = read("", "", "").unwrap();
    assert_eq!(edge.listeners.get("public").unwrap().wire, WireLimits::default());
    assert_eq!(edge.backends.get("legacy").unwrap().answer, AnswerHeads { headers: 1_000, header_kib: 256 });
    assert_eq!(edge.routes.first().unwrap().times, RouteTimes::default());

    let wire = ", wire: { headers: 7, header_limit: 128KiB, header_timeout_ms: 1, request_timeout_ms: 2, idle_timeout_ms: 3, \
                connection_idle_timeout_ms: 4, connection_age_ms: 5, streams: 6 }";
    let edge =
        read(wire, ", answer: { headers: 8, header_limit: 8MiB }", ", timeout_ms: 9, idle_timeout_ms: 10")
            .unwrap();
    let ms = Duration::from_millis;
    assert_eq!(
        edge.listeners.get("public").unwrap().wire,
        WireLimits {
            headers: 7,
            header_kib: 128,
            header_timeout: ms(1),
            request_timeout: ms(2),
            idle_timeout: ms(3),
            connection_idle_timeout: ms(4),
            connection_age: ms(5),
            streams: 6,
        }
    );
    assert_eq!(edge.backends.get("legacy").unwrap().answer, AnswerHeads { headers: 8, header_kib: 8_192 });
    for (text, bytes) in [("0", 0), ("1000", 1_000), ("64KiB", 65_536), ("1MiB", 1_048_576)] {
        let edge = read("", "", &format!(", body_limit: {text}")).unwrap();
        assert_eq!(edge.routes.first().unwrap().body_limit, Some(bytes), "{text}");
    }
    let times = RouteTimes { timeout: Some(ms(9)), idle_timeout: Some(ms(10)) };
    assert_eq!(edge.routes.first().unwrap().times, times);
}

#[test]
fn what_envoy_would_refuse_is_a_fault_with_its_range() {
    for (listener, problem, fix) in [
        ("headers: 0", "`headers` of `wire` of listener `public` is 0", "from 1 to 10000"),
        ("headers: 10001", "`headers` of `wire`", "from 1 to 10000"),
        ("header_limit: 9MiB", "`header_limit` of `wire`", "1024 to 8388608"),
        ("header_limit: 0", "`header_limit` of `wire`", "1024"),
        ("header_limit: 1500", "is 1500 bytes", "whole KiB"),
        ("header_limit: 1GiB", "`header_limit` of `wire`", "64KiB"),
        ("header_timeout_ms: 0", "`header_timeout_ms`", "from 1 to 86400000"),
        ("header_timeout_ms: 300001", "longer than the whole request", "raise `request_timeout_ms`"),
        ("request_timeout_ms: 86400001", "`request_timeout_ms`", "86400000"),
        ("idle_timeout_ms: 0", "`idle_timeout_ms`", "from 1"),
        ("connection_idle_timeout_ms: -1", "`connection_idle_timeout_ms`", "from 1"),
        ("connection_age_ms: 2678400001", "`connection_age_ms`", "2678400000"),
        ("streams: 0", "`streams`", "from 1 to 10000"),
        ("body: 1", "no field `body`", ""),
    ] {
        let message = read(&format!(", wire: {{ {listener} }}"), "", "").unwrap_err();
        assert!(message.contains(problem) && message.contains(fix), "{listener}: {message}");
    }
    for (backend, problem, fix) in [
        ("headers: 0", "`headers` of `answer` of backend `legacy`", "from 1 to 10000"),
        ("header_limit: 8193KiB", "`header_limit` of `answer`", "8388608"),
    ] {
        let message = read("", &format!(", answer: {{ {backend} }}"), "").unwrap_err();
        assert!(message.contains(problem) && message.contains(fix), "{backend}: {message}");
    }
    for (route, problem, fix) in [
        ("timeout_ms: 0", "`timeout_ms` of route `all` is 0", "from 1"),
        ("idle_timeout_ms: 86400001", "`idle_timeout_ms` of route `all`", "86400000"),
        ("body_limit: -1", "`body_limit` of route `all`", "from 0"),
        ("body_limit: 1GB", "`body_limit` of route `all` is \"1GB\"", "64KiB"),
        ("body_limit: 9, upgrade: websocket", "`body_limit` and `upgrade: websocket`", "remove one"),
        ("timeout_ms: 9, stream: true", "`timeout_ms` and `stream: true`", "`idle_timeout_ms`"),
        ("timeout_ms: 9, upgrade: websocket", "`timeout_ms` and `upgrade: websocket`", "remove one"),
    ] {
        let message = read("", "", &format!(", {route}")).unwrap_err();
        assert!(message.contains(problem) && message.contains(fix), "{route}: {message}");
    }
    assert!(read("", "", ", stream: true, idle_timeout_ms: 9").is_ok());
}
