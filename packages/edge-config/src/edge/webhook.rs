//! Webhooks: requests that another product signs with a secret (HMAC over the body).

use std::path::PathBuf;
use std::time::Duration;

use super::Cidr;

/// How one sender signs its webhooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Webhook {
    /// The files of the secrets: at least one, each of them valid, so that sender and edge can change theirs at different
    /// times.
    pub secrets: Vec<PathBuf>,
    /// How a file contains its secret.
    pub encoding: SecretEncoding,
    /// The hash function under the HMAC (RFC 2104).
    pub hash: WebhookHash,
    /// The header with the signature, lower case.
    pub header: String,
    /// The form of that header's value.
    pub format: SignatureFormat,
    /// When the sender signed; absent when its signatures do not say, and are then valid for ever.
    pub time: Option<WebhookTime>,
    /// What is signed, one part after another.
    pub signed: Vec<SignedPart>,
    /// The longest body in bytes; a longer one is 413.
    pub max_body_bytes: u32,
}

impl Webhook {
    /// The headers that a decision reads, in no order.
    pub fn headers(&self) -> impl Iterator<Item = &str> {
        let time = self.time.iter().filter_map(|time| time.header.as_deref());
        let signed = self.signed.iter().filter_map(|part| match part {
            SignedPart::Header(name) => Some(name.as_str()),
            SignedPart::Text(_)
            | SignedPart::Timestamp
            | SignedPart::Body
            | SignedPart::Method
            | SignedPart::Target => None,
        });
        std::iter::once(self.header.as_str()).chain(time).chain(signed)
    }
}

/// How a file contains a secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretEncoding {
    /// The bytes of the file without the line break at the end, as most senders show a secret.
    #[default]
    Text,
    /// Base64, perhaps behind `whsec_`, as Standard Webhooks write a secret.
    Base64,
    /// Hexadecimal digits, two for each byte.
    Hex,
}

/// The hash function of a signature (HMAC, RFC 2104).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WebhookHash {
    /// SHA-256.
    #[default]
    Sha256,
    /// SHA-512.
    Sha512,
}

/// The moment of signing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookTime {
    /// The header with the seconds since 1970, lower case; absent when the signature's own header has them.
    pub header: Option<String>,
    /// How far it may be from now, before and after.
    pub tolerance: Duration,
    /// Whether a signature is accepted once only.
    pub once: bool,
}

/// A part of the signed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedPart {
    /// This constant text.
    Text(String),
    /// The moment of signing, digit for digit.
    Timestamp,
    /// The body, byte for byte as it was sent.
    Body,
    /// The value of this header, lower case.
    Header(String),
    /// The method, as sent.
    Method,
    /// Path and query, as sent.
    Target,
}

/// How a digest is written. Each encoding has one spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigestEncoding {
    /// Hexadecimal digits in lower case.
    Hex,
    /// Hexadecimal digits in upper case.
    UpperHex,
    /// Base64 with padding (RFC 4648 §4).
    Base64,
    /// Base64 for URLs, without padding (RFC 4648 §5).
    Base64Url,
}

/// The form of the header with a signature.
///
/// Without a separator the value is one signature. With one it is a list: items that begin with [`Self::before`] are
/// signatures, any of which may match; one that begins with [`Self::time`] is the moment of signing; others are of another
/// version and mean nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureFormat {
    /// The text before a digest.
    pub before: String,
    /// The text behind it.
    pub behind: String,
    /// How the digest is written.
    pub digest: DigestEncoding,
    /// The text before the moment of signing, when the value contains it.
    pub time: Option<String>,
    /// What separates the items of a list.
    pub separator: Option<char>,
}

/// Why a text is not a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatFault {
    /// A `{…}` that is not known, or a brace that is not closed.
    #[error("`{0}` is not known")]
    Unknown(String),
    /// No place for the digest, or several.
    #[error("it has {0} places for the digest")]
    Digests(usize),
    /// Several places for the moment of signing.
    #[error("it has {0} places for `{{timestamp}}`")]
    Times(usize),
    /// An item of a list that is neither.
    #[error("its part `{0}` has no place for a digest or for `{{timestamp}}`")]
    Empty(String),
    /// The moment and the digest begin alike.
    #[error(
        "the text before `{timestamp}` and the text before the digest cannot be distinguished",
        timestamp = "{timestamp}"
    )]
    Alike,
    /// Something stands behind the moment of signing.
    #[error("`{0}` stands behind `{{timestamp}}`")]
    BehindTime(String),
}

/// A piece of a template: text, or the name between braces.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece<'t> {
    Text(&'t str),
    Name(&'t str),
}

fn pieces(text: &str) -> Result<Vec<Piece<'_>>, FormatFault> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((name, behind)) = after.split_once('}') else {
            return Err(FormatFault::Unknown(format!("{{{after}")));
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before));
        }
        pieces.push(Piece::Name(name));
        rest = behind;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    Ok(pieces)
}

impl DigestEncoding {
    fn read(name: &str) -> Option<Self> {
        match name {
            "hex" => Some(Self::Hex),
            "HEX" => Some(Self::UpperHex),
            "base64" => Some(Self::Base64),
            "base64url" => Some(Self::Base64Url),
            _ => None,
        }
    }
}

