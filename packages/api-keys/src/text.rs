//! The text of a key: `ck_`, 16 hexadecimal digits of id, `_`, 64 hexadecimal digits of secret.
//!
//! There is one spelling: lower case, no space, no other length. The id is public (it is in logs and lists),
//! the prefix lets secret scanners find a key that was committed by mistake.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use subtle::ConstantTimeEq as _;

/// The beginning of every key.
pub const PREFIX: &str = "ck_";

const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
const HASH_BYTES: usize = 32;

/// The public half of a key: names it in lists, logs and revocations.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; ID_BYTES]);

/// The stored form of a key: SHA-256 of its whole text.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; HASH_BYTES]);

/// The text is not a key. The message does not repeat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an API key: it is written `ck_`, 16 hexadecimal digits, `_`, 64 hexadecimal digits")]
pub struct MalformedKey;

/// The system gave no random numbers; nothing works without them.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the system gave no random numbers")]
pub struct NoRandomness;

/// A well-formed key from a request. It has not been looked up yet.
pub struct ApiKey<'t> {
    id: KeyId,
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
    /// [`MalformedKey`] for anything but the one spelling.
    pub fn read(text: &'t [u8]) -> Result<Self, MalformedKey> {
        let rest = text.strip_prefix(PREFIX.as_bytes()).ok_or(MalformedKey)?;
        let (id, rest) = rest.split_at_checked(2 * ID_BYTES).ok_or(MalformedKey)?;
        let secret = rest.strip_prefix(b"_").ok_or(MalformedKey)?;
        let id = KeyId(unhex(id).ok_or(MalformedKey)?);
        unhex::<SECRET_BYTES>(secret).ok_or(MalformedKey)?;
        Ok(Self { id, text })
    }

    /// Its public half.
    #[must_use]
    pub const fn id(&self) -> KeyId {
        self.id
    }

    /// What would be stored of it.
    #[must_use]
    pub fn hash(&self) -> KeyHash {
        KeyHash::of(self.text)
    }
}

/// Makes a new key: its id, its text (to be shown once) and its hash (to be stored).
///
/// # Errors
/// [`NoRandomness`].
pub fn generate() -> Result<(KeyId, String, KeyHash), NoRandomness> {
    let random = SystemRandom::new();
    let (mut id, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
    random.fill(&mut id).map_err(|_| NoRandomness)?;
    random.fill(&mut secret).map_err(|_| NoRandomness)?;
    let text = format!("{PREFIX}{}_{}", hex(&id), hex(&secret));
    let hash = KeyHash::of(text.as_bytes());
    Ok((KeyId(id), text, hash))
}

impl KeyHash {
    fn of(text: &[u8]) -> Self {
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
    type Err = MalformedKey;

    fn from_str(text: &str) -> Result<Self, MalformedKey> {
        unhex(text.as_bytes()).map(Self).ok_or(MalformedKey)
    }
}

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
        let (id, text, hash) = generate().unwrap();
        let key = ApiKey::read(text.as_bytes()).unwrap();
        assert_eq!((key.id(), text.len()), (id, 84));
        assert!(key.hash().is(&hash));
        assert!(!format!("{key:?} {hash:?}").contains(&text[20..]), "no secret in Debug");
        for wrong in [
            String::new(),
            "ck_".to_owned(),
            text.to_uppercase(),
            text.replacen("ck_", "CK_", 1),
            text.replacen("ck_", "sk_", 1),
            format!(" {text}"),
            format!("{text} "),
            format!("{text}\t"),
            format!("{text}0"),
            format!("{text}, {text}"),
            text[..83].to_owned(),
            text[..20].to_owned(),
            text[3..].to_owned(),
            text.replacen('_', "-", 2),
            format!("{}g", &text[..83]),
        ] {
            assert!(ApiKey::read(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn two_keys_differ() {
        let ((a, text_a, hash_a), (b, text_b, hash_b)) = (generate().unwrap(), generate().unwrap());
        assert_ne!((a, text_a), (b, text_b));
        assert!(!hash_a.is(&hash_b));
    }
}
