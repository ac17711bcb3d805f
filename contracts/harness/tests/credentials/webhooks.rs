//! Webhooks through the whole edge: the forms of well-known senders, byte for byte, and what passes under none of them.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests fail by panicking")]

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use harness::wire::{Answer, Connection, Request, h2};
use harness::{Backend, Edge, eventually};

const SECRET: &str = "It's a Secret to Everybody";
const NEXT: &str = "the secret after the next change";

const WEBHOOKS: &str = r#"webhooks:
  github: { secret_file: "${CUTOVER_HOME}/keys/one.secret", header: x-hub-signature-256, format: "sha256={hex}", body_limit: 64KiB }
  stripe: { secret_files: ["${CUTOVER_HOME}/keys/one.secret", "${CUTOVER_HOME}/keys/next.secret"], header: stripe-signature, format: "t={timestamp},v1={hex}" }
  slack:
    secret_file: "${CUTOVER_HOME}/keys/one.secret"
    header: x-slack-signature
    format: "v0={hex}"
    timestamp: { header: x-slack-request-timestamp, once: false }
    signed: "v0:{timestamp}:{body}"
  shopify: { secret_file: "${CUTOVER_HOME}/keys/one.secret", header: x-shopify-hmac-sha256, format: "{base64}" }
  standard:
    secret_file: "${CUTOVER_HOME}/keys/standard.secret"
    secret_encoding: base64
    header: webhook-signature
    format: "v1,{base64}"
    separator: " "
    timestamp: { header: webhook-timestamp }
    signed: "{header:webhook-id}.{timestamp}.{body}"
  big: { secret_file: "${CUTOVER_HOME}/keys/one.secret", header: x-signature, format: "{hex}", algorithm: sha512 }
  missing: { secret_file: "${CUTOVER_HOME}/keys/missing.secret", header: x-signature, format: "{hex}" }

policies:
"#;

const NAMES: [&str; 7] = ["github", "stripe", "slack", "shopify", "standard", "big", "missing"];

fn start(backend: &Backend) -> Edge {
    let mut policies = WEBHOOKS.to_owned();
    let mut routes = "routes:\n".to_owned();
    for name in NAMES {
        policies.push_str(&format!("  of-{name}: {{ kind: webhook, of: {name} }}\n"));
        routes.push_str(&format!("  - {{ name: {name}, host: api, prefix: /{name}, policy: of-{name}, to: users, answers: library }}\n"));
    }
    policies.push_str("  elsewhere: { kind: webhook, of: github, addresses: [203.0.113.0/24] }\n");
    routes.push_str("  - { name: elsewhere, host: api, prefix: /elsewhere, policy: elsewhere, to: users, answers: library }\n");
    let edge = Edge::dev()
        .json_library()
        .every_backend(backend.address())
        .replace("policies:\n", &policies)
        .replace("routes:\n", &routes)
        .start();
    write(&edge, "one.secret", SECRET, 0o600);
    write(&edge, "next.secret", NEXT, 0o600);
    write(&edge, "standard.secret", &format!("whsec_{}", STANDARD.encode(SECRET)), 0o600);
    eventually("the secrets are loaded", || github(&edge, b"{}", &hub(b"{}")).status == 200);
    eventually("all secrets are loaded", || stripe(&edge, now(), NEXT).status == 200);
    edge
}

