//! Signed requests with the real edge: a forged, replayed, altered or misdirected request does not pass.

pub(crate) mod edge;
mod profiles;
pub(crate) mod request;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use harness::wire::{Answer, Connection, Request};
use harness::{Backend, Part, Redis, Signal, eventually};

use edge::{NEXT, refused_for, signed_edge, start, until_it_passes, write_keys};
use request::{HOST, SECRET, Signed, now, with};

#[track_caller]
fn refused(answer: &Answer, what: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (401, "Unauthoirzed"), "{what}: {answer:?}");
}

#[test]
fn a_signed_request_passes_and_arrives_as_it_was_sent() {
    let backend = Backend::plain();
    let edge = start(signed_edge(&backend));
    let body = br#"{"books":[1,2,3]}"#;
    let mut signed = Signed::new("POST", "/sync/books?since=%32&x").body(body);
    signed.headers = vec![("content-type", "application/json")];
    signed.components.push("content-type");
    signed.expires = Some(now() + 60);
    let answer = signed.request(&edge).header("x-madome-auth-sub", "forged").send();
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = backend.last();
    assert_eq!(seen.request_line(), "POST /sync/books?since=%32&x HTTP/1.1");
    assert_eq!(seen.body, body);
    assert_eq!(seen.all("x-madome-auth-sub"), ["partner"]);
    assert!(seen.header("x-madome-identity").is_some());
    assert_eq!(seen.header("x-tenant-id"), None);
    assert_eq!(seen.header("x-envoy-auth-partial-body"), None);
    for ended in ["signature", "signature-input", "authorization"] {
        assert_eq!(seen.header(ended), None, "{ended} reached the backend");
    }

    // With a key pair, as `cutover keys` makes them, and the command that partners use.
    let key = edge.home().join("keys/auth.pem").display().to_string();
    let file = edge.home().join("body.json").display().to_string();
    std::fs::write(&file, body).unwrap();
    let url = format!("http://{}/sync/pair?a=b", edge.public());
    let said = edge.cutover(&[
        "sign",
        "--key",
        "pair",
        "--secret-file",
        &key,
        "--body",
        &file,
        "--host",
        HOST,
        "PUT",
        &url,
    ]);
    let mut request = edge.request("PUT", "/sync/pair?a=b").host(HOST).body(body);
    for line in said.lines() {
        let (name, value) = line.split_once(": ").expect("a header line");
        request = request.header(name, value);
    }
    assert_eq!(request.send().status, 200, "{said}");
    assert_eq!(backend.last().all("x-madome-auth-sub"), ["pair"]);

    // No log contains a secret or a signature.
    let (_, signature) = signed.lines().pop().unwrap();
    for log in ["authz.log", "envoy.log", "access.json"] {
        let text = std::fs::read_to_string(edge.home().join("logs").join(log)).unwrap();
        assert!(!text.contains(SECRET) && !text.contains(&signature), "{log}");
    }
}

/// F 82
#[test]
fn a_replay_is_refused_also_after_a_restart() {
    let backend = Backend::plain();
    let mut edge = start(signed_edge(&backend));
    let request = Signed::new("POST", "/sync").body("{}").request(&edge);
    assert_eq!(request.send().status, 200);
    refused(&request.send(), "a replay");
    refused_for(&edge, "/sync", "signature_replayed");
    // The same nonce with another request, signed as well as the first.
    let mut first = Signed::new("GET", "/sync/1");
    assert_eq!(first.send(&edge).status, 200);
    first.target = "/sync/2";
    refused(&first.send(&edge), "a nonce for another request");
    // A request that was refused for its signature has not used its nonce up.
    let mut wrong = Signed::new("GET", "/sync/3");
    wrong.secret = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=";
    refused(&wrong.send(&edge), "another secret");
    wrong.secret = SECRET;
    assert_eq!(wrong.send(&edge).status, 200);

    // Signed at the limit of the tolerance, so that it looks younger than the restart.
    let mut ahead = Signed::new("GET", "/sync/4");
    ahead.created = now() + 1;
    assert_eq!(ahead.send(&edge).status, 200);
    let before = backend.seen().len();
    edge.stop(Part::Authz, Signal::Kill);
    edge.start(Part::Authz);
    edge.wait_until_ready();
    assert_eq!(request.send().status, 503, "a memory that is younger than the request");
    assert_eq!(ahead.send(&edge).status, 503);
    assert_eq!(backend.seen().len(), before, "a replay arrived");
    until_it_passes(&edge, "a new request passes after the restart");
    assert_eq!(request.send().status, 503);
}

