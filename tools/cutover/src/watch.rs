//! `cutover render --watch`: a changed edge file takes effect, or nothing does.
//!
//! One change goes through these steps, and each can stop it: the file is read and checked as a whole; every authorizer
//! that runs knows the new revision (an Envoy that asked with a revision that no authorizer knows would be answered
//! 503); Envoy itself validates what comes of it; one link is moved; Envoy says whether it took every file. When it
//! refused one, or does not say within [`PATIENCE`], the link goes back to the last configuration that Envoy took, and
//! Envoy's reason is printed.
//!
//! Changes do not queue. When one is in force, the next is the newest file that every authorizer knows, and what was
//! written between them is skipped. A file that rests for [`RESTS`] ends the validation of an older one, though never of
//! two in a row. So a file that changes without end comes into force again and again, and the last one, such as a ramp's
//! taking-back, waits for one validation at the most.
//!
//! Files are looked at every [`PAUSE`] instead of being waited for: it sees a file that was written in place, renamed
//! over, or reached through links that were moved (a Kubernetes ConfigMap moves `..data`), on every file system.

mod files;
mod waiting;

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use edge_config::{Edge, Environment};

use crate::admin::envoy::{self, Updates, Verdict};
use crate::render::{self, Paths, Validation};
use files::Files;
use waiting::{Next, Waiting};

/// Between two looks at the files: twice as often as the authorizer looks, so that whatever it has seen was seen here.
pub const PAUSE: Duration = Duration::from_millis(50);

/// A newer file that did not change for so long is the last one for now, and an older one is not worth waiting for.
pub const RESTS: Duration = Duration::from_millis(300);

/// How long authorizers and Envoy may take with a change. Both take well under a second; a machine that is busy
/// takes longer, and nothing is lost by waiting: the old configuration serves.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// Between two questions while something is awaited.
const LOOK: Duration = Duration::from_millis(25);

/// Follows an edge file.
pub struct Watch {
    /// The edge file.
    pub file: PathBuf,
    /// Where the configuration goes.
    pub paths: Paths,
    /// The Envoy that validates.
    pub envoy: PathBuf,
    /// The admin interfaces of the authorizers that read the same file.
    pub authorizers: Vec<SocketAddr>,
    /// Puts in place what a new edge needs beside Envoy, before Envoy has it. On an error the change is not taken.
    pub prepare: Prepare,
}

/// See [`Watch::prepare`].
pub type Prepare = Box<dyn Fn(&Edge) -> Result<(), String> + Send>;

/// What came of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in force.
    Taken {
        /// The revision.
        revision: String,
    },
    /// It is in place, and there is no Envoy to ask: it reads this when it starts.
    Unasked {
        /// The revision.
        revision: String,
    },
    /// Nothing was moved.
    Kept {
        /// Why not.
        why: String,
    },
    /// Envoy refused it, and the files are as before.
    Restored {
        /// The revision that was refused.
        revision: String,
        /// What Envoy said.
        why: String,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { revision } => write!(f, "revision {revision} is in force"),
            Self::Unasked { revision } => {
                write!(f, "revision {revision} is in place; no Envoy answers, it is read at the next start")
            }
            Self::Kept { why } => write!(f, "the configuration stays as it was: {why}"),
            Self::Restored { revision, why } => {
                write!(f, "Envoy refused revision {revision}, and the configuration is as before: {why}")
            }
        }
    }
}

