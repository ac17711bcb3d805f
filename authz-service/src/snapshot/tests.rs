use std::path::Path;

use edge_config::edge::Exposure;

use super::*;

fn snapshot(number: usize) -> Snapshot {
    let edge = format!(
        r#"
edge: test
root_domain: example.test
listeners: {{ public: {{ address: "127.0.0.1:8080", exposure: public }} }}
admin: "127.0.0.1:9901"
authorizer: {{ address: "127.0.0.1:9191", timeout_ms: 200 }}
hosts: {{ api: {{ listener: public, names: [api.example.test] }} }}
backends: {{ legacy: {{ address: "127.0.0.1:3000" }} }}
identity: {{ subject: x-auth-subject, session: x-auth-session, role: x-auth-role, scopes: x-auth-scopes, tenant: x-tenant-id, signed: x-auth-identity, gateway: x-auth-gateway, public: x-auth-public }}
policies: {{ open: {{ kind: public }} }}
answers:
  a:
    unauthenticated: {{ status: 401, body: "" }}
    forbidden: {{ status: 403, body: "" }}
    not_found: {{ status: 404, body: "" }}
    unavailable: {{ status: 503, body: "{number}" }}
routes: [{{ name: all, host: api, prefix: /, policy: open, to: legacy, answers: a }}]
"#
    );
    let edge = edge_config::parse(Path::new("edge.yaml"), &edge, &|_| None)
        .unwrap_or_else(|faults| panic!("{faults}"));
    Snapshot::new(&edge).unwrap()
}

/// The refusal of a check of `revision` while no decision is possible; `None` when the revision is unknown.
fn words(snapshots: &Snapshots, revision: &str) -> Option<String> {
    let input = CheckInput {
        route: "all",
        policy: "open",
        revision,
        exposure: Exposure::Public,
        request_id: "-",
        client: None,
        certificate: None,
        method: "GET",
        target: "/",
        scheme: "https",
        host: "api.example.test",
        headers: Vec::new(),
        body: &[],
    };
    match snapshots.locate(&input) {
        Ok(located) => Some(located.route().answers.unavailable.body.clone()),
        Err(failure) => {
            assert_eq!(failure, Failure::UnknownRevision);
            None
        }
    }
}

#[test]
fn older_revisions_are_decided_about_by_their_own_rules() {
    let first = snapshot(0);
    let mut revisions = vec![first.revision.clone()];
    let snapshots = Snapshots::new(first);
    let mut now = UnixTime::from_seconds(1_000);
    for number in 1..=KEPT + 3 {
        // Slowly: each has long been replaced when the second after it arrives.
        now = now.plus(KEPT_FOR);
        let next = snapshot(number);
        revisions.push(next.revision.clone());
        snapshots.install(next, now);
    }
    let newest = revisions.len() - 1;
    for (number, revision) in revisions.iter().enumerate() {
        let expected = (newest - number <= KEPT).then(|| number.to_string());
        assert_eq!(words(&snapshots, revision), expected, "{number}");
    }
    assert_eq!(words(&snapshots, "0000000000000000"), None);
    assert_eq!(snapshots.newest().revision, revisions[newest]);
}

#[test]
fn many_in_a_row_stay_for_a_while_but_not_without_end() {
    let first = snapshot(0);
    let mut revisions = vec![first.revision.clone()];
    let snapshots = Snapshots::new(first);
    let now = UnixTime::from_seconds(1_000);
    for number in 1..=MAX_KEPT + 5 {
        let next = snapshot(number);
        revisions.push(next.revision.clone());
        snapshots.install(next, now);
    }
    assert_eq!(snapshots.revisions().len(), MAX_KEPT + 1);
    assert_eq!(words(&snapshots, &revisions[4]), None);
    assert_eq!(words(&snapshots, &revisions[5]).as_deref(), Some("5"));
    snapshots.install(snapshot(1_000), now.plus(KEPT_FOR));
    assert_eq!(snapshots.revisions().len(), KEPT + 1);
}

#[test]
fn going_back_makes_an_older_one_the_newest() {
    let snapshots = Snapshots::new(snapshot(0));
    let now = UnixTime::from_seconds(1_000);
    snapshots.install(snapshot(1), now);
    snapshots.install(snapshot(0), now);
    assert_eq!(snapshots.revisions(), [snapshot(0).revision, snapshot(1).revision]);
    assert_eq!(words(&snapshots, &snapshot(1).revision).as_deref(), Some("1"));
}
