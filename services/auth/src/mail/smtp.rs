//! Mail through a mail server (SMTP with TLS).

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kit::answer::Chain;
use lettre::address::Envelope;
use lettre::message::{Mailbox as Person, header::ContentType};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use reqwest::Url;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use uuid::Uuid;

use super::{Code, PATIENCE, SUBJECT, text};
use crate::settings::mail::Smtp;

/// How many mails are sent at a time. A mail server accepts a few connections of one client; the others wait their turn.
const MAX_AT_ONCE: usize = 16;

/// A mail server with its sender.
#[derive(Clone)]
pub(super) struct Server {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Address,
    turns: Arc<Semaphore>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Server {
    /// Connects with each mail.
    ///
    /// # Errors
    /// When the settings are not valid. The message does not repeat the password.
    pub(super) fn new(settings: &Smtp) -> Result<Self, String> {
        let unusable =
            |_| "MAIL_SMTP_URL is not the address of a mail server; write smtps://USER:PASSWORD@HOST";
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&settings.url).map_err(unusable)?;
        let transport = match &settings.ca {
            None => transport,
            Some(ca) => {
                transport.tls(trusting(ca, &settings.url).map_err(|error| format!("MAIL_SMTP_CA: {error}"))?)
            }
        };
        let transport = transport.timeout(Some(PATIENCE)).build();
        let from = address(&settings.from)
            .ok_or_else(|| "MAIL_FROM is not an address that a mail server takes".to_owned())?;
        Ok(Self { transport, from, turns: Arc::new(Semaphore::new(MAX_AT_ONCE)) })
    }

    /// Sends a code.
    ///
    /// # Errors
    /// When the server does not take it, or does not answer in time.
    pub(super) async fn send(&self, code: &Code<'_>) -> io::Result<()> {
        let message = self.message(code)?;
        let sending = async {
            let _turn = self.turns.acquire().await.map_err(io::Error::other)?;
            self.transport.send(message).await.map(|_| ()).map_err(io::Error::other)
        };
        let late = || io::Error::new(io::ErrorKind::TimedOut, "the mail server does not answer");
        timeout(PATIENCE, sending).await.map_err(|_| late())?
    }

    fn message(&self, code: &Code<'_>) -> io::Result<Message> {
        let to = address(code.to).ok_or_else(|| io::Error::other("mail servers do not take this address"))?;
        let id = format!("<{}@{}>", Uuid::new_v4(), self.from.domain());
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(code.at.seconds()));
        // From the parsed addresses: the reader of headers does not take every one of them.
        let envelope = Envelope::new(Some(self.from.clone()), vec![to.clone()]).map_err(io::Error::other)?;
        Message::builder()
            .envelope(envelope)
            .from(Person::new(None, self.from.clone()))
            .to(Person::new(None, to))
            .subject(SUBJECT)
            .date(at.unwrap_or(SystemTime::UNIX_EPOCH))
            .message_id(Some(id))
            .header(ContentType::TEXT_PLAIN)
            .body(text(code.code))
            .map_err(io::Error::other)
    }
}

/// Returns the TLS of the server at `url` with the authority in the file `ca`, and no other.
fn trusting(ca: &Path, url: &str) -> Result<Tls, String> {
    let file = ca.display();
    let pem = std::fs::read(ca).map_err(|error| format!("{file} cannot be read: {error}"))?;
    // The library takes a file without a certificate, and trusts no server then.
    if CertificateDer::from_pem_slice(&pem).is_err() {
        return Err(format!("{file} is not a PEM certificate"));
    }
    let authority = Certificate::from_pem(&pem).map_err(|_| format!("{file} is not a PEM certificate"))?;
    let url = Url::parse(url).map_err(|error| error.to_string())?;
    let parameters = TlsParameters::builder(url.host_str().unwrap_or_default().to_owned())
        .certificate_store(CertificateStore::None)
        .add_root_certificate(authority)
        .build()
        .map_err(|error| format!("{file} cannot be used: {}", Chain(&error)))?;
    match (url.scheme(), url.query()) {
        ("smtps", _) => Ok(Tls::Wrapper(parameters)),
        (_, Some(_)) => Ok(Tls::Required(parameters)),
        (_, None) => Err("MAIL_SMTP_URL is one without TLS; unset MAIL_SMTP_CA".to_owned()),
    }
}

/// Reads an address. One with dots at unusual places is written with quotes, which mean the same mailbox (RFC 5321 §4.1.2).
fn address(text: &str) -> Option<Address> {
    let quoted = || {
        let (local, domain) = text.split_once('@')?;
        format!("\"{local}\"@{domain}").parse().ok()
    };
    text.parse().ok().or_else(quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_a_person_is_one_for_the_server() {
        for (text, expected) in [
            ("demo@example.com", "demo@example.com"),
            (".a..b.@docomo.test", "\".a..b.\"@docomo.test"),
            ("o'neill+tag@x.y", "o'neill+tag@x.y"),
        ] {
            assert!(kit::email::is_address(text));
            assert_eq!(address(text).map(|address| address.to_string()).as_deref(), Some(expected));
        }
    }
}
