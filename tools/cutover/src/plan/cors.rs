//! The differences between pages of other origins that may read answers.

use std::time::Duration;

use edge_config::Edge;
use edge_config::edge::{Cors, Route};

use super::found::{Aspects, Protection};

/// What changes for pages of other origins on a route.
pub(super) fn compare((old, before): (&Edge, &Route), (new, after): (&Edge, &Route), noted: &mut Aspects) {
    match (old.cors_of(before), new.cors_of(after)) {
        (None, None) => {}
        (None, Some(now)) => {
            let cookies = if now.credentials { ", also to requests with cookies" } else { "" };
            let origins = now.origins.join(", ");
            noted.note(Protection::Weaker, format!("pages of {origins} may read answers{cookies}"));
        }
        (Some(_), None) => noted.note(
            Protection::Stricter,
            "pages of other origins may not read answers, unless the backend says so: preflights go to it",
        ),
        (Some(was), Some(now)) => rules(was, now, noted),
    }
}

fn rules(was: &Cors, now: &Cors, noted: &mut Aspects) {
    let Cors { origins, credentials, methods, headers, expose, max_age } = now;
    let (added, removed) = (Protection::Weaker, Protection::Stricter);
    let shown = |text: &&String| format!("`{text}`");
    noted.members("pages that may read answers: the origin", &was.origins, origins, (added, removed), shown);
    match (was.credentials, credentials) {
        (false, true) => {
            noted.note(added, "pages of other origins may send cookies, and change something with them")
        }
        (true, false) => noted.note(removed, "pages of other origins may not send cookies"),
        (true, true) | (false, false) => {}
    }
    list("the method", (&was.methods, methods), noted);
    list("the header", (&was.headers, headers), noted);
    let what = "pages of other origins may read the header";
    noted.members(what, &was.expose, expose, (added, removed), shown);
    if was.max_age != *max_age {
        let seconds = |time: &Duration| format!("{} s", time.as_secs());
        let what = format!(
            "browsers remember answers to preflights for {} instead of {}",
            seconds(max_age),
            seconds(&was.max_age)
        );
        noted.note(Protection::Same, what);
    }
}

/// A list without which everything is allowed.
fn list(what: &str, (was, now): (&Option<Vec<String>>, &Option<Vec<String>>), noted: &mut Aspects) {
    let what = format!("pages of other origins may send {what}");
    match (was, now) {
        (None, None) => {}
        (Some(_), None) => noted.note(Protection::Weaker, format!("{what} that they want")),
        (None, Some(now)) => {
            noted.note(Protection::Stricter, format!("{what} {}, and no other", now.join(", ")))
        }
        (Some(was), Some(now)) => {
            let standing = (Protection::Weaker, Protection::Stricter);
            noted.members(&what, was, now, standing, |text| format!("`{text}`"));
        }
    }
}
