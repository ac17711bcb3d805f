mod listeners;
mod regions;

use std::path::Path;

use edge_config::Edge;

use super::{Plan, Protection, plan};

const DEV: &str = include_str!("../../tests/files/edge.yaml");

fn edge(text: &str) -> Edge {
    edge_config::parse(Path::new("edge.yaml"), text, &|_| None).unwrap_or_else(|faults| panic!("{faults}"))
}

/// The plan for one replacement in the edge.
fn replaced(old: &str, new: &str) -> Plan {
    assert!(DEV.contains(old), "{old}");
    plan(&edge(DEV), &edge(&DEV.replace(old, new)))
}

/// All findings of a plan, one on each line.
fn said(plan: &Plan) -> Vec<String> {
    let requests = plan.requests.iter().map(|(region, finding)| {
        let (methods, path) = (region.shown_methods(), region.shown_path());
        format!("{}: {methods} {path} {}", finding.standing.as_str(), finding.because.join("; "))
    });
    let edge = plan.edge.iter().map(|(subject, finding)| {
        format!("{}: {subject}: {}", finding.standing.as_str(), finding.because.join("; "))
    });
    requests.chain(edge).collect()
}

#[test]
fn other_failures_or_refusals_of_a_backend_are_reported_and_protect_as_before() {
    let users = "127.0.0.1:3022}\" }";
    for (more, expected) in [
        ("grpc_errors: [13]", "same: backend `users`: other gRPC statuses count as its failures"),
        ("sign_in: [/login]", "same: backend `users`: other redirects count as its refusals"),
    ] {
        let plan = replaced(users, &users.replace(" }", &format!(", {more} }}")));
        // The access log marks redirects to a sign-in, and it is part of the listeners.
        let drained = |line: &&String| line.contains("drains the connections");
        let (drains, others): (Vec<String>, Vec<String>) =
            said(&plan).into_iter().partition(|line| drained(&line));
        assert_eq!(others, [expected]);
        assert_eq!(drains.is_empty(), !more.starts_with("sign_in"), "{drains:?}");
    }
}

#[test]
fn a_route_with_less_protection_is_found_by_its_meaning() {
    let base =
        "  - { name: books, host: api, prefix: /books, policy: signed-in, to: legacy, answers: library }\n";
    let rest =
        "  - { name: users-rest, host: api, prefix: /users, policy: signed-in, to: users, answers: users }\n";
    for (old, new, expected) in [
        // A route became public.
        (base, base.replace("signed-in", "public"), "weaker: any method /books and /books/… becomes public"),
        // A public route takes part of a protected one.
        (
            base,
            format!(
                "{base}  - {{ name: free, host: api, prefix: /books/free, methods: [GET], policy: public, to: legacy, answers: library }}\n"
            ),
            "weaker: GET /books/free and /books/free/… becomes public",
        ),
        (
            "  signed-in: { kind: session }\n",
            "  signed-in: { kind: public }\n".to_owned(),
            "weaker: any method /books and /books/… becomes public",
        ),
        (
            "  bot: { kind: session, role: 2 }\n",
            "  bot: { kind: session, role: 1 }\n".to_owned(),
            "weaker: POST /users role lowered from 2 to 1",
        ),
        (
            "  bot: { kind: session, role: 2 }\n",
            "  bot: { kind: session, role: 2, mode: shadow }\n".to_owned(),
            "weaker: POST /users the policy is no longer enforced (shadow)",
        ),
        // The route with the role is gone: the path falls to the broader route.
        (
            "  - { name: users-create, host: api, exact: /users, methods: [POST], policy: bot, to: users, answers: users }\n",
            String::new(),
            "weaker: POST /users role 2 no longer required",
        ),
        // The same, although the route is still there under another method.
        (
            "exact: /users, methods: [POST]",
            "exact: /users, methods: [PUT]".to_owned(),
            "weaker: POST /users role 2 no longer required",
        ),
        (
            "  - { prefix: /metrics }\n",
            String::new(),
            "weaker: any method /metrics and /metrics/… an internal path is open",
        ),
        (
            "  - { prefix: /metrics }\n",
            "  - { exact: /metrics }\n".to_owned(),
            "weaker: any method /metrics/… an internal path is open",
        ),
        ("services: [auth] }", "permissions: [] }".to_owned(), ""),
        (
            "    - x-client-version\n",
            String::new(),
            "weaker: reserved headers: `x-client-version` is no longer reserved",
        ),
        (
            "  issuer: https://api.dev-domain.test/auth\n",
            "  issuer: https://other.dev-domain.test/auth\n".to_owned(),
            "weaker: sessions: tokens of the issuer `https://other.dev-domain.test/auth` are accepted",
        ),
        (
            "leeway_seconds: 60",
            "leeway_seconds: 90".to_owned(),
            "the leeway of the issuer `https://api.dev-domain.test/auth` raised from 60s to 90s",
        ),
        (
            "  revocations: \"${CUTOVER_HOME:-.run}/sessions/revoked.jsonl\"\n",
            String::new(),
            "sessions can no longer be revoked",
        ),
        ("session.jwks.json", "other.jwks.json".to_owned(), "the location of the keys of the issuer"),
        ("auth.jwks.json", "other.jwks.json".to_owned(), "the location of the keys of service `auth`"),
        (
            "    request_headers: { x-acme-public-access: \"true\" }\n",
            String::new(),
            "weaker: backend `legacy`: no longer receives `x-acme-public-access: true`",
        ),
        ("tenants.yaml", "others.yaml".to_owned(), "weaker: tenants: the file of tenants changed"),
        (
            "127.0.0.1:8081}\", exposure: internal",
            "0.0.0.0:8081}\", exposure: internal, network: private".to_owned(),
            "listens on 0.0.0.0:8081 instead of 127.0.0.1:8081",
        ),
        (
            rest,
            format!(
                "{rest}  - {{ name: odd, host: file, prefix: /_odd, policy: public, to: legacy, answers: users }}\n"
            ),
            "weaker: any method /_odd and /_odd/… becomes public",
        ),
    ] {
        let plan = replaced(old, &new);
        if expected.is_empty() {
            assert!(!plan.weaker(), "{new}: {:#?}", said(&plan));
            continue;
        }
        assert!(plan.weaker(), "{new}: {:#?}", said(&plan));
        assert!(said(&plan).iter().any(|line| line.contains(expected)), "{expected}\n{:#?}", said(&plan));
    }
}

