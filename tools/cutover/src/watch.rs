//! `cutover render --watch` puts a changed edge file into force, as a whole or not at all.
//!
//! A change goes through these steps, and each can stop it. The file is read and checked as a whole. Every running
//! authorizer knows the new revision (a check with an unknown revision would be answered with 503). Envoy validates the
//! rendered configuration. One link is moved. Envoy reports whether it accepted every file. When Envoy refused one, or
//! does not report within [`PATIENCE`], the link goes back to the last configuration that Envoy accepted, and Envoy's
//! reason is printed.
//!
//! Changes do not queue. When one is in force, the next is the newest file that every authorizer knows, and versions
//! between them are skipped. A file that rests for [`RESTS`] ends the validation of an older one, though never of two in a
//! row. So a file that changes without end still comes into force again and again, and the last version, such as a ramp's
//! rollback, waits for one validation at most.
//!
//! Files are polled every [`PAUSE`] instead of watched through the system. Polling finds a file that was written in place,
//! replaced by a rename, or reached through links that were moved (a Kubernetes ConfigMap moves `..data`), on every file
//! system.

mod files;
mod waiting;

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use edge_config::{Edge, Environment};

use crate::admin::envoy::{self, Acceptance, Updates};
use crate::render::{self, Paths, Validation};
use files::Files;
use waiting::{Next, Waiting};

/// The time between two polls of the files: half of the authorizer's, so that every version that it has seen was seen here.
pub const PAUSE: Duration = Duration::from_millis(50);

/// A newer file that did not change for this long is the last one for now, and an older one is not worth waiting for.
pub const RESTS: Duration = Duration::from_millis(300);

/// How long authorizers and Envoy may take with a change. Both take well under a second. A busy machine takes longer, and
/// waiting loses nothing: the old configuration serves.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// The time between two queries while waiting.
const LOOK: Duration = Duration::from_millis(25);

/// Follows an edge file.
pub struct Watch {
    /// The edge file.
    pub file: PathBuf,
    /// The paths of the configuration.
    pub paths: Paths,
    /// The Envoy that validates.
    pub envoy: PathBuf,
    /// The admin interfaces of the authorizers that read the same file.
    pub authorizers: Vec<SocketAddr>,
    /// Starts what a new edge needs beside Envoy, before Envoy has the edge. On an error the change is not applied.
    pub prepare: Prepare,
}

/// See [`Watch::prepare`].
pub type Prepare = Box<dyn Fn(&Edge) -> Result<(), String> + Send>;

/// The outcome of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The change is in force.
    Taken {
        /// The revision.
        revision: String,
    },
    /// The change is written, and no Envoy answers: Envoy reads it when it starts.
    Unasked {
        /// The revision.
        revision: String,
    },
    /// The old configuration stays.
    Kept {
        /// The reason.
        why: String,
    },
    /// Envoy refused the change, and the files are as before.
    Restored {
        /// The refused revision.
        revision: String,
        /// Envoy's reason.
        why: String,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { revision } => write!(f, "revision {revision} is in force"),
            Self::Unasked { revision } => {
                write!(
                    f,
                    "revision {revision} is written; Envoy does not answer and will read it at its next start"
                )
            }
            Self::Kept { why } => write!(f, "the configuration is unchanged: {why}"),
            Self::Restored { revision, why } => {
                write!(f, "Envoy refused revision {revision}, and the configuration is as before: {why}")
            }
        }
    }
}

