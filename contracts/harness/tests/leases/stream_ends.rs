//! A stream ends with the session behind it, within two seconds, and no other stream does.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod foreign;
pub(crate) mod live;

use std::io::Write as _;
use std::time::Duration;

use super::leases_guard::trapping;
use harness::tokens::DEMO_TENANT;
use harness::wire::Request;
use harness::{Edge, EdgeBuilder, Part, Port, Redis, Signal, eventually, pause, tokens};
use live::{Grpc, Live, serve};
use serde_json::{Value, json};
use uuid::Uuid;

/// The promise.
const ENDED_WITHIN: Duration = Duration::from_secs(2);

const ROUTES: &str = "routes:
  - { name: socket, host: api, exact: /live/socket, policy: signed-in, upgrade: websocket, to: legacy, answers: library }
  - { name: live, host: api, prefix: /live, policy: signed-in, stream: true, to: legacy, answers: library }
  - { name: renewed, host: api, prefix: /live/renewed, policy: signed-in, stream: true, ends_with: session, to: legacy, answers: library }
  - { name: endless, host: api, prefix: /live/endless, policy: signed-in, stream: true, ends_with: nothing, to: legacy, answers: library }
";

fn builder(server: &Port) -> EdgeBuilder {
    Edge::dev()
        .replace("routes:\n", ROUTES)
        .replace("timeout_ms: 200", "timeout_ms: 2000")
        .stand_in("LEGACY_ADDRESS", server.address())
        .without(Part::Auth)
        .without(Part::Users)
}

/// A session of its own.
struct Session {
    sid: Uuid,
    sub: Uuid,
    token: String,
}

fn session(edge: &Edge) -> Session {
    session_with(edge, |_| ())
}

fn session_with(edge: &Edge, edit: impl FnOnce(&mut serde_json::Map<String, Value>)) -> Session {
    let (sid, sub) = (Uuid::now_v7(), Uuid::now_v7());
    let token = edge.mint().with(|claims| {
        claims.insert("sid".to_owned(), json!(sid));
        claims.insert("sub".to_owned(), json!(sub));
        edit(claims);
    });
    Session { sid, sub, token }
}

/// Adds lines to the list of revocations.
fn revoke(edge: &Edge, lines: &[Value]) {
    let path = edge.home().join("sessions/revoked.jsonl");
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    file.and_then(|mut file| file.write_all(text.as_bytes())).expect("the list is writable");
}

fn sign_out(session: &Session) -> Value {
    json!({ "sid": session.sid, "from": 0, "until": tokens::now() + 3_600 })
}

fn suspend(edge: &Edge) {
    let directory = edge.home().join("tenants.yaml");
    let text = std::fs::read_to_string(&directory).expect("the directory is there");
    let text = text.replacen("status: active", "status: suspended", 1);
    std::fs::write(&directory, text).expect("it is writable");
}

fn log_has(edge: &Edge, details: &str) {
    eventually(&format!("the access log says {details}"), || {
        edge.access_log(1).iter().any(|line| line.get("details").is_some_and(|found| found == details))
    });
}

#[test]
fn every_kind_of_stream_ends_with_its_session_and_no_other_persons_does() {
    let (server, grpc) = (serve(), Grpc::serve());
    let users = "users: { address: \"${USERS_ADDRESS:-127.0.0.1:3022}\" }";
    let of_grpc = "  - { name: grpc, host: api, prefix: /grpc.health.v1.Health, policy: signed-in, stream: true, to: users, answers: library }\n";
    let edge = builder(&server)
        .replace("routes:\n", &format!("routes:\n{of_grpc}"))
        .replace(users, &users.replace(" }", ", protocol: grpc }"))
        .stand_in("USERS_ADDRESS", grpc.port.address())
        .workers(2)
        .start();
    let (leaver, other) = (session(&edge), session(&edge));
    let paths = ["/live/socket", "/live/events", "/live/silent", "/live/renewed"];
    let all = |session: &Session| paths.map(|path| Live::with(&edge, path, &session.token));
    let (mut his, mut others) = (all(&leaver), all(&other));
    let mut endless = Live::with(&edge, "/live/endless", &leaver.token);
    let (mut his_grpc, mut others_grpc) = (grpc.watch(&edge, &leaver.token), grpc.watch(&edge, &other.token));
    pause(ENDED_WITHIN, "nothing ends, and all streams are open for longer than any poll takes");
    assert!(his.iter_mut().chain(&mut others).all(Live::is_open));

    revoke(&edge, &[sign_out(&leaver)]);
    pause(ENDED_WITHIN, "the promise");
    let silent = his.get_mut(2).map(Live::rest).unwrap_or_default();
    assert!(
        silent.starts_with("HTTP/1.1 401 Unauthorized\r\n"),
        "a client without an answer gets one: {silent}"
    );
    for (path, stream) in paths.iter().zip(&mut his).filter(|(path, _)| **path != "/live/silent") {
        assert!(!stream.is_open(), "{path}");
    }
    let code = grpc.end(&mut his_grpc).expect("the gRPC stream has ended");
    assert_ne!(code, tonic::Code::Ok, "not as if the service had ended it");
    assert!(others.iter_mut().all(Live::is_open), "another person's");
    assert_eq!(grpc.end(&mut others_grpc), None);
    assert!(endless.is_open(), "the route says `ends_with: nothing`");
    log_has(&edge, "edge_guard_stream_session_revoked");
    let line = edge.logged("/live/events", 200);
    assert_eq!(line.get("session"), Some(&json!(leaver.sid)));
    assert_eq!(edge.envoy_stat("wasmcustom.cutover_guard_streams_opened"), Some(10));
    assert_eq!(edge.envoy_stat("wasmcustom.cutover_guard_streams_ended"), Some(5));
}