/// F 82, with replicas
#[test]
fn with_redis_a_replay_is_refused_by_every_replica_and_after_a_restart() {
    let backend = Backend::plain();
    let mut redis = Redis::start();
    let start = || start(signed_edge(&backend).variable("REDIS_URL", &redis.url()));
    let mut one = start();
    let two = start();
    let signed = Signed::new("POST", "/sync").body("{}");
    assert_eq!(signed.send(&one).status, 200);
    refused(&signed.send(&one), "on the same replica");
    refused(&signed.send(&two), "on the other replica");
    one.stop(Part::Authz, Signal::Kill);
    one.start(Part::Authz);
    one.wait_until_ready();
    refused(&signed.send(&one), "after a restart");
    assert_eq!(Signed::new("GET", "/sync").send(&one).status, 200, "no wait after a restart");

    // With a frozen Redis the nonce cannot be checked; with a thawed one it can.
    // The test asks the authorizer directly: on a busy machine Envoy may time out before the reason arrives.
    let unavailable = || -> usize {
        let admin = one.address("AUTHZ_ADMIN_ADDRESS");
        let path = "/decisions?limit=1000&reason=nonces_unavailable";
        let listed: serde_json::Value =
            serde_json::from_str(&Request::new(admin, "GET", path).send().text()).unwrap();
        listed.as_array().map_or(0, Vec::len)
    };
    let before = unavailable();
    redis.process().signal(Signal::Stop);
    for _ in 0..8 {
        assert_eq!(Signed::new("GET", "/sync/frozen").send(&one).status, 503);
    }
    assert!(unavailable() > before, "none of them was refused for nonces_unavailable");
    redis.process().signal(Signal::Continue);
    until_it_passes(&one, "a signed request passes again");
    refused(&signed.send(&one), "after Redis was frozen");

    // An emptied Redis vouches for no nonce that could have been used before.
    let port = redis.url().rsplit(':').next().unwrap().to_owned();
    let flushed = std::process::Command::new("redis-cli").args(["-p", &port, "flushall"]).output().unwrap();
    assert!(flushed.status.success());
    assert_eq!(signed.send(&two).status, 503);
    until_it_passes(&two, "a new request passes after Redis lost its data");
    assert_eq!(signed.send(&two).status, 503);
}

/// F 83
#[test]
fn the_window_has_the_configured_length() {
    let backend = Backend::plain();
    let edge = start(signed_edge(&backend));
    let at = |created: u64, expires: Option<u64>| {
        Signed { created, expires, ..Signed::new("GET", "/sync/time") }.send(&edge)
    };
    for (created, expires, expected) in [
        (now() + 60, None, "signature_not_yet_valid"),
        (now() * 1_000, None, "signature_not_yet_valid"),
        (now() - 302, None, "signature_expired"),
        (0, None, "signature_expired"),
        (now() - 30, Some(now() - 10), "signature_expired"),
        (now(), Some(now() - 10), "signature_expired"),
        (999_999_999_999_999, None, "signature_not_yet_valid"),
        (1 << 63, None, "signature_malformed"),
        (u64::MAX, None, "signature_malformed"),
    ] {
        refused(&at(created, expires), expected);
        refused_for(&edge, "/sync/time", expected);
    }
    let signed = Signed::new("GET", "/sync/time");
    for replacement in ["created=-1", "created=1e9", "created=1.8", "created=+1"] {
        let lines = signed
            .lines()
            .into_iter()
            .map(|(name, value)| (name, value.replace(&format!("created={}", signed.created), replacement)));
        refused(&with(signed.bare(&edge), &lines.collect::<Vec<_>>()).send(), replacement);
    }
}

