//! What the admin interface tells.

use serde_json::Value;

use crate::kit::{Authz, SUSPENDED};

#[tokio::test]
async fn stats_and_metrics_tell_what_happened() {
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
async fn nothing_secret_is_told() {
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
