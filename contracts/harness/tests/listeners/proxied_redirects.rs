//! A listener that redirects to https, behind proxies that may end TLS.

use harness::wire::Answer;
use harness::{Backend, Edge, Part};

/// An address of 127.0.1.0/24, which the edges here trust.
const PROXY: &str = "127.0.1.1";
const STRANGER: &str = "127.0.2.1";

const PUBLIC: &str = "127.0.0.1:8080}\", exposure: public }";

fn edge(backend: &Backend, choices: &str) -> Edge {
    Edge::dev()
        .replace(PUBLIC, &PUBLIC.replace(" }", &format!(", {choices} }}")))
        .with_open_route()
        .every_backend(backend.address())
        .without(Part::Authz)
        .start()
}

/// A balancer that ends TLS sends its clients' requests in the clear: those are served, and only the others redirected.
#[test]
fn a_redirect_to_https_ends_where_a_trusted_proxy_says_that_the_client_came_by_it() {
    let backend = Backend::plain();
    for (choice, header, https, http) in [
        ("trusted_proxies: [127.0.1.0/24]", "x-forwarded-proto", "https", "http"),
        (
            "trusted_proxies: { addresses: [127.0.1.0/24], header: forwarded }",
            "forwarded",
            "for=198.51.100.7;proto=https",
            "for=198.51.100.7;proto=http",
        ),
    ] {
        let edge = edge(&backend, &format!("{choice}, redirect: {{ https: 8443 }}"));
        let ask = |source: &str, target: &str, value: &str| -> Answer {
            edge.get(target).from(source).host("localhost").header(header, value).send()
        };
        let before = backend.seen().len();
        for (source, target, value) in [
            (PROXY, "/open/1", http),
            (PROXY, "/open/1", ""),
            (STRANGER, "/open/1", https),
            (STRANGER, "/nowhere", https),
        ] {
            let answer = ask(source, target, value);
            assert_eq!(answer.status, 308, "{source} {target} {value}: {answer:?}");
            let location =
                String::from_utf8_lossy(answer.header("location").unwrap_or_default()).into_owned();
            assert_eq!(location, format!("https://localhost:8443{target}"));
        }
        assert_eq!(backend.seen().len(), before);
        assert_eq!(ask(PROXY, "/open/1", https).status, 200);
        assert_eq!(backend.last().all("x-forwarded-proto"), ["https"]);
        assert_eq!(ask(PROXY, "/internal/1", https).status, 404);
        let explained = |client: &str| {
            let line = format!("{header}: {https}");
            edge.explain(&[
                "GET http://localhost/open/1",
                "--client",
                client,
                "-H",
                &line,
                "--listener",
                "public",
            ])
        };
        assert_eq!(explained(PROXY)["route"], "open");
        assert_eq!(explained(STRANGER)["answer"]["status"], 308, "{:#}", explained(STRANGER));
    }
}
