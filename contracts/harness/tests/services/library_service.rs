//! The library service answers as the legacy sample, byte for byte: directly, and through the edge.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::process::Command;

use clock::{Clock as _, SystemClock};
use harness::wire::{Answer, Request};
use harness::{Edge, Port, Process, eventually, program, repository};
use identity::assertion::Signer;
use kit::testing::PrivatePostgres;

/// A request: method, target, header lines, body.
type Exchange = (&'static str, String, &'static [(&'static str, &'static str)], String);

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const HTML: &[(&str, &str)] = &[("accept", "text/html,*/*")];

/// Every endpoint of the older surface with its refusals. The order matters: books are added on the way.
fn exchanges() -> Vec<Exchange> {
    let mut all: Vec<Exchange> = Vec::new();
    let many: String = (1..=101).map(|id| format!("&ids[]={id}")).collect();
    let tags: String = (0..101).map(|_| "&tags[]=misc-a".to_owned()).collect();
    let deep = "(".repeat(40);
    for target in [
        "/books",
        "/books/",
        "/Books",
        "/books/%31",
        "/books/1",
        "/books/1/",
        "/BOOKS/1",
        "/books/0",
        "/books/x",
        "/books/00",
        "/books/007",
        "/books/99",
        "/books/99999999999999999999",
        "/books/1/2",
        "/books/1/images",
        "/books/1/Images/",
        "/books/99/images",
        "/open-graph/books/7",
        "/open-graph/books/007",
        "/open-graph/books/999",
        "/open-graph/books/%37",
        "/open-graph/books/7/",
        "/open-graph/books/",
        "/open-graph/books/0000000007",
        "/open-graph/books/tags/misc/full%20color",
        "/open-graph/books/tags/mis%63/full%20color",
        "/open-graph/books/tags/misc/none",
        "/open-graph/books/tags/misc/full%20color/x",
        "/open-graph/books/tags/misc",
        "/open-graph/books/tags/x%ff/%00",
        "/open-graph",
        "/open-graph/x",
        "/books/x/images/1.jpg",
        "/books/1/images/1.jpg",
        "/books/1/images/A%20b&c'.jpg",
        "/books/search/images",
        "/books?per-page=2&page=3",
        "/books?per-page=0",
        "/books?per-page=101",
        "/books?per-page=x",
        "/books?per-page=",
        "/books?page=0",
        "/books?page=9999999999",
        "/books?page=99999999999",
        "/books?sort-by=id-asc",
        "/books?sort-by=",
        "/books?sort-by=rank-desc",
        "/books?kind=artist-cg",
        "/books?kind=artist_cg&kind=manga",
        "/books?kind=",
        "/books?kind=image-set",
        "/books?less-than=5",
        "/books?more-than=37&kind=bad",
        "/books?less-than=5&more-than=1",
        "/books?less-than=x",
        "/books?unknown=1&per-page=1",
        "/books?ids[]=3&ids[]=1&ids[]=99",
        "/books?ids=2",
        "/books?ids[]=1&ids[]=2&ids[]=1",
        "/books?ids[]=0",
        "/books?ids[]=-1",
        "/books?ids[]=a",
        "/books?ids=",
        "/books?ids[]=9999999999",
        "/books?tags[]=misc-full-color",
        "/books?tags[]=misc-full-color&per-page=1&page=2",
        "/books?tags[0][0]=artist&tags[0][1]=some%20artist&tags[]=group-some-group",
        "/books?tags[]=misc-none",
        "/books?tags[]=bad-x",
        "/books?tags[]=misc",
        "/books?tags[0][1]=x",
        "/books?tags[]=misc-full-color&page=0",
        "/books?tags[]=misc-full-color&sort-by=x",
        "/books/search",
        "/books/search?q=a",
        "/books/search?search-kind=x&q=a",
        "/books/search?search-kind=title&q=",
        "/books/search?search-kind=title",
        "/books/search?search-kind=title&q=sample+4",
        "/books/search?search-kind=title&q=SAMPLE+and+4",
        "/books/search?search-kind=title&q=book+AND+(1+OR+2)+NOT+12",
        "/books/search?search-kind=title&q=a+OR",
        "/books/search?search-kind=title&q=NOT+sample",
        "/books/search?search-kind=title&q=7+OR+8+OR+sample&per-page=4",
        "/books/search?search-kind=title&q=sample&book-kind=game-cg&sort-by=id-asc",
        "/books/search?search-kind=title&q=sample&book-kind=x",
        "/books/search?search-kind=title&q=sample&sort-by=rank-desc",
        "/books/search?search-kind=title&q=sample&page=2",
        "/books/search?search-kind=title&q=!!!",
        "/books/search?search-kind=title&q=%27%22)",
        "/books/search?search-kind=tag&q=misc-full-co&per-page=2",
        "/books/search?search-kind=tag&q=series+NOT+another",
        "/books/search?search-kind=tag&q=group-some-group+artist-an",
        "/books/search/",
        "/Books/SEARCH?search-kind=tag&q=none",
        "/books/search/completion",
        "/books/search/completion?search-kind=title&q=",
        "/books/search/completion?search-kind=title&q=sample+book+1",
        "/books/search/completion?search-kind=title&q=sample&per-page=3&page=2",
        "/books/search/completion?search-kind=title&q=sample&per-page=101",
        "/books/search/completion?search-kind=tag&q=ar",
        "/books/search/completion?search-kind=tag&q=misc+AND+some-a",
        "/books/search/completion?search-kind=tag&q=(misc+OR+some)",
        "/books/search/completion?search-kind=tag&q=OR",
    ] {
        all.push(("GET", target.to_owned(), &[], String::new()));
    }
    for query in [many, tags] {
        all.push(("GET", format!("/books?{query}"), &[], String::new()));
    }
    for long in [
        deep,
        "sample.".repeat(64),
        "sample.".repeat(65),
        "a+".repeat(65),
        "a-b+".repeat(33),
        "(a)".repeat(22),
    ] {
        for path in ["/books/search", "/books/search/completion"] {
            all.push(("GET", format!("{path}?search-kind=title&q={long}"), &[], String::new()));
        }
    }
    all.push(("GET", "/books/1/images".to_owned(), HTML, String::new()));
    all.push(("GET", "/books/1/images/a&b".to_owned(), HTML, String::new()));
    for method in ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "POST"] {
        for target in [
            "/books",
            "/books/1",
            "/books/99",
            "/books/search",
            "/books/search/completion",
            "/books/1/images",
        ] {
            all.push((method, target.to_owned(), &[], String::new()));
        }
    }
    let book = |change: &str, to: &str| {
        let whole = r#"{"id":1000,"title":"A new","kind":"manga","language":"korean","page":3,"tags":[["misc","full color"],["series","new-x"]],"created_at":"2022-01-31T17:12:00+01:00"}"#;
        assert!(whole.contains(change), "{change}");
        whole.replacen(change, to, 1)
    };
    for body in [
        book("1000", "1000"),
        book("1000", "1000"),
        book("1000", "7"),
        book("1000", "0"),
        book("1000", "1.5"),
        book("1000", "\"1\""),
        book("1000", "2147483648"),
        book("1000", "null"),
        book("\"A new\"", "\"\""),
        book("\"A new\"", "1"),
        book("\"A new\"", "\"a\\u0000\""),
        book("manga", "image_set"),
        book("\"manga\"", "[]"),
        book("\"korean\"", "{}"),
        book("\"page\":3", "\"page\":0"),
        book("\"page\":3", "\"page\":32768"),
        book("[\"misc\",\"full color\"]", "1"),
        book("misc", "bad"),
        book("\"full color\"", "\"\""),
        book("[[\"misc\",\"full color\"],[\"series\",\"new-x\"]]", "[]"),
        book("[[\"misc\",\"full color\"],[\"series\",\"new-x\"]]", "\"x\""),
        book("\"title\"", "\"other\""),
        book("2022-01-31T17:12:00+01:00", "never"),
        book("1000", "1001").replace("\"2022-01-31T17:12:00+01:00\"", "1643649120123"),
        book("1000", "1002").replace("2022-01-31T17:12:00+01:00", "Mon, 31 Jan 2022 17:12:00 +0000"),
        book("1000", "1003").replace("2022-01-31T17:12:00+01:00", "2022-01-31T17:12"),
        book("1000", "1004").replace("2022-01-31T17:12:00+01:00", "2022-01-31T17:12:00.5"),
        book("1000", "1005").replace("2022-01-31T17:12:00+01:00", "2022-01-31T17:12+09:00"),
        book("1000", "1006").replace("2022-01-31T17:12:00+01:00", "2022-01-31T17:12Z"),
        // Signs and letters that each database would split and fold in its own way.
        book("1000", "1007").replace("full color", "one+Two").replace("new-x", "\u{c9}lan\u{30fb}Aube"),
        "{".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        "[1,]".to_owned(),
    ] {
        all.push(("POST", "/books".to_owned(), JSON, body));
    }
    all.push(("POST", "/books".to_owned(), &[("content-type", "text/plain")], book("1000", "1009")));
    for target in [
        "/books/1000",
        "/books/1001",
        "/books/1002",
        "/books/1003",
        "/books/1004",
        "/books/1005",
        "/books/1006",
        "/books/1009",
        "/books/search/completion?search-kind=tag&q=two",
        "/books/search/completion?search-kind=tag&q=%C3%A9lan",
        "/books/search/completion?search-kind=tag&q=aub",
        "/books/search?search-kind=tag&q=%C3%A9lan+aube",
        "/books?per-page=5",
        "/books/search?search-kind=tag&q=new-x",
        "/books/search/completion?search-kind=tag&q=series+new",
        "/books?tags[]=series-new-x",
    ] {
        all.push(("GET", target.to_owned(), &[], String::new()));
    }
    all
}

