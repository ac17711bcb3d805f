//! The text of a key: a prefix, `_`, 16 hexadecimal digits of id, `_`, 64 hexadecimal digits of secret.
//!
//! There is one spelling: lower case, no space, no other length. The id is public (it is in logs and lists),
//! the prefix lets secret scanners find a key that was committed by mistake; [`PREFIX`] unless the product has
//! its own.
//!
//! A key that was imported has the text that its first issuer gave it: 1 to [`MAX_BYTES`] visible ASCII
//! characters. Such a text names no id, so it is found by its hash.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq as _;

/// The prefix of keys that name none of their own.
pub const PREFIX: &str = "ck";

/// The longest prefix. With it a key has 98 characters.
const MAX_PREFIX_BYTES: usize = 16;

/// The longest text that is hashed: keys of other issuers have 20 to 200 characters.
pub const MAX_BYTES: usize = 512;

const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
const HASH_BYTES: usize = 32;

/// The public half of a key: names it in lists, logs and revocations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; ID_BYTES]);

/// The stored form of a key: SHA-256 of its whole text.
///
/// Equality is for lookups by hash: an attacker cannot choose the bytes of a hash one by one, so the time of a
/// comparison reveals nothing. [`KeyHash::is`] compares in constant time where one entry was chosen by its id.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; HASH_BYTES]);

/// The text is not a key. The message does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an API key: it has 1 to {MAX_BYTES} visible ASCII characters")]
pub struct MalformedKey;

/// The system gave no random numbers; nothing works without them.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gave no random numbers")]
pub struct NoRandomness;

/// The text is not a key id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the id of a key: it has 16 lower-case hexadecimal digits")]
pub struct MalformedId;

/// The beginning of every key of a product, without the `_` that follows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix(String);

/// The text is not a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a prefix: it has 1 to {MAX_PREFIX_BYTES} lower-case letters and digits and begins with a letter"
)]
pub struct MalformedPrefix;

impl Default for Prefix {
    fn default() -> Self {
        Self(PREFIX.to_owned())
    }
}

impl FromStr for Prefix {
    type Err = MalformedPrefix;

    fn from_str(text: &str) -> Result<Self, MalformedPrefix> {
        if is_prefix(text.as_bytes()) { Ok(Self(text.to_owned())) } else { Err(MalformedPrefix) }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn is_prefix(text: &[u8]) -> bool {
    (1..=MAX_PREFIX_BYTES).contains(&text.len())
        && text.first().is_some_and(u8::is_ascii_lowercase)
        && text.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// A key from a request. It has not been looked up yet.
pub struct ApiKey<'t> {
    /// Absent in a text that another issuer wrote.
    id: Option<KeyId>,
    text: &'t [u8],
}

impl fmt::Debug for ApiKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id).field("secret", &"[redacted]").finish()
    }
}

impl<'t> ApiKey<'t> {
    /// Reads a key.
    ///
    /// # Errors
    /// [`MalformedKey`] for a text that cannot be a key of any issuer.
    pub fn read(text: &'t [u8]) -> Result<Self, MalformedKey> {
        if !(1..=MAX_BYTES).contains(&text.len()) || !text.iter().all(u8::is_ascii_graphic) {
            return Err(MalformedKey);
        }
        Ok(Self { id: own_id(text), text })
    }

    /// Its public half; absent in a text that another issuer wrote.
    #[must_use]
    pub const fn id(&self) -> Option<KeyId> {
        self.id
    }

    /// What would be stored of it.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(self.text)
    }
}

/// The id in a text of this crate's form.
fn own_id(text: &[u8]) -> Option<KeyId> {
    let (rest, secret) = text.split_at_checked(text.len().checked_sub(2 * SECRET_BYTES)?)?;
    unhex::<SECRET_BYTES>(secret)?;
    let rest = rest.strip_suffix(b"_")?;
    let (rest, id) = rest.split_at_checked(rest.len().checked_sub(2 * ID_BYTES)?)?;
    let id = KeyId(unhex(id)?);
    rest.strip_suffix(b"_").filter(|prefix| is_prefix(prefix)).map(|_| id)
}

