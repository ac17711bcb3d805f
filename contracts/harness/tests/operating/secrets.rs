//! No token, cookie, code, key or header value is in any log, event, metric, span or answer of the edge's interfaces.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use harness::tokens::DEMO_TENANT;
use harness::wire::Request;
use harness::{Backend, Edge, Part, RabbitMq, Redis, eventually, pause};

/// The tolerance of the signatures' times, a second, on both sides of the start, and a second for the start itself.
const NONCES_KNOWN_AFTER: Duration = Duration::from_secs(3);

/// Everything in the audit's queue, as a reader receives it.
fn queued(url: &str) -> String {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let connection = lapin::Connection::connect(url, lapin::ConnectionProperties::default())
            .await
            .expect("the broker takes connections");
        let channel = connection.create_channel().await.expect("a channel");
        let options = lapin::options::BasicGetOptions { no_ack: true };
        let mut texts = String::new();
        while let Ok(Some(message)) = channel.basic_get("coder.audit".into(), options).await {
            texts.push_str(&String::from_utf8_lossy(&message.delivery.data));
            // A reader of the event also reads its properties.
            texts.push_str(&format!("{:?}\n", message.delivery.properties));
        }
        texts
    })
}

/// All texts that logs and interfaces show, by place.
fn all_texts(edge: &Edge) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    let logs = std::fs::read_dir(edge.home().join("logs")).expect("there are logs");
    for entry in logs {
        let path = entry.expect("a log has a name").path();
        let text = String::from_utf8_lossy(&std::fs::read(&path).expect("a log is readable")).into_owned();
        texts.insert(path.file_name().unwrap_or_default().to_string_lossy().into_owned(), text);
    }
    for (variable, paths) in [
        ("AUTHZ_ADMIN_ADDRESS", &["/stats", "/metrics", "/readyz", "/decisions?limit=10000"][..]),
        ("ENVOY_ADMIN_ADDRESS", &["/stats", "/clusters"][..]),
    ] {
        for path in paths {
            let answer = Request::new(edge.address(variable), "GET", path).send();
            assert_eq!(answer.status, 200, "{path}");
            texts.insert(format!("{variable} {path}"), answer.text());
        }
    }
    texts
}

#[test]
fn no_secret_is_in_any_log_or_interface() {
    let broker = RabbitMq::start();
    let backend = Backend::plain();
    let edge = Edge::dev()
        .stand_in("LEGACY_ADDRESS", backend.address())
        .variable("AMQP_URL", &broker.url())
        // All log lines, not only those of the default level.
        .variable("RUST_LOG", "debug,authz_service=trace,auth=trace,users=trace,kit=trace")
        .start();
    let mut secrets: BTreeMap<String, String> = BTreeMap::new();
    let mut secret = |what: &str, value: &str| secrets.insert(what.to_owned(), value.to_owned());

    // A whole login with a code from the mail, and the requests after it.
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
        // The first part names the algorithm and is the same in all tokens.
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

    // Refused tokens, in every place for a token.
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
    // The edge's header for the backend is a credential too.
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

    let _ = edge.logged("/books", 200);
    let log = edge.access_log(12);
    let mut texts = all_texts(&edge);
    let mut queue = String::new();
    eventually("the refusal is in the queue", || {
        queue.push_str(&queued(&broker.url()));
        queue.contains("token_wrong_issuer")
    });
    texts.insert("the queue coder.audit".to_owned(), queue);
    for (place, proof) in [
        ("authz.log", "\"check\""),
        ("auth.log", "{"),
        ("users.log", "{"),
        ("access.json", "auth-login"),
        ("audit.jsonl", "token_wrong_issuer"),
        ("AUTHZ_ADMIN_ADDRESS /decisions?limit=10000", "token_wrong_issuer"),
    ] {
        assert!(
            texts.get(place).is_some_and(|text| text.contains(proof)),
            "{place} is empty: {:?}",
            texts.keys()
        );
    }
    assert!(log.iter().any(|line| line["path"] == "/books"), "paths are logged");
    for (place, text) in &texts {
        for (what, value) in &secrets {
            assert!(value.len() >= 4, "{what} is too short to look for");
            assert!(!text.contains(value.as_str()), "{what} is in {place}");
        }
    }
}

/// All bytes that are sent to a collector of spans.
fn collector() -> (std::net::SocketAddr, Arc<Mutex<Vec<u8>>>) {
    let received = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&received);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it listens");
    listener.set_nonblocking(true).expect("a listener can be polled");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let router = axum::Router::new().fallback(move |body: axum::body::Bytes| {
                kept.lock().expect("no thread panicked").extend(&body);
                async { [("content-type", "application/grpc"), ("grpc-status", "0")] }
            });
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, router).await.expect("it serves");
        });
    });
    (address, received)
}

const LEGACY_KEY: &str =
    "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJCrze8SNFZ4kA";
