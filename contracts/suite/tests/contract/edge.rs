//! The contract through the edge: one test for each hurl file.
//!
//! Where the edge listens comes from the environment, `CONTRACT_API` (such as `http://127.0.0.1:8080`) and
//! `CONTRACT_HOME` (its `CUTOVER_HOME`). A missing one fails: a contract that was not checked is not kept.

use contract_suite::Target;

scripts! {
    Edge::from_environment();
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
    public_pages => "http/public_pages.hurl",
    users_me => "http/users_me.hurl",
    without_a_session => "http/without_a_session.hurl",
}

/// An edge that somebody else started.
struct Edge(Target);

impl Edge {
    fn from_environment() -> Self {
        let api = std::env::var("CONTRACT_API").expect("CONTRACT_API: base address of a running edge");
        let home = std::env::var("CONTRACT_HOME").expect("CONTRACT_HOME: CUTOVER_HOME of that edge");
        Self(Target::new(api, home))
    }

    fn target(&self) -> Target {
        self.0.clone()
    }
}
