//! No token, cookie, code, key or header value is in anything that the edge writes down or tells.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use harness::wire::Request;
use harness::{Backend, Edge, RabbitMq};

/// What a reader of the audit's queue gets.
fn queued(url: &str) -> String {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let connection = lapin::Connection::connect(url, lapin::ConnectionProperties::default())
            .await
            .expect("the broker takes connections");
        let channel = connection.create_channel().await.expect("a channel");
        let options = lapin::options::BasicGetOptions { no_ack: true };
        let mut told = String::new();
        while let Ok(Some(message)) = channel.basic_get("coder.audit".into(), options).await {
            told.push_str(&String::from_utf8_lossy(&message.delivery.data));
            // What stands beside the event is read by whoever reads the event.
            told.push_str(&format!("{:?}\n", message.delivery.properties));
        }
        told
    })
}

/// What a reader of logs and interfaces can see, by where.
fn everything_told(edge: &Edge) -> BTreeMap<String, String> {
    let mut told = BTreeMap::new();
    let logs = std::fs::read_dir(edge.home().join("logs")).expect("there are logs");
    for entry in logs {
        let path = entry.expect("a log has a name").path();
        let text = String::from_utf8_lossy(&std::fs::read(&path).expect("a log is readable")).into_owned();
        told.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text);
    }
    for (variable, paths) in [
        ("AUTHZ_ADMIN_ADDRESS", &["/stats", "/metrics", "/readyz", "/decisions?limit=10000"][..]),
        ("ENVOY_ADMIN_ADDRESS", &["/stats", "/clusters"][..]),
    ] {
        for path in paths {
            let answer = Request::new(edge.address(variable), "GET", path).send();
            assert_eq!(answer.status, 200, "{path}");
            told.insert(format!("{variable} {path}"), answer.text());
        }
    }
    told
}

#[test]
fn no_secret_is_in_any_log_or_interface() {
    let broker = RabbitMq::start();
    let backend = Backend::plain();
    let edge = Edge::dev()
        .stand_in("LEGACY_ADDRESS", backend.address())
        .variable("AMQP_URL", &broker.url())
        // Everything that the code can say, not just what it says by default.
        .variable("RUST_LOG", "debug,authz_service=trace,auth=trace,users=trace,kit=trace")
        .start();
    let mut secrets: BTreeMap<String, String> = BTreeMap::new();
    let mut secret = |what: &str, value: &str| secrets.insert(what.to_owned(), value.to_owned());

    // A whole login, with a code from the mail, and what follows.
    let address = "demo@example.com";
    let json = |method: &str, path: &str, body: String| {
        edge.request(method, path).header("content-type", "application/json").body(body)
    };
    let asked = json("POST", "/auth/code", format!("{{\"email\":\"{address}\"}}")).send();
    assert_eq!(asked.status, 201, "{asked:?}");
    let code = edge.login_code(address);
    let login =
        json("POST", "/auth/token", format!("{{\"email\":\"{address}\",\"code\":\"{code}\"}}")).send();
    assert_eq!(login.status, 201, "{login:?}");
    let cookies: Vec<String> =
        login.all("set-cookie").iter().filter_map(|line| line.split(';').next().map(str::to_owned)).collect();
    assert_eq!(cookies.len(), 2, "{cookies:?}");
    let jar = cookies.join("; ");
    let mut token = |what: &str, token: &str| {
        let parts: Vec<_> = token.split('.').collect();
        assert_eq!(parts.len(), 3, "{what} is a JWT");
        // The first part says the algorithm and is the same for all.
        secret(&format!("payload of {what}"), parts[1]);
        secret(&format!("signature of {what}"), parts[2]);
    };
    for cookie in &cookies {
        let (name, value) = cookie.split_once('=').expect("a cookie has a value");
        token(name, value);
    }
    assert_eq!(edge.get("/users/@me").header("cookie", &jar).send().status, 200);
    let refreshed = edge.request("PATCH", "/auth/token").header("cookie", &jar).send();
    assert!(refreshed.status < 400, "{refreshed:?}");
    for line in refreshed.all("set-cookie") {
        let value =
            line.split(';').next().and_then(|cookie| cookie.split_once('=')).expect("a cookie").1.to_owned();
        token("a refreshed cookie", &value);
    }

    // Tokens that are refused, in every place that one can be in.
    let mint = edge.mint();
    let foreign = mint.with(|claims| claims["iss"] = "https://elsewhere.test".into());
    token("a token of another issuer", &foreign);
    let good = mint.good(0);
    token("a good token", &good);
    let garbage = "gArBaGe-0123456789-token";
    assert_eq!(edge.get("/books").token(&foreign).send().status, 401);
    assert_eq!(edge.get("/books").header("authorization", format!("Bearer {good}")).send().status, 200);
    assert_eq!(edge.get("/books").header("authorization", format!("Bearer {garbage}")).send().status, 401);
    assert_eq!(edge.get("/books").token(garbage).send().status, 401);
    assert_eq!(edge.get("/books").header("authorization", "Basic dXNlcjpodW50ZXIy").send().status, 401);
    let odd = edge.get("/books?apikey=qUeRy-s3cret").token(&good).header("x-tenant-id", "fOrGeD-value");
    assert_eq!(odd.header("x-trace", "hEaDeR-value").send().status, 200);
    for (what, value) in [
        ("the login code", code.as_str()),
        ("a garbage token", garbage),
        ("basic credentials", "dXNlcjpodW50ZXIy"),
        ("a query", "qUeRy-s3cret"),
        ("a forged header", "fOrGeD-value"),
        ("a header", "hEaDeR-value"),
        ("the broker's password", "guest:guest"),
    ] {
        secret(what, value);
    }
    // What the backend was given by the edge is a credential too.
    let identity = backend.last().header("x-madome-identity").expect("the edge signs an identity");
    let signature = identity.rsplit('.').next().unwrap_or_default();
    secret("a signed identity", signature);
    for entry in std::fs::read_dir(edge.home().join("keys")).expect("there are keys") {
        let path = entry.expect("a key has a name").path();
        if path.extension().is_some_and(|extension| extension == "pem") {
            let pem = std::fs::read_to_string(&path).expect("a key is readable");
            let line = pem.lines().find(|line| !line.starts_with("-----")).unwrap_or_default();
            secret(&path.display().to_string(), line);
        }
    }

    let log = edge.access_log(12);
    let mut told = everything_told(&edge);
    let until = Instant::now() + Duration::from_secs(30);
    let mut queue = String::new();
    while !queue.contains("token_wrong_issuer") {
        assert!(Instant::now() < until, "the queue tells nothing: {queue}");
        std::thread::sleep(Duration::from_millis(50));
        queue.push_str(&queued(&broker.url()));
    }
    told.insert("the queue coder.audit".to_owned(), queue);
    for (place, proof) in [
        ("authz.log", "\"check\""),
        ("auth.log", "{"),
        ("users.log", "{"),
        ("access.json", "auth-login"),
        ("audit.jsonl", "token_wrong_issuer"),
        ("AUTHZ_ADMIN_ADDRESS /decisions?limit=10000", "token_wrong_issuer"),
    ] {
        assert!(
            told.get(place).is_some_and(|text| text.contains(proof)),
            "{place} tells nothing: {:?}",
            told.keys()
        );
    }
    assert!(log.iter().any(|line| line["path"] == "/books"), "paths are logged");
    for (place, text) in &told {
        for (what, value) in &secrets {
            assert!(value.len() >= 4, "{what} is too short to look for");
            assert!(!text.contains(value.as_str()), "{what} is in {place}");
        }
    }
}
