//! Runs of the edges besides the development and the production one: the web application's, that of deliveries, of tenants.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use harness::wire::Request;
use harness::{Port, eventually, program, repository};

use super::{all_gone, command, ports, signal, up};

#[test]
fn the_edge_of_the_web_application_runs() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (ports, pages, encrypted) = (ports(), Port::lease(), Port::lease());
    let mut command = command(home.path(), &ports);
    command.env("EDGE_FILE", "envoy/edges/web.yaml").env("WEB_ADDRESS", pages.address().to_string());
    command.env("EDGE_TLS_ADDRESS", encrypted.address().to_string());
    let build = repository().join("apps/web/dist/index.html");
    assert!(build.exists(), "{} does not exist: `make pages` builds it", build.display());
    let mut up = up(&mut command);
    assert!(up.printed.contains("https://cutover.localhost:8443"), "{}", up.printed);
    assert_eq!(Request::new(ports[0].address(), "GET", "/users/@me").send().status, 401);
    for path in ["/open-graph/books/7", "/openapi/openapi.json"] {
        let open = Request::new(ports[0].address(), "GET", path).send();
        assert_eq!(open.status, 200, "{path} needs no session");
    }
    let page = Request::new(pages.address(), "GET", "/books/1").send();
    assert_eq!((page.status, page.text()), (200, std::fs::read_to_string(build).expect("it is readable")));
    assert!(std::net::TcpStream::connect(encrypted.address()).is_ok());
    signal(up.child.id(), "-INT");
    assert!(up.child.wait().expect("it ends").success());
    all_gone(&ports);
}

#[test]
fn the_edge_of_deliveries_runs_with_the_key_of_a_program() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (ports, listener, service) = (ports(), Port::lease(), Port::lease());
    let mut command = command(home.path(), &ports);
    command.env("EDGE_FILE", "envoy/edges/sync.yaml").env("SYNC_ADDRESS", service.address().to_string());
    command.env("EDGE_SYNC_ADDRESS", listener.address().to_string());
    // As docs/services.md writes them.
    let keys = "mkdir -p keys && (umask 077; openssl rand -base64 32 > keys/crawler.secret) && \
                echo 'keys: { crawler: { service: crawler, alg: hmac-sha256, secrets: [crawler.secret] } }' > keys/signing-keys.yaml";
    let written = Command::new("sh").args(["-c", keys]).current_dir(home.path()).status();
    assert!(written.expect("a shell can be started").success());
    let mut up = up(&mut command);
    let target = "/_sync/jobs/first/batches/0";
    let body =
        r#"{"books":[{"id":1001,"title":"One","kind":"manga","tags":[{"kind":"misc","name":"new"}]}]}"#;
    std::fs::write(home.path().join("batch.json"), body).expect("the body is writable");
    let deliver = || {
        let mut sign = Command::new(program("cutover"));
        sign.current_dir(home.path());
        sign.args([
            "sign",
            "--key",
            "crawler",
            "--secret-file",
            "keys/crawler.secret",
            "--body",
            "batch.json",
        ]);
        sign.args(["--header", "content-type: application/json", "POST"]);
        sign.arg(format!("http://{}{target}", listener.address()));
        let signed = sign.output().expect("cutover can be started").stdout;
        let signed = String::from_utf8(signed).expect("headers are text");
        let mut delivery = Request::new(listener.address(), "POST", target);
        delivery = delivery.host(listener.address().to_string()).header("content-type", "application/json");
        for (name, value) in signed.lines().filter_map(|line| line.split_once(": ")) {
            delivery = delivery.header(name, value);
        }
        delivery.body(body).send()
    };
    // At its start the authorizer does not know which nonces of the last seconds were used.
    eventually("a delivery passes", || deliver().status != 503);
    let answer = deliver();
    let expected = r#"{"next":1,"added":1,"changed":0,"unchanged":0}"#;
    assert_eq!((answer.status, answer.text().as_str()), (200, expected));
    signal(up.child.id(), "-INT");
    assert!(up.child.wait().expect("it ends").success());
    all_gone(&ports);
}

