//! The rows for client certificates.

use std::fmt::Write as _;

use super::cell;
use crate::kit::{Authz, Home};

const SECTIONS: &str = r#"client_certificates:
  billing: { names: [billing.partner.test, "spiffe://partner.test/billing"] }
  orders: { names: [orders.partner.test] }
policies:
  any-holder: { kind: client-certificate }
  billing-alone: { kind: client-certificate, callers: [billing], addresses: [192.0.2.0/24] }
"#;

pub(super) async fn decisions(text: &mut String) {
    let edit = |edge: String| {
        let route = |name: &str| {
            format!(
                "  - {{ name: {name}, host: api, prefix: /{name}, policy: {name}, to: users, answers: users }}\n"
            )
        };
        let routes = format!("routes:\n{}{}", route("any-holder"), route("billing-alone"));
        let asks = "exposure: public, tls: { certificate: e.pem, key: e.key, client_ca: c.pem, client_certificate: optional }";
        edge.replacen("policies:\n", SECTIONS, 1).replacen("routes:\n", &routes, 1).replacen(
            "exposure: public",
            asks,
            1,
        )
    };
    let authz = Authz::start_with(Home::new(), edit).await;
    let _ = writeln!(text, "\nclient certificates");
    let question = |policy: &str| authz.check("me").extension("route", policy).extension("policy", policy);
    for (policy, certificate, client) in [
        ("any-holder", None, "192.0.2.7"),
        ("any-holder", Some("billing.partner.test"), "192.0.2.7"),
        ("any-holder", Some("spiffe://partner.test/billing"), "192.0.2.7"),
        ("any-holder", Some("orders.partner.test"), "192.0.2.7"),
        ("any-holder", Some("Billing.partner.test"), "192.0.2.7"),
        ("any-holder", Some("evil.billing.partner.test"), "192.0.2.7"),
        ("any-holder", Some("CN=billing.partner.test"), "192.0.2.7"),
        ("billing-alone", Some("billing.partner.test"), "192.0.2.7"),
        ("billing-alone", Some("billing.partner.test"), "198.51.100.7"),
        ("billing-alone", Some("orders.partner.test"), "192.0.2.7"),
        ("billing-alone", None, "192.0.2.7"),
    ] {
        let check = question(policy).client(client);
        let check = certificate.into_iter().fold(check, |check, name| check.certificate(name));
        let shown = format!("{policy}, {}, from {client}", certificate.unwrap_or("no certificate"));
        let _ = writeln!(text, "  {shown:<66}  {}", cell(&authz.ask(check).await));
    }
}