/// Status line, headers in their order and case, body. Left out is what a server, and not the library, writes.
fn shown(answer: &Answer) -> String {
    let servers =
        ["date", "server", "connection", "keep-alive", "x-request-id", "x-envoy-upstream-service-time"];
    let mut text = String::from_utf8_lossy(&answer.status_line).into_owned();
    for (name, value) in &answer.headers {
        let name = String::from_utf8_lossy(name);
        if !servers.contains(&name.to_ascii_lowercase().as_str()) {
            text += &format!("\n{name}: {}", String::from_utf8_lossy(value));
        }
    }
    format!("{text}\n\n{}", answer.text())
}

struct Both {
    edge: Edge,
    library: Port,
    _process: Process,
}

impl Both {
    fn start(database: Option<&str>) -> Self {
        let library = Port::lease();
        let backend = format!("backends:\n  library: {{ address: \"{}\" }}\n", library.address());
        let edge = Edge::dev()
            .replace("backends:\n", &backend)
            .replace(
                "name: books, host: api, prefix: /books, policy: signed-in, to: legacy",
                "name: books, host: api, prefix: /books, policy: signed-in, to: { legacy: 100, library: 0 }",
            )
            .start();
        let mut command = Command::new(program("library"));
        command.current_dir(repository()).env_remove("DATABASE_URL");
        command.envs(database.map(|url| ("DATABASE_URL", url)));
        command.env("CUTOVER_HOME", edge.home()).env("LIBRARY_ADDRESS", library.address().to_string());
        command.env("LIBRARY_SEED", "services/library/seed/dev.yaml").env("LIBRARY_SURFACE", "older");
        let process = Process::start("library", &mut command, &edge.home().join("logs/library.log"));
        let ready = Request::new(library.address(), "GET", "/readyz");
        eventually("the library is ready", || ready.try_send().is_ok_and(|answer| answer.status == 200));
        Self { edge, library, _process: process }
    }

