//! Opaque tokens: a real endpoint describes them, says no, is slow, is wrong, is gone.

mod edge;
mod issuer;

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::Port;
use harness::authority::Authority;
use harness::terminator::Terminator;
use serde_json::json;

use edge::{CLAIMS, OPAQUE, home, opaque, start, with_issuers, write_secret};
use issuer::Issuer;

use crate::hanging::{hang, release};
use crate::kit::check::Answer;
use crate::kit::mint::part;
use crate::kit::{AUDIENCE, Authz, Home, ISSUER, NOW, SESSION, SUSPENDED, TENANT, eventually};

/// The rows of the matrix about opaque tokens.
pub(crate) async fn decisions(text: &mut String) {
    use std::fmt::Write as _;
    let issuer = Issuer::start().await;
    let authz = start(&issuer, "").await;
    issuer.describes("good", &json!({}));
    issuer.describes("for-another", &json!({ "aud": "elsewhere" }));
    issuer.describes("suspended", &json!({ "org": SUSPENDED }));
    let _ = writeln!(text, "\nme, with an opaque token");
    let mut row = async |what: &str, token: &str| {
        let answer = ask(&authz, token).await;
        let _ = writeln!(text, "  {what:<38}  {} {}", answer.status, answer.reason);
    };
    row("that its issuer describes", "good").await;
    row("for another audience", "for-another").await;
    row("of a suspended tenant", "suspended").await;
    row("that its issuer does not know", "unknown").await;
    issuer.instead(Some((500, "")));
    row("while its issuer answers nothing", "another").await;
}

async fn ask(authz: &Authz, token: &str) -> Answer {
    authz.ask(authz.check("me").bearer(token)).await
}

