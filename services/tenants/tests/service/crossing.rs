//! Every operation is tried from another tenant: with the plain header of one tenant beside the identity of another,
//! and by a manager who acts for another tenant. The tenants are managed by services of the platform alone.

use identity::Role;
use kit::testing::{Crossing, Example, person};

use crate::app::{ACME, TestApp, on_both};

#[tokio::test]
async fn no_operation_is_crossed_on_both() {
    on_both(async |app: TestApp| {
        assert_eq!(app.create(ACME, "Acme").await.status, 201);
        let get = async || app.manage(&format!("GET /_/tenants/{ACME}"), "").await;
        let before = (get().await, app.history(ACME).await);
        let reason = r#"{"reason":"Mallory"}"#;
        let operations =
            ["POST /_/tenants/{id}/suspend", "POST /_/tenants/{id}/reinstate", "DELETE /_/tenants/{id}"];
        let examples = operations.map(|operation| Example { operation, query: "", body: reason });
        let crossing = Crossing {
            documents: tenants::routes::documents(),
            router: &app.running.router,
            edge: &app.edge,
            service: "tenants",
            caller: "admin",
            person: person(ACME, ACME, Role::BOT),
            parameters: &[("id", ACME)],
            examples: &examples,
            unauthenticated: "Unauthorized",
            secrets: &["Acme", ACME],
        };
        assert!(crossing.try_every_operation().await >= 8);
        assert_eq!((get().await, app.history(ACME).await), before);
    })
    .await;
}
