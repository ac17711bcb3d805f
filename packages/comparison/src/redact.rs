//! Removes credentials from an answer before it is shown.
//!
//! Three checks follow one another: values that are credentials by their place (cookies, authorization, JSON members with
//! the name of one), values that were credentials elsewhere in the same exchange, and values that look like one.

mod secrets;

use edge_config::edge::DifferenceKind;
use serde::Serialize;
use sha2::{Digest, Sha256};

pub use secrets::Secrets;

use crate::compare::Difference;

/// The shown length of one value.
const SHOWN_CHARS: usize = 160;

/// Shorter runs are words and numbers; a token with less entropy is not a secure token.
const TOKEN_CHARS: usize = 20;

/// Words in the names of JSON members and headers whose values are never shown.
const SENSITIVE: [&str; 16] = [
    "token",
    "secret",
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "code",
    "otp",
    "pin",
    "credential",
    "authorization",
    "cookie",
    "session",
    "signature",
    "apikey",
    "csrf",
];

/// Further headers whose values are never shown.
const SENSITIVE_HEADERS: [&str; 3] = ["x-api-key", "www-authenticate", "authentication-info"];

/// A difference that may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shown {
    /// Its kind.
    pub kind: &'static str,
    /// Its place.
    pub place: String,
    /// The reference's value there.
    pub reference: Option<String>,
    /// The shadow's value there.
    pub shadow: Option<String>,
}

/// Replaces credentials by a mark with a short digest, so that equal ones look equal.
#[derive(Debug)]
pub struct Redactor {
    /// New at every start, so that a digest in a report does not help to find the value.
    key: [u8; 32],
}

impl Redactor {
    /// A redactor with a random key.
    #[must_use]
    pub const fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    /// The mark of one credential.
    fn mark(&self, secret: &[u8]) -> String {
        let digest = Sha256::new().chain_update(self.key).chain_update(secret).finalize();
        let short: String = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        format!("«secret:{short}»")
    }

    /// A difference without credentials, its values shortened.
    #[must_use]
    pub fn difference(&self, difference: &Difference, secrets: &Secrets) -> Shown {
        let Shown { kind, place, reference, shadow } = self.whole(difference, secrets);
        let short = |value: Option<String>| value.map(|value| cut(&value));
        Shown { kind, place, reference: short(reference), shadow: short(shadow) }
    }

    /// A difference without credentials, its values in full length.
    #[must_use]
    pub fn whole(&self, difference: &Difference, secrets: &Secrets) -> Shown {
        let value = |value: &Option<Vec<u8>>| {
            value.as_deref().map(|value| self.value(difference.kind, &difference.place, value, secrets))
        };
        Shown {
            kind: difference.kind.as_str(),
            place: self.place(&difference.place, secrets),
            reference: value(&difference.reference),
            shadow: value(&difference.shadow),
        }
    }

    /// A place without credentials: the words before a difference are part of a body.
    #[must_use]
    pub fn place(&self, place: &str, secrets: &Secrets) -> String {
        cut(&self.text(place, secrets))
    }

    fn value(&self, kind: DifferenceKind, place: &str, value: &[u8], secrets: &Secrets) -> String {
        let is_credential = match kind {
            DifferenceKind::SetCookieValue => true,
            DifferenceKind::HeaderMissing | DifferenceKind::HeaderExtra | DifferenceKind::HeaderValue => {
                SENSITIVE_HEADERS.contains(&place) || is_sensitive(place)
            }
            DifferenceKind::BodyMissing
            | DifferenceKind::BodyExtra
            | DifferenceKind::BodyValue
            | DifferenceKind::BodyType
            | DifferenceKind::BodyFormat => place.split('/').any(is_sensitive),
            DifferenceKind::NoAnswer
            | DifferenceKind::Status
            | DifferenceKind::Reason
            | DifferenceKind::HeaderCase
            | DifferenceKind::HeaderOrder
            | DifferenceKind::SetCookieMissing
            | DifferenceKind::SetCookieExtra
            | DifferenceKind::SetCookieAttributes
            | DifferenceKind::BodyOrder
            | DifferenceKind::BodyText
            | DifferenceKind::BodyBytes
            | DifferenceKind::BodyEncoding => false,
        };
        if is_credential && !value.is_empty() {
            return self.mark(value);
        }
        self.text(&String::from_utf8_lossy(value), secrets)
    }

