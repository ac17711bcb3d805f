//! A change of listeners is judged by what is served there, and whether it is encrypted.

use super::super::plan;
use super::{DEV, edge, said};

#[test]
fn a_host_on_another_listener_opens_its_routes_there_and_encryption_counts() {
    let public = "exposure: public }\n";
    let hosts = "listener: public,";
    let both = DEV
        .replace(
            public,
            &format!(
                "{public}  tls: {{ address: '127.0.0.1:8443', tls: {{ certificate: e.pem, key: e.key }} }}\n"
            ),
        )
        .replace(hosts, "listeners: [public, tls],");
    let encrypted = both.replace("listeners: [public, tls],", "listener: tls,");
    let lines = |old: &str, new: &str| said(&plan(&edge(old), &edge(new)));
    let has = |lines: &[String], wanted: &str| lines.iter().any(|line| line.starts_with(wanted));
    let added = lines(DEV, &both);
    assert!(has(&added, "opened: ") && !has(&added, "weaker: hosts"), "{added:#?}");
    let closed = lines(&both, &encrypted);
    assert!(
        has(&closed, "closed: ")
            && has(
                &closed,
                "stricter: hosts: 127.0.0.1 is served encrypted alone; api.dev-domain.test is served encrypted alone"
            ),
        "{closed:#?}"
    );
    let opened = lines(&encrypted, &both);
    assert!(
        has(
            &opened,
            "weaker: hosts: 127.0.0.1 is also served without encryption, on `public`; api.dev-domain.test is also"
        ),
        "{opened:#?}"
    );
}

#[test]
fn a_promise_of_https_and_further_addresses_are_compared() {
    let public = "exposure: public }\n";
    let at = |hsts: &str| {
        let tls = format!(
            "  tls: {{ address: '127.0.0.1:8443', tls: {{ certificate: e.pem, key: e.key }}{hsts} }}\n"
        );
        DEV.replace(public, &format!("{public}{tls}"))
            .replace("listener: public,", "listeners: [public, tls],")
    };
    let (none, long, short) =
        (at(""), at(", hsts: { max_age_seconds: 600 }"), at(", hsts: { max_age_seconds: 60 }"));
    let lines = |old: &str, new: &str| said(&plan(&edge(old), &edge(new)));
    let has = |lines: &[String], wanted: &str| lines.iter().any(|line| line.contains(wanted));
    let promised = lines(&none, &long);
    assert!(
        has(&promised, "stricter: https: browsers use https alone for 127.0.0.1: `max-age=600`"),
        "{promised:#?}"
    );
    assert!(!has(&promised, "drains"), "{promised:#?}");
    let gone = lines(&long, &none);
    assert!(has(&gone, "weaker: https: browsers no longer use https alone"), "{gone:#?}");
    let shorter = lines(&long, &short);
    assert!(
        has(&shorter, "weaker: https: browsers receive `max-age=60` instead of `max-age=600`"),
        "{shorter:#?}"
    );
    let both = none.replace("address: '127.0.0.1:8443'", "addresses: ['127.0.0.1:8443', '[::1]:8443']");
    let more = lines(&none, &both);
    assert!(
        has(&more, "same: listener `tls`: listens on 127.0.0.1:8443, [::1]:8443 instead of"),
        "{more:#?}"
    );
    assert!(has(&more, "drains the connections of listener `tls`"), "{more:#?}");
}

#[test]
fn a_redirect_to_https_closes_what_was_served_in_the_clear() {
    let public = "exposure: public }\n";
    let tls = "  tls: { address: '127.0.0.1:8443', tls: { certificate: e.pem, key: e.key } }\n";
    let both = DEV
        .replace(public, &format!("{public}{tls}"))
        .replace("listener: public,", "listeners: [public, tls],");
    let redirecting = both.replacen(public, "exposure: public, redirect: https }\n", 1);
    let lines = |old: &str, new: &str| said(&plan(&edge(old), &edge(new)));
    let has = |lines: &[String], wanted: &str| lines.iter().any(|line| line.contains(wanted));
    let closed = lines(&both, &redirecting);
    assert!(has(&closed, "redirected to https instead of being served"), "{closed:#?}");
    assert!(has(&closed, "stricter: hosts: ") && !has(&closed, "weaker: "), "{closed:#?}");
    // No connection ends: the routes are discovered.
    assert!(!has(&closed, "drains"), "{closed:#?}");
    let opened = lines(&redirecting, &both);
    assert!(has(&opened, "served without encryption instead of being redirected"), "{opened:#?}");
    assert!(has(&opened, "weaker: "), "{opened:#?}");
    let elsewhere = redirecting.replace("redirect: https", "redirect: { https: 8443 }");
    let moved = lines(&redirecting, &elsewhere);
    assert!(has(&moved, "same: listener `public`: redirects to another port of https"), "{moved:#?}");
}