fn write(edge: &Edge, name: &str, secret: &str, mode: u32) {
    let path = edge.home().join("keys").join(name);
    std::fs::write(&path, secret).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "the edge reads the same clock")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn tag(secret: &str, text: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hub(body: &[u8]) -> String {
    format!("sha256={}", hex(&tag(SECRET, body)))
}

fn post(edge: &Edge, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let request = edge.request("POST", path);
    headers.iter().fold(request, |request, (name, value)| request.header(name, value)).body(body).send()
}

fn github(edge: &Edge, body: &[u8], signature: &str) -> Answer {
    post(edge, "/github", &[("X-Hub-Signature-256", signature)], body)
}

/// A delivery that differs from every other one.
fn stripe(edge: &Edge, at: u64, secret: &str) -> Answer {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT_ID: AtomicU64 = AtomicU64::new(0);
    let body = format!("{{\"id\":{}}}", NEXT_ID.fetch_add(1, Ordering::Relaxed));
    let signature = hex(&tag(secret, format!("{at}.{body}").as_bytes()));
    post(edge, "/stripe", &[("stripe-signature", &format!("t={at},v1={signature}"))], body.as_bytes())
}

#[track_caller]
fn refused(edge: &Edge, answer: &Answer, path: &str, reason: &str) {
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (401, r#"{"name":"Unauthorized","message":"Unauthorized"}"#),
        "{reason}: {answer:?}"
    );
    let logged = || edge.logged(path, 401)["reason"] == reason;
    eventually(&format!("the log says {reason}: {}", edge.logged(path, 401)), logged);
}

#[test]
fn the_forms_of_well_known_senders_pass_and_no_byte_changes() {
    let backend = Backend::plain();
    let edge = start(&backend);
    // The example in GitHub's documentation.
    let hello = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let answer = github(&edge, b"Hello, World!", hello);
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = backend.last();
    assert_eq!(
        (seen.body.as_slice(), seen.request_line().as_str()),
        (&b"Hello, World!"[..], "POST /github HTTP/1.1")
    );
    assert_eq!(seen.all("x-hub-signature-256"), [hello], "the backend may verify it, too");
    assert_eq!(seen.all("x-madome-auth-sub"), ["github"]);
    assert_eq!(seen.all("x-madome-identity").len(), 1);

    let (at, body) = (now().to_string(), b"token=x&text=\xff\x00\r\n".as_slice());
    let text = [b"v0:", at.as_bytes(), b":", body].concat();
    let signature = format!("v0={}", hex(&tag(SECRET, &text)));
    let slack = [("x-slack-signature", signature.as_str()), ("x-slack-request-timestamp", &at)];
    for _ in 0..2 {
        assert_eq!(post(&edge, "/slack/commands", &slack, body).status, 200, "`once: false` takes it again");
        assert_eq!(backend.last().body, body);
    }
    let signature = STANDARD.encode(tag(SECRET, body));
    assert_eq!(post(&edge, "/shopify", &[("X-Shopify-Hmac-Sha256", &signature)], body).status, 200);

    let text = [b"msg_1.", at.as_bytes(), b".", body].concat();
    let signatures = format!("v1,AAAA v1a,xyz v1,{}", STANDARD.encode(tag(SECRET, &text)));
    let headers =
        [("webhook-id", "msg_1"), ("webhook-timestamp", at.as_str()), ("webhook-signature", &signatures)];
    assert_eq!(post(&edge, "/standard", &headers, body).status, 200);
    let other =
        [("webhook-id", "msg_2"), ("webhook-timestamp", at.as_str()), ("webhook-signature", &signatures)];
    assert_eq!(post(&edge, "/standard", &other, body).status, 401, "another id");
    // The end of the id moved into the time: `msg.1` and `1.…` have one text with `msg` and `1.1.…`.
    let moved =
        [("webhook-id", "msg_1.5"), ("webhook-timestamp", at.as_str()), ("webhook-signature", &signatures)];
    refused(
        &edge,
        &post(&edge, "/standard/moved", &moved, body),
        "/standard/moved",
        "webhook_signature_incomplete",
    );

    let long = hex(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA512, SECRET.as_bytes()), body).as_ref());
    assert_eq!(post(&edge, "/big", &[("x-signature", &long)], body).status, 200);
    assert_eq!(post(&edge, "/big", &[("x-signature", &long[..64])], body).status, 401, "a part of it");

    // Old and new secret, in either of two signatures.
    assert_eq!((stripe(&edge, now(), SECRET).status, stripe(&edge, now(), NEXT).status), (200, 200));
    assert_eq!(stripe(&edge, now(), "another secret").status, 401);
    // Other policies are not affected: no body is held back for them.
    let upload = edge.request("POST", "/books").token(&edge.mint().good(0)).body(vec![b'a'; 400_000]);
    assert_eq!(upload.send().status, 200);
    assert_eq!(backend.last().body.len(), 400_000);
}

