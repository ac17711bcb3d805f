//! Proposes the `answers` with the legacy backend's wording.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use edge_config::Edge;
use edge_config::edge::{Answers, HeaderCase, RefusalAnswer, RefusalStatus};
use serde::Serialize;

use super::compare::Refusal;

/// The refusals that the routes of one name of `answers` received.
#[derive(Clone, Debug, Default)]
pub struct Observed(BTreeMap<String, BTreeMap<String, Vec<Refusal>>>);

impl Observed {
    /// Remembers a refusal of the legacy backend on `route`, which speaks in `answers`.
    pub fn add(&mut self, answers: &str, route: &str, refusal: Refusal) {
        let routes = self.0.entry(answers.to_owned()).or_default();
        routes.entry(route.to_owned()).or_default().push(refusal);
    }
}

/// The right words for some routes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proposal {
    /// The name in `answers`: the present one, or a new one where routes of one name are refused in different words.
    pub name: String,
    /// The routes that should have it.
    pub routes: Vec<String>,
    /// The section, as YAML.
    pub yaml: String,
    /// What it cannot say.
    pub notes: Vec<String>,
}

/// The words to write into the edge file: none for names that say the right ones.
#[must_use]
pub fn proposals(edge: &Edge, observed: &Observed, any_case: bool) -> Vec<Proposal> {
    let mut proposals = Vec::new();
    let mut taken: BTreeSet<String> = edge.answers.keys().cloned().collect();
    for (name, routes) in &observed.0 {
        let Some(present) = edge.answers.get(name) else { continue };
        let mut groups: BTreeMap<Words, (Vec<String>, BTreeSet<String>)> = BTreeMap::new();
        for (route, refusals) in routes {
            let (words, notes) = Words::of(refusals, any_case);
            let (routes, all) = groups.entry(words).or_default();
            routes.push(route.clone());
            all.extend(notes);
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        // The words of most routes keep the name.
        groups.sort_by_key(|(_, (routes, _))| std::cmp::Reverse(routes.len()));
        for (index, (words, (routes, notes))) in groups.into_iter().enumerate() {
            if words.are_of(present) {
                continue;
            }
            let name = if index == 0 { name.clone() } else { new_name(name, &routes, &mut taken) };
            let mut notes: Vec<String> = notes.into_iter().collect();
            let yaml = words.yaml(&name, &routes, present, &mut notes);
            proposals.push(Proposal { name, routes, yaml, notes });
        }
    }
    proposals
}

fn new_name(name: &str, routes: &[String], taken: &mut BTreeSet<String>) -> String {
    let first = routes.first().map_or("", String::as_str);
    let all = std::iter::once(format!("{name}-{first}")).chain((2..).map(|n| format!("{name}-{n}")));
    let free = all.into_iter().find(|name| !taken.contains(name)).unwrap_or_default();
    taken.insert(free.clone());
    free
}

/// What one refusal says, without its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Words {
    status: u16,
    body: Option<String>,
    content_type: Option<String>,
    challenge: Option<String>,
    headers: BTreeMap<String, String>,
    /// Absent when Envoy writes no such case, or when the case does not matter.
    case: Option<HeaderCase>,
}

impl Words {
    /// The words that most of `refusals` have, which are not empty, and what could not be said beside them.
    fn of(refusals: &[Refusal], any_case: bool) -> (Self, Vec<String>) {
        let mut counts: BTreeMap<Self, usize> = BTreeMap::new();
        for refusal in refusals {
            let case = refusal.header_case().filter(|_| !any_case);
            let Refusal { status, content_type, body, challenge, headers, names: _ } = refusal.clone();
            *counts.entry(Self { status, body, content_type, challenge, headers, case }).or_default() += 1;
        }
        let several = counts.len();
        let most = counts.into_iter().max_by_key(|(words, count)| (*count, words.status == 401));
        let mut words = most.map(|(words, _)| words).unwrap_or(Self {
            status: 401,
            body: None,
            content_type: None,
            challenge: None,
            headers: BTreeMap::new(),
            case: None,
        });
        // A header that is not the same in every refusal is not constant: an id, a time, a digest.
        let constant =
            |name: &String, value: &String| refusals.iter().all(|one| one.headers.get(name) == Some(value));
        words.headers.retain(|name, value| constant(name, value));
        let notes = if several > 1 {
            vec![format!(
                "the legacy backend has {several} different refusals here; these are the words of most"
            )]
        } else {
            Vec::new()
        };
        (words, notes)
    }

    fn are_of(&self, answers: &Answers) -> bool {
        let Self { status, body, content_type, challenge, headers, case } = self;
        case.is_none_or(|case| case == answers.header_case)
            && *status == answers.unauthenticated.status.get()
            && body.as_deref() == Some(answers.unauthenticated.body.as_str())
            && *content_type == answers.content_type
            && *challenge == answers.challenge
            && *headers == answers.headers
    }

    fn yaml(&self, name: &str, routes: &[String], present: &Answers, notes: &mut Vec<String>) -> String {
        let mut text = format!("  {name}:    # {}\n", routes.join(", "));
        if let Some(content_type) = &self.content_type {
            let _ = writeln!(text, "    content_type: {}", scalar(content_type));
        }
        let unauthenticated = match (RefusalStatus::new(self.status), &self.body) {
            (Some(status), Some(body)) => RefusalAnswer { status, body: body.clone() },
            (status, body) => {
                if status.is_none() {
                    notes.push(format!("Envoy cannot refuse with {}", self.status));
                }
                if body.is_none() {
                    notes.push("the body is not text, or is too long for an edge file".to_owned());
                }
                present.unauthenticated.clone()
            }
        };
        let line = |field: &str, answer: &RefusalAnswer, remark: &str| {
            format!("    {field}: {{ status: {}, body: {} }}{remark}\n", answer.status, scalar(&answer.body))
        };
        text.push_str(&line("unauthenticated", &unauthenticated, ""));
        // No question without a valid credential shows these.
        let kept = "    # as before: it takes a valid credential to see it";
        text.push_str(&line("forbidden", &present.forbidden, kept));
        text.push_str(&line("not_found", &present.not_found, kept));
        text.push_str(&line("unavailable", &present.unavailable, "    # as before: the edge's own"));
        if self.content_type != present.content_type {
            notes.push(
                "one content type is sent with all of these bodies; check those that stay as before"
                    .to_owned(),
            );
        }
        if self.case == Some(HeaderCase::Title) {
            text.push_str("    header_case: title\n");
            notes.push("all answers of a listener need the same `header_case`, and request headers reach backends in lower case then".to_owned());
        }
        if let Some(challenge) = &self.challenge {
            let _ = writeln!(text, "    challenge: {}", scalar(challenge));
        }
        if !self.headers.is_empty() {
            let all: Vec<String> =
                self.headers.iter().map(|(name, value)| format!("{name}: {}", scalar(value))).collect();
            let _ = writeln!(text, "    headers: {{ {} }}", all.join(", "));
        }
        text
    }
}

/// A text as YAML: every JSON string is one.
fn scalar(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
