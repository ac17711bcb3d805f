//! The contract through the edge: one test for each hurl file.
//!
//! Each test starts an edge of its own. To check one that is running, set `CONTRACT_API` (such as
//! `http://127.0.0.1:8080`) and `CONTRACT_HOME` (its `CUTOVER_HOME`).

use contract_suite::Target;

scripts! {
    Edge::new();
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

/// The edge to ask: one that this test starts, or one that is running already.
enum Edge {
    Started(Box<harness::Edge>),
    Running(Target),
}

impl Edge {
    fn new() -> Self {
        match (std::env::var("CONTRACT_API"), std::env::var("CONTRACT_HOME")) {
            (Ok(api), Ok(home)) => Self::Running(Target::new(api, home)),
            (Err(_), Err(_)) => Self::Started(Box::new(harness::Edge::dev().start())),
            (Ok(_), Err(_)) | (Err(_), Ok(_)) => {
                panic!("set both CONTRACT_API and CONTRACT_HOME, or neither")
            }
        }
    }

    fn target(&self) -> Target {
        match self {
            Self::Started(edge) => Target::new(format!("http://{}", edge.public()), edge.home()),
            Self::Running(target) => target.clone(),
        }
    }
}
