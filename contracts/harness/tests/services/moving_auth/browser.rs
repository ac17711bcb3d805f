//! A browser of one person, who exists on both stacks.

use harness::Edge;
use harness::tokens::DEMO_TENANT;
use harness::wire::{Answer, Request};

pub(crate) const EMAIL: &str = "demo@example.com";

/// The cookies of one browser.
pub(crate) struct Browser {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Browser {
    pub(crate) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 201, "{answer:?}");
        let cookie = |name| answer.cookie(name).expect("the answer has the cookie");
        Self { access: cookie("madome_access_token"), refresh: cookie("madome_refresh_token") }
    }

    /// Signs in as a person does, with `request` to one backend or to the edge.
    pub(crate) fn sign_in(edge: &Edge, request: impl Fn(&str, &str) -> Request) -> Self {
        let asked = request("POST", "/auth/code").body(format!("{{\"email\":\"{EMAIL}\"}}")).send();
        assert_eq!(asked.status, 201, "{asked:?}");
        let code = edge.login_code(EMAIL);
        Self::of(
            &request("POST", "/auth/token")
                .body(format!("{{\"email\":\"{EMAIL}\",\"code\":\"{code}\"}}"))
                .send(),
        )
    }

    pub(crate) fn send(&self, request: Request) -> Answer {
        let cookies = format!("madome_access_token={}; madome_refresh_token={}", self.access, self.refresh);
        request.header("cookie", cookies).send()
    }

    pub(crate) fn status(&self, edge: &Edge, path: &str) -> u16 {
        self.send(edge.get(path)).status
    }
}

/// The demo person of the legacy sample, for the users service, as if both had one database.
pub(crate) fn people() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let text = format!(
        "people:\n  - {{ id: 00000000-0000-7000-8000-0000000000d0, name: demo, handle: demo, email: {EMAIL}, role: 0, tenant: {DEMO_TENANT} }}\n"
    );
    std::fs::write(file.path(), text).expect("it is writable");
    file
}
