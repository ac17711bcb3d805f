//! Compares the limits of two routes: how many requests each lets pass.

use std::collections::BTreeMap;

use edge_config::Edge;
use edge_config::edge::{Limit, Mode, Quota, RateHeaders, Route};

use super::found::{Aspects, Protection};
use super::policy::mode_changed;

/// Notes how the limits of a route changed.
pub(super) fn compare(
    (old_edge, old): (&Edge, &Route),
    (new_edge, new): (&Edge, &Route),
    noted: &mut Aspects,
) {
    for name in &old.limits {
        let Some(before) = old_edge.limits.get(name) else { continue };
        let after = new.limits.iter().any(|n| n == name).then(|| new_edge.limits.get(name)).flatten();
        match after {
            Some(after) => limit(name, before, after, noted),
            // The same limit under another name.
            None if new.limits.iter().any(|n| new_edge.limits.get(n) == Some(before)) => {}
            None => match before.mode {
                Mode::Enforce => noted.note(Protection::Weaker, format!("limit `{name}` dropped")),
                Mode::Shadow => noted.note(
                    Protection::Same,
                    format!("limit `{name}` dropped, which was not enforced (shadow)"),
                ),
            },
        }
    }
    for name in new.limits.iter().filter(|name| !old.limits.contains(name)) {
        let Some(after) = new_edge.limits.get(name) else { continue };
        if old.limits.iter().all(|n| old_edge.limits.get(n) != Some(after)) {
            noted.note(Protection::Stricter, format!("limit `{name}` added"));
        }
    }
}

fn limit(name: &str, old: &Limit, new: &Limit, noted: &mut Aspects) {
    let Limit { per, quota: base, mode, headers, overrides, plans } = new;
    if old.per != *per {
        noted.note(
            Protection::Weaker,
            format!("limit `{name}` counts by {} instead of {}", per.as_str(), old.per.as_str()),
        );
    }
    quota(&format!("limit `{name}`"), old.quota, *base, noted);
    let own = |what: &str,
               before: &BTreeMap<String, Quota>,
               after: &BTreeMap<String, Quota>,
               noted: &mut Aspects| {
        for key in before.keys().chain(after.keys().filter(|key| !before.contains_key(*key))) {
            let (had, has) = (before.get(key), after.get(key));
            // A key without a quota of its own has that of all, whose change is noted above.
            if had.is_some() || has.is_some() {
                let (had, has) = (had.copied().unwrap_or(old.quota), has.copied().unwrap_or(*base));
                if (had, has) != (old.quota, *base) {
                    quota(&format!("limit `{name}` for {what} `{key}`"), had, has, noted);
                }
            }
        }
    };
    own(per.as_str(), &old.overrides, overrides, noted);
    own("plan", &old.plans, plans, noted);
    if old.headers != *headers {
        let now = match headers {
            RateHeaders::Always => "also on permitted answers, so its routes have no leases",
            RateHeaders::Refusals => "on refusals alone",
        };
        noted.note(Protection::Same, format!("limit `{name}` is shown {now}"));
    }
    mode_changed(&format!("limit `{name}`"), old.mode, *mode, true, noted);
}

fn quota(what: &str, old: Quota, new: Quota, noted: &mut Aspects) {
    let shown = |Quota { rate, period, burst: _ }: Quota| format!("{rate} in {} s", period.as_secs());
    // Compared by the interval between two requests: 600 a minute and 10 a second are the same.
    let (before, after) = (old.interval_micros(), new.interval_micros());
    if before != after {
        let (standing, word) =
            if after < before { (Protection::Weaker, "raised") } else { (Protection::Stricter, "lowered") };
        noted.note(standing, format!("{what} {word} from {} to {}", shown(old), shown(new)));
    }
    noted.more_is_weaker(&format!("burst of {what}"), old.burst, new.burst, ToString::to_string);
}
