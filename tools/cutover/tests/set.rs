//! `cutover set` changes the shares of one route and no other byte, or nothing at all.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn dev() -> String {
    fs::read_to_string(repository().join("tools/cutover/tests/files/edge.yaml")).unwrap()
}

fn set(file: &Path, route: &str, to: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_cutover"))
        .args(["set", file.to_str().unwrap(), route, "--to", to])
        .output()
        .unwrap()
}

/// The text after `set`, which must succeed.
fn after(text: &str, route: &str, to: &str) -> String {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("edge.yaml");
    fs::write(&file, text).unwrap();
    let output = set(&file, route, to);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "something was left behind");
    fs::read_to_string(&file).unwrap()
}

#[test]
fn one_value_changes_and_everything_else_stays_byte_for_byte() {
    let dev = dev();
    let line = |to: &str| {
        format!(
            "  - {{ name: books, host: api, prefix: /books, policy: signed-in, to: {to}, answers: library }}\n"
        )
    };
    let expected = |to: &str| dev.replace(&line("legacy"), &line(to));
    assert!(dev.contains(&line("legacy")));

    let ten = after(&dev, "books", "users=10,legacy=90");
    assert_eq!(ten, expected("{ legacy: 90, users: 10 }"));
    let half = after(&ten, "books", "legacy=50,users=50");
    assert_eq!(half, expected("{ legacy: 50, users: 50 }"));
    // A backend that gets nothing stays: taking it back is a change of two numbers.
    assert_eq!(after(&half, "books", "users"), expected("{ legacy: 0, users: 100 }"));
    assert_eq!(after(&half, "books", "auth=1,users=99"), expected("{ legacy: 0, users: 99, auth: 1 }"));
    assert_eq!(after(&dev, "books", "users"), expected("users"));
    assert_eq!(after(&dev, "books", "legacy"), dev);
    assert_eq!(after(&ten, "books", "users=10,legacy=90"), ten);
}

#[test]
fn comments_quotes_line_ends_and_stickiness_stay() {
    let route =
        "  - { name: books, host: api, prefix: /books, policy: signed-in, to: legacy, answers: library }\n";
    let with = |replacement: &str| dev().replace(route, replacement);
    for (before, to, expected) in [
        (
            "  - name: books # über alles\n    host: api\n    prefix: /books\n    policy: signed-in\n    to:\n      # slowly\n      legacy: 100   # the old one\n      sticky: session # not to flip\n    answers: library\n",
            "users=5,legacy=95",
            "  - name: books # über alles\n    host: api\n    prefix: /books\n    policy: signed-in\n    to:\n      # slowly\n      legacy: 95   # the old one\n      users: 5\n      sticky: session # not to flip\n    answers: library\n",
        ),
        (
            "  - { name: books, host: api, to: {legacy: 90,users: 10,  sticky: { cookie: c } } , prefix: /books, policy: signed-in, answers: library }\n",
            "legacy=1,users=99",
            "  - { name: books, host: api, to: {legacy: 1,users: 99,  sticky: { cookie: c } } , prefix: /books, policy: signed-in, answers: library }\n",
        ),
        (
            "  - {\n      to: { sticky: tenant, # first\n        \"legacy\": 100 # all\n      },\n      name: 'books', host: api, prefix: /books, policy: signed-in, answers: library }\n",
            "legacy=90,users=10",
            "  - {\n      to: { sticky: tenant, # first\n        \"legacy\": 90, users: 10 # all\n      },\n      name: 'books', host: api, prefix: /books, policy: signed-in, answers: library }\n",
        ),
        (
            "  - { name: books, host: api, prefix: /books, policy: signed-in, to: \"legacy\", answers: library }\n",
            "users=10,legacy=90",
            "  - { name: books, host: api, prefix: /books, policy: signed-in, to: { legacy: 90, users: 10 }, answers: library }\n",
        ),
        (
            "  - name: books\n    host: api\n    prefix: /books\n    policy: signed-in\n    answers: library\n    to: legacy # for now\n",
            "users",
            "  - name: books\n    host: api\n    prefix: /books\n    policy: signed-in\n    answers: library\n    to: users # for now\n",
        ),
    ] {
        assert_eq!(after(&with(before), "books", to), with(expected), "{before}");
        let windows = |text: &str| text.replace('\n', "\r\n");
        assert_eq!(after(&windows(&with(before)), "books", to), windows(&with(expected)), "{before}");
    }
}

