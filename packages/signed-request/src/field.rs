//! Structured fields (RFC 8941): only the parts that a signature needs, and only in canonical spelling.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::Fault;
use crate::key::Algorithm;

/// The longest field in bytes. Longer ones are refused unread; thirty components and five parameters take
/// half of it.
pub const MAX_BYTES: usize = 2_048;

/// The largest number of covered components.
pub const MAX_COMPONENTS: usize = 32;

/// The parsed `Signature-Input`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input<'a> {
    /// The label that links it to its member of `Signature`.
    pub label: &'a str,
    /// The covered components, in their order.
    pub components: Vec<&'a str>,
    /// The text after the label, unchanged: the value of `@signature-params`.
    pub parameters: &'a str,
    /// The creation time, in seconds since 1970.
    pub created: u64,
    /// The expiry, in seconds since 1970.
    pub expires: Option<u64>,
    /// The nonce, which makes the signature unique.
    pub nonce: Option<&'a str>,
    /// The id of the signing key.
    pub key_id: &'a str,
    /// The algorithm of the signature.
    pub algorithm: Option<Algorithm>,
    /// The application that the signature is for (RFC 9421 §2.3).
    pub tag: Option<&'a str>,
}

struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    fn eat(&mut self, expected: &str) -> Result<(), Fault> {
        self.rest = self.rest.strip_prefix(expected).ok_or(Fault::Malformed)?;
        Ok(())
    }

    fn eats(&mut self, expected: &str) -> bool {
        self.eat(expected).is_ok()
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let end = self.rest.bytes().position(|b| !wanted(b)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    /// Parses a key (RFC 8941 §3.1.2).
    fn key(&mut self) -> Result<&'a str, Fault> {
        let key = self.take_while(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-' | b'.' | b'*')
        });
        let begins_well = key.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b == b'*');
        if begins_well && key.len() <= 64 { Ok(key) } else { Err(Fault::Malformed) }
    }

    /// Parses a string (RFC 8941 §3.3.3) without escapes.
    fn string(&mut self) -> Result<&'a str, Fault> {
        self.eat("\"")?;
        let text = self.take_while(|b| (0x20..0x7f).contains(&b) && b != b'"' && b != b'\\');
        self.eat("\"")?;
        Ok(text)
    }

    /// Parses a whole number of seconds: at most 15 digits (RFC 8941 §3.3.1), no sign, no leading zero.
    fn seconds(&mut self) -> Result<u64, Fault> {
        let digits = self.take_while(|b| b.is_ascii_digit());
        if !(1..=15).contains(&digits.len()) || (digits.len() > 1 && digits.starts_with('0')) {
            return Err(Fault::Malformed);
        }
        digits.parse().map_err(|_| Fault::Malformed)
    }

    /// Parses a byte sequence (RFC 8941 §3.3.5) with correct padding.
    fn bytes(&mut self) -> Result<Vec<u8>, Fault> {
        self.eat(":")?;
        let text = self.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
        self.eat(":")?;
        STANDARD.decode(text).map_err(|_| Fault::Malformed)
    }

    fn end(&self) -> Result<(), Fault> {
        if self.rest.is_empty() { Ok(()) } else { Err(Fault::Malformed) }
    }
}

fn ascii(value: &[u8]) -> Result<&str, Fault> {
    if value.len() > MAX_BYTES {
        return Err(Fault::Malformed);
    }
    std::str::from_utf8(value).ok().filter(|text| text.is_ascii()).ok_or(Fault::Malformed)
}

/// Sets `slot`, which must be empty.
fn once<T>(slot: &mut Option<T>, value: T) -> Result<(), Fault> {
    if slot.replace(value).is_some() { Err(Fault::Malformed) } else { Ok(()) }
}

