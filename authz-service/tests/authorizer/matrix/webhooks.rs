//! The rows for webhooks: every reason for which one is refused.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use aws_lc_rs::hmac;

use super::cell;
use crate::kit::check::Check;
use crate::kit::{Authz, Home, NOW};

pub(crate) const SECRET: &str = "It's a Secret to Everybody";

const WEBHOOKS: &str = r#"webhooks:
  plain: { secret_file: "HOME/hook.secret", header: x-sign, format: "sha256={hex}" }
  timed: { secret_file: "HOME/hook.secret", header: x-sign, format: "t={timestamp},v1={hex}" }
  named: { secret_file: "HOME/hook.secret", header: x-sign, format: "{hex}", signed: "{header:x-id}.{body}" }
policies:
  plain: { kind: webhook, of: plain, addresses: [192.0.2.0/24] }
  timed: { kind: webhook, of: timed }
  named: { kind: webhook, of: named }
"#;

pub(crate) fn edge(home: &Home) -> impl Fn(String) -> String + use<> {
    let webhooks = WEBHOOKS.replace("HOME", home.path().to_str().unwrap());
    move |edge: String| {
        let route = |name: &str| {
            format!(
                "  - {{ name: {name}, host: api, prefix: /{name}, policy: {name}, to: users, answers: users }}\n"
            )
        };
        let routes = format!("routes:\n{}{}{}", route("plain"), route("timed"), route("named"));
        edge.replacen("policies:\n", &webhooks, 1).replacen("routes:\n", &routes, 1)
    }
}

pub(crate) fn tag(text: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn timed(at: &str, body: &str) -> String {
    format!("t={at},v1={}", tag(&format!("{at}.{body}")))
}

pub(super) async fn decisions(text: &mut String) {
    let home = Home::new();
    home.write("hook.secret", SECRET);
    std::fs::set_permissions(home.at("hook.secret"), Permissions::from_mode(0o600)).unwrap();
    let edit = edge(&home);
    let authz = Authz::start_with(home, edit).await;
    let question = |name: &str| {
        authz.check("me").extension("route", name).extension("policy", name).client("192.0.2.7").body("{}")
    };
    let signed = |name: &str, value: &str| question(name).header("x-sign", value);
    let good = format!("sha256={}", tag("{}"));
    let (now, at) = (NOW.to_string(), |offset: i64| NOW.checked_add_signed(offset).unwrap().to_string());
    authz.ask(signed("timed", &timed(&at(-1), "{}"))).await.expect(200, "allowed");
    let named = |check: Check| check.header("x-sign", tag("a.{}"));
    let rows: Vec<(&str, Check)> = vec![
        ("plain, good", signed("plain", &good)),
        ("plain, from another address", signed("plain", &good).client("198.51.100.7")),
        ("plain, without a signature", question("plain")),
        ("plain, two signatures", signed("plain", &good).header("x-sign", &good)),
        ("plain, in another form", signed("plain", &tag("{}"))),
        ("plain, over another body", signed("plain", &good).body("{ }")),
        ("timed, good", signed("timed", &timed(&now, "{}"))),
        ("timed, a second time", signed("timed", &timed(&at(-1), "{}"))),
        ("timed, without the moment", signed("timed", &format!("v1={}", tag("{}")))),
        ("timed, in milliseconds", signed("timed", &timed(&format!("{now}000"), "{}"))),
        ("timed, too long ago", signed("timed", &timed(&at(-301), "{}"))),
        ("timed, in the future", signed("timed", &timed(&at(301), "{}"))),
        ("named, good", named(question("named").header("x-id", "a"))),
        ("named, without the signed header", named(question("named"))),
    ];
    let _ = writeln!(text, "\nwebhooks");
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap();
    for (name, check) in rows {
        let _ = writeln!(text, "  {name:<width$}  {}", cell(&authz.ask(check).await));
    }
    let bare = Home::new();
    let edit = edge(&bare);
    let authz = Authz::start_with(bare, edit).await;
    let check = authz.check("me").extension("route", "timed").extension("policy", "timed");
    let answer = authz.ask(check.header("x-sign", timed(&now, ""))).await;
    let _ = writeln!(text, "  {:<width$}  {}", "timed, and no secret", cell(&answer));
}