/// F 84 and 85
#[test]
fn a_request_altered_on_the_way_is_refused() {
    let backend = Backend::plain();
    let edge = start(signed_edge(&backend));
    let mut good = Signed::new("POST", "/sync/a~b?x=1").body("{\"a\":1}");
    good.headers = vec![("content-type", "application/json")];
    good.components.push("content-type");
    let lines = good.lines();
    let before = backend.seen().len();
    let mut altered: Vec<Signed<'_>> = Vec::new();
    for target in [
        "/sync/a%7Eb?x=1",
        "/sync/a%7eb?x=1",
        "/sync/a~c?x=1",
        "/sync/a~b?x=2",
        "/sync/a~b",
        "/sync/a~b?x=1&",
        "/sync/A~b?x=1",
        "/sync/a~b?x=%31",
        "/sync/a~b?",
        "/sync/a~b/?x=1",
        "/sync?x=1",
    ] {
        altered.push(Signed { target, ..good.clone() });
    }
    altered.push(Signed { method: "PUT", ..good.clone() });
    altered.push(Signed { headers: vec![("content-type", "application/jsom")], ..good.clone() });
    altered.push(Signed { headers: vec![], ..good.clone() });
    altered.push(good.clone().body("{\"a\":2}"));
    altered.push(good.clone().body("{\"a\":1} "));
    altered.push(good.clone().body(""));
    altered.push(Signed { body: None, ..good.clone() });
    for other in &altered {
        refused(&with(other.bare(&edge), &lines).send(), other.target);
    }
    let other_host = with(good.bare(&edge).host("localhost"), &lines);
    refused(&other_host.send(), "another host");
    // An escaped slash is not a slash; whichever of the two the edge lets through at all, it is the signed one.
    let escaped = Signed::new("GET", "/sync/a%2Fb");
    refused(&with(edge.get("/sync/a/b").host(HOST), &escaped.lines()).send(), "%2F is not /");
    let plain = Signed::new("GET", "/sync/a/b");
    assert_ne!(with(edge.get("/sync/a%2Fb").host(HOST), &plain.lines()).send().status, 200);
    // A body for a signature that covers none.
    let mut without = Signed::new("POST", "/sync/none");
    without.components.pop();
    let added = with(without.clone().body("{}").bare(&edge), &without.lines());
    refused(&added.send(), "a body without a signature");
    assert_eq!(backend.seen().len(), before, "something altered arrived");
    assert_eq!(with(good.bare(&edge), &lines).send().status, 200, "and nothing of it used the nonce up");
}

/// F 86 and 87
#[test]
fn a_signature_has_one_spelling() {
    let backend = Backend::plain();
    let edge = start(signed_edge(&backend));
    let good = Signed::new("GET", "/sync/form");
    let lines = good.lines();
    let line = |name: &str| lines.iter().find(|(n, _)| *n == name).unwrap().1.clone();
    let (input, signature) = (line("signature-input"), line("signature"));
    let inside = signature.strip_prefix("sig=:").unwrap().strip_suffix(':').unwrap();
    let hex: String = inside.bytes().map(|b| format!("{b:02X}")).collect();
    let before = backend.seen().len();
    let shapes: Vec<(String, String)> = vec![
        (input.clone(), String::new()),
        (input.clone(), "sig=".to_owned()),
        (input.clone(), "sig=::".to_owned()),
        (input.clone(), format!("sig=:{}:", inside.get(..20).unwrap())),
        (input.clone(), format!("sig=:{inside}{inside}:")),
        (input.clone(), format!("sig=:{hex}:")),
        (input.clone(), format!("sig=:{}:", inside.to_ascii_uppercase())),
        (input.clone(), format!("sig=:{}:", inside.trim_end_matches('='))),
        (input.clone(), format!("{signature}, {signature}")),
        (input.clone(), format!("other=:{inside}:")),
        (format!("{input}, other=()"), signature.clone()),
        (input.replace("sig=", "other="), signature.clone()),
        (input.replace("\"@path\" ", ""), signature.clone()),
        (input.replace("\"@path\"", "\"@path\\\"\""), signature.clone()),
        (input.replace("\"@path\"", "\"@path\" \"@path\""), signature.clone()),
        (input.replace("\"@path\"", "\"@target-uri\""), signature.clone()),
        (input.replace("keyid=\"partner\"", "keyid=\"partner\";keyid=\"pair\""), signature.clone()),
        (input.replace("keyid=\"partner\"", "keyid=\"part\\\"ner\""), signature.clone()),
        (input.replace("keyid=\"partner\"", "keyid=\"unknown\""), signature.clone()),
        (input.replace("keyid=\"partner\"", "keyid=\"pair\""), signature.clone()),
        (input.replace("hmac-sha256", "ed25519"), signature.clone()),
        (input.replace("hmac-sha256", "none"), signature.clone()),
        (input.replace(';', " ;"), signature.clone()),
        (input.replace("nonce=\"", "nonce=\"x\\\";created=1;a=\""), signature.clone()),
    ];
    for (input, signature) in &shapes {
        let request = good.bare(&edge).header("signature-input", input).header("signature", signature);
        refused(&request.send(), &format!("{input} {signature}"));
    }
    refused(&good.request(&edge).header("signature", &signature).send(), "two signatures");
    refused(&good.request(&edge).header("signature-input", &input).send(), "two inputs");
    refused(&good.bare(&edge).header("signature", &signature).send(), "no input");
    refused(&good.bare(&edge).header("signature-input", &input).send(), "no signature");
    assert_eq!(backend.seen().len(), before);
    assert_eq!(good.send(&edge).status, 200);
}