    /// A signed identity of a person for the library, as the edge writes it.
    fn identity(&self) -> String {
        let form = identity::Form { tenant: "tenantId".to_owned(), ..identity::Form::default() };
        let signer = Signer::from_file("dev", &self.edge.home().join("keys/identity.pem"))
            .expect("a key")
            .in_form(form);
        let person = identity::Person {
            subject: "00000000-0000-7000-8000-0000000000a0".parse().expect("an id"),
            tenant: Some(harness::tokens::DEMO_TENANT.parse().expect("an id")),
            roles: Vec::new(),
            session: Some("00000000-0000-7000-8000-00000000005e".parse().expect("an id")),
            role: Some(identity::Role::NORMAL),
            scopes: Vec::new(),
        };
        signer.sign(&identity::Caller::Person(person), "library", SystemClock.now()).expect("a signature")
    }
}

/// Signs in: the legacy sample accepts only a session that the auth service knows.
fn sign_in(edge: &Edge) -> String {
    let post = |path: &str, body: serde_json::Value| {
        edge.request("POST", path).header("content-type", "application/json").body(body.to_string()).send()
    };
    assert_eq!(post("/auth/code", serde_json::json!({ "email": "demo@example.com" })).status, 201);
    let code = edge.login_code("demo@example.com");
    let answer = post("/auth/token", serde_json::json!({ "email": "demo@example.com", "code": code }));
    answer.cookie("madome_access_token").expect("a session")
}

