//! The conditions under which a backend gets more requests and keeps the ones that it has. No I/O.

use std::fmt;
use std::str::FromStr;

use super::estimate::{P95, is_surely_above, number};
use super::tally::{View, Views};

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    /// The new backend's failures are below this percentage: 5xx, and the gRPC statuses that count as failures.
    ErrorsBelow(f64),
    /// The new backend's 95th percentile exceeds the others' by less than this percentage.
    SlowerBelow(f64),
    /// The new backend's 95th percentile is below this, in milliseconds.
    P95Below(f64),
    /// At most this many compared answers differ, in the comparator's report.
    DiffAtMost(u64),
    /// The backend refuses no caller that the edge lets pass.
    Agreement,
}

/// The samples that a gate needs for its verdict.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// The answers, comparisons or verdicts that a gate needs to hold. To fail, a fifth of them is enough: a clear fault
    /// shows earlier than its absence, and a very slow backend gives few answers.
    pub least: u64,
    /// A 95th percentile that exceeds the others' by less than this, in milliseconds, is not worse.
    pub floor_ms: f64,
}

/// The observations since the step began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Why the access log cannot be read; nothing when it can.
    pub unreadable: Option<String>,
    /// The new backend on this route.
    pub new: Views,
    /// The other backends of the route on this route, if they answered at all.
    pub old: Vec<Views>,
    /// The new backend on all routes.
    pub everywhere: Views,
    /// Answers of the new backend and failures among them, by Envoy's counters.
    pub counters: (u64, u64),
    /// Whether the new backend has all requests, so that the others receive none any more.
    pub moved: bool,
    /// Compared answers and those that differ; absent when the report could not be read.
    pub shadow: Option<(u64, u64)>,
    /// Requests of the route that the edge let pass and on which a backend gave a verdict, and how many of them it refused.
    pub agreement: (u64, u64),
}

/// The times of the others when they last answered enough, at this step or an earlier one.
///
/// A step counts from its own beginning, and the others may answer nothing in it: because everything was moved, or because
/// the new backend is so slow that it holds every client. A comparison matters most at those steps.
#[derive(Clone, Copy, Debug, Default)]
pub struct Earlier(Option<Views>);

impl Earlier {
    /// Remembers the slowest of the others in `seen`. When none has answered enough, the remembered one stands for them.
    pub fn complete(&mut self, seen: &mut Seen, rule: &Rule) {
        let p95 = |views: &Views| views.all.p95.filter(|p95| p95.count >= rule.least).map(|p95| p95.ms);
        let enough = seen.old.iter().filter(|views| p95(views).is_some());
        let slowest = enough.max_by(|a, b| p95(a).unwrap_or(0.0).total_cmp(&p95(b).unwrap_or(0.0)));
        self.0 = slowest.copied().or(self.0);
        if let Some(known) = self.0 {
            seen.old = vec![known];
        }
    }
}

/// A gate's verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateVerdict {
    /// The gate holds.
    Holds(String),
    /// Too little was seen for a verdict. The next step waits.
    Undecided(String),
    /// The gate does not hold.
    Fails(String),
}

impl Rule {
    /// How many answers a gate needs to fail.
    fn least_to_fail(&self) -> u64 {
        (self.least / 5).max(1)
    }
}

/// [`GateVerdict::Undecided`] when `count` is less than the gate needs.
fn too_few(count: u64, rule: &Rule, what: &str) -> Option<GateVerdict> {
    (count < rule.least).then(|| GateVerdict::Undecided(format!("{count} of {} {what}", rule.least)))
}

impl Seen {
    /// Whether Envoy has counted more than twice as many answers as it has logged.
    pub(super) fn log_is_behind(&self) -> bool {
        number(self.counters.0) > 2.0 * self.everywhere.all.answers
    }

    /// Judges by Envoy's counters as long as they are far ahead of the log. Envoy writes the log every 10 s unless it is
    /// started with another interval, and a backend that is down must not keep its share for that long.
    fn alarm(&self, rule: &Rule) -> Option<String> {
        let (answers, failures) = self.counters;
        (self.log_is_behind() && answers >= rule.least && failures.saturating_mul(2) > answers).then(|| {
            let percent = 100.0 * number(failures) / number(answers);
            format!(
                "{percent:.2} % of {answers} failed according to Envoy's counters; the access log is behind"
            )
        })
    }
}

