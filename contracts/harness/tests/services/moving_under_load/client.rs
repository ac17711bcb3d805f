//! People with browsers, who read and expect the legacy backend's bytes whatever stack answers.

use harness::wire::Answer;
use serde_json::json;

use super::jar::Jar;
use super::stage::{Stage, email, id};

/// The answers of the legacy backend before anything moved, with `{…}` for what differs from person to person.
#[derive(Debug)]
pub(crate) struct Expected {
    sign_in: String,
    check: String,
    me: String,
    refresh: String,
    sign_out: String,
}

impl Expected {
    /// Takes them from the legacy backend, behind the edge.
    pub(crate) fn from_legacy(stage: &Stage) -> Self {
        let (person, mut taken) = (0, Jar::default());
        let (sign_in, jar) = stage.sign_in(person);
        assert!(jar.is_legacy());
        let check = shape(person, &stage.ask("GET", "/auth/token", &jar));
        let me = shape(person, &stage.ask("GET", "/users/@me", &jar));
        let refreshed = stage.ask("PATCH", "/auth/token", &jar);
        taken.take(&refreshed);
        let sign_out = shape(person, &stage.ask("DELETE", "/auth/token", &taken));
        Self { sign_in: shape(person, &sign_in), check, me, refresh: shape(person, &refreshed), sign_out }
    }
}

/// The whole answer as text: status line, headers in their order, body. The `date` differs, and so do the order of the
/// cookies, which the legacy backend draws, and their tokens.
fn shape(person: usize, answer: &Answer) -> String {
    let mut lines = vec![String::from_utf8_lossy(&answer.status_line).into_owned()];
    let mut cookies = Vec::new();
    for (name, value) in &answer.headers {
        let (name, value) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        match name.to_ascii_lowercase().as_str() {
            "date" => {}
            "set-cookie" => {
                let (pair, attributes) = value.split_once(';').unwrap_or((value.as_ref(), ""));
                let (cookie, token) = pair.split_once('=').unwrap_or((pair, ""));
                let token = if token.is_empty() { "" } else { "{token}" };
                cookies.push(format!("{name}: {cookie}={token};{attributes}"));
            }
            _ => lines.push(format!("{name}: {value}")),
        }
    }
    cookies.sort();
    lines.extend(cookies);
    lines.push(answer.text());
    let whole = lines.join("\n");
    whole
        .replace(&id(person), "{id}")
        .replace(&email(person), "{email}")
        .replace(&format!("person-{person}\""), "{name}\"")
        // The length of an address depends on the number in it.
        .lines()
        .map(
            |line| if line.to_ascii_lowercase().starts_with("content-length: 1") { "{length}" } else { line },
        )
        .collect::<Vec<_>>()
        .join("\n")
}

/// One browser.
pub(crate) struct Client {
    person: usize,
    pub(crate) jar: Jar,
    turns: usize,
}

impl Client {
    pub(crate) const fn new(person: usize, jar: Jar) -> Self {
        Self { person, jar, turns: 0 }
    }

    fn expect(&self, what: &str, answer: &Answer, expected: &str) {
        let found = shape(self.person, answer);
        assert_eq!(found, expected, "{what} of turn {} ({:?})", self.turns, self.jar);
    }

    /// Reads: the check, and the person.
    pub(crate) fn read(&self, stage: &Stage, expected: &Expected) {
        self.expect("the check", &stage.ask("GET", "/auth/token", &self.jar), &expected.check);
        self.expect("the person", &stage.ask("GET", "/users/@me", &self.jar), &expected.me);
    }

