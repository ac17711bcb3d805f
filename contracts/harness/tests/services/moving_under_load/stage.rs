//! Both stacks behind one edge, with one Redis for the legacy backend's sessions and codes, and a comparator.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use harness::tokens::{DEMO_TENANT, now};
use harness::wire::{Answer, Request};
use harness::{Edge, Port, Process, Redis, eventually, venv};
use serde_json::{Value, json};

use super::jar::Jar;

/// People who work and sign out. The auth service lets a person refresh sixty times at once, and keeps fifty sessions.
pub(crate) const PEOPLE: usize = 100;

/// Further people, all of whose sessions are ended.
pub(crate) const ENDED: usize = 10;

pub(crate) const HOST: &str = "api.dev-domain.test";

const COMPARATOR: &str = "  admin: \"${COMPARATOR_ADMIN_ADDRESS:-127.0.0.1:9292}\"\n";

/// The refresh route at the end of the move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Each kind of session lives on where it began.
    SideBySide,
    /// The auth service takes a legacy session at its refresh.
    Exchange,
}

pub(crate) fn id(person: usize) -> String {
    format!("00000000-0000-7000-8000-00000001{person:04}")
}

pub(crate) fn email(person: usize) -> String {
    format!("person-{person}@example.com")
}

/// The same people for both stacks: JSON for the legacy backend, YAML for the users service.
fn people(directory: &Path) -> (String, String) {
    let (mut legacy, mut users) = (Vec::new(), "people:\n".to_owned());
    for person in 0..PEOPLE + ENDED {
        let (id, email) = (id(person), email(person));
        // In the order of the legacy backend's own answer.
        legacy.push(format!(
            r#"{{"id":"{id}","email":"{email}","name":"person-{person}","role":0,"created_at":"2022-01-31T17:12:00.962888Z","updated_at":"2022-02-01T00:00:00Z"}}"#
        ));
        writeln!(
            users,
            "  - {{ id: {id}, name: person-{person}, handle: person-{person}, email: {email}, role: 0, tenant: {DEMO_TENANT} }}"
        )
        .expect("text can be written");
    }
    let (old, new) = (directory.join("people.json"), directory.join("people.yaml"));
    std::fs::write(&old, format!("[{}]", legacy.join(","))).expect("the directory is writable");
    std::fs::write(&new, users).expect("the directory is writable");
    (old.display().to_string(), new.display().to_string())
}

/// Both stacks behind one edge, the legacy backend in use, and a watch that follows the edge file.
pub(crate) struct Stage {
    pub(crate) edge: Edge,
    watch: Process,
    admin: Port,
    _comparator: Process,
    redis: Redis,
    _people: tempfile::TempDir,
}

