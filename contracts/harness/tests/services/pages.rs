//! The pages of the web application and the public OpenAPI document, at the edges as they are shipped: they come from
//! the web service, and from the legacy backend once their routes move back.
#![expect(clippy::panic, reason = "a test fails by panicking")]

use harness::wire::{Answer, Request};
use harness::{Edge, eventually, repository};

/// The pages of the application, each with an entry document of its own to begin with.
pub(crate) const ROUTES: [&str; 12] = [
    "/",
    "/books",
    "/books/7",
    "/books/7/reader",
    "/books/tags/misc/full%20color",
    "/tastes",
    "/histories",
    "/search/books",
    "/settings",
    "/profile",
    "/profile/edit",
    "/profile/passkey",
];

/// Where the legacy backend has the document, and where it has none.
const OF_LEGACY: [&str; 4] = ["/openapi/", "/openapi/openapi.json", "/openapi", "/openapi/public.yaml"];

/// A shipped edge whose hosts are below `domain`.
struct Stage {
    edge: Edge,
    domain: &'static str,
}

impl Stage {
    fn dev() -> Self {
        Self { edge: Edge::shipped("dev").start(), domain: "dev-domain.test" }
    }

    fn prod() -> Self {
        let domain = "example.com";
        let edge = Edge::shipped("prod")
            .replace("names: [api.example.com]", "names: [api.example.com, localhost]")
            .variable("EDGE_NAME", "prod")
            .variable("ROOT_DOMAIN", domain)
            .variable("TOKEN_ISSUER", "https://api.example.com/auth")
            .variable("TOKEN_AUDIENCE", "https://api.example.com");
        Self { edge: edge.start(), domain }
    }

    fn both() -> [Self; 2] {
        [Self::dev(), Self::prod()]
    }

    fn page(&self, method: &str, path: &str) -> Request {
        self.edge.request(method, path).host(self.domain)
    }

    fn api(&self, method: &str, path: &str) -> Request {
        self.edge.request(method, path).host(format!("api.{}", self.domain))
    }

    /// The answer of the legacy backend itself, to a request with the same `Host`.
    fn direct(&self, host: &str, method: &str, path: &str) -> Answer {
        let request = Request::new(self.edge.address("LEGACY_ADDRESS"), method, path).host(host);
        request.header("x-madome-public-access", "true").send()
    }

    fn moved_back(&self, route: &str) {
        let file = self.edge.file().display().to_string();
        self.edge.cutover(&["set", &file, route, "--to", "legacy"]);
        self.edge.render();
    }
}

/// What a client sees of a static answer.
fn seen(answer: &Answer) -> (u16, Vec<Option<String>>, Vec<u8>) {
    let text = |name| answer.header(name).map(|value| String::from_utf8_lossy(value).into_owned());
    let names = ["content-type", "cache-control", "content-length", "access-control-allow-origin"];
    (answer.status, names.map(text).to_vec(), answer.body.clone())
}

fn built(name: &str) -> Vec<u8> {
    let file = repository().join("apps/web/dist").join(name);
    std::fs::read(&file).unwrap_or_else(|_| panic!("{} is missing: `make pages` builds it", file.display()))
}

