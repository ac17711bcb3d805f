//! Mails with login codes: through a mail server ([`smtp`]) or Amazon SES, or as files for a development edge.

mod files;
mod smtp;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::mail::{Keys, Letter, Sent, Ses};
use clock::{Clock, UnixTime};
use tokio::time::timeout;
use uuid::Uuid;

use crate::settings::mail::Sender;
use smtp::Server;

/// The subject of every mail.
const SUBJECT: &str = "Your login code";

/// How long one mail may take. The person waits at the login form, and a request may take ten seconds.
const PATIENCE: Duration = Duration::from_secs(6);

/// Mails login codes.
#[derive(Clone, Debug)]
pub struct Mailbox {
    way: Way,
    clock: Arc<dyn Clock>,
}

/// How mails leave.
#[derive(Clone, Debug)]
enum Way {
    /// As files below this directory.
    Files(PathBuf),
    /// Through a mail server.
    Server(Server),
    /// Through Amazon SES.
    Ses(Ses),
}

/// A code on its way.
struct Code<'c> {
    to: &'c str,
    code: &'c str,
    at: UnixTime,
}

impl Mailbox {
    /// Mails through `sender`; without one, writes files below `directory`, which is created with the first mail.
    ///
    /// # Errors
    /// When the settings of `sender` are not valid, or its key cannot be read. The message does not repeat a secret.
    pub fn new(sender: Option<&Sender>, directory: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let way = match sender {
            Some(Sender::Smtp(server)) => Way::Server(Server::new(server)?),
            Some(Sender::Ses(ses)) => {
                let keys = Keys::read(&ses.key).map_err(|error| format!("SES_KEY: {error}"))?;
                let made = Ses::new(&ses.region, ses.url.as_deref(), &ses.from, keys, Arc::clone(&clock));
                Way::Ses(made.map_err(|error| format!("SES_URL: {error}"))?)
            }
            None => Way::Files(directory),
        };
        Ok(Self { way, clock })
    }

    /// Sends the mail with a login code. The code appears in the mail and nowhere else.
    ///
    /// # Errors
    /// The I/O error of the system, or the refusal of the mail server or of SES. The mail may have been sent when the server
    /// did not answer in time.
    pub async fn send_code(&self, address: &str, code: &str) -> io::Result<()> {
        let code = Code { to: address, code, at: self.clock.now() };
        match &self.way {
            Way::Files(directory) => files::write_code(directory, &code).await,
            Way::Server(server) => server.send(&code).await,
            Way::Ses(ses) => send_with(ses, &code).await,
        }
    }
}

/// Sends a code with SES, once: a person who receives none asks for the next.
async fn send_with(ses: &Ses, code: &Code<'_>) -> io::Result<()> {
    let letter = Letter {
        to: code.to.to_owned(),
        subject: SUBJECT.to_owned(),
        text: text(code.code),
        id: Uuid::new_v4().to_string(),
    };
    let late = || io::Error::new(io::ErrorKind::TimedOut, "SES does not answer");
    match timeout(PATIENCE, ses.send(&letter)).await.map_err(|_| late())? {
        Sent::Accepted(_) => Ok(()),
        Sent::Later { error, after: _ }
        | Sent::Unavailable(error)
        | Sent::Refused(error)
        | Sent::Unknown(error) => Err(io::Error::other(error)),
    }
}

/// The text of a mail.
fn text(code: &str) -> String {
    let link = link(code);
    // Short lines, so that the mail needs no encoding.
    format!(
        "Your login code is\n\n    {code}\n\nIt is valid for two minutes. On your phone you can open\n\n    {link}\n\nIf you did not \
         ask for it, ignore this mail:\nnobody can sign in without the code.\n"
    )
}

/// The link that opens an application with the code.
fn link(code: &str) -> String {
    format!("madome:///auth?value={code}")
}