/// Parses `Signature-Input` with its only member.
///
/// # Errors
/// [`Fault::Malformed`], [`Fault::Ambiguous`] for a second member, [`Fault::Incomplete`] when `created` or `keyid` is
/// missing.
pub fn input(value: &[u8]) -> Result<Input<'_>, Fault> {
    let mut cursor = Cursor { rest: ascii(value)? };
    let label = cursor.key()?;
    cursor.eat("=")?;
    let parameters = cursor.rest;
    let components = inner_list(&mut cursor)?;

    let (mut created, mut expires, mut nonce, mut key_id) = (None, None, None, None);
    let (mut algorithm, mut tag) = (None, None);
    while cursor.eats(";") {
        let name = cursor.key()?;
        cursor.eat("=")?;
        match name {
            "created" => once(&mut created, cursor.seconds()?)?,
            "expires" => once(&mut expires, cursor.seconds()?)?,
            "nonce" => once(&mut nonce, nonce_of(cursor.string()?)?)?,
            "keyid" => once(&mut key_id, cursor.string()?)?,
            "alg" => {
                once(&mut algorithm, Algorithm::from_name(cursor.string()?).ok_or(Fault::WrongAlgorithm)?)?;
            }
            "tag" => once(&mut tag, cursor.string()?)?,
            // An unknown parameter may limit the meaning of the signature.
            _ => return Err(Fault::Malformed),
        }
    }
    if cursor.rest.starts_with(',') {
        return Err(Fault::Ambiguous);
    }
    cursor.end()?;
    Ok(Input {
        label,
        components,
        parameters,
        created: created.ok_or(Fault::Incomplete)?,
        expires,
        nonce,
        key_id: key_id.ok_or(Fault::Incomplete)?,
        algorithm,
        tag,
    })
}

fn inner_list<'a>(cursor: &mut Cursor<'a>) -> Result<Vec<&'a str>, Fault> {
    cursor.eat("(")?;
    let mut components: Vec<&str> = Vec::new();
    while !cursor.eats(")") {
        if !components.is_empty() {
            cursor.eat(" ")?;
        }
        let component = cursor.string()?;
        // RFC 9421 §2: each identifier occurs once.
        if components.contains(&component) || components.len() == MAX_COMPONENTS {
            return Err(Fault::Malformed);
        }
        components.push(component);
    }
    Ok(components)
}

/// Checks a nonce: 16 to 128 characters that need no escaping anywhere. A UUID has 36.
fn nonce_of(text: &str) -> Result<&str, Fault> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b);
    if (16..=128).contains(&text.len()) && text.bytes().all(plain) { Ok(text) } else { Err(Fault::Malformed) }
}

/// Parses `Signature`, whose only member must be called `label`.
///
/// # Errors
/// [`Fault::Malformed`], or [`Fault::Ambiguous`] for a second member.
pub fn signature(value: &[u8], label: &str) -> Result<Vec<u8>, Fault> {
    single(ascii(value)?, label)
}

/// Parses `Content-Digest`, which must contain one SHA-256 digest.
///
/// # Errors
/// [`Fault::Malformed`], or [`Fault::Ambiguous`] for a second digest.
pub fn content_digest(value: &[u8]) -> Result<Vec<u8>, Fault> {
    single(ascii(value)?, "sha-256")
}

