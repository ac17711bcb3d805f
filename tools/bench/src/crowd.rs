//! A crowd of sessions: so many that a short measurement uses none twice.
//!
//! The sessions send requests in turn, so each comes back only after all others. First every session sends one request, and
//! this pass is a figure of its own on the cold edge: a new token has to be verified. The following pass gives the figure of
//! the row.

use std::time::{Duration, Instant};

use crate::load::{Measured, Protocol, measure};
use crate::progress::Progress;
use crate::results::Line;
use crate::stage::{PATH, Stage};
use crate::variants::{Form, Variant};

const SESSIONS: usize = 100_000;
/// The longest first pass, so that it ends on a busy machine, too.
const FILL_AT_MOST: Duration = Duration::from_secs(30);
/// One measurement of the first pass.
const SLICE: Duration = Duration::from_secs(5);

/// Measures the edge with a crowd: cold, and warm where it runs.
pub(crate) fn run(stage: &mut Stage, duration: Duration, progress: &Progress) -> Vec<Line> {
    progress.say(&format!("signing {SESSIONS} tokens"));
    stage.prepare_sessions(SESSIONS);
    let mut lines = Vec::new();
    let mut bare = beside(stage, Protocol::H1, duration);
    for (variant, first, then) in [
        (
            Variant::Cold(Form::Native),
            Some(("first_seen", "the edge, tokens never seen before")),
            "cold_100000",
        ),
        (Variant::Warm(Form::Native), None, "warm_100000"),
    ] {
        if !stage.has(variant) {
            continue;
        }
        let filled = fill(stage, variant, progress);
        if let Some((key, title)) = first {
            lines.push(Line::new(key, title, Protocol::H1, SESSIONS, filled, vec![bare]));
        }
        let title = if variant == Variant::Cold(Form::Native) {
            "the edge cold, 100,000 sessions"
        } else {
            "the edge warm, 100,000 sessions"
        };
        let one = measure(stage.target(variant), Protocol::H1, PATH, stage.sessions(SESSIONS), duration * 2);
        progress.round(then, &one);
        bare = beside(stage, Protocol::H1, duration);
        lines.push(Line::new(then, title, Protocol::H1, SESSIONS, vec![one], vec![bare]));
        if variant == Variant::Warm(Form::Native) {
            let target = stage.target(variant);
            let one = measure(target, Protocol::H2, PATH, stage.sessions(SESSIONS), duration * 2);
            progress.round("warm_100000_h2", &one);
            let bare = beside(stage, Protocol::H2, duration);
            let title = "the edge warm, 100,000 sessions, HTTP/2";
            lines.push(Line::new("warm_100000_h2", title, Protocol::H2, SESSIONS, vec![one], vec![bare]));
        }
        stage.empty_logs();
    }
    lines
}

/// Bare Envoy with the same crowd, measured right beside the compared row.
fn beside(stage: &mut Stage, protocol: Protocol, duration: Duration) -> Measured {
    measure(stage.target(Variant::Bare), protocol, PATH, stage.sessions(SESSIONS), duration)
}

/// Every session sends one request, or as many as fit into the time limit. The first slice counts as a round: in it every
/// token is new.
fn fill(stage: &mut Stage, variant: Variant, progress: &Progress) -> Vec<Measured> {
    let target = stage.target(variant);
    let sessions = stage.sessions(SESSIONS);
    let until = Instant::now() + FILL_AT_MOST;
    let (mut slices, mut asked) = (Vec::new(), 0);
    while asked < SESSIONS as u64 && Instant::now() < until {
        let one = measure(target, Protocol::H1, PATH, sessions, SLICE);
        progress.round(&format!("{}: first requests", variant.name()), &one);
        asked += one.requests;
        slices.push(one);
    }
    if asked < SESSIONS as u64 {
        progress.say(&format!(
            "only {asked} of {SESSIONS} sessions sent a request in that time: this machine is slow today"
        ));
    }
    // On a fast machine later slices may use sessions again.
    slices.truncate(1);
    slices
}
