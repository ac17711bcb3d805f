//! A team moves sign-in, check, refresh and sign-out from the legacy backend to the new auth service, back, and forward
//! again, while people with sessions of both work. No honest client gets an answer that the legacy backend alone would not
//! have given, and no session outlives its sign-out.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::indexing_slicing, reason = "the indexes are the test's own")]

#[path = "moving_under_load/jar.rs"]
mod jar;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use harness::wire::{Answer, Request};
use harness::{Edge, Process, eventually};
use jar::Jar;

/// How many people there are. The auth service keeps 50 sessions of a person, so each has far fewer.
const PEOPLE: usize = 20;

/// How many clients with a session of each kind work at the same time.
const CLIENTS: usize = 200;

/// How many threads they share: the legacy sample answers 32 requests at once, and one request of a client needs three.
const THREADS: usize = 8;

const HOST: &str = "api.dev-domain.test";

fn id(person: usize) -> String {
    format!("00000000-0000-7000-8000-0000000002{person:02}")
}

fn email(person: usize) -> String {
    format!("person-{person}@example.com")
}

/// The same people for both stacks: JSON for the legacy backend, YAML for the users service.
fn people(directory: &Path) -> (String, String) {
    let (mut legacy, mut users) = (Vec::new(), "people:\n".to_owned());
    for person in 0..PEOPLE {
        let (id, email) = (id(person), email(person));
        // In the order of the legacy backend's own answer.
        legacy.push(format!(
            r#"{{"id":"{id}","email":"{email}","name":"person-{person}","role":0,"created_at":"2022-01-31T17:12:00Z","updated_at":"2022-01-31T17:12:00Z"}}"#
        ));
        writeln!(
            users,
            "  - {{ id: {id}, name: person-{person}, handle: person-{person}, email: {email}, role: 0, \
             tenant: 00000000-0000-7000-8000-000000000001 }}"
        )
        .expect("text can be written");
    }
    let (old, new) = (directory.join("people.json"), directory.join("people.yaml"));
    std::fs::write(&old, format!("[{}]", legacy.join(","))).expect("the directory is writable");
    std::fs::write(&new, users).expect("the directory is writable");
    (old.display().to_string(), new.display().to_string())
}

/// Both stacks behind one edge, the legacy backend in use, and a watch that follows the edge file.
struct Stage {
    edge: Edge,
    watch: Process,
    _people: tempfile::TempDir,
}