impl Watch {
    /// Follows the file until `stop`; `told` hears of every change. The file as it is at the first look counts as one,
    /// unless it has the revision `in_force`.
    pub fn run(
        &self,
        environment: Environment<'_>,
        in_force: Option<&str>,
        stop: &AtomicBool,
        told: &dyn Fn(&Outcome),
    ) {
        let paths = [self.file.clone(), self.paths.guard.clone()];
        let files = RefCell::new(Files::new(paths, Instant::now()));
        let mut waiting = Waiting::default();
        // Where `current` pointed when Envoy last took all of it, as far as is known.
        let mut good = std::fs::read_link(self.paths.directory.join("current")).ok();
        let (mut read, mut begun_with) = (true, in_force);
        // Edits that each rest just long enough would otherwise end every validation.
        let mut gave_up = false;
        while !stop.load(Ordering::Relaxed) {
            if read {
                match render::load(&self.file, environment) {
                    Ok(edge) if begun_with.take() == Some(edge.revision.0.as_str()) => {}
                    Ok(edge) => waiting.add(edge, Instant::now()),
                    Err(why) => told(&Outcome::Kept { why }),
                }
            }
            match waiting.next(&self.authorizers, PATIENCE, Instant::now()) {
                Next::Take(edge) => {
                    let superseded = || !gave_up && files.borrow_mut().rests(RESTS, Instant::now());
                    let outcome = self.apply(&edge, &mut good, &superseded);
                    gave_up = outcome.is_none();
                    if let Some(outcome) = outcome {
                        told(&outcome);
                    }
                }
                Next::Refused(why) => told(&Outcome::Kept { why }),
                Next::Wait => std::thread::sleep(PAUSE),
            }
            read = files.borrow_mut().changed(Instant::now());
        }
    }

    /// Brings `edge` into force. `None` when a newer file took its place meanwhile.
    fn apply(
        &self,
        edge: &Edge,
        good: &mut Option<PathBuf>,
        superseded: &dyn Fn() -> bool,
    ) -> Option<Outcome> {
        let revision = edge.revision.0.clone();
        // Asked before anything moves; without an answer there is no Envoy that could take or refuse it.
        let before = Updates::ask(edge.admin).ok();
        let given_up = std::cell::Cell::new(false);
        let accept = |bootstrap: &Path| match render::validated_unless(&self.envoy, bootstrap, superseded) {
            Validation::Good => (self.prepare)(edge),
            Validation::Bad(why) => Err(why),
            Validation::GivenUp => {
                given_up.set(true);
                Err("a newer edge file is there".to_owned())
            }
        };
        let rendered = match render::store(edge, &self.paths, &accept) {
            Ok(rendered) => rendered,
            Err(_) if given_up.get() => return None,
            Err(error) => return Some(Outcome::Kept { why: error.to_string() }),
        };
        let current = std::fs::read_link(self.paths.directory.join("current")).ok();
        let Some(before) = before else {
            *good = current;
            return Some(Outcome::Unasked { revision });
        };
        if !rendered.changed {
            return Some(Outcome::Taken { revision });
        }
        match taken(edge, &before, superseded) {
            Took::All => {
                *good = current;
                Some(Outcome::Taken { revision })
            }
            Took::TooLong => None,
            Took::Not(mut why) => {
                let back = good.as_deref().or(rendered.previous.as_deref());
                if let Err(error) = render::go_back(&self.paths, back) {
                    why.push_str(&format!("; and the configuration could not be restored: {error}"));
                }
                Some(Outcome::Restored { revision, why })
            }
        }
    }
}

/// What Envoy did with a configuration.
enum Took {
    /// It took all of it.
    All,
    /// It is not done, and there is a newer edge file.
    TooLong,
    /// It refused something, or does not come to an end.
    Not(String),
}

/// A busy Envoy takes all of a configuration within this time. One that takes longer gets the newer one instead.
const USUAL: Duration = Duration::from_secs(1);

fn taken(edge: &Edge, before: &Updates, superseded: &dyn Fn() -> bool) -> Took {
    let listeners: Vec<String> = edge.listeners.keys().cloned().collect();
    let begun = Instant::now();
    loop {
        let verdict = Updates::ask(edge.admin).map(|now| now.since(before, &edge.revision.0, &listeners));
        let waited = begun.elapsed();
        match verdict {
            Ok(Verdict::Taken) => return Took::All,
            Ok(Verdict::Refused(what)) => {
                let said =
                    envoy::refusal(edge.admin).unwrap_or_else(|| "the reason is in its log".to_owned());
                return Took::Not(format!("{what}: {said}"));
            }
            Ok(Verdict::Pending) | Err(_) if waited >= USUAL && superseded() => return Took::TooLong,
            Ok(Verdict::Pending) | Err(_) if waited < PATIENCE => std::thread::sleep(LOOK),
            Ok(Verdict::Pending) => {
                return Took::Not(format!("it did not take all of it within {} s", PATIENCE.as_secs()));
            }
            Err(error) => return Took::Not(format!("it does not answer any more ({error})")),
        }
    }
}
