//! `cutover render --watch`: a changed edge file takes effect, or nothing does.
//!
//! One change goes through these steps, and each can stop it: the file is read and checked as a whole; Envoy itself
//! validates what comes of it; every authorizer that runs knows the new revision (an Envoy that asked with a revision
//! that nobody knows would be answered 503); one link is moved; Envoy says whether it took every file. When it
//! refused one, or does not say within [`PATIENCE`], the link goes back to where it was, and Envoy's reason is told.
//!
//! Files are looked at every [`PAUSE`] instead of being waited for: it sees a file that was written in place, renamed
//! over, or reached through links that were moved (a Kubernetes ConfigMap moves `..data`), on every file system.

mod files;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use edge_config::{Edge, Environment};

use crate::admin::authorizer;
use crate::admin::envoy::{self, Updates, Verdict};
use crate::render::{self, Paths};
use files::Files;

/// Between two looks at the files: as often as the authorizer looks.
pub const PAUSE: Duration = Duration::from_millis(200);

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
}

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
    /// Follows the file until `stop`; `told` hears of every change. The first look counts as one when `at_once`.
    pub fn run(
        &self,
        environment: Environment<'_>,
        at_once: bool,
        stop: &AtomicBool,
        told: &dyn Fn(&Outcome),
    ) {
        let mut files = Files::new([self.file.clone(), self.paths.guard.clone()]);
        if at_once {
            told(&self.apply(environment));
        }
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(PAUSE);
            if files.changed() {
                told(&self.apply(environment));
            }
        }
    }

    /// Brings the file into force as it is now.
    pub fn apply(&self, environment: Environment<'_>) -> Outcome {
        let edge = match render::load(&self.file, environment) {
            Ok(edge) => edge,
            Err(why) => return Outcome::Kept { why },
        };
        let revision = edge.revision.0.clone();
        // Asked before anything moves; without an answer there is no Envoy that could take or refuse it.
        let before = Updates::ask(edge.admin).ok();
        let accept = |bootstrap: &std::path::Path| {
            render::validated(&self.envoy, bootstrap)?;
            self.authorizers.iter().try_for_each(|address| known(*address, &revision))
        };
        let rendered = match render::store(&edge, &self.paths, &accept) {
            Ok(rendered) => rendered,
            Err(error) => return Outcome::Kept { why: error.to_string() },
        };
        let Some(before) = before else { return Outcome::Unasked { revision } };
        if !rendered.changed {
            return Outcome::Taken { revision };
        }
        match taken(&edge, &before) {
            Ok(()) => Outcome::Taken { revision },
            Err(mut why) => {
                if let Err(error) = render::go_back(&self.paths, rendered.previous.as_deref()) {
                    why.push_str(&format!("; and the configuration could not be restored: {error}"));
                }
                Outcome::Restored { revision, why }
            }
        }
    }
}

/// Waits until the authorizer at `address` decides by `revision`. One that does not run knows it when it starts.
fn known(address: SocketAddr, revision: &str) -> Result<(), String> {
    let until = Instant::now() + PATIENCE;
    loop {
        let Some(standing) = authorizer::standing(address) else { return Ok(()) };
        if standing.revision == revision {
            return Ok(());
        }
        if Instant::now() >= until {
            let authorizer::Standing { revision: present, detail } = standing;
            return Err(format!(
                "the authorizer at {address} decides by {present}, not by {revision} ({detail})"
            ));
        }
        std::thread::sleep(LOOK);
    }
}

fn taken(edge: &Edge, before: &Updates) -> Result<(), String> {
    let listeners: Vec<String> = edge.listeners.keys().cloned().collect();
    let until = Instant::now() + PATIENCE;
    loop {
        let verdict = Updates::ask(edge.admin).map(|now| now.since(before, &edge.revision.0, &listeners));
        match verdict {
            Ok(Verdict::Taken) => return Ok(()),
            Ok(Verdict::Refused(what)) => {
                let said =
                    envoy::refusal(edge.admin).unwrap_or_else(|| "the reason is in its log".to_owned());
                return Err(format!("{what}: {said}"));
            }
            Ok(Verdict::Pending) | Err(_) if Instant::now() < until => std::thread::sleep(LOOK),
            Ok(Verdict::Pending) => {
                return Err(format!("it did not take all of it within {} s", PATIENCE.as_secs()));
            }
            Err(error) => return Err(format!("it does not answer any more ({error})")),
        }
    }
}