#[test]
fn changes_that_protect_as_before_or_better_are_reported_and_are_not_weaker() {
    let route =
        "  - { name: books, host: api, prefix: /books, policy: signed-in, to: legacy, answers: library }\n";
    for (old, new, expected) in [
        (
            "prefix: /books, policy: signed-in, to: legacy",
            "prefix: /books, policy: signed-in, to: { legacy: 90, users: 10 }",
            "same: any method /books and /books/… goes to legacy 90 %, users 10 % instead of legacy",
        ),
        (
            "  bot: { kind: session, role: 2 }\n",
            "  bot: { kind: session, role: 2, scopes: [write] }\n",
            "stricter: POST /users scope `write` added",
        ),
        (
            "LEGACY_ADDRESS:-127.0.0.1:3000",
            "LEGACY_ADDRESS:-127.0.0.1:3001",
            "same: any method /books and /books/… goes to legacy instead of legacy",
        ),
        (
            "    - x-host\n",
            "    - x-host\n    - x-more\n",
            "stricter: reserved headers: `x-more` is reserved",
        ),
        (
            "  - { prefix: /metrics }\n",
            "  - { prefix: /metrics }\n  - { prefix: /hidden }\n",
            "closed: any method /hidden and /hidden/… an internal path now",
        ),
        (
            "unauthenticated: { status: 401, body: Unauthoirzed }",
            "unauthenticated: { status: 401, body: Unauthorized }",
            "same: any method /users/@me the wording of refusals changed",
        ),
        (
            route,
            "  - { name: books, host: api, prefix: /books, methods: [GET], policy: signed-in, to: legacy, answers: library }\n",
            "same: HEAD, POST, PUT, PATCH, DELETE, OPTIONS /books and /books/… the wording of refusals",
        ),
    ] {
        let plan = replaced(old, new);
        assert!(!plan.weaker(), "{new}: {:#?}", said(&plan));
        assert!(said(&plan).iter().any(|line| line.contains(expected)), "{expected}\n{:#?}", said(&plan));
    }
}

#[test]
fn names_order_and_comments_mean_nothing() {
    for (old, new) in [
        ("name: books,", "name: volumes,"),
        ("# Everything else is still legacy.", "# Later."),
        ("prefixes: [x-acme-, x-forwarded-, x-envoy-]", "prefixes: [x-envoy-, x-acme-, x-forwarded-]"),
        // Covered by a prefix anyway.
        ("    - x-forwarded\n", "    - x-forwarded\n    - x-acme-odd\n"),
        // A share of 0 gets no requests.
        (
            "prefix: /books, policy: signed-in, to: legacy",
            "prefix: /books, policy: signed-in, to: { legacy: 100, users: 0 }",
        ),
        // The broader route takes its requests and means the same.
        (
            "  - { name: auth-check, host: api, exact: /auth/token, methods: [GET], policy: signed-in, to: auth, answers: auth }\n",
            "",
        ),
        (
            "api: { listener: public, names: [api.dev-domain.test, localhost, 127.0.0.1] }",
            "api: { listener: public, names: [localhost, 127.0.0.1, api.dev-domain.test] }",
        ),
    ] {
        let plan = replaced(old, new);
        assert!(plan.is_empty(), "{new}: {:#?}", said(&plan));
    }
    let renamed = DEV.replace("policy: signed-in", "policy: members").replace("  signed-in:", "  members:");
    assert!(plan(&edge(DEV), &edge(&renamed)).is_empty());
}

