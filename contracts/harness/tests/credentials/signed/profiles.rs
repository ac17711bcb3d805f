//! The forms of signatures that other products make, where a policy asks for them.

use harness::Backend;

use super::edge::{refused_for, signed_edge, start};
use super::request::{HOST, Signed};

/// As FAPI and GNAP clients sign: the target as a whole, a tag, neither nonce nor algorithm.
fn usual(target: &str) -> Signed<'_> {
    let mut signed = Signed::new("POST", target).body("{}");
    signed.components = vec!["@method", "@target-uri", "authorization", "content-digest"];
    signed.headers = vec![("authorization", "Bearer of-the-client")];
    (signed.nonce, signed.names_algorithm, signed.tag) = (None, false, Some("fapi-2-request"));
    signed
}

#[test]
fn a_policy_takes_the_signatures_that_other_products_make_and_each_of_them_once() {
    let backend = Backend::plain();
    let edge = start(
        signed_edge(&backend)
            .replace("headers: [content-type] }", "headers: [content-type, authorization] }")
            .replace(
                "  other-key: {",
                "  lax: { kind: signed, keys: [partner], addresses: [127.0.0.0/8], signature: { nonce: optional, alg: optional, tag: fapi-2-request } }\n  other-key: {",
            )
            .replace(
                "routes:\n",
                "routes:\n  - { name: lax, host: api, prefix: /lax, policy: lax, to: users, answers: users }\n",
            ),
    );
    let first = usual("/lax/1?a=%20");
    assert_eq!(first.send(&edge).status, 200);
    assert_eq!(backend.last().request_line(), "POST /lax/1?a=%20 HTTP/1.1");
    // What was signed counts once, and what differs in anything is another.
    assert_eq!(first.send(&edge).status, 401);
    refused_for(&edge, "/lax/1", "signature_replayed");
    assert_eq!(usual("/lax/2").send(&edge).status, 200);
    let with_nonce = Signed { nonce: Some("0123456789abcdef".to_owned()), ..usual("/lax/2") };
    assert_eq!(with_nonce.send(&edge).status, 200, "a nonce is allowed");

    for (number, (signed, reason)) in [
        (Signed { tag: None, ..usual("/lax/3") }, "signature_wrong_tag"),
        (Signed { tag: Some("gnap"), ..usual("/lax/4") }, "signature_wrong_tag"),
        // Signed for another scheme: the client means another edge.
        (Signed { scheme: "https", ..usual("/lax/5") }, "signature_bad"),
        (
            Signed { components: vec!["@target-uri", "content-digest"], ..usual("/lax/6") },
            "signature_incomplete",
        ),
        (Signed { created: super::request::now() - 400, ..usual("/lax/7") }, "signature_expired"),
        // The usual policy asks for nonce and algorithm, and for no tag.
        (usual("/sync/1"), "signature_wrong_tag"),
        (Signed { tag: None, ..usual("/sync/2") }, "signature_incomplete"),
        (Signed { tag: None, names_algorithm: true, ..usual("/sync/3") }, "signature_incomplete"),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(signed.send(&edge).status, 401, "{number}: {reason}");
        refused_for(&edge, signed.target, reason);
    }
    // The target as a whole needs no profile.
    let whole = Signed { components: vec!["@method", "@target-uri"], ..Signed::new("GET", "/sync/4?x") };
    assert_eq!(whole.send(&edge).status, 200);

    // The command that partners use makes the same.
    let key = edge.home().join("keys/partner.secret").display().to_string();
    let url = format!("http://{}/lax/8?a=b", edge.public());
    let arguments = ["sign", "--key", "partner", "--secret-file", &key, "--host", HOST];
    let form =
        ["--without", "nonce", "--without", "alg", "--tag", "fapi-2-request", "--target-uri", "GET", &url];
    let said = edge.cutover(&[&arguments[..], &form[..]].concat());
    assert!(!said.contains("nonce=") && !said.contains("alg="), "{said}");
    let mut request = edge.request("GET", "/lax/8?a=b").host(HOST);
    for line in said.lines() {
        let (name, value) = line.split_once(": ").expect("a header line");
        request = request.header(name, value);
    }
    assert_eq!(request.send().status, 200, "{said}");
}
