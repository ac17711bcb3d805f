//! The edge file of a company with tokens, tenants, header names, backends and a network of its own, run from a release in an
//! empty directory. Requests are sent by curl, as its clients would send them.
#![expect(clippy::expect_used, reason = "tests fail by panicking")]

use std::fs::{Permissions, set_permissions, write};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use harness::authority::{Authority, Pair};
use harness::release::{Run, release};
use harness::terminator::Terminator;
use harness::tokens::now;
use harness::wire::Request;
use harness::{Backend, Port, eventually};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tempfile::TempDir;

const TENANTS: &str =
    "tenants:\n  - { id: acme-corp, status: active }\n  - { id: big-customer, status: active }\n";

/// An identity provider that an edge knows by its name alone. Its key set has an encryption key beside the signing key.
struct Provider {
    server: Backend,
    path: &'static str,
    key: EncodingKey,
}

fn pair(kid: &str, usage: &str) -> (EncodingKey, Value) {
    let pair = rcgen::KeyPair::generate().expect("a key");
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).expect("it is PEM");
    let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).expect("it has a public half");
    let mut jwk = serde_json::to_value(jwk).expect("it is JSON");
    let members = [("kid".to_owned(), json!(kid)), ("use".to_owned(), json!(usage))];
    jwk.as_object_mut().expect("an object").extend(members);
    (key, jwk)
}

impl Provider {
    fn start(path: &'static str) -> Self {
        let ((key, signing), (_, encrypting)) = (pair("one", "sig"), pair("two", "enc"));
        let keys = json!({ "keys": [signing, encrypting] });
        let origin: Arc<OnceLock<String>> = Arc::default();
        let shared = Arc::clone(&origin);
        let server = Backend::with(move |seen| {
            let origin = shared.get().cloned().unwrap_or_default();
            let page = if seen.request_line().contains("/.well-known/") {
                json!({ "issuer": format!("{origin}{path}"), "jwks_uri": format!("{origin}/keys") })
            } else {
                keys.clone()
            };
            let page = page.to_string();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json";
            format!("{head}\r\ncontent-length: {}\r\n\r\n{page}", page.len()).into_bytes()
        });
        origin.set(format!("http://{}", server.address())).expect("it is set once");
        Self { server, path, key }
    }

    fn issuer(&self) -> String {
        format!("http://{}{}", self.server.address(), self.path)
    }

    fn token(&self, claims: &Value) -> String {
        let mut all = json!({ "iss": self.issuer(), "iat": now(), "exp": now() + 600 });
        all.as_object_mut().expect("an object").extend(claims.as_object().expect("an object").clone());
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &all, &self.key).expect("it can be signed")
    }
}

/// Puts the key into the file of the certificate, as the edge file wants it.
fn together(pair: &Pair) {
    let text = [&pair.certificate, &pair.key].map(|path| std::fs::read_to_string(path).expect("it is there"));
    write(&pair.certificate, text.concat()).expect("it is writable");
    set_permissions(&pair.certificate, Permissions::from_mode(0o600)).expect("it can be set");
}

/// The running edge, its product and its identity providers.
struct Acme {
    place: TempDir,
    keycloak: Provider,
    auth0: Provider,
    legacy: Backend,
    orders: Backend,
    clear: Port,
    tls: Port,
    _behind: (Terminator, Port, Port),
    _run: Run,
}

