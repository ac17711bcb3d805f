//! Leases as the edge sees them: what is granted, and the feed of what ended.

use lease::{Ended, Feed, FeedRequest, Grant, Kind, Spent, Tag};

use super::check::{Answer, Check};
use super::tenants::TenantsService;
use super::{Authz, Home};

/// What every policy of a session says about leases, unless a test says otherwise.
pub(crate) const LEASE: &str = "lease: { seconds: 10, uses: 1000 }";

/// The id of every request here.
pub(crate) const REQUEST: &str = "01932c07-0000-7000-8000-000000000001";

/// The edge with `lease` in the policies `signed-in`, `bot` and `reader`.
pub(crate) fn leased(lease: &str) -> impl Fn(String) -> String + use<> {
    let lease = lease.to_owned();
    move |edge: String| {
        let mut text = edge;
        for policy in ["signed-in: { kind: session", "bot: { kind: session", "reader: { kind: session"] {
            assert!(text.contains(policy));
            text = text.replacen(policy, &format!("{policy}, {lease}"), 1);
        }
        text
    }
}

/// An authorizer that grants leases and asks `service` about tenants, with `more` settings of that section, and the Redis at
/// the address `redis`.
pub(crate) async fn behind(service: &TenantsService, redis: Option<String>, more: &str) -> Authz {
    let line = service.line(more);
    let home = Home { redis, ..Home::new() };
    let file = format!("tenants: {{ file: \"{}/tenants.yaml\" }}", home.path().display());
    Authz::start_with(home, |edge| leased(LEASE)(edge).replace(&file, &line)).await
}

impl Answer {
    /// What the edge may keep of it.
    pub(crate) fn grant(&self) -> Option<Grant> {
        self.metadata.get("lease").map(|text| Grant::decode(text).expect("a grant"))
    }
}

/// A GET, as the edge sends one.
pub(crate) fn get(check: Check) -> Check {
    check.method("GET").header("x-request-id", REQUEST)
}

pub(crate) fn tag(kind: Kind, id: &str) -> Tag {
    Tag::of(kind, id.as_bytes())
}

/// A client of HTTP/2 without TLS, as Envoy is one.
pub(crate) fn client() -> reqwest::Client {
    reqwest::Client::builder().http2_prior_knowledge().build().unwrap()
}

/// What is answered to `body`: status and text.
pub(crate) async fn post(checks: &str, body: impl Into<reqwest::Body>) -> (u16, String) {
    post_by(&client(), checks, body).await
}

/// The same through `client`, which keeps its connection.
pub(crate) async fn post_by(
    client: &reqwest::Client,
    checks: &str,
    body: impl Into<reqwest::Body>,
) -> (u16, String) {
    let url = format!("http://{checks}{}", lease::PATH);
    let answer = client.post(url).body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// The question of a guard at `revision` that served `spent`.
pub(crate) fn question(revision: &str, spent: Vec<Spent>) -> String {
    let ask = FeedRequest { listener: "public".to_owned(), revision: revision.to_owned(), spent };
    ask.encode().unwrap()
}

/// The feed; `None` when there is none now.
pub(crate) async fn feed_of(checks: &str, revision: &str) -> Option<Feed> {
    match post(checks, question(revision, Vec::new())).await {
        (200, text) => Some(Feed::decode(&text).unwrap()),
        (503, _) => None,
        other => panic!("{other:?}"),
    }
}

/// Whether `feed` names `tag`.
pub(crate) fn names(feed: &Feed, tag: Tag) -> bool {
    match &feed.ended {
        Ended::Tags(tags) => tags.contains(&tag),
        Ended::All => panic!("everything ended"),
    }
}

impl Authz {
    pub(crate) async fn leasing(home: Home) -> Self {
        Self::start_with(home, leased(LEASE)).await
    }

    pub(crate) async fn feed(&self) -> Option<Feed> {
        feed_of(&self.checks.to_string(), &self.revision).await
    }

    /// Whether the feed names `tag` now.
    pub(crate) async fn says_ended(&self, tag: Tag) -> bool {
        self.feed().await.is_some_and(|feed| names(&feed, tag))
    }
}