fn with(request: Request, (_, _, headers, body): &Exchange) -> Request {
    let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
    if body.is_empty() { request } else { request.body(body) }
}

fn compare(exchanges: &[Exchange], legacy: &[String], library: &[String]) {
    let different: Vec<String> = exchanges
        .iter()
        .zip(legacy.iter().zip(library))
        .filter(|(_, (legacy, library))| legacy != library)
        .map(|((method, target, _, body), (legacy, library))| {
            format!("{method} {target} {body}\n--- legacy\n{legacy}\n--- library\n{library}\n")
        })
        .collect();
    assert!(different.is_empty(), "{} differ:\n{}", different.len(), different.join("\n"));
}

#[test]
fn the_library_answers_as_the_legacy_sample_directly() {
    answers_directly(None);
}

#[test]
fn the_library_answers_as_the_legacy_sample_on_postgresql() {
    let postgres = PrivatePostgres::start();
    answers_directly(Some(&postgres.url()));
}

fn answers_directly(database: Option<&str>) {
    let both = Both::start(database);
    let (legacy, library) = (both.edge.address("LEGACY_ADDRESS"), both.library.address());
    // The sample takes a caller without `x-madome-public-access` for an internal one.
    let send = |address, exchange: &Exchange| {
        let request = Request::new(address, exchange.0, &exchange.1)
            .header("x-madome-identity", both.identity())
            .header("x-tenant-id", harness::tokens::DEMO_TENANT);
        shown(&with(request, exchange).send())
    };
    let legacy: Vec<String> = exchanges().iter().map(|exchange| send(legacy, exchange)).collect();
    let library: Vec<String> = exchanges().iter().map(|exchange| send(library, exchange)).collect();
    compare(&exchanges(), &legacy, &library);
    // Without a session: before any route.
    for target in ["/books", "/books/0", "/books/1/2"] {
        let legacy = Request::new(both.edge.address("LEGACY_ADDRESS"), "GET", target);
        let legacy = shown(&legacy.header("x-madome-public-access", "true").send());
        assert_eq!(legacy, shown(&Request::new(both.library.address(), "GET", target).send()), "{target}");
    }
}

#[test]
fn the_library_answers_as_the_legacy_sample_through_the_edge() {
    answers_through_the_edge(None);
}

#[test]
fn the_library_answers_as_the_legacy_sample_through_the_edge_on_postgresql() {
    let postgres = PrivatePostgres::start();
    answers_through_the_edge(Some(&postgres.url()));
}

fn answers_through_the_edge(database: Option<&str>) {
    let both = Both::start(database);
    let edge = &both.edge;
    let token = sign_in(edge);
    let mut exchanges = exchanges();
    // The route `books` compares the case, so `/Books` belongs to the rest of the host, which the legacy still has.
    exchanges.retain(|(_, target, ..)| target.starts_with("/books"));
    let all = || -> Vec<String> {
        let send = |one: &Exchange| with(edge.request(one.0, &one.1).token(&token), one).send();
        exchanges.iter().map(|one| shown(&send(one))).collect()
    };
    let legacy = all();
    let file = edge.file().display().to_string();
    edge.cutover(&["set", &file, "books", "--to", "library=100,legacy=0"]);
    edge.render();
    eventually("the library answers", || {
        let _ = edge.get("/books/1").token(&token).send();
        edge.envoy_stat("cluster.backend-library.upstream_rq_200").is_some_and(|count| count > 0)
    });
    let served = || edge.envoy_stat("cluster.backend-legacy.upstream_rq_total").unwrap_or_default();
    let before = served();
    let library = all();
    assert_eq!(served(), before, "the legacy got none of these");
    compare(&exchanges, &legacy, &library);
}
