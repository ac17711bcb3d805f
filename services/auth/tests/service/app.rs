//! Drives the service in tests.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, to_bytes};
use clock::{Clock as _, ManualClock};
use http::Request;
use identity::assertion::Verifier;
use identity::{Caller, Person, Role};
use kit::generation::Surface;
use kit::settings::Home;
use kit::testing::{START, TENANT, TestEdge, TestHome, Wire};
use proto::users::v1::accounts_server::{Accounts, AccountsServer};
use proto::users::v1::get_account_request::Person as Whom;
use proto::users::v1::{Account, GetAccountRequest};
use serde_json::{Value, json};
use tonic::Status;
use tower::ServiceExt as _;

use auth::settings::passkeys::RelyingParty;
use auth::settings::{SessionForm, Settings};

pub(crate) const DEMO: &str = "00000000-0000-7000-8000-0000000000a0";
pub(crate) const BOT: &str = "00000000-0000-7000-8000-0000000000a2";

/// A router with new keys and a new database, on a manual clock.
pub(crate) struct TestApp {
    pub(crate) router: Router,
    pub(crate) edge: TestEdge,
    pub(crate) clock: ManualClock,
    pub(crate) home: TestHome,
    pub(crate) people: People,
    pub(crate) settings: Settings,
    _service_edge: Wire,
}

/// The people whom the edge's service listener knows, by address. Each is `{id, role, tenant_id}`.
#[derive(Clone)]
pub(crate) struct People(Arc<Mutex<BTreeMap<String, Value>>>);

impl People {
    pub(crate) fn set(&self, email: &str, id: &str, role: u8) {
        let person =
            json!({ "id": id, "role": role, "tenant_id": TENANT, "email": email, "name": "Somebody" });
        self.0.lock().unwrap().insert(email.to_owned(), person);
    }

    pub(crate) fn set_raw(&self, email: &str, person: Value) {
        self.0.lock().unwrap().insert(email.to_owned(), person);
    }

    pub(crate) fn remove(&self, email: &str) {
        self.0.lock().unwrap().remove(email);
    }
}

/// The answer to a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<String>,
    pub(crate) expires: Option<String>,
    /// The id of a passkey's ceremony.
    pub(crate) ceremony: Option<String>,
    pub(crate) cookies: Vec<String>,
    pub(crate) body: String,
}

impl Answer {
    /// An error answer: bare text without a content type, and no cookies.
    pub(crate) fn text(status: u16, body: &str) -> Self {
        let (content_type, expires, ceremony, cookies) = (None, None, None, Vec::new());
        Self { status, content_type, expires, ceremony, cookies, body: body.to_owned() }
    }

    /// Returns the two tokens of the `Set-Cookie` lines.
    pub(crate) fn pair(&self) -> Pair {
        let value = |line: &String| line.split(['=', ';']).nth(1).unwrap().to_owned();
        let [access, refresh] = &self.cookies[..] else { unreachable!("two cookies in {self:?}") };
        Pair { access: value(access), refresh: value(refresh) }
    }
}

/// The tokens of a signed-in browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Pair {
    pub(crate) fn cookie(&self) -> String {
        format!("madome_access_token={}; madome_refresh_token={}", self.access, self.refresh)
    }

    /// Returns a claim of the access token.
    pub(crate) fn claim(&self, name: &str) -> Value {
        claims(&self.access)[name].clone()
    }
}

/// Returns the claims of a token, unverified.
pub(crate) fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap())
        .unwrap()
}

pub(crate) fn settings(home: Home, service_edge_url: String, database_url: Option<String>) -> Settings {
    Settings {
        address: ([127, 0, 0, 1], 0).into(),
        service_edge_url,
        root_domain: "dev-domain.test".to_owned(),
        issuer: "https://api.dev-domain.test/auth".to_owned(),
        audience: "https://api.dev-domain.test".to_owned(),
        surface: Surface::Later,
        cookies: Surface::Later,
        session_max_age: std::time::Duration::from_secs(30 * 86_400),
        bounds: auth::settings::Bounds::default(),
        mail: None,
        passkeys: RelyingParty::of("dev-domain.test"),
        home,
        database_url,
        shared_codes: None,
        redis_url: None,
        legacy: None,
        sessions: SessionForm::Own,
        edge_file: None,
        edge: "dev".to_owned(),
    }
}

