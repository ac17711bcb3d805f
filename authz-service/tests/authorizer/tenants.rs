//! Tenants that are not active and sessions that were ended: by a change of a file, while serving.

use serde_json::json;

use crate::kit::mint::claims_with;
use crate::kit::{Authz, NOW, SESSION, SUSPENDED, UNLISTED, eventually};

#[tokio::test]
async fn only_active_tenants() {
    let authz = Authz::start().await;
    for (tenant, reason) in [(SUSPENDED, "tenant_suspended"), (UNLISTED, "tenant_unknown")] {
        let token = authz.home.session.token(&claims_with(&json!({ "tenantId": tenant })));
        let answer = authz.ask_with(&token).await;
        answer.expect(403, reason);
        assert_eq!(answer.metadata["tenant"], tenant);
    }
}

#[tokio::test]
async fn a_suspension_holds_for_warm_sessions() {
    let authz = Authz::start().await;
    let token = authz.token();
    authz.ask_with(&token).await.expect(200, "allowed");
    authz.home.list_tenant("suspended");
    eventually("suspended", async || authz.ask_with(&token).await.is(403, "tenant_suspended")).await;
    authz.home.list_tenant("active");
    eventually("active again", async || authz.ask_with(&token).await.is(200, "allowed")).await;
}

#[tokio::test]
async fn a_broken_directory_keeps_the_last_state_and_reports_it() {
    let authz = Authz::start().await;
    let token = authz.token();
    authz.home.write("tenants.yaml", "tenants: [{");
    eventually("reported", async || authz.get("/readyz").await.1.contains("stale since")).await;
    assert_eq!(authz.get("/readyz").await.0, 200);
    authz.ask_with(&token).await.expect(200, "allowed");
    let (_, metrics) = authz.get("/metrics").await;
    assert!(metrics.contains("authz_reloads_total{result=\"failed\",source=\"tenants\"} 1"), "{metrics}");
    authz.clock.advance_seconds(301);
    authz.ask_with(&token).await.expect(503, "tenants_unavailable");
    assert_eq!(authz.get("/readyz").await.0, 503);
    authz.home.list_tenant("active");
    eventually("mended", async || authz.ask_with(&token).await.is(200, "allowed")).await;
    assert_eq!(authz.get("/readyz").await.0, 200);
}

#[tokio::test]
async fn a_removed_directory_is_trusted_for_a_minute() {
    let authz = Authz::start().await;
    let token = authz.token();
    std::fs::remove_file(authz.home.at("tenants.yaml")).unwrap();
    eventually("reported", async || authz.get("/readyz").await.1.contains("stale since")).await;
    authz.clock.advance_seconds(60);
    authz.ask_with(&token).await.expect(200, "allowed");
    authz.clock.advance_seconds(1);
    let answer = authz.ask_with(&token).await;
    answer.expect(503, "tenants_unavailable");
    assert_eq!(answer.body, "Service unavailable");
    assert_eq!(answer.metadata["decision"], "error");
}

#[tokio::test]
async fn a_revoked_session_is_over_for_warm_tokens_too() {
    let authz = Authz::start().await;
    let token = authz.token();
    let other =
        authz.home.session.token(&claims_with(&json!({ "sid": "0192d3c0-0000-7000-8000-0000000000dd" })));
    authz.ask_with(&token).await.expect(200, "allowed");
    authz.home.revoke(SESSION, NOW, NOW + 20_000);
    eventually("revoked", async || authz.ask_with(&token).await.is(401, "session_revoked")).await;
    authz.ask_with(&other).await.expect(200, "allowed");
    // Compacted by rename: what was read stays.
    authz.home.write("revoked.jsonl", "");
    authz.home.revoke("0192d3c0-0000-7000-8000-0000000000dd", NOW + 60, NOW + 20_000);
    eventually("read", async || authz.get("/stats").await.1.contains("\"sessions\":2")).await;
    authz.ask_with(&token).await.expect(401, "session_revoked");
    authz.ask_with(&other).await.expect(200, "allowed");
    authz.clock.advance_seconds(60);
    authz.ask_with(&other).await.expect(401, "session_revoked");
}