#[test]
fn what_is_not_exactly_the_senders_signature_is_refused_and_reaches_no_backend() {
    let backend = Backend::plain();
    let edge = start(&backend);
    let (body, good) = (b"{\"a\":1}".as_slice(), hub(b"{\"a\":1}"));
    assert_eq!(github(&edge, body, &good).status, 200);
    let before = backend.seen().len();
    let digits = good.strip_prefix("sha256=").unwrap();
    let (malformed, wrong) = ("webhook_signature_malformed", "webhook_signature_wrong");
    let cases: Vec<(String, &[u8], &str)> = vec![
        (digits.to_owned(), body, malformed),
        (format!("sha256={}", digits.to_uppercase()), body, malformed),
        (format!("SHA256={digits}"), body, malformed),
        (format!("sha1={digits}"), body, malformed),
        (format!("sha256={}", STANDARD.encode(tag(SECRET, body))), body, malformed),
        (format!("sha256={digits},sha256={digits}"), body, malformed),
        (format!("sha256={}", &digits[..63]), body, malformed),
        ("sha256=".to_owned(), body, malformed),
        (String::new(), body, malformed),
        (format!("sha256={}", &digits[..32]), body, wrong),
        (format!("sha256={digits}00"), body, wrong),
        (good.clone(), b"{\"a\":2}", wrong),
        (good.clone(), b"{\"a\":1}\n", wrong),
        (good.clone(), b"{\"a\":1", wrong),
        (good.clone(), b"", wrong),
        (hub(b"{\"a\":1}\n"), body, wrong),
        (format!("sha256={}", hex(&tag("another secret", body))), body, wrong),
        (format!("sha256={}", hex(&tag("", body))), body, wrong),
    ];
    for (number, (signature, body, reason)) in cases.iter().enumerate() {
        let path = format!("/github/{number}");
        let answer = post(&edge, &path, &[("x-hub-signature-256", signature)], body);
        refused(&edge, &answer, &path, reason);
    }
    let answer = post(&edge, "/github/none", &[], body);
    refused(&edge, &answer, "/github/none", "webhook_signature_missing");
    let twice = [("x-hub-signature-256", good.as_str()), ("X-Hub-Signature-256", good.as_str())];
    refused(
        &edge,
        &post(&edge, "/github/twice", &twice, body),
        "/github/twice",
        "webhook_signature_repeated",
    );
    // A session is not a signature.
    let session = edge.request("POST", "/github/session").token(&edge.mint().good(0)).body(body).send();
    refused(&edge, &session, "/github/session", "webhook_signature_missing");
    let elsewhere = post(&edge, "/elsewhere", &[("x-hub-signature-256", &good)], body);
    assert_eq!(elsewhere.status, 403, "{elsewhere:?}");
    let no_secret = post(&edge, "/missing", &[("x-signature", digits)], body);
    assert_eq!(no_secret.status, 503, "{no_secret:?}");
    assert_eq!(backend.seen().len(), before, "something went on");
}

#[test]
fn the_body_is_what_was_sent_in_whatever_pieces() {
    let backend = Backend::plain();
    let edge = start(&backend);
    assert_eq!(github(&edge, b"", &hub(b"")).status, 200, "an empty body has a signature, too");
    let gzip = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xff, 0xfe, 0, 0];
    let headers = [("content-encoding", "gzip"), ("x-hub-signature-256", &hub(&gzip))];
    assert_eq!(post(&edge, "/github", &headers, &gzip).status, 200, "signed as it was sent");
    assert_eq!(backend.last().body, gzip);

    let largest = vec![b'a'; 65_536];
    assert_eq!(github(&edge, &largest, &hub(&largest)).status, 200);
    assert_eq!(backend.last().body, largest);
    let before = backend.seen().len();
    let longer = vec![b'a'; 65_537];
    let answer = github(&edge, &longer, &hub(&longer));
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some(b"application/json; charset=utf-8".as_slice()),
        "{answer:?}"
    );
    assert_eq!(backend.seen().len(), before);
    // The other webhook has another limit.
    assert_eq!(
        post(
            &edge,
            "/shopify",
            &[("x-shopify-hmac-sha256", &STANDARD.encode(tag(SECRET, &longer)))],
            &longer
        )
        .status,
        200
    );

    let chunked = |sent: &str| {
        let bare = edge.request("POST", "/github/chunks").header("transfer-encoding", "chunked");
        let request: Request = bare.header("x-hub-signature-256", hub(b"hello world"));
        let mut connection = Connection::open(edge.public()).unwrap();
        connection.write(&request.bytes()).unwrap();
        connection.write(sent.as_bytes()).unwrap();
        connection.answer(false).unwrap()
    };
    assert_eq!(chunked("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n").status, 200);
    assert_eq!(chunked("5\r\nhello\r\n6\r\n World\r\n0\r\n\r\n").status, 401);
    assert_eq!(chunked("0\r\n\r\n").status, 401);

    let by_h2 = |signature: &str| {
        let mut lines = h2::headers("POST", "localhost", "/github/h2");
        lines.push((b"x-hub-signature-256".to_vec(), signature.as_bytes().to_vec()));
        let mut connection = h2::Connection::open(edge.public()).unwrap();
        let stream = connection.begin(&lines, false);
        connection.data(stream, b"hello ", false);
        connection.data(stream, b"world", true);
        connection.outcome(stream).status()
    };
    assert_eq!(by_h2(&hub(b"hello world")), Some(200));
    let seen = backend.last();
    assert_eq!(seen.header("transfer-encoding").as_deref(), Some("chunked"), "a body without a length");
    assert_eq!(seen.body, b"b\r\nhello world\r\n0\r\n\r\n");
    assert_eq!(by_h2(&hub(b"hello worlds")), Some(401));
}

