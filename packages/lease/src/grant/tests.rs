use super::*;
use crate::tag::Kind;

/// A grant as the authorizer makes them.
pub(crate) fn grant() -> Grant {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Grant {
        lifetime_ms: 10_000,
        uses: 100,
        route: "users-me".to_owned(),
        policy: "signed-in".to_owned(),
        revision: "0f3c".to_owned(),
        request_id: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
        tags: vec![Tag::of(Kind::Session, b"s"), Tag::of(Kind::Tenant, b"t")],
        headers: vec![header("x-auth-subject", "s"), header("x-auth-scopes", "")],
        log: LogFields {
            reason: "allowed".to_owned(),
            subject: "p".to_owned(),
            session: "s".to_owned(),
            tenant: "t".to_owned(),
        },
    }
}

#[test]
fn a_written_grant_is_read_back() {
    let grant = grant();
    assert_eq!(Grant::decode(&grant.encode().unwrap()), Ok(grant));
}

#[test]
fn every_cut_and_every_addition_is_found() {
    let text = grant().encode().unwrap();
    for end in 0..text.len() {
        assert!(Grant::decode(&text[..end]).is_err(), "cut at {end} was not found");
    }
    assert!(Grant::decode(&format!("{text}x")).is_err());
    assert!(Grant::decode(&format!("{text}\n")).is_err());
    assert!(Grant::decode(&text.replace("lease 2", "lease 1")).is_err());
}

#[test]
fn a_grant_that_does_not_fit_is_not_written() {
    let broken: [fn(&mut Grant); 9] = [
        |g| g.lifetime_ms = 0,
        |g| g.lifetime_ms = 25_001,
        |g| g.uses = 0,
        |g| g.tags.clear(),
        |g| g.headers.clear(),
        |g| g.headers[0].0 = ":path".to_owned(),
        |g| g.headers[0].1 = "a\r\nb: c".to_owned(),
        |g| g.route = "a\nb".to_owned(),
        |g| g.headers[0].1 = "x".repeat(MAX_BYTES),
    ];
    for break_it in broken {
        let mut grant = grant();
        break_it(&mut grant);
        assert!(grant.encode().is_err(), "{grant:?}");
    }
}
