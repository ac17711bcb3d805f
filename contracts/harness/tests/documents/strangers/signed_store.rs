//! An object store that checks signatures, used by Amazon's client library (boto3): signed headers and URLs, uploads in parts,
//! in chunks with a trailer, and after `100 Continue`. The store computes each signature from what arrives.

use std::net::SocketAddr;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use comparison::compare::compare;
use contract::learn::learn;
use contract::rules::Rules;
use harness::repository;
use http_wire::answer::{Answer, BodyBuilder, Framing, Line, Version};
use serde_json::Value;

use super::app::App;
use super::{edge_before, edge_file_before};

/// The answers that the client read, each with its step; nothing when it gave up.
fn steps(address: SocketAddr, place: &Path) -> Result<Vec<(String, Answer)>, String> {
    let output = App::asked_by("s3/client.py", address, place);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().map(|line| step(&serde_json::from_str(line).expect("a JSON object"))).collect())
}

fn step(shown: &Value) -> (String, Answer) {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let member = |name: &str| shown.get(name).expect("each step has it");
    let headers = member("headers").as_array().expect("a list").iter().map(|pair| {
        let part = |at: usize| text(pair.get(at).expect("a name and a value")).into_bytes();
        Line { name: part(0), value: part(1) }
    });
    let mut body = BodyBuilder::default();
    body.push(&STANDARD.decode(text(member("body"))).expect("base64")).expect("a few mebibytes");
    let status = member("status").as_u64().and_then(|status| u16::try_from(status).ok());
    let answer = Answer {
        version: Version::One(1),
        status: status.expect("a status"),
        reason: text(member("reason")).into_bytes(),
        headers: headers.collect(),
        framing: Framing::Length,
        body: body.finish(),
        trailers: Vec::new(),
    };
    (text(member("step")), answer)
}

#[test]
fn a_client_of_a_signed_object_store_reads_the_same_through_the_edge_in_every_byte() {
    let rules = Rules::read(&repository().join("contracts/apps/s3/rules.yaml")).expect("its rules are right");
    let asked = |through: bool| {
        let place = tempfile::tempdir().expect("a temporary directory");
        let app = App::wsgi("s3", "signed:application", place.path());
        let edge = through.then(|| edge_before(&app));
        let address = edge.as_ref().map_or_else(|| app.address(), harness::Edge::public);
        steps(address, place.path()).expect("every step has its result")
    };
    let (reference, through) = (asked(false), asked(true));
    let names = |steps: &[(String, Answer)]| steps.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&through), names(&reference));
    assert_eq!(reference.len(), 21, "{:?}", names(&reference));
    for ((name, right), (_, answer)) in reference.iter().zip(&through) {
        let learned = learn(name, right, None, &rules);
        assert_eq!(learned.unfit, Vec::<String>::new(), "{name}");
        let recorded = learned.recorded;
        let differences = compare(&recorded.answer(), &recorded.normal(answer)).differences;
        assert_eq!(differences, [], "{name}: {answer:?}");
    }
}

/// The check is a real one: where the backend reads another host, no signature is right.
#[test]
fn a_signed_object_store_behind_another_host_refuses_every_request() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let app = App::wsgi("s3", "signed:application", place.path());
    let address = "app: { address: \"${LEGACY_ADDRESS}\"";
    let edge = edge_file_before(&app).replace(address, &format!("{address}, host: other.test")).start();
    let failed = steps(edge.public(), place.path()).expect_err("the first request is refused");
    assert!(failed.contains("SignatureDoesNotMatch"), "{failed}");
}
