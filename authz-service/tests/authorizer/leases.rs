//! Leases: which allows may be used again, for how long and how often.

mod ends;
mod feed;
mod outage;

use clock::UnixTime;
use lease::Kind;
use serde_json::{Value, json};

use crate::api_keys::{add, with_api_keys};
use crate::kit::check::{Answer, Check};
use crate::kit::leases::{LEASE, REQUEST, get, leased, tag};
use crate::kit::mint::claims_with;
use crate::kit::{AUDIENCE, Authz, COOKIE, Home, ISSUER, NOW, SESSION, SUBJECT, TENANT, eventually};

async fn me(authz: &Authz, token: &str) -> Answer {
    authz.ask(get(authz.check("me")).session(token)).await
}

/// 9 KB of scopes fit a token and the headers of a backend, and not the answer that carries a lease.
#[tokio::test]
async fn a_caller_whose_headers_do_not_fit_a_lease_is_checked_each_time() {
    let authz = Authz::leasing(Home::new()).await;
    for (count, has_lease) in [(10, true), (450, false)] {
        let scopes: Vec<String> = (0..count).map(|number| format!("resource-{number:04}.read")).collect();
        let scopes = scopes.join(" ");
        let token = authz.home.session.token(&claims_with(&json!({ "scope": scopes })));
        for _ in 0..3 {
            let answer = me(&authz, &token).await;
            answer.expect(200, "allowed");
            assert_eq!(answer.headers["x-auth-scopes"], scopes, "all of them, checked or leased");
            assert_eq!(answer.grant().is_some(), has_lease, "{} bytes", scopes.len());
        }
    }
}

#[tokio::test]
async fn a_grant_holds_the_answer_and_its_conditions() {
    let authz = Authz::leasing(Home::new()).await;
    let answer = me(&authz, &authz.token()).await;
    answer.expect(200, "allowed");
    let grant = answer.grant().expect("a lease");
    assert_eq!((grant.lifetime_ms, grant.uses), (10_000, 1_000));
    assert_eq!((grant.route.as_str(), grant.policy.as_str()), ("me", "signed-in"));
    assert_eq!(grant.request_id, REQUEST);
    let mut headers = answer.headers.clone();
    assert_eq!(
        headers.remove("x-cutover-decided").as_deref(),
        Some("1"),
        "Envoy writes it on every route by itself"
    );
    assert_eq!(grant.headers.clone().into_iter().collect::<std::collections::BTreeMap<_, _>>(), headers);
    let log = &grant.log;
    assert_eq!((log.reason.as_str(), log.subject.as_str()), ("allowed", SUBJECT));
    assert_eq!((log.session.as_str(), log.tenant.as_str()), (SESSION, TENANT));
    let tags = [
        tag(Kind::Session, SESSION),
        tag(Kind::Subject, SUBJECT),
        tag(Kind::Tenant, TENANT),
        tag(Kind::Key, &format!("{ISSUER}\0session-1")),
    ];
    assert_eq!(grant.tags, tags);
    // By a bearer token too, and for HEAD.
    let bearer = authz.check("me").bearer(&authz.token());
    assert!(authz.ask(get(bearer)).await.grant().is_some());
    let head = authz.check("me").session(&authz.token()).method("HEAD");
    assert!(authz.ask(head).await.grant().is_some());

    // The decision shows the lease afterwards.
    let (_, decision) = authz.get(&format!("/decisions/{REQUEST}")).await;
    let decision: Value = serde_json::from_str(&decision).unwrap();
    assert_eq!(decision["lease"], json!({ "milliseconds": 10_000, "uses": 1_000 }));
    let (_, metrics) = authz.get("/metrics").await;
    assert!(metrics.contains("authz_leases_granted_total{policy=\"signed-in\",route=\"me\"} 3"), "{metrics}");
}

#[tokio::test]
async fn a_policy_without_lease_grants_none_and_a_switch_turns_all_off() {
    let authz = Authz::start().await;
    assert_eq!(me(&authz, &authz.token()).await.grant(), None);
    let mut home = Home::new();
    home.leases = false;
    let authz = Authz::leasing(home).await;
    let answer = me(&authz, &authz.token()).await;
    answer.expect(200, "allowed");
    assert_eq!(answer.grant(), None);
    assert_eq!(authz.feed().await.unwrap().ended, lease::Ended::All);
}

