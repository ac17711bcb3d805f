//! Reads a JWK set (RFC 7517) as identity providers publish it.
//!
//! A key that cannot verify tokens is passed over with its reason (RFC 7517 §5): providers publish encryption keys, new
//! types of keys and retired ones beside the signing key. One usable key is a key set.
//!
//! | a key of the set | then |
//! |---|---|
//! | for encryption (`use`, `key_ops`, `alg`), symmetric, private, of an unknown `kty`, `crv` or `alg` | passed over |
//! | an RSA key of fewer than 2048 or more than 8192 bits, a point that is not on its curve | passed over |
//! | for an algorithm that the issuer's `algorithms` does not list | passed over |
//! | without `alg` | `kty` and `crv` decide. An RSA key fits two families: the first RSA algorithm that `algorithms` lists decides, RS256 otherwise |
//! | without `kid` | serves tokens when it is the only key for its algorithm ([`KeySet::choose`]) |

use aws_lc_rs::signature::{ParsedPublicKey, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use edge_config::edge::{AlgorithmFamily, KeyAlgorithm};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::set::{KeySet, MAX_KID_BYTES, PassedOver, PinnedKey, rsa, verification};

/// More entries than this are refused: the largest providers publish about ten.
const MAX_KEYS: usize = 256;

/// RFC 7518 §3.3: "A key of size 2048 bits or larger MUST be used".
pub(super) const LEAST_RSA_BITS: usize = 2_048;
/// The library verifies no larger ones, and one verification would take a millisecond.
const MOST_RSA_BITS: usize = 8_192;

/// Reads the keys that `algorithms` allows; empty allows every asymmetric one.
///
/// # Errors
/// A sentence, when it is not a JWK set or has no usable key.
pub(super) fn read(json: &[u8], algorithms: &[KeyAlgorithm]) -> Result<KeySet, String> {
    let set: Value = serde_json::from_slice(json).map_err(|error| format!("not a JWK set ({error})"))?;
    let entries = set.get("keys").and_then(Value::as_array);
    let entries = entries.ok_or("not a JWK set: it has no list `keys`")?;
    if entries.len() > MAX_KEYS {
        return Err(format!("{} keys, at most {MAX_KEYS} are allowed", entries.len()));
    }
    let (mut keys, mut passed_over) = (Vec::with_capacity(entries.len()), Vec::new());
    for (position, entry) in entries.iter().enumerate() {
        match key(entry, algorithms) {
            Ok(key) => keys.push(key),
            Err(why) => {
                let kid = entry.get("kid").and_then(Value::as_str);
                let name = kid.map(|kid| kid.chars().take(MAX_KID_BYTES).collect());
                passed_over.push(PassedOver {
                    name: name.unwrap_or_else(|| format!("number {}", position + 1)),
                    why,
                });
            }
        }
    }
    KeySet::of(keys, passed_over)
}

/// The one key in `entry`.
///
/// # Errors
/// The reason to pass it over.
fn key(entry: &Value, algorithms: &[KeyAlgorithm]) -> Result<PinnedKey, String> {
    let members = entry.as_object().ok_or("it is not a JSON object")?;
    if members.contains_key("d") || members.contains_key("k") {
        return Err("it is a private or symmetric key: a program that can verify with it can sign".to_owned());
    }
    let kid = text(members, "kid")?;
    if kid.is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
        return Err(format!("its `kid` has more than {MAX_KID_BYTES} bytes"));
    }
    match text(members, "use")? {
        None | Some("sig") => {}
        Some(other) => return Err(format!("its `use` is {other:?}, not \"sig\"")),
    }
    match members.get("key_ops") {
        None => {}
        Some(Value::Array(operations)) if operations.iter().any(|one| one == "verify") => {}
        Some(_) => return Err("its `key_ops` does not list \"verify\"".to_owned()),
    }
    let declared = match text(members, "alg")? {
        None => None,
        Some(name) => Some(
            KeyAlgorithm::named(name)
                .ok_or_else(|| format!("its `alg` {name:?} is not a signature algorithm of this edge"))?,
        ),
    };
    let kind = Kind::of(members)?;
    let pinned = kind.pinned(declared, algorithms)?;
    let material = kind.material(members)?;
    let mut verifiers = Vec::with_capacity(pinned.len());
    for algorithm in pinned {
        verifiers.push((algorithm, material.verifier(algorithm)?));
    }
    Ok(PinnedKey::new(kid.map(Box::from), verifiers, material.hash()))
}

/// What `kty` and `crv` say.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    P256,
    P384,
    Ed25519,
    Rsa,
}

impl Kind {
    fn of(members: &Map<String, Value>) -> Result<Self, String> {
        let kty = text(members, "kty")?.ok_or("it has no `kty`")?;
        match (kty, text(members, "crv")?) {
            ("RSA", _) => Ok(Self::Rsa),
            ("EC", Some("P-256")) => Ok(Self::P256),
            ("EC", Some("P-384")) => Ok(Self::P384),
            ("OKP", Some("Ed25519")) => Ok(Self::Ed25519),
            ("EC" | "OKP", Some(curve)) => Err(format!("its curve {curve:?} is not one of this edge")),
            ("EC" | "OKP", None) => Err("it has no `crv`".to_owned()),
            ("oct", _) => Err("it is symmetric: a program that can verify with it can sign".to_owned()),
            (other, _) => Err(format!("its `kty` {other:?} is unknown")),
        }
    }

