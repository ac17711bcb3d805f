//! Routes that choose their backend by the kind of session, through a real Envoy: verified where a policy verifies,
//! recognised on a public route. No client chooses a backend by what it sends, except the one that refuses it.
#![expect(clippy::indexing_slicing, reason = "tests fail by panicking")]

pub(crate) mod two;

use std::collections::BTreeSet;

use harness::tokens::{base64url, now};
use harness::{Backend, Edge, Part, Signal, eventually};
use serde_json::{Value, json};

use two::{KIND, PERSON, Two, access, id, legacy_token, refresh_token, who};

#[test]
fn each_kind_goes_to_its_backend_on_check_refresh_and_logout() {
    let two = Two::new();
    let edge = two.edge().start();
    let old = legacy_token(&id(), "good");
    let new = edge.mint().good(0);
    for method in ["GET", "PATCH", "DELETE"] {
        let ask = |token: &str| who(&access(edge.request(method, "/auth/token"), token).send());
        assert_eq!(ask(&old), "legacy", "{method}");
        assert_eq!(ask(&new), "auth", "{method}");
    }
    // A session without an access cookie is recognised by its refresh cookie, in either order beside another.
    let newer = refresh_token(&edge);
    for (line, expected) in [
        (format!("madome_refresh_token={old}"), "legacy"),
        (format!("madome_refresh_token={newer}"), "auth"),
        (format!("madome_refresh_token={newer}; madome_refresh_token={old}"), "auth"),
        (format!("madome_refresh_token={old}; madome_refresh_token={newer}"), "auth"),
        (format!("madome_refresh_token={newer}; madome_access_token={old}"), "legacy"),
        (format!("madome_refresh_token={old}; madome_access_token={new}"), "auth"),
    ] {
        for method in ["PATCH", "DELETE"] {
            let answer = edge.request(method, "/auth/token").header("cookie", &line).send();
            assert_eq!(who(&answer), expected, "{method} {line}");
        }
    }
    // A caller without a session gets a share.
    for method in ["PATCH", "DELETE"] {
        assert_eq!(who(&edge.request(method, "/auth/token").send()), "legacy", "{method}");
    }
    let stranger = edge.get("/auth/token").send();
    assert_eq!((stranger.status, stranger.text().as_str()), (401, "Unauthorized"));

    // What backends get is what they got without kinds: no word about the kind, and the identity for all of them.
    for seen in two.seen() {
        assert_eq!(seen.header(KIND), None, "{seen:?}");
        assert!(!String::from_utf8_lossy(&seen.head).to_lowercase().contains("auth-kind"), "{seen:?}");
        if let Some(token) = seen.header("x-madome-identity") {
            let claims = token.split('.').nth(1).unwrap_or_default();
            let bytes = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims);
            let claims: Value = serde_json::from_slice(&bytes.unwrap_or_default()).unwrap_or_default();
            assert_eq!(claims["aud"], json!(["legacy", "auth"]), "{claims}");
        }
    }
}

