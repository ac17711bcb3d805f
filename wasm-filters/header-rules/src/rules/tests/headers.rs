//! What happens to the headers of a request.

use super::super::*;
use super::{Headers, UUID, edits, request, rules};
use crate::RuleIndex;
use crate::header_map::tests::encode;

#[test]
fn an_honest_request_needs_nothing() {
    let buffer = request(&[(b"x-request-id", UUID.as_bytes()), (b"cookie", b"a=b"), (b"x-a", b"\xff")]);
    assert_eq!(
        edits(&rules(), &buffer),
        Edits { removals: vec![], request_id: RequestId::Keep, lease: None }
    );
}

#[test]
fn forged_headers_are_removed_once_and_counted_by_line() {
    let buffer = request(&[
        (b"x-acme-auth-sub", b"root"),
        (b"x-tenant-id", b"1"),
        (b"x-acme-auth-sub", b"root"),
        (b"X_Acme_Auth_Sub", b"root"),
        (b"x-forwarded-proto", b"http"),
        (b"x_forwarded_proto", b"https"),
        (b"x-envoy-external-address", b"127.0.0.1"),
        (b"x_envoy_external_address", b"192.0.2.1"),
        (b"x-acme", b"not ours"),
    ]);
    let rules = rules();
    let removals: Vec<_> = edits(&rules, &buffer)
        .removals
        .iter()
        .map(|removal| {
            let rule = rules.reserved_rules()[RuleIndex::get(removal.rule)].as_str();
            (std::str::from_utf8(removal.name).unwrap(), removal.lines, rule)
        })
        .collect();
    assert_eq!(
        removals,
        [
            ("x-acme-auth-sub", 2, "x-acme-*"),
            ("x-tenant-id", 1, "x-tenant-id"),
            ("X_Acme_Auth_Sub", 1, "x-acme-*"),
            ("x_forwarded_proto", 1, "x-forwarded-*"),
            ("x_envoy_external_address", 1, "x-envoy-*"),
        ]
    );
}

#[test]
fn only_one_valid_unshared_request_id_is_kept() {
    let id = UUID.as_bytes();
    let cases: [(Headers<'_>, RequestId); 9] = [
        (&[(b"x-request-id", id)], RequestId::Keep),
        (&[(b"X-Request-Id", b"01ARZ3NDEKTSV4RRFFQ69G5FAV")], RequestId::Keep),
        (&[], RequestId::Mint),
        (&[(b"x-request-id", b"")], RequestId::Mint),
        (&[(b"x-request-id", b"spoofed\xff")], RequestId::Mint),
        (&[(b"x-request-id", id), (b"x-request-id", id)], RequestId::Mint),
        (&[(b"x-request-id", id), (b"connection", b"close, X-Request-ID")], RequestId::Mint),
        (&[(b"connection", b"x-request-id"), (b"x-request-id", id)], RequestId::Mint),
        (&[(b"connection", b"x-request-ids, keep-alive"), (b"x-request-id", id)], RequestId::Keep),
    ];
    for (headers, expected) in cases {
        assert_eq!(edits(&rules(), &request(headers)).request_id, expected, "{headers:?}");
    }
    // Another spelling is a forgery, and does not spoil the real one.
    let buffer = request(&[(b"x_request_id", b"x"), (b"x-request-id", id)]);
    let rules = rules();
    let edits = edits(&rules, &buffer);
    assert_eq!((edits.removals.len(), edits.request_id), (1, RequestId::Keep));
}

#[test]
fn incomplete_headers_are_refused() {
    let refused = |buffer: &[u8]| match rules().judge(buffer) {
        GuardVerdict::Refuse(refusal) => refusal.reason,
        GuardVerdict::Forward(_) => panic!("forwarded"),
    };
    assert_eq!(refused(b""), Reason::MalformedHeaders);
    assert_eq!(refused(b"\x01"), Reason::MalformedHeaders);
    assert_eq!(refused(&encode(&[(b":path", b"/"), (b":method", b"GET")])), Reason::MalformedHeaders);
    for name in [":path", ":method", ":authority"] {
        assert_eq!(refused(&request(&[(name.as_bytes(), b"/")])), Reason::MalformedHeaders, "two {name}");
    }
    assert_eq!(refused(&request(&[])[..40]), Reason::MalformedHeaders);
}

/// A refused request keeps its id, so that the access log has it.
#[test]
fn a_refusal_settles_the_request_id() {
    let buffer = encode(&[
        (b":authority", b"localhost"),
        (b":path", b"/internal"),
        (b":method", b"GET"),
        (b"x-request-id", UUID.as_bytes()),
    ]);
    let expected = Refusal { reason: Reason::InternalPath, request_id: RequestId::Keep };
    assert_eq!(rules().judge(&buffer), GuardVerdict::Refuse(expected));
    assert_eq!((expected.reason.status(), expected.reason.body()), (404, "Not found"));
}