impl Stage {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let (legacy, users) = people(directory.path());
        let sorted = "{ legacy-session: legacy, session: auth, legacy: 100, auth: 0 }";
        let legacy_sessions = "\
legacy_sessions:
  cookie: madome_access_token
  refresh_cookie: madome_refresh_token
  tenant: 00000000-0000-7000-8000-000000000001
  role: 0
  verify:
    check: { backend: legacy, path: /auth/token, cache_ms: 200, timeout_ms: 5000 }
";
        let edge = Edge::dev()
            // Two cores carry the load, both stacks and the edge: this test is about answers, not about time.
            .replace("timeout_ms: 200", "timeout_ms: 10000")
            .replace("  cookie: madome_access_token\n", "  cookie: madome_access_token\n  refresh_cookie: madome_refresh_token\n")
            .replace("services:\n  auth:", &format!("{legacy_sessions}services:\n  auth:"))
            .replace("rate: 30, seconds: 60, burst: 60", "rate: 100000, seconds: 60, burst: 100000")
            .replace("rate: 60, seconds: 60, burst: 120", "rate: 100000, seconds: 60, burst: 100000")
            .replace("rate: 300, seconds: 60, burst: 600", "rate: 100000, seconds: 60, burst: 100000")
            .replace(
                "  signed-in: { kind: session }\n",
                "  signed-in: { kind: session, accept: [session, legacy-session] }\n  renewal: { kind: public, ended: refuse }\n",
            )
            .replace("methods: [POST], policy: public, to: auth, answers: auth, limits: [codes]", "methods: [POST], policy: public, to: { legacy: 100, auth: 0 }, answers: auth, limits: [codes]")
            .replace("methods: [POST], policy: public, to: auth, answers: auth, limits: [sign-ins]", "methods: [POST], policy: public, to: { legacy: 100, auth: 0 }, answers: auth, limits: [sign-ins]")
            .replace("methods: [PATCH], policy: public, to: auth", &format!("methods: [PATCH], policy: renewal, to: {sorted}"))
            .replace("methods: [DELETE], policy: public, to: auth", &format!("methods: [DELETE], policy: public, to: {sorted}"))
            .replace("methods: [GET], policy: signed-in, to: auth", "methods: [GET], policy: signed-in, to: { legacy-session: legacy, session: auth }")
            .replace("exact: /users/@me, policy: signed-in, to: users", "exact: /users/@me, policy: signed-in, to: { legacy: 100, users: 0 }")
            .variable("LEGACY_PEOPLE", &legacy)
            .variable("USERS_SEED", &users)
            .variable("USERS_SURFACE", "older")
            .variable("AUTH_SURFACE", "older")
            .start();
        let watch = edge.watch();
        eventually("the watch follows the edge file", || watch.log().contains("is in force"));
        Self { edge, watch, _people: directory }
    }

    /// Sends all of a route's callers without a named kind to `backend`, and waits until that is in force.
    fn set(&self, route: &str, backend: &str) {
        let file = self.edge.file().display().to_string();
        self.edge.cutover(&["set", &file, route, "--to", &format!("{backend}=100")]);
        let text = std::fs::read_to_string(self.edge.file()).expect("the edge file is readable");
        let revision = edge_config::revision(&text).0;
        eventually("the change is in force", || {
            self.watch.log().contains(&format!("revision {revision} is in force"))
        });
    }

    fn ask(&self, method: &str, path: &str, jar: &Jar) -> Answer {
        jar.on(Request::new(self.edge.public(), method, path).host(HOST), path).send()
    }

    /// Signs `person` in, wherever the edge sends sign-ins now.
    fn sign_in(&self, person: usize) -> Client {
        let post = |path: &str, body: String| {
            let request = Request::new(self.edge.public(), "POST", path).host(HOST);
            request.header("content-type", "application/json").body(body).send()
        };
        let address = email(person);
        let asked = post("/auth/code", format!("{{\"email\":\"{address}\"}}"));
        assert_eq!(asked.status, 201, "{asked:?}");
        let code = self.edge.login_code(&address);
        let answer = post("/auth/token", format!("{{\"email\":\"{address}\",\"code\":\"{code}\"}}"));
        assert_eq!(answer.status, 201, "{answer:?}");
        let mut jar = Jar::default();
        jar.take(&answer);
        Client { person, jar, turns: 0 }
    }
}

/// One browser.
struct Client {
    person: usize,
    jar: Jar,
    turns: usize,
}

impl Client {
    /// Works once: asks who it is on both stacks, and sometimes refreshes. Panics at the first answer that the legacy
    /// backend would not have given.
    fn work(&mut self, stage: &Stage) {
        self.turns += 1;
        let checked = stage.ask("GET", "/auth/token", &self.jar);
        let expected = format!("{{\"user_id\":\"{}\"}}", id(self.person));
        assert_eq!((checked.status, checked.text()), (200, expected), "turn {}: {checked:?}", self.turns);
        let me = stage.ask("GET", "/users/@me", &self.jar);
        assert_eq!(me.status, 200, "turn {}: {me:?}", self.turns);
        let start = format!("{{\"id\":\"{}\",\"email\":\"{}\",", id(self.person), email(self.person));
        assert!(me.text().starts_with(&start), "turn {}: {me:?}", self.turns);
        if self.turns.is_multiple_of(3) {
            let refreshed = stage.ask("PATCH", "/auth/token", &self.jar);
            assert_eq!(
                (refreshed.status, refreshed.text()),
                (201, String::new()),
                "turn {}: {refreshed:?}",
                self.turns
            );
            self.jar.take(&refreshed);
        }
    }

    /// Signs out, and returns the cookies of before.
    fn sign_out(&mut self, stage: &Stage) -> Jar {
        let before = self.jar.clone();
        let answer = stage.ask("DELETE", "/auth/token", &self.jar);
        assert_eq!(answer.status, 204, "{answer:?}");
        self.jar.take(&answer);
        assert_eq!(self.jar.line("/auth/token"), None, "a cookie outlives the sign-out: {answer:?}");
        before
    }
}

