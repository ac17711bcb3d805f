//! The credentials of one exchange.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::answer::{Answer, Line};

/// Shorter values occur everywhere by chance; they are still never shown in their own place.
const LEAST_CHARS: usize = 4;

/// The most credentials: more than a request of 64 KiB has.
const MOST: usize = 512;

/// Request headers whose whole value is a credential.
const HEADERS: [&str; 6] =
    ["authorization", "proxy-authorization", "signature", "signature-input", "x-api-key", "x-csrf-token"];

/// Every credential that a request or its answers carried, the longest first.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets(Vec<String>);

/// Shows their number, but never a credential.
impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

impl Secrets {
    /// The credentials of a request to `target` and of its answers. `key_headers` are further headers with a
    /// credential, such as the edge's headers of API keys.
    #[must_use]
    pub fn of(target: &[u8], lines: &[Line], key_headers: &[&str], answers: &[&Answer]) -> Self {
        let mut found = BTreeSet::new();
        for line in lines {
            let value = String::from_utf8_lossy(&line.value);
            if line.is("cookie") {
                value.split(';').for_each(|pair| add_pair(&mut found, pair));
            } else if HEADERS.iter().any(|name| line.is(name)) || key_headers.iter().any(|name| line.is(name))
            {
                add(&mut found, &value);
                let bare = value.split_once(' ').map_or("", |(_, bare)| bare);
                add(&mut found, bare);
                // `Basic` is an encoded name and password.
                let open = STANDARD.decode(bare.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                if let Some((_, password)) = open.as_deref().and_then(|open| open.split_once(':')) {
                    add(&mut found, password);
                }
            }
        }
        let target = String::from_utf8_lossy(target);
        let query = target.split_once('?').map(|(_, query)| query).unwrap_or_default();
        query.split('&').for_each(|pair| add_pair(&mut found, pair));
        for line in answers.iter().flat_map(|answer| &answer.headers).filter(|line| line.is("set-cookie")) {
            let value = String::from_utf8_lossy(&line.value);
            add_pair(&mut found, value.split(';').next().unwrap_or_default());
        }
        let mut secrets: Vec<String> = found.into_iter().collect();
        // The longest first, so that a credential that contains another one is replaced as a whole.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    /// These and `more` values that must not be shown.
    #[must_use]
    pub fn and(self, more: impl IntoIterator<Item = String>) -> Self {
        let mut found: BTreeSet<String> = self.0.into_iter().collect();
        more.into_iter().for_each(|value| add(&mut found, &value));
        let mut secrets: Vec<String> = found.into_iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    pub(super) fn known(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

fn add_pair(found: &mut BTreeSet<String>, pair: &str) {
    let value = pair.split_once('=').map_or("", |(_, value)| value).trim();
    add(found, value);
    add(found, value.trim_matches('"'));
    add(found, &unescaped(value));
}

fn add(found: &mut BTreeSet<String>, value: &str) {
    let value = value.trim();
    if value.chars().count() >= LEAST_CHARS && found.len() < MOST {
        found.insert(value.to_owned());
    }
}

/// `%3D` as `=`; a backend may write a credential into its body in either way.
fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let digits = if *byte == b'%' { bytes.get(at + 1..at + 3) } else { None };
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let escaped = digits.and_then(|d| u8::from_str_radix(std::str::from_utf8(d).ok()?, 16).ok());
        out.push(escaped.unwrap_or(*byte));
        at += if escaped.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}
