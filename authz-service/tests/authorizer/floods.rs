//! What strangers can pour in: invented tenants, names made to look like other names, and a clock that jumps.

use harness::Redis;
use identity::assertion::Signer;
use redis::AsyncTypedCommands as _;
use serde_json::json;
use validity::tenant::Standing;

use crate::kit::mint::claims_with;
use crate::kit::tenants::TenantsService;
use crate::kit::{Authz, Home, NOW, TENANT, eventually};
use crate::{api_keys, legacy};

/// A gauge or counter of the authorizer.
async fn metric(authz: &Authz, name: &str) -> u64 {
    let (_, text) = authz.get("/metrics").await;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.unwrap_or_else(|| panic!("{name} is not in {text}"))
}

/// ATTACKS G 102: more invented tenants than are remembered. The memory stays within its bound, nothing of them is kept in
/// Redis, and the tenant that exists is not pushed out by them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_invented_tenants_fill_no_memory() {
    const INVENTED: usize = 12_000;
    let redis = Redis::start();
    let service = TenantsService::start().await;
    service.set(TENANT, Standing::Active, 1);
    let mut home = Home::new();
    home.redis = Some(redis.url());
    let directory = home.path().display().to_string();
    // So long that none is forgotten for its age meanwhile.
    let line = service.line(", redis: true, negative_seconds: 60");
    let authz = Authz::start_with(home, |edge| {
        edge.replace(&format!("tenants: {{ file: \"{directory}/tenants.yaml\" }}"), &line)
            .replace(&format!("  revocations: \"{directory}/revoked.jsonl\"\n"), "")
    })
    .await;
    eventually("subscribed", async || authz.get("/stats").await.1.contains("\"push\":\"subscribed\"")).await;
    authz.ask_with(&authz.token()).await.expect(200, "allowed");

    // A stolen key would be needed for each of them: the edge's own key stands in for that.
    let walkers: Vec<_> = (0..8)
        .map(|walker| {
            let wires: Vec<_> = (walker..INVENTED)
                .step_by(8)
                .map(|number| format!("0192d3c0-0000-4000-8000-{number:012x}"))
                .map(|tenant| authz.home.session.token(&claims_with(&json!({ "tenantId": tenant }))))
                .map(|token| authz.check("me").session(&token).wire())
                .collect();
            let mut client = authz.client.clone();
            tokio::spawn(async move {
                for wire in wires {
                    let answer = crate::kit::check::read(client.check(wire).await.unwrap().into_inner());
                    assert!(
                        answer.is(403, "tenant_unknown") || answer.is(503, "tenants_unavailable"),
                        "{answer:?}"
                    );
                }
            })
        })
        .collect();
    for walker in walkers {
        walker.await.unwrap();
    }
    let unknown = metric(&authz, "authz_cache_entries{cache=\"unknown_tenants\"} ").await;
    assert!((1..=10_000).contains(&unknown), "{unknown} invented tenants are remembered");
    assert!(metric(&authz, "authz_cache_entries{cache=\"tokens\"} ").await <= 1_000, "the kit's bound");
    let asked = service.asked(TENANT);
    authz.ask_with(&authz.token()).await.expect(200, "allowed");
    assert_eq!(service.asked(TENANT), asked, "the flood did not push it out");
    let mut connection = validity::connect(&redis.url()).unwrap();
    let kept = connection.keys("tenant:*").await.unwrap();
    assert!(kept.len() <= 1, "invented tenants are kept in Redis: {kept:?}");
}