#[tokio::test]
async fn only_one_credential_and_a_method_that_changes_nothing() {
    let authz = Authz::leasing(Home::new()).await;
    let token = authz.token();
    let all: Vec<(&str, Check)> = vec![
        ("a method that changes something", authz.check("me").session(&token).method("POST")),
        ("no method", authz.check("me").session(&token)),
        ("a method in lower case", authz.check("me").session(&token).method("get")),
        ("cookie and bearer, the same", get(authz.check("me").session(&token).bearer(&token))),
        (
            "cookie and another scheme",
            get(authz.check("me").session(&token).header("authorization", "Basic x")),
        ),
        ("two lines", get(authz.check("me").session(&token).session(&token))),
        ("two lines, one of others", get(authz.check("me").session(&token).cookie_line("a=b"))),
        (
            "twice in a line",
            get(authz.check("me").cookie_line(format!("{COOKIE}={token}; {COOKIE}={token}"))),
        ),
    ];
    for (what, check) in all {
        let answer = authz.ask(check).await;
        answer.expect(200, "allowed");
        assert_eq!(answer.grant(), None, "{what}");
    }
    let beside = get(authz.check("me").cookie_line(format!("a=b; {COOKIE}={token}; c=d")));
    assert!(authz.ask(beside).await.grant().is_some(), "other cookies do not matter");
    let all = Authz::start_with(Home::new(), leased("lease: { methods: all }")).await;
    let posted = all
        .ask(
            all.check("create")
                .session(&all.home.session.token(&claims_with(&json!({ "role": 2 }))))
                .method("POST"),
        )
        .await;
    assert!(posted.grant().is_some(), "where the policy says so");
}

#[tokio::test]
async fn nothing_but_an_allow_of_a_person_is_leased() {
    let home = Home::new();
    let key = add(&home, |_| {});
    home.revoke("0192d3c0-0000-7000-8000-0000000000cc", NOW - 10, NOW + 100_000);
    // It ends later: alive now, and not to be counted on.
    home.revoke("0192d3c0-0000-7000-8000-0000000000cd", NOW + 5, NOW + 100_000);
    let api_keys = with_api_keys(&home);
    let authz = Authz::start_with(home, move |edge| {
        let edge = leased(LEASE)(api_keys(edge));
        let edge = edge.replace("either: { kind: session,", &format!("either: {{ kind: session, {LEASE},"));
        edge.replacen("answers:\n", "limits:\n  door: { per: address, rate: 100, seconds: 60 }\n  all: { per: route, rate: 100, seconds: 60 }\n  tried: { per: subject, rate: 100, seconds: 60, mode: shadow }\nanswers:\n", 1)
            .replacen("policies:\n", "policies:\n  tried-out: { kind: session, role: 2, mode: shadow }\n", 1)
            + "  - { name: by-address, host: api, prefix: /a, policy: signed-in, to: legacy, answers: users, limits: [door] }
  - { name: by-route, host: api, prefix: /b, policy: signed-in, to: legacy, answers: users, limits: [all] }
  - { name: by-shadow, host: api, prefix: /c, policy: signed-in, to: legacy, answers: users, limits: [tried] }
  - { name: in-shadow, host: api, prefix: /d, policy: tried-out, to: legacy, answers: users }
"
    })
    .await;
    let token = authz.token();
    let on = |route: &str, policy: &str| {
        get(authz.check("me").extension("route", route).extension("policy", policy))
    };
    let of = |changes: Value| authz.home.session.token(&claims_with(&changes));
    for (what, check, status) in [
        ("a client with a key", on("either", "either").header("x-api-key", &key), 200),
        ("no session, on a public route", get(authz.check("open")), 200),
        ("a limit by address", on("by-address", "signed-in").session(&token), 200),
        ("a limit of the route", on("by-route", "signed-in").session(&token), 200),
        ("a limit in shadow", on("by-shadow", "signed-in").session(&token), 200),
        ("a policy in shadow", on("in-shadow", "tried-out").session(&token), 200),
        ("too little a role", get(authz.check("create").session(&token)), 403),
        (
            "a revoked session",
            on("me", "signed-in").session(&of(json!({ "sid": "0192d3c0-0000-7000-8000-0000000000cc" }))),
            401,
        ),
        (
            "one that ends soon",
            on("me", "signed-in").session(&of(json!({ "sid": "0192d3c0-0000-7000-8000-0000000000cd" }))),
            200,
        ),
        (
            "another audience",
            on("me", "signed-in").session(&of(json!({ "aud": format!("{AUDIENCE}x") }))),
            401,
        ),
        ("no credential", on("me", "signed-in"), 401),
    ] {
        let answer = authz.ask(check).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.reason);
        assert_eq!(answer.grant(), None, "{what}");
    }
    let person = authz.ask(on("either", "either").session(&token)).await;
    assert!(person.grant().is_some(), "a person, where a key would do too");
}