    /// A target without credentials: its query values and segments that look like a token are never shown.
    #[must_use]
    pub fn target(&self, target: &[u8], secrets: &Secrets) -> String {
        cut(&self.text(&String::from_utf8_lossy(target), secrets))
    }

    /// A whole document, such as an answer, without credentials.
    #[must_use]
    pub fn document(&self, text: &str, secrets: &Secrets) -> String {
        self.text(text, secrets)
    }

    /// Any text without known credentials, query values and text that looks like a token.
    fn text(&self, text: &str, secrets: &Secrets) -> String {
        let mut text = text.to_owned();
        for secret in secrets.known() {
            if text.contains(secret) {
                text = text.replace(secret, &self.mark(secret.as_bytes()));
            }
        }
        self.tokens(&without_query_values(&text))
    }

    fn tokens(&self, text: &str) -> String {
        let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '=' | '.' | '~');
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let part = is_part(first);
            let end = rest.find(|c: char| is_part(c) != part).unwrap_or(rest.len());
            let (run, after) = rest.split_at(end);
            let letters = run.bytes().any(|b| b.is_ascii_alphabetic());
            let digits = run.bytes().any(|b| b.is_ascii_digit());
            if part && run.len() >= TOKEN_CHARS && letters && digits {
                out.push_str(&self.mark(run.as_bytes()));
            } else {
                out.push_str(run);
            }
            rest = after;
        }
        out
    }
}

/// Whether a value with this name is a credential: `accessToken`, `reset_code`, `X-Csrf-Token`.
#[must_use]
pub fn is_sensitive(name: &str) -> bool {
    let plain: String =
        name.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    // `code` and `pin` are also parts of `zipcode` and `shipping`: they count only as a whole word.
    let words = words(name);
    SENSITIVE.iter().any(|sensitive| {
        if matches!(*sensitive, "code" | "pin" | "otp" | "pwd") {
            words.iter().any(|word| word == sensitive)
        } else {
            plain.contains(sensitive)
        }
    })
}

/// The words of a name, in lower case: `resetCode`, `reset_code` and `reset-code` have two.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before_was_lower = false;
    for c in name.chars() {
        let new = !c.is_ascii_alphanumeric() || (c.is_ascii_uppercase() && before_was_lower);
        if new {
            words.push(String::new());
        }
        if c.is_ascii_alphanumeric()
            && let Some(last) = words.last_mut()
        {
            last.push(c.to_ascii_lowercase());
        }
        before_was_lower = c.is_ascii_lowercase();
    }
    words
}

/// `?a=1&b=2` without the values.
fn without_query_values(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['?', '&']) {
        let (before, after) = rest.split_at(at + 1);
        out.push_str(before);
        let is_name =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '%' | '[' | ']' | '~');
        let name = after.find(|c: char| !is_name(c)).unwrap_or(after.len());
        let (name, value) = after.split_at(name);
        out.push_str(name);
        rest = value;
        if !name.is_empty() && value.starts_with('=') {
            let end =
                value.find(|c: char| c.is_whitespace() || matches!(c, '&' | '#' | '"' | '\'' | '<' | '>'));
            out.push_str("=…");
            rest = value.split_at(end.unwrap_or(value.len())).1;
        }
    }
    out.push_str(rest);
    out
}

fn cut(text: &str) -> String {
    if text.chars().count() <= SHOWN_CHARS {
        return text.to_owned();
    }
    text.chars().take(SHOWN_CHARS).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
