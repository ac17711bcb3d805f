//! What must hold for a backend to get more, and to keep what it has. No I/O.

use std::fmt;
use std::str::FromStr;

use crate::status::Sample;

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub enum Gate {
    /// Fewer of the new backend's answers are 5xx than this, in percent.
    ErrorsBelow(f64),
    /// The new backend's 95th percentile is less than this much above the others', in percent.
    SlowerBelow(f64),
    /// The new backend's 95th percentile is below this, in milliseconds.
    P95Below(f64),
    /// At most so many compared answers differ, in the comparator's report.
    DiffAtMost(u64),
    /// Nobody whom the edge lets pass is refused by the backend.
    Agreement,
}

/// What was seen since the step began.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// The new backend, whatever route a request came by.
    pub new: Sample,
    /// The others of the route together, likewise; their p95 is the highest.
    pub old: Sample,
    /// Whether the new backend has everything, so that nobody else is asked any more.
    pub moved: bool,
    /// The same by this route alone.
    pub on_route: OnRoute,
    /// Compared answers and those that differ; absent when the report could not be read.
    pub shadow: Option<(u64, u64)>,
    /// Requests of the route that the edge let pass, and how many of them a backend refused; absent when the log
    /// could not be read.
    pub agreement: Option<(u64, u64)>,
}

/// What is known of the route by itself. Many good answers of other routes hide few bad ones of this.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum OnRoute {
    /// No other route goes to these backends: their counters are its own.
    #[default]
    Alone,
    /// The access log tells it apart.
    Told {
        /// The new backend.
        new: Sample,
        /// The others together.
        old: Sample,
    },
    /// Others go there too, and the access log cannot be read.
    Unknown,
}

/// What the others took when they were last seen to answer, at this step or an earlier one.
///
/// A step counts from its own beginning, and the others may answer nothing in it: because everything was moved, or because
/// the new backend is so slow that it holds every client. Those are the steps at which a comparison matters most.
#[derive(Clone, Copy, Debug, Default)]
pub struct Earlier {
    all: Option<f64>,
    on_route: Option<f64>,
}

impl Earlier {
    /// Remembers the others' times in `seen`, and puts in what is remembered where there are none.
    pub fn complete(&mut self, seen: &mut Seen) {
        let complete = |known: &mut Option<f64>, old: &mut Sample| {
            *known = old.p95_ms.or(*known);
            old.p95_ms = *known;
        };
        complete(&mut self.all, &mut seen.old);
        if let OnRoute::Told { old, .. } = &mut seen.on_route {
            complete(&mut self.on_route, old);
        }
    }
}

/// What a gate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Holds(String),
    /// Too little was seen to say so. The next step waits for it.
    Undecided(String),
    /// It does not hold: back.
    Fails(String),
}

/// Times are whole milliseconds: two that differ by one may have been the same.
const RESOLUTION_MS: f64 = 1.0;

impl Seen {
    /// Judges the backends as a whole and the route by itself: what fails in either fails, and what the route has not
    /// shown is not shown.
    fn everywhere(&self, judge: impl Fn(&Sample, &Sample) -> Verdict) -> Verdict {
        let all = judge(&self.new, &self.old);
        match (&self.on_route, all) {
            (_, Verdict::Fails(said)) => Verdict::Fails(said),
            (OnRoute::Alone, all) => all,
            (OnRoute::Told { new, old }, _) => judge(new, old),
            (OnRoute::Unknown, _) => Verdict::Fails(
                "other routes go to the same backends, and the access log that tells them apart cannot be read"
                    .to_owned(),
            ),
        }
    }
}