#[test]
fn a_forged_credential_chooses_only_which_backend_refuses_it() {
    let two = Two::new();
    let edge = two.edge().start();
    let forged_new = {
        let good = edge.mint().good(0);
        let (signed, _) = good.rsplit_once('.').expect("a token has three parts");
        format!("{signed}.{}", base64url(&[7; 64]))
    };
    let forged_old = legacy_token(&id(), "bad");
    // Where a policy verifies, no backend sees it.
    for token in [&forged_new, &forged_old, "x.y.z", ""] {
        let before = two.seen().len();
        let refused = access(edge.get("/auth/token"), token).send();
        assert_eq!((refused.status, refused.text().as_str()), (401, "Unauthorized"), "{token}");
        assert_eq!(two.seen().len(), before, "{token}");
    }
    // On a public route it reaches the backend of its kind, which refuses it; what is of no kind gets a share.
    for (token, expected) in [(forged_new.as_str(), "auth"), (&forged_old, "legacy"), ("x.y.z", "legacy")] {
        assert_eq!(who(&access(edge.request("PATCH", "/auth/token"), token).send()), expected);
    }
    // No header chooses: the edge alone writes it.
    for name in [KIND, "X-Cutover-Kind", "x.cutover.kind"] {
        for (value, token, expected) in [
            ("session", legacy_token(&id(), "good"), "legacy"),
            ("legacy-session", edge.mint().good(0), "auth"),
        ] {
            for method in ["GET", "PATCH", "DELETE"] {
                let request = access(edge.request(method, "/auth/token"), &token);
                let answer = request.header(name, value).header(name, value).send();
                assert_eq!(who(&answer), expected, "{method} {name}: {value}");
            }
            let stranger = edge.request("PATCH", "/auth/token").header(name, "session").send();
            assert_eq!(who(&stranger), "legacy", "{name}");
        }
    }
    let underscores = edge.request("PATCH", "/auth/token").header("x_cutover_kind", "session").send();
    assert_eq!(underscores.status, 400, "{underscores:?}");
    // Nor on a route without kinds, and no backend ever saw one.
    let other = edge.signed_in("/books").header(KIND, "session").send();
    assert_eq!(who(&other), "legacy");
    for seen in two.seen() {
        assert!(!String::from_utf8_lossy(&seen.head).to_lowercase().contains("kind"), "{seen:?}");
    }
}

#[test]
fn the_log_names_the_kind_and_explain_gives_the_reason_for_the_backend() {
    let two = Two::new();
    let edge = two.edge().start();
    let old = legacy_token(&id(), "good");
    assert_eq!(who(&access(edge.request("DELETE", "/auth/token"), &old).send()), "legacy");
    assert_eq!(edge.logged("/auth/token", 200)["kind"], "legacy-session");
    assert_eq!(who(&access(edge.get("/auth/token"), &edge.mint().good(0)).send()), "auth");
    harness::eventually("the check is logged with its kind", || {
        let is_checked =
            |line: &serde_json::Value| line["path"] == "/auth/token" && line["kind"] == "session";
        edge.access_log(1).iter().any(is_checked)
    });
    let cookie = format!("cookie: madome_access_token={old}");
    let explained = edge.explain(&["PATCH https://api.dev-domain.test/auth/token", "--header", &cookie]);
    assert_eq!(explained["kind"], "legacy-session", "{explained:#}");
    assert_eq!(
        explained["answer"]["from"], "the backend legacy (a legacy-session was recognised)",
        "{explained:#}"
    );
    let explained = edge.explain(&["PATCH https://api.dev-domain.test/auth/token"]);
    assert_eq!(
        explained["answer"]["from"], "the backend legacy 100 %, auth 0 % (no kind of session was recognised)",
        "{explained:#}"
    );

    // A kind moves alone, in the file itself.
    let file = edge.file().display().to_string();
    edge.cutover(&["set", &file, "auth-check", "--to", "legacy-session=auth"]);
    edge.cutover(&["set", &file, "auth-refresh", "--to", "legacy=0,auth=100"]);
    let text = edge.text();
    assert!(text.contains("to: { legacy-session: auth, session: auth }, answers"), "{text}");
    assert!(
        text.contains("to: { legacy-session: legacy, session: auth, legacy: 0, auth: 100, sticky"),
        "{text}"
    );
}

#[test]
fn those_without_a_session_are_dealt_by_shares_that_stick() {
    let two = Two::new();
    let edge = two.edge().replace("legacy: 100, auth: 0, sticky", "legacy: 50, auth: 50, sticky").start();
    let mut seen = BTreeSet::new();
    for device in 0..24 {
        let ask = |more: &str| {
            let line = format!("device=d{device}{more}");
            who(&edge.request("PATCH", "/auth/token").header("cookie", line).send())
        };
        let first = ask("");
        assert!((0..3).all(|_| ask("") == first), "device {device}");
        // A session goes where its kind goes, whatever its share would be.
        assert_eq!(ask(&format!("; madome_access_token={}", legacy_token(&id(), "good"))), "legacy");
        assert_eq!(ask(&format!("; madome_access_token={}", edge.mint().good(0))), "auth");
        seen.insert(first);
    }
    assert_eq!(seen.len(), 2, "24 devices go both ways");
}

