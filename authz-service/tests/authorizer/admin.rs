//! The answers of the admin interface.

use serde_json::Value;

use crate::kit::{Authz, SUSPENDED};

#[tokio::test]
async fn stats_and_metrics_count_each_decision() {
    let authz = Authz::start().await;
    assert_eq!(authz.get("/healthz").await, (200, "ok\n".to_owned()));
    let (status, ready) = authz.get("/readyz").await;
    let ready: Value = serde_json::from_str(&ready).unwrap();
    assert_eq!((status, &ready["ready"]), (200, &Value::Bool(true)));
    assert_eq!(ready["revision"], authz.revision.as_str());
    for part in ["keys", "tenants", "revocations", "services"] {
        assert_eq!(ready["parts"][part]["ready"], true, "{part}");
    }

    let token = authz.token();
    authz.ask_with(&token).await.expect(200, "allowed");
    authz.ask_with(&token).await.expect(200, "allowed");
    authz.ask(authz.check("books")).await.expect(401, "no_credential");
    authz.ask(authz.check("create").session(&token)).await.expect(403, "role_too_low");
    authz.ask(authz.check("me").extension("revision", "x")).await.expect(503, "unknown_revision");

    let (_, stats) = authz.get("/stats").await;
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["edge"], "test");
    assert_eq!(stats["totals"], serde_json::json!({ "allow": 2, "deny": 2, "error": 1, "lease": 0 }));
    assert_eq!(stats["keys"]["ids"], serde_json::json!(["session-1"]));
    assert_eq!(stats["tenants"], serde_json::json!({ "active": 1, "suspended": 1 }));
    assert_eq!(stats["revocations"]["sessions"], 0);
    assert_eq!(stats["caches"]["tokens"]["hits"], 2);
    assert_eq!(stats["caches"]["tokens"]["entries"], 1);
    let rows = stats["decisions"].as_array().unwrap();
    let row = |route: &str, reason: &str| {
        rows.iter()
            .find(|r| r["route"] == route && r["reason"] == reason)
            .map(|r| r["count"].as_u64().unwrap())
    };
    assert_eq!(row("me", "allowed"), Some(2));
    assert_eq!(row("books", "no_credential"), Some(1));
    assert_eq!(row("create", "role_too_low"), Some(1));
    assert_eq!(row("unknown", "unknown_revision"), Some(1));
    assert_eq!(rows.len(), 4);

    let (_, metrics) = authz.get("/metrics").await;
    for line in [
        r#"authz_decisions_total{decision="allow",policy="signed-in",reason="allowed",route="me"} 2"#,
        r#"authz_decisions_total{decision="deny",policy="signed-in",reason="no_credential",route="books"} 1"#,
        r#"authz_decision_seconds_count{decision="deny"} 2"#,
        r#"authz_tenants{status="suspended"} 1"#,
        "authz_ready 1",
        "authz_log_lines_dropped_total 0",
        &format!("authz_info{{edge=\"test\",revision=\"{}\",version=\"0.1.0\"}} 1", authz.revision),
    ] {
        assert!(metrics.lines().any(|l| l == line), "no line {line}\n{metrics}");
    }
}

#[tokio::test]
async fn no_secret_is_reported() {
    let authz = Authz::start().await;
    let token = authz.token();
    let (_, signature) = token.rsplit_once('.').unwrap();
    authz.ask_with(&token).await.expect(200, "allowed");
    authz.ask_with(&format!("{token}x")).await;
    for path in ["/stats", "/metrics", "/readyz"] {
        let (_, text) = authz.get(path).await;
        assert!(!text.contains(signature) && !text.contains(SUSPENDED), "{path}");
    }
    assert_eq!(authz.get("/").await.0, 404);
    assert_eq!(authz.get("/quitquitquit").await.0, 404);
}

/// A request to the admin interface by the host name `host`.
async fn by_name(authz: &Authz, path: &str, host: &str) -> u16 {
    let request = reqwest::Client::new().get(format!("http://{}{path}", authz.admin)).header("host", host);
    request.send().await.unwrap().status().as_u16()
}

