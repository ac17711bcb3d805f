//! On the older surface every signed-in person may add books, as at the legacy backend. The page of the services has a route with
//! which an edge lets bots alone do so.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use harness::wire::Answer;
use harness::{Edge, eventually, repository};

/// The line of the route for reading, beside which the documented one goes.
const BOOKS: &str =
    "  - { name: books, host: api, prefix: /books, policy: signed-in, to: library, answers: library }\n";

/// The route as the page writes it, between backticks.
fn documented() -> String {
    let page = std::fs::read_to_string(repository().join("docs/services.md")).expect("the page is readable");
    let route = page.split('`').find(|piece| piece.starts_with("- { name: books-create,"));
    format!("  {}\n", route.expect("the page has the route"))
}

/// The ways of writing the path with which the older surface adds a book, or a reader could think that it does.
const PATHS: [&str; 6] = ["/books", "/books/", "/books?x=1", "/books/?x=1", "/books#x", "/books/./"];

#[test]
fn with_the_documented_route_bots_alone_add_books() {
    let edge = Edge::shipped("dev").start();
    let add = |role: u8, target: &str, id: u16| -> Answer {
        let book = format!(
            r#"{{"id":{id},"title":"New","kind":"manga","language":"korean","page":3,"tags":[["misc","full color"]],"created_at":0}}"#
        );
        let token = edge.mint().good(role);
        edge.request("POST", target)
            .token(&token)
            .header("content-type", "application/json")
            .body(&book)
            .send()
    };
    // As it is shipped.
    for (role, target, id) in [(0, "/books", 2000), (0, "/books/", 2001), (2, "/books", 2002)] {
        assert_eq!(add(role, target, id).status, 201, "{target} with role {role}");
    }
    let text = std::fs::read_to_string(edge.file()).expect("the edge file is readable");
    assert_eq!(text.matches(BOOKS).count(), 1, "the route for reading is written in another way");
    std::fs::write(edge.file(), text.replace(BOOKS, &format!("{}{BOOKS}", documented())))
        .expect("it is writable");
    edge.cutover(&["lint", &edge.file().display().to_string()]);
    edge.render();
    eventually("people are refused", || add(0, "/books", 2000).status == 403);
    for role in [0, 1] {
        for (target, id) in PATHS.iter().zip(3000..) {
            let refused = add(role, target, id);
            assert!(matches!(refused.status, 400 | 403), "{target} with role {role}: {}", refused.status);
            assert_eq!(
                edge.signed_in(format!("/books/{id}")).send().status,
                404,
                "{target} with role {role}"
            );
        }
    }
    assert_eq!(add(2, "/books", 2003).status, 201, "a bot adds books");
    assert_eq!(edge.signed_in("/books/2003").send().status, 200, "and people read them");
    assert_eq!(edge.request("POST", "/books").send().status, 401, "without a session");
}
