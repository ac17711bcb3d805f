//! The operations of the older surface, which has no OpenAPI document: its clients know the legacy backend's bytes.

use harness::operations::{Operation, Parameter};
use serde_json::{Value, json};

const PAGES: [(&str, &str); 2] = [("per-page", "25"), ("page", "1")];

/// Each operation with the service that has it.
pub(crate) fn operations() -> Vec<(&'static str, Operation)> {
    let like = || {
        vec![
            json!({ "kind": "book", "book_id": 7 }),
            json!({ "kind": "book_tag", "tag_kind": "misc", "tag_name": "x" }),
        ]
    };
    let read = json!({ "kind": "book", "book_id": 7, "page": 1 });
    let push = json!({ "udid": "00000000-0000-4000-8000-00000000000a", "fcm_token": "a" });
    let person = json!({ "name": "New", "email": "new@example.com", "role": 0 });
    let book = json!({
        "id": 1000, "title": "A new book", "kind": "manga", "language": "korean", "page": 3,
        "tags": [["misc", "full color"]], "created_at": "2022-01-31T17:12:00.000Z",
    });
    let sorted = |value| [&PAGES[..], &[("sort-by", value)]].concat();
    let found = [
        &PAGES[..],
        &[("q", "sample"), ("search-kind", "title"), ("book-kind", "manga"), ("sort-by", "id-asc")],
    ]
    .concat();
    let lists =
        [&sorted("id-desc")[..], &[("kind", "manga"), ("less-than", "9"), ("more-than", "1")]].concat();
    vec![
        ("users", of("GET", "/users/@me", &[], Vec::new())),
        ("users", of("POST", "/users", &[], vec![person])),
        (
            "users",
            of(
                "GET",
                "/users/@me/likes",
                &[&sorted("random")[..], &[("kind", "book-tag")]].concat(),
                Vec::new(),
            ),
        ),
        ("users", of("POST", "/users/@me/likes", &[], like())),
        ("users", of("DELETE", "/users/@me/likes", &[], like())),
        ("users", of("GET", "/users/@me/histories", &sorted("random"), Vec::new())),
        ("users", of("POST", "/users/@me/histories", &[], vec![read.clone()])),
        ("users", of("DELETE", "/users/@me/histories", &[], vec![read])),
        ("users", of("GET", "/users/@me/notifications", &sorted("created-at-asc"), Vec::new())),
        ("users", of("POST", "/users/@me/fcm-token", &[], vec![push])),
        ("library", of("GET", "/books", &lists, Vec::new())),
        ("library", of("GET", "/books", &[("ids[]", "1")], Vec::new())),
        ("library", of("GET", "/books", &[("tags[]", "misc-full-color"), ("per-page", "3")], Vec::new())),
        ("library", of("POST", "/books", &[], vec![book])),
        ("library", of("GET", "/books/{id}", &[], Vec::new())),
        ("library", of("GET", "/books/{id}/images", &[], Vec::new())),
        ("library", of("GET", "/books/{id}/images/{file}", &[], Vec::new())),
        ("library", of("GET", "/books/search", &found, Vec::new())),
        ("library", of("GET", "/books/search/completion", &found, Vec::new())),
    ]
}

/// An operation with these parameters of its query and these forms of its body.
fn of(method: &str, path: &str, query: &[(&str, &str)], bodies: Vec<Value>) -> Operation {
    let of_path = ["id", "file"].into_iter().filter(|name| path.contains(&format!("{{{name}}}")));
    let of_path = of_path.map(|name| (name, "7", true));
    let of_query = query.iter().map(|(name, value)| (*name, *value, false));
    let parameter = |(name, value, is_in_path): (&str, &str, bool)| Parameter {
        name: name.to_owned(),
        value: value.to_owned(),
        is_in_path,
        // Without these two a search is refused before it reads anything else.
        is_required: is_in_path || matches!(name, "q" | "search-kind"),
    };
    Operation {
        method: method.to_owned(),
        path: path.to_owned(),
        parameters: of_path.chain(of_query).map(parameter).collect(),
        body: bodies.first().cloned(),
        bodies,
        statuses: Vec::new(),
        server: None,
    }
}
