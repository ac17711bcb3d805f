//! The services use PostgreSQL over TLS as libpq's users write it, and refuse a server that they cannot verify.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::authority::{Authority, Pair};
use harness::{Process, eventually_some, program};
use kit::testing::{PrivatePostgres, TestHome};

/// The server's own user signs in for the preparations; `app` needs TLS and its password, `certified` a client certificate
/// besides.
const RULES: &str = "
host    all postgres  127.0.0.1/32 trust
hostssl all app       127.0.0.1/32 scram-sha-256
hostssl all certified 127.0.0.1/32 scram-sha-256 clientcert=verify-ca
";
const SETTINGS: &str =
    "ssl = on\nssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\nssl_ca_file = 'ca.crt'\n";

struct Server {
    postgres: PrivatePostgres,
    files: tempfile::TempDir,
    client: Pair,
    expired: Pair,
}

impl Server {
    fn start() -> Self {
        let files = tempfile::tempdir().expect("a temporary directory");
        let (authority, other) = (Authority::new(), Authority::new());
        let server = authority.issue(files.path(), "server", "localhost");
        let (ca, wrong) = (files.path().join("ca.pem"), files.path().join("other.pem"));
        authority.write(&ca);
        other.write(&wrong);
        let copies: [(&str, &Path); 3] =
            [("server.crt", &server.certificate), ("server.key", &server.key), ("ca.crt", &ca)];
        let postgres = PrivatePostgres::start_with(SETTINGS, Some(RULES), &copies);
        for user in ["app", "certified"] {
            postgres.sql(&format!("CREATE ROLE {user} LOGIN PASSWORD 'hunter2'"));
            postgres.sql(&format!("CREATE DATABASE {user} OWNER {user}"));
        }
        let client = authority.issue(files.path(), "client", "users");
        let expired = authority.issue_expired(files.path(), "expired", "users");
        Self { postgres, files, client, expired }
    }

    fn file(&self, name: &str) -> String {
        self.files.path().join(name).display().to_string()
    }

    fn url(&self, user: &str, host: &str, query: &str) -> String {
        format!("postgres://{user}:hunter2@{host}:{}/{user}?{query}", self.postgres.port())
    }

    /// The connections of `user`, as `encrypted,subject of the client's certificate`.
    fn connections(&self, user: &str) -> String {
        self.postgres.sql(&format!(
            "SELECT DISTINCT ssl || ',' || coalesce(client_dn, '') FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
             WHERE usename = '{user}'"
        ))
    }
}

/// Starts `service` with `url`, and returns it when it is ready.
fn start(home: &TestHome, service: &str, url: &str) -> Result<Process, (i32, String)> {
    let log = home.path().join(format!("{service}-{}.log", uuid::Uuid::now_v7()));
    let mut command = Command::new(program(service));
    for variable in ["PGSSLMODE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY", "PGPASSWORD", "REDIS_URL"] {
        command.env_remove(variable);
    }
    command.env("CUTOVER_HOME", home.path()).env("DATABASE_URL", url);
    command.env(format!("{}_ADDRESS", service.to_ascii_uppercase()), "127.0.0.1:0");
    let mut process = Process::start(service, &mut command, &log);
    let ready = eventually_some("the service is ready, or ends", || {
        if process.log().contains("\"ready\"") {
            return Some(Ok(()));
        }
        (!process.is_running()).then(|| {
            let status = process.wait(Duration::from_secs(5)).code();
            Err((status.unwrap_or_default(), process.log()))
        })
    });
    let log = process.log();
    assert!(!log.contains("hunter2"), "the password is in the log: {log}");
    ready.map(|()| process)
}