/// Makes a new key: its id, its text (to be shown once) and its hash (to be stored).
///
/// # Errors
/// [`NoRandomness`].
pub fn generate(prefix: &Prefix) -> Result<(KeyId, String, KeyHash), NoRandomness> {
    let id = KeyId::generate()?;
    let mut secret = [0; SECRET_BYTES];
    SystemRandom::new().fill(&mut secret).map_err(|_| NoRandomness)?;
    let text = format!("{prefix}_{id}_{}", hex(&secret));
    let hash = KeyHash::of(text.as_bytes());
    Ok((id, text, hash))
}

impl KeyId {
    /// Makes a new id. That of an imported key is random too: an id made from the key would let a reader of logs try
    /// guesses of the key.
    ///
    /// # Errors
    /// [`NoRandomness`].
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut id = [0; ID_BYTES];
        SystemRandom::new().fill(&mut id).map_err(|_| NoRandomness)?;
        Ok(Self(id))
    }
}

impl KeyHash {
    /// The hash of a key's whole text.
    #[must_use]
    pub fn of(text: &[u8]) -> Self {
        let mut hash = [0; HASH_BYTES];
        for (to, from) in hash.iter_mut().zip(digest(&SHA256, text).as_ref()) {
            *to = *from;
        }
        Self(hash)
    }

    /// Whether it is `other`, in a time that does not depend on where they differ.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash([redacted])")
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl FromStr for KeyId {
    type Err = MalformedId;

    fn from_str(text: &str) -> Result<Self, MalformedId> {
        unhex(text.as_bytes()).map(Self).ok_or(MalformedId)
    }
}

impl FromStr for KeyHash {
    type Err = MalformedHash;

    fn from_str(text: &str) -> Result<Self, MalformedHash> {
        unhex(text.as_bytes()).map(Self).ok_or(MalformedHash)
    }
}

/// The text is not the SHA-256 of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a SHA-256: it has 64 lower-case hexadecimal digits")]
pub struct MalformedHash;

macro_rules! as_hex {
    ($name:ident, $what:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&hex(&self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                unhex(text.as_bytes()).map(Self).ok_or_else(|| serde::de::Error::custom($what))
            }
        }
    };
}

as_hex!(KeyId, "an id is 16 lower-case hexadecimal digits");
as_hex!(KeyHash, "`sha256` is 64 lower-case hexadecimal digits");

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Exactly `N` bytes from `2 * N` lower-case digits.
fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

const fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_spelling() {
        for prefix in ["ck", "acme", "a2345678901234bc"] {
            let (id, text, hash) = generate(&prefix.parse().unwrap()).unwrap();
            let key = ApiKey::read(text.as_bytes()).unwrap();
            assert_eq!((key.id(), text.len()), (Some(id), prefix.len() + 82));
            assert!(key.hash().is(&hash));
            assert!(!format!("{key:?} {hash:?}").contains(&text[prefix.len() + 18..]), "no secret in Debug");
            // Not of this form, and perhaps another issuer's.
            for foreign in [
                text.to_uppercase(),
                text.replacen('_', "-", 1),
                format!("{text}0"),
                format!("_{text}"),
                text[..83].to_owned(),
                text[prefix.len()..].to_owned(),
                format!("{}g", &text[..text.len() - 1]),
                format!("x{}{text}", "0".repeat(16)),
            ] {
                assert_eq!(ApiKey::read(foreign.as_bytes()).unwrap().id(), None, "{foreign:?}");
            }
        }
    }

    #[test]
    fn a_text_with_spaces_controls_or_too_many_bytes_is_not_a_valid_key() {
        let (_, text, _) = generate(&Prefix::default()).unwrap();
        let long = "a".repeat(MAX_BYTES + 1);
        for wrong in [
            "",
            " ",
            &format!(" {text}"),
            &format!("{text} "),
            &format!("{text}\t"),
            &format!("{text}, {text}"),
            "é",
            &long,
        ] {
            assert!(ApiKey::read(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
        assert!(ApiKey::read(&long.as_bytes()[1..]).is_ok());
    }

    #[test]
    fn a_prefix_is_lower_case_letters_and_digits() {
        for wrong in ["", "_", "1a", "Acme", "a_b", "a-b", "é", "a2345678901234567"] {
            assert_eq!(wrong.parse::<Prefix>(), Err(MalformedPrefix), "{wrong:?}");
        }
    }

    #[test]
    fn two_keys_differ() {
        let new = || generate(&Prefix::default()).unwrap();
        let ((a, text_a, hash_a), (b, text_b, hash_b)) = (new(), new());
        assert_ne!((a, text_a), (b, text_b));
        assert!(!hash_a.is(&hash_b));
    }
}