#[test]
fn all_streams_of_a_person_end_and_one_that_begins_later_lives() {
    let server = serve();
    let edge = builder(&server).start();
    let (one, other) = (session(&edge), session(&edge));
    let mut streams = [&one, &other].map(|session| Live::with(&edge, "/live/events", &session.token));
    // Up to this second; the token of the next session is from a later one.
    let before = tokens::now() + 1;
    revoke(&edge, &[json!({ "sub": one.sub, "before": before, "until": before + 3_600 })]);
    let [his, others] = &mut streams;
    eventually("the person's streams end", || !his.is_open());
    assert!(others.is_open());
    log_has(&edge, "edge_guard_stream_session_revoked");
    eventually("the next second", || tokens::now() >= before);
    let again = session_with(&edge, |claims| {
        claims.insert("sub".to_owned(), json!(one.sub));
    });
    let mut again = Live::with(&edge, "/live/events", &again.token);
    // The feed lists the person for half a minute, and each poll asks about this stream again.
    pause(ENDED_WITHIN, "several polls");
    assert!(again.is_open(), "a session from after the end");
}

#[test]
fn the_streams_of_a_suspended_tenant_end_and_those_of_an_ended_tenants_sessions() {
    let server = serve();
    let edge = builder(&server).workers(2).start();
    let mut stream = Live::with(&edge, "/live/socket", &session(&edge).token);
    let before = tokens::now() + 1;
    revoke(&edge, &[json!({ "tid": DEMO_TENANT, "before": before, "until": before + 3_600 })]);
    eventually("its sessions end", || !stream.is_open());
    eventually("the next second", || tokens::now() >= before);
    let mut streams: Vec<Live> =
        (0..20).map(|_| Live::with(&edge, "/live/events", &session(&edge).token)).collect();
    suspend(&edge);
    pause(ENDED_WITHIN, "the promise");
    assert!(!streams.iter_mut().any(Live::is_open));
    log_has(&edge, "edge_guard_stream_tenant_suspended");
}

#[test]
fn a_token_that_expires_ends_its_stream_unless_the_route_lets_the_session_decide() {
    let server = serve();
    let edge = builder(&server).start();
    let short = session_with(&edge, |claims| {
        claims.insert("exp".to_owned(), json!(tokens::now() + 3));
    });
    let mut streams = ["/live/events", "/live/renewed"].map(|path| Live::with(&edge, path, &short.token));
    let [ends, lives] = &mut streams;
    eventually("the token's stream ends", || !ends.is_open());
    log_has(&edge, "edge_guard_stream_credential_expired");
    assert!(lives.is_open(), "its session goes on");
    revoke(&edge, &[sign_out(&short)]);
    eventually("until that ends", || !lives.is_open());
}

