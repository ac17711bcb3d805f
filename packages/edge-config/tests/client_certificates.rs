//! Client certificates as a credential: the section, the policies, and what is refused about them.

use std::path::Path;

use edge_config::edge::{Edge, Policy};

/// A small edge with this section, this policy and this `tls`.
fn with(section: &str, policy: &str, tls: &str) -> Result<Edge, String> {
    let text = format!(
        "edge: small
listeners:
  tls: {{ address: '0.0.0.0:8443', tls: {{ certificate: edge.pem, key: edge.key, {tls} }} }}
hosts: {{ api: {{ names: [api.example.com] }} }}
backends: {{ legacy: {{ address: 127.0.0.1:3000 }} }}
services: {{ auth: {{ keys: auth.jwks.json }} }}
{section}
policies: {{ partners: {{ kind: client-certificate, {policy} }} }}
routes: [{{ name: all, host: api, prefix: /, methods: [GET], policy: partners, to: legacy }}]
"
    );
    edge_config::parse(Path::new("edge.yaml"), &text, &|_| None).map_err(|faults| faults.to_string())
}

const SECTION: &str = "client_certificates: { billing: { names: [billing.example.com, 'spiffe://example.com/billing'] }, orders: { names: [orders.example.com] } }";
const OPTIONAL: &str = "client_ca: clients.pem, client_certificate: optional";

#[test]
fn callers_are_known_by_the_names_in_their_certificates() {
    let edge = with(SECTION, "callers: [billing], addresses: [203.0.113.0/24]", OPTIONAL).unwrap();
    assert_eq!(
        edge.client_certificates["billing"].names,
        ["billing.example.com", "spiffe://example.com/billing"]
    );
    let Some(Policy::Certificate(policy)) = edge.policies.get("partners") else { panic!("another kind") };
    assert_eq!((policy.callers.as_slice(), policy.addresses.len()), (["billing".to_owned()].as_slice(), 1));
    let clients = |edge: &Edge| edge.listeners["tls"].tls.clone().unwrap().clients.unwrap();
    assert!(!clients(&edge).required);
    assert!(clients(&with(SECTION, "callers: [billing]", "client_ca: clients.pem").unwrap()).required);
}

#[test]
fn wrong_sections_and_policies_are_named() {
    let names = |names: &str| format!("client_certificates: {{ billing: {{ names: {names} }} }}");
    for (section, policy, tls, said) in [
        (String::new(), "", OPTIONAL, "the file has no `client_certificates`"),
        (SECTION.to_owned(), "callers: []", OPTIONAL, "is empty: no caller would pass"),
        (SECTION.to_owned(), "callers: [biling]", OPTIONAL, "`biling`, which does not exist"),
        (SECTION.to_owned(), "callers: billing", OPTIONAL, "write a list"),
        (SECTION.to_owned(), "of: billing", OPTIONAL, "has no field `of`"),
        (SECTION.to_owned(), "addresses: []", OPTIONAL, "is empty: no caller would pass"),
        (SECTION.to_owned(), "", "client_names: [x]", "requires no client certificate"),
        (SECTION.to_owned(), "", "client_certificate: optional", "names no authorities"),
        (SECTION.to_owned(), "", "client_ca: a.pem, client_certificate: maybe", "is \"maybe\""),
        (
            SECTION.to_owned(),
            "",
            "client_ca: a/a.pem, client_crl: b/a.crl",
            "not in the directory of `client_ca`",
        ),
        (SECTION.to_owned(), "", "client_crl: a.crl", "has `client_crl` but requires no client certificate"),
        (names("[]"), "", OPTIONAL, "lists 0 names"),
        (names("['*.example.com']"), "", OPTIONAL, "without `*`"),
        (names("[Billing.example.com]"), "", OPTIONAL, "in lower case"),
        (names("['spiffe://']"), "", OPTIONAL, "a URI such as"),
        (names("['CN=billing']"), "", OPTIONAL, "a URI such as"),
        (names("[a.test, a.test]"), "", OPTIONAL, "lists the name a.test twice"),
        (
            "client_certificates: { a: { names: [x.test] }, b: { names: [x.test] } }".to_owned(),
            "",
            OPTIONAL,
            "both have the name x.test",
        ),
        (
            "client_certificates: { auth: { names: [x.test] } }".to_owned(),
            "",
            OPTIONAL,
            "has the name of a service",
        ),
        ("client_certificates: { billing: {} }".to_owned(), "", OPTIONAL, "has no `names`"),
    ] {
        let message = with(&section, policy, tls).unwrap_err();
        assert!(message.contains(said), "{section} {policy} {tls}: {message}");
    }
    let message = with(SECTION, "callers: [billing]", "").unwrap_err();
    assert!(
        message.contains("needs a client certificate, and no listener of host `api` asks for one"),
        "{message}"
    );
}
