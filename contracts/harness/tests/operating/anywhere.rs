//! An edge of a stranger's own, from an empty directory: no repository, no Python environment, an identity provider of which
//! the edge knows the name alone. The commands are those of docs/your-own-product.md.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use harness::release::{Run, release};
use harness::tokens::now;
use harness::{Backend, Port, eventually, repository};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// An identity provider with a signing key and an encryption key, found by its metadata.
struct Provider {
    server: Backend,
    key: EncodingKey,
}

fn pair(kid: &str, usage: &str) -> (EncodingKey, Value) {
    let pair = rcgen::KeyPair::generate().expect("a key");
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("it is PEM");
    let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).expect("it has a public half");
    let mut jwk = serde_json::to_value(jwk).expect("it is JSON");
    jwk.as_object_mut()
        .expect("an object")
        .extend([("kid".to_owned(), json!(kid)), ("use".to_owned(), json!(usage))]);
    (key, jwk)
}

impl Provider {
    fn start() -> Self {
        let ((key, signing), (_, encrypting)) = (pair("one", "sig"), pair("two", "enc"));
        let keys = json!({ "keys": [signing, encrypting] });
        let origin: Arc<OnceLock<String>> = Arc::default();
        let shared = Arc::clone(&origin);
        let server = Backend::with(move |seen| {
            let origin = shared.get().cloned().unwrap_or_default();
            let page = if seen.request_line().contains("/realms/shop/.well-known/openid-configuration") {
                json!({ "issuer": format!("{origin}/realms/shop"), "jwks_uri": format!("{origin}/keys") })
            } else {
                keys.clone()
            };
            let page = page.to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
            format!("{head}\r\ncontent-length: {}\r\n\r\n{page}", page.len()).into_bytes()
        });
        origin.set(format!("http://{}", server.address())).expect("it is set once");
        Self { server, key }
    }

    fn issuer(&self) -> String {
        format!("http://{}/realms/shop", self.server.address())
    }

    fn token(&self) -> String {
        let claims = json!({
            "iss": self.issuer(), "aud": ["shop-api", "account"], "sub": "auth0|5f7c8e", "scope": "openid orders",
            "iat": now(), "exp": now() + 600,
        });
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &claims, &self.key).expect("it can be signed")
    }
}