#[test]
fn every_page_of_the_application_is_served_at_both_edges_until_its_route_moves_back() {
    let entry = built("index.html");
    let text = String::from_utf8(entry.clone()).expect("the entry document is text");
    let script = text.split('"').find(|part| part.starts_with("/assets/") && part.ends_with(".js"));
    let script = script.expect("the entry document names its script");
    for stage in Stage::both() {
        for path in ROUTES {
            let page = stage.page("GET", path).send();
            assert_eq!((page.status, &page.body), (200, &entry), "{}: {path}", stage.domain);
            assert_eq!(page.header("content-type"), Some(&b"text/html; charset=utf-8"[..]), "{path}");
            assert_eq!(page.header("cache-control"), Some(&b"no-cache"[..]), "{path}");
            let policy = page.header("content-security-policy").expect("a page has a policy");
            assert!(policy.starts_with(b"default-src 'none'; script-src 'self';"), "{path}");
            let head = stage.page("HEAD", path).send();
            assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        }
        let asset = stage.page("GET", script).send();
        assert_eq!((asset.status, &asset.body), (200, &built(script.trim_start_matches('/'))), "{script}");
        let kept = &b"public, max-age=31536000, immutable"[..];
        assert_eq!(asset.header("cache-control"), Some(kept));
        for (method, path) in [("GET", "/assets/missing.js"), ("GET", "/missing.png"), ("POST", "/books")] {
            let absent = stage.page(method, path).send();
            assert_eq!((absent.status, absent.text().as_str()), (404, "Not found"), "{method} {path}");
        }
        // The hosts stay apart: what is a page here needs a session there.
        assert_eq!(stage.api("GET", "/books").send().status, 401);

        stage.moved_back("web");
        eventually("the legacy backend has the pages", || stage.page("GET", "/").send().body != entry);
        for path in ROUTES.into_iter().chain(["/assets/app.js", "/no-such-page"]) {
            for method in ["GET", "HEAD"] {
                let (moved, direct) =
                    (stage.page(method, path).send(), stage.direct(stage.domain, method, path));
                assert_eq!(seen(&moved), seen(&direct), "{}: {method} {path}", stage.domain);
            }
        }
        assert_eq!(
            stage.api("GET", "/openapi/public.yaml").send().status,
            200,
            "the document is where it was"
        );
    }
}

#[test]
fn the_openapi_document_is_public_at_both_edges_until_its_route_moves_back() {
    let document = |name: &str| {
        std::fs::read(repository().join("contracts/openapi").join(name)).expect("the document is readable")
    };
    let (public, internal) = (document("public.yaml"), document("internal.yaml"));
    for stage in Stage::both() {
        let yaml = stage.api("GET", "/openapi/public.yaml").send();
        assert!(yaml.status == 200 && yaml.body == public, "{}: {}", stage.domain, yaml.status);
        assert_eq!(yaml.header("content-type"), Some(&b"application/yaml"[..]));
        assert_eq!(yaml.header("access-control-allow-origin"), Some(&b"*"[..]));
        let tag = yaml.header("etag").expect("the document has a tag");
        let known = stage.api("GET", "/openapi/public.yaml").header("if-none-match", tag).send();
        assert_eq!((known.status, known.body.len()), (304, 0));
        let head = stage.api("HEAD", "/openapi/public.yaml").send();
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), Some(public.len().to_string().as_bytes()));
        for path in ["/openapi/", "/openapi/openapi.json"] {
            let json = stage.api("GET", path).send();
            assert_eq!((json.status, json.header("content-type")), (200, Some(&b"application/json"[..])));
            let paths = json.json().pointer("/paths").and_then(|paths| Some(paths.as_object()?.len()));
            assert!(paths.is_some_and(|paths| paths >= 20), "{path}: {paths:?} paths");
        }
        for path in [
            "/openapi",
            "/openapi/internal.yaml",
            "/openapi/../openapi/internal.yaml",
            "/openapi/%2e%2e/openapi/internal.yaml",
            "/openapi/..%2finternal.yaml",
            "/openapi/./internal.yaml",
            "/openapi//internal.yaml",
            "/openapi/..\\internal.yaml",
            "/openapi/internal.yaml%00",
            "/openapi/../../../contracts/openapi/internal.yaml",
            "/openapi/../site.json",
            "/openapi/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        ] {
            for request in [stage.api("GET", path), stage.page("GET", path)] {
                let refused = request.send();
                assert!((400..=404).contains(&refused.status), "{path}: {}", refused.status);
                assert!(refused.body.len() < 100 && refused.body != internal, "{path}: {}", refused.text());
            }
        }
        // The route has only methods that read.
        assert_eq!(stage.api("POST", "/openapi/public.yaml").send().status, 401);

        stage.moved_back("openapi");
        let json = |stage: &Stage| stage.api("GET", "/openapi/").send().json();
        eventually("the legacy backend has the document", || {
            json(&stage).pointer("/info/title").is_some_and(|title| title == "Sample")
        });
        for path in OF_LEGACY {
            for method in ["GET", "HEAD"] {
                let host = format!("api.{}", stage.domain);
                let (moved, direct) = (stage.api(method, path).send(), stage.direct(&host, method, path));
                assert_eq!(seen(&moved), seen(&direct), "{}: {method} {path}", stage.domain);
            }
        }
    }
}