impl Acme {
    fn start() -> Self {
        let place = tempfile::tempdir().expect("a temporary directory");
        let (programs, home) = (place.path().join("cutover"), place.path().join("acme"));
        release(&programs);
        for directory in ["certs", "secrets"] {
            std::fs::create_dir_all(home.join(directory)).expect("it is writable");
        }
        let (keycloak, auth0) = (Provider::start("/realms/acme"), Provider::start("/"));
        let (legacy, orders) = (Backend::plain(), Backend::plain());
        let authority = Authority::new();
        let certs = home.join("certs");
        authority.write(&certs.join("internal-ca.pem"));
        together(&authority.issue(&certs, "acme", "api.acme.test"));
        together(&authority.issue(&certs, "shop", "*.shop.acme.test"));
        together(&authority.issue(&certs, "edge-client", "edge.acme.test"));
        let server = authority.issue(&certs, "server", "localhost");
        let ca = certs.join("internal-ca.pem");
        let behind = Terminator::before(orders.address(), &server, &["http/1.1"], Some(&ca));
        write(home.join("tenants.yaml"), TENANTS).expect("it is writable");
        write(home.join("api-keys.jsonl"), "").expect("it is writable");
        write(home.join("secrets/partner"), "a secret of the partner's own").expect("it is writable");
        for private in ["api-keys.jsonl", "secrets/partner"] {
            set_permissions(home.join(private), Permissions::from_mode(0o600)).expect("it can be set");
        }

        let (clear, tls, admin, stats) = (Port::lease(), Port::lease(), Port::lease(), Port::lease());
        let socket = place.path().join("authz.sock");
        let mut text = include_str!("acme/edge.yaml").to_owned();
        for (written, here) in [
            ("0.0.0.0:8080", clear.address().to_string()),
            ("0.0.0.0:8443", tls.address().to_string()),
            ("/run/cutover/authz.sock", socket.display().to_string()),
            ("127.0.0.1:28100", legacy.address().to_string()),
            ("orders.internal:8443", format!("localhost:{}", behind.address().port())),
            ("127.0.0.1:28105", legacy.address().to_string()),
            ("https://login.acme.test/realms/acme", keycloak.issuer()),
            ("https://acme.eu.auth0.test/", auth0.issuer()),
        ] {
            assert!(text.contains(written), "{written}");
            text = text.replace(written, &here);
        }
        write(home.join("acme.yaml"), text).expect("it is writable");
        let command = |arguments: &[&str]| {
            let mut command = Command::new(programs.join("bin/cutover"));
            let path = format!("{0}/bin:{0}/path:/usr/bin:/bin", programs.display());
            command.args(arguments).current_dir(&home).stdin(Stdio::null()).env_clear().env("PATH", path);
            command
                .env("HOME", place.path())
                .env("ENVOY_ADMIN_ADDRESS", admin.address().to_string())
                .env("AUTHZ_ADDRESS", format!("unix:{}", socket.display()))
                .env("AUTHZ_ADMIN_ADDRESS", stats.address().to_string());
            let comparator = [Port::lease(), Port::lease()];
            command.env("COMPARATOR_ADDRESS", comparator[0].address().to_string());
            command.env("COMPARATOR_ADMIN_ADDRESS", comparator[1].address().to_string());
            command
        };
        let linted = command(&["lint", "acme.yaml"]).output().expect("it can be started");
        assert!(linted.status.success(), "{}", String::from_utf8_lossy(&linted.stderr));
        let run = Run::up(&mut command(&["run", "acme.yaml"]));
        let behind = (behind, admin, stats);
        Self { place, keycloak, auth0, legacy, orders, clear, tls, _behind: behind, _run: run }
    }

    fn home(&self) -> std::path::PathBuf {
        self.place.path().join("acme")
    }

    /// A person as the realm of Keycloak describes one.
    fn person(&self, roles: &[&str]) -> String {
        self.keycloak.token(&json!({
            "sub": "auth0|5f7c8e", "aud": ["acme-api", "account"], "scope": "openid orders:write", "typ": "Bearer",
            "realm_access": { "roles": roles }, "https://acme.test/tenant": "acme-corp",
        }))
    }

    /// curl's view of an answer over TLS: its head, and everything behind it.
    fn curl(&self, host: &str, target: &str, more: &[&str]) -> String {
        curl(self.tls.address(), &self.home().join("certs/internal-ca.pem"), host, target, more)
    }

    fn asked(&self, token: &str, target: &str) -> String {
        self.curl("api.acme.test", target, &["-H", &format!("authorization: Bearer {token}")])
    }
}

fn curl(at: SocketAddr, ca: &Path, host: &str, target: &str, more: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["-sS", "-i", "--http1.1", "--max-time", "20", "--noproxy", "*", "--cacert"]).arg(ca);
    command.args(["--resolve", &format!("{host}:{}:{}", at.port(), at.ip())]).args(more);
    let output = command.arg(format!("https://{host}:{}{target}", at.port())).output().expect("curl runs");
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{host}{target}: {complaint}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split_whitespace().nth(1).unwrap_or_default()
}

