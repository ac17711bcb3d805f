//! `cutover contract capture`: records what a server answers.

use std::path::PathBuf;

use clap::Args;
use contract::capture::{Capture, Outcome, capture, store};
use contract::origin::Origin;
use contract::sensitive::Kind;

use super::{Protocols, Requests, Sending, progress, refused};
use crate::exit::{DONE, FOUND};
use crate::out;

/// `cutover contract capture`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The server: http://HOST:PORT or https://HOST:PORT.
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// Requests: a hurl, HAR, OpenAPI, access log or golden file, or a directory of them.
    #[arg(long, value_name = "PATH")]
    pub requests: PathBuf,
    /// Write the golden files into this directory.
    #[arg(long, value_name = "DIR", default_value = "contract")]
    pub out: PathBuf,
    /// Record in this protocol.
    #[arg(long, value_enum, default_value_t = Protocols::H1)]
    pub protocol: Protocols,
    /// Store values of this kind although they look like a credential or personal data (email, jwt, ...). May be given more
    /// than once; `allow` in the rules file says it for one request.
    #[arg(long, value_name = "KIND", value_parser = kind)]
    pub allow: Vec<Kind>,
    /// How requests are sent.
    #[command(flatten)]
    pub sending: Sending,
    /// How requests are read.
    #[command(flatten)]
    pub set: Requests,
}

fn kind(text: &str) -> Result<Kind, String> {
    Kind::read(text).ok_or_else(|| format!("write one of {}", Kind::spellings()))
}

/// Records and prints.
pub(super) async fn main(arguments: &Arguments) -> u8 {
    let prepared = prepare(arguments);
    let (plan, set) = match prepared {
        Ok(prepared) => prepared,
        Err(message) => return refused("capture", &message),
    };
    let outcomes = capture(&plan, &set.requests, progress).await;
    let mut goldens = Vec::new();
    let mut refusals = 0_usize;
    for outcome in &outcomes {
        match outcome {
            Outcome::Recorded(golden) => goldens.push(&**golden),
            Outcome::Refused { file, why } => {
                refusals += 1;
                out::error!("{}: not stored:", arguments.out.join(file).display());
                for why in why {
                    out::error!("  {why}");
                }
            }
        }
    }
    for why in &set.skipped {
        out::error!("skipped: {why}");
    }
    match store(&arguments.out, &goldens) {
        Ok(others) => {
            for path in others {
                out::error!(
                    "{} belongs to none of these requests; remove it if its request is gone",
                    path.display()
                );
            }
        }
        Err(message) => {
            out::error!("cutover contract capture: {message}");
            return FOUND;
        }
    }
    out::line!("{} of {} exchanges are in {}", goldens.len(), outcomes.len(), arguments.out.display());
    if refusals == 0 { DONE } else { FOUND }
}

fn prepare(arguments: &Arguments) -> Result<(Capture, contract::requests::Set), String> {
    let Arguments { from, requests, out, protocol, allow, sending, set } = arguments;
    let mut rules = set.rules(out)?;
    rules.allow.extend(allow.iter().map(|kind| contract::rules::Allowed { request: None, kind: *kind }));
    let plan = Capture {
        from: Origin::read(from, sending.ca.as_deref())?,
        host: sending.host.clone(),
        protocols: protocol.each(),
        principals: sending.principals()?,
        rules,
        pace: sending.pace(),
    };
    let set = set.read(requests)?;
    if set.requests.is_empty() {
        return Err(super::nothing_to_send(requests, &set.skipped));
    }
    Ok((plan, set))
}
