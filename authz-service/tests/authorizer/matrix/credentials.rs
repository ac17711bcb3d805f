//! The rows for credentials other than a session alone.

use std::fmt::Write as _;

use harness::{Port, Redis};
use serde_json::json;

use super::cell;
use crate::api_keys::{add, check, with_api_keys};
use crate::kit::check::Check;
use crate::kit::{Authz, COOKIE, Home, NOW, SUSPENDED, UNLISTED};
use crate::legacy::{self, Legacy, checked, store, with_legacy};

const ROUTES: [(&str, &str); 4] = [
    ("either", "a session or an API key"),
    ("keys-only", "an API key with role 1 and scope books.write"),
    ("old", "a session of the legacy"),
    ("both", "a session, new or of the legacy, in one cookie"),
];

pub(super) async fn decisions(text: &mut String) {
    let home = Home::new();
    let redis = Redis::start();
    let _keys = legacy::connect(&redis).await;
    let live = add(&home, |_| {});
    let other = add(&home, |_| {});
    let keys = [
        ("live", live.clone()),
        ("without role and scope", add(&home, |record| (record.role, record.scopes) = (None, Vec::new()))),
        ("without scope", add(&home, |record| record.scopes.clear())),
        ("of a suspended tenant", add(&home, |record| record.tenant = Some(SUSPENDED.parse().unwrap()))),
        ("of an unknown tenant", add(&home, |record| record.tenant = Some(UNLISTED.parse().unwrap()))),
        ("expired", add(&home, |record| record.expires = Some(NOW))),
        ("revoked", add(&home, |record| record.revoked = Some(NOW))),
        ("with another's secret", format!("{}{}", &live[..20], &other[20..])),
        ("of nobody", format!("ck_0000000000000000{}", &live[19..])),
        ("nonsense", "nonsense".to_owned()),
    ];
    let (api, old) = (with_api_keys(&home), with_legacy(COOKIE, &store(&redis, 5_000)));
    let authz = Authz::start_with(home, |edge| old(api(edge))).await;
    let new = authz.token();
    let with = |changes: serde_json::Value| {
        let mut all = legacy::claims();
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        legacy::token(&all, legacy::KEY)
    };
    let good = with(json!({}));
    let hs512 = good.replacen(
        good.split('.').next().unwrap(),
        &crate::kit::mint::part(r#"{"typ":"JWT","alg":"HS512"}"#),
        1,
    );

    type Offer = Box<dyn Fn(Check) -> Check>;
    let mut all: Vec<(String, Offer)> = vec![("nobody".to_owned(), Box::new(|check| check))];
    for (what, key) in keys {
        all.push((format!("API key, {what}"), Box::new(move |check| check.header("x-api-key", &key))));
    }
    let twice = live.clone();
    all.push((
        "API key, two lines".to_owned(),
        Box::new(move |check| check.header("x-api-key", &twice).header("x-api-key", &twice)),
    ));
    for (what, token) in [
        ("session, new", new.clone()),
        ("session, legacy", good.clone()),
        ("session, legacy, expired", with(json!({ "exp": NOW - 61 }))),
        ("session, legacy, refresh token", with(json!({ "_a": null }))),
        ("session, legacy, ended", with(json!({ "id": crate::kit::SUBJECT }))),
        ("session, legacy, bad signature", format!("{}A", &good[..good.len() - 1])),
        ("session, legacy, id no UUID", with(json!({ "id": "x" }))),
        ("session, legacy, HS512", hs512),
        ("session, nonsense", "nonsense".to_owned()),
    ] {
        all.push((what.to_owned(), Box::new(move |check| check.session(&token))));
    }
    let pairs = [
        ("session, new, and a live API key", new.clone(), live.clone()),
        ("session, nonsense, and a live API key", "nonsense".to_owned(), live),
        ("session, new, and a nonsense API key", new.clone(), "nonsense".to_owned()),
    ];
    for (what, token, key) in pairs {
        all.push((what.to_owned(), Box::new(move |check| check.session(&token).header("x-api-key", &key))));
    }
    all.push((
        "session, legacy, and another person's new one".to_owned(),
        Box::new(move |check| check.session(&good).bearer(&new)),
    ));
    let width = all.iter().map(|(name, _)| name.len()).max().unwrap();
    for (route, what) in ROUTES {
        let _ = writeln!(text, "{route}: {what}");
        for (name, offer) in &all {
            let answer = authz.ask(offer(check(&authz, route))).await;
            let _ = writeln!(text, "  {name:<width$}  {}", cell(&answer));
        }
        text.push('\n');
    }
}

pub(super) async fn failures(text: &mut String) {
    let mut rows = Vec::new();
    let home = Home::new();
    let edit = with_api_keys(&home);
    let authz = Authz::start_with(home, edit).await;
    let key = ::api_keys::text::generate(&::api_keys::Prefix::default()).unwrap().1;
    rows.push((
        "no file of API keys",
        cell(&authz.ask(check(&authz, "either").header("x-api-key", key)).await),
    ));
    let (_legacy, address) = Legacy::start().await;
    let closed = Port::lease();
    for (what, address) in
        [("the legacy is asked and says no", address), ("the legacy is asked and is gone", closed.address())]
    {
        let authz = Authz::start_with(Home::new(), checked(address, 0, 9_000)).await;
        rows.push((what, cell(&authz.ask(check(&authz, "old").cookie_line("old_token=x")).await)));
    }
    let _ = writeln!(text, "\na caller with a credential that another system must judge");
    for (what, cell) in rows {
        let _ = writeln!(text, "  {what:<31}  {cell}");
    }
}