#[test]
fn a_company_runs_its_own_edge_file_from_an_empty_directory() {
    let acme = Acme::start();

    // In the clear there is a redirect and nothing else.
    let redirected = Request::new(acme.clear.address(), "GET", "/v1/orders").host("api.acme.test").send();
    assert_eq!(redirected.status, 308);
    assert_eq!(redirected.header("location"), Some(b"https://api.acme.test/v1/orders".as_slice()));
    assert!(acme.legacy.seen().is_empty());

    // A refusal in the words of the product, with an id by which a customer can name it, and readable for its page.
    let page = ["-H", "origin: https://app.acme.test"];
    let refused = acme.curl("api.acme.test", "/v1/users/me/profile", &page);
    let lower = refused.to_lowercase();
    assert_eq!(status(&refused), "401", "{refused}");
    assert!(refused.ends_with(r#"{"title":"Sign in"}"#), "{refused}");
    for line in [
        "content-type: application/problem+json",
        "cache-control: no-store",
        "www-authenticate: bearer realm=\"acme\"",
        "x-request-id: ",
        "access-control-allow-origin: https://app.acme.test",
        "access-control-allow-credentials: true",
    ] {
        assert!(lower.contains(line), "{line}: {refused}");
    }
    let asks = ["-X", "OPTIONS", "-H", "access-control-request-method: GET", page[0], page[1]];
    assert!(status(&acme.curl("api.acme.test", "/v1/users/me/profile", &asks)).starts_with('2'));

    // A person of Keycloak, under the names that the legacy knows.
    let reader = acme.person(&["billing"]);
    assert_eq!(status(&acme.asked(&reader, "/v1/users/me/profile")), "200");
    let seen = acme.legacy.last();
    for (name, value) in [
        ("x-auth-sub", "auth0|5f7c8e"),
        ("x-auth-roles", "billing"),
        ("x-auth-scopes", "openid orders:write"),
        ("x-auth-tenant", "acme-corp"),
    ] {
        assert_eq!(seen.header(name).as_deref(), Some(value), "{name}");
    }
    assert!(seen.header("x-auth-assertion").is_some_and(|token| token.split('.').count() == 3));

    // Roles by name, tenants in the path.
    assert_eq!(status(&acme.asked(&reader, "/admin/users")), "403");
    assert_eq!(status(&acme.asked(&acme.person(&["billing", "support"]), "/admin/users")), "200");
    assert_eq!(status(&acme.asked(&reader, "/t/acme-corp/invoices")), "200");
    assert_eq!(status(&acme.asked(&reader, "/t/big-customer/invoices")), "403");

    // A person of Auth0: other claims, no session, and a tenant that must be there.
    let claims =
        json!({ "sub": "google-oauth2|1101", "aud": "https://api.acme.test", "permissions": ["admin"] });
    let mut of_a_tenant = claims.clone();
    of_a_tenant["org_id"] = json!("acme-corp");
    assert_eq!(status(&acme.asked(&acme.auth0.token(&of_a_tenant), "/admin/users")), "200");
    assert_eq!(status(&acme.asked(&acme.auth0.token(&claims), "/admin/users")), "401");

    // A client that wants the new backend gets it, over TLS with a certificate of the edge.
    let wants = ["-H", "cookie: try-new=1", "-H", &format!("authorization: Bearer {reader}")];
    assert_eq!(status(&acme.curl("api.acme.test", "/v1/users/me/profile", &wants)), "200");
    assert_eq!(acme.orders.seen().len(), 1);

    // The partner's deliveries come from its own network alone.
    let delivery = ["-X", "POST", "--data", "{}", "-H", "x-hub-signature-256: sha256=00"];
    let delivered = acme.curl("api.acme.test", "/hooks/partner", &delivery);
    assert!(["401", "403"].contains(&status(&delivered)), "{delivered}");

    // Every shop has its certificate, and is read by everybody.
    assert_eq!(status(&acme.curl("tea.shop.acme.test", "/", &[])), "200");
    assert_eq!(status(&acme.curl("tea.shop.acme.test", "/", &["-X", "DELETE"])), "404");

    // A suspended tenant is refused within a second, a live token or not.
    let suspended = TENANTS.replacen("active", "suspended", 1);
    write(acme.home().join("tenants.yaml"), suspended).expect("it is writable");
    eventually("the tenant is refused", || status(&acme.asked(&reader, "/v1/users/me/profile")) == "403");
}
