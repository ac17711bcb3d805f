//! The report as one HTML page without scripts and without anything from elsewhere.

use super::{Group, Report, heading, listed, sides};
use crate::verify::Outcome;

/// The shown length of one side: a page with a hundred answers of a megabyte opens in no browser.
const MAX_SIDE_CHARS: usize = 20_000;

/// The most requests whose answers are shown beside each other.
const MAX_SIDES: usize = 200;

const STYLE: &str = "
:root{color-scheme:light dark;--line:#8884;--bad:#c62828;--good:#2e7d32;--mark:#ffb30055}
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:88rem;padding:0 1rem}
h1{font-size:1.4rem;margin:0 0 .2rem}h2{font-size:1.1rem;margin:2rem 0 .5rem}
.sum{font-size:1.05rem;margin:.2rem 0 1rem}.bad{color:var(--bad)}.good{color:var(--good)}
pre,code{font:13px/1.45 ui-monospace,monospace}pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere}
.group,details{border:1px solid var(--line);border-radius:6px;margin:.6rem 0;padding:.6rem .8rem}
.group h3{font-size:1rem;margin:0 0 .4rem}summary{cursor:pointer}ul{margin:.3rem 0;padding-left:1.2rem}
.sides{display:grid;grid-template-columns:1fr 1fr;gap:.8rem;margin-top:.6rem}
.sides div{border:1px solid var(--line);border-radius:4px;padding:.5rem;min-width:0}
.sides h4{font-size:.85rem;margin:0 0 .3rem;opacity:.7}mark{background:var(--mark);color:inherit;display:block}
@media(max-width:50rem){.sides{grid-template-columns:1fr}}";

/// The page.
#[must_use]
pub fn render(report: &Report<'_>) -> String {
    let class = if report.is_equal() { "good" } else { "bad" };
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\n<title>cutover contract</title>\n<style>{STYLE}</style>\n<h1>{}</h1>\n<p class=\"sum {class}\">{}</p>\n",
        "The contract",
        escaped(&report.summary()),
    );
    let groups = report.groups();
    if !groups.is_empty() {
        page.push_str("<h2>Differences</h2>\n");
    }
    for Group { first, of } in &groups {
        let requests: String = of
            .iter()
            .map(|one| format!("<li><a href=\"#{}\">{}</a>", id(one), escaped(&listed(one))))
            .collect();
        page.push_str(&format!(
            "<div class=\"group\"><h3>{}</h3><pre>{}</pre><ul>{requests}</ul></div>\n",
            escaped(&heading(first)),
            escaped(&sides(first).join("\n")),
        ));
    }
    let failed: String = report
        .outcomes
        .iter()
        .filter_map(|one| Some(format!("<li>{}: {}", escaped(&listed(one)), escaped(one.failed.as_deref()?))))
        .chain(report.skipped.iter().map(|why| format!("<li>{}", escaped(why))))
        .collect();
    if !failed.is_empty() {
        page.push_str(&format!("<h2>Not compared</h2>\n<ul>{failed}</ul>\n"));
    }
    let different: Vec<&Outcome> = report.outcomes.iter().filter(|one| one.sides.is_some()).collect();
    if !different.is_empty() {
        page.push_str("<h2>Answers side by side</h2>\n");
    }
    for outcome in different.iter().take(MAX_SIDES) {
        page.push_str(&side_by_side(outcome));
    }
    if different.len() > MAX_SIDES {
        page.push_str(&format!("<p>{} more are in the JSON report.</p>\n", different.len() - MAX_SIDES));
    }
    page.push_str("<h2>Requests</h2>\n<ul>\n");
    for outcome in report.outcomes {
        let (class, word) = if outcome.is_equal() { ("good", "equal") } else { ("bad", "different") };
        page.push_str(&format!("<li><span class=\"{class}\">{word}</span> {}\n", escaped(&listed(outcome))));
    }
    page.push_str("</ul>\n</html>\n");
    page
}

fn side_by_side(outcome: &Outcome) -> String {
    let Some((one, other)) = &outcome.sides else { return String::new() };
    let all: String = outcome.findings.iter().map(|one| format!("<li>{}", escaped(&heading(one)))).collect();
    format!(
        "<details id=\"{}\" open><summary><code>{}</code></summary><ul>{all}</ul><div class=\"sides\"><div><h4>expected</h4><pre>{}</pre></div><div><h4>actual</h4><pre>{}</pre></div></div></details>\n",
        id(outcome),
        escaped(&listed(outcome)),
        marked(one, other),
        marked(other, one),
    )
}

/// The lines of `text`, those that `other` does not have marked.
fn marked(text: &str, other: &str) -> String {
    let mut left: std::collections::BTreeMap<&str, usize> = std::collections::BTreeMap::new();
    for line in other.split('\n') {
        *left.entry(line).or_default() += 1;
    }
    let mut out = String::new();
    let mut shown = 0;
    for line in text.split('\n') {
        let known = left.get_mut(line).filter(|count| **count > 0).map(|count| *count -= 1).is_some();
        let line: String = line.chars().take(MAX_SIDE_CHARS - shown).collect();
        shown += line.chars().count();
        let line = escaped(&line);
        out.push_str(&if known { format!("{line}\n") } else { format!("<mark>{line}&#8203;</mark>") });
        if shown >= MAX_SIDE_CHARS {
            out.push('…');
            break;
        }
    }
    out
}

fn id(outcome: &Outcome) -> String {
    let parts = [&outcome.name, &outcome.principal, &outcome.protocol];
    escaped(&parts.map(String::as_str).join("."))
}

/// The picture of a control character (Unicode, "Control Pictures").
fn picture(control: char) -> char {
    let code = if control == '\u{7f}' { 0x2421 } else { 0x2400 + u32::from(control) };
    char::from_u32(code).unwrap_or('\u{fffd}')
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // A browser makes a line of a CR and nothing of a NUL, and a difference could be there.
            c if c.is_ascii_control() && !matches!(c, '\n' | '\t') => out.push(picture(c)),
            c => out.push(c),
        }
    }
    out
}
