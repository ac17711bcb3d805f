//! Limits of other programs, as those of an edge file. What cannot be said is named, and no limit becomes looser.

use super::nginx_text::Directive;
use super::yaml::Yaml;
use crate::draft::Limit;

/// The most that a limit of an edge file may count, and the longest time that it counts in.
const MOST: u32 = 1_000_000;

/// Kong's windows with their length in seconds. A month and a year are longer than a limit of an edge counts.
const WINDOWS: [(&str, u32); 4] = [("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400)];

/// The limits of Kong's plugin `rate-limiting`, with names that begin with `name`.
///
/// # Errors
/// What cannot be translated.
pub(super) fn of_kong(plugin: &Yaml, name: &str) -> Result<Vec<Limit>, String> {
    let config = plugin.get("config").ok_or("it has no `config`")?;
    // Kong counts by the consumer unless it is configured otherwise, and by the address where there is none.
    let per = match config.text_of("limit_by").unwrap_or("consumer") {
        "consumer" | "credential" => "subject",
        "ip" => "address",
        other => return Err(format!("it counts by {other}")),
    };
    if let Some(window) = ["month", "year"].into_iter().find(|window| config.get(window).is_some()) {
        return Err(format!("it counts in a {window}, and a limit of the edge counts in a day at most"));
    }
    let mut limits = Vec::new();
    for (window, seconds) in WINDOWS {
        let Some(value) = config.get(window).and_then(Yaml::text) else { continue };
        let rate = value.parse().ok().filter(|rate| (1..=MOST).contains(rate));
        let rate = rate.ok_or_else(|| format!("it allows {value} requests in a {window}"))?;
        limits.push(Limit { name: format!("{name}-per-{window}"), per, rate, seconds, burst: None });
    }
    if limits.is_empty() { Err("it names no window".to_owned()) } else { Ok(limits) }
}

/// The zone of nginx's `limit_req_zone KEY zone=NAME:SIZE rate=NUMBERr/s`, as a limit without a burst.
///
/// # Errors
/// What cannot be translated.
pub(super) fn of_zone(directive: &Directive) -> Result<(String, Limit), String> {
    let key = directive.first();
    if key != "$binary_remote_addr" && key != "$remote_addr" {
        return Err(format!("it counts by {key}"));
    }
    let value = |name: &str| directive.arguments.iter().find_map(|word| word.strip_prefix(name));
    let zone = value("zone=").and_then(|zone| zone.split(':').next()).ok_or("it names no zone")?;
    let rate = value("rate=").ok_or("it has no rate")?;
    let (number, seconds) = match (rate.strip_suffix("r/s"), rate.strip_suffix("r/m")) {
        (Some(number), _) => (number, 1),
        (None, Some(number)) => (number, 60),
        (None, None) => return Err(format!("its rate is {rate}")),
    };
    let number = number.parse().ok().filter(|number| (1..=MOST).contains(number));
    let rate = number.ok_or_else(|| format!("its rate is {rate}"))?;
    // nginx takes one request at a time, and as many more as its `burst` says.
    let limit = Limit { name: zone.to_owned(), per: "address", rate, seconds, burst: Some(1) };
    Ok((zone.to_owned(), limit))
}

/// The zone that nginx's `limit_req zone=NAME burst=NUMBER` names, and how many requests may come at once.
pub(super) fn of_use(directive: &Directive) -> Option<(&str, u32)> {
    let value = |name: &str| directive.arguments.iter().find_map(|word| word.strip_prefix(name));
    let burst: u32 = value("burst=").map_or(Some(0), |burst| burst.parse().ok())?;
    Some((value("zone=")?, burst.saturating_add(1).min(MOST)))
}