#[test]
fn a_canary_comes_before_its_kind_and_a_lease_is_never_given() {
    let two = Two::new();
    let edge = two
        .edge()
        .replace("accept: [session, legacy-session] }", "accept: [session, legacy-session], lease: {} }")
        .replace(
            "to: { legacy-session: legacy, session: auth }, answers",
            "to: { legacy-session: legacy, session: auth }, canary: [{ header: x-madome-auth-role, value: '1', to: legacy }], answers",
        )
        .start();
    let ask = |token: &str| who(&access(edge.get("/auth/token"), token).send());
    let (ordinary, chosen, old) = (edge.mint().good(0), edge.mint().good(1), legacy_token(&id(), "good"));
    // Many times: a lease would serve the second request, without the kind by which Envoy chooses.
    for _ in 0..20 {
        assert_eq!(ask(&ordinary), "auth");
        assert_eq!(ask(&chosen), "legacy", "a canary");
        assert_eq!(ask(&old), "legacy");
    }
    assert_eq!(edge.leased(), 0);
    assert!(two.seen().iter().all(|seen| seen.header(KIND).is_none()));
}

#[test]
fn a_shadow_gets_copies_of_the_requests_whose_own_backend_it_is_compared_with() {
    let two = Two::new();
    let copies = Backend::answering("HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n");
    let edge = two
        .edge()
        .replace("${COMPARATOR_ADDRESS:-127.0.0.1:9291}", &copies.address().to_string())
        .replace(
            "  admin: \"${COMPARATOR_ADMIN_ADDRESS:-127.0.0.1:9292}\"\n",
            "  admin: \"${COMPARATOR_ADMIN_ADDRESS:-127.0.0.1:9292}\"\n  sample_percent: 100\n",
        )
        .replace(
            "to: { legacy-session: legacy, session: auth }, answers",
            "to: { legacy-session: legacy, session: auth }, shadow: auth, answers",
        )
        .start();
    // The new kind first: were it copied, its copy would come first.
    assert_eq!(who(&access(edge.get("/auth/token?new"), &edge.mint().good(0)).send()), "auth");
    assert_eq!(who(&access(edge.get("/auth/token?old"), &legacy_token(&id(), "good")).send()), "legacy");
    eventually("the copy arrives", || !copies.seen().is_empty());
    assert_eq!(who(&access(edge.get("/auth/token?last"), &legacy_token(&id(), "good")).send()), "legacy");
    eventually("the last copy arrives", || {
        copies.seen().iter().any(|seen| seen.request_line().contains("?last"))
    });
    for copy in copies.seen() {
        assert!(!copy.request_line().contains("?new"), "{copy:?}");
        assert_eq!(copy.header("x-cutover-shadow-route").as_deref(), Some("auth-check"));
        assert_eq!(copy.header(KIND), None);
    }
}

