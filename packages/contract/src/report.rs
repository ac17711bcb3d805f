//! What a comparison found, for people and for programs.

pub mod html;
pub mod junit;

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::verify::{Finding, Outcome};

/// The listed requests of one group.
const MAX_LISTED: usize = 8;

/// Differences of one kind at one place, with the requests that have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group<'a> {
    /// The first of them.
    pub first: &'a Finding,
    /// The outcomes, in their order.
    pub of: Vec<&'a Outcome>,
}

/// What a run found.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// What was compared with what, as a sentence.
    pub title: String,
    /// The outcomes.
    pub outcomes: &'a [Outcome],
    /// What was not compared, as sentences.
    pub skipped: &'a [String],
}

impl Report<'_> {
    /// Whether every request was compared and is equal.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.outcomes.iter().all(Outcome::is_equal)
    }

    /// The differences by kind and place, the most frequent first. A status is another difference for each pair of statuses.
    #[must_use]
    pub fn groups(&self) -> Vec<Group<'_>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        for outcome in self.outcomes {
            for finding in &outcome.findings {
                let same = |other: &Finding| {
                    (other.kind, &other.place) == (finding.kind, &finding.place)
                        && (finding.kind != "status"
                            || (&other.expected, &other.actual) == (&finding.expected, &finding.actual))
                };
                match groups.iter_mut().find(|group| same(group.first)) {
                    Some(group) => group.of.push(outcome),
                    None => groups.push(Group { first: finding, of: vec![outcome] }),
                }
            }
        }
        groups.sort_by_key(|group| std::cmp::Reverse(group.of.len()));
        groups
    }

    /// The report as text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        for Group { first, of } in self.groups() {
            let count = if of.len() == 1 { String::new() } else { format!("  ({} requests)", of.len()) };
            let _ = writeln!(text, "{}{count}", heading(first));
            for line in sides(first) {
                let _ = writeln!(text, "  {line}");
            }
            for outcome in of.iter().take(MAX_LISTED) {
                let _ = writeln!(text, "    {}", listed(outcome));
            }
            if of.len() > MAX_LISTED {
                let _ = writeln!(text, "    and {} more", of.len() - MAX_LISTED);
            }
            text.push('\n');
        }
        for outcome in self.outcomes {
            if let Some(why) = &outcome.failed {
                let _ = writeln!(text, "not compared: {why}\n    {}\n", listed(outcome));
            }
        }
        for why in self.skipped {
            let _ = writeln!(text, "skipped: {why}");
        }
        let _ = writeln!(text, "{}", self.summary());
        text
    }

    /// The last line: how many requests are equal.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |test: fn(&Outcome) -> bool| self.outcomes.iter().filter(|one| test(one)).count();
        let (equal, all) = (count(Outcome::is_equal), self.outcomes.len());
        let differences: usize = self.outcomes.iter().map(|one| one.findings.len()).sum();
        let mut text = format!("{}: {equal} of {all} requests equal, {differences} differences", self.title);
        let failed = count(|one| one.failed.is_some());
        let noisy = count(|one| one.noise);
        let ignored = count(|one| one.ignored);
        for (number, what) in [
            (failed, "not compared"),
            (noisy, "with noise of the reference left out"),
            (ignored, "with declared differences left out"),
        ] {
            if number > 0 {
                let _ = write!(text, ", {number} {what}");
            }
        }
        text
    }

    /// The report as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let groups: Vec<Value> = self
            .groups()
            .iter()
            .map(|group| {
                let names: Vec<&str> = group.of.iter().map(|outcome| outcome.name.as_str()).collect();
                json!({ "kind": group.first.kind, "place": group.first.place, "count": names.len(), "requests": names })
            })
            .collect();
        let exchanges: Vec<Value> = self
            .outcomes
            .iter()
            .map(|outcome| {
                let Outcome {
                    name,
                    source,
                    request,
                    principal,
                    protocol,
                    findings,
                    failed,
                    noise,
                    ignored,
                    notes,
                    sides: _,
                } = outcome;
                json!({
                    "name": name, "source": source, "request": request, "as": principal, "protocol": protocol,
                    "equal": outcome.is_equal(), "failed": failed, "differences": findings,
                    "noise": noise, "ignored": ignored, "notes": notes,
                })
            })
            .collect();
        json!({
            "compared": self.title, "equal": self.is_equal(), "groups": groups, "exchanges": exchanges,
            "skipped": self.skipped,
        })
    }
}

/// Kind and place of a difference.
pub(crate) fn heading(finding: &Finding) -> String {
    let what = match finding.kind {
        "no_answer" => "no answer",
        "status" => "another status",
        "reason" => "another reason phrase",
        "header_missing" => "a header is missing",
        "header_extra" => "a header was added",
        "header_value" => "another header value",
        "header_case" => "another case of a header name",
        "header_order" => "another order of headers",
        "set_cookie_missing" => "a cookie is missing",
        "set_cookie_extra" => "a cookie was added",
        "set_cookie_value" => "another cookie value",
        "set_cookie_attributes" => "other cookie attributes",
        "body_missing" => "JSON: a member is missing",
        "body_extra" => "JSON: a member was added",
        "body_value" => "JSON: another value",
        "body_type" => "JSON: another type",
        "body_order" => "JSON: another order of members",
        "body_format" => "JSON: the same value in other bytes",
        "body_text" => "another text",
        "body_bytes" => "other bytes",
        "body_encoding" => "the same content in other compressed bytes",
        "framing" => "another framing of the body",
        other => other,
    };
    let place =
        if finding.place.is_empty() { String::new() } else { format!(" {}", visible(&finding.place)) };
    format!("{} ({what}){place}", finding.kind)
}

/// Both sides of a difference, and where they begin to differ.
pub(crate) fn sides(finding: &Finding) -> Vec<String> {
    let side = |value: &Option<String>| value.as_deref().map_or("(absent)".to_owned(), visible);
    let mut lines = vec![
        format!("expected: {}", side(&finding.expected)),
        format!("actual:   {}", side(&finding.actual)),
    ];
    if !finding.at.is_empty() {
        lines.push(finding.at.clone());
    }
    lines
}

/// A value in one line, with its invisible characters visible.
fn visible(text: &str) -> String {
    if text.is_empty() || text.trim() != text || text.chars().any(char::is_control) {
        return format!("{text:?}");
    }
    text.to_owned()
}

/// One request in a list.
pub(crate) fn listed(outcome: &Outcome) -> String {
    let principal =
        if outcome.principal.is_empty() { String::new() } else { format!(" as {}", outcome.principal) };
    let protocol =
        if outcome.protocol == "h1" { String::new() } else { format!(" over {}", outcome.protocol) };
    format!("{}{principal}{protocol}  [{}, {}]", outcome.request, outcome.name, outcome.source)
}

#[cfg(test)]
mod tests;