impl TestApp {
    pub(crate) async fn new() -> Self {
        Self::on(None).await
    }

    pub(crate) async fn on(database_url: Option<String>) -> Self {
        Self::on_both(database_url, None).await
    }

    /// On the older surface.
    pub(crate) async fn older() -> Self {
        Self::with(|settings| Settings { surface: Surface::Older, cookies: Surface::Older, ..settings }).await
    }

    pub(crate) async fn on_both(database_url: Option<String>, redis_url: Option<String>) -> Self {
        Self::with(|settings| Settings { database_url, redis_url, ..settings }).await
    }

    /// With settings that `change` makes of the usual ones.
    pub(crate) async fn with(change: impl FnOnce(Settings) -> Settings) -> Self {
        let home = TestHome::new();
        let clock = ManualClock::at(START);
        let people = People(Arc::default());
        people.set("demo@example.com", DEMO, 0);
        people.set("bot@example.com", BOT, 2);
        let service_edge = service_edge(&home, &clock, &people).await;
        let settings = change(settings(home.home(), format!("http://{}", service_edge.address()), None));
        let app = auth::app(&settings, Arc::new(clock.clone())).await.unwrap();
        let router = auth::routes::router(app);
        let edge = home.edge(&clock);
        Self { router, edge, clock, home, people, settings, _service_edge: service_edge }
    }

    /// Sends `METHOD /path` with header lines and a body.
    pub(crate) async fn call(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(kit::testing::as_the_edge(request)).await.unwrap();
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = response.headers().clone();
        assert!(!headers.contains_key("allow"), "the legacy backend never sends Allow");
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer {
            status,
            content_type: headers.get("content-type").map(text),
            expires: headers.get("x-madome-access-token-expires").map(text),
            ceremony: ["registration", "authentication"]
                .iter()
                .find_map(|kind| headers.get(format!("x-madome-passkey-{kind}-id")))
                .map(text),
            cookies: headers.get_all("set-cookie").iter().map(text).collect(),
            body: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn request_code(&self, email: &str) -> Answer {
        self.call("POST /auth/code", &[], &json!({ "email": email }).to_string()).await
    }

    pub(crate) async fn login_with(&self, email: &str, code: &str) -> Answer {
        self.call("POST /auth/token", &[], &json!({ "email": email, "code": code }).to_string()).await
    }

    /// Signs in with a code from the mail.
    pub(crate) async fn login(&self, email: &str) -> Pair {
        assert_eq!(self.request_code(email).await, Answer::text(201, ""));
        let answer = self.login_with(email, &self.last_code(email)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.pair()
    }

    pub(crate) async fn refresh(&self, pair: &Pair) -> Answer {
        self.call("PATCH /auth/token", &[("cookie", &pair.cookie())], "").await
    }

    pub(crate) async fn logout(&self, pair: &Pair) -> Answer {
        self.call("DELETE /auth/token", &[("cookie", &pair.cookie())], "").await
    }

    /// Assembles the service again on the same home and database, as after a restart.
    pub(crate) async fn restart(&mut self) {
        let app = auth::app(&self.settings, Arc::new(self.clock.clone())).await.unwrap();
        self.router = auth::routes::router(app);
    }

    /// Returns the sessions of a service on the same home and database.
    pub(crate) async fn sessions(&self) -> auth::session::Sessions {
        auth::app(&self.settings, Arc::new(self.clock.clone())).await.unwrap().sessions().clone()
    }

    /// Connects to the service's database.
    pub(crate) async fn database(&self) -> sea_orm::DatabaseConnection {
        let file = self.settings.home.database("auth");
        kit::store::open(self.settings.database_url.as_deref(), &file).await.unwrap()
    }

    /// Has PostgreSQL accept everything but the commit of a session.
    pub(crate) async fn refuse_commits(&self) {
        self.executes("create function refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$")
            .await;
        self.executes(
            "create constraint trigger refuse after insert on auth_sessions deferrable initially deferred for each row \
             execute function refuse()",
        )
        .await;
    }

    /// Has PostgreSQL accept commits again.
    pub(crate) async fn accept_commits(&self) {
        self.executes("drop trigger refuse on auth_sessions").await;
    }

    async fn executes(&self, statement: &str) {
        use sea_orm::ConnectionTrait as _;
        self.database().await.execute_unprepared(statement).await.unwrap();
    }

    /// Sends `GET /auth/token` as the edge does after it has verified the access token.
    pub(crate) async fn check(&self, pair: &Pair, query: &str) -> Answer {
        let identity = self.edge.person(&person(pair), "auth");
        let headers = [("cookie", pair.cookie()), ("x-madome-identity", identity)];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        self.call(&format!("GET /auth/token{query}"), &headers, "").await
    }

    /// Returns the mail to `email`, oldest first.
    pub(crate) fn mail(&self, email: &str) -> Vec<(String, Value)> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(self.home.path().join("mail").join(email))
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().path())
            .collect();
        files.sort();
        files
            .into_iter()
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
            })
            .collect()
    }

    pub(crate) fn last_code(&self, email: &str) -> String {
        self.mail(email).last().unwrap().1["variables"]["authcode"].as_str().unwrap().to_owned()
    }

    /// Returns the lines of the revocation file, as JSON.
    pub(crate) fn revoked(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.home.path().join("sessions/revoked.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn now(&self) -> u64 {
        self.clock.now().seconds()
    }
}

