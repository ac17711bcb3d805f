//! Hosts on one listener or several, and what is refused about them.

use std::path::Path;

use edge_config::edge::{Edge, Exposure};

/// A small edge with two public listeners and an internal one; `hosts` is its section.
fn with(hosts: &str) -> Result<Edge, String> {
    let text = format!(
        "edge: small
listeners:
  public: {{ address: '0.0.0.0:8080' }}
  tls: {{ address: '0.0.0.0:8443', tls: {{ certificate: edge.pem, key: edge.key }} }}
  service: {{ address: '127.0.0.1:8081', exposure: internal }}
hosts: {hosts}
backends: {{ legacy: {{ address: 127.0.0.1:3000 }} }}
policies: {{ public: {{ kind: public }} }}
routes:
  - {{ name: all, host: api, prefix: /, methods: [GET], policy: public, to: legacy }}
"
    );
    edge_config::parse(Path::new("edge.yaml"), &text, &|_| None).map_err(|faults| faults.to_string())
}

#[test]
fn a_host_is_on_one_listener_or_on_several() {
    let edge = with("{ api: { listeners: [public, tls], names: [api.example.com] } }").unwrap();
    let host = &edge.hosts["api"];
    assert_eq!(host.listeners, ["public", "tls"]);
    assert_eq!(edge.exposure_of(host), Some(Exposure::Public));
    for listener in ["public", "tls", "service"] {
        let found = edge_config::host_of(&edge, listener, "api.example.com");
        assert_eq!(found.is_some(), listener != "service", "{listener}");
    }
    let one = with("{ api: { listener: tls, names: [api.example.com] } }").unwrap();
    assert_eq!(one.hosts["api"].listeners, ["tls"]);
}

#[test]
fn wrong_lists_of_listeners_are_named() {
    for (host, said) in [
        ("listener: public, listeners: [public, tls]", "has both `listener` and `listeners`"),
        ("listeners: []", "has no listeners"),
        ("listeners: [public, public]", "lists the listener `public` twice"),
        ("listeners: [public, tsl]", "a listener of host `api` is `tsl`, which does not exist"),
        (
            "listeners: [public, service]",
            "is on the public listener `public` and on the internal one `service`",
        ),
        ("listeners: public", "write a list"),
        ("listeners: [1]", "write text"),
        ("answers: 1", "host `api` has no `listener`"),
    ] {
        let message = with(&format!("{{ api: {{ {host}, names: [api.example.com] }} }}")).unwrap_err();
        assert!(message.contains(said), "{host}: {message}");
        assert!(message.contains("edge.yaml:6:"), "{host}: {message}");
    }
}

#[test]
fn two_hosts_share_no_name_on_a_listener() {
    let apart = "{ api: { listener: public, names: [a.test] }, old: { listener: tls, names: [a.test] } }";
    assert!(with(apart).is_ok());
    let shared = "{ api: { listeners: [tls, public], names: [a.test] }, old: { listeners: [public, tls], names: [a.test] } }";
    let message = with(shared).unwrap_err();
    let said = "hosts `api` and `old` both have the name a.test on listener";
    assert_eq!(message.matches(said).count(), 1, "{message}");
}

/// The same edge with another listener in the clear.
fn with_public(public: &str, hosts: &str) -> Result<Edge, String> {
    let text = format!(
        "edge: small
listeners:
  public: {{ address: '0.0.0.0:8080', {public} }}
  tls: {{ address: '0.0.0.0:8443', tls: {{ certificate: edge.pem, key: edge.key }} }}
hosts: {{ api: {{ {hosts}, names: [api.example.com] }} }}
backends: {{ legacy: {{ address: 127.0.0.1:3000 }} }}
policies: {{ public: {{ kind: public }} }}
routes: [{{ name: all, host: api, prefix: /, methods: [GET], policy: public, to: legacy }}]
"
    );
    edge_config::parse(Path::new("edge.yaml"), &text, &|_| None).map_err(|faults| faults.to_string())
}