/// The commands of the section that promises a signed-in request.
fn commands() -> Vec<String> {
    let page =
        std::fs::read_to_string(repository().join("docs/your-own-product.md")).expect("it is readable");
    let section = page.split("## From an empty directory").nth(1).expect("it has the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    section.lines().filter_map(|line| line.strip_prefix("    ")).map(str::to_owned).collect()
}

#[test]
fn five_commands_lead_from_an_empty_directory_to_a_signed_in_request() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let (release_at, shop) = (place.path().join("cutover"), place.path().join("shop"));
    release(&release_at);
    std::fs::create_dir(&shop).expect("it is writable");
    let (provider, product) = (Provider::start(), Backend::plain());
    let ports: Vec<(&str, Port)> =
        ["EDGE_ADDRESS", "ENVOY_ADMIN_ADDRESS", "AUTHZ_ADDRESS", "AUTHZ_ADMIN_ADDRESS"]
            .into_iter()
            .map(|name| (name, Port::lease()))
            .collect();
    let edge = ports.first().expect("the first is the edge's").1.address();
    let commands = commands();
    assert_eq!(commands.len(), 5, "{commands:?}");

    let mut running = None;
    let mut answers = Vec::new();
    for shown in &commands {
        let text = shown
            .replace("127.0.0.1:3000", &product.address().to_string())
            .replace("https://login.example.com/realms/shop", &provider.issuer())
            .replace("localhost:8080", &edge.to_string());
        let mut shell = Command::new("bash");
        let path = format!("{0}/bin:{0}/path:/usr/bin:/bin", release_at.display());
        shell.args(["-c", &format!("exec {text}")]).current_dir(&shop).stdin(Stdio::null()).env_clear();
        shell.env("PATH", path).env("TOKEN", provider.token()).env("HOME", place.path());
        shell.envs(ports.iter().map(|(name, port)| (*name, port.address().to_string())));
        if shown.starts_with("cutover run") {
            running = Some(Run::up(&mut shell));
            continue;
        }
        let output = shell.output().expect("bash runs");
        let (said, complaints) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{text}\n{said}\n{complaints}");
        if shown.starts_with("curl") {
            answers.push(said.into_owned());
        }
    }
    let [refused, passed] = answers.as_slice() else { panic!("two requests: {answers:?}") };
    assert!(refused.starts_with("HTTP/1.1 401") && refused.contains("application/problem+json"), "{refused}");
    assert!(passed.starts_with("HTTP/1.1 200"), "{passed}");
    assert_eq!(product.seen().len(), 1, "the product saw the signed-in request alone");

    // Everything is in the one directory, and no supervisor from elsewhere was needed.
    let written: Vec<_> = std::fs::read_dir(&shop).expect("it is readable").flatten().collect();
    let mut names: Vec<String> =
        written.iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert_eq!(names, [".run", "edge.schema.json", "edge.yaml"]);
    assert!(!shop.join(".run/supervisord.conf").exists());

    // A part that dies is started again.
    let authorizer = format!("{}/bin/authz-service", release_at.display());
    let found = Command::new("pgrep").args(["-f", &authorizer]).output().expect("pgrep runs");
    let ids = String::from_utf8_lossy(&found.stdout).into_owned();
    let killed = Command::new("kill").arg("-KILL").args(ids.split_whitespace()).status();
    assert!(killed.expect("kill runs").success(), "{ids}");
    let again = || {
        let token = format!("Bearer {}", provider.token());
        let request = harness::wire::Request::new(edge, "GET", "/").header("authorization", token);
        request.try_send().is_ok_and(|answer| answer.status == 200)
    };
    eventually("the authorizer is started again", again);
    drop(running);
    eventually("nothing listens any more", || {
        ports.iter().all(|(_, port)| std::net::TcpStream::connect(port.address()).is_err())
    });
}

#[test]
fn a_run_names_every_file_that_is_missing_before_it_starts_anything() {
    let place = tempfile::tempdir().expect("a temporary directory");
    release(&place.path().join("cutover"));
    let text = "
edge: shop
listeners: { public: { address: '127.0.0.1:1' } }
hosts: { api: { names: ['*'] } }
backends: { product: { address: '127.0.0.1:3000' } }
sessions: { cookie: sid, issuer: 'https://login.test', audience: shop, keys: { file: keys.json } }
api_keys: { file: api-keys.jsonl }
policies: { keys: { kind: session, accept: [session, api-key] } }
routes: [{ name: all, prefix: /, policy: keys, to: product }]
";
    std::fs::write(place.path().join("edge.yaml"), text).expect("it is writable");
    let ports = [Port::lease(), Port::lease(), Port::lease(), Port::lease()];
    let text = text.replace("127.0.0.1:1'", &format!("{}'", ports[0].address()));
    std::fs::write(place.path().join("edge.yaml"), text).expect("it is writable");
    let output = Command::new(place.path().join("cutover/bin/cutover"))
        .args(["run", "edge.yaml"])
        .current_dir(place.path())
        .env("PATH", place.path().join("cutover/path"))
        .env("ENVOY_ADMIN_ADDRESS", ports[1].address().to_string())
        .env("AUTHZ_ADDRESS", ports[2].address().to_string())
        .env("AUTHZ_ADMIN_ADDRESS", ports[3].address().to_string())
        .env_remove("CUTOVER_HOME")
        .output()
        .expect("cutover can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for named in ["keys.json", "api-keys.jsonl", "cutover apikey new"] {
        assert!(said.contains(named), "{named}: {said}");
    }
}