/// Judges the share of failures twice: over all answers, and with each client bounded.
fn errors(views: &Views, most: f64, rule: &Rule) -> GateVerdict {
    let Views { all, bounded } = views;
    let percent = |view: &View| 100.0 * view.failures / view.answers.max(1.0);
    let said = |view: &View| format!("{:.2} % of {:.0} failed", percent(view), view.answers);
    let bounded_said = || format!("{} with each client bounded", said(bounded));
    let fails = |view: &View| is_surely_above(view.failures, view.answers, most / 100.0);
    // Too few to be sure, and too many to continue.
    let doubtful = |view: &View| percent(view) >= most;
    let enough_to_fail = all.answers >= number(rule.least_to_fail());
    if enough_to_fail && fails(all) {
        GateVerdict::Fails(said(all))
    } else if enough_to_fail && fails(bounded) {
        GateVerdict::Fails(bounded_said())
    } else if all.answers < number(rule.least) {
        GateVerdict::Undecided(format!("{:.0} of {} answers", all.answers, rule.least))
    } else if doubtful(all) {
        GateVerdict::Undecided(said(all))
    } else if doubtful(bounded) {
        GateVerdict::Undecided(bounded_said())
    } else {
        GateVerdict::Holds(said(all))
    }
}

/// Judges a percentile. `limits` gives the limit, the sure limit, and words for the value that it is compared with.
fn times(
    new: &Views,
    rule: &Rule,
    limits: impl Fn(fn(&Views) -> &View) -> Option<(f64, f64, String)>,
) -> GateVerdict {
    let count = new.all.p95.map_or(0, |p95| p95.count);
    let judge = |view: fn(&Views) -> &View, how: &str| {
        let P95 { ms, least_ms, .. } = view(new).p95?;
        let (limit, sure_limit, others) = limits(view)?;
        let said = format!("p95 {}{others}{how}", shown_ms(ms));
        Some(if least_ms >= sure_limit {
            GateVerdict::Fails(said)
        } else if ms >= limit {
            GateVerdict::Undecided(said)
        } else {
            GateVerdict::Holds(said)
        })
    };
    let views = [judge(|views| &views.all, ""), judge(|views| &views.bounded, " with each client bounded")];
    let known = || views.iter().flatten();
    let bad = known().find(|verdict| matches!(verdict, GateVerdict::Fails(_)));
    match (bad, too_few(count, rule, "response times")) {
        (Some(bad), _) if count >= rule.least_to_fail() => bad.clone(),
        (_, Some(few)) => few,
        (Some(bad), None) => bad.clone(),
        (None, None) => {
            let doubtful = known().find(|verdict| matches!(verdict, GateVerdict::Undecided(_)));
            let verdict = doubtful.or_else(|| known().next()).cloned();
            verdict.unwrap_or_else(|| GateVerdict::Undecided("no response times yet".to_owned()))
        }
    }
}

/// Milliseconds with their significant digits.
pub(crate) fn shown_ms(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 100.0 => format!("{ms:.1} ms"),
        ms => format!("{ms:.0} ms"),
    }
}

