//! What happens to the headers of a request.

use super::super::*;
use super::{Headers, UUID, edits, request, rules};
use crate::RuleIndex;
use crate::header_map::tests::encode;

#[test]
fn an_honest_request_needs_nothing() {
    let buffer = request(&[(b"x-request-id", UUID.as_bytes()), (b"cookie", b"a=b"), (b"x-a", b"\xff")]);
    assert_eq!(edits(&rules(), &buffer), Edits { request_id: RequestId::Keep, ..Edits::default() });
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
        GuardVerdict::Forward(_) | GuardVerdict::Answer(_) => panic!("not refused"),
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
    let expected = Refusal {
        reason: Reason::InternalPath,
        request_id: RequestId::Keep,
        replaced_id: None,
        client: None,
        scheme: None,
        reader: None,
    };
    let reason = expected.reason;
    assert_eq!(rules().judge(&buffer), GuardVerdict::Refuse(expected));
    assert_eq!((reason.status(), reason.body()), (404, "Not found"));
}

/// Rules of a listener behind proxies of 10.0.0.0/8.
fn behind_proxies() -> Rules {
    let proxies = crate::config::ProxyRules {
        addresses: vec!["10.0.0.0/8".to_owned()],
        header: crate::config::ForwardedBy::XForwardedFor,
        hops: 1,
        passes_host: false,
        accepts_http_1_0: true,
    };
    Rules::compile(&GuardConfig { proxies: Some(proxies), ..super::config() }).unwrap()
}

fn edits_from<'a>(rules: &Rules, buffer: &'a [u8], peer: &str) -> Edits<'a> {
    match rules.judge_from(buffer, Some(peer.as_bytes())) {
        GuardVerdict::Forward(edits) => edits,
        GuardVerdict::Refuse(refusal) => panic!("{refusal:?}"),
        GuardVerdict::Answer(preflight) => panic!("{preflight:?}"),
    }
}

#[test]
fn a_trusted_proxy_is_read_and_a_stranger_is_stripped() {
    let rules = behind_proxies();
    assert!(rules.needs_peer());
    let buffer = request(&[
        (b":scheme", b"http"),
        (b"x-forwarded-for", b"10.9.9.9, 198.51.100.7"),
        (b"x-forwarded-proto", b"https"),
        (b"x-forwarded-host", b"evil.test"),
        (b"x-request-id", b"Root=1-67891233-abcdef012345678912345678"),
    ]);
    let names = |edits: &Edits<'_>| -> Vec<String> {
        edits.removals.iter().map(|it| String::from_utf8_lossy(it.name).into_owned()).collect()
    };
    let edits = edits_from(&rules, &buffer, "10.0.0.1:80");
    let client: std::net::IpAddr = "198.51.100.7".parse().unwrap();
    assert_eq!(edits.forwarded_for, Some(client));
    assert_eq!(edits.scheme, Some("https"));
    assert_eq!((edits.request_id, edits.replaced_id), (RequestId::Keep, None));
    assert_eq!(names(&edits), ["x-forwarded-host"], "it is not passed on here");
    assert!(rules.accepts_http_1_0_of(edits.arrival.as_ref()));

    let edits = edits_from(&rules, &buffer, "198.51.100.9:80");
    let own: std::net::IpAddr = "198.51.100.9".parse().unwrap();
    assert_eq!(edits.forwarded_for, Some(own));
    assert_eq!(edits.scheme, Some("http"));
    assert_eq!(edits.request_id, RequestId::Mint);
    assert_eq!(edits.replaced_id, Some(&b"Root=1-67891233-abcdef012345678912345678"[..]));
    assert_eq!(names(&edits), ["x-forwarded-for", "x-forwarded-host"]);
    assert!(!rules.accepts_http_1_0_of(edits.arrival.as_ref()));

    // What is right already needs no edit.
    let plain = request(&[
        (b":scheme", b"https"),
        (b"x-forwarded-for", b"198.51.100.7"),
        (b"x-forwarded-proto", b"https"),
    ]);
    let edits = edits_from(&rules, &plain, "10.0.0.1:80");
    assert_eq!((edits.forwarded_for, edits.scheme, edits.removals.len()), (None, None, 0));

    for peer in [None, Some(&b"-"[..]), Some(b"")] {
        let verdict = rules.judge_from(&buffer, peer);
        assert!(
            matches!(verdict, GuardVerdict::Refuse(Refusal { reason: Reason::MalformedHeaders, .. })),
            "{verdict:?}"
        );
    }
}

#[test]
fn a_refusal_says_whose_request_it_was() {
    let rules = behind_proxies();
    let buffer = encode(&[
        (b":authority", b"localhost"),
        (b":path", b"/internal"),
        (b":method", b"GET"),
        (b"x-request-id", b"short"),
        (b"x-forwarded-for", b"198.51.100.7"),
    ]);
    for (peer, client, replaced) in
        [("10.0.0.1", "198.51.100.7", None), ("203.0.113.1", "203.0.113.1", Some(&b"short"[..]))]
    {
        let GuardVerdict::Refuse(refusal) = rules.judge_from(&buffer, Some(peer.as_bytes())) else {
            panic!("forwarded")
        };
        assert_eq!(refusal.client.map(|client| client.to_string()).as_deref(), Some(client));
        assert_eq!(refusal.replaced_id, replaced);
    }
}

#[test]
fn a_scheme_that_no_proxy_may_name_is_the_connection_s() {
    let of = |tls: bool, value: &[u8]| {
        let rules = Rules::compile(&GuardConfig { tls, ..super::config() }).unwrap();
        let buffer = request(&[(b"x-forwarded-proto", value)]);
        edits(&rules, &buffer).scheme
    };
    assert_eq!((of(false, b"http"), of(true, b"https")), (None, None));
    assert_eq!((of(false, b"https"), of(true, b"http")), (Some("http"), Some("https")));
}