    const fn fits(self, family: AlgorithmFamily) -> bool {
        matches!(
            (self, family),
            (Self::P256, AlgorithmFamily::P256)
                | (Self::P384, AlgorithmFamily::P384)
                | (Self::Ed25519, AlgorithmFamily::Ed25519)
                | (Self::Rsa, AlgorithmFamily::RsaPkcs1 | AlgorithmFamily::RsaPss)
        )
    }

    /// The algorithms that such a key is used with: the one that it declares, or by its kind. Never of two families.
    fn pinned(
        self,
        declared: Option<KeyAlgorithm>,
        listed: &[KeyAlgorithm],
    ) -> Result<Vec<KeyAlgorithm>, String> {
        if let Some(declared) = declared {
            let name = declared.as_str();
            if !self.fits(declared.family()) {
                return Err(format!("its `alg` {name} does not match its `kty` and `crv`"));
            }
            if !listed.is_empty() && !listed.contains(&declared) {
                return Err(format!("`algorithms` of the issuer does not list its `alg` {name}"));
            }
            return Ok(vec![declared]);
        }
        let usual = match self {
            Self::P256 => KeyAlgorithm::Es256,
            Self::P384 => KeyAlgorithm::Es384,
            Self::Ed25519 => KeyAlgorithm::EdDsa,
            Self::Rsa => KeyAlgorithm::Rs256,
        };
        if listed.is_empty() {
            return Ok(vec![usual]);
        }
        let family = listed.iter().map(|one| one.family()).find(|family| self.fits(*family));
        let family =
            family.ok_or("it has no `alg`, and `algorithms` of the issuer lists none for its `kty`")?;
        Ok(listed.iter().copied().filter(|one| one.family() == family).collect())
    }

    fn material(self, members: &Map<String, Value>) -> Result<Material, String> {
        let coordinate = |name: &str, bytes: usize| {
            let found = binary(members, name)?;
            if found.len() == bytes {
                Ok(found)
            } else {
                Err(format!("its `{name}` does not have {bytes} bytes"))
            }
        };
        match self {
            Self::P256 => Ok(Material::point(&coordinate("x", 32)?, &coordinate("y", 32)?)),
            Self::P384 => Ok(Material::point(&coordinate("x", 48)?, &coordinate("y", 48)?)),
            Self::Ed25519 => Ok(Material::Point(coordinate("x", 32)?)),
            Self::Rsa => {
                let (n, e) = (number(members, "n")?, number(members, "e")?);
                let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
                if bits < LEAST_RSA_BITS {
                    return Err(format!("its RSA key has {bits} bits, and {LEAST_RSA_BITS} are the least"));
                }
                if bits > MOST_RSA_BITS {
                    return Err(format!("its RSA key has {bits} bits, and {MOST_RSA_BITS} are the most"));
                }
                Ok(Material::Rsa { n, e })
            }
        }
    }
}

/// The numbers of a key.
enum Material {
    Point(Vec<u8>),
    Rsa { n: Vec<u8>, e: Vec<u8> },
}

impl Material {
    /// An uncompressed point (SEC 1, section 2.3.3).
    fn point(x: &[u8], y: &[u8]) -> Self {
        Self::Point([&[4], x, y].concat())
    }

    fn verifier(&self, algorithm: KeyAlgorithm) -> Result<ParsedPublicKey, String> {
        let parsed = match self {
            Self::Point(point) => ParsedPublicKey::new(verification(algorithm), point),
            Self::Rsa { n, e } => RsaPublicKeyComponents { n, e }.to_parsed_public_key(rsa(algorithm)),
        };
        parsed.map_err(|error| format!("it is not a valid public key ({error})"))
    }

    fn hash(&self) -> [u8; 32] {
        match self {
            Self::Point(point) => Sha256::digest(point).into(),
            Self::Rsa { n, e } => {
                Sha256::new().chain_update(n).chain_update([0]).chain_update(e).finalize().into()
            }
        }
    }
}

/// The text of the member `name`, if it is there.
fn text<'m>(members: &'m Map<String, Value>, name: &str) -> Result<Option<&'m str>, String> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("its `{name}` is not text")),
    }
}

fn binary(members: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    let text = text(members, name)?.ok_or_else(|| format!("it has no `{name}`"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| format!("its `{name}` is not base64url"))
}

/// A number without leading zeros: some providers write the sign byte of their library along.
fn number(members: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    let bytes = binary(members, name)?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    match bytes.get(zeros..) {
        Some(rest) if !rest.is_empty() => Ok(rest.to_vec()),
        Some(_) | None => Err(format!("its `{name}` is zero")),
    }
}
