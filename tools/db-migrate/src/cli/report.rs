//! Reports on standard output.

use std::io::Write as _;

use crate::application::FailedCheck;
use crate::moving::Outcome;
use crate::parity::Parity;
use crate::place::Place;
use crate::preparation::Preparation;
use crate::rollback::Undone;
use crate::tree::TreeParity;

pub(super) fn outcome(outcome: &Outcome, json: bool) {
    let text = || {
        let mut text = parity_text(&outcome.parity);
        text.push_str(&checks_text(&outcome.failed_checks));
        text.push_str(&format!("dump: {}\n", outcome.dump.display()));
        if outcome.is_good() {
            text.push_str("run ANALYZE in the target before it takes load\n");
        }
        if outcome.source_is_read_only {
            text.push_str("the source is still read-only; `db-migrate rollback` lets it take writes again\n");
        }
        text
    };
    print(&serde_json::json!(outcome), text, json);
}

pub(super) fn verified(parity: &Parity, failed_checks: &[FailedCheck], json: bool) {
    let text = || format!("{}{}", parity_text(parity), checks_text(failed_checks));
    print(&serde_json::json!({ "parity": parity, "failed_checks": failed_checks }), text, json);
}

pub(super) fn preparation(prepared: &Preparation, source: &Place, target: &Place, json: bool) {
    let text = || {
        let mut text = format!("{source} ({} bytes) to {target}\n", prepared.source_bytes);
        for table in &prepared.tables {
            text.push_str(&format!(
                "  {}: about {} rows, {} bytes\n",
                table.name, table.estimated_rows, table.bytes
            ));
        }
        text.push_str("steps: freeze, dump, restore, compare, check, release\n");
        for note in &prepared.notes {
            text.push_str(&format!("note: {note}\n"));
        }
        for fault in &prepared.faults {
            text.push_str(&format!("FAULT: {fault}\n"));
        }
        text
    };
    print(&serde_json::json!(prepared), text, json);
}

pub(super) fn undone(undone: Undone, json: bool) {
    let text = || {
        let source =
            if undone.source_released { "takes writes again" } else { "was not read-only by this move" };
        let target = if undone.target_cleared { "is empty" } else { "stays as it is" };
        format!("the source {source}; the target {target}\n")
    };
    print(&serde_json::json!(undone), text, json);
}

pub(super) fn planned(lines: &[String], json: bool) {
    print(
        &serde_json::json!({ "planned": lines }),
        || lines.iter().map(|line| format!("{line}\n")).collect(),
        json,
    );
}

pub(super) fn trees(parity: &TreeParity, json: bool) {
    let text = || {
        let mut text = format!(
            "{} files, {} directories, {} links, {} bytes compared; {} differences\n",
            parity.files, parity.directories, parity.links, parity.bytes, parity.found
        );
        for difference in &parity.differences {
            text.push_str(&format!(
                "  {} {}: {} in the source, {} in the target\n",
                difference.aspect, difference.path, difference.source, difference.target
            ));
        }
        text
    };
    print(&serde_json::json!(parity), text, json);
}

fn parity_text(parity: &Parity) -> String {
    let mut text = format!(
        "{} tables, {} rows compared; schema {}; {} differences\n",
        parity.tables, parity.rows, parity.source_schema, parity.found
    );
    for difference in &parity.differences {
        let shown = |side: &Option<String>| side.as_deref().unwrap_or("missing").to_owned();
        text.push_str(&format!(
            "  {} {}: {} in the source, {} in the target\n",
            difference.kind,
            difference.name,
            shown(&difference.source),
            shown(&difference.target)
        ));
    }
    text
}

fn checks_text(failed: &[FailedCheck]) -> String {
    failed.iter().map(|check| format!("  check FAILED: {}: {}\n", check.name, check.found)).collect()
}

/// A closed standard output loses the report; the exit code still says what was found.
fn print(value: &serde_json::Value, text: impl FnOnce() -> String, json: bool) {
    let report = if json { format!("{value}\n") } else { text() };
    let _ = std::io::stdout().write_all(report.as_bytes());
}
