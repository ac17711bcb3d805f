//! The sections `identity` and `request_id`, and the names that they reserve.

use std::path::Path;

use edge_config::edge::{DEFAULT_SIGNED, Edge, OnAnswers};
use edge_config::{Faults, parse};
use identity::Form;

const SMALLEST: &str = "
edge: small
listeners: { public: { address: 127.0.0.1:8080 } }
hosts: { api: { names: ['*'] } }
backends: { shop: { address: 127.0.0.1:3000 } }
policies: { public: { kind: public } }
routes: [{ name: all, prefix: /, methods: [GET], policy: public, to: shop }]
";

fn read(more: &str) -> Result<Edge, Faults> {
    parse(Path::new("edge.yaml"), &format!("{SMALLEST}{more}"), &|_| None)
}

#[test]
fn a_file_without_names_sends_the_signed_identity_alone() {
    let edge = read("").unwrap();
    assert_eq!(edge.identity.names().collect::<Vec<_>>(), [DEFAULT_SIGNED]);
    assert_eq!(*edge.identity.form, Form::default());
    assert_eq!(
        (edge.request_id.header.as_str(), edge.request_id.on_answers),
        ("x-request-id", OnAnswers::Refusals)
    );
    assert_eq!(read("identity: {}").unwrap().identity.names().count(), 0);
}

#[test]
fn names_are_reserved_by_being_listed() {
    let edge =
        read("identity: { subject: x-caller, signed: { header: x-assertion, claims: { tenant: org } } }\n")
            .unwrap();
    for name in [
        "x-caller",
        "x-assertion",
        "x-cutover-decided",
        "x-forwarded-for",
        "x-envoy-internal",
        "forwarded",
        "x-real-ip",
        "x-http-method-override",
    ] {
        assert!(edge.reserved.takes(name), "{name}");
    }
    assert!(!edge.reserved.takes(DEFAULT_SIGNED), "it is not sent");
    assert_eq!(edge.identity.form.tenant, "org");
    let passed = read("reserved_headers: { names: [x-debug], pass: [x-http-method-override] }").unwrap();
    assert!(passed.reserved.takes("x-debug") && !passed.reserved.takes("x-http-method-override"));
}

#[test]
fn each_of_these_names_is_one_fault_with_place_and_fix() {
    let identity = |inside: &str| format!("identity: {{ {inside} }}\n");
    let taken = [
        "host",
        "cookie",
        "authorization",
        "content-length",
        "content-type",
        "connection",
        "te",
        "upgrade",
        "transfer-encoding",
        "keep-alive",
        "proxy-authorization",
        "x-forwarded-for",
        "x-envoy-peer",
        "x-cutover-a",
        "forwarded",
        "sec-fetch-site",
        "user-agent",
        "traceparent",
    ];
    let mut cases: Vec<(String, &str)> = taken
        .iter()
        .map(|name| (identity(&format!("subject: {name}")), "already has a meaning on a request"))
        .collect();
    for odd in ["':path'", "X-Caller", "x_caller", "'x caller'", "''", "-x", "x.caller"] {
        cases.push((identity(&format!("subject: {odd}")), "lower-case letters, digits and `-`"));
    }
    let others = [
        (identity("subject: x-a, tenant: x-a"), "`subject` and `tenant` of `identity` are both `x-a`"),
        (identity("subject: 7"), "`subject` of `identity` is"),
        (identity("sub: x-a"), "`identity` has no field `sub`"),
        (identity("signed: { claims: {} }"), "has no `header`"),
        (identity("signed: { header: x-a, typ: at+jwt }"), "accept an identity as one"),
        (identity("signed: { header: x-a, claims: { subject: iss } }"), "for another purpose"),
        (
            identity("signed: { header: x-a, claims: { subject: tenant } }"),
            "two claims of the signed identity",
        ),
        ("request_id: { header: host }\n".to_owned(), "already has a meaning"),
        ("request_id: { on_answers: sometimes }\n".to_owned(), "on_answers"),
        (
            format!("{}request_id: {{ header: x-a }}\n", identity("subject: x-a")),
            "is the header of `request_id` and of `subject`",
        ),
        ("reserved_headers: { names: [x-request-id] }\n".to_owned(), "must be able to send `x-request-id`"),
        (
            "reserved_headers: { pass: [x-forwarded-for] }\n".to_owned(),
            "`pass` of `reserved_headers` names `x-forwarded-for`",
        ),
        (
            "reserved_headers: { pass: [x-real-ip], names: [x-real-ip] }\n".to_owned(),
            "is reserved and in `pass`",
        ),
    ];
    cases.extend(others);
    for (more, expected) in cases {
        let faults = read(&more).unwrap_err();
        assert_eq!(faults.faults.len(), 1, "{more}: {faults}");
        let fault = &faults.faults[0];
        assert!(format!("{} {}", fault.problem, fault.mend).contains(expected), "{more}: {faults}");
        assert!(fault.place.line > 7 && !fault.mend.is_empty(), "{more}: {faults}");
    }
}

#[test]
fn no_other_part_of_the_file_uses_a_name_of_the_edge() {
    let own = "identity: { subject: x-caller }\nrequest_id: { header: x-trace-id }\n";
    let keys = |header: &str| format!("{own}api_keys: {{ file: keys.jsonl, header: {header} }}\n");
    let signed = |header: &str| format!("{own}signatures: {{ keys: keys.yaml, headers: [{header}] }}\n");
    for header in ["x-caller", "x-trace-id", "x-cutover-kind", "x-real-ip"] {
        assert!(read(&keys(header)).unwrap_err().to_string().contains(header), "{header}");
        assert!(read(&signed(header)).unwrap_err().to_string().contains(header), "{header}");
    }
    for (header, why) in [
        ("x-caller", "which is `subject` of `identity`"),
        ("x-trace-id", "the header of `request_id`"),
        ("x-cutover-decided", "the edge writes itself"),
    ] {
        let text = format!(
            "{own}{}",
            SMALLEST.replace(
                "127.0.0.1:3000 }",
                &format!("127.0.0.1:3000, request_headers: {{ {header}: a }} }}")
            )
        );
        let faults = parse(Path::new("edge.yaml"), &text, &|_| None).unwrap_err().to_string();
        assert!(faults.contains(why), "{faults}");
    }
    let answers = format!("{own}answers: {{ default: {{ headers: {{ x-trace-id: a }} }} }}\n");
    assert!(read(&answers).unwrap_err().to_string().contains("`x-trace-id`"));
}