/// Returns the person of an access token.
pub(crate) fn person(pair: &Pair) -> Person {
    let text = |name: &str| pair.claim(name).as_str().unwrap().to_owned();
    Person {
        subject: text("sub").parse().unwrap(),
        tenant: Some(text("tenantId").parse().unwrap()),
        roles: Vec::new(),
        session: Some(text("sid").parse().unwrap()),
        role: Some(Role(u8::try_from(pair.claim("role").as_u64().unwrap()).unwrap())),
        scopes: Vec::new(),
    }
}

/// The users service, as far as this service calls it, behind an edge that admits this service alone.
#[derive(Clone)]
struct ServiceEdge {
    verifier: Arc<Verifier>,
    clock: ManualClock,
    people: People,
}

async fn service_edge(home: &TestHome, clock: &ManualClock, people: &People) -> Wire {
    let verifier = Verifier::new("dev").trust_file("auth", &home.key("auth.jwks.json")).unwrap();
    let edge = ServiceEdge { verifier: Arc::new(verifier), clock: clock.clone(), people: people.clone() };
    let calls =
        AccountsServer::new(edge).map_request(|request: Request<Body>| request.map(tonic::body::Body::new));
    Wire::start(Router::new().route_service("/cutover.users.v1.Accounts/{call}", calls)).await
}

#[tonic::async_trait]
impl Accounts for ServiceEdge {
    async fn get_account(
        &self,
        request: tonic::Request<GetAccountRequest>,
    ) -> Result<tonic::Response<Account>, Status> {
        let bearer = request.metadata().get("authorization").unwrap().to_str().unwrap();
        let assertion = bearer.strip_prefix("Bearer ").unwrap();
        if self.verifier.verify(assertion, self.clock.now()) != Ok(Caller::Service("auth".parse().unwrap())) {
            return Err(Status::unauthenticated(""));
        }
        let key = match request.into_inner().person.unwrap() {
            Whom::Id(key) | Whom::Email(key) => key,
        };
        let people = self.people.0.lock().unwrap();
        let found = people.get(&key).or_else(|| people.values().find(|person| person["id"] == key.as_str()));
        let Some(person) = found else { return Err(Status::not_found("Not found user")) };
        let text = |name: &str| person[name].as_str().map(str::to_owned);
        // What is no number here is a number that no role has.
        let role = person["role"].as_u64().unwrap_or(1_000);
        Ok(tonic::Response::new(Account {
            id: text("id").unwrap_or_default(),
            name: text("name").unwrap_or_default(),
            email: text("email").unwrap_or_default(),
            role: u32::try_from(role).unwrap(),
            tenant_id: text("tenant_id"),
            ..Account::default()
        }))
    }
}