#[test]
fn limits_are_compared_by_the_requests_they_allow() {
    let with = |limits: &str, on: &str| {
        let text = DEV.replace("\npolicies:\n", &format!("\nlimits: {{ {limits} }}\n\npolicies:\n"));
        edge(&text.replace(
            "to: legacy, answers: library }",
            &format!("to: legacy, answers: library, limits: [{on}] }}"),
        ))
    };
    let people = |rest: &str| with(&format!("people: {{ per: address, {rest} }}"), "people");
    let base = people("rate: 600, seconds: 60, burst: 10");
    for (new, weaker, expected) in [
        (
            people("rate: 700, seconds: 60, burst: 10"),
            true,
            "limit `people` raised from 600 in 60 s to 700 in 60 s",
        ),
        (people("rate: 600, seconds: 60, burst: 11"), true, "burst of limit `people` raised from 10 to 11"),
        (people("rate: 600, seconds: 60, burst: 10, mode: shadow"), true, "no longer enforced"),
        (people("rate: 300, seconds: 60, burst: 10"), false, "limit `people` lowered"),
        (edge(DEV), true, "limit `people` dropped"),
    ] {
        let plan = plan(&base, &new);
        assert_eq!(plan.weaker(), weaker, "{:#?}", said(&plan));
        assert!(said(&plan).iter().any(|line| line.contains(expected)), "{expected}\n{:#?}", said(&plan));
    }
    assert!(
        plan(&base, &people("rate: 10, seconds: 1, burst: 10")).is_empty(),
        "the same limit in other words"
    );
    let other_name = with("folk: { per: address, rate: 600, seconds: 60, burst: 10 }", "folk");
    assert!(plan(&base, &other_name).is_empty(), "the same limit under another name");
}

#[test]
fn the_weaker_comes_first_and_shows_before_and_after() {
    let plan = replaced("prefix: /books, policy: signed-in", "prefix: /open-books, policy: public");
    let (region, finding) = plan.requests.first().unwrap();
    assert_eq!(finding.standing, Protection::Weaker);
    assert_eq!(region.shown_path(), "/open-books and /open-books/…");
    assert_eq!(region.hosts, ["127.0.0.1", "api.dev-domain.test", "localhost"]);
    assert_eq!(finding.before, "`api-rest`: signed-in (session) to legacy");
    assert_eq!(finding.after, "`books`: public to legacy");
    let fixed = Plan { from: "old".to_owned(), to: "new".to_owned(), ..plan };
    insta::assert_snapshot!(super::report::markdown(&fixed));
}

#[test]
fn other_sites_and_credentials_that_go_further_are_weaker() {
    let books = "prefix: /books, policy: signed-in, to: legacy, answers: library";
    let allowed = format!("{books}, cross_site: allow");
    let origins = ("routes:\n", "browser_origins: [\"https://a.example\"]\nroutes:\n");
    let headers = "    request_headers:";
    let removed = "    credentials: remove\n    request_headers:";
    for (old, new, expected) in [
        (
            books,
            allowed.as_str(),
            "any method /books and /books/… pages of any other site may send requests here",
        ),
        (origins.0, origins.1, "the origin `https://a.example` added"),
    ] {
        let plan = replaced(old, new);
        assert!(plan.weaker(), "{:#?}", said(&plan));
        assert!(said(&plan).iter().any(|line| line.contains(expected)), "{expected}: {:#?}", said(&plan));
        let back = self::plan(&edge(&DEV.replace(old, new)), &edge(DEV));
        assert!(!back.weaker(), "{:#?}", said(&back));
    }
    let (with, without) = (edge(DEV), edge(&DEV.replace(headers, removed)));
    assert!(with.backends["legacy"].credentials != without.backends["legacy"].credentials, "{headers}");
    assert!(!plan(&with, &without).weaker());
    let back = plan(&without, &with);
    assert!(back.weaker() && said(&back).iter().any(|line| line.contains("credentials of people again")));
}