impl Gate {
    /// Judges the observations.
    #[must_use]
    pub fn judge(&self, seen: &Seen, rule: &Rule) -> GateVerdict {
        if let (Some(why), true) = (&seen.unreadable, self.reads_log()) {
            return GateVerdict::Fails(why.clone());
        }
        match self {
            Self::ErrorsBelow(most) => {
                if let Some(said) = seen.alarm(rule) {
                    return GateVerdict::Fails(said);
                }
                // Good answers of other routes must not hide bad ones of this route, and a bad backend harms other routes.
                match (errors(&seen.new, *most, rule), errors(&seen.everywhere, *most, rule)) {
                    (GateVerdict::Fails(said), _) => GateVerdict::Fails(said),
                    (_, GateVerdict::Fails(said)) => GateVerdict::Fails(format!("{said} on all routes")),
                    (GateVerdict::Undecided(said), _) => GateVerdict::Undecided(said),
                    (_, GateVerdict::Undecided(said)) => {
                        GateVerdict::Undecided(format!("{said} on all routes"))
                    }
                    (GateVerdict::Holds(said), GateVerdict::Holds(_)) => GateVerdict::Holds(said),
                }
            }
            Self::SlowerBelow(most) => {
                let old =
                    seen.old.iter().find(|views| views.all.p95.is_some_and(|p95| p95.count >= rule.least));
                let Some(old) = old else {
                    let count = seen.new.all.p95.map_or(0, |p95| p95.count);
                    let others = seen.old.iter().filter_map(|views| views.all.p95).map(|p95| p95.count).max();
                    return match (too_few(count, rule, "response times"), seen.new.all.p95) {
                        (None, Some(P95 { ms, .. })) if seen.moved => {
                            // Everything was moved at the first step: there is nothing to compare with or to wait for.
                            GateVerdict::Holds(format!("p95 {}, and the others have none", shown_ms(ms)))
                        }
                        (Some(few), _) => few,
                        // A slow backend can hold all of its clients, and then the others receive no requests.
                        (None, _) => GateVerdict::Undecided(format!(
                            "{} of {} response times of the others",
                            others.unwrap_or(0),
                            rule.least
                        )),
                    };
                };
                let above = |ms: f64| (ms * (1.0 + most / 100.0)).max(ms + rule.floor_ms);
                times(&seen.new, rule, |view| {
                    let old = view(old).p95?;
                    let others = format!(", the others {}", shown_ms(old.ms));
                    Some((above(old.ms), above(old.most_ms), others))
                })
            }
            Self::P95Below(most) => times(&seen.new, rule, |_| Some((*most, *most, String::new()))),
            Self::DiffAtMost(most) => match seen.shadow {
                None => GateVerdict::Fails(
                    "the comparator's report cannot be read, or does not have the route".to_owned(),
                ),
                Some((compared, different)) => {
                    let said = format!("{different} of {compared} differ");
                    // At the last step no copies are compared any more, so none can differ.
                    if different > *most {
                        GateVerdict::Fails(said)
                    } else if compared < rule.least && !seen.moved {
                        GateVerdict::Undecided(format!("{said}; {} comparisons needed", rule.least))
                    } else {
                        GateVerdict::Holds(said)
                    }
                }
            },
            Self::Agreement => {
                let (words, refused) = seen.agreement;
                let said =
                    format!("the backend refused {refused} of {words} requests that the edge let pass");
                if refused > 0 {
                    GateVerdict::Fails(said)
                } else {
                    too_few(words, rule, "requests with two verdicts").unwrap_or(GateVerdict::Holds(said))
                }
            }
        }
    }

    /// Whether it reads the access log.
    const fn reads_log(&self) -> bool {
        match self {
            Self::ErrorsBelow(_) | Self::SlowerBelow(_) | Self::P95Below(_) | Self::Agreement => true,
            Self::DiffAtMost(_) => false,
        }
    }

    /// Whether it reads Envoy's counters while the log is behind.
    pub(super) const fn reads_counters(&self) -> bool {
        match self {
            Self::ErrorsBelow(_) => true,
            Self::SlowerBelow(_) | Self::P95Below(_) | Self::DiffAtMost(_) | Self::Agreement => false,
        }
    }

    /// Whether it judges the answers counted so far. Two checks of the same answers count as one.
    pub(super) const fn needs_new_answers(&self) -> bool {
        match self {
            Self::ErrorsBelow(_) | Self::SlowerBelow(_) | Self::P95Below(_) => true,
            Self::DiffAtMost(_) | Self::Agreement => false,
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ErrorsBelow(percent) => write!(f, "5xx<{percent}%"),
            Self::SlowerBelow(percent) => write!(f, "p95<+{percent}%"),
            Self::P95Below(ms) => write!(f, "p95<{ms}ms"),
            Self::DiffAtMost(most) => write!(f, "diff={most}"),
            Self::Agreement => f.write_str("agreement"),
        }
    }
}

impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number =
            |text: &str| text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
        let known = || {
            if text == "agreement" {
                return Some(Self::Agreement);
            }
            if let Some(most) = text.strip_prefix("diff=") {
                return most.parse().ok().map(Self::DiffAtMost);
            }
            if let Some(percent) = text.strip_prefix("5xx<") {
                return number(percent.strip_suffix('%')?).map(Self::ErrorsBelow);
            }
            let p95 = text.strip_prefix("p95<")?;
            match p95.strip_prefix('+') {
                Some(percent) => number(percent.strip_suffix('%')?).map(Self::SlowerBelow),
                None => number(p95.strip_suffix("ms")?).map(Self::P95Below),
            }
        };
        known().ok_or_else(|| {
            format!("invalid gate `{text}`: expected 5xx<0.1%, p95<+20%, p95<250ms, diff=0 or agreement")
        })
    }
}

#[cfg(test)]
mod tests;