/// F 88
#[test]
fn two_secrets_while_they_change_and_then_only_the_new_one() {
    let backend = Backend::plain();
    let edge = start(signed_edge(&backend));
    let by = |secret| Signed { secret, ..Signed::new("GET", "/sync") }.send(&edge).status;
    assert_eq!((by(SECRET), by(NEXT)), (200, 200));
    write_keys(&edge, "next.secret");
    eventually("the old secret is refused", || by(SECRET) == 401);
    assert_eq!(by(NEXT), 200);

    // A broken file changes nothing; a secret that other users can read makes the file broken.
    let secret = edge.home().join("keys/next.secret");
    std::fs::set_permissions(&secret, Permissions::from_mode(0o644)).unwrap();
    write_keys(&edge, "next.secret, partner.secret");
    let ready = || Request::new(edge.address("AUTHZ_ADMIN_ADDRESS"), "GET", "/readyz").send().text();
    eventually("it says what is wrong", || ready().contains("chmod 600"));
    assert_eq!((by(SECRET), by(NEXT)), (401, 200));
    std::fs::set_permissions(&secret, Permissions::from_mode(0o600)).unwrap();
    eventually("the old secret counts again", || by(SECRET) == 200);
}

/// F 89 and 90
#[test]
fn the_body_is_the_bytes_on_the_wire() {
    let backend = Backend::plain();
    let edge = start(signed_edge(&backend));
    let largest = vec![b'a'; 65_536];
    let answer = Signed::new("POST", "/sync").body(&largest).send(&edge);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(backend.last().body, largest);
    let before = backend.seen().len();
    let answer = Signed::new("POST", "/sync").body(vec![b'a'; 65_537]).send(&edge);
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(backend.seen().len(), before);

    // Other policies are not affected.
    let upload = edge.request("POST", "/books").token(&edge.mint().good(0)).body(vec![b'a'; 200_000]);
    assert_eq!(upload.send().status, 200);
    assert_eq!(backend.last().body.len(), 200_000);

    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xfe, 0, 0];
    let mut signed = Signed::new("POST", "/sync").body(gzip);
    signed.headers = vec![("content-encoding", "gzip")];
    assert_eq!(signed.send(&edge).status, 200);
    assert_eq!(backend.last().body, gzip);
    assert_eq!(Signed::new("POST", "/sync").body("").send(&edge).status, 200, "empty");

    let chunked = |sent: &str| {
        let signed = Signed::new("POST", "/sync/chunks").body("hello world");
        let bare = edge.request("POST", "/sync/chunks").host(HOST).header("transfer-encoding", "chunked");
        let mut connection = Connection::open(edge.public()).unwrap();
        connection.write(&with(bare, &signed.lines()).bytes()).unwrap();
        connection.write(sent.as_bytes()).unwrap();
        connection.answer(false).unwrap()
    };
    assert_eq!(chunked("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n").status, 200);
    refused(&chunked("5\r\nhello\r\n6\r\n World\r\n0\r\n\r\n"), "another body in chunks");
    refused(&chunked("0\r\n\r\n"), "no body in chunks");
}

/// F 91, 92 and 93
#[test]
fn only_the_connection_decides_the_callers_address() {
    let backend = Backend::plain();
    let edge = start(signed_edge(&backend));
    let before = backend.seen().len();
    for (name, value) in [
        ("x-forwarded-for", "192.0.2.7"),
        ("x-real-ip", "192.0.2.7"),
        ("forwarded", "for=192.0.2.7"),
        ("true-client-ip", "192.0.2.7"),
        ("x-envoy-external-address", "192.0.2.7"),
        ("x-other", "nothing"),
    ] {
        let answer = Signed::new("GET", "/elsewhere").request(&edge).header(name, value).send();
        assert_eq!((answer.status, answer.text().as_str()), (403, "Permission Denied"), "{name}: {answer:?}");
    }
    refused_for(&edge, "/elsewhere", "address_not_allowed");
    for target in ["/just-below", "/just-above"] {
        assert_eq!(Signed::new("GET", target).send(&edge).status, 403, "{target}");
    }
    let answer = edge.get("/sync/bare").host(HOST).send();
    refused(&answer, "the right address without a signature");
    refused_for(&edge, "/sync/bare", "no_credential");
    refused(&edge.signed_in("/sync/bare").host(HOST).send(), "a session is not a signature");
    let answer = Signed::new("GET", "/other-key").send(&edge);
    assert_eq!(answer.status, 403, "a good key that this policy does not list: {answer:?}");
    refused_for(&edge, "/other-key", "signing_key_not_allowed");
    assert_eq!(backend.seen().len(), before);
    assert_eq!(Signed::new("GET", "/at-the-end").send(&edge).status, 200);
    // And a signature is not a session.
    assert_eq!(Signed::new("GET", "/users/@me").send(&edge).status, 401);
}