    /// Works once: reads, sometimes refreshes, and sometimes signs out and in again. Panics at the first answer that the
    /// legacy backend would not have given. Returns the cookies of a session that it ended.
    pub(crate) fn work(&mut self, stage: &Stage, expected: &Expected) -> Option<Jar> {
        self.turns += 1;
        self.read(stage, expected);
        if self.turns.is_multiple_of(3) {
            let before = self.jar.clone();
            let answer = stage.ask("PATCH", "/auth/token", &self.jar);
            self.expect("a refresh", &answer, &expected.refresh);
            self.jar.take(&answer);
            // Replayed: the pair is used up.
            refused(stage, "PATCH", &before, 401, "Unauthorized");
        }
        if self.turns % 4 == 1 {
            let code = stage.post("/auth/code", &json!({ "email": "not-a-person@example.com" }));
            assert_eq!((code.status, code.text().as_str()), (404, "Not found user"), "{code:?}");
        }
        self.turns.is_multiple_of(5).then(|| {
            let before = self.sign_out(stage, expected);
            let (answer, jar) = stage.sign_in(self.person);
            self.expect("a sign-in", &answer, &expected.sign_in);
            self.jar = jar;
            before
        })
    }

    /// Signs out, and returns the cookies of before.
    pub(crate) fn sign_out(&mut self, stage: &Stage, expected: &Expected) -> Jar {
        let before = self.jar.clone();
        let answer = stage.ask("DELETE", "/auth/token", &self.jar);
        self.expect("a sign-out", &answer, &expected.sign_out);
        self.jar.take(&answer);
        assert_eq!(self.jar.line("/auth/token"), None, "a cookie outlives the sign-out: {answer:?}");
        before
    }
}

/// Asserts the refusal of a request with the cookies of `jar`.
fn refused(stage: &Stage, method: &str, jar: &Jar, status: u16, text: &str) {
    let answer = stage.ask(method, "/auth/token", jar);
    let found = (answer.status, answer.text(), answer.header("content-type").is_some());
    assert_eq!(found, (status, text.to_owned(), false), "{method} with {jar:?}");
}

/// Two sessions of each kind that are never used up, for requests that every stack refuses.
pub(crate) struct Strangers {
    old: [Jar; 2],
    new: [Jar; 2],
}

impl Strangers {
    pub(crate) const fn new(old: [Jar; 2], new: [Jar; 2]) -> Self {
        Self { old, new }
    }

    /// Unproved, foreign and mixed pairs get the legacy backend's refusals, wherever their routes lead.
    pub(crate) fn try_all(&self, stage: &Stage) {
        let (nothing, [old, other], [new, another]) = (Jar::default(), &self.old, &self.new);
        refused(stage, "GET", &nothing, 401, "Unauthorized");
        refused(stage, "PATCH", &nothing, 401, "Unauthorized");
        refused(stage, "DELETE", &nothing, 400, "Invalid token");
        for forged in [old.forged(), new.forged()] {
            refused(stage, "GET", &forged, 401, "Unauthorized");
            refused(stage, "PATCH", &forged, 401, "Unauthorized");
        }
        for (one, two) in [(old, other), (new, another)] {
            refused(stage, "PATCH", &one.with_refresh_of(two), 401, "Invalid token pair");
        }
        for (one, two) in [(old, new), (new, old)] {
            refused(stage, "PATCH", &one.with_refresh_of(two), 401, "Unauthorized");
        }
    }

    /// Nothing above used them up.
    pub(crate) fn are_alive(&self, stage: &Stage) {
        for jar in self.old.iter().chain(&self.new) {
            let answer = stage.ask("GET", "/auth/token", jar);
            assert_eq!(answer.status, 200, "{answer:?}");
        }
    }
}

/// Whether no stack behind the edge accepts the session in `jar`.
pub(crate) fn is_dead(stage: &Stage, jar: &Jar) -> bool {
    let status = |method: &str, path: &str| stage.ask(method, path, jar).status;
    // One route of each stack, the check, and the refresh.
    status("GET", "/users/@me") == 401
        && status("GET", "/books") == 401
        && status("GET", "/auth/token") == 401
        && status("PATCH", "/auth/token") == 401
}

/// Whether the legacy backend itself refuses it, too.
pub(crate) fn is_dead_behind(stage: &Stage, jar: &Jar) -> bool {
    is_dead(stage, jar) && jar.on(stage.legacy("GET", "/auth/token"), "/auth/token").send().status == 401
}
