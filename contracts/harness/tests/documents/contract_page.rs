//! The commands of docs/contract.md, in the order of the page.

use std::os::unix::fs::PermissionsExt as _;

use super::documented::shown::{Fillings, Shown, shown_in};
use harness::{Backend, Edge, Port, SESSION_COOKIE, repository};

const ANSWER: &str = "HTTP/1.1 200 OK\r\nDate: Fri, 27 Nov 2026 03:33:39 GMT\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"price\":1}";

#[test]
fn every_command_of_the_page_works_in_its_order() {
    let (backend, spare) = (Backend::answering(ANSWER), Port::lease());
    let edge = Edge::dev().with_open_route().every_backend(backend.address()).start();
    // The echo takes the place of a backend, so this edge has none.
    let before_echo = Edge::dev().with_open_route().every_backend(spare.address()).start();
    let place = tempfile::tempdir().expect("a temporary directory");
    let write =
        |name: &str, text: &str| std::fs::write(place.path().join(name), text).expect("it is writable");
    // Both kinds of callers may use this path, so that `--as none` shows no difference.
    write("requests.hurl", "GET {{api}}/open/books/7\nHost: localhost\n");
    write("member.headers", &format!("cookie: {SESSION_COOKIE}={}\n", edge.mint().good(2)));
    std::fs::set_permissions(place.path().join("member.headers"), std::fs::Permissions::from_mode(0o600))
        .expect("it has a mode");
    let text = std::fs::read_to_string(edge.file()).expect("it is readable");
    let routes = text.lines().filter_map(|line| line.trim().strip_prefix("- { name: ")?.split(',').next());
    let others =
        routes.filter(|name| *name != "open").map(|name| format!("route {name}  # not on this page\n"));
    write("exceptions.txt", &others.collect::<String>());
    let commands = shown_in(&repository().join("docs/contract.md"));
    assert_eq!(commands.len(), 7, "the page shows {} commands", commands.len());
    for Shown { page, line, text } in commands {
        let is_probe = text.contains("--echo");
        let (edge, address) =
            if is_probe { (&before_echo, spare.address()) } else { (&edge, backend.address()) };
        let fillings = Fillings(vec![
            ("127.0.0.1:3000", address.to_string()),
            ("127.0.0.1:8080", edge.public().to_string()),
            ("envoy/edges/dev.yaml", edge.file().display().to_string()),
            ("--n 10000", "--n 300 --host localhost --path /open/x".to_owned()),
        ]);
        let mut program = edge.cutover_program();
        let output =
            program.args(fillings.fill(&text)).current_dir(place.path()).output().expect("it starts");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            output.status.success(),
            "{page}:{line}: `cutover {text}` ends with {}: {said}",
            output.status
        );
    }
}