/// Has all clients work in turn, on [`THREADS`] threads, until `moves` is through.
fn under_load(stage: &Stage, clients: &Mutex<Vec<Client>>, moves: impl FnOnce(&AtomicUsize)) {
    let (done, turns) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let working: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    // A panic here ends the test, when the scope joins this thread.
                    while !done.load(Ordering::Relaxed) {
                        let next = {
                            let mut clients = clients.lock().unwrap_or_else(PoisonError::into_inner);
                            (!clients.is_empty()).then(|| clients.remove(0))
                        };
                        let Some(mut client) = next else { return };
                        client.work(stage);
                        turns.fetch_add(1, Ordering::Relaxed);
                        clients.lock().unwrap_or_else(PoisonError::into_inner).push(client);
                    }
                })
            })
            .collect();
        let moved = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| moves(&turns)));
        done.store(true, Ordering::Relaxed);
        for one in working {
            one.join().expect("no honest client gets an answer that the legacy backend would not have given");
        }
        if let Err(panic) = moved {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Lets every client work once, about.
fn a_round(turns: &AtomicUsize, clients: usize) {
    let until = turns.load(Ordering::Relaxed) + clients;
    eventually("every client works once", || turns.load(Ordering::Relaxed) >= until);
}

/// Whether no stack accepts the session in `jar`: the edge before both, and the legacy backend itself.
fn is_dead(stage: &Stage, jar: &Jar) -> bool {
    let legacy = stage.edge.address("LEGACY_ADDRESS");
    let direct = Request::new(legacy, "GET", "/auth/token").header("x-madome-public-access", "true");
    stage.ask("GET", "/users/@me", jar).status == 401
        && stage.ask("GET", "/auth/token", jar).status == 401
        && stage.ask("PATCH", "/auth/token", jar).status == 401
        && jar.on(direct, "/auth/token").send().status == 401
}

#[test]
fn sign_in_check_refresh_and_sign_out_move_there_and_back_and_every_session_survives() {
    let stage = Stage::start();
    let clients = Mutex::new((0..CLIENTS).map(|n| stage.sign_in(n % PEOPLE)).collect::<Vec<_>>());
    assert!(clients.lock().expect("no thread panicked").iter().all(|client| client.jar.is_legacy()));
    // Sign-in moves: from now on there are sessions of both kinds.
    for route in ["auth-code", "auth-login"] {
        stage.set(route, "auth");
    }
    let new: Vec<_> = (0..CLIENTS).map(|n| stage.sign_in(n % PEOPLE)).collect();
    assert!(new.iter().all(|client| !client.jar.is_legacy()));
    clients.lock().expect("no thread panicked").extend(new);
    let everybody = 2 * CLIENTS;
    let moved = ["auth-code", "auth-login", "auth-refresh", "auth-logout"];
    let mut signed_out = Vec::new();
    under_load(&stage, &clients, |turns| {
        a_round(turns, everybody);
        // Those without a session follow, and so does the person.
        for route in ["auth-refresh", "auth-logout"] {
            stage.set(route, "auth");
        }
        stage.set("users-me", "users");
        a_round(turns, everybody);
        // All the way back.
        for route in moved {
            stage.set(route, "legacy");
        }
        stage.set("users-me", "legacy");
        a_round(turns, everybody);
        // Sign-outs in the middle of it, of both kinds.
        let leaving: Vec<Client> = {
            let mut working = clients.lock().unwrap_or_else(PoisonError::into_inner);
            let half = working.len() / 2;
            working.drain(..half).collect()
        };
        for mut client in leaving {
            signed_out.push((client.sign_out(&stage), Instant::now()));
        }
        // And forward again.
        for route in moved {
            stage.set(route, "auth");
        }
        stage.set("users-me", "users");
        a_round(turns, everybody / 4);
    });
    for (jar, at) in signed_out {
        std::thread::sleep(Duration::from_secs(1).saturating_sub(at.elapsed()));
        assert!(is_dead(&stage, &jar), "a session is alive after its sign-out: {jar:?}");
    }
}
