//! How login codes are mailed.

use std::fmt;
use std::path::PathBuf;

use kit::settings::{Reader, SES_KEY, SES_REGION, SES_URL, Variable};
use reqwest::Url;

/// The mail server.
pub const MAIL_SMTP_URL: Variable = Variable {
    name: "MAIL_SMTP_URL",
    default: None,
    help: "Mail server for login codes: smtps://USER:PASSWORD@HOST, or smtp://USER:PASSWORD@HOST:587?tls=required for \
           STARTTLS; without TLS on this machine alone. Unset means files in CUTOVER_HOME/mail",
    secret: true,
};

/// The authority of the mail server.
pub const MAIL_SMTP_CA: Variable = Variable {
    name: "MAIL_SMTP_CA",
    default: None,
    help: "PEM file with the authority that issued the mail server's certificate, for a private one; unset means those of the \
           system",
    secret: false,
};

/// The sender.
pub const MAIL_FROM: Variable = Variable {
    name: "MAIL_FROM",
    default: None,
    help: "Sender of mails with login codes, such as verify@example.com; needed with MAIL_SMTP_URL",
    secret: false,
};

/// The sender with SES.
pub const SES_FROM: Variable = Variable {
    name: "SES_FROM",
    default: None,
    help: "Instead of MAIL_SMTP_URL: sender of mails with login codes, an address that Amazon SES has verified",
    secret: false,
};

/// What mails the codes.
#[derive(Clone, Debug)]
pub enum Sender {
    /// A mail server.
    Smtp(Smtp),
    /// Amazon SES.
    Ses(Ses),
}

/// Amazon SES.
#[derive(Clone, Debug)]
pub struct Ses {
    /// The address of the sender, which SES has verified.
    pub from: String,
    /// The file with the access key.
    pub key: PathBuf,
    /// The region.
    pub region: String,
    /// The address, if not the region's own.
    pub url: Option<String>,
}

/// A mail server. `Debug` does not show its password.
#[derive(Clone)]
pub struct Smtp {
    /// The server with its credentials: a valid `smtp` or `smtps` URL.
    pub url: String,
    /// The address of the sender.
    pub from: String,
    /// The file with the server's authority, if it is not one of the system's.
    pub ca: Option<PathBuf>,
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp").field("from", &self.from).finish_non_exhaustive()
    }
}

/// Reads what mails the codes, if anything does.
pub(super) fn read(reader: &mut Reader) -> Option<Sender> {
    let has = |variable| reader.optional(variable).is_some();
    match (has(&MAIL_SMTP_URL), has(&SES_FROM)) {
        (false, false) => None,
        (true, false) => {
            let url = reader.parsed_by(&MAIL_SMTP_URL, |text| check_url(text).map(|()| text.to_owned()));
            let from = reader.checked(&MAIL_FROM, check_sender);
            let ca = reader.optional(&MAIL_SMTP_CA).map(PathBuf::from);
            url.map(|url| Sender::Smtp(Smtp { url, from, ca }))
        }
        (false, true) => {
            let from = reader.checked(&SES_FROM, check_sender);
            let (key, region) = (reader.path(&SES_KEY), reader.checked(&SES_REGION, check_region));
            Some(Sender::Ses(Ses { from, key, region, url: reader.optional(&SES_URL) }))
        }
        (true, true) => {
            reader.incomplete("MAIL_SMTP_URL, SES_FROM: both are set; unset one of them".to_owned());
            None
        }
    }
}

fn check_sender(text: &str) -> Result<(), String> {
    let valid = kit::email::is_address(text);
    if valid { Ok(()) } else { Err("write an e-mail address, such as verify@example.com".to_owned()) }
}

/// The region is a part of a host name.
fn check_region(text: &str) -> Result<(), String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let valid = text.chars().all(is_name);
    if valid { Ok(()) } else { Err("write a region such as eu-central-1".to_owned()) }
}

/// Refuses an address that would send codes and a password over a network in clear text.
fn check_url(text: &str) -> Result<(), String> {
    const FORMS: &str = "write smtps://USER:PASSWORD@HOST or smtp://USER:PASSWORD@HOST:587?tls=required";
    let url = Url::parse(text).map_err(|_| FORMS.to_owned())?;
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| FORMS.to_owned())?;
    let is_here = ["localhost", "127.0.0.1", "[::1]"].contains(&host);
    match (url.scheme(), url.query()) {
        ("smtps", None) | ("smtp", Some("tls=required")) => Ok(()),
        ("smtp", None) if is_here => Ok(()),
        ("smtp", None) => {
            Err(format!("add ?tls=required: without TLS only a server on this machine is used; {FORMS}"))
        }
        _ => Err(FORMS.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_elsewhere_needs_tls_and_no_password_is_shown() {
        for (text, expected) in [
            ("smtps://u:hunter2@mail.test", true),
            ("smtps://mail.test:465", true),
            ("smtp://u:hunter2@mail.test:587?tls=required", true),
            ("smtp://127.0.0.1:2525", true),
            ("smtp://localhost", true),
            ("smtp://[::1]:25", true),
            ("smtp://u:hunter2@mail.test:587", false),
            ("smtp://mail.test?tls=opportunistic", false),
            ("smtps://mail.test?tls=none", false),
            ("http://mail.test", false),
            ("smtp://", false),
            ("mail.test", false),
        ] {
            let checked = check_url(text);
            assert_eq!(checked.is_ok(), expected, "{text}");
            assert!(!format!("{checked:?}").contains("hunter2"));
        }
        let smtp = Smtp {
            url: "smtps://u:hunter2@mail.test".to_owned(),
            from: "verify@mail.test".to_owned(),
            ca: None,
        };
        assert!(!format!("{smtp:?}").contains("hunter2"));
    }
}