impl SignatureFormat {
    /// Reads a format such as `sha256={hex}`. One with `{timestamp}` is a list, whose separator is a comma unless
    /// `separator` is given.
    ///
    /// # Errors
    /// [`FormatFault`].
    pub fn read(text: &str, separator: Option<char>) -> Result<Self, FormatFault> {
        let separator = separator.or_else(|| text.contains("{timestamp}").then_some(','));
        // A format of one signature is a list of one, whatever characters are in it.
        let items: Vec<&str> = match separator {
            Some(separator) if text.contains("{timestamp}") => text.split(separator).map(str::trim).collect(),
            Some(_) | None => vec![text],
        };
        let (mut signatures, mut times) = (Vec::new(), Vec::new());
        for item in items {
            match pieces(item)?.as_slice() {
                [Piece::Name("timestamp")] => times.push(""),
                [Piece::Text(before), Piece::Name("timestamp")] => times.push(before),
                [.., Piece::Name("timestamp"), behind] => return Err(FormatFault::BehindTime(shown(behind))),
                others => {
                    let name = |piece: &Piece<'_>| match piece {
                        Piece::Name(name) => Some((*name).to_owned()),
                        Piece::Text(_) => None,
                    };
                    let names: Vec<String> = others.iter().filter_map(name).collect();
                    if let Some(unknown) = names.iter().find(|name| DigestEncoding::read(name).is_none()) {
                        return Err(FormatFault::Unknown(format!("{{{unknown}}}")));
                    }
                    match (others, names.as_slice()) {
                        (_, []) => return Err(FormatFault::Empty(item.to_owned())),
                        (_, [name]) => signatures.push((item, name.clone())),
                        (_, more) => return Err(FormatFault::Digests(more.len())),
                    }
                }
            }
        }
        let [(item, name)] = signatures.as_slice() else {
            return Err(FormatFault::Digests(signatures.len()));
        };
        let time = match times.as_slice() {
            [] => None,
            [time] => Some((*time).to_owned()),
            more => return Err(FormatFault::Times(more.len())),
        };
        let (before, behind) = item.split_once(&format!("{{{name}}}")).unwrap_or((item, ""));
        let Some(digest) = DigestEncoding::read(name) else { return Err(FormatFault::Unknown(name.clone())) };
        if time.as_ref().is_some_and(|time| time.starts_with(before) || before.starts_with(time.as_str())) {
            return Err(FormatFault::Alike);
        }
        Ok(Self { before: before.to_owned(), behind: behind.to_owned(), digest, time, separator })
    }
}

fn shown(piece: &Piece<'_>) -> String {
    match piece {
        Piece::Text(text) => (*text).to_owned(),
        Piece::Name(name) => format!("{{{name}}}"),
    }
}

impl SignedPart {
    /// Reads a text such as `{timestamp}.{body}`.
    ///
    /// # Errors
    /// [`FormatFault::Unknown`].
    pub fn read(text: &str) -> Result<Vec<Self>, FormatFault> {
        let part = |piece: Piece<'_>| match piece {
            Piece::Text(text) => Ok(Self::Text(text.to_owned())),
            Piece::Name("timestamp") => Ok(Self::Timestamp),
            Piece::Name("body") => Ok(Self::Body),
            Piece::Name("method") => Ok(Self::Method),
            Piece::Name("target") => Ok(Self::Target),
            Piece::Name(name) => match name.strip_prefix("header:") {
                Some(header) => Ok(Self::Header(header.to_owned())),
                None => Err(FormatFault::Unknown(format!("{{{name}}}"))),
            },
        };
        pieces(text)?.into_iter().map(part).collect()
    }
}

/// The requirements for a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebhookPolicy {
    /// The name of the webhook.
    pub of: String,
    /// The allowed addresses of the connection; empty means every address, because the signature proves the sender.
    pub addresses: Vec<Cidr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, separator: Option<char>) -> Result<(String, String, Option<String>), FormatFault> {
        SignatureFormat::read(text, separator).map(|format| (format.before, format.behind, format.time))
    }

    #[test]
    fn the_forms_of_well_known_senders() {
        let of = |before: &str, time: Option<&str>| {
            Ok((before.to_owned(), String::new(), time.map(str::to_owned)))
        };
        assert_eq!(read("sha256={hex}", None), of("sha256=", None));
        assert_eq!(read("{base64}", None), of("", None));
        assert_eq!(read("v0={hex}", None), of("v0=", None));
        assert_eq!(read("t={timestamp},v1={hex}", None), of("v1=", Some("t=")));
        assert_eq!(read("ts={timestamp};h1={hex}", Some(';')), of("h1=", Some("ts=")));
        assert_eq!(read("v1,{base64}", Some(' ')), of("v1,", None));
    }

    #[test]
    fn each_of_these_is_not_a_format() {
        for text in [
            "",
            "sha256",
            "{sha256}",
            "{hex",
            "{hex}{hex}",
            "{hex},{base64}",
            "t={timestamp}",
            "{timestamp}={hex}",
            "t={timestamp},{hex}",
            "t={timestamp},t={hex}",
            "t={timestamp}s,v1={hex}",
            "t={timestamp},v1={hex},x",
            "t={timestamp},t2={timestamp},v1={hex}",
            "{Hex}",
        ] {
            assert!(read(text, None).is_err(), "{text}");
        }
        assert!(SignedPart::read("{bodi}").is_err() && SignedPart::read("{body").is_err());
        let header = SignedPart::Header("x-id".to_owned());
        let text = SignedPart::Text(".".to_owned());
        assert_eq!(SignedPart::read("{header:x-id}.{body}"), Ok(vec![header, text, SignedPart::Body]));
    }
}