#[test]
fn an_old_signature_is_refused_and_a_young_one_counts_once() {
    let backend = Backend::plain();
    let edge = start(&backend);
    let sign = |at: &str, body: &str| hex(&tag(SECRET, format!("{at}.{body}").as_bytes()));
    let at = now();
    for (offset, passes) in [(-290_i64, true), (290, true), (-310, false), (320, false)] {
        let answer = stripe(&edge, at.checked_add_signed(offset).unwrap(), SECRET);
        assert_eq!(answer.status == 200, passes, "{offset}: {answer:?}");
    }
    let at = at.to_string();
    let (one, two) = (sign(&at, "{\"n\":1}"), hex(&tag(NEXT, format!("{at}.{{\"n\":1}}").as_bytes())));
    let send = |path: &str, value: &str, body: &str| {
        post(&edge, path, &[("stripe-signature", value)], body.as_bytes())
    };
    assert_eq!(send("/stripe", &format!("t={at},v1={one}"), "{\"n\":1}").status, 200);
    // The same delivery in other words: the other secret's signature, another order, one more version.
    for (number, value) in [
        format!("t={at},v1={one}"),
        format!("t={at},v1={two}"),
        format!("v1={one},t={at}"),
        format!("t={at},v1={one},v0=00"),
        format!("t={at}, v1={two}, v1={one}"),
    ]
    .iter()
    .enumerate()
    {
        let path = format!("/stripe/again/{number}");
        refused(&edge, &send(&path, value, "{\"n\":1}"), &path, "webhook_signature_replayed");
    }
    for (number, (value, reason)) in [
        (format!("v1={}", sign(&at, "{}")), "webhook_timestamp_missing"),
        (format!("t={at},t={at},v1={}", sign(&at, "{}")), "webhook_signature_malformed"),
        (format!("t=0{at},v1={}", sign(&format!("0{at}"), "{}")), "webhook_timestamp_malformed"),
        (format!("t={at}000,v1={}", sign(&format!("{at}000"), "{}")), "webhook_timestamp_malformed"),
        (format!("t=1000000000,v1={}", sign("1000000000", "{}")), "webhook_signature_too_old"),
        (format!("t=9000000000,v1={}", sign("9000000000", "{}")), "webhook_signature_too_new"),
        (format!("t={at},v1={}", sign(&at, "{ }")), "webhook_signature_wrong"),
    ]
    .iter()
    .enumerate()
    {
        let path = format!("/stripe/odd/{number}");
        refused(&edge, &send(&path, value, "{}"), &path, reason);
    }
}

#[test]
fn a_secret_that_others_can_read_is_not_used_and_explain_agrees_with_the_edge() {
    let backend = Backend::plain();
    let edge = start(&backend);
    let ready = || Request::new(edge.address("AUTHZ_ADMIN_ADDRESS"), "GET", "/readyz").send().text();
    write(&edge, "missing.secret", SECRET, 0o644);
    eventually("it says what is wrong", || ready().contains("chmod 600"));
    assert!(!ready().contains(SECRET));
    let (body, good) = (b"{}".as_slice(), hub(b"{}"));
    let with_it =
        |edge: &Edge| post(edge, "/missing", &[("x-signature", &good["sha256=".len()..])], body).status;
    assert_eq!(
        (with_it(&edge), github(&edge, body, &good).status),
        (503, 200),
        "one file closes its own webhook"
    );
    write(&edge, "missing.secret", SECRET, 0o600);
    eventually("it is loaded", || with_it(&edge) == 200);

    let file = edge.home().join("body");
    std::fs::write(&file, body).unwrap();
    let file = file.display().to_string();
    let request = "POST https://api.dev-domain.test/github/explained";
    for (signature, reason) in [
        (Some(good.clone()), "allowed"),
        (Some(hub(b"{ }")), "webhook_signature_wrong"),
        (Some("sha256=x".to_owned()), "webhook_signature_malformed"),
        (None, "webhook_signature_missing"),
    ] {
        let header = signature.map(|signature| format!("x-hub-signature-256: {signature}"));
        let mut arguments = vec![request, "--body-file", &file];
        if let Some(header) = &header {
            arguments.extend(["-H", header]);
        }
        let explained = edge.explain(&arguments);
        assert_eq!(
            (&explained["policy"], &explained["reason"]),
            (&"of-github (webhook)".into(), &reason.into()),
            "{explained:#}"
        );
    }
}
