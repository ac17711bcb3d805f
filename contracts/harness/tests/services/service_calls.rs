//! The calls between services in gRPC: each has its route on the listener for services, its callers, its deadline and its
//! retries, and the page of the services says the same as the edge files.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use clock::{Clock as _, SystemClock};
use edge_config::edge::Policy;
use edge_config::{Match, route_of};
use harness::wire::Request as HttpRequest;
use harness::{Edge, Part, Signal, repository};
use identity::assertion::Signer;
use kit::testing::PrivatePostgres;
use proto::catalogue::v1::catalogue_client::CatalogueClient;
use proto::catalogue::v1::{
    HasBookRequest, HasTagRequest, ListBooksByTagsRequest, ListBooksRequest, RenewBookRequest,
};
use proto::users::v1::accounts_client::AccountsClient;
use proto::users::v1::accounts_server::{Accounts, AccountsServer};
use proto::users::v1::activity_client::ActivityClient;
use proto::users::v1::get_account_request::Person;
use proto::users::v1::{
    Account, AnnounceBookRequest, GetAccountRequest, ListDeviceTokensRequest, ListDislikesRequest,
    ListHistoriesRequest, ListTastesRequest, RenewBookRequest as RenewForPeople,
};
use tokio::runtime::Runtime;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};

const DEMO: &str = "00000000-0000-7000-8000-0000000000a0";

/// What a caller presents.
type Credential = Box<dyn Fn() -> Option<String> + Send + Sync>;

type Calls = InterceptedService<Channel, Presents>;

#[derive(Clone)]
struct Presents(Arc<Credential>);

