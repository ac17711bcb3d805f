//! `hsts` of a listener or a host.

use crate::edge::Hsts;
use crate::node::Node;
use crate::reader::{self, Context, Fields};

/// Ten years. Browsers' own lists demand one.
const MOST_SECONDS: u64 = 315_360_000;
/// A year, which the browsers' lists demand (<https://hstspreload.org>).
const PRELOAD_SECONDS: u64 = 31_536_000;

/// `{ max_age_seconds: 31536000, include_subdomains: true, preload: true }`
pub(super) fn read(context: Context<'_>, node: &Node, whose: &str) -> Option<Hsts> {
    let what = format!("`hsts` of {whose}");
    let mut fields = Fields::of(context, node, &*what);
    let max_age = fields
        .required("max_age_seconds", "write how long browsers remember it: begin with 300, end with 31536000")
        .and_then(|n| reader::number(context, n, &format!("`max_age_seconds` of {what}"), 0, MOST_SECONDS));
    let mut flag = |name: &'static str| {
        fields
            .optional(name)
            .map_or(Some(false), |n| reader::boolean(context, n, &format!("`{name}` of {what}")))
    };
    let (include_subdomains, preload) = (flag("include_subdomains"), flag("preload"));
    fields.finish();
    let hsts = Hsts { max_age: max_age?, include_subdomains: include_subdomains?, preload: preload? };
    if hsts.preload && !(hsts.include_subdomains && hsts.max_age >= PRELOAD_SECONDS) {
        let problem = format!("{what} has `preload`, which the browsers' lists do not take like this");
        let mend = format!(
            "add `include_subdomains: true` and at least `max_age_seconds: {PRELOAD_SECONDS}`, or remove `preload`"
        );
        context.faults.report(node.place, problem, mend);
    }
    Some(hsts)
}