#[test]
fn every_service_verifies_postgresql_and_signs_in_with_its_password() {
    let server = Server::start();
    let home = TestHome::new();
    let query = format!("sslmode=verify-full&sslrootcert={}", server.file("ca.pem"));
    let url = server.url("app", "localhost", &query);
    for service in ["users", "auth", "library"] {
        let running = start(&home, service, &url);
        assert!(running.is_ok(), "{service}: {running:?}");
        assert_eq!(server.connections("app"), "true,", "{service} is connected, and only with TLS");
    }
    // As libpq reads it: TLS without a look at the certificate.
    let url = server.url("app", "127.0.0.1", "sslmode=require");
    let running = start(&home, "users", &url);
    assert!(running.is_ok(), "{running:?}");
    assert_eq!(server.connections("app"), "true,");
}

#[test]
fn a_client_certificate_is_presented_and_the_password_comes_from_a_file() {
    let server = Server::start();
    let home = TestHome::new();
    let password = server.files.path().join("password");
    secret_file::write(&password, b"hunter2\n").expect("it can be written");
    let pair = |pair: &Pair| format!("sslcert={}&sslkey={}", pair.certificate.display(), pair.key.display());
    let query = format!("sslmode=verify-full&sslrootcert={}", server.file("ca.pem"));
    let good = server.url("certified", "localhost", &format!("{query}&{}", pair(&server.client)));
    let from_file = format!("{good}&password_file={}", password.display()).replace(":hunter2@", "@");
    let running = start(&home, "users", &from_file);
    assert!(running.is_ok(), "{running:?}");
    assert_eq!(server.connections("certified"), "true,/CN=users");
    drop(running);

    let none = start(&home, "users", &server.url("certified", "localhost", &query));
    let (code, log) = none.expect_err("a client certificate is demanded");
    assert!(code == 1 && log.contains("DATABASE_URL") && log.contains("client certificate"), "{code}: {log}");
    let expired = server.url("certified", "localhost", &format!("{query}&{}", pair(&server.expired)));
    let (code, log) = start(&home, "users", &expired).expect_err("it has expired");
    assert!(code == 1 && log.contains("DATABASE_URL") && log.contains("localhost:"), "{code}: {log}");
    assert_eq!(server.connections("certified"), "");
}

#[test]
fn a_server_that_cannot_be_verified_gets_no_password() {
    let server = Server::start();
    let home = TestHome::new();
    let (ca, other) = (server.file("ca.pem"), server.file("other.pem"));
    let plain = PrivatePostgres::start();
    let plain = |query: &str| format!("postgres://app:hunter2@localhost:{}/postgres?{query}", plain.port());
    for (url, part) in [
        (
            server.url("app", "localhost", &format!("sslmode=verify-full&sslrootcert={other}")),
            "invalid peer certificate",
        ),
        (
            server.url("app", "localhost", &format!("sslmode=verify-ca&sslrootcert={other}")),
            "invalid peer certificate",
        ),
        (
            server.url("app", "localhost", &format!("sslmode=require&sslrootcert={other}")),
            "invalid peer certificate",
        ),
        (server.url("app", "localhost", "sslmode=verify-full&sslrootcert=system"), "UnknownIssuer"),
        (
            server.url("app", "127.0.0.1", &format!("sslmode=verify-full&sslrootcert={ca}")),
            "not valid for name",
        ),
        (plain("sslmode=require"), "does not support TLS"),
        (plain(&format!("sslmode=verify-full&sslrootcert={ca}")), "does not support TLS"),
        (server.url("app", "localhost", "sslmode=disable"), "no encryption"),
    ] {
        let (code, log) = start(&home, "users", &url).expect_err(&url);
        assert!(code == 1 && log.contains(part) && log.contains("DATABASE_URL"), "{part}: {code}: {log}");
    }
    let unread = server.postgres.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'");
    assert_eq!(unread, "0");
    let unknown = server.url("app", "localhost", "sslmode=require&channel_binding=require");
    let (code, log) = start(&home, "users", &unknown).expect_err("it may ask for protection");
    assert!(code == 64 && log.contains("channel_binding"), "{code}: {log}");
}