impl tonic::service::Interceptor for Presents {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = (self.0)() {
            let value: MetadataValue<Ascii> = format!("Bearer {token}").parse().expect("a header");
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

fn calls(address: SocketAddr, credential: Credential) -> Calls {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address");
    InterceptedService::new(endpoint.connect_lazy(), Presents(Arc::new(credential)))
}

/// What the service `name` presents: a fresh assertion for each call.
fn service(edge: &Edge, name: &'static str) -> Credential {
    let pem = edge.home().join("keys").join(format!("{name}.pem"));
    let signer = Signer::from_file(name, &pem).expect("a key");
    let caller = identity::Caller::Service(name.parse().expect("a name"));
    Box::new(move || Some(signer.sign(&caller, "dev", SystemClock.now()).expect("it signs")))
}

fn code<T: Debug>(answer: Result<Response<T>, Status>) -> Code {
    match answer {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    }
}

fn demo() -> GetAccountRequest {
    GetAccountRequest { person: Some(Person::Id(DEMO.to_owned())) }
}

/// Every call, as `calls`, with the code of its answer.
async fn every_call(calls: &Calls) -> Vec<(&'static str, Code)> {
    let mut accounts = AccountsClient::new(calls.clone());
    let mut activity = ActivityClient::new(calls.clone());
    let mut library = CatalogueClient::new(calls.clone());
    let person_id = || DEMO.to_owned();
    let tastes = ListTastesRequest { person_id: person_id(), ..ListTastesRequest::default() };
    let histories = ListHistoriesRequest { person_id: person_id(), book_ids: Vec::new() };
    let tokens = ListDeviceTokensRequest { person_ids: vec![person_id()] };
    let announce = AnnounceBookRequest { book_id: 1, tags: Vec::new() };
    let by_tags = ListBooksByTagsRequest { per_page: 1, page: 1, ..ListBooksByTagsRequest::default() };
    let tag = proto::catalogue::v1::Tag { kind: "misc".to_owned(), name: "x".to_owned() };
    vec![
        ("Accounts/GetAccount", code(accounts.get_account(demo()).await)),
        ("Activity/ListTastes", code(activity.list_tastes(tastes).await)),
        (
            "Activity/ListDislikes",
            code(activity.list_dislikes(ListDislikesRequest { person_id: person_id() }).await),
        ),
        ("Activity/ListHistories", code(activity.list_histories(histories).await)),
        ("Activity/ListDeviceTokens", code(activity.list_device_tokens(tokens).await)),
        ("Activity/AnnounceBook", code(activity.announce_book(announce).await)),
        ("Activity/RenewBook", code(activity.renew_book(RenewForPeople { old_id: 20, new_id: 21 }).await)),
        ("Catalogue/ListBooks", code(library.list_books(ListBooksRequest { ids: vec![1] }).await)),
        ("Catalogue/ListBooksByTags", code(library.list_books_by_tags(by_tags).await)),
        ("Catalogue/HasBook", code(library.has_book(HasBookRequest { book_id: 1 }).await)),
        ("Catalogue/HasTag", code(library.has_tag(HasTagRequest { tag: Some(tag) }).await)),
        ("Catalogue/RenewBook", code(library.renew_book(RenewBookRequest { old_id: 8, new_id: 9 }).await)),
    ]
}

/// The calls that a service makes, as the page of the services lists them.
const MADE: [(&str, &[&str]); 4] = [
    ("auth", &["Accounts/GetAccount"]),
    (
        "library",
        &[
            "Activity/ListTastes",
            "Activity/ListDislikes",
            "Activity/ListHistories",
            "Activity/AnnounceBook",
            "Activity/RenewBook",
        ],
    ),
    ("notifications", &["Activity/ListDeviceTokens"]),
    (
        "users",
        &[
            "Catalogue/ListBooks",
            "Catalogue/ListBooksByTags",
            "Catalogue/HasBook",
            "Catalogue/HasTag",
            "Catalogue/RenewBook",
        ],
    ),
];

/// The forms in HTTP of calls that read about people, below `/_/users`, with the call. A wider route for one of them would let
/// its callers read the others.
const READS: [(&str, &str); 6] = [
    ("demo@example.com", "Accounts/GetAccount"),
    ("?email=demo@example.com", "Accounts/GetAccount"),
    ("00000000-0000-7000-8000-0000000000a0/likes?kind=book&ids[]=7", "Activity/ListTastes"),
    ("00000000-0000-7000-8000-0000000000a0/dislikes", "Activity/ListDislikes"),
    ("00000000-0000-7000-8000-0000000000a0/histories?ids[]=7", "Activity/ListHistories"),
    ("fcm-token?user-ids[]=00000000-0000-7000-8000-0000000000a0", "Activity/ListDeviceTokens"),
];

fn each_call_is_for_its_callers_alone(database: Option<&str>) {
    let edge = Edge::shipped("dev");
    let edge = match database {
        Some(url) => edge.variable("DATABASE_URL", url),
        None => edge,
    };
    let edge = edge.start();
    let runtime = Runtime::new().expect("a runtime");
    let inside = edge.address("EDGE_SERVICE_ADDRESS");
    runtime.block_on(async {
        for (name, made) in MADE {
            for (call, code) in every_call(&calls(inside, service(&edge, name))).await {
                let expected = if made.contains(&call) { Code::Ok } else { Code::PermissionDenied };
                assert_eq!(code, expected, "{name} calls {call}");
            }
            for (read, call) in READS {
                let separator = if read.starts_with('?') { "" } else { "/" };
                let credential = service(&edge, name)().expect("a service signs");
                let request = HttpRequest::new(inside, "GET", format!("/_/users{separator}{read}"));
                let status = request.header("authorization", format!("Bearer {credential}")).send().status;
                let expected = if made.contains(&call) { 200 } else { 403 };
                assert_eq!(status, expected, "{name} reads /_/users{separator}{read}");
            }
        }
        let token = edge.mint().good(2);
        let of_a_person: Credential = Box::new(move || Some(token.clone()));
        for (who, credential) in [
            ("no one", Box::new(|| None) as Credential),
            ("a person", of_a_person),
            ("a text", Box::new(|| Some("x".to_owned()))),
        ] {
            for (call, code) in every_call(&calls(inside, credential)).await {
                assert_eq!(code, Code::Unauthenticated, "{who} calls {call}");
            }
        }
        // The public listener has no route to them: what is sent there is answered by the edge, or by the legacy backend.
        let before = received(&edge);
        let token = edge.mint().good(2);
        let persons: Credential = Box::new(move || Some(token.clone()));
        for credential in [persons, service(&edge, "auth"), Box::new(|| None) as Credential] {
            for (call, code) in every_call(&calls(edge.public(), credential)).await {
                assert_ne!(code, Code::Ok, "{call} from outside");
            }
        }
        assert_eq!(received(&edge), before, "no service received a call from outside");
    });
}

/// How many calls the services have logged. Each logs a call before its answer is complete.
fn received(edge: &Edge) -> usize {
    let logged = ["users", "library"].map(|name| {
        let log = std::fs::read_to_string(edge.home().join(format!("logs/{name}.log"))).expect("a log");
        assert!(!log.contains("\"level\":\"ERROR\""), "{log}");
        log.lines().filter(|line| line.contains("\"route\":\"/cutover.")).count()
    });
    assert!(logged.iter().all(|count| *count > 0), "{logged:?}");
    logged.iter().sum()
}

#[test]
fn each_call_is_for_its_callers_alone_on_sqlite() {
    each_call_is_for_its_callers_alone(None);
}

#[test]
fn each_call_is_for_its_callers_alone_on_postgresql() {
    let postgres = PrivatePostgres::start();
    each_call_is_for_its_callers_alone(Some(&postgres.url()));
}

/// A row of the table of calls in the page of the services.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    caller: String,
    call: String,
    policy: String,
    deadline: String,
    is_sent_again: bool,
}

fn documented() -> BTreeSet<Row> {
    let page = std::fs::read_to_string(repository().join("docs/services.md")).expect("the page is readable");
    let row = |line: &str| {
        let cells = line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
        let Ok([caller, call, _, policy, deadline, again]) =
            <[String; 6]>::try_from(cells.collect::<Vec<_>>())
        else {
            return None;
        };
        let is_sent_again = again == "yes";
        call.starts_with("cutover.").then_some(Row { caller, call, policy, deadline, is_sent_again })
    };
    page.lines().filter_map(row).collect()
}

/// The routes of an edge for the calls, one row for each caller.
fn routed(name: &str) -> BTreeSet<Row> {
    let file = repository().join(format!("envoy/edges/{name}.yaml"));
    let edge = edge_config::load(&file, &|_| None).expect("the edge file is valid");
    let mut rows = BTreeSet::new();
    for call in MADE.iter().flat_map(|(_, made)| *made) {
        let package = if call.starts_with("Catalogue/") { "catalogue" } else { "users" };
        let call = format!("cutover.{package}.v1.{call}");
        let taken = route_of(&edge, "service", "127.0.0.1", "POST", &format!("/{call}"));
        let Match::Route(route) = taken else { continue };
        let Some(Policy::Internal(policy)) = edge.policies.get(&route.policy) else {
            panic!("{name}: {call} is open to other callers than services");
        };
        let backend = route.destination.only().and_then(|backend| edge.backends.get(backend));
        let backend = backend.expect("a call has one backend");
        let deadline = route.times.timeout.unwrap_or(backend.request_timeout);
        for service in &policy.services {
            rows.insert(Row {
                caller: service.to_string(),
                call: call.clone(),
                policy: route.policy.clone(),
                deadline: format!("{} s", deadline.as_secs()),
                is_sent_again: route.idempotent,
            });
        }
    }
    rows
}

#[test]
fn the_page_of_the_services_lists_the_calls_that_the_edges_allow() {
    let rows = documented();
    for (name, made) in MADE {
        let listed: BTreeSet<_> = rows.iter().filter(|row| row.caller == name).collect();
        let all = made.iter().all(|call| listed.iter().any(|row| row.call.ends_with(&format!(".{call}"))));
        assert!(all && listed.len() == made.len(), "{name}: {listed:?}");
    }
    for edge in ["dev", "prod", "web"] {
        assert_eq!(routed(edge), rows, "{edge}");
    }
    let sign_in: BTreeSet<_> = rows.into_iter().filter(|row| row.caller == "auth").collect();
    assert_eq!(routed("tenants"), sign_in, "an edge without a library");
}

/// A users service whose first calls end without an answer.
#[derive(Clone)]
struct Failing {
    /// How many of them do.
    ends: u32,
    seen: Arc<AtomicU32>,
}

#[tonic::async_trait]
impl Accounts for Failing {
    async fn get_account(&self, _: Request<GetAccountRequest>) -> Result<Response<Account>, Status> {
        // The library resets the stream of a call whose task ends.
        assert!(self.seen.fetch_add(1, Ordering::SeqCst) >= self.ends, "told to fail");
        Ok(Response::new(Account { id: DEMO.to_owned(), ..Account::default() }))
    }
}

/// Serves `failing` and returns its address.
fn serve(runtime: &Runtime, failing: Failing) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.set_nonblocking(true).expect("a socket");
    let address = listener.local_addr().expect("an address");
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        let incoming = tonic::transport::server::TcpIncoming::from(listener);
        let server = tonic::transport::Server::builder().add_service(AccountsServer::new(failing));
        server.serve_with_incoming(incoming).await.expect("it serves");
    });
    address
}