impl Stage {
    /// Everything is at the legacy backend.
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (legacy, users) = people(directory.path());
        let redis = Redis::start();
        let by_kind = "{ legacy-session: legacy, session: auth }";
        let sorted = "{ legacy-session: legacy, session: auth, legacy: 100, auth: 0 }";
        let legacy_sessions = format!(
            "legacy_sessions:
  cookie: madome_access_token
  refresh_cookie: madome_refresh_token
  tenant: {DEMO_TENANT}
  role: 0
  verify: {{ redis: {{ url: \"{}\", key_prefix: \"s:\", timeout_ms: 5000 }} }}
",
            redis.url()
        );
        let shares = "policy: public, to: { legacy: 100, auth: 0 }, answers: auth";
        let (copies, admin) = (Port::lease(), Port::lease());
        let edge = Edge::dev()
            // Two cores carry the load, both stacks and the edge: this test is about answers, not about time.
            .replace("timeout_ms: 200", "timeout_ms: 10000")
            .replace("  cookie: madome_access_token\n", "  cookie: madome_access_token\n  refresh_cookie: madome_refresh_token\n")
            .replace("services:\n  auth:", &format!("{legacy_sessions}services:\n  auth:"))
            // Every client of this test has the same address.
            .replace("rate: 30, seconds: 60, burst: 60", "rate: 100000, seconds: 60, burst: 100000")
            .replace("rate: 60, seconds: 60, burst: 120", "rate: 100000, seconds: 60, burst: 100000")
            .replace("rate: 300, seconds: 60, burst: 600", "rate: 100000, seconds: 60, burst: 100000")
            .replace(
                "  signed-in: { kind: session }\n",
                "  signed-in: { kind: session, accept: [session, legacy-session] }\n  renewal: { kind: public, ended: refuse }\n",
            )
            // The web server of the sample writes its own `date`, at another place than the old services did.
            .replace(COMPARATOR, &format!("{COMPARATOR}  sample_percent: 100\n  ignore: [{{ header: date }}]\n"))
            .replace("policy: public, to: auth, answers: auth, limits: [codes]", &format!("{shares}, limits: [codes]"))
            .replace("policy: public, to: auth, answers: auth, limits: [sign-ins]", &format!("{shares}, limits: [sign-ins]"))
            .replace("methods: [PATCH], policy: public, to: auth", &format!("methods: [PATCH], policy: renewal, to: {sorted}"))
            .replace("methods: [DELETE], policy: public, to: auth", &format!("methods: [DELETE], policy: public, to: {sorted}"))
            .replace("methods: [GET], policy: signed-in, to: auth", &format!("methods: [GET], policy: signed-in, to: {by_kind}, shadow: auth"))
            .replace("exact: /users/@me, policy: signed-in, to: users", "exact: /users/@me, methods: [GET], policy: signed-in, to: { legacy: 100, users: 0 }, shadow: users")
            .variable("LEGACY_PEOPLE", &legacy)
            .variable("USERS_SEED", &users)
            .variable("USERS_SURFACE", "older")
            .variable("AUTH_SURFACE", "older")
            // The legacy backend's cookies have this domain in every environment.
            .variable("ROOT_DOMAIN", "madome.app")
            .variable("LEGACY_SESSIONS_REDIS", &redis.url())
            .variable("LEGACY_SESSIONS_PREFIX", "s:")
            .variable("LEGACY_CODES_PREFIX", "authcode:")
            .variable("COMPARATOR_ADDRESS", &copies.address().to_string())
            .variable("COMPARATOR_ADMIN_ADDRESS", &admin.address().to_string())
            .start();
        same_times(&edge);
        let comparator = edge.comparator(admin.address());
        let watch = edge.watch();
        eventually("the watch follows the edge file", || watch.log().contains("is in force"));
        Self { edge, watch, admin, _comparator: comparator, redis, _people: directory }
    }

    /// `cutover set`, and waits until that is in force.
    pub(crate) fn set(&self, route: &str, to: &str) {
        self.edge.set(&self.watch, route, to);
    }

    /// `cutover ramp` by two steps of the least time, which judges what the clients of the test cause.
    pub(crate) fn ramp(&self, route: &str, to: &str, more: &[&str]) {
        let file = self.edge.file().display().to_string();
        let ramp = ["ramp", &file, route, "--to", to, "--steps", "50,100", "--every", "1s"];
        let gates = ["--gate", "5xx<1%", "--least", "5"];
        let done = self.edge.cutover(&[ramp.as_slice(), gates.as_slice(), more].concat());
        assert!(done.contains("done: every step held"), "{done}");
    }

    pub(crate) fn ask(&self, method: &str, path: &str, jar: &Jar) -> Answer {
        jar.on(Request::new(self.edge.public(), method, path).host(HOST), path).send()
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let request = Request::new(self.edge.public(), "POST", path).host(HOST);
        request.header("content-type", "application/json").body(body.to_string()).send()
    }

    /// A request to the legacy backend itself.
    pub(crate) fn legacy(&self, method: &str, path: &str) -> Request {
        Request::new(self.edge.address("LEGACY_ADDRESS"), method, path)
            .header("x-madome-public-access", "true")
    }

    /// Signs `person` in, wherever the edge sends sign-ins now. The code is planted where both stacks keep theirs, so that no
    /// pause between mails counts.
    pub(crate) fn sign_in(&self, person: usize) -> (Answer, Jar) {
        let (address, code) = (email(person), uuid::Uuid::new_v4().simple().to_string()[..12].to_owned());
        self.redis(&["SET", &format!("authcode:{address}:{code}"), &code, "EX", "120"]);
        let answer = self.post("/auth/token", &json!({ "email": address, "code": code }));
        assert_eq!(answer.status, 201, "{answer:?}");
        let mut jar = Jar::default();
        jar.take(&answer);
        (answer, jar)
    }

    /// A session of the legacy backend, as it writes one into its Redis.
    pub(crate) fn legacy_session(&self, person: usize) -> Jar {
        let (session, key) =
            (uuid::Uuid::new_v4().to_string(), uuid::Uuid::new_v4().simple().to_string().repeat(3));
        self.redis(&["SET", &format!("s:{session}"), &key]);
        let token = |subject: &str, marker: &str, life: u64| {
            let claims = json!({
                "sub": subject, "iss": "madome.app", "iat": now(), "exp": now() + life, "id": session,
                "user_id": id(person), marker: true,
            });
            let key = jsonwebtoken::EncodingKey::from_secret(key.as_bytes());
            let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
            jsonwebtoken::encode(&header, &claims, &key).expect("it can be signed")
        };
        let mut jar = Jar::default();
        jar.put("madome_access_token", &token("madome access token", "_a", 14_400));
        jar.put("madome_refresh_token", &token("madome refresh token", "_r", 604_800));
        jar
    }

    /// What the comparator counted for a route: comparisons, and those that differ.
    pub(crate) fn compared(&self, route: &str) -> (u64, u64) {
        let report = Request::new(self.admin.address(), "GET", "/report").send().json();
        let number = |name: &str| report["routes"][route][name].as_u64().unwrap_or(0);
        (number("compared"), number("different"))
    }

    fn redis(&self, words: &[&str]) {
        let url = self.redis.url();
        let address = url.trim_start_matches("redis://").trim_end_matches('/');
        let mut stream = TcpStream::connect(address).expect("Redis listens");
        let mut command = format!("*{}\r\n", words.len());
        for word in words {
            write!(command, "${}\r\n{word}\r\n", word.len()).expect("text can be written");
        }
        stream.write_all(command.as_bytes()).expect("Redis reads");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("Redis answers");
        assert!(line.starts_with('+') || line.starts_with(':'), "{words:?}: {line}");
    }
}

/// Gives the people of the users service the times that the legacy backend has, as on one database.
fn same_times(edge: &Edge) {
    let script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=10); \
                  db.execute(\"UPDATE users SET created_at = '2022-01-31 17:12:00.962888+00:00', \
                  updated_at = '2022-02-01 00:00:00+00:00'\"); db.commit()";
    let file = edge.home().join("db/users.sqlite");
    let done = Command::new(venv().join("bin/python")).args(["-c", script]).arg(&file).status();
    assert!(done.expect("Python can be started").success());
}