#[test]
fn a_revoked_api_key_ends_its_streams_and_no_others() {
    let server = serve();
    let mut edge = builder(&server)
        .without(Part::Authz)
        .replace(
            "policies:\n",
            "api_keys: { file: \"${CUTOVER_HOME}/api-keys.jsonl\" }\n\npolicies:\n  keyed: { kind: session, accept: [api-key] }\n",
        )
        .replace(
            "routes:\n",
            "routes:\n  - { name: keyed, host: api, prefix: /live/keyed, policy: keyed, stream: true, to: legacy, answers: library }\n",
        )
        .start();
    let make = |edge: &Edge| {
        let arguments = ["apikey", "--json", "new", "--client", "nightly", "--tenant", DEMO_TENANT];
        let made: Value = serde_json::from_str(&edge.cutover(&arguments)).expect("it prints JSON");
        let text = |name: &str| made.get(name).and_then(Value::as_str).expect("an id and a key").to_owned();
        (text("id"), text("key"))
    };
    let ((id, key), (_, other)) = (make(&edge), make(&edge));
    edge.start(Part::Authz);
    edge.wait_until_ready();
    let begin =
        |key: &str| Live::begin(&edge, "/live/keyed", &format!("x-api-key: {key}\r\n")).expect("it begins");
    let mut streams = [begin(&key), begin(&other)];
    edge.cutover(&["apikey", "revoke", &id]);
    let [revoked, lives] = &mut streams;
    eventually("the key's stream ends", || !revoked.is_open());
    pause(ENDED_WITHIN, "several polls");
    assert!(lives.is_open(), "another key of the same client");
    log_has(&edge, "edge_guard_stream_api_key_revoked");
}

#[test]
fn through_redis_and_two_authorizers_and_a_restart_of_each() {
    let (server, redis) = (serve(), Redis::start());
    let mut edge = builder(&server).two_authorizers().variable("REDIS_URL", &redis.url()).workers(2).start();
    let sessions: Vec<Session> = (0..4).map(|_| session(&edge)).collect();
    let mut streams: Vec<Live> =
        sessions.iter().map(|session| Live::with(&edge, "/live/events", &session.token)).collect();
    for part in [Part::Authz, Part::SecondAuthz] {
        edge.stop(part, Signal::Kill);
        edge.start(part);
        edge.wait_until_ready();
        pause(ENDED_WITHIN, "a replica that knows nothing of the past is asked about every stream");
        assert!(streams.iter_mut().all(Live::is_open), "a restart of {part:?} ends no stream");
    }
    for (session, stream) in sessions.iter().zip(&mut streams).take(2) {
        edge.cutover(&["revoke", "session", &session.sid.to_string()]);
        pause(ENDED_WITHIN, "the promise");
        assert!(!stream.is_open());
    }
    assert!(streams.iter_mut().skip(2).all(Live::is_open));
}

#[test]
fn without_an_authorizer_streams_live_on_for_the_stated_time_and_no_longer() {
    let server = serve();
    let mut edge =
        builder(&server).replace("routes:\n", "streams: { unjudged_seconds: 6 }\nroutes:\n").start();
    let one = session(&edge);
    let mut stream = Live::with(&edge, "/live/events", &one.token);
    edge.stop(Part::Authz, Signal::Kill);
    revoke(&edge, &[sign_out(&one)]);
    pause(ENDED_WITHIN, "several polls without an answer");
    assert!(stream.is_open(), "an outage alone ends nothing");
    edge.start(Part::Authz);
    edge.wait_until_ready();
    eventually("what ended meanwhile ends the stream", || !stream.is_open());
    log_has(&edge, "edge_guard_stream_session_revoked");

    let mut stream = Live::with(&edge, "/live/events", &session(&edge).token);
    edge.stop(Part::Authz, Signal::Kill);
    eventually("the stated time is over", || !stream.is_open());
    log_has(&edge, "edge_guard_stream_unjudged");
}

#[test]
fn a_change_of_the_edge_file_cuts_no_stream_and_it_still_ends_with_its_session() {
    let server = serve();
    let edge = builder(&server).start();
    let sessions: Vec<Session> = (0..3).map(|_| session(&edge)).collect();
    let [first, second, third] = sessions.as_slice() else { unreachable!("there are three") };
    let mut streams: Vec<Live> = Vec::new();
    for session in [first, second] {
        streams.push(Live::with(&edge, "/live/socket", &session.token));
        // The route is gone in the end, and so is every other stream of the file.
        let text = std::fs::read_to_string(edge.file()).expect("the edge file is readable");
        let text = match streams.len() {
            1 => text.replace("exact: /live/socket,", "exact: /live/socket, methods: [GET],"),
            _ => text
                .lines()
                .filter(|line| !line.contains("/live"))
                .fold(String::new(), |all, line| all + line + "\n"),
        };
        let revision = edge_config::revision(&text).0;
        std::fs::write(edge.file(), &text).expect("the edge file is writable");
        edge.render();
        eventually("the authorizer has it", || {
            let stats = Request::new(edge.address("AUTHZ_ADMIN_ADDRESS"), "GET", "/stats").send();
            stats.text().contains(&revision)
        });
        eventually("Envoy has it", || {
            assert_eq!(edge.get("/books").token(&third.token).send().status, 200);
            edge.access_log(1).iter().any(|line| line.get("revision").is_some_and(|found| *found == revision))
        });
    }
    pause(ENDED_WITHIN, "both keepers were replaced");
    assert!(streams.iter_mut().all(Live::is_open));
    revoke(&edge, &[sign_out(first), sign_out(second)]);
    pause(ENDED_WITHIN, "the promise");
    assert!(!streams.iter_mut().any(Live::is_open));
}

