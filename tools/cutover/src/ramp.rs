//! `cutover ramp` raises a new backend's share of a route step by step, and sets it to 0 when the backend is worse.
//!
//! Each step is a `cutover set`: the share is written into the edge file and nowhere else, so the file is right whenever
//! and however this program ends. The program that follows the file (`cutover run`, `cutover render --watch`) puts it
//! into force, and the step begins when Envoy has it. From then on the gates are checked every [`LOOK`], over everything
//! since the step began. A gate that fails at several checks sets the share to 0. A gate that has seen too little delays
//! the next step and moves nothing.

mod estimate;
pub mod gate;
pub mod judge;
mod log;
mod sources;
mod tally;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use edge_config::Environment;
use edge_config::edge::{InvalidPercent, Percent, WHOLE};

use crate::exit::{DONE, FOUND, USAGE, exit};
use crate::home::Home;
use crate::out;
use crate::render;
use crate::set::{self, SetError, Shares, set};
use gate::{Earlier, Gate, Rule};
use judge::{Judge, Patience};
use sources::Sources;

/// The longest time between two checks of the gates.
pub const LOOK: Duration = Duration::from_secs(1);

/// How long Envoy may take to accept a step: as long as `render --watch` waits for the authorizers, for the validation
/// and for Envoy.
const IN_FORCE_WITHIN: Duration = Duration::from_secs(60);

/// `cutover ramp`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The edge file; `cutover run` or `cutover render --watch` must follow it.
    #[arg(value_name = "EDGE_FILE")]
    pub edge: PathBuf,
    /// The route's name.
    #[arg(value_name = "ROUTE")]
    pub route: String,
    /// The backend whose share rises.
    #[arg(long, value_name = "BACKEND")]
    pub to: String,
    /// Its shares, one after the other, in percent with at most three decimals.
    #[arg(long, value_name = "PERCENT,…", value_delimiter = ',', default_value = "1,10,50,100", value_parser = percent)]
    pub steps: Vec<Percent>,
    /// The least time for each step, such as 60s, 10m or 1h.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration)]
    pub every: Duration,
    /// A condition that must hold: 5xx<0.1% (includes gRPC failures), p95<+20% (than the others), p95<250ms, diff=0 (in
    /// the shadow report), agreement (the backend refuses no caller that the edge lets pass). May be repeated.
    #[arg(long = "gate", value_name = "GATE", required = true)]
    pub gates: Vec<Gate>,
    /// The answers, comparisons or verdicts that each gate needs to hold; a fifth of them is enough to fail.
    // Of fewer than a hundred, at most five are above the 95th percentile, and one failure is more than a percent.
    #[arg(long, value_name = "COUNT", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub least: u64,
    /// The number of failed checks, among the last checks, that make a gate fail. There is one check a second.
    // A pause of two seconds (a garbage collection, a snapshot) fails two checks; a bad backend has no share any more
    // after three to five seconds.
    #[arg(long, value_name = "FAILED/CHECKS", default_value = "3/5")]
    pub fails_after: Patience,
    /// A 95th percentile that exceeds the others' by less than this, in milliseconds, is not worse, whatever its share.
    // A scheduler on a busy machine adds this much, and no person notices it.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 5, value_parser = clap::value_parser!(u16).range(0..=60_000))]
    pub floor_ms: u16,
    /// The comparator's admin interface, for the gate `diff`.
    #[arg(
        long,
        env = "COMPARATOR_ADMIN_ADDRESS",
        default_value = "127.0.0.1:9292",
        value_name = "ADDRESS:PORT"
    )]
    pub comparator_admin: std::net::SocketAddr,
    /// Envoy's access log, which names the route and the client of each request. [default: HOME/logs/access.json]
    #[arg(long, value_name = "FILE")]
    pub access_log: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
}

