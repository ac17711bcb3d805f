//! No fault shows the credentials of an address, whichever fault it is, and neither does the line that it shows.

use std::path::Path;

/// A whole edge with `with` in place of one of its lines.
fn faults(line: &str, with: &str) -> String {
    let text = "
edge: shop
listeners: { public: { address: 127.0.0.1:8080, exposure: public } }
stats: { address: 127.0.0.1:9902 }
authorizer: { address: 127.0.0.1:9191 }
backends: { shop: { address: 127.0.0.1:3000 } }
sessions: { cookie: sid, issuer: 'https://login.example.com', audience: shop }
tenants: { grpc: 'http://127.0.0.1:3026' }
browser_origins: ['https://app.example.com']
policies: { public: { kind: public }, people: { kind: session } }
hosts: { api: { names: [api.example.com] } }
routes:
  - { name: open, host: api, prefix: /open, methods: [GET], policy: public, to: shop }
";
    assert!(text.contains(line), "{line}");
    let text = text.replace(line, with);
    let environment = |name: &str| (name == "ADDRESS").then(|| "http://bob:hunter2@10.0.0.5:80/x".to_owned());
    match edge_config::inspect_text(Path::new("edge.yaml"), &text, &environment) {
        Ok((_, warnings)) => warnings.to_string(),
        Err(faults) => faults.to_string(),
    }
}

#[test]
fn no_fault_shows_the_credentials_of_an_address() {
    for (line, with, about) in [
        (
            "address: 127.0.0.1:3000",
            "address: 'http://bob:hunter2@10.0.0.5:80'",
            "the address of backend `shop`",
        ),
        ("address: 127.0.0.1:3000", "address: 'bob:hunter2@10.0.0.5:80'", "the address of backend `shop`"),
        ("address: 127.0.0.1:3000", "address: '${ADDRESS}'", "the address of backend `shop`"),
        (
            "address: 127.0.0.1:3000",
            "address: '${NONE:-http://bob:hunter2@10.0.0.5}'",
            "the address of backend `shop`",
        ),
        (
            "address: 127.0.0.1:3000",
            "addresses: ['http://bob:hunter2@10.0.0.5:80']",
            "the address of backend `shop`",
        ),
        ("address: 127.0.0.1:8080", "address: 'bob:hunter2@10.0.0.5:80'", "address"),
        ("address: 127.0.0.1:9902", "address: 'bob:hunter2@10.0.0.5:80'", "`stats`"),
        ("address: 127.0.0.1:9191", "address: 'bob:hunter2@10.0.0.5:80'", "address"),
        ("'http://127.0.0.1:3026'", "'http://bob:hunter2@127.0.0.1:3026'", "`grpc`"),
        ("['https://app.example.com']", "['https://bob:hunter2@app.example.com']", "origin"),
        ("audience: shop }", "audience: shop, keys: { url: 'https://bob:hunter2@k.test/' } }", "`url`"),
        (
            "audience: shop }",
            "audience: shop, introspection: { url: 'https://bob:hunter2@k.test/', secret_file: s } }",
            "`url` of `introspection`",
        ),
        (
            "{ kind: session }",
            "{ kind: session, sign_in: { redirect: 'https://bob:hunter2@login.test/' } }",
            "redirect",
        ),
        // A fault about something else on the line of an address.
        (
            "tenants: { grpc: 'http://127.0.0.1:3026' }",
            "legacy_sessions: { cookie: c, verify: { redis: { url: 'redis://:hunter2@127.0.0.1/', key_prefx: x } } }",
            "key_prefx",
        ),
    ] {
        let said = faults(line, with);
        assert!(said.contains(about), "{with}: {said}");
        assert!(!said.contains("hunter2"), "{with}: {said}");
    }
}
