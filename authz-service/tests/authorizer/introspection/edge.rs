//! The test edge with issuers of opaque tokens.

use std::os::unix::fs::PermissionsExt as _;

use super::issuer::Issuer;
use crate::kit::{AUDIENCE, Authz, Home, ISSUER};

pub(super) const OPAQUE: &str = "https://login.opaque.test";
pub(super) const SECRET: &str = "s3cret & more/+";

pub(super) const CLAIMS: &str =
    "claims: { tenant: org, session: sid, roles: groups, role: level }, required: [tenant]";

pub(super) fn opaque(url: &str, home: &Home, more: &str, claims: &str) -> String {
    let secret = home.at("introspection.secret").display().to_string();
    format!(
        "    - {{ issuer: {OPAQUE}, audience: {AUDIENCE}, introspection: {{ url: \"{url}\", client_id: \"edge:1\", secret_file: \"{secret}\"{more} }}, {claims} }}\n"
    )
}

pub(super) fn write_secret(home: &Home, text: &str, mode: u32) {
    let next = home.at("introspection.next");
    std::fs::write(&next, text).unwrap();
    std::fs::set_permissions(&next, std::fs::Permissions::from_mode(mode)).unwrap();
    std::fs::rename(next, home.at("introspection.secret")).unwrap();
}

pub(super) fn home() -> Home {
    let home = Home::new();
    write_secret(&home, &format!("{SECRET}\n"), 0o600);
    home
}

/// The test edge with `issuers` beside its own one.
pub(super) fn with_issuers(home: &Home, issuers: &str) -> impl Fn(String) -> String + use<> {
    let path = home.path().display().to_string();
    let own = format!(
        "  issuer: {ISSUER}\n  audience: {AUDIENCE}\n  keys: {{ file: \"{path}/session.jwks.json\" }}\n  leeway_seconds: 60\n"
    );
    let list = format!(
        "  issuers:\n    - {{ issuer: {ISSUER}, audience: {AUDIENCE}, keys: {{ file: \"{path}/session.jwks.json\" }}, leeway_seconds: 60 }}\n{issuers}"
    );
    move |edge: String| {
        assert!(edge.contains(&own), "{edge}");
        // Machines that run tests are busy: patience is not what is tested here.
        let edge = edge.replace("timeout_ms: 200", "timeout_ms: 10000").replace(&own, &list);
        edge.replace(
            "signed-in: { kind: session }",
            "signed-in: { kind: session, bearer_beside_cookie: compare }",
        )
    }
}

pub(super) async fn start(issuer: &Issuer, more: &str) -> Authz {
    let home = home();
    let url = format!("http://{}/introspect", issuer.address);
    let edit = with_issuers(&home, &opaque(&url, &home, &format!(", timeout_ms: 9000{more}"), CLAIMS));
    Authz::start_with(home, edit).await
}
