//! The contract through the edge: one test for each hurl file.
//!
//! Every file runs twice: on an edge that checks each request, and ([`leased`]) on one whose sessions are leased. What
//! a client sees must be the same, but for the second within which a lease ends: that is the only thing a file waits
//! for. Each test starts an edge of its own. To check one that is running, set `CONTRACT_API` (such as
//! `http://127.0.0.1:8080`) and `CONTRACT_HOME` (its `CUTOVER_HOME`).

use std::time::{Duration, Instant};

use contract_suite::{Failure, Target};

/// The files, on the edge that `$edge` starts.
macro_rules! on {
    ($edge:expr) => {
        scripts! {
            $edge;
            activity => "http/activity.hurl",
            auth_check => "http/auth_check.hurl",
            auth_code => "http/auth_code.hurl",
            auth_login => "http/auth_login.hurl",
            books => "http/books.hurl",
            cookies_reading => "cookies/reading.hurl",
            cookies_refresh => "cookies/refresh.hurl",
            cookies_session => "cookies/session.hurl",
            denials => "http/denials.hurl",
            files => "http/files.hurl",
            internal_paths => "http/internal_paths.hurl",
            library => "http/library.hurl",
            passkeys => "http/passkeys.hurl",
            public_pages => "http/public_pages.hurl",
            users_me => "http/users_me.hurl",
            without_a_session => "http/without_a_session.hurl",
        }
    };
}

on!(Edge::new(CHECKED));

/// The same files once more: what was allowed is leased.
pub(crate) mod leased {
    use super::{Edge, LEASED};

    on!(Edge::new(LEASED));
}

/// What the library and the users service answer on their later surfaces. It is a step that a team takes after the paths have
/// moved.
pub(crate) mod later {
    use super::{CHECKED, Edge};

    scripts! {
        Edge::with(CHECKED, |edge| {
            edge.variable("LIBRARY_SURFACE", "later").variable("USERS_ACTIVITY_SURFACE", "later")
        });
        later_activity => "http/later/activity.hurl",
        later_books => "http/later/books.hurl",
    }
}

/// The development edge's policy for signed-in callers: every request is checked.
const CHECKED: &str = "signed-in: { kind: session, accept: [session, legacy-session] }";
/// The same, leased for as long and as often as one is by default.
const LEASED: &str = "signed-in: { kind: session, accept: [session, legacy-session], lease: {} }";
/// The files in which a caller returns with the same session, so that leases must have served.
const COME_BACK: &[&str] = &[
    "cookies/session.hurl",
    "http/activity.hurl",
    "http/books.hurl",
    "http/library.hurl",
    "http/users_me.hurl",
];

/// A guard that has just started leases nothing until it has read what ended.
fn until_leases_serve(edge: &harness::Edge) {
    let until = Instant::now() + Duration::from_secs(20);
    let token = edge.mint().good(0);
    while edge.leased() == 0 {
        assert!(Instant::now() < until, "leases do not serve");
        let _ = edge.get("/books").token(&token).send();
    }
}

/// The edge to ask: one that this test starts, or one that is running already.
enum Edge {
    Started(Box<harness::Edge>),
    Running(Target),
}

impl Edge {
    fn new(policy: &str) -> Self {
        Self::with(policy, |edge| edge)
    }

    fn with(policy: &str, change: impl FnOnce(harness::EdgeBuilder) -> harness::EdgeBuilder) -> Self {
        match (std::env::var("CONTRACT_API"), std::env::var("CONTRACT_HOME")) {
            (Ok(api), Ok(home)) => Self::Running(Target::new(api, home)),
            (Err(_), Err(_)) => {
                let edge = Box::new(change(harness::Edge::shipped("dev").replace(CHECKED, policy)).start());
                if policy == LEASED {
                    until_leases_serve(&edge);
                }
                Self::Started(edge)
            }
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => {
                panic!("set both CONTRACT_API and CONTRACT_HOME, or neither")
            }
        }
    }

    fn run(&self, script: &str) -> Result<(), Failure> {
        let before = self.leased();
        self.target().run(script)?;
        if let (Some(before), true) = (before, COME_BACK.contains(&script)) {
            assert!(self.leased() > Some(before), "{script}: no lease served");
        }
        Ok(())
    }

    /// How many requests leases have served, when there are leases and Envoy can be asked.
    fn leased(&self) -> Option<u64> {
        match self {
            Self::Started(edge) => Some(edge.leased()).filter(|served| *served > 0),
            Self::Running(_) => None,
        }
    }

    fn target(&self) -> Target {
        match self {
            Self::Started(edge) => Target::new(format!("http://{}", edge.public()), edge.home()),
            Self::Running(target) => target.clone(),
        }
    }
}