#[test]
fn a_redirect_leads_to_the_port_that_the_client_can_reach() {
    let ports = |edge: &Edge| {
        let ports = edge.https_ports("public", &edge.hosts["api"]);
        (ports.direct, ports.translated)
    };
    let edge = with_public("redirect: https", "listeners: [public, tls]").unwrap();
    assert_eq!(ports(&edge), (8443, 443));
    assert!(!edge.listeners["public"].serves() && edge.listeners["tls"].serves());
    for path in ["/", "/internal"] {
        let found = edge_config::route_of(&edge, "public", "api.example.com", "GET", path);
        assert_eq!(found, edge_config::Match::Redirect, "{path}");
    }
    let unknown = edge_config::route_of(&edge, "public", "evil.example", "GET", "/");
    assert_eq!(unknown, edge_config::Match::UnknownHost);
    let fixed = with_public("redirect: { https: 9443 }", "listeners: [public, tls]").unwrap();
    assert_eq!(ports(&fixed), (9443, 9443));
    // Another program ends TLS.
    let elsewhere = with_public("redirect: { https: 443 }", "listener: public").unwrap();
    assert_eq!(ports(&elsewhere), (443, 443));
}

#[test]
fn wrong_redirects_are_named() {
    let tls = "tls: { certificate: a.pem, key: a.key }";
    for (public, hosts, said) in [
        ("redirect: http", "listeners: [public, tls]", "`redirect` of listener `public` is \"http\""),
        ("redirect: true", "listeners: [public, tls]", "write text"),
        ("redirect: { https: 0 }", "listeners: [public, tls]", "write a whole number from 1 to 65535"),
        ("redirect: { https: 65536 }", "listeners: [public, tls]", "write a whole number from 1 to 65535"),
        ("redirect: {}", "listeners: [public, tls]", "has no `https`"),
        ("redirect: { https: 443, status: 301 }", "listeners: [public, tls]", "has no field `status`"),
        ("redirect: https", "listener: public", "which redirects to https, and on none with `tls`"),
        (&format!("redirect: https, {tls}"), "listeners: [public, tls]", "has `tls` and redirects to https"),
        (
            "redirect: { https: 443 }, exposure: internal, network: private",
            "listener: public",
            "is internal and redirects to https",
        ),
    ] {
        let message = with_public(public, hosts).unwrap_err();
        assert!(message.contains(said), "{public}: {message}");
    }
}

#[test]
fn a_listener_has_one_certificate_or_a_list() {
    let files = |edge: &Edge| -> Vec<(String, String)> {
        let tls = edge.listeners["public"].tls.clone().unwrap();
        let shown = |path: &Path| path.display().to_string();
        tls.certificates.iter().map(|files| (shown(&files.certificate), shown(&files.key))).collect()
    };
    let pair = |certificate: &str, key: &str| (certificate.to_owned(), key.to_owned());
    let one = with_public("tls: { certificate: a.pem, key: a.key }", "listener: public").unwrap();
    assert_eq!(files(&one), [pair("a.pem", "a.key")]);
    let several = "tls: { certificates: [a.pem, { certificate: b.pem, key: b.key }] }";
    let several = with_public(several, "listener: public").unwrap();
    assert_eq!(files(&several), [pair("a.pem", "a.pem"), pair("b.pem", "b.key")]);
    let many: Vec<String> = (0..129).map(|number| format!("c{number}.pem")).collect();
    for (tls, said) in [
        ("{ certificates: [] }".to_owned(), "lists 0 certificates"),
        (format!("{{ certificates: [{}] }}", many.join(", ")), "lists 129 certificates"),
        ("{ certificates: [a.pem, a.pem] }".to_owned(), "lists a.pem twice"),
        ("{ certificates: a.pem }".to_owned(), "write a list"),
        ("{ certificates: [{ certificate: a.pem }] }".to_owned(), "has no `key`"),
        ("{ certificates: [{ certificate: a.pem, key: a.key, name: x }] }".to_owned(), "has no field `name`"),
        ("{ certificates: [1] }".to_owned(), "write text"),
        ("{ certificates: [a.pem], key: a.key }".to_owned(), "`certificate` or `key` beside it"),
        ("{ certificate: a.pem }".to_owned(), "has no `key`"),
        ("{}".to_owned(), "has no `certificate`"),
    ] {
        let message = with_public(&format!("tls: {tls}"), "listener: public").unwrap_err();
        assert!(message.contains(said), "{tls}: {message}");
    }
}