#[test]
fn an_ended_session_is_refused_where_the_policy_says_so() {
    let two = Two::new();
    let edge = two.edge().start();
    let (old_session, new_session) = (id(), id());
    let old = legacy_token(&old_session, "good");
    let new = edge.mint().with(|claims| drop(claims.insert("sid".to_owned(), json!(new_session))));
    let ask = |method: &str, token: &str| access(edge.request(method, "/auth/token"), token).send();
    for token in [&old, &new] {
        assert_eq!(ask("PATCH", token).status, 200);
    }
    let lines = [&old_session, &new_session]
        .map(|session| format!("{}\n", json!({ "sid": session, "from": now() - 1, "until": now() + 3_600 })));
    std::fs::write(edge.home().join("sessions/revoked.jsonl"), lines.concat()).expect("the home is writable");
    for token in [&old, &new] {
        eventually("the end is known", || ask("PATCH", token).status == 401);
        let refused = ask("PATCH", token);
        assert_eq!(refused.text(), "Unauthorized", "the words of the route");
        assert_eq!(ask("GET", token).status, 401, "the check refuses it too");
        // A second line hides it from no backend that reads the first one.
        let hidden = access(edge.request("PATCH", "/auth/token"), token);
        let other = format!("madome_access_token={}", legacy_token(&id(), "good"));
        assert_eq!(hidden.header("cookie", other).send().status, 401, "which session is meant is not clear");
        // A logout of an ended session is a logout all the same.
        assert_eq!(ask("DELETE", token).status, 200);
    }
    // Another session of the same person goes on.
    assert_eq!(who(&ask("PATCH", &legacy_token(&id(), "good"))), "legacy");

    // All of a person's, at both.
    let line = format!("{}\n", json!({ "sub": PERSON, "before": now() + 1, "until": now() + 3_600 }));
    let file = edge.home().join("sessions/revoked.jsonl");
    let all = [std::fs::read_to_string(&file).expect("it is there"), line].concat();
    std::fs::write(&file, all).expect("the home is writable");
    let another = legacy_token(&id(), "good");
    eventually("all of them end", || ask("PATCH", &another).status == 401);
    let other_person = edge.mint().good(0);
    assert_eq!(who(&ask("PATCH", &other_person)), "auth");
}

#[test]
fn without_the_authorizer_the_answer_is_the_routes_503() {
    let two = Two::new();
    let mut edge = two.edge().start();
    edge.stop(Part::Authz, Signal::Kill);
    for method in ["GET", "PATCH", "DELETE"] {
        for token in [legacy_token(&id(), "good"), edge.mint().good(0), String::new()] {
            let answer = access(edge.request(method, "/auth/token"), &token).send();
            assert_eq!((answer.status, answer.text().as_str()), (503, "Service unavailable"), "{method}");
        }
    }
    assert!(two.seen().is_empty(), "no backend saw a request");
}

#[test]
fn a_foreign_bearer_token_beside_a_good_cookie_is_ignored_where_the_policy_says_so() {
    let two = Two::new();
    let with = |rule: &str| {
        let accepts = "accept: [session, legacy-session]";
        two.edge().replace(accepts, &format!("{accepts}{rule}")).start()
    };
    let old = legacy_token(&id(), "good");
    let ask = |edge: &Edge, cookie: Option<&str>, bearer: &str| {
        let request = edge.get("/auth/token").header("authorization", format!("Bearer {bearer}"));
        let request = cookie.into_iter().fold(request, access);
        request.send().status
    };
    let edge = with("");
    let new = edge.mint().good(0);
    assert_eq!(ask(&edge, Some(&old), "of.the.backend"), 401, "by default every credential counts");
    assert_eq!(ask(&edge, Some(&new), "of.the.backend"), 401);
    let edge = with(", bearer_beside_cookie: ignore");
    let new = edge.mint().good(0);
    for cookie in [&old, &new] {
        assert_eq!(ask(&edge, Some(cookie), "of.the.backend"), 200);
        // It is the backend's own matter, and arrives as it was sent.
        let seen = two.seen();
        assert_eq!(
            seen.last().and_then(|seen| seen.header("authorization")).as_deref(),
            Some("Bearer of.the.backend")
        );
    }
    // A bad cookie is not saved by a good token, and without a cookie the token still counts.
    assert_eq!(ask(&edge, Some("x"), &new), 401);
    assert_eq!(ask(&edge, None, &new), 200);
    assert_eq!(ask(&edge, None, "of.the.backend"), 401);
}