impl Watch {
    /// Follows the file until `stop`, and passes every outcome to `report`. The first reading counts as a change unless it
    /// has the revision `in_force`.
    pub fn run(
        &self,
        environment: Environment<'_>,
        in_force: Option<&str>,
        stop: &AtomicBool,
        report: &dyn Fn(&Outcome),
    ) {
        let paths = [self.file.clone(), self.paths.guard.clone()];
        let files = RefCell::new(Files::new(paths, Instant::now()));
        let mut waiting = Waiting::default();
        // The target of `current` when Envoy last accepted all of it, as far as is known.
        let mut good = std::fs::read_link(self.paths.directory.join("current")).ok();
        let (mut read, mut begun_with) = (true, in_force);
        // Otherwise, edits that each rest just long enough would end every validation.
        let mut gave_up = false;
        while !stop.load(Ordering::Relaxed) {
            if read {
                match render::load(&self.file, environment) {
                    Ok(edge) if begun_with.take() == Some(edge.revision.0.as_str()) => {}
                    Ok(edge) => waiting.add(edge, Instant::now()),
                    Err(why) => report(&Outcome::Kept { why }),
                }
            }
            match waiting.next(&self.authorizers, PATIENCE, Instant::now()) {
                Next::Take(edge) => {
                    let superseded = || !gave_up && files.borrow_mut().rests(RESTS, Instant::now());
                    let outcome = self.apply(&edge, &mut good, &superseded);
                    gave_up = outcome.is_none();
                    if let Some(outcome) = outcome {
                        report(&outcome);
                    }
                }
                Next::Refused(why) => report(&Outcome::Kept { why }),
                Next::Wait => std::thread::sleep(PAUSE),
            }
            read = files.borrow_mut().changed(Instant::now());
        }
    }

    /// Puts `edge` into force. `None` when a newer file replaced it meanwhile.
    fn apply(
        &self,
        edge: &Edge,
        good: &mut Option<PathBuf>,
        superseded: &dyn Fn() -> bool,
    ) -> Option<Outcome> {
        let revision = edge.revision.0.clone();
        // Queried before anything moves. Without an answer there is no Envoy that could accept or refuse it.
        let before = Updates::ask(edge.admin).ok();
        let given_up = std::cell::Cell::new(false);
        let accept = |bootstrap: &Path| match render::validated_unless(&self.envoy, bootstrap, superseded) {
            Validation::Good => (self.prepare)(edge),
            Validation::Bad(why) => Err(why),
            Validation::GivenUp => {
                given_up.set(true);
                Err("there is a newer edge file".to_owned())
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
                    why.push_str(&format!("; the old configuration could not be restored: {error}"));
                }
                Some(Outcome::Restored { revision, why })
            }
        }
    }
}

/// What Envoy did with a configuration.
enum Took {
    /// It accepted all of it.
    All,
    /// It is not done, and there is a newer edge file.
    TooLong,
    /// It refused a part, or does not finish.
    Not(String),
}

/// Even a busy Envoy accepts a configuration within this time. If it takes longer, it receives the newer one instead.
const USUAL: Duration = Duration::from_secs(1);

fn taken(edge: &Edge, before: &Updates, superseded: &dyn Fn() -> bool) -> Took {
    let listeners: Vec<String> = edge.listeners.keys().cloned().collect();
    let begun = Instant::now();
    loop {
        let verdict = Updates::ask(edge.admin).map(|now| now.since(before, &edge.revision.0, &listeners));
        let waited = begun.elapsed();
        match verdict {
            Ok(Acceptance::Taken) => return Took::All,
            Ok(Acceptance::Refused(what)) => {
                let said =
                    envoy::refusal(edge.admin).unwrap_or_else(|| "the reason is in its log".to_owned());
                return Took::Not(format!("{what}: {said}"));
            }
            Ok(Acceptance::Pending) | Err(_) if waited >= USUAL && superseded() => return Took::TooLong,
            Ok(Acceptance::Pending) | Err(_) if waited < PATIENCE => std::thread::sleep(LOOK),
            Ok(Acceptance::Pending) => {
                return Took::Not(format!(
                    "it did not accept the whole configuration within {} s",
                    PATIENCE.as_secs()
                ));
            }
            Err(error) => return Took::Not(format!("it no longer answers ({error})")),
        }
    }
}