#[test]
fn a_listener_has_one_address_or_several() {
    let at = |text: &str| {
        let text = format!(
            "edge: small
listeners: {text}
hosts: {{ api: {{ listener: public, names: [api.example.com] }} }}
backends: {{ legacy: {{ address: 127.0.0.1:3000 }} }}
policies: {{ public: {{ kind: public }} }}
routes: [{{ name: all, host: api, prefix: /, methods: [GET], policy: public, to: legacy }}]
"
        );
        edge_config::parse(Path::new("edge.yaml"), &text, &|_| None).map_err(|faults| faults.to_string())
    };
    let edge = at("{ public: { addresses: ['0.0.0.0:80', '[::]:80', '[::1]:81'] } }").unwrap();
    let public = &edge.listeners["public"];
    let shown: Vec<String> = public.addresses().map(|address| address.to_string()).collect();
    assert_eq!(shown, ["0.0.0.0:80", "[::]:80", "[::1]:81"]);
    // It has IPv4 at that port itself.
    assert!(!public.addresses().any(|address| public.takes_ipv4_too(address)));
    let second = at("{ public: { addresses: ['[::1]:81', '[::]:80'] } }").unwrap();
    assert!(!second.listeners["public"].takes_ipv4_too("[::]:80".parse().unwrap()));
    let both = at("{ public: { address: '[::]:80' } }").unwrap();
    assert!(both.listeners["public"].takes_ipv4_too("[::]:80".parse().unwrap()));
    for (listeners, said) in [
        ("{ public: { addresses: [] } }", "lists 0 addresses"),
        ("{ public: { addresses: '0.0.0.0:80' } }", "write a list"),
        ("{ public: { addresses: ['0.0.0.0:80', 'x'] } }", "is \"x\""),
        ("{ public: { addresses: ['0.0.0.0:80', '0.0.0.0:80'] } }", "are both at 0.0.0.0:80"),
        (
            "{ public: { addresses: ['0.0.0.0:80'], address: '0.0.0.0:81' } }",
            "has both `address` and `addresses`",
        ),
        ("{ public: {} }", "has no `address`"),
        ("{ public: { address: '[::]:80' }, other: { address: '10.0.0.1:80' } }", "which takes IPv4, too"),
        (
            "{ public: { address: '[::1]:80' }, inside: { addresses: ['[::1]:81', '[2001:db8::1]:81'], exposure: internal } }",
            "is internal and listens on [2001:db8::1]:81",
        ),
    ] {
        let message = at(listeners).unwrap_err();
        assert!(message.contains(said), "{listeners}: {message}");
    }
    let many: Vec<String> = (1..18).map(|port| format!("'127.0.0.1:{port}'")).collect();
    let message = at(&format!("{{ public: {{ addresses: [{}] }} }}", many.join(", "))).unwrap_err();
    assert!(message.contains("lists 17 addresses"), "{message}");
}

#[test]
fn a_promise_of_https_is_for_listeners_with_tls() {
    let tls = "tls: { certificate: a.pem, key: a.key }";
    let hsts = "hsts: { max_age_seconds: 31536000, include_subdomains: true, preload: true }";
    let told = |public: &str, hosts: &str| {
        let edge = with_public(public, hosts).unwrap();
        let of = |listener: &str| Some(edge.hsts_of(listener, &edge.hosts["api"])?.to_string());
        (of("public"), of("tls"))
    };
    let long = "max-age=31536000; includeSubDomains; preload".to_owned();
    assert_eq!(told(&format!("{tls}, {hsts}"), "listener: public"), (Some(long.clone()), None));
    let own = "listeners: [public, tls], hsts: { max_age_seconds: 0 }";
    assert_eq!(
        told(&format!("{tls}, {hsts}"), own),
        (Some("max-age=0".to_owned()), Some("max-age=0".to_owned()))
    );
    assert_eq!(told("redirect: https", &format!("listeners: [public, tls], {hsts}")), (None, Some(long)));
    for (public, hosts, said) in [
        (hsts.to_owned(), "listeners: [public, tls]", "has `hsts` and neither `tls` nor `trusted_proxies`"),
        (
            "http_1_0: refuse".to_owned(),
            "listener: public, hsts: { max_age_seconds: 1 }",
            "is on no listener with `tls`",
        ),
        (format!("{tls}, hsts: {{}}"), "listener: public", "has no `max_age_seconds`"),
        (format!("{tls}, hsts: true"), "listener: public", "write a mapping"),
        (
            format!("{tls}, hsts: {{ max_age_seconds: 315360001 }}"),
            "listener: public",
            "write a whole number",
        ),
        (format!("{tls}, hsts: {{ max_age_seconds: -1 }}"), "listener: public", "write a whole number"),
        (
            format!("{tls}, hsts: {{ max_age_seconds: 300, preload: true }}"),
            "listener: public",
            "has `preload`",
        ),
        (
            format!("{tls}, hsts: {{ max_age_seconds: 300, includeSubDomains: true }}"),
            "listener: public",
            "has no field",
        ),
    ] {
        let message = with_public(&public, hosts).unwrap_err();
        assert!(message.contains(said), "{public}: {message}");
    }
}