#[test]
fn a_call_is_sent_again_only_where_its_route_says_that_it_may() {
    let runtime = Runtime::new().expect("a runtime");
    for (idempotent, expected, calls_seen) in [(true, Code::Ok, 2), (false, Code::Unavailable, 1)] {
        let seen = Arc::new(AtomicU32::new(0));
        let address = serve(&runtime, Failing { ends: 1, seen: Arc::clone(&seen) });
        let edge = Edge::dev().stand_in("USERS_ADDRESS", address);
        let route = "policy: account-lookup, to: users-calls, answers: users, idempotent: true }";
        let other =
            if idempotent { route } else { "policy: account-lookup, to: users-calls, answers: users }" };
        let edge = edge.replace(route, other).start();
        let inside = edge.address("EDGE_SERVICE_ADDRESS");
        let answer = runtime.block_on(async {
            AccountsClient::new(calls(inside, service(&edge, "auth"))).get_account(demo()).await
        });
        assert_eq!(code(answer), expected, "idempotent: {idempotent}");
        assert_eq!(seen.load(Ordering::SeqCst), calls_seen, "idempotent: {idempotent}");
    }
}

#[test]
fn a_service_that_is_stuck_or_away_ends_a_call_and_the_next_process_answers() {
    let mut edge = Edge::dev().start();
    let runtime = Runtime::new().expect("a runtime");
    let inside = edge.address("EDGE_SERVICE_ADDRESS");
    let call = |edge: &Edge| {
        let credential = service(edge, "auth");
        runtime.block_on(async {
            code(AccountsClient::new(calls(inside, credential)).get_account(demo()).await)
        })
    };
    assert_eq!(call(&edge), Code::Ok);
    edge.part(Part::Users).signal(Signal::Stop);
    let stuck = call(&edge);
    assert!(matches!(stuck, Code::Unavailable | Code::DeadlineExceeded), "{stuck:?}");
    edge.part(Part::Users).signal(Signal::Continue);
    edge.stop(Part::Users, Signal::Kill);
    assert_eq!(call(&edge), Code::Unavailable);
    edge.start(Part::Users);
    harness::eventually("the next process answers", || call(&edge) == Code::Ok);
}
