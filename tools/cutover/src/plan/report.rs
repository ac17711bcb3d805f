//! Prints a plan for people (Markdown, as a pull request shows it), for programs (JSON) and for CI systems.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::found::{Finding, Plan, Protection, Region};
use crate::annotate::{Annotation, Level, Report, Rule};

/// A person does not read more rows than this; the JSON has all of them.
const MAX_ROWS: usize = 200;

/// The plan as Markdown.
pub(super) fn markdown(plan: &Plan) -> String {
    let mut text = format!("### Edge: `{}` to `{}`\n", plan.from, plan.to);
    if plan.is_empty() {
        text.push_str("\nEvery request is treated as before.\n");
        return text;
    }
    let verdict = if plan.weaker() {
        "**Something becomes less protected.**"
    } else {
        "Nothing becomes less protected."
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "\n{verdict}");
    if !plan.requests.is_empty() {
        text.push_str("\n| | requests | before | after | what |\n|---|---|---|---|---|\n");
        for (region, finding) in plan.requests.iter().take(MAX_ROWS) {
            let Finding { standing, before, after, because } = finding;
            let row =
                [mark(*standing), &shown(region), before, after, &because.join("; ")].map(cell).join(" | ");
            let _ = writeln!(text, "| {row} |");
        }
        let more = plan.requests.len().saturating_sub(MAX_ROWS);
        if more > 0 {
            let _ = writeln!(text, "\n{more} more; `--json` lists all of them.");
        }
    }
    if !plan.edge.is_empty() {
        text.push_str("\n| | the edge | what |\n|---|---|---|\n");
        for (subject, finding) in &plan.edge {
            let row = [mark(finding.standing), subject, &finding.because.join("; ")].map(cell).join(" | ");
            let _ = writeln!(text, "| {row} |");
        }
    }
    text
}

fn mark(standing: Protection) -> &'static str {
    match standing {
        Protection::Weaker => "**weaker**",
        Protection::Opened => "opened",
        Protection::Closed => "closed",
        Protection::Stricter => "stricter",
        Protection::Same => "",
    }
}

fn shown(region: &Region) -> String {
    let hosts: Vec<_> =
        region.hosts.iter().map(|h| if h == "*" { "any other host" } else { h.as_str() }).collect();
    format!(
        "{} `{}` on {} ({})",
        region.shown_methods(),
        region.shown_path(),
        hosts.join(", "),
        region.listener
    )
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}

/// The plan as JSON.
pub(super) fn json(plan: &Plan) -> Value {
    let requests: Vec<Value> = plan
        .requests
        .iter()
        .map(|(region, finding)| {
            json!({
                "listener": region.listener,
                "hosts": region.hosts,
                "path": region.path,
                "itself": region.itself,
                "below": region.below,
                "methods": region.methods,
                "standing": finding.standing.as_str(),
                "before": finding.before,
                "after": finding.after,
                "because": finding.because,
            })
        })
        .collect();
    let edge: Vec<Value> = plan
        .edge
        .iter()
        .map(|(subject, finding)| {
            json!({
                "subject": subject,
                "standing": finding.standing.as_str(),
                "because": finding.because,
            })
        })
        .collect();
    json!({ "from": plan.from, "to": plan.to, "weaker": plan.weaker(), "requests": requests, "edge": edge })
}

/// The kinds of rows of a plan.
const RULES: &[Rule] = &[
    Rule { name: "weaker", about: "Something becomes less protected." },
    Rule { name: "opened", about: "Requests are accepted that were refused before." },
    Rule { name: "closed", about: "Requests are refused that were accepted before." },
    Rule { name: "stricter", about: "Something becomes more protected." },
    Rule { name: "same", about: "Something changes that protects nothing." },
];

/// The plan for CI systems, about the changed edge file `new`. A weaker row is an error unless it `may_be_weaker`.
pub(super) fn annotated(plan: &Plan, new: &Path, may_be_weaker: bool) -> Report {
    let one = |subject: String, finding: &Finding| Annotation {
        rule: finding.standing.as_str(),
        level: match finding.standing {
            Protection::Weaker if may_be_weaker => Level::Warning,
            Protection::Weaker => Level::Error,
            Protection::Opened | Protection::Closed | Protection::Stricter | Protection::Same => {
                Level::Notice
            }
        },
        file: new.to_owned(),
        place: None,
        message: format!("{subject}: {}", finding.because.join("; ")),
        fix: None,
    };
    let requests = plan.requests.iter().map(|(region, finding)| one(shown(region), finding));
    let edge = plan.edge.iter().map(|(subject, finding)| one(subject.clone(), finding));
    Report {
        command: "plan",
        rules: RULES,
        files: vec![new.to_owned()],
        annotations: requests.chain(edge).collect(),
    }
}