fn single(text: &str, label: &str) -> Result<Vec<u8>, Fault> {
    let mut cursor = Cursor { rest: text };
    let key = cursor.key()?;
    cursor.eat("=")?;
    let bytes = cursor.bytes()?;
    if cursor.rest.starts_with(',') {
        return Err(Fault::Ambiguous);
    }
    cursor.end()?;
    if key == label { Ok(bytes) } else { Err(Fault::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "s=(\"@method\" \"@path\");created=1800000000;nonce=\"0123456789abcdef\";keyid=\"k\";alg=\"hmac-sha256\"";

    #[test]
    fn the_canonical_spelling_is_read() {
        let input = input(GOOD.as_bytes()).unwrap();
        assert_eq!((input.label, input.key_id, input.created), ("s", "k", 1_800_000_000));
        assert_eq!(input.components, ["@method", "@path"]);
        assert_eq!(format!("s={}", input.parameters), GOOD);
        assert_eq!((input.expires, input.tag), (None, None));
        let tagged = format!("{GOOD};tag=\"gnap\"");
        assert_eq!(self::input(tagged.as_bytes()).unwrap().tag, Some("gnap"));
        let bare = "s=(\"@method\");created=1800000000;keyid=\"k\"";
        let bare = self::input(bare.as_bytes()).unwrap();
        assert_eq!((bare.nonce, bare.algorithm), (None, None));
    }

    #[test]
    fn every_other_spelling_is_refused() {
        for (old, new, fault) in [
            ("s=(", "S=(", Fault::Malformed),
            ("s=(", "=(", Fault::Malformed),
            ("s=(", "s =(", Fault::Malformed),
            ("s=(", "s=( ", Fault::Malformed),
            ("\" \"", "\"  \"", Fault::Malformed),
            ("\" \"", "\"\"", Fault::Malformed),
            ("\" \"", "\"\t\"", Fault::Malformed),
            ("\"@path\"", "\"@method\"", Fault::Malformed),
            ("\"@path\"", "\"@path\";req", Fault::Malformed),
            ("\"@path\"", "\"@p\\\"ath\"", Fault::Malformed),
            ("\"@path\"", "@path", Fault::Malformed),
            (");created", ") ;created", Fault::Malformed),
            (";created", "; created", Fault::Malformed),
            ("created=1800000000", "created=-1800000000", Fault::Malformed),
            ("created=1800000000", "created=01800000000", Fault::Malformed),
            ("created=1800000000", "created=9223372036854775808", Fault::Malformed),
            ("created=1800000000", "created=18446744073709551616", Fault::Malformed),
            ("created=1800000000", "created=1800000000.5", Fault::Malformed),
            ("created=1800000000", "created=\"1800000000\"", Fault::Malformed),
            ("created=1800000000", "created=", Fault::Malformed),
            ("created=1800000000", "created", Fault::Malformed),
            ("created=1800000000", "created=1;created=1", Fault::Malformed),
            ("created=1800000000;", "", Fault::Incomplete),
            (";keyid=\"k\"", "", Fault::Incomplete),
            ("0123456789abcdef", "short", Fault::Malformed),
            ("0123456789abcdef", "0123456789abcdef\\n", Fault::Malformed),
            ("0123456789abcdef", "0123456789abcdef\n", Fault::Malformed),
            ("0123456789abcdef", "0123456789abcdef\";x=\"", Fault::Malformed),
            ("hmac-sha256", "rsa-v1_5-sha256", Fault::WrongAlgorithm),
            ("hmac-sha256", "HMAC-SHA256", Fault::WrongAlgorithm),
            ("alg=\"hmac-sha256\"", "alg=\"hmac-sha256\";tag=x", Fault::Malformed),
            ("alg=\"hmac-sha256\"", "alg=\"hmac-sha256\";tag=\"x\";tag=\"x\"", Fault::Malformed),
            ("alg=\"hmac-sha256\"", "alg=\"hmac-sha256\";other=\"x\"", Fault::Malformed),
            ("alg=\"hmac-sha256\"", "alg=\"hmac-sha256\",t=()", Fault::Ambiguous),
            ("alg=\"hmac-sha256\"", "alg=\"hmac-sha256\" ", Fault::Malformed),
        ] {
            assert!(GOOD.contains(old), "{old}");
            let text = GOOD.replacen(old, new, 1);
            assert_eq!(input(text.as_bytes()).err(), Some(fault), "{text}");
        }
        assert_eq!(input(b"").err(), Some(Fault::Malformed));
        assert_eq!(input(&[0xff; 10]).err(), Some(Fault::Malformed));
        assert_eq!(input(&vec![b'a'; MAX_BYTES + 1]).err(), Some(Fault::Malformed));
        let many = (0..=MAX_COMPONENTS).map(|n| format!("\"h{n}\"")).collect::<Vec<_>>().join(" ");
        let text = GOOD.replacen("\"@method\" \"@path\"", &many, 1);
        assert_eq!(input(text.as_bytes()).err(), Some(Fault::Malformed));
    }

    #[test]
    fn bytes_are_padded_standard_base64() {
        assert_eq!(signature(b"s=:AAE=:", "s"), Ok(vec![0, 1]));
        for text in [
            "s=:AAE:",
            "s=AAE=",
            "s=:AAE=",
            "s=:A_E=:",
            "s=:AA F=:",
            "t=:AAE=:",
            "s=:AAE=:;x",
            "s=:AAF=:",
            "s",
            "",
            " s=:AAE=:",
        ] {
            assert_eq!(signature(text.as_bytes(), "s"), Err(Fault::Malformed), "{text}");
        }
        assert_eq!(signature(b"s=:AAE=:, s=:AAE=:", "s"), Err(Fault::Ambiguous));
        assert_eq!(content_digest(b"sha-512=:AAE=:"), Err(Fault::Malformed));
        assert_eq!(content_digest(b"sha-256=:AAE=:, sha-512=:AAE=:"), Err(Fault::Ambiguous));
    }
}
