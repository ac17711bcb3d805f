//! Compares the legacy backend's answer with the edge's.

use std::collections::BTreeMap;

use edge_config::edge::{Answers, HeaderCase};
use http_wire::answer::{Answer, Body};
use serde::Serialize;

/// Headers that say nothing about the words: they belong to the connection, the moment or the framing.
const OF_THE_MOMENT: [&str; 9] = [
    "connection",
    "content-length",
    "content-type",
    "date",
    "keep-alive",
    "set-cookie",
    "transfer-encoding",
    "www-authenticate",
    "x-request-id",
];

/// The longest text that a report repeats.
const SHOWN_BYTES: usize = 200;

/// A refusal of the legacy backend, with everything that `answers` can say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Refusal {
    /// The status.
    pub status: u16,
    /// `content-type`.
    pub content_type: Option<String>,
    /// The body; absent when it is not text, or longer than an edge file may say.
    pub body: Option<String>,
    /// `www-authenticate`.
    pub challenge: Option<String>,
    /// The other headers, by name in lower case.
    pub headers: BTreeMap<String, String>,
    /// The names of all headers, in their case.
    pub names: Vec<String>,
}

/// The headers whose case shows the case of all: the server in front of a backend writes the others.
const TELLING: [&str; 3] = ["content-type", "content-length", "www-authenticate"];

impl Refusal {
    /// Reads `answer`. Absent when it refuses nothing: below 400, and from 500 on.
    #[must_use]
    pub fn read(answer: &Answer) -> Option<Self> {
        if !(400..500).contains(&answer.status) {
            return None;
        }
        let text = |name: &str| answer.header(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let body = match &answer.body {
            Body::Whole(bytes) if bytes.len() <= edge_config::MAX_ANSWER_BYTES => {
                String::from_utf8(bytes.clone()).ok()
            }
            Body::Whole(_) | Body::Digest { .. } => None,
        };
        let lines = answer.headers.iter().map(|line| (line.lower(), line));
        let other = lines.filter(|(name, _)| !OF_THE_MOMENT.contains(&name.as_str()));
        let other = other.map(|(name, line)| (name, String::from_utf8_lossy(&line.value).into_owned()));
        Some(Self {
            status: answer.status,
            content_type: text("content-type"),
            body,
            challenge: text("www-authenticate"),
            headers: other.collect(),
            names: answer
                .headers
                .iter()
                .map(|line| String::from_utf8_lossy(&line.name).into_owned())
                .collect(),
        })
    }
}

impl Refusal {
    /// The case of the header names; absent when it is neither of the two that Envoy writes.
    #[must_use]
    pub fn header_case(&self) -> Option<HeaderCase> {
        let mut names =
            self.names.iter().filter(|name| TELLING.iter().any(|header| name.eq_ignore_ascii_case(header)));
        let all = |case: HeaderCase| names.clone().all(|name| case.written(name) == *name);
        let case = [HeaderCase::Lower, HeaderCase::Title].into_iter().find(|case| all(*case));
        names.next().map_or(Some(HeaderCase::Lower), |_| case)
    }
}

/// One thing that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What: `status`, `content-type`, `body`, `www-authenticate`, `header NAME`, `case`.
    pub what: String,
    /// In the legacy backend's answer; absent when it has none.
    pub legacy: Option<String>,
    /// In the edge's; absent when it has none.
    pub edge: Option<String>,
}

/// What differs between the legacy backend's `answer` and the edge's refusal without a valid credential.
#[must_use]
pub fn differences(answer: &Answer, edge: &Answers, any_case: bool) -> Vec<Difference> {
    let expected = &edge.unauthenticated;
    let mut found = Vec::new();
    let mut differ = |what: &str, legacy: Option<String>, edge: Option<String>| {
        if legacy != edge {
            found.push(Difference {
                what: what.to_owned(),
                legacy: legacy.as_deref().map(shown),
                edge: edge.as_deref().map(shown),
            });
        }
    };
    differ("status", Some(answer.status.to_string()), Some(expected.status.to_string()));
    // An answer that lets the caller in, or fails, has no words, and its body may be anybody's data.
    let Some(refusal) = Refusal::read(answer) else { return found };
    differ("content-type", refusal.content_type.clone(), edge.content_type.clone());
    let unsayable = || format!("({} bytes that an edge file cannot say)", length(&answer.body));
    differ("body", Some(refusal.body.clone().unwrap_or_else(unsayable)), Some(expected.body.clone()));
    differ("www-authenticate", refusal.challenge.clone(), edge.challenge.clone());
    let names = refusal.headers.keys().chain(edge.headers.keys());
    for name in names.collect::<std::collections::BTreeSet<_>>() {
        let (legacy, edge) = (refusal.headers.get(name), edge.headers.get(name));
        differ(&format!("header {name}"), legacy.cloned(), edge.cloned());
    }
    if !any_case {
        let shared = |name: &&String| is_sent_by_edge(&name.to_ascii_lowercase(), edge);
        let legacy: Vec<&str> = refusal.names.iter().filter(shared).map(String::as_str).collect();
        let edge: Vec<String> = legacy.iter().map(|name| edge.header_case.written(name)).collect();
        differ("case", Some(legacy.join(", ")), Some(edge.join(", ")));
    }
    found
}

/// Whether the edge's refusal has the header `name`, too.
fn is_sent_by_edge(name: &str, edge: &Answers) -> bool {
    match name {
        "content-length" | "date" => true,
        "content-type" => edge.content_type.is_some(),
        "www-authenticate" => edge.challenge.is_some(),
        other => edge.headers.contains_key(other),
    }
}

fn length(body: &Body) -> u64 {
    match body {
        Body::Whole(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        Body::Digest { length, .. } => *length,
    }
}

/// `text` without what a terminal would take for more than text, and not longer than a report can bear.
fn shown(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    match plain.char_indices().find(|(at, _)| *at >= SHOWN_BYTES) {
        None => plain,
        Some((at, _)) => format!("{}…", plain.get(..at).unwrap_or(&plain)),
    }
}
