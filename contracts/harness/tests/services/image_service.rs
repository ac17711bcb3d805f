//! The file host of the development edge is the image service, on the older and the later paths, and the legacy backend when the
//! route moves back.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use harness::wire::{Answer, Request};
use harness::{Edge, eventually};

const HOST: &str = "file.dev-domain.test";
const PAGE: &str = "/image/library/7/1.png";

fn ask(edge: &Edge, method: &str, target: &str) -> Request {
    edge.request(method, target).host(HOST)
}

fn get(edge: &Edge, target: &str) -> Answer {
    ask(edge, "GET", target).token(&edge.mint().good(0)).send()
}

/// A session of the auth service: the legacy backend asks it about each one.
fn signed_in(edge: &Edge) -> String {
    let email = "demo@example.com";
    let send = |path: &str, body: String| edge.request("POST", path).body(&body).send();
    assert_eq!(send("/auth/code", format!("{{\"email\":\"{email}\"}}")).status, 201);
    let code = edge.login_code(email);
    let answer = send("/auth/token", format!("{{\"email\":\"{email}\",\"code\":\"{code}\"}}"));
    let prefix = format!("{}=", harness::SESSION_COOKIE);
    let lines = answer.all("set-cookie");
    let value = lines.iter().find_map(|line| line.strip_prefix(&prefix)?.split(';').next());
    value.expect("an access token").to_owned()
}

#[test]
fn pages_lists_and_refusals_come_from_the_image_service_until_the_route_moves_back() {
    let edge = Edge::shipped("dev").start();
    for target in [PAGE, "/v1/image/library/7/1.png", "/image/library/7/@", "/nothing"] {
        let refused = ask(&edge, "GET", target).send();
        assert_eq!((refused.status, refused.text().as_str()), (401, "Unauthenticated"), "{target}");
        assert_eq!(refused.header("content-type"), None);
    }
    let (page, older) = (get(&edge, PAGE), get(&edge, &format!("/v1{PAGE}?madome-2022=true")));
    assert_eq!((page.status, page.header("content-type")), (200, Some(b"image/png".as_slice())));
    assert!(page.body.starts_with(b"\x89PNG"), "a picture");
    assert_eq!((older.status, &older.body), (200, &page.body), "nothing redirects");
    let part = ask(&edge, "GET", PAGE).token(&edge.mint().good(0)).header("range", "bytes=1-3").send();
    assert_eq!((part.status, part.body.as_slice()), (206, b"PNG".as_slice()));

    let listed = get(&edge, "/image/library/7/@").text();
    assert!(listed.starts_with("[\"1.png\",\"2.png\",") && !listed.contains("thumbnail"), "{listed}");
    let older = get(&edge, "/v1/image/library/7/image_list?madome-2022=true").text();
    assert!(older.starts_with("[\"1.png\",") && older.contains("\"thumbnail.png\""), "{older}");
    for target in ["/image/library/7/99.png", "/image/library/7/x.png", "/"] {
        let absent = get(&edge, target);
        assert_eq!((absent.status, absent.text().as_str()), (404, ""), "{target}");
    }
    for (role, expected) in [(0, "Permission denied"), (2, "Pictures are made up here")] {
        let upload = ask(&edge, "PUT", PAGE).token(&edge.mint().good(role)).body("x").send();
        assert_eq!((upload.status, upload.text().as_str()), (403, expected), "role {role}");
    }

    let token = signed_in(&edge);
    let file = edge.file().to_str().expect("a path in UTF-8");
    edge.cutover(&["set", file, "files", "--to", "legacy"]);
    edge.render();
    eventually("the legacy backend has the pictures", || {
        let moved = ask(&edge, "GET", PAGE).token(&token).send();
        moved.status == 200 && moved.body != page.body
    });
}
