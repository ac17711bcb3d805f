//! Quotas of single tenants, persons, clients, keys and plans; and what permitted answers say is left.

use api_keys::Record;
use harness::Redis;
use serde_json::json;

use crate::api_keys::{add, check, with_api_keys};
use crate::kit::check::Check;
use crate::kit::leases::{LEASE, get, leased};
use crate::kit::mint::claims_with;
use crate::kit::{Authz, Home, SUBJECT, TENANT};
use crate::limits::until_shared;

/// `home`'s edge with API keys and `limits`; the routes in `routes` have the limits `names`.
fn with(
    home: &Home,
    limits: &str,
    names: &str,
    routes: &'static [&str],
) -> impl Fn(String) -> String + use<> {
    let (keys, limits, names) = (with_api_keys(home), limits.to_owned(), names.to_owned());
    move |edge: String| {
        let mut text = keys(edge).replacen("answers:\n", &format!("limits:\n{limits}\nanswers:\n"), 1);
        let list = text.lines().find(|line| line.contains("revocations:")).unwrap().to_owned();
        text = text.replace(&format!("{list}\n"), "");
        for route in routes {
            let line =
                text.lines().find(|line| line.contains(&format!("name: {route},"))).unwrap().to_owned();
            text = text.replace(&line, &line.replace(" }", &format!(", limits: [{names}] }}")));
        }
        text
    }
}

/// How many of `count` requests pass.
async fn passed(authz: &Authz, check: Check, count: usize) -> usize {
    let mut passed = 0;
    for _ in 0..count {
        let answer = authz.ask(check.clone()).await;
        assert!(answer.is(200, "allowed") || answer.is(429, "rate_limited"), "{answer:?}");
        passed += usize::from(answer.status == 200);
    }
    passed
}

fn key_of(home: &Home, client: &str, plan: Option<&str>) -> (String, String) {
    let mut id = String::new();
    let key = add(home, |record: &mut Record| {
        id = record.id.to_string();
        record.client = client.parse().unwrap();
        record.plan = plan.map(str::to_owned);
    });
    (id, key)
}

#[tokio::test]
async fn a_tenant_and_a_person_can_have_quotas_of_their_own() {
    let home = Home::new();
    let _ = add(&home, |_| {});
    let other = format!("{}cc", &SUBJECT[..34]);
    let limits = format!(
        "  tenants: {{ per: tenant, rate: 2, seconds: 3600, overrides: {{ \"{TENANT}\": {{ rate: 7, burst: 7 }} }} }}\n  people: {{ per: subject, rate: 5, seconds: 3600, overrides: {{ \"{other}\": {{ rate: 1, burst: 1 }} }} }}"
    );
    let edit = with(&home, &limits, "tenants, people", &["me"]);
    let authz = Authz::start_with(home, edit).await;
    let by = |sub: &str| {
        authz.check("me").session(&authz.home.session.token(&claims_with(&json!({ "sub": sub }))))
    };
    assert_eq!(passed(&authz, by(&other), 3).await, 1, "a person with a smaller quota");
    let over = authz.ask(by(&other)).await;
    assert_eq!(over.headers["ratelimit-policy"], "\"people\";q=1;w=3600");
    // One request of the tenant's seven is used up, and five are left to each other person.
    assert_eq!(passed(&authz, by(SUBJECT), 8).await, 5);
    assert_eq!(passed(&authz, by(&format!("{}dd", &SUBJECT[..34])), 8).await, 1, "7 of the tenant, not 2");
}

#[tokio::test]
async fn the_plan_of_a_tenant_gives_its_callers_a_quota() {
    let home = Home::new();
    let key = add(&home, |_| {});
    let list = |plan: &str| {
        format!(
            "tenants:\n  - {{ id: {TENANT}, name: Demo, status: active{plan} }}\n  - {{ id: other-tenant, status: active, plan: silver }}\n  - {{ id: big, status: active, plan: gold }}\n"
        )
    };
    home.write("tenants.yaml", &list(", plan: gold"));
    let limits = "  tenants: { per: tenant, rate: 2, seconds: 3600, plans: { gold: { rate: 6, burst: 6 } }, overrides: { big: { rate: 3, burst: 3 } } }";
    let edit = with(&home, limits, "tenants", &["me", "either"]);
    let authz = Authz::start_with(home, edit).await;
    let of = |tenant: &str| {
        authz.check("me").session(&authz.home.session.token(&claims_with(&json!({ "tenantId": tenant }))))
    };
    assert_eq!(passed(&authz, of(TENANT), 4).await, 4, "the plan of the tenant");
    // All callers of the tenant together, also those with an API key.
    assert_eq!(passed(&authz, check(&authz, "either").header("x-api-key", &key), 4).await, 2);
    assert_eq!(passed(&authz, of("other-tenant"), 4).await, 2, "a plan that the limit does not name");
    assert_eq!(passed(&authz, of("big"), 5).await, 3, "the tenant's own quota comes before its plan");
    // Another plan counts as soon as the file is read, with a full bucket.
    authz.home.write("tenants.yaml", &list(""));
    crate::kit::eventually("the plan has ended", async || {
        authz
            .ask(of(TENANT))
            .await
            .headers
            .get("ratelimit-policy")
            .is_none_or(|policy| policy.contains("q=2"))
    })
    .await;
}

