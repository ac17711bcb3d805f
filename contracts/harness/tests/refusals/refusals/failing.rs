//! Backends that fail in one way each.

use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use harness::{Backend, Edge, Port, pause};

/// Backends that fail in one way each, behind public routes with JSON answers (`/json/KIND`) and with bare ones
/// (`/bare/KIND`).
pub(crate) struct Failing {
    pub(crate) edge: Edge,
    _kept: Vec<Backend>,
    _ports: Vec<Port>,
}

/// A port whose connections are accepted and reset before any answer.
fn resetting() -> Port {
    let port = Port::lease();
    let listener = TcpListener::bind(port.address()).expect("a leased port can be bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Unread bytes make the system send a reset.
            let _ = stream.peek(&mut [0]);
            drop(stream);
        }
    });
    port
}

pub(crate) const KINDS: [(&str, u16, &str); 7] = [
    ("gone", 503, "UF"),
    ("hangs-up", 503, "UC"),
    ("resets", 503, "UC"),
    ("garbage", 502, "UPE"),
    ("slow", 504, "UT"),
    ("full", 503, "UO"),
    ("nowhere", 503, "UH"),
];

pub(crate) fn failing() -> Failing {
    let gone = Port::lease();
    let resets = resetting();
    let hangs_up = Backend::answering("");
    let garbage = Backend::answering("what is this\r\n\r\n");
    let slow = Backend::with(|_| {
        pause(Duration::from_secs(5), "slower than `request_timeout_ms`");
        Vec::new()
    });
    let backends = [
        format!("  gone: {{ address: \"{}\", retries: {{ attempts: 0 }} }}\n", gone.address()),
        format!("  hangs-up: {{ address: \"{}\", retries: {{ attempts: 0 }} }}\n", hangs_up.address()),
        format!("  resets: {{ address: \"{}\", retries: {{ attempts: 0 }} }}\n", resets.address()),
        format!("  garbage: {{ address: \"{}\", retries: {{ attempts: 0 }} }}\n", garbage.address()),
        format!("  slow: {{ address: \"{}\", request_timeout_ms: 400 }}\n", slow.address()),
        format!("  full: {{ address: \"{}\", circuit: {{ requests: 1 }} }}\n", slow.address()),
        // No address at all.
        "  nowhere: { address: \"nowhere.invalid:80\" }\n".to_owned(),
    ];
    let routes: String = KINDS
        .iter()
        .flat_map(|(kind, _, _)| {
            [("json", "library"), ("bare", "auth")].map(|(words, answers)| {
                format!(
                    "  - {{ name: {words}-{kind}, host: api, prefix: /{words}/{kind}, policy: public, to: {kind}, answers: {answers} }}\n"
                )
            })
        })
        .collect();
    let edge = Edge::dev()
        .json_library()
        .replace("backends:\n", &format!("backends:\n{}", backends.concat()))
        .replace("routes:\n", &format!("routes:\n{routes}"))
        .start();
    Failing { edge, _kept: vec![hangs_up, garbage, slow], _ports: vec![gone, resets] }
}