#[tokio::test]
async fn a_lease_ends_with_the_token_and_with_the_signed_identity() {
    let authz = Authz::leasing(Home::new()).await;
    let until = |exp: u64| authz.home.session.token(&claims_with(&json!({ "exp": exp })));
    let life = |answer: Answer| {
        answer.expect(200, "allowed");
        answer.grant().map(|grant| grant.lifetime_ms)
    };
    // The leeway of a minute does not count.
    for (exp, expected) in [(9, Some(9_000)), (1, Some(1_000)), (0, None), (11, Some(10_000))] {
        assert_eq!(life(me(&authz, &until(NOW + exp)).await), expected, "exp in {exp} s");
    }
    authz.clock.set(UnixTime::from_millis(NOW * 1_000 + 7_500));
    assert_eq!(life(me(&authz, &until(NOW + 9)).await), Some(1_500));
    assert_eq!(life(me(&authz, &until(NOW + 8)).await), None, "too short to be worth anything");
    // The identity was signed at NOW, and is handed out for half a minute.
    let long = until(NOW + 1_000);
    authz.clock.set(UnixTime::from_seconds(NOW + 26));
    assert_eq!(life(me(&authz, &long).await), Some(4_000));
    authz.clock.set(UnixTime::from_seconds(NOW + 31));
    assert_eq!(life(me(&authz, &long).await), Some(10_000), "signed again");
}

/// Ten in an hour: what leases take in advance and what is checked are together never more, and one after the other
/// exactly ten.
#[tokio::test]
async fn limits_are_never_exceeded_and_one_after_the_other_uses_them_up() {
    let limited = |edge: String| {
        let edge = leased(LEASE)(edge);
        let mut text = edge.replacen(
            "answers:\n",
            "limits:\n  ten: { per: subject, rate: 10, seconds: 3600 }\nanswers:\n",
            1,
        );
        let list = text.lines().find(|line| line.contains("revocations:")).unwrap().to_owned();
        text = text.replace(&format!("{list}\n"), "");
        for route in ["me", "books"] {
            let line =
                text.lines().find(|line| line.contains(&format!("name: {route},"))).unwrap().to_owned();
            text = text.replace(&line, &line.replace(" }", ", limits: [ten] }"));
        }
        text
    };
    let redis = harness::Redis::start();
    let mut shared = Vec::new();
    for _ in 0..2 {
        let mut home = Home::new();
        home.redis = Some(redis.url());
        shared.push(Authz::start_with(home, limited).await);
    }
    let alone = [Authz::start_with(Home::new(), limited).await];
    for replicas in [&alone[..], &shared[..]] {
        let subject = |who: u32| format!("{}{who:04x}", &SUBJECT[..32]);
        let mut who = 100;
        for authz in replicas {
            // Until Redis counts: the requests before that are another caller's.
            eventually("weighed", || {
                who += 1;
                let token = authz.home.session.token(&claims_with(&json!({ "sub": subject(who) })));
                async move {
                    let _ = me(authz, &token).await;
                    let (_, metrics) = authz.get("/metrics").await;
                    authz.home.redis.is_none()
                        || metrics.contains("authz_limit_checks_total{result=\"shared\"}")
                }
            })
            .await;
        }
        let mut passed = 0;
        for turn in 0..30 {
            let authz = &replicas[turn % replicas.len()];
            let route = if turn % 3 == 0 { "books" } else { "me" };
            let token = authz.home.session.token(&claims_with(&json!({ "sub": subject(1) })));
            let answer = authz.ask(get(authz.check(route)).session(&token)).await;
            if answer.status == 200 {
                // A lease is used up before anybody is checked again.
                passed += 1 + answer.grant().map_or(0, |grant| grant.uses);
            } else {
                answer.expect(429, "rate_limited");
            }
        }
        assert_eq!(passed, 10, "{} replicas", replicas.len());
    }
}
