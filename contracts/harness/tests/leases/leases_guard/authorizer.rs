//! An authorizer that the test controls: it allows everything, grants the lease that it is given, and counts.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::http::StatusCode;
use envoy_types::ext_authz::v3::pb::{
    Authorization, AuthorizationServer, CheckRequest, CheckResponse, HeaderAppendAction, HeaderValueOption,
    HttpResponse, OkHttpResponse,
};
use envoy_types::pb::envoy::config::core::v3::HeaderValue;
use envoy_types::pb::google::protobuf::value::Kind;
use envoy_types::pb::google::protobuf::{Struct, Value};
use envoy_types::pb::google::rpc::Status;
use lease::{Ended, FIELD, Feed, FeedRequest, Grant, Spent, Tag};
use tonic::service::Routes;

/// What it does, and what it saw.
#[derive(Default)]
pub(crate) struct Script {
    /// The text of the field `lease`.
    pub(crate) grant: Option<String>,
    /// What the feed answers; `None` is 503.
    pub(crate) feed: Option<Ended>,
    /// Answers with this revision instead of the requested one.
    pub(crate) revision: Option<String>,
    /// How requests for the feed are answered.
    pub(crate) manner: Manner,
    /// Number of checks received.
    pub(crate) checks: usize,
    /// Number of requests for the feed.
    pub(crate) asked: usize,
    /// What was reported.
    pub(crate) spent: Vec<Spent>,
}

/// The answer of the feed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Manner {
    /// With the feed of the script.
    #[default]
    Well,
    /// Not at all.
    Never,
    /// With this text.
    With(&'static str),
}

#[derive(Clone)]
pub(crate) struct StandIn(Arc<Mutex<Script>>);

impl StandIn {
    /// Serves on `address` until the test ends.
    #[expect(clippy::expect_used, reason = "a test without its authorizer has nothing to test")]
    pub(crate) fn on(address: SocketAddr) -> Self {
        let stand_in =
            Self(Arc::new(Mutex::new(Script { feed: Some(Ended::Tags(vec![])), ..Script::default() })));
        let served = stand_in.clone();
        let listener = TcpListener::bind(address).expect("a leased port can be bound");
        listener.set_nonblocking(true).expect("a listener can be polled");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(served.serve(listener));
        });
        stand_in
    }

    #[expect(clippy::expect_used, reason = "a poisoned script failed another thread of this test")]
    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.0.lock().expect("no thread panicked")
    }

    #[expect(clippy::expect_used, reason = "a test without its authorizer has nothing to test")]
    async fn serve(self, listener: TcpListener) {
        let (health, service) = tonic_health::server::health_reporter();
        health.set_service_status("", tonic_health::ServingStatus::Serving).await;
        let feed = self.clone();
        let router =
            Routes::new(AuthorizationServer::new(self)).add_service(service).into_axum_router().route(
                lease::PATH,
                axum::routing::post(move |body: String| {
                    let feed = feed.clone();
                    async move {
                        let manner = feed.script().manner;
                        match manner {
                            Manner::Well => feed.answer(&body),
                            Manner::Never => std::future::pending().await,
                            Manner::With(words) => (StatusCode::OK, words.to_owned()),
                        }
                    }
                }),
            );
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        let served = tonic::transport::Server::builder().add_routes(Routes::from(router));
        served.serve_with_incoming(incoming).await.expect("the authorizer serves");
    }

    #[expect(clippy::expect_used, reason = "a guard that asks wrongly fails the test")]
    fn answer(&self, body: &str) -> (StatusCode, String) {
        let question = FeedRequest::decode(body).expect("the guard asks as it should");
        let mut script = self.script();
        script.asked += 1;
        script.spent.extend(question.spent);
        let Some(ended) = script.feed.clone() else {
            return (StatusCode::SERVICE_UNAVAILABLE, String::new());
        };
        let revision = script.revision.clone().unwrap_or(question.revision);
        let feed = Feed { revisions: vec![revision], reach_ms: lease::WINDOW_MS, ended };
        (StatusCode::OK, feed.encode().expect("a feed"))
    }
}

#[tonic::async_trait]
impl Authorization for StandIn {
    #[expect(deprecated, reason = "every field is named")]
    async fn check(
        &self,
        asked: tonic::Request<CheckRequest>,
    ) -> Result<tonic::Response<CheckResponse>, tonic::Status> {
        let attributes = asked.into_inner().attributes.unwrap_or_default();
        let revision = attributes.context_extensions.get("revision").cloned().unwrap_or_default();
        let mut script = self.script();
        script.checks += 1;
        let text = |text: &str| Value { kind: Some(Kind::StringValue(text.to_owned())) };
        let mut fields = vec![("decision".to_owned(), text("allow"))];
        fields.extend(
            script.grant.as_ref().map(|grant| (FIELD.to_owned(), text(&grant.replace(ASKED, &revision)))),
        );
        let set = |(name, value): (String, String)| HeaderValueOption {
            header: Some(HeaderValue { key: name, value, raw_value: Vec::new() }),
            append: None,
            append_action: i32::from(HeaderAppendAction::OverwriteIfExistsOrAdd),
            keep_empty_value: false,
        };
        Ok(tonic::Response::new(CheckResponse {
            status: Some(Status { code: 0, message: String::new(), details: Vec::new() }),
            dynamic_metadata: Some(Struct { fields: fields.into_iter().collect() }),
            http_response: Some(HttpResponse::OkResponse(OkHttpResponse {
                headers: identity().into_iter().map(set).collect(),
                headers_to_remove: Vec::new(),
                dynamic_metadata: None,
                response_headers_to_add: Vec::new(),
                query_parameters_to_set: Vec::new(),
                query_parameters_to_remove: Vec::new(),
            })),
        }))
    }
}

/// The headers of every check, and of every grant.
pub(crate) fn identity() -> Vec<(String, String)> {
    [
        ("x-cutover-decided", "1"),
        ("x-madome-auth-sub", "somebody"),
        ("x-tenant-id", "theirs"),
        ("x-madome-identity", "a.b.c"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// Stands for the revision that a check is about.
const ASKED: &str = "the-asked-revision";

/// A grant for a route, resting on tag 1.
#[expect(clippy::expect_used, reason = "a grant that cannot be written fails the test")]
pub(crate) fn grant(route: &str, change: impl FnOnce(&mut Grant)) -> String {
    let text = |text: &str| text.to_owned();
    let mut grant = Grant {
        lifetime_ms: 20_000,
        uses: 1_000,
        route: text(route),
        policy: text("signed-in"),
        revision: text(ASKED),
        request_id: text("granted-with"),
        tags: vec![Tag(1)],
        headers: identity(),
        log: lease::LogFields {
            reason: text("because"),
            subject: text("somebody"),
            session: text("their-session"),
            tenant: text("theirs"),
        },
    };
    change(&mut grant);
    grant.encode().expect("a grant")
}