#[test]
fn no_caller_takes_all_the_room_and_one_stream_more_than_there_is_room_for_is_refused() {
    let server = serve();
    let edge = builder(&server).replace("routes:\n", "streams: { most: 8 }\nroutes:\n").start();
    let greedy = session(&edge);
    let cookie = |session: &Session| format!("cookie: madome_access_token={}\r\n", session.token);
    let stream = Live::with(&edge, "/live/events", &greedy.token);
    assert_eq!(Live::begin(&edge, "/live/events", &cookie(&greedy)).err(), Some(503), "an eighth is his");
    log_has(&edge, "edge_guard_streams_full");
    let others: Vec<Session> = (0..8).map(|_| session(&edge)).collect();
    let streams: Vec<_> =
        others.iter().map(|other| Live::begin(&edge, "/live/events", &cookie(other))).collect();
    assert_eq!(streams.iter().filter(|stream| stream.is_ok()).count(), 7);
    assert_eq!(edge.envoy_stat("wasmcustom.cutover_guard_streams_refused"), Some(2));
    // A request that is not a stream needs no room, and room is there again when a stream has ended.
    assert_eq!(edge.get("/books").token(&greedy.token).send().status, 200);
    drop((stream, streams));
    eventually("there is room again", || Live::begin(&edge, "/live/events", &cookie(&greedy)).is_ok());
}

/// As many as a run of the suite can have in seconds. With 5,000 it passes, too (docs/streams.md).
const MANY: usize = 400;

#[test]
fn many_streams_that_end_at_once_end_within_the_promise_and_the_others_live() {
    let server = serve();
    let room = "legacy:\n    circuit: { connections: 20000, requests: 20000 }\n";
    let edge = builder(&server).replace("legacy:\n", room).workers(2).start();
    let sessions: Vec<Session> = (0..MANY).map(|_| session(&edge)).collect();
    let mut streams: Vec<Live> =
        sessions.iter().map(|session| Live::with(&edge, "/live/events", &session.token)).collect();
    let kept = MANY / 10;
    let ends: Vec<Value> = sessions.iter().skip(kept).map(sign_out).collect();
    revoke(&edge, &ends);
    eventually("all of them end", || !streams.iter_mut().skip(kept).any(Live::is_open));
    assert!(streams.iter_mut().take(kept).all(Live::is_open), "the others");
}

/// The keeper sees the headers that the authorizer adds, so it is the first of the guard's modules to trap.
#[test]
fn a_keeper_that_traps_lets_no_request_pass_and_keeps_no_stream_open() {
    let server = serve();
    let home = tempfile::tempdir().expect("a temporary directory");
    let module = home.path().join("trapping.wasm");
    let guard = std::fs::read(harness::wasm_guard()).expect("`make wasm` makes the guard");
    std::fs::write(&module, trapping::module(&guard)).expect("the directory is writable");
    let open = "routes:\n  - { name: open, host: api, prefix: /open, policy: public, to: legacy, answers: library }\n";
    let edge = builder(&server)
        .replace("routes:\n", open)
        .variable("CUTOVER_GUARD", &module.display().to_string())
        .start();
    let session = session(&edge);
    let mut socket = Live::with(&edge, "/live/socket", &session.token);
    assert!(socket.say() && socket.is_open());

    let headers = |count: u8| (0..count).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    let with = |count| format!("cookie: madome_access_token={}\r\n{}", session.token, headers(count));
    let refused =
        (20..trapping::MOST).find_map(|count| match Live::begin(&edge, "/live/other", &with(count)) {
            Ok(_) => None,
            Err(status) => Some((count, status)),
        });
    let (count, status) = refused.expect("it traps at some number of headers");
    assert!((500..=503).contains(&status), "the request that it traps at fails: {status}");
    eventually("the stream ends with the next byte", || !socket.say() || !socket.is_open());
    eventually("the next machine keeps streams again", || {
        Live::begin(&edge, "/live/socket", &with(0)).is_ok()
    });
    // It was not the guard: a request without a decision passes it with as many headers.
    let passed = (0..count).fold(edge.get("/open"), |request, n| request.header(format!("x-{n}"), "1"));
    assert_eq!(passed.header("cookie", format!("madome_access_token={}", session.token)).send().status, 200);
}
