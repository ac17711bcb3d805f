//! Envoy, the guard and the engine agree on every path: thousands of generated paths on generated routes with templates,
//! sent to a real edge. `PATH_SEED` repeats a run, or tries another.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use edge_config::edge::PathMatch;
use edge_config::{Match, route_of};
use harness::wire::{Connection, Request, h2};
use harness::{Backend, Edge, EdgeBuilder, Part};
use header_rules::config::{GuardConfig, PluginConfig};
use header_rules::{Reason, Rules};

/// The generated routes, and the paths sent to each edge.
const ROUTES: usize = 300;
const PATHS: usize = 3_000;

/// Numbers without a pattern, the same for one seed (splitmix64).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(most).expect("it is small")).expect("it is small")
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

fn seed() -> u64 {
    std::env::var("PATH_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(20_261_127)
}

/// Segments of routes: some begin with one another, so that the ranges of the search tree are narrow. No route of the
/// development edge begins with one of them.
const LITERALS: [&str; 14] =
    ["a", "ab", "abc", "abd", "b", "people", "peop", "me", "orders", "order-1", "x.y", "@me", "~z", "1"];

const POLICIES: [&str; 4] = ["public", "public-2", "public-3", "public-4"];

/// Lines of routes that the reader accepts together.
fn routes(chance: &mut Chance) -> String {
    let mut text = String::from("routes:\n");
    let mut taken = BTreeSet::new();
    while taken.len() < ROUTES {
        let depth = 1 + chance.below(4);
        // Many routes behind one beginning, as behind `/t/{tenant}`.
        let mut path = if chance.below(3) == 0 { "/t/{tenant}".to_owned() } else { String::new() };
        for at in 0..depth {
            match chance.below(3) {
                0 => write!(path, "/{{p{at}}}").expect("it is text"),
                _ => write!(path, "/{}", chance.one(&LITERALS)).expect("it is text"),
            }
        }
        let kind = chance.one(&["path", "prefix"]);
        let methods = chance.one(&["", "methods: [GET], ", "methods: [POST, PUT], "]);
        let rule = match kind {
            "path" => PathMatch::Exact(path.clone()),
            _ => PathMatch::Prefix(path.clone()),
        };
        if taken.insert((format!("{:?}", rule.specificity()), methods)) {
            let policy = POLICIES[chance.below(POLICIES.len())];
            let number = taken.len();
            writeln!(
                text,
                "  - {{ name: made-{number}, host: api, {kind}: \"{path}\", {methods}policy: {policy}, to: legacy, answers: auth }}"
            )
            .expect("it is text");
        }
    }
    text
}

/// A request target: segments of routes in every disguise, and others.
fn target(chance: &mut Chance) -> String {
    let mut target = if chance.below(4) == 0 { "/t/x".to_owned() } else { String::new() };
    for _ in 0..1 + chance.below(5) {
        target.push('/');
        let literal = chance.one(&LITERALS);
        let first = literal.as_bytes()[0];
        let segment = match chance.below(24) {
            0 => String::new(),
            1 => chance.one(&[".", "..", "%2e", "%2E%2e", ".%2e", "..;x"]).to_owned(),
            2 => format!("%{first:02x}{}", &literal[1..]),
            3 => format!("{literal}%2F{}", chance.one(&LITERALS)),
            4 => literal.to_ascii_uppercase(),
            5 => format!("{literal};v=1"),
            6 => format!("{literal}\\{}", chance.one(&LITERALS)),
            7 => chance
                .one(&["%", "%2", "%zz", "%25", "%252e", "%00", "%c0%ae", "%3f", "%23x", "%0a"])
                .to_owned(),
            8 => chance
                .one(&["{p0}", "{}", "{", "*", "|", "^", "`", "\"", "<b>", "$&", "(a)", "!", "'"])
                .to_owned(),
            9 => "long-".repeat(1 + chance.below(200)),
            10 => chance
                .one(&["%C3%BC", "%20", "a%20b", "+", "a+b", "a=b", "a:b", "a,b", "~", "-", "_"])
                .to_owned(),
            11 => format!("{literal}x"),
            _ => literal.to_owned(),
        };
        target.push_str(&segment);
    }
    if chance.below(6) == 0 {
        target.push('/');
    }
    if chance.below(5) == 0 {
        target.push_str(chance.one(&["?", "?x=/people/1", "?/people/me/orders", "??", "?a=b&c=%2F"]));
    }
    target
}

fn edge(backend: &Backend, routes: &str) -> Edge {
    let more = "policies:\n  public-2: { kind: public }\n  public-3: { kind: public }\n  public-4: { kind: public }\n";
    let edge: EdgeBuilder = Edge::dev().replace("routes:\n", routes).replace("policies:\n", more);
    edge.replace("  - { prefix: /_sync }\n", "  - { prefix: /_sync }\n  - { path: \"/{any}/secret/{x}\" }\n")
        .every_backend(backend.address())
        .without(Part::Authz)
        .without(Part::Auth)
        .start()
}

/// The rules of the running guard.
fn guard(home: &Path) -> GuardConfig {
    fn find(value: &serde_json::Value) -> Option<GuardConfig> {
        match value {
            serde_json::Value::String(text) => match serde_json::from_str(text) {
                Ok(PluginConfig::Guard(config)) => Some(*config),
                Ok(PluginConfig::Keeper(_) | PluginConfig::BodyLimit) | Err(_) => None,
            },
            serde_json::Value::Array(all) => all.iter().find_map(find),
            serde_json::Value::Object(map) => map.values().find_map(find),
            serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => None,
        }
    }
    let files = std::fs::read_dir(home.join("envoy/current")).expect("it is rendered");
    let texts = files.filter_map(|file| {
        let path = file.ok()?.path();
        let name = path.file_name()?.to_str()?.to_owned();
        let is_guard = name.starts_with("filter-") && name.ends_with("-public.json");
        std::fs::read_to_string(path).ok().filter(|_| is_guard)
    });
    let configs = texts.filter_map(|text| find(&serde_json::from_str(&text).ok()?));
    configs.into_iter().find(|config| config.listener == "public").expect("the guard has rules")
}

#[test]
fn envoy_guard_and_engine_agree_on_every_path() {
    let seed = seed();
    let mut chance = Chance(seed);
    let backend = Backend::plain();
    let edge = edge(&backend, &routes(&mut chance));
    let text = edge.text();
    let read = edge_config::parse(edge.file(), &text, &|_| None).expect("the edge is valid");
    let rules = Rules::compile(&guard(edge.home())).expect("the running guard has compiled them");
    let mut asked = Vec::new();
    let mut connection = Connection::open(edge.public()).expect("the edge listens");
    for _ in 0..PATHS {
        let (method, target) = (chance.one(&["GET", "POST", "PUT"]), target(&mut chance));
        let request = Request::new(edge.public(), method, &target).host("localhost").body("");
        connection.write(&request.bytes()).expect("it is sent");
        let answer = connection.answer(false).unwrap_or_else(|error| panic!("{method} {target}: {error}"));
        if answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case(b"close")) {
            connection = Connection::open(edge.public()).expect("the edge listens");
        }
        asked.push((method, target, answer.status));
    }
    let log = edge.access_log(PATHS);
    let (mut templates, mut refused) = (0, 0);
    for ((method, target, status), line) in asked.iter().zip(&log) {
        let path = target.split('?').next().unwrap_or_default();
        let what = format!("seed {seed}: {method} {target} answered {status}, logged as {line}");
        assert_eq!(line["path"], path, "{what}");
        let (name, policy) = match route_of(&read, "public", "localhost", method, path) {
            Match::Route(route) => {
                templates += usize::from(route.path.is_template());
                (route.name.as_str(), Some(route.policy.as_str()))
            }
            Match::InternalPath => ("internal-path", None),
            Match::MethodNotAllowed | Match::Redirect | Match::UnknownHost | Match::Unmatched => {
                ("unmatched", None)
            }
        };
        assert_eq!(line["route"], name, "Envoy and the engine: {what}");
        if name != "internal-path" {
            let of_guard = rules.policy_of(b"localhost", method.as_bytes(), target.as_bytes());
            assert_eq!(of_guard, policy, "the guard and the engine: {what}");
        }
        let judged = rules.judge_target(b"localhost", method.as_bytes(), target.as_bytes());
        refused += usize::from(judged.is_err());
        let expected = match judged {
            Err(Reason::InternalPath) => 404,
            Err(_) => 400,
            // The development edge's own routes need the authorizer, which is down.
            Ok(()) if policy.is_some_and(|policy| policy.starts_with("public")) => 200,
            Ok(()) if policy.is_some() => 503,
            Ok(()) => 404,
        };
        assert_eq!(*status, expected, "the guard and the answer: {what}");
    }
    // The generated paths are of use only if they reach templates, and if the guard refuses some.
    assert!(templates > PATHS / 10, "{templates} of {PATHS} paths reached a template");
    assert!(refused > PATHS / 20, "{refused} of {PATHS} paths were refused");
}

#[test]
fn bytes_beyond_ascii_reach_no_template() {
    let backend = Backend::plain();
    let more = "routes:\n  - { name: template, host: api, path: \"/made/{x}\", policy: public, to: legacy, answers: auth }\n";
    let edge = edge(&backend, more);
    assert_eq!(edge.get("/made/%C3%BC").send().status, 200, "percent-encoded, it is visible ASCII");
    for path in [b"/made/\xc3\xbc".as_slice(), b"/made/\xff", b"/made/a\x80"] {
        let status = Request::new(edge.public(), "GET", path).send().status;
        assert_eq!(status, 400, "{}", path.escape_ascii());
        let mut connection = h2::Connection::open(edge.public()).expect("the edge listens");
        let outcome = connection.ask(&h2::headers("GET", "localhost", path));
        assert!(outcome.is_refusal(), "{}: {outcome:?}", path.escape_ascii());
    }
}