const HMAC_SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// A session as the legacy backend signs it, with a key that only its Redis has.
fn legacy_token() -> String {
    let now = harness::tokens::now();
    let claims = serde_json::json!({
        "sub": "access", "iss": "legacy", "iat": now - 10, "exp": now + 1_000, "_a": true,
        "id": "0192d3c0-0000-4000-8000-0000000000cc", "user_id": "00000000-0000-7000-8000-0000000000d0",
    });
    let header = harness::tokens::base64url(br#"{"typ":"JWT","alg":"HS256"}"#);
    let signed = format!("{header}.{}", harness::tokens::base64url(claims.to_string().as_bytes()));
    let key = jsonwebtoken::EncodingKey::from_secret(LEGACY_KEY.as_bytes());
    let tag = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, jsonwebtoken::Algorithm::HS256);
    format!("{signed}.{}", tag.expect("it can be signed"))
}

/// Session cookie, bearer token, API key, signature, service token, a service's own assertion, and a session of the
/// legacy backend: each accepted once and refused once. None is in any log, any interface, the spans, or the output of
/// `cutover explain`.
#[test]
fn no_credential_of_any_kind_is_in_any_output() {
    let (spans_to, spans) = collector();
    let mut redis = Redis::start();
    redis_set(&redis, "s:0192d3c0-0000-4000-8000-0000000000cc", LEGACY_KEY);
    let backend = Backend::plain();
    let verify = format!("{{ redis: {{ url: \"{}\", key_prefix: \"s:\", timeout_ms: 150 }} }}", redis.url());
    let sections = format!(
        "signatures: {{ keys: \"${{CUTOVER_HOME}}/keys/signing-keys.yaml\", skew_seconds: 1 }}
api_keys: {{ file: \"${{CUTOVER_HOME}}/api-keys.jsonl\" }}
service_tokens: {{ issuer: \"https://auth.test\", keys: \"${{CUTOVER_HOME}}/keys/service-token.jwks.json\" }}
legacy_sessions: {{ cookie: old_token, tenant: {DEMO_TENANT}, role: 1, verify: {verify} }}

policies:
  sync: {{ kind: signed, keys: [partner], addresses: [127.0.0.1/32] }}
  any: {{ kind: session, accept: [session, api-key, legacy-session] }}
  reading: {{ kind: internal, permissions: [users.read] }}
"
    );
    let mut edge = Edge::dev()
        .every_backend(backend.address())
        .replace("policies:\n", &sections)
        .replace("keys/auth.jwks.json\" }", "keys/auth.jwks.json\", permissions: [users.read] }")
        .replace(
            "routes:\n",
            "routes:
  - { name: sync, host: api, prefix: /sync, policy: sync, to: users, answers: users }
  - { name: any, host: api, prefix: /any, policy: any, to: users, answers: users }
  - { name: reading, host: service, prefix: /_/reading, policy: reading, to: users, answers: users }
",
        )
        .variable("RUST_LOG", "debug,authz_service=trace")
        .variable("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://{spans_to}"))
        .without(Part::Authz)
        .start();
    let write = |name: &str, text: &str| {
        let path = edge.home().join(name);
        std::fs::write(&path, text).expect("the home is writable");
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("it is ours");
        path.display().to_string()
    };
    let secret = write("keys/partner.secret", HMAC_SECRET);
    let list = "keys:\n  partner: { service: partner, alg: hmac-sha256, secrets: [partner.secret] }\n";
    let _ = write("keys/signing-keys.yaml", list);
    let made = edge.cutover(&["apikey", "--json", "new", "--client", "nightly", "--tenant", DEMO_TENANT]);
    let made: serde_json::Value = serde_json::from_str(&made).expect("it prints JSON");
    let key = made["key"].as_str().expect("a key has a text").to_owned();
    edge.start(Part::Authz);
    edge.wait_until_ready();

    let at = |name: &str| edge.home().join("keys").join(name);
    let now = clock::Clock::now(&clock::SystemClock);
    let issuer =
        identity::service_token::Issuer::from_file("https://auth.test", "dev", &at("service-token.pem"));
    let token = identity::service_token::ServiceToken {
        service: "auth".parse().expect("a name"),
        permissions: vec!["users.read".to_owned()],
        tenant: None,
    };
    let issuer = issuer.expect("`cutover keys` made the key");
    let service = issuer.issue(&token, "id", Duration::from_secs(600), now).expect("it can be signed");
    let signer = identity::assertion::Signer::from_file("auth", &at("auth.pem")).expect("a key");
    let caller = identity::Caller::Service("auth".parse().expect("a name"));
    let assertion = signer.sign(&caller, "dev", now).expect("it can be signed");
    let session = edge.mint().good(1);
    let legacy = legacy_token();

    // A refused credential, derived from a good one.
    let spoilt = |text: &str| {
        let (head, tail) = text.split_at(text.len() - 10);
        let (head, middle) = head.split_at(head.len() - 10);
        format!("{head}{}{tail}", middle.chars().rev().collect::<String>())
    };
    let mut texts = BTreeMap::new();
    let mut secrets: Vec<(String, String)> = vec![("the secret of a key".to_owned(), HMAC_SECRET.to_owned())];
    secrets.push(("the key of a legacy session".to_owned(), LEGACY_KEY.to_owned()));
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let service_listener = edge.address("EDGE_SERVICE_ADDRESS");
    let mut statuses = Vec::new();
    for (kind, credential, path) in [
        ("a session cookie", ("cookie", format!("madome_access_token={session}")), "/any"),
        ("a bearer token", bearer(&session), "/any"),
        ("an API key", ("x-api-key", key), "/any"),
        ("a legacy session", ("cookie", format!("old_token={legacy}")), "/any"),
        ("a service token", bearer(&service), "/_/reading/x"),
        ("an assertion", bearer(&assertion), "/_/reading/x"),
    ] {
        let (name, value) = credential;
        for (manner, value) in [("good", value.clone()), ("spoilt", spoilt(&value))] {
            let internal = path.starts_with("/_");
            let to = if internal { service_listener } else { edge.public() };
            let answer =
                Request::new(to, "GET", path).host("api.dev-domain.test").header(name, &value).send();
            statuses.push((kind, manner, answer.status));
            // The end of a signature, or of a secret.
            let secret = value.get(value.len() - 30..).unwrap_or_default().to_owned();
            secrets.push((format!("{kind}, {manner}"), secret));
            if kind != "a bearer token" {
                secrets.extend(
                    value.split('.').nth(1).map(|part| (format!("the payload of {kind}"), part.to_owned())),
                );
            }
            let file = edge.file().display().to_string();
            let (request, header) =
                (format!("GET http://api.dev-domain.test{path}"), format!("{name}: {value}"));
            let listener = if internal { "service" } else { "public" };
            let arguments = ["explain", &file, &request, "-H", &header, "--listener", listener];
            texts.insert(format!("explain of {kind}, {manner}"), edge.cutover(&arguments));
        }
    }
    let url = format!("http://{}/sync/x", edge.public());
    pause(
        NONCES_KNOWN_AFTER,
        "the authorizer cannot judge a request signed before its memory of nonces began",
    );
    for manner in ["good", "spoilt"] {
        let printed = edge.cutover(&[
            "sign",
            "--key",
            "partner",
            "--secret-file",
            &secret,
            "--host",
            "api.dev-domain.test",
            "GET",
            &url,
        ]);
        let mut request = edge.get("/sync/x").host("api.dev-domain.test");
        for line in printed.lines() {
            let (name, value) = line.split_once(": ").expect("a header line");
            let value = if manner == "spoilt" && name == "signature" {
                value.replace(":", ":A")
            } else {
                value.to_owned()
            };
            if name == "signature" {
                let inside = value.trim_start_matches("sig=:").trim_end_matches([':', 'A', '=']).to_owned();
                secrets.push((format!("a signature, {manner}"), inside));
            }
            request = request.header(name, value);
        }
        statuses.push(("a signature", manner, request.send().status));
    }
    for (kind, manner, status) in statuses {
        assert_eq!(status, if manner == "good" { 200 } else { 401 }, "{kind}, {manner}");
    }

    let _ = edge.access_log(14);
    // The metrics appear some time after the spans were sent.
    let sent = || String::from_utf8_lossy(&spans.lock().expect("no thread panicked")).into_owned();
    let codes = ["signature_malformed", "legacy_bad_signature", "api_key_wrong_secret"];
    eventually("the spans have every refusal", || codes.iter().all(|code| sent().contains(code)));
    texts.insert("spans".to_owned(), sent());
    texts.extend(all_texts(&edge));
    for (place, proof) in [
        ("authz.log", "legacy_bad_signature"),
        ("access.json", "api_key_wrong_secret"),
        ("audit.jsonl", "service_call"),
        ("AUTHZ_ADMIN_ADDRESS /decisions?limit=10000", "signature_malformed"),
        ("AUTHZ_ADMIN_ADDRESS /metrics", "api_key_wrong_secret"),
        ("explain of an API key, good", "allowed"),
    ] {
        assert!(texts.get(place).is_some_and(|text| text.contains(proof)), "{place} has no {proof}");
    }
    for (place, text) in &texts {
        for (what, value) in &secrets {
            assert!(value.len() >= 20, "{what} is too short to look for: {value:?}");
            assert!(!text.contains(value.as_str()), "{what} is in {place}");
        }
    }
    redis.process().signal(harness::Signal::Terminate);
}

/// Puts a value into a store of a test.
fn redis_set(redis: &Redis, key: &str, value: &str) {
    let port = redis.url().rsplit(':').next().unwrap_or_default().trim_end_matches('/').to_owned();
    let done = std::process::Command::new("redis-cli").args(["-p", &port, "set", key, value]).output();
    assert!(done.expect("redis-cli is there").status.success());
}
