//! Routes that take the same requests.

use std::collections::{BTreeMap, BTreeSet};

use super::Placed;
use crate::edge::{METHODS, Specificity};
use crate::reader::Context;

/// Routes of one host with the same path must take different methods, and each must have a method left.
pub(super) fn check(context: Context<'_>, placed: &[Placed]) {
    let mut groups: BTreeMap<(&str, Specificity<'_>), Vec<&Placed>> = BTreeMap::new();
    for p in placed {
        groups.entry((&p.route.host, p.route.path.specificity())).or_default().push(p);
    }
    for group in groups.values() {
        let mut taken: BTreeMap<&str, &Placed> = BTreeMap::new();
        let mut rest: Option<&Placed> = None;
        for p in group.iter().copied() {
            if p.route.methods.is_empty()
                && let Some(other) = rest.replace(p)
            {
                report_duplicate(context, p, other, "the same path");
            }
            for method in &p.route.methods {
                if let Some(other) = taken.insert(method, p) {
                    report_duplicate(context, p, other, &format!("{method} on the same path"));
                }
            }
        }
        if let Some(rest) = rest
            && METHODS.iter().all(|method| taken.contains_key(method))
        {
            let others: BTreeSet<_> = taken.values().map(|p| p.route.name.as_str()).collect();
            let others = others.into_iter().collect::<Vec<_>>().join("`, `");
            let problem = format!(
                "route `{}` is shadowed: `{others}` already take every method of its path",
                rest.route.name
            );
            context.faults.report(rest.place, problem, "remove it");
        }
    }
}

fn report_duplicate(context: Context<'_>, one: &Placed, other: &Placed, what: &str) {
    let (Placed { route, place }, first) = (one, other);
    // Names of parameters make no difference, so two paths that look different may be one.
    let (path, twin) = (route.path.path(), first.route.path.path());
    let same = if path == twin { String::new() } else { format!(" (`{path}` and `{twin}` are one)") };
    let problem = format!(
        "route `{}` is shadowed by `{}` on line {}: both take {what}{same}",
        route.name, first.route.name, first.place.line
    );
    context.faults.report(*place, problem, "remove one, or give them different methods");
}
