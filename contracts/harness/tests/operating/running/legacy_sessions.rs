//! Sessions that began at the legacy backend live on behind the edges as they are shipped: with the programs and the
//! settings that `cutover run` gives them.

use std::net::SocketAddr;
use std::path::Path;

use harness::tls::Tunnel;
use harness::wire::{Answer, Request};
use harness::{Port, SESSION_COOKIE, eventually, eventually_some, repository};

use super::{Up, all_gone, command, copied, ports, signal, up};

const DEMO: &str = "demo@example.com";
const BOT: &str = "bot@example.com";
const REFRESH_COOKIE: &str = "madome_refresh_token";

/// The cookies of a browser.
struct Browser(String);

impl Browser {
    fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 201, "{}", answer.text());
        let cookie =
            |name: &str| format!("{name}={}", answer.cookie(name).expect("the answer has the cookie"));
        Self(format!("{}; {}", cookie(SESSION_COOKIE), cookie(REFRESH_COOKIE)))
    }

    /// `email` signs in at `server`, which writes its mail below `home`.
    fn sign_in(email: &str, server: SocketAddr, home: &Path) -> Self {
        let post = |path: &str, body: String| Request::new(server, "POST", path).body(body).send();
        assert_eq!(post("/auth/code", format!("{{\"email\":\"{email}\"}}")).status, 201);
        let mails = std::fs::read_dir(home.join("mail").join(email)).expect("there is a mail");
        let newest = mails.flatten().map(|entry| entry.path()).max().expect("there is a mail");
        let mail = std::fs::read(newest).expect("the mail is readable");
        let mail: serde_json::Value = serde_json::from_slice(&mail).expect("the mail is JSON");
        let code = mail.pointer("/variables/authcode").and_then(serde_json::Value::as_str);
        let code = code.expect("the mail has a code");
        Self::of(&post("/auth/token", format!("{{\"email\":\"{email}\",\"code\":\"{code}\"}}")))
    }

    /// The answer, once a busy machine has given the authorizer and the legacy backend the time that it needs.
    fn ask(&self, server: SocketAddr, method: &str, path: &str) -> Answer {
        eventually_some(&format!("{method} {path} is decided"), || {
            let answer = Request::new(server, method, path).header("cookie", &self.0).send();
            (answer.status != 503).then_some(answer)
        })
    }

    fn until(&self, server: SocketAddr, path: &str, status: u16) {
        eventually(&format!("{path} is {status}"), || self.ask(server, "GET", path).status == status);
    }
}

/// How often the authorizer queried the legacy backend.
fn queries(authorizer: SocketAddr) -> u64 {
    let metrics = Request::new(authorizer, "GET", "/metrics").send().text();
    let lines = metrics.lines().filter(|line| line.starts_with("authz_legacy_questions_total{"));
    let counts = lines.map(|line| line.rsplit(' ').next().and_then(|count| count.parse().ok()));
    let counts: Option<Vec<u64>> = counts.collect();
    counts.filter(|counts| !counts.is_empty()).expect("the authorizer counts its queries").iter().sum()
}

/// A session begins at the legacy backend, is good behind the edge, is exchanged by a refresh, and ends by a sign-out.
fn a_session_lives_on(edge: SocketAddr, ports: &[Port], home: &Path) {
    let [authorizer, legacy] = [4, 5].map(|at| ports.get(at).expect("a leased port").address());
    let old = Browser::sign_in(DEMO, legacy, home);
    for path in ["/users/@me", "/users/@me/likes", "/auth/token", "/books", "/elsewhere"] {
        let answer = old.ask(edge, "GET", path);
        // The legacy backend itself has no such path, and is asked.
        let expected = if path == "/elsewhere" { 404 } else { 200 };
        assert_eq!(answer.status, expected, "{path}: {}", answer.text());
    }
    let person = old.ask(edge, "GET", "/users/@me");
    assert!(person.text().contains(DEMO), "{}", person.text());
    assert!(queries(authorizer) > 0);

    let new = Browser::of(&old.ask(edge, "PATCH", "/auth/token"));
    assert_eq!(old.ask(edge, "PATCH", "/auth/token").status, 401, "it is exchanged once");
    old.until(legacy, "/auth/token", 401);
    old.until(edge, "/users/@me", 401);
    let before = queries(authorizer);
    assert_eq!(new.ask(edge, "GET", "/users/@me").text(), person.text(), "the same person");
    let next = Browser::of(&new.ask(edge, "PATCH", "/auth/token"));
    assert_eq!(next.ask(edge, "GET", "/books").status, 200);
    assert_eq!(next.ask(edge, "DELETE", "/auth/token").status, 204);
    next.until(edge, "/users/@me", 401);
    assert_eq!(
        queries(authorizer),
        before,
        "the legacy backend hears nothing of a session of the auth service"
    );

    let other = Browser::sign_in(DEMO, legacy, home);
    assert_eq!(other.ask(edge, "GET", "/users/@me").status, 200);
    assert_eq!(other.ask(edge, "DELETE", "/auth/token").status, 204);
    other.until(legacy, "/auth/token", 401);
    other.until(edge, "/users/@me", 401);

    // Its role is not known while its session is one of the legacy backend. The 401 makes its client refresh.
    let bot = Browser::sign_in(BOT, legacy, home);
    assert_eq!(bot.ask(edge, "GET", "/users/@me").status, 200);
    assert_eq!(bot.ask(edge, "POST", "/users").status, 401);
    let bot = Browser::of(&bot.ask(edge, "PATCH", "/auth/token"));
    assert_eq!(bot.ask(edge, "POST", "/users").status, 400, "the body is missing, and not the role");
}

fn ends(mut up: Up, ports: &[Port]) {
    signal(up.child.id(), "-INT");
    assert!(up.child.wait().expect("it ends").success());
    all_gone(ports);
}

#[test]
fn a_session_of_the_legacy_backend_lives_on_at_the_development_edge() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let ports = ports();
    let up = up(&mut command(home.path(), &ports));
    a_session_lives_on(ports[0].address(), &ports, home.path());
    ends(up, &ports);
}

#[test]
fn a_session_of_the_legacy_backend_lives_on_at_the_production_edge() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (ports, stats) = (ports(), Port::lease());
    copied(&repository().join("envoy/edges"), "prod", home.path());
    let file = home.path().join("edge.yaml");
    let text = std::fs::read_to_string(&file).expect("the edge file is readable");
    // A test reaches the edge by a name of this machine; nothing else differs.
    let local = text.replace("names: [api.example.com]", "names: [api.example.com, localhost]");
    assert_ne!(local, text);
    std::fs::write(&file, local).expect("the edge file is writable");
    let mut command = command(home.path(), &ports);
    command.env("EDGE_FILE", &file).env("EDGE_STATS_ADDRESS", stats.address().to_string());
    let up = up(&mut command);
    let tunnel = Tunnel::to(ports[0].address(), &home.path().join("certs/edge.pem"));
    a_session_lives_on(tunnel.address(), &ports, home.path());
    ends(up, &ports);
}

#[test]
fn a_session_of_the_legacy_backend_lives_on_at_the_edge_of_the_web_application() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (ports, pages, encrypted) = (ports(), Port::lease(), Port::lease());
    let mut command = command(home.path(), &ports);
    command.env("EDGE_FILE", "envoy/edges/web.yaml").env("WEB_ADDRESS", pages.address().to_string());
    command.env("EDGE_TLS_ADDRESS", encrypted.address().to_string());
    let up = up(&mut command);
    a_session_lives_on(ports[0].address(), &ports, home.path());
    ends(up, &ports);
}