/// ATTACKS G 104, and A 5 for stores: `a:b` with `c` is not `a` with `b:c`. Every part of a key of a store is of a kind
/// that cannot hold the separator; what is not of that kind never becomes a key.
#[tokio::test]
async fn two_names_never_make_one_key() {
    let redis = Redis::start();
    let mut connection = validity::connect(&redis.url()).unwrap();
    let home = Home::new();
    // Two limits and two clients whose names meet in the middle, whichever separator joins them.
    let other_tenant = "00000000-0000-7000-8000-00000000000a";
    home.write(
        "tenants.yaml",
        &format!(
            "tenants:\n  - {{ id: {TENANT}, name: One, status: active }}\n  - {{ id: {other_tenant}, name: Other, status: active }}\n"
        ),
    );
    let key = |client: &str, tenant: &str| {
        api_keys::add(&home, |record| {
            record.client = client.parse().unwrap();
            record.tenant = Some(tenant.parse().unwrap());
        })
    };
    let (one, joined, other) = (key("a", TENANT), key("a-b", TENANT), key("a", other_tenant));
    let verify = format!("{{ redis: {{ url: \"{}\", key_prefix: \"s:\", timeout_ms: 5000 }} }}", redis.url());
    let with_keys = api_keys::with_api_keys(&home);
    let with_legacy = legacy::with_legacy("old", &verify);
    let authz = Authz::start_with(home, |edge| {
        with_legacy(with_keys(edge))
            .replacen(
                "answers:\n",
                "limits:\n  a: { per: api-key, rate: 1, seconds: 3600 }\n  a-b: { per: api-key, rate: 1, seconds: 3600 }\nanswers:\n",
                1,
            )
            .replace("policy: keys-only, to: legacy, answers: library", "policy: keys-only, to: legacy, answers: library, limits: [a]")
            .replace(
                "routes:\n",
                "routes:\n  - { name: second, host: api, prefix: /second, policy: keys-only, to: legacy, answers: library, limits: [a-b] }\n",
            )
    })
    .await;
    let ask = async |route: &str, key: &str| {
        let check = authz.check("me").extension("route", route).extension("policy", "keys-only");
        authz.ask(check.header("x-api-key", key)).await
    };
    for (route, key) in [
        ("keys-only", &one),
        ("keys-only", &joined),
        ("keys-only", &other),
        ("second", &one),
        ("second", &joined),
    ] {
        ask(route, key).await.expect(200, "allowed");
        ask(route, key).await.expect(429, "rate_limited");
    }

    // A client, a scope of keys and a session that name a separator are none, so no such key is ever asked for.
    for name in ["a:b", "a/b", "a b", "a\nb", "{a}", "*"] {
        assert!(name.parse::<identity::ClientName>().is_err(), "{name:?} is a client");
    }
    let claims = |id: &str| json!({ "sub": "access", "iss": "legacy", "iat": NOW - 10, "exp": NOW + 100, "id": id, "user_id": legacy_user(), "_a": true });
    // What a confused verifier would take for the key of a session of the attacker's own.
    connection.set("s:x:own", legacy::KEY).await.unwrap();
    connection.set("s:", legacy::KEY).await.unwrap();
    for id in ["x:own", "", "*", "x\0own", "../x"] {
        let check = authz.check("me").extension("route", "old").extension("policy", "old");
        let token = legacy::token(&claims(id), legacy::KEY);
        authz.ask(check.cookie_line(format!("old={token}"))).await.expect(401, "legacy_malformed");
    }
}

fn legacy_user() -> &'static str {
    "00000000-0000-7000-8000-0000000000d0"
}

/// ATTACKS G 105: a clock that is set an hour forward and back, again and again, breaks no decision of any kind. What is
/// no longer or not yet good is refused, and everything is as before once the clock is right.
#[tokio::test]
async fn a_clock_that_jumps_an_hour_breaks_nothing() {
    let home = Home::new();
    let key = api_keys::add(&home, |record| record.expires = Some(NOW + 1_800));
    let with_keys = api_keys::with_api_keys(&home);
    let authz = Authz::start_with(home, |edge| {
        with_keys(edge)
            .replacen(
                "answers:\n",
                "limits:\n  thousand: { per: subject, rate: 1000, seconds: 1 }\nanswers:\n",
                1,
            )
            .replace(
                "policy: either, to: legacy, answers: library",
                "policy: either, to: legacy, answers: library, limits: [thousand]",
            )
    })
    .await;
    let signer = Signer::from_file("auth", &authz.home.at("auth.pem")).unwrap();
    let service = identity::Caller::Service("auth".parse().unwrap());
    let assertion = signer.sign(&service, "test", clock::UnixTime::from_seconds(NOW)).unwrap();
    let session = authz.token();
    let hour = 3_600_i64;
    // Never the same moment twice, as with a real clock.
    for (step, jump) in (0..).zip([0, hour, 0, -hour, 0, hour, -hour, 24 * hour, -24 * hour, 0]) {
        let offset: i64 = jump + step * 2;
        let ask = async |at: i64| {
            authz.clock.set(clock::UnixTime::from_seconds(NOW.checked_add_signed(at).unwrap()));
            let keyed = api_keys::check(&authz, "either").header("x-api-key", &key);
            [
                ("session", authz.ask(api_keys::check(&authz, "either").session(&session)).await, 14_360),
                ("API key", authz.ask(keyed).await, 1_799),
                ("assertion", authz.ask(authz.check("lookup").bearer(&assertion)).await, 60),
            ]
        };
        // A caller counted in a future that did not come owes one burst (docs/limits.md), and is free a second later.
        for (what, answer, _) in ask(offset).await {
            assert!([200, 401, 429].contains(&answer.status), "{what} at {offset:+} s: {}", answer.reason);
        }
        for (what, answer, good_until) in ask(offset + 1).await {
            let good = offset < good_until && (what == "API key" || jump >= 0);
            let status = if good { 200 } else { 401 };
            assert_eq!(answer.status, status, "{what} at {offset:+} s: {}", answer.reason);
        }
    }
    assert_eq!(authz.get("/readyz").await.0, 200);
}
