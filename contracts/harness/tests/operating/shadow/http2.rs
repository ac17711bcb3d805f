//! Comparison of backends that speak HTTP/2 without TLS.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use harness::{Backend, EdgeBuilder, Part, Port};
use serde_json::json;

use super::{Shadowed, http as http1, places, requested};

/// The answer for a path: header lines and a body.
type Answers = BTreeMap<&'static str, (Vec<(&'static str, &'static str)>, String)>;

/// A backend that speaks only HTTP/2. It stops when it is dropped.
struct Http2 {
    port: Port,
    _runtime: tokio::runtime::Runtime,
}

impl Http2 {
    fn answering(answers: Answers) -> Self {
        let port = Port::lease();
        let address = port.address();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.expect("a runtime");
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::bind(address).await.expect("a leased port can be bound");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, answers.clone()));
            }
        });
        Self { port, _runtime: runtime }
    }

    fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

async fn serve(stream: tokio::net::TcpStream, answers: Answers) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let found = answers.get(request.uri().path()).cloned();
        let (lines, body) = found.unwrap_or_else(|| (Vec::new(), "same".to_owned()));
        let mut answer = http::Response::builder().status(200);
        for (name, value) in lines {
            answer = answer.header(name, value);
        }
        let answer = answer.body(()).expect("an answer");
        let is_head = request.method() == http::Method::HEAD;
        let Ok(mut stream) = respond.send_response(answer, is_head) else { return };
        if !is_head {
            let _ = stream.send_data(body.into(), true);
        }
    }
}

fn legacy_speaks(edge: EdgeBuilder, backend: &Http2) -> EdgeBuilder {
    let said = "  legacy:\n";
    edge.replace(said, &format!("{said}    protocol: http2\n")).stand_in("LEGACY_ADDRESS", backend.address())
}

fn users_speaks(edge: EdgeBuilder, backend: &Http2) -> EdgeBuilder {
    edge.replace("  users: { address", "  users: { protocol: http2, address")
        .stand_in("USERS_ADDRESS", backend.address())
}

const OPEN: &str = "  - { name: open, host: api, prefix: /open, policy: public, to: legacy, shadow: users, answers: auth }\n";

/// A body larger than one flow-control window.
fn large(end: &str) -> String {
    "0123456789".repeat(50_000) + end
}

#[test]
fn the_seeded_byte_is_found_in_http_2() {
    let lines = |etag| vec![("x-first", "1"), ("etag", etag), ("set-cookie", "sid=1; Path=/; HttpOnly")];
    let turned = vec![("etag", "1"), ("x-first", "1"), ("set-cookie", "sid=1; Path=/; HttpOnly")];
    let legacy = Http2::answering(BTreeMap::from([
        ("/open/byte", (lines("1"), large("a"))),
        ("/open/header", (lines("1"), "same".to_owned())),
        ("/open/order", (lines("1"), "same".to_owned())),
        ("/open/cookie", (vec![("set-cookie", "sid=1; HttpOnly")], "same".to_owned())),
    ]));
    let users = Http2::answering(BTreeMap::from([
        ("/open/byte", (lines("1"), large("b"))),
        ("/open/header", (lines("2"), "same".to_owned())),
        ("/open/order", (turned, "same".to_owned())),
        ("/open/cookie", (vec![("set-cookie", "sid=1")], "same".to_owned())),
    ]));
    let edit = |edge| users_speaks(legacy_speaks(edge, &legacy), &users);
    let shadowed =
        Shadowed::edited(Backend::plain(), Backend::plain(), OPEN, &[Part::Authz], edit).comparator();
    assert_eq!(shadowed.edge.get("/open/byte").send().body.len(), 500_001);
    for path in ["/open/header", "/open/order", "/open/cookie", "/open/same"] {
        assert_eq!(shadowed.edge.get(path).send().text(), "same", "{path}");
    }
    assert_eq!(shadowed.edge.request("HEAD", "/open/same").send().status, 200);
    let route = shadowed.done("open", 6);
    assert_eq!(route["compared"], 6, "{route:#}");
    let kinds: Vec<_> =
        places(&route).iter().map(|at| at.split(' ').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(kinds, ["body_text", "header_order", "header_value", "set_cookie_attributes"], "{route:#}");
    assert_eq!(route["notes"], json!({}), "nothing else differs: {route:#}");
}

/// The reference speaks HTTP/1.1 and the shadow HTTP/2: the report shows parts that only one protocol carries as
/// clients on HTTP/1.1 would see them.
#[test]
fn beside_http_1_only_differences_that_a_client_sees_count() {
    let legacy = Backend::with(|seen| {
        let name = if requested(seen, "/open/case") { "X-Name" } else { "x-name" };
        http1(&format!("{name}: 1\r\n"), "same")
    });
    let users = Http2::answering(BTreeMap::from([
        ("/open/case", (vec![("x-name", "1")], "same".to_owned())),
        ("/open/same", (vec![("x-name", "1")], "same".to_owned())),
        ("/open/byte", (vec![("x-name", "1")], "sane".to_owned())),
    ]));
    let edit = |edge| users_speaks(edge, &users);
    let shadowed = Shadowed::edited(legacy, Backend::plain(), OPEN, &[Part::Authz], edit).comparator();
    for path in ["/open/same", "/open/case", "/open/byte"] {
        assert_eq!(shadowed.edge.get(path).send().text(), "same");
    }
    let route = shadowed.done("open", 3);
    assert_eq!(places(&route), ["body_text", "header_case x-name"], "{route:#}");
    assert_eq!(route["equal"], 1, "{route:#}");
    assert_eq!(route["notes"], json!({ "framing": 3, "version": 3 }), "{route:#}");
}