fn percent(text: &str) -> Result<Percent, String> {
    let percent: Percent = text.parse().map_err(|error: InvalidPercent| error.to_string())?;
    if percent == Percent::ZERO {
        Err("a step moves some requests: write more than 0".to_owned())
    } else {
        Ok(percent)
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("invalid time `{text}`: write 60s, 10m, 1h or 1d, from 1s to 7d");
    let duration = humantime::parse_duration(text).map_err(|_| wrong())?;
    let is_in_bounds = (Duration::from_secs(1)..=Duration::from_hours(168)).contains(&duration);
    if is_in_bounds { Ok(duration) } else { Err(wrong()) }
}

/// How a step ended.
enum End {
    Passed,
    Failed(String),
}

/// Runs the steps.
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    if !arguments.steps.is_sorted_by(|a, b| a < b) {
        out::error!("cutover ramp: the steps must rise: --steps 1,10,50,100");
        return exit(USAGE);
    }
    let mut earlier = Earlier::default();
    for percent in &arguments.steps {
        if let Err(error) = move_to(arguments, *percent, environment) {
            out::error!("{error}");
            return exit(set::code(&error));
        }
        match step(arguments, *percent, &mut earlier, environment) {
            End::Passed => {}
            End::Failed(why) => return roll_back(arguments, *percent, &why, environment),
        }
    }
    say(arguments, "done: every step held");
    exit(DONE)
}

/// Sets the share in the file.
fn move_to(arguments: &Arguments, percent: Percent, environment: Environment<'_>) -> Result<(), SetError> {
    let edge = render::load(&arguments.edge, environment).map_err(SetError::Invalid)?;
    let route = edge.routes.iter().find(|route| route.name == arguments.route);
    // Without such a route `set` reports the error, which does not depend on the shares.
    let shares = route.map_or_else(
        || Shares::whole(&arguments.to),
        |route| {
            if percent == WHOLE && route.destination.only() == Some(&arguments.to) {
                Shares::whole(&arguments.to)
            } else {
                Shares::with(&route.destination, &arguments.to, percent)
            }
        },
    );
    let changed = set(&arguments.edge, &arguments.route, &shares.into(), environment)?;
    say(arguments, &format!("{} -> {}", changed.before, changed.after));
    Ok(())
}

/// Watches one step until its time is over and every gate holds, or until a gate fails.
fn step(arguments: &Arguments, percent: Percent, earlier: &mut Earlier, environment: Environment<'_>) -> End {
    let log = arguments.access_log.clone().unwrap_or_else(|| arguments.home.home.join("logs/access.json"));
    let mut sources = match Sources::begin(arguments, percent, log, environment) {
        Ok(sources) => sources,
        Err(why) => return End::Failed(why),
    };
    let rule = Rule { least: arguments.least, floor_ms: f64::from(arguments.floor_ms) };
    let mut judge = Judge::new(&arguments.gates, rule, arguments.fails_after);
    let mut silent = 0;
    let from = Instant::now();
    loop {
        std::thread::sleep(LOOK.min(arguments.every));
        let (seen, answers) = match sources.look() {
            Ok(seen) => {
                silent = 0;
                seen
            }
            Err(why) => {
                silent += 1;
                if silent >= arguments.fails_after.bad {
                    return End::Failed(why);
                }
                say(arguments, &format!("{percent} %, {why}"));
                continue;
            }
        };
        let look = judge.look(seen, answers, earlier);
        if let Some(why) = look.failed {
            return End::Failed(why);
        }
        let (past, every) = (from.elapsed(), arguments.every);
        say(
            arguments,
            &format!("{percent} %, {} of {} s; {}", past.as_secs(), every.as_secs(), look.shown.join("; ")),
        );
        if past >= every && look.held {
            return End::Passed;
        }
    }
}

fn roll_back(arguments: &Arguments, percent: Percent, why: &str, environment: Environment<'_>) -> ExitCode {
    out::error!("cutover ramp: rolled back at {percent} %: {why}");
    match move_to(arguments, Percent::ZERO, environment) {
        Ok(()) => exit(FOUND),
        Err(error) => {
            out::error!("cutover ramp: ROLLBACK FAILED: set the share to 0 by hand: {error}");
            exit(FOUND)
        }
    }
}

fn say(arguments: &Arguments, what: &str) {
    out::line!("{} to {}: {what}", arguments.route, arguments.to);
}