impl Gate {
    /// Judges what was seen.
    #[must_use]
    pub fn judge(&self, seen: &Seen) -> Verdict {
        match self {
            Self::ErrorsBelow(most) => seen.everywhere(|new, _| match new.error_percent() {
                None => Verdict::Undecided("no request yet".to_owned()),
                Some(percent) => {
                    let said = format!("{percent:.2} % of {} are 5xx", new.requests);
                    if percent < *most { Verdict::Holds(said) } else { Verdict::Fails(said) }
                }
            }),
            Self::SlowerBelow(most) => seen.everywhere(|new, old| match (new.p95_ms, old.p95_ms) {
                (Some(new), Some(old)) => {
                    let said = format!("p95 {new:.1} ms, the others {old:.1} ms");
                    let slower = new >= old * (1.0 + most / 100.0) && new - old > RESOLUTION_MS;
                    if slower { Verdict::Fails(said) } else { Verdict::Holds(said) }
                }
                // With everything moved at the first step there is nothing to compare with, and nothing to wait for.
                (Some(new), None) if seen.moved => {
                    Verdict::Holds(format!("p95 {new:.1} ms, and the others have none"))
                }
                // A slow backend can hold all of its clients, and then nobody asks the others.
                (Some(new), None) => {
                    Verdict::Undecided(format!("p95 {new:.1} ms, and the others have no times yet"))
                }
                (None, _) => Verdict::Undecided("no times yet".to_owned()),
            }),
            Self::P95Below(most) => seen.everywhere(|new, _| match new.p95_ms {
                None => Verdict::Undecided("no times yet".to_owned()),
                Some(new) => {
                    let said = format!("p95 {new:.1} ms");
                    if new < *most { Verdict::Holds(said) } else { Verdict::Fails(said) }
                }
            }),
            Self::DiffAtMost(most) => match seen.shadow {
                None => Verdict::Fails("the comparator's report cannot be read".to_owned()),
                Some((compared, different)) => {
                    let said = format!("{different} of {compared} differ");
                    // At the last step no copies are compared any more; none compared is none that differs.
                    if different <= *most { Verdict::Holds(said) } else { Verdict::Fails(said) }
                }
            },
            Self::Agreement => match seen.agreement {
                None => Verdict::Fails("the access log cannot be read".to_owned()),
                Some((0, 0)) => Verdict::Undecided("nobody was let pass yet".to_owned()),
                Some((allowed, refused)) => {
                    let said =
                        format!("{refused} of {allowed} that the edge let pass were refused by the backend");
                    if refused == 0 { Verdict::Holds(said) } else { Verdict::Fails(said) }
                }
            },
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
        known()
            .ok_or_else(|| format!("`{text}` is no gate: 5xx<0.1%, p95<+20%, p95<250ms, diff=0 or agreement"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gates_are_read_as_they_are_written_and_nothing_else_is_one() {
        for text in ["5xx<0.1%", "p95<+20%", "p95<250ms", "diff=0", "agreement"] {
            assert_eq!(text.parse::<Gate>().unwrap().to_string(), text);
        }
        for text in [
            "5xx<0.1", "5xx>1%", "5xx<-1%", "5xx<nan%", "p95<20%", "p95<+20", "p95<20", "diff<1", "diff=-1",
            "", "agree",
        ] {
            assert!(text.parse::<Gate>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_fails_and_what_was_not_seen_waits() {
        let nothing = Seen::default();
        for (gate, fails) in [
            ("5xx<1%", false),
            ("p95<+20%", false),
            ("p95<1ms", false),
            ("diff=0", true),
            ("agreement", true),
        ] {
            let verdict = gate.parse::<Gate>().unwrap().judge(&nothing);
            assert_eq!(matches!(verdict, Verdict::Fails(_)), fails, "{gate}: {verdict:?}");
            assert!(!matches!(verdict, Verdict::Holds(_)), "{gate}: {verdict:?}");
        }
        let one = Seen { shadow: Some((10, 1)), agreement: Some((10, 1)), ..Seen::default() };
        for gate in [Gate::DiffAtMost(0), Gate::Agreement] {
            assert!(matches!(gate.judge(&one), Verdict::Fails(_)));
        }
        assert!(matches!(Gate::DiffAtMost(1).judge(&one), Verdict::Holds(_)));
    }

    #[test]
    fn other_routes_hide_nothing() {
        let sample = |requests: u64, errors: u64, p95: f64| Sample {
            requests,
            errors,
            p95_ms: Some(p95),
            ..Sample::default()
        };
        let seen = |on_route: OnRoute| Seen {
            new: sample(10_000, 1, 10.0),
            old: sample(10_000, 0, 10.0),
            on_route,
            ..Seen::default()
        };
        let told = |errors, p95| OnRoute::Told { new: sample(100, errors, p95), old: sample(100, 0, 20.0) };
        for (on_route, errors, times) in [
            (OnRoute::Alone, true, true),
            (OnRoute::Unknown, false, false),
            (told(0, 21.0), true, true),
            (told(1, 20.0), false, true),
            (told(0, 25.0), true, false),
        ] {
            let seen = seen(on_route);
            let holds = |gate: Gate| matches!(gate.judge(&seen), Verdict::Holds(_));
            assert_eq!(
                (holds(Gate::ErrorsBelow(0.1)), holds(Gate::SlowerBelow(20.0))),
                (errors, times),
                "{seen:?}"
            );
        }
        let nothing = seen(OnRoute::Told { new: Sample::default(), old: Sample::default() });
        assert!(matches!(Gate::ErrorsBelow(0.1).judge(&nothing), Verdict::Undecided(_)), "not by this route");
    }

    #[test]
    fn a_backend_that_holds_every_client_is_compared_with_what_the_others_took_before() {
        let sample = |p95_ms: Option<f64>| Sample { requests: 10, p95_ms, ..Sample::default() };
        let at = |old: Option<f64>, moved: bool| Seen {
            new: sample(Some(2_000.0)),
            old: sample(old),
            on_route: OnRoute::Told { new: sample(Some(2_000.0)), old: sample(old) },
            moved,
            ..Seen::default()
        };
        let judge = |seen: &Seen| Gate::SlowerBelow(500.0).judge(seen);
        let mut earlier = Earlier::default();
        let mut nothing = at(None, false);
        earlier.complete(&mut nothing);
        assert!(matches!(judge(&nothing), Verdict::Undecided(_)), "it waits for them, and does not go on");
        assert!(
            matches!(judge(&at(None, true)), Verdict::Holds(_)),
            "there never was anybody to compare with"
        );

        earlier.complete(&mut at(Some(100.0), false));
        for moved in [false, true] {
            let mut seen = at(None, moved);
            earlier.complete(&mut seen);
            assert!(matches!(judge(&seen), Verdict::Fails(_)), "{seen:?}");
        }
        let mut newer = at(Some(1_900.0), false);
        earlier.complete(&mut newer);
        assert!(matches!(judge(&newer), Verdict::Holds(_)), "what is seen now counts");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_gate_that_fails_fails_for_everything_worse(requests in 1_u64..10_000, errors in 0_u64..10_000, more in 0_u64..10_000, most in 0.01_f64..100.0) {
            let seen = |errors: u64| Seen { new: Sample { requests, errors: errors.min(requests), ..Sample::default() }, ..Seen::default() };
            let gate = Gate::ErrorsBelow(most);
            if matches!(gate.judge(&seen(errors)), Verdict::Fails(_)) {
                prop_assert!(matches!(gate.judge(&seen(errors + more)), Verdict::Fails(_)));
            }
            prop_assert!(matches!(gate.judge(&seen(requests)), Verdict::Fails(_)), "nothing but errors never holds");
        }
    }
}
