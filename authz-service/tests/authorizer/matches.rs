//! Policies that match the tenant, and policies that are only tried out.

use serde_json::json;

use crate::kit::mint::claims_with;
use crate::kit::{Authz, Home, SUSPENDED, TENANT, UNLISTED};

async fn with_policy(policy: &str) -> Authz {
    let edge = |edge: String| edge.replace("signed-in: { kind: session }", &format!("signed-in: {policy}"));
    Authz::start_with(Home::new(), edge).await
}

#[tokio::test]
async fn the_tenant_in_the_path_must_be_the_callers() {
    let authz = with_policy("{ kind: session, tenant: { path_segment: 2 } }").await;
    let bare = TENANT.replace('-', "");
    let escaped = TENANT.replacen('0', "%30", 1);
    let twice_escaped = TENANT.replacen('0', "%2530", 1);
    let mismatch = (403, "tenant_mismatch");
    for (target, (status, reason)) in [
        (format!("/tenants/{TENANT}"), (200, "allowed")),
        (format!("/tenants/{TENANT}/books?of={UNLISTED}"), (200, "allowed")),
        (format!("/tenants/{escaped}"), (200, "allowed")),
        (format!("/tenants/{UNLISTED}/books"), mismatch),
        (format!("/tenants/{SUSPENDED}?x=/{TENANT}"), mismatch),
        (format!("/tenants/x/{TENANT}"), mismatch),
        (format!("/{TENANT}/tenants"), mismatch),
        (format!("/tenants?/{TENANT}"), mismatch),
        (format!("/tenants//{TENANT}"), mismatch),
        (format!("/tenants/{bare}"), mismatch),
        (format!("/tenants/{{{TENANT}}}"), mismatch),
        (format!("/tenants/urn:uuid:{TENANT}"), mismatch),
        (format!("/tenants/{twice_escaped}"), mismatch),
        (format!("/tenants/{TENANT};v=1"), mismatch),
        // A backend that resolves dot segments would read the other tenant.
        (format!("/tenants/{TENANT}/../{UNLISTED}/books"), mismatch),
        (format!("/tenants/{TENANT}/%2e%2e/{UNLISTED}/books"), mismatch),
        (format!("/tenants/{TENANT}/x%2F..%2F..%2F{UNLISTED}"), mismatch),
        (format!("/tenants/{TENANT}//books"), mismatch),
        ("/tenants/".to_owned(), mismatch),
        ("/tenants".to_owned(), mismatch),
        ("/".to_owned(), mismatch),
        (String::new(), mismatch),
        ("*".to_owned(), mismatch),
    ] {
        let answer = authz.ask(authz.check("me").target(&target).session(&authz.token())).await;
        assert!(answer.is(status, reason), "{target:?}: {} {}", answer.status, answer.reason);
    }
}

#[tokio::test]
async fn the_tenant_in_a_parameter_of_the_path_must_be_the_callers() {
    let edge = |edge: String| {
        let policy = "signed-in: { kind: session, tenant: { path_parameter: tenant } }";
        let template = "name: me, host: api, prefix: \"/t/{tenant}/books\"";
        let edge = edge.replace("signed-in: { kind: session }", policy);
        assert!(edge.contains("name: me, host: api, exact: /users/@me"), "{edge}");
        // Every route with the policy has the parameter.
        let edge = edge.replace("prefix: /books", "prefix: \"/b/{tenant}\"");
        edge.replace("name: me, host: api, exact: /users/@me", template)
    };
    let authz = Authz::start_with(Home::new(), edge).await;
    for (target, (status, reason)) in [
        (format!("/t/{TENANT}/books"), (200, "allowed")),
        (format!("/t/{TENANT}/books/7?of={UNLISTED}"), (200, "allowed")),
        (format!("/t/{UNLISTED}/books"), (403, "tenant_mismatch")),
        (format!("/t/{TENANT}/books/../../{UNLISTED}/books"), (403, "tenant_mismatch")),
    ] {
        let answer = authz.ask(authz.check("me").target(&target).session(&authz.token())).await;
        assert!(answer.is(status, reason), "{target:?}: {} {}", answer.status, answer.reason);
    }
}

#[tokio::test]
async fn the_tenant_in_a_header_must_be_the_callers_and_there_once() {
    let authz = with_policy("{ kind: session, tenant: { header: x-workspace } }").await;
    let signed_in = || authz.check("me").session(&authz.token());
    authz.ask(signed_in().header("x-workspace", TENANT)).await.expect(200, "allowed");
    authz.ask(signed_in().header("X-Workspace", TENANT)).await.expect(200, "allowed");
    authz.ask(signed_in()).await.expect(403, "tenant_mismatch");
    for value in [UNLISTED, "", " ", &format!(" {TENANT}"), &format!("{TENANT},{TENANT}")] {
        authz.ask(signed_in().header("x-workspace", value)).await.expect(403, "tenant_mismatch");
    }
    let twice = signed_in().header("x-workspace", TENANT).header("x-workspace", TENANT);
    authz.ask(twice).await.expect(403, "tenant_mismatch");
}

#[tokio::test]
async fn a_policy_in_shadow_reports_and_allows_but_only_its_own_requirements() {
    let authz = with_policy("{ kind: session, role: 2, tenant: { path_segment: 1 }, mode: shadow }").await;
    let answer = authz.ask_with(&authz.token()).await;
    answer.expect(200, "allowed");
    assert_eq!(answer.metadata["shadow_reason"], "role_too_low");
    let bot = authz.home.session.token(&claims_with(&json!({ "role": 2 })));
    assert_eq!(authz.ask_with(&bot).await.metadata["shadow_reason"], "tenant_mismatch");
    let right = authz.check("me").target(&format!("/{TENANT}")).session(&bot);
    assert!(!authz.ask(right).await.metadata.contains_key("shadow_reason"));

    // The caller's identity, and whether session and tenant are active, is never in shadow.
    authz.ask(authz.check("me")).await.expect(401, "no_credential");
    authz.ask_with("nonsense").await.expect(401, "token_malformed");
    for (tenant, reason) in [(SUSPENDED, "tenant_suspended"), (UNLISTED, "tenant_unknown")] {
        let token = authz.home.session.token(&claims_with(&json!({ "tenantId": tenant })));
        authz.ask_with(&token).await.expect(403, reason);
    }
    let (_, metrics) = authz.get("/metrics").await;
    let row = "authz_shadow_total{kind=\"policy\",name=\"signed-in\",reason=\"role_too_low\",route=\"me\"} 1";
    assert!(metrics.contains(row), "{metrics}");
}