#[tokio::test]
async fn an_opaque_token_is_what_its_issuer_says() {
    let issuer = Issuer::start().await;
    let authz = start(&issuer, ", token_type_hint: access_token").await;
    issuer.describes("mF_9.B5f-4.1JqM", &json!({}));
    let answer = ask(&authz, "mF_9.B5f-4.1JqM").await;
    answer.expect(200, "allowed");
    for (name, value) in [
        ("x-auth-subject", "auth0|ada"),
        ("x-auth-session", "s-1"),
        ("x-auth-role", "2"),
        ("x-tenant-id", TENANT),
        ("x-auth-scopes", "books.read books.list"),
    ] {
        assert_eq!(answer.headers[name], value, "{name}");
    }
    let (headers, form) = issuer.state.last.lock().clone();
    assert_eq!(form, "token=mF_9.B5f-4.1JqM&token_type_hint=access_token");
    // RFC 6749 §2.3.1: both parts are form-encoded, and then joined.
    let credentials = STANDARD.encode("edge%3A1:s3cret+%26+more%2F%2B");
    assert_eq!(headers["authorization"], format!("Basic {credentials}"));
    assert_eq!(headers["accept"], "application/json");
    // The same in the cookie. Signed tokens are not the endpoint's.
    authz.ask_with("mF_9.B5f-4.1JqM").await.expect(200, "allowed");
    authz.ask_with(&authz.token()).await.expect(200, "allowed");
    let signed = ask(&authz, &format!("{}.e30.eA", part(r#"{"alg":"ES256"}"#))).await;
    assert!(signed.status == 401 && signed.reason != "token_inactive", "{signed:?}");
    assert_eq!(issuer.queries(), 1);
    // Two tokens of two persons.
    let both = authz.check("me").session(&authz.token()).bearer("mF_9.B5f-4.1JqM");
    authz.ask(both).await.expect(401, "ambiguous_credential");

    for (number, (changes, status, reason)) in [
        (json!({ "active": false }), 401, "token_inactive"),
        (json!({ "iss": "https://elsewhere.test" }), 401, "token_wrong_issuer"),
        (json!({ "iss": null }), 200, "allowed"),
        (json!({ "aud": "elsewhere" }), 401, "token_wrong_audience"),
        (json!({ "aud": null }), 401, "token_claim_missing"),
        (json!({ "sub": null }), 401, "token_claim_missing"),
        (json!({ "sub": 7 }), 401, "token_claim_invalid"),
        (json!({ "org": null }), 401, "token_claim_missing"),
        (json!({ "org": SUSPENDED }), 403, "tenant_suspended"),
        (json!({ "sid": null }), 200, "allowed"),
        (json!({ "groups": [7] }), 401, "token_claim_invalid"),
        (json!({ "exp": null }), 200, "allowed"),
        (json!({ "exp": NOW - 61, "iat": NOW - 700 }), 401, "token_expired"),
        (json!({ "exp": "soon" }), 401, "token_claim_invalid"),
        (json!({ "nbf": NOW + 61 }), 401, "token_not_yet_valid"),
        (json!({ "iat": null }), 200, "allowed"),
    ]
    .into_iter()
    .enumerate()
    {
        let token = format!("token-{number}");
        issuer.describes(&token, &changes);
        let answer = ask(&authz, &token).await;
        assert_eq!((answer.status, answer.reason.as_str()), (status, reason), "{changes}");
    }
    ask(&authz, "unknown").await.expect(401, "token_inactive");
    let before = issuer.queries();
    ask(&authz, &"x".repeat(16_385)).await.expect(401, "token_too_long");
    authz.ask_with("caf\u{e9}").await.expect(401, "token_malformed");
    assert_eq!(issuer.queries(), before, "what cannot be a token is not queried");
    let metrics = authz.get("/metrics").await.1;
    let found = format!("authz_introspections_total{{issuer=\"{OPAQUE}\",outcome=\"found\"}}");
    assert!(metrics.contains(&found), "{metrics}");
    for place in ["/decisions", "/metrics", "/stats", "/readyz"] {
        let page = authz.get(place).await.1;
        assert!(!page.contains("mF_9") && !page.contains("s3cret"), "{place}: {page}");
    }
}

#[tokio::test]
async fn simultaneous_requests_are_one_query_and_no_answer_is_used_past_the_end_of_its_token() {
    let issuer = Issuer::start().await;
    let authz = start(&issuer, ", cache_ms: 60000").await;
    issuer.describes("busy", &json!({ "exp": NOW + 30 }));
    let closed = issuer.state.gate.write().await;
    let crowd = futures_util::future::join_all((0..40).map(|_| ask(&authz, "busy")));
    let opener = async {
        eventually("the query arrives", async || issuer.queries() == 1).await;
        drop(closed);
    };
    let (answers, ()) = tokio::join!(crowd, opener);
    assert!(answers.iter().all(|answer| answer.is(200, "allowed")), "{answers:?}");
    ask(&authz, "busy").await.expect(200, "allowed");
    assert_eq!(issuer.queries(), 1, "forty at once and one later are one query");

    // Revocations at the edge count at once, whatever the endpoint said.
    authz.home.revoke("s-1", NOW, NOW + 600);
    eventually("revoked", async || ask(&authz, "busy").await.is(401, "session_revoked")).await;
    assert_eq!(issuer.queries(), 1);

    // The end of the token: the answer counts no longer, and the endpoint decides again.
    authz.clock.advance_seconds(30);
    issuer.describes("busy", &json!({ "exp": NOW + 90, "sid": "s-2" }));
    ask(&authz, "busy").await.expect(200, "allowed");
    assert_eq!(issuer.queries(), 2);
}

#[tokio::test]
async fn a_token_that_is_revoked_at_its_issuer_is_refused_after_the_time_of_the_memory() {
    let issuer = Issuer::start().await;
    let authz = start(&issuer, ", cache_ms: 300").await;
    issuer.describes("ada", &json!({}));
    ask(&authz, "ada").await.expect(200, "allowed");
    issuer.describes("ada", &json!({ "active": false }));
    eventually("refused", async || ask(&authz, "ada").await.is(401, "token_inactive")).await;
    // A refusal is no longer remembered than an answer.
    issuer.describes("ada", &json!({}));
    eventually("passes again", async || ask(&authz, "ada").await.is(200, "allowed")).await;
    // Without a memory each request is a query.
    let authz = start(&issuer, ", cache_ms: 0").await;
    let before = issuer.queries();
    for _ in 0..3 {
        ask(&authz, "ada").await.expect(200, "allowed");
    }
    assert_eq!(issuer.queries(), before + 3);
}

/// Slow, wrong and gone: its opaque tokens are 503, never 401, and signed tokens pass.
#[tokio::test]
async fn an_endpoint_that_is_down_slow_or_wrong_costs_its_own_tokens_alone() {
    let issuer = Issuer::start().await;
    let authz = start(&issuer, ", cache_ms: 0").await;
    issuer.describes("ada", &json!({}));
    let up = async || eventually("up", async || ask(&authz, "ada").await.is(200, "allowed")).await;
    up().await;
    let long = format!("{{\"active\":true,\"x\":\"{}\"}}", "x".repeat(70_000));
    for (status, body) in [
        (500, "{\"active\":true}"),
        (503, ""),
        (429, ""),
        (404, ""),
        (401, "{\"active\":false}"),
        (403, ""),
        (204, ""),
        (200, ""),
        (200, "null"),
        (200, "[]"),
        (200, "{}"),
        (200, "{\"active\":\"true\"}"),
        (200, "{\"active\":true,\"active\":false}"),
        (200, "<html>"),
        (200, &long),
        // Followed, it would be a yes.
        (307, &format!("http://{}/introspect", issuer.address)),
    ] {
        issuer.instead(Some((status, body)));
        ask(&authz, "ada").await.expect(503, "introspection_unavailable");
        authz.ask_with(&authz.token()).await.expect(200, "allowed");
        issuer.instead(None);
        up().await;
    }

    // An outage: after a few failures the endpoint rests, and is used again once it answers.
    issuer.instead(Some((500, "")));
    let before = issuer.queries();
    for _ in 0..50 {
        ask(&authz, "ada").await.expect(503, "introspection_unavailable");
    }
    assert!(issuer.queries() - before < 25, "it rests: {}", issuer.queries() - before);
    assert!(authz.get("/readyz").await.1.contains("no answer since"), "readyz names it");
    assert_eq!(authz.get("/readyz").await.0, 200, "other sessions do not depend on it");
    issuer.instead(None);
    up().await;
    assert!(!authz.get("/readyz").await.1.contains("no answer since"));
}

#[tokio::test]
async fn an_endpoint_that_hangs_or_is_gone_is_503_in_time_and_signed_tokens_never_wait() {
    let issuer = Issuer::start().await;
    let home = home();
    let url = format!("http://{}/introspect", issuer.address);
    let port = Port::lease();
    let gone = format!("http://{}/introspect", port.address());
    let other = opaque(&gone, &home, ", prefix: gone_", "required: [tenant], claims: { tenant: org }");
    let both = opaque(&url, &home, ", timeout_ms: 50", CLAIMS) + &other.replace(OPAQUE, "https://gone.test");
    let edit = with_issuers(&home, &both);
    let authz = Authz::start_with(home, edit).await;
    issuer.describes("ada", &json!({}));
    eventually("up", async || ask(&authz, "ada").await.is(200, "allowed")).await;
    ask(&authz, "gone_1").await.expect(503, "introspection_unavailable");
    let closed = issuer.state.gate.write().await;
    ask(&authz, "bob").await.expect(503, "introspection_unavailable");
    for _ in 0..20 {
        authz.ask_with(&authz.token()).await.expect(200, "allowed");
    }
    ask(&authz, "ada").await.expect(200, "allowed");
    drop(closed);
    issuer.describes("bob", &json!({}));
    eventually("back", async || ask(&authz, "bob").await.is(200, "allowed")).await;
}

#[tokio::test]
async fn a_prefix_says_whose_token_it_is_and_alone_an_issuer_of_opaque_tokens_has_every_token() {
    let (one, two) = (Issuer::start().await, Issuer::start().await);
    let home = home();
    let line = |issuer: &Issuer, name: &str, more: &str| {
        let url = format!("http://{}/introspect", issuer.address);
        opaque(&url, &home, &format!(", timeout_ms: 9000{more}"), CLAIMS).replace(OPAQUE, name)
    };
    let both = line(&one, "https://one.test", ", prefix: one_") + &line(&two, "https://two.test", "");
    let edit = with_issuers(&home, &both);
    let authz = Authz::start_with(home, edit).await;
    one.describes("one_ada", &json!({ "iss": "https://one.test" }));
    two.describes("ada", &json!({ "iss": "https://two.test" }));
    // What another issuer would say of it does not count.
    two.describes("one_bob", &json!({ "iss": "https://two.test" }));
    ask(&authz, "one_ada").await.expect(200, "allowed");
    ask(&authz, "ada").await.expect(200, "allowed");
    ask(&authz, "one_bob").await.expect(401, "token_inactive");
    assert_eq!((one.queries(), two.queries()), (2, 1));

    // Without issuers of signed tokens, a signed token is one that the endpoint describes.
    let home = self::home();
    let url = format!("http://{}/introspect", two.address);
    let own = with_issuers(
        &home,
        &opaque(&url, &home, ", timeout_ms: 9000", CLAIMS).replace(OPAQUE, "https://two.test"),
    );
    let path = home.path().display().to_string();
    let signed = format!(
        "    - {{ issuer: {ISSUER}, audience: {AUDIENCE}, keys: {{ file: \"{path}/session.jwks.json\" }}, leeway_seconds: 60 }}\n"
    );
    let authz = Authz::start_with(home, move |edge| own(edge).replace(&signed, "")).await;
    assert_eq!(authz.get("/readyz").await.0, 200);
    let token = authz.token();
    two.describes(&token, &json!({ "iss": "https://two.test" }));
    let answer = ask(&authz, &token).await;
    answer.expect(200, "allowed");
    assert_eq!(answer.headers["x-auth-session"], "s-1", "not {SESSION}");
}

#[tokio::test]
async fn the_secret_of_the_edge_is_read_again_and_never_from_an_open_file() {
    let issuer = Issuer::start().await;
    let authz = start(&issuer, ", cache_ms: 0, send_secret: post").await;
    issuer.describes("ada", &json!({}));
    ask(&authz, "ada").await.expect(200, "allowed");
    let form = issuer.state.last.lock().1.clone();
    assert_eq!(form, "token=ada&client_id=edge%3A1&client_secret=s3cret+%26+more%2F%2B");
    assert!(!issuer.state.last.lock().0.contains_key("authorization"));

    let secret = authz.home.at("introspection.secret");
    write_secret(&authz.home, "second", 0o600);
    eventually("read again", async || {
        ask(&authz, "ada").await.expect(200, "allowed");
        issuer.state.last.lock().1.contains("client_secret=second")
    })
    .await;
    // A file that others can read, or none, or one that hangs: the last good secret serves for an hour.
    for what in ["open", "gone", "hanging"] {
        match what {
            "open" => write_secret(&authz.home, "third", 0o644),
            "gone" => std::fs::remove_file(&secret).unwrap(),
            _ => hang(&secret),
        }
        let said = match what {
            "open" => "chmod 600",
            "gone" => "No such file",
            _ => "takes longer than 5 s",
        };
        eventually(what, async || authz.get("/readyz").await.1.contains(said)).await;
        assert_eq!(authz.get("/readyz").await.0, 200, "{what}");
        ask(&authz, "ada").await.expect(200, "allowed");
        assert!(issuer.state.last.lock().1.contains("client_secret=second"), "{what}");
        authz.clock.advance_seconds(3_601);
        issuer.describes("ada", &json!({ "exp": null }));
        ask(&authz, "ada").await.expect(503, "introspection_unavailable");
        if what == "hanging" {
            release(&secret, b"second");
            std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
        } else {
            write_secret(&authz.home, "second", 0o600);
        }
        eventually("good again", async || ask(&authz, "ada").await.is(200, "allowed")).await;
    }
}

/// Mutual TLS (RFC 8705): the certificate alone proves the id; without it there is no answer, and a new one counts at once.
#[tokio::test]
async fn a_client_certificate_proves_the_edge_and_is_read_again() {
    let issuer = Issuer::start().await;
    issuer.describes("ada", &json!({}));
    let home = Home::new();
    let (inside, stranger) = (Authority::new(), Authority::new());
    inside.write(&home.at("ca.pem"));
    let server = inside.issue(home.path(), "server", "localhost");
    inside.issue(home.path(), "edge", "edge.internal");
    let tls = Terminator::before(issuer.address, &server, &[], Some(&home.at("ca.pem")));
    let path = home.path().display().to_string();
    let settings = format!(
        "    - {{ issuer: {OPAQUE}, audience: {AUDIENCE}, introspection: {{ url: \"https://localhost:{}/introspect\", \
         client_id: \"edge:1\", timeout_ms: 9000, cache_ms: 0, tls: {{ ca: {path}/ca.pem, client: {{ certificate: \
         {path}/edge.pem, key: {path}/edge.key }} }} }}, {CLAIMS} }}\n",
        tls.address().port()
    );
    let edit = with_issuers(&home, &settings);
    let authz = Authz::start_with(home, edit).await;
    eventually("up", async || ask(&authz, "ada").await.is(200, "allowed")).await;
    let (headers, form) = issuer.state.last.lock().clone();
    assert_eq!(form, "token=ada&client_id=edge%3A1");
    assert!(!headers.contains_key("authorization"));
    let first = tls.seen().last().unwrap().certificate.clone();
    assert!(first.is_some());

    // Replaced in operation, without a restart.
    inside.issue(authz.home.path(), "edge", "edge.internal");
    eventually("the new certificate is shown", async || {
        ask(&authz, "ada").await.expect(200, "allowed");
        tls.seen().last().unwrap().certificate != first
    })
    .await;
    // A key that others can read is not used; the last good pair serves, and /readyz says why.
    let (key, next) = (authz.home.at("edge.key"), authz.home.at("edge.key.next"));
    std::fs::write(&next, std::fs::read_to_string(&key).unwrap() + "\n").unwrap();
    std::fs::set_permissions(&next, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::rename(&next, &key).unwrap();
    eventually("named", async || authz.get("/readyz").await.1.contains("chmod 600")).await;
    ask(&authz, "ada").await.expect(200, "allowed");
    inside.issue(authz.home.path(), "edge", "edge.internal");
    eventually("mended", async || !authz.get("/readyz").await.1.contains("chmod 600")).await;
    // One of another authority is refused in the handshake: 503 for these tokens alone, never 401.
    stranger.issue(authz.home.path(), "edge", "edge.internal");
    eventually("refused", async || ask(&authz, "ada").await.is(503, "introspection_unavailable")).await;
    authz.ask_with(&authz.token()).await.expect(200, "allowed");
    inside.issue(authz.home.path(), "edge", "edge.internal");
    eventually("back", async || ask(&authz, "ada").await.is(200, "allowed")).await;
    // And an endpoint of another authority is not believed.
    stranger.write(&authz.home.at("ca.pem"));
    eventually("not believed", async || ask(&authz, "ada").await.is(503, "introspection_unavailable")).await;
}

/// Made-up tokens, more than the endpoint answers: those that were described before keep half of its queries.
#[tokio::test]
async fn strangers_with_made_up_opaque_tokens_leave_places_to_described_ones() {
    let issuer = Issuer::start().await;
    let authz = start(&issuer, ", cache_ms: 0").await;
    issuer.describes("ada", &json!({}));
    ask(&authz, "ada").await.expect(200, "allowed");
    let closed = issuer.state.gate.write().await;
    let before = issuer.queries();
    let strangers: Vec<_> = (0..150)
        .map(|number| {
            let check = authz.check("me").bearer(&format!("made-up-{number}"));
            let wire = check.client(&format!("203.{}.113.7", number % 200)).wire();
            let mut client = authz.client.clone();
            tokio::spawn(
                async move { crate::kit::check::read(client.check(wire).await.unwrap().into_inner()) },
            )
        })
        .collect();
    eventually("the strangers' places are taken", async || issuer.queries() - before >= 32).await;
    let honest = {
        let wire = authz.check("me").bearer("ada").wire();
        let mut client = authz.client.clone();
        tokio::spawn(async move { crate::kit::check::read(client.check(wire).await.unwrap().into_inner()) })
    };
    eventually("the described token is queried beside them", async || issuer.queries() - before == 33).await;
    drop(closed);
    honest.await.unwrap().expect(200, "allowed");
    for stranger in strangers {
        let answer = stranger.await.unwrap();
        assert!(
            answer.is(401, "token_inactive") || answer.is(503, "introspection_unavailable"),
            "{answer:?}"
        );
    }
}
