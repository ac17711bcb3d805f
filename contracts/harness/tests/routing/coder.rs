//! The platform's edge: every prefix arrives at its own service, with the verified tenant and no other.

use harness::tokens::{DEMO_TENANT, SUSPENDED_TENANT};
use harness::{Backend, Edge, Part};
use serde_json::json;

/// Prefix, service and port of each of the platform's services.
const SERVICES: [(&str, &str, u16); 20] = [
    ("/api/ai", "ai-service", 3006),
    ("/api/planning", "planning", 3007),
    ("/api/execution", "execution-service", 3008),
    ("/api/mcp", "mcp-server", 3009),
    ("/api/knowledge", "knowledge-base", 3010),
    ("/api/dashboard", "dashboard", 3011),
    ("/api/calendar", "calendar", 3012),
    ("/api/messaging", "messaging", 3013),
    ("/api/logging", "logging", 3014),
    ("/api/learning", "learning-development", 3015),
    ("/api/collaboration", "collaboration", 3016),
    ("/api/quality", "quality", 3017),
    ("/api/resource", "resource-management", 3018),
    ("/api/workflow", "workflow", 3019),
    ("/api/observability", "observability", 3020),
    ("/api/notifications", "notifications", 3023),
    ("/api/prompts", "prompts", 3024),
    ("/api/secrets", "secret-management", 3003),
    ("/api/usage", "usage-tracking", 3004),
    ("/api/embeddings", "embeddings", 3005),
];

#[test]
fn every_prefix_arrives_at_its_service_with_the_tenant() {
    let named = |name: &str| {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{name}", name.len());
        Backend::answering(head)
    };
    let backends: Vec<_> = SERVICES.iter().map(|(_, name, _)| named(name)).collect();
    let (auth, users) = (named("auth"), named("user-management"));
    let mut builder = Edge::shipped("coder")
        .replace("https://coder.example.com", "https://api.dev-domain.test")
        .stand_in("AUTH_ADDRESS", auth.address())
        .stand_in("USERS_ADDRESS", users.address())
        .without(Part::Legacy);
    for ((_, name, _), backend) in SERVICES.iter().zip(&backends) {
        let variable = format!("{}_ADDRESS", name.to_uppercase().replace('-', "_"));
        builder = builder.variable(&variable, &backend.address().to_string());
    }
    let edge = builder.start();
    let token = edge.mint().good(0);
    let all = SERVICES.iter().map(|(prefix, name, _)| (*prefix, *name)).zip(&backends);
    let rest = [(("/auth", "auth"), &auth), (("/users", "user-management"), &users)];
    for ((prefix, name), backend) in all.chain(rest) {
        for path in [prefix.to_owned(), format!("{prefix}/a/b?c=%2F")] {
            let refused = edge.get(&path).header("x-tenant-id", DEMO_TENANT).send();
            assert_eq!(refused.status, 401, "{path} without a session: {refused:?}");
            let answer = edge.get(&path).token(&token).header("X-Tenant-ID", SUSPENDED_TENANT).send();
            assert_eq!((answer.status, answer.text()), (200, name.to_owned()), "{path}: {answer:?}");
            let seen = backend.last();
            assert!(seen.request_line().contains(&path), "{path} is not rewritten: {seen:?}");
            assert_eq!(seen.all("x-tenant-id"), [DEMO_TENANT], "{path}");
        }
        let near = format!("{prefix}x");
        assert_eq!(edge.get(&near).token(&token).send().status, 404, "{near} is not a prefix of any service");
        let suspended =
            edge.mint().with(|claims| drop(claims.insert("tenantId".into(), json!(SUSPENDED_TENANT))));
        let denied = edge.get(prefix).token(&suspended).send();
        assert!(matches!(denied.status, 401 | 403), "{prefix} of a suspended tenant: {denied:?}");
    }
}

#[test]
fn the_platforms_ports_are_as_they_are_written_down() {
    let file = harness::repository().join("envoy/edges/coder.yaml");
    let edge = edge_config::load(&file, &|_| None).expect("the edge is valid");
    assert_eq!(edge.listeners["public"].address.port(), 3001);
    for (prefix, name, port) in SERVICES {
        let route = edge.routes.iter().find(|route| route.path.path() == prefix).expect("it has a route");
        assert_eq!(route.destination.only(), Some(name), "{prefix}");
        let endpoint = edge.backends[name].endpoints.first().expect("it has an address");
        assert_eq!(endpoint.port, port, "{name}");
    }
    assert_eq!(edge.backends["auth"].endpoints[0].port, 3021);
    assert_eq!(edge.backends["user-management"].endpoints[0].port, 3022);
}