/// A web page whose name was made to resolve to this address (DNS rebinding) learns nothing.
#[tokio::test]
async fn the_admin_interface_answers_to_its_own_names_alone() {
    let authz = Authz::start().await;
    for path in ["/healthz", "/readyz", "/metrics", "/stats", "/decisions", "/nowhere"] {
        assert_eq!(by_name(&authz, path, "evil.test").await, 421, "{path}");
        assert_eq!(by_name(&authz, path, "evil.test:9192").await, 421, "{path}");
    }
    for own in ["localhost", "LocalHost:9192", "127.0.0.1", "[::1]:9192"] {
        assert_eq!(by_name(&authz, "/healthz", own).await, 200, "{own}");
    }
}

#[tokio::test]
async fn decisions_are_found_by_id_however_often_it_came_and_by_subject_and_tenant() {
    let authz = Authz::start().await;
    let json = async |path: &str| -> Value { serde_json::from_str(&authz.get(path).await.1).unwrap() };
    let (id, other) = ("01932c07-0000-7000-8000-00000000000a", "01932c07-0000-7000-8000-00000000000b");
    let check = |route: &str, id: &str| authz.check(route).header("x-request-id", id);
    let token = authz.token();
    // A refusal, and an allow under the same id that might hide it.
    authz.ask(check("create", id).session(&token)).await.expect(403, "role_too_low");
    authz.ask(check("me", id)).await.expect(401, "no_credential");
    authz.ask(check("me", id).session(&token)).await.expect(200, "allowed");
    let bot = authz.home.session.token(&crate::kit::mint::claims_with(&serde_json::json!({
        "sub": "0192d3c0-0000-7000-8000-0000000000ee", "tenantId": SUSPENDED,
    })));
    authz.ask(check("me", other).session(&bot)).await.expect(403, "tenant_suspended");

    let record = json(&format!("/decisions/{id}")).await;
    assert_eq!(record["reason"], "allowed");
    let earlier: Vec<&Value> =
        record["earlier"].as_array().unwrap().iter().map(|one| &one["reason"]).collect();
    assert_eq!(earlier, ["no_credential", "role_too_low"], "the newest first");
    let record = json(&format!("/decisions/{other}")).await;
    assert!(record.get("earlier").is_none() && record.get("not_shown").is_none(), "{record}");

    for (filter, count) in [
        (format!("id={id}&decision=deny"), 2),
        (format!("subject={}", crate::kit::SUBJECT), 2),
        (format!("tenant={}", crate::kit::TENANT), 2),
        (format!("tenant={SUSPENDED}&subject=0192d3c0-0000-7000-8000-0000000000ee"), 1),
        (format!("tenant={SUSPENDED}&decision=allow"), 0),
        ("subject=".to_owned(), 0),
    ] {
        let list = json(&format!("/decisions?{filter}")).await;
        assert_eq!(list.as_array().unwrap().len(), count, "{filter}: {list:#}");
    }
}

#[tokio::test]
async fn a_refusal_by_a_policy_names_the_missing_right_to_operators_and_not_to_the_caller() {
    let authz = Authz::start().await;
    let json = async |path: &str| -> Value { serde_json::from_str(&authz.get(path).await.1).unwrap() };
    let token = authz
        .home
        .session
        .token(&crate::kit::mint::claims_with(&serde_json::json!({ "scope": "books.list other" })));
    for (route, had, needed) in [
        ("create", serde_json::json!(["role 1"]), serde_json::json!(["role 2"])),
        (
            "shelf",
            serde_json::json!(["scope books.list", "scope other"]),
            serde_json::json!(["scope books.read", "scope books.list"]),
        ),
    ] {
        let answer = authz.ask(authz.check(route).session(&token)).await;
        assert_eq!(answer.status, 403);
        let seen = format!("{answer:?}");
        assert!(!seen.contains("books.list") && !seen.contains("needed"), "{seen}");
        let record = json(&format!("/decisions?route={route}")).await;
        assert_eq!((&record[0]["had"], &record[0]["needed"]), (&had, &needed), "{record:#}");
    }
    authz.ask(authz.check("me")).await.expect(401, "no_credential");
    let record = json("/decisions?route=me").await;
    assert!(record[0].get("had").is_none() && record[0].get("needed").is_none(), "{record:#}");
}
