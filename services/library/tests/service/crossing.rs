//! Every operation is tried with the plain header of one tenant beside the identity of another. The catalogue belongs
//! to all tenants; what a person dislikes in it is asked for with the tenant of the person.

use identity::Role;
use kit::generation::Surface;
use kit::testing::{Crossing, person};

use crate::app::{DEMO, SESSION, TestApp, on_both};

#[tokio::test]
async fn no_operation_is_crossed_on_both() {
    on_both(Surface::Later, async |app: TestApp| {
        let before = app.get("/books/1").await;
        let crossing = Crossing {
            documents: library::routes::documents(),
            router: &app.router,
            edge: &app.edge,
            service: "library",
            caller: "reports",
            // A bot of another tenant may write books, as any bot may; this person may not.
            person: person(DEMO, SESSION, Role::NORMAL),
            parameters: &[
                ("id", "1"),
                ("old", "1"),
                ("new", "2"),
                ("tag", "artist-some%20artist"),
                ("kind", "artist"),
                ("name", "some%20artist"),
            ],
            examples: &[],
            unauthenticated: "Unauthorized",
            secrets: &[],
        };
        assert!(crossing.try_every_operation().await >= 15);
        assert_eq!(app.get("/books/1").await, before);
    })
    .await;
}