#[test]
fn an_error_is_explained_and_writes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("edge.yaml");
    let anchored = dev()
        .replace(
            "prefix: /books, policy: signed-in, to: legacy",
            "prefix: /books, policy: signed-in, to: &old { legacy: 100 }",
        )
        .replace(
            "host: file, prefix: /, policy: signed-in, to: legacy",
            "host: file, prefix: /, policy: signed-in, to: *old",
        );
    let broken = dev().replace("policy: bot,", "policy: robot,");
    let cases: [(&str, &str, &str, i32, &[&str]); 8] = [
        (&dev(), "boks", "users=10,legacy=90", 2, &["no route `boks`", "did you mean `books`?"]),
        (&dev(), "quite-different", "users", 2, &["there are: auth-code, "]),
        (&dev(), "books", "userz=10,legacy=90", 64, &["`userz`", "does not exist", "did you mean `users`?"]),
        (&dev(), "books", "users=10,legacy=80", 64, &["add up to 90"]),
        (&dev(), "books", "users=ten", 2, &["users=ten", "users=10"]),
        (&broken, "books", "users", 64, &["`robot`", "edge.yaml:"]),
        (&anchored, "files", "users", 1, &["an alias", "by hand"]),
        (&anchored, "books", "users=10,legacy=90", 1, &["other routes would change too"]),
    ];
    for (text, route, to, code, expected) in cases {
        fs::write(&file, text).unwrap();
        let output = set(&file, route, to);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{route} {to}: {said}");
        for part in expected {
            assert!(said.contains(part), "{route} {to} should say {part:?}, but says:\n{said}");
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), *text, "{route} {to}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_link_stays_a_link_and_the_mode_stays() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let (file, link) = (home.path().join("real.yaml"), home.path().join("edge.yaml"));
    fs::write(&file, dev()).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("real.yaml", &link).unwrap();
    assert!(set(&link, "books", "users").status.success());
    assert!(link.is_symlink());
    assert_ne!(fs::read_to_string(&file).unwrap(), dev());
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn a_kind_moves_alone_and_shares_leave_kinds_as_they_are() {
    let section = "legacy_sessions: { cookie: old, refresh_cookie: older, tenant: 00000000-0000-7000-8000-000000000001, verify: { check: { backend: legacy, path: / } } }\npolicies:\n  both: { kind: session, accept: [session, legacy-session] }\n";
    let route = |to: &str| {
        format!(
            "routes:\n  - {{ name: kinds, host: api, prefix: /kinds, policy: both, to: {to}, answers: auth }}\n"
        )
    };
    let text = |to: &str| dev().replacen("policies:\n", section, 1).replacen("routes:\n", &route(to), 1);
    let moved = |from: &str, to: &str| after(&text(from), "kinds", to);
    for (from, to, expected) in [
        (
            "{ legacy-session: legacy, session: auth }",
            "legacy-session=auth",
            "{ legacy-session: auth, session: auth }",
        ),
        (
            "{ session: auth, legacy: 90, users: 10 }",
            "legacy=50,users=50",
            "{ session: auth, legacy: 50, users: 50 }",
        ),
        ("{ legacy: 90, users: 10 }", "session=auth", "{ session: auth, legacy: 90, users: 10 }"),
        (
            "{ legacy: 90, users: 10, sticky: session }",
            "session=auth,legacy=0,users=100",
            "{ session: auth, legacy: 0, users: 100, sticky: session }",
        ),
        ("legacy", "session=auth", "{ session: auth, legacy: 100 }"),
        ("legacy", "session=auth,users=100", "{ session: auth, legacy: 0, users: 100 }"),
    ] {
        assert_eq!(moved(from, to), text(expected), "{from} {to}");
    }
    let block = |entries: &str| {
        let route = format!(
            "routes:\n  - name: kinds\n    host: api\n    prefix: /kinds\n    policy: both\n    answers: auth\n    to:\n{entries}"
        );
        dev().replacen("policies:\n", section, 1).replacen("routes:\n", &route, 1)
    };
    let before = block("      session: auth # new\n      legacy: 100\n");
    let expected = block("      legacy-session: legacy\n      session: users # new\n      legacy: 100\n");
    assert_eq!(after(&before, "kinds", "legacy-session=legacy,session=users"), expected);

    // Without shares there is none to change.
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("edge.yaml");
    fs::write(&file, text("{ legacy-session: legacy, session: auth }")).unwrap();
    let refused = set(&file, "kinds", "legacy=100");
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("name the kind that moves"));
}
