//! The rows for programs: signed requests and service tokens, and the answers to both when they cannot be verified.

use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clock::UnixTime;
use identity::TenantId;
use identity::service_token::{Issuer, ServiceToken};
use signed_request::{Message, Signature, SigningKey, sign};

use super::{Offer, bearer, cell};
use crate::kit::check::{Answer, Check};
use crate::kit::mint::Ed25519;
use crate::kit::{Authz, Home, NOW, SUSPENDED, TENANT, UNLISTED};

/// When the matrix asks: so long after the start that the memory of nonces vouches for every signature.
const THEN: u64 = NOW + 10;
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const OTHER: &str = "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";
const COVERED: [&str; 5] = ["@method", "@path", "@query", "@authority", "content-digest"];
const TARGET: &str = "/sync/x?a=1";
const HOST: &str = "api.example.test";

const ROUTES: [(&str, &str, &str, &str); 4] = [
    ("sync", "partner", "public", "signed with the key partner, from 192.0.2.0/24"),
    ("reading", "may-read", "internal", "a service with the permission users.read, on the service listener"),
    ("reading outside", "may-read", "public", "the same, asked for through the public listener"),
    ("me", "signed-in", "public", "anybody signed in"),
];

pub(crate) fn edge(home: &Home) -> impl Fn(String) -> String + use<> {
    let at = home.path().to_str().unwrap().to_owned();
    move |edge: String| {
        edge.replacen(
            "auth.jwks.json\" }",
            "auth.jwks.json\", permissions: [users.read, users.write], tenants: any }",
            1,
        )
        .replacen(
            "sync.jwks.json\" }",
            &format!("sync.jwks.json\", permissions: [users.read], tenants: [{TENANT}] }}"),
            1,
        )
        .replacen(
            "policies:\n",
            &format!(
                "signatures: {{ keys: \"{at}/signing-keys.yaml\" }}
service_tokens: {{ issuer: \"https://auth.test\", keys: \"{at}/tokens.jwks.json\" }}
policies:
  partner: {{ kind: signed, keys: [partner], addresses: [192.0.2.0/24] }}
  may-read: {{ kind: internal, permissions: [users.read] }}\n"
            ),
            1,
        )
        .replacen(
            "routes:\n",
            "routes:
  - { name: sync, host: api, prefix: /sync, policy: partner, to: users, answers: users }
  - { name: reading, host: service, prefix: /_/reading, policy: may-read, to: users, answers: users }\n",
            1,
        )
    }
}

/// A home with the keys of signers and of the issuer of service tokens.
pub(crate) fn home() -> Home {
    let home = Home::new();
    let key = Ed25519::generate(&home.at("tokens.pem"));
    home.write("tokens.jwks.json", &key.jwks());
    let _pair = Ed25519::generate(&home.at("pair.pem"));
    home.write("partner.secret", SECRET);
    home.write("other.secret", OTHER);
    for name in ["partner.secret", "other.secret"] {
        std::fs::set_permissions(home.at(name), Permissions::from_mode(0o600)).unwrap();
    }
    home.write(
        "signing-keys.yaml",
        "keys:
  partner: { service: partner, alg: hmac-sha256, secrets: [partner.secret] }
  other: { service: other, alg: hmac-sha256, secrets: [other.secret] }\n",
    );
    home
}

fn nonce() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("nonce-of-the-matrix-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A request that a partner signs.
#[derive(Clone)]
pub(crate) struct Signed {
    pub(crate) created: u64,
    pub(crate) nonce: Option<String>,
    key: &'static str,
    secret: &'static str,
    covered: Vec<&'static str>,
    /// What the text of `signature-input` is changed to after the signature was made.
    altered: (&'static str, &'static str),
    /// The target that arrives.
    arrives: &'static str,
    body: &'static str,
    address: &'static str,
}

/// An authorizer that accepts signed requests.
pub(crate) async fn start() -> Authz {
    let home = home();
    let edit = edge(&home);
    Authz::start_with(home, edit).await
}

/// The answer to a request to `sync` that was signed at second `created`.
pub(crate) async fn ask(authz: &Authz, created: u64) -> Answer {
    let check = authz.check("me").extension("route", "sync").extension("policy", "partner");
    authz.ask(Signed::with(|signed| signed.created = created).offer(check)).await
}

impl Signed {
    pub(crate) fn good() -> Self {
        Self {
            created: THEN,
            nonce: None,
            key: "partner",
            secret: SECRET,
            covered: COVERED.to_vec(),
            altered: ("", ""),
            arrives: TARGET,
            body: "{}",
            address: "192.0.2.7",
        }
    }

    pub(crate) fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut signed = Self::good();
        change(&mut signed);
        signed
    }

    pub(crate) fn offer(&self, check: Check) -> Check {
        let message = Message {
            method: "POST",
            target: TARGET,
            scheme: "https",
            host: HOST,
            headers: vec![("x-other", b"1")],
            body: b"{}",
        };
        let nonce = self.nonce.clone().unwrap_or_else(nonce);
        let signature = Signature {
            key_id: self.key,
            nonce: Some(&nonce),
            names_algorithm: true,
            tag: None,
            created: self.created,
            expires: None,
            components: &self.covered,
        };
        let lines = sign(&message, &signature, &SigningKey::read(self.secret).unwrap()).unwrap();
        let check = check.request("POST", HOST, self.arrives).client(self.address).body(self.body);
        let check = check.header("x-other", "1");
        lines.into_iter().fold(check, |check, (name, value)| {
            let (old, new) = self.altered;
            check.header(name, if old.is_empty() { value } else { value.replace(old, new) })
        })
    }
}

fn signers() -> Vec<(&'static str, Signed)> {
    vec![
        ("good", Signed::good()),
        ("from another address", Signed::with(|s| s.address = "198.51.100.7")),
        ("with a key that the policy does not list", Signed::with(|s| (s.key, s.secret) = ("other", OTHER))),
        ("with an unknown key", Signed::with(|s| s.key = "nobody")),
        ("with another's secret", Signed::with(|s| s.secret = OTHER)),
        ("with another algorithm", Signed::with(|s| s.altered = ("hmac-sha256", "ed25519"))),
        ("with a tag", Signed::with(|s| s.altered = (";keyid", ";tag=\"gnap\";keyid"))),
        ("another body", Signed::with(|s| s.body = "{ }")),
        ("another target", Signed::with(|s| s.arrives = "/sync/y?a=1")),
        ("an empty query", Signed::with(|s| s.arrives = "/sync/x?")),
        ("without the method", Signed::with(|s| s.covered.retain(|name| *name != "@method"))),
        ("over a header that is not listed", Signed::with(|s| s.covered.push("x-other"))),
        ("in another spelling", Signed::with(|s| s.altered = ("sig=(", "sig= ("))),
        ("in the future", Signed::with(|s| s.created = THEN + 6)),
        ("too long ago", Signed::with(|s| s.created = THEN - 306)),
        ("a second time", Signed::with(|s| s.nonce = Some("nonce-that-was-spent".to_owned()))),
    ]
}

/// The tokens of services.
fn tokens(home: &Home) -> Vec<(String, Offer)> {
    let issuer =
        |name: &str, audience: &str, key: &str| Issuer::from_file(name, audience, &home.at(key)).unwrap();
    let ours = issuer("https://auth.test", "test", "tokens.pem");
    let token = |service: &str, permissions: &[&str], tenant: Option<&str>| ServiceToken {
        service: service.parse().unwrap(),
        permissions: permissions.iter().map(|permission| (*permission).to_owned()).collect(),
        tenant: tenant.map(|tenant| tenant.parse::<TenantId>().unwrap()),
    };
    let issue = |issuer: &Issuer, token: &ServiceToken, at: u64| {
        issuer.issue(token, "id", Duration::from_secs(600), UnixTime::from_seconds(at)).unwrap()
    };
    let read = ["users.read"];
    let good = issue(&ours, &token("auth", &read, None), THEN);
    let mut all: Vec<(String, Offer)> = Vec::new();
    for (what, text) in [
        ("good", good.clone()),
        ("without the permission", issue(&ours, &token("auth", &["users.write"], None), THEN)),
        ("with a permission that the edge file does not list", {
            issue(&ours, &token("sync", &["users.write"], None), THEN)
        }),
        (
            "of a service that the edge file does not list",
            issue(&ours, &token("stranger", &read, None), THEN),
        ),
        ("for an active tenant", issue(&ours, &token("auth", &read, Some(TENANT)), THEN)),
        ("for a suspended tenant", issue(&ours, &token("auth", &read, Some(SUSPENDED)), THEN)),
        ("for an unknown tenant", issue(&ours, &token("auth", &read, Some(UNLISTED)), THEN)),
        ("for a tenant that the edge file does not list for it", {
            issue(&ours, &token("sync", &read, Some(SUSPENDED)), THEN)
        }),
        ("to another edge", {
            issue(&issuer("https://auth.test", "prod", "tokens.pem"), &token("auth", &read, None), THEN)
        }),
        ("with another key", {
            issue(&issuer("https://auth.test", "test", "auth.pem"), &token("auth", &read, None), THEN)
        }),
        ("too long ago", issue(&ours, &token("auth", &read, None), THEN - 606)),
        ("altered", good.replacen('.', ".x", 1)),
    ] {
        all.push((format!("service token, {what}"), bearer(text)));
    }
    all
}

pub(super) async fn decisions(text: &mut String) {
    let home = home();
    let mut all: Vec<(String, Offer)> = vec![("nobody".to_owned(), Box::new(|check| check))];
    for (what, signed) in signers() {
        all.push((format!("signed request, {what}"), Box::new(move |check| signed.offer(check))));
    }
    let two = Signed::good();
    all.push((
        "signed request, two signatures".to_owned(),
        Box::new(move |check| two.offer(check).header("signature", "sig=:AAAA:")),
    ));
    all.extend(tokens(&home));
    let edit = edge(&home);
    let authz = Authz::start_with(home, edit).await;
    let person = authz.token();
    all.push(("session".to_owned(), Box::new(move |check| check.session(&person))));
    all.push(("session, as bearer".to_owned(), bearer(authz.token())));
    authz.clock.advance_seconds(THEN - NOW);
    let question = |route: &str, policy: &str, exposure: &str| {
        let called = route.split(' ').next().unwrap();
        authz
            .check("me")
            .extension("route", called)
            .extension("policy", policy)
            .extension("exposure", exposure)
    };
    let spent = Signed::with(|s| s.nonce = Some("nonce-that-was-spent".to_owned()));
    authz.ask(spent.offer(question("sync", "partner", "public"))).await.expect(200, "allowed");

    let width = all.iter().map(|(name, _)| name.len()).max().unwrap();
    for (route, policy, exposure, what) in ROUTES {
        let _ = writeln!(text, "{route}: {what}");
        for (name, offer) in &all {
            let answer = authz.ask(offer(question(route, policy, exposure).client("192.0.2.7"))).await;
            let _ = writeln!(text, "  {name:<width$}  {}", cell(&answer));
        }
        text.push('\n');
    }
}

pub(super) async fn failures(text: &mut String) {
    let mut rows = Vec::new();
    let ask = async |authz: &Authz, created: u64| {
        let check = authz.check("me").extension("route", "sync").extension("policy", "partner");
        cell(&authz.ask(Signed::with(|s| s.created = created).offer(check)).await)
    };
    let young = home();
    let edit = edge(&young);
    let authz = Authz::start_with(young, edit).await;
    rows.push(("signed before the memory of nonces began", ask(&authz, NOW).await));
    let bare = home();
    std::fs::remove_file(bare.at("signing-keys.yaml")).unwrap();
    let edit = edge(&bare);
    let authz = Authz::start_with(bare, edit).await;
    rows.push(("signed, and no file of signing keys", ask(&authz, NOW).await));
    let _ = writeln!(text, "\nsync, for a program that would pass, while no verifier can judge it");
    for (what, cell) in rows {
        let _ = writeln!(text, "  {what:<40}  {cell}");
    }
}