#[tokio::test]
async fn a_client_a_key_and_a_plan_can_have_quotas_of_their_own() {
    let home = Home::new();
    let (plain, (rare_id, rare)) = (key_of(&home, "plain", None).1, key_of(&home, "rare", None));
    let (gold, silver) = (key_of(&home, "payer", Some("gold")).1, key_of(&home, "payer", Some("silver")).1);
    let (named, mine) = (key_of(&home, "named", Some("gold")).1, key_of(&home, "mine", None).1);
    let limits = format!(
        "  keys: {{ per: api-key, rate: 2, seconds: 3600, plans: {{ gold: {{ rate: 6, burst: 6 }} }}, overrides: {{ named: {{ rate: 3, burst: 3 }}, \"{TENANT}/mine\": {{ burst: 4 }}, mine: {{ burst: 1 }}, \"{rare_id}\": {{ burst: 1 }} }} }}"
    );
    let edit = with(&home, &limits, "keys", &["either"]);
    let authz = Authz::start_with(home, edit).await;
    for (key, passes, why) in [
        (&plain, 2, "no quota of its own"),
        (&rare, 1, "the key by its id"),
        (&gold, 6, "the plan of the key"),
        (&silver, 2, "another plan of the same client, which the limit does not name"),
        (&named, 3, "the client comes before the plan"),
        (&mine, 4, "the client of this tenant comes before every client of that name"),
    ] {
        let check = check(&authz, "either").header("x-api-key", key);
        assert_eq!(passed(&authz, check, 8).await, passes, "{why}");
    }
}

#[tokio::test]
async fn a_plan_that_does_not_exist_in_the_file_is_refused_by_the_key_file() {
    let home = Home::new();
    let (_, good) = key_of(&home, "good", Some("gold"));
    let text = std::fs::read_to_string(home.at(crate::api_keys::FILE)).unwrap();
    for plan in ["", "Gold", "a b", "-a", "caf\u{e9}"] {
        let broken = text.replace("\"gold\"", &serde_json::to_string(plan).unwrap());
        let error = api_keys::Table::parse(broken.as_bytes()).unwrap_err();
        assert!(error.contains("is not a valid plan") && !error.contains(&good[20..]), "{error}");
    }
}

#[tokio::test]
async fn permitted_answers_say_what_is_left_where_a_limit_wants_it_with_and_without_redis() {
    let redis = Redis::start();
    for shared in [false, true] {
        let mut home = Home::new();
        home.redis = shared.then(|| redis.url());
        let _ = add(&home, |_| {});
        let limits = "  shown: { per: subject, rate: 3, seconds: 60, headers: always }\n  quiet: { per: tenant, rate: 99, seconds: 60 }";
        let edit = with(&home, limits, "shown, quiet", &["me"]);
        let authz = Authz::start_with(home, edit).await;
        if shared {
            until_shared(&authz).await;
        }
        let mine = || authz.check("me").session(&authz.token());
        let mut answers = Vec::new();
        for _ in 0..3 {
            let answer = authz.ask(mine()).await;
            answer.expect(200, "allowed");
            assert_eq!(answer.added["ratelimit-policy"], "\"shown\";q=3;w=60");
            answers.push(answer.added["ratelimit"].clone());
        }
        // Time passes while Redis counts; the embedded clock stands still.
        let left: Vec<&str> = answers.iter().map(|answer| answer.split(";t=").next().unwrap()).collect();
        assert_eq!(left, ["\"shown\";r=2", "\"shown\";r=1", "\"shown\";r=0"], "{answers:?}");
        if !shared {
            assert_eq!(answers[2], "\"shown\";r=0;t=60");
        }
        let over = authz.ask(mine()).await;
        over.expect(429, "rate_limited");
        assert!(over.headers["ratelimit"].starts_with("\"shown\";r=0;t="), "{over:?}");
        assert!(over.added.is_empty());
        assert!(authz.ask(authz.check("books").session(&authz.token())).await.added.is_empty());
    }
}

#[tokio::test]
async fn a_limit_that_says_what_is_left_allows_no_lease() {
    for (headers, leases) in [("refusals", true), ("always", false)] {
        let home = Home::new();
        let _ = add(&home, |_| {});
        let limits = format!("  shown: {{ per: subject, rate: 900, seconds: 60, headers: {headers} }}");
        let (with_limits, with_lease) = (with(&home, &limits, "shown", &["me"]), leased(LEASE));
        let authz = Authz::start_with(home, move |edge| with_lease(with_limits(edge))).await;
        let answer = authz.ask(get(authz.check("me").session(&authz.token()))).await;
        assert_eq!(answer.grant().is_some(), leases, "{headers}: {answer:?}");
    }
}
