//! Shares on an edge with leases: every promise of `shares.rs` holds. A share that depends on the caller is never
//! leased, because a leased request is matched once, before the caller is known.

use harness::{Backend, Edge, EdgeBuilder, eventually};

#[path = "shares.rs"]
#[expect(clippy::duplicate_mod, reason = "the tests run on both edges")]
mod shares;

/// What `shares.rs` starts from.
pub(crate) fn dev() -> EdgeBuilder {
    shares::dev().replace("signed-in: { kind: session }", "signed-in: { kind: session, lease: {} }")
}

/// Number of requests that leases serve during `act`.
fn leased(edge: &Edge, act: impl FnOnce()) -> u64 {
    let before = edge.leased();
    act();
    edge.leased() - before
}

#[test]
fn a_share_that_depends_on_the_caller_is_never_leased() {
    for (to, is_leased) in [
        ("to: legacy", true),
        // At random or by the client's own cookie: known before the caller is.
        ("to: { legacy: 50, users: 50 }", true),
        ("to: { legacy: 50, users: 50, sticky: { cookie: device } }", true),
        ("to: { legacy: 50, users: 50, sticky: session }", false),
        ("to: { legacy: 50, users: 50, sticky: tenant }", false),
        ("to: legacy, canary: [{ header: x-madome-auth-role, value: '1', to: users }]", false),
    ] {
        let backend = Backend::plain();
        let edge = dev()
            .replace(
                "prefix: /books, policy: signed-in, to: legacy, answers: library",
                &format!("prefix: /books, policy: signed-in, {to}, answers: library"),
            )
            .every_backend(backend.address())
            .start();
        let ask = |target: &str, token: &str| {
            assert_eq!(edge.get(target).token(token).send().status, 200, "{to}: {target}");
        };
        // Another route of the same policy shows that leases work at all.
        let token = edge.mint().good(1);
        eventually(&format!("leases serve with {to}"), || leased(&edge, || ask("/users/@me", &token)) > 0);
        let served = leased(&edge, || (0..20).for_each(|_| ask("/books/1", &token)));
        assert_eq!(served > 0, is_leased, "{to}: {served} of 20 were leased");
        // Nor does the lease of another route of that policy serve this one: that lease lasts, and is used in between.
        let mixed = leased(&edge, || (0..10).for_each(|_| ask("/users/@me", &token)));
        assert!(mixed > 0, "{to}: the other route is leased still");
    }
}