#[test]
fn the_edge_of_tenants_runs_and_its_operator_creates_and_suspends_one() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (ports, further) = (ports(), [Port::lease(), Port::lease(), Port::lease()]);
    let mut command = command(home.path(), &ports);
    command.env("EDGE_FILE", "envoy/edges/tenants.yaml");
    for (name, port) in
        ["TENANTS_ADDRESS", "TENANTS_GRPC_ADDRESS", "NOTIFICATIONS_ADDRESS"].iter().zip(&further)
    {
        command.env(name, port.address().to_string());
    }
    let mut up = up(&mut command);
    let pasted: String = up
        .printed
        .lines()
        .skip_while(|line| !line.starts_with("Create the tenant"))
        .filter(|line| line.starts_with("  "))
        .take_while(|line| !line.contains("Their requests"))
        .map(|line| format!("{line}\n"))
        .collect();
    let shell = |script: &str| {
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", script])
            .current_dir(repository())
            .output()
            .expect("bash runs");
        assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("answers are text")
    };
    let created = shell(&pasted);
    assert!(created.contains("\"standing\":\"active\""), "{pasted}\n{created}");
    a_person_signs_in(home.path(), ports[0].address());
    let suspend =
        pasted.replace("/_/tenants -H", "/_/tenants/00000000-0000-7000-8000-000000000001/suspend -H");
    let suspended =
        shell(&suspend.replace(r#"{"id":"00000000-0000-7000-8000-000000000001","name":"Demo"}"#, "{}"));
    assert!(suspended.contains("\"standing\":\"suspended\""), "{suspended}");
    // The notifications service takes a message of an operator, and no message of a client.
    let message = r#"{"idempotencyKey":"one","message":{"tenantId":"t-1","mail":{"to":"a@example.com","subject":"s","text":"t"}}}"#;
    let send = pasted
        .replace("/_/tenants -H", "/_/notifications/messages -o /dev/null -w '%{http_code}' -H")
        .replace(r#"{"id":"00000000-0000-7000-8000-000000000001","name":"Demo"}"#, message);
    assert_eq!(shell(&send), "202");
    let closed = Request::new(ports[0].address(), "POST", "/_/notifications/messages").body(message).send();
    assert_eq!(closed.status, 404);
    signal(up.child.id(), "-INT");
    assert!(up.child.wait().expect("it ends").success());
    all_gone(&ports);
}

/// The edge verifies a person's session before the auth service lists its passkeys: without the signed identity it refuses.
fn a_person_signs_in(home: &Path, edge: SocketAddr) {
    let email = "demo@example.com";
    let post = |path: &str, body: String| Request::new(edge, "POST", path).body(body).send();
    assert_eq!(post("/auth/code", format!("{{\"email\":\"{email}\"}}")).status, 201);
    let mails = std::fs::read_dir(home.join("mail").join(email)).expect("there is a mail");
    let newest = mails.flatten().map(|entry| entry.path()).max().expect("there is a mail");
    let mail = std::fs::read(newest).expect("the mail is readable");
    let mail: serde_json::Value = serde_json::from_slice(&mail).expect("the mail is JSON");
    let code = mail.pointer("/variables/authcode").and_then(serde_json::Value::as_str);
    let code = code.expect("the mail has a code");
    let answer = post("/auth/token", format!("{{\"email\":\"{email}\",\"code\":\"{code}\"}}"));
    let token = answer.cookie(harness::SESSION_COOKIE).expect("a session");
    let get = |path: &str| Request::new(edge, "GET", path);
    for path in ["/auth/token", "/auth/passkeys", "/users/@me"] {
        assert_eq!(get(path).send().status, 401, "{path} without a session");
        assert_eq!(get(path).token(&token).send().status, 200, "{path}");
    }
    let registration = Request::new(edge, "POST", "/auth/passkey/registration").token(&token).send();
    assert_eq!(registration.status, 200, "{}", registration.text());
    assert_eq!(get("/auth/other").token(&token).send().status, 404);
}
