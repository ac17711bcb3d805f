//! Finds the destination of a route in the text of an edge file.

use std::fmt;
use std::ops::Range;

use edge_config::edge::AcceptedCredential;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_saphyr::{Location, Spanned};

/// The value of a route's `to`.
pub(super) enum RouteTarget {
    /// One backend's name, and its place.
    One { name: String, at: Range<usize> },
    /// Shares and kinds.
    Many {
        /// Each kind with the place of its backend's name.
        kinds: Vec<Share>,
        /// Each share with its name, the place of the name and the place of the weight.
        shares: Vec<Share>,
        /// Whether it is written in braces.
        flow: bool,
    },
}

/// A key and its value: a backend and its weight, or a kind and its backend.
pub(super) struct Share {
    pub(super) name: String,
    pub(super) key: usize,
    pub(super) weight: Range<usize>,
}

/// Finds the `to` of `route`. The text is that of a valid edge file.
pub(super) fn of(text: &str, route: &str) -> Result<RouteTarget, String> {
    let file: File = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
    let entry = file.routes.into_iter().find(|entry| entry.name == route);
    let Some(Entry { to, .. }) = entry else { return Err("it was not found where it should be".to_owned()) };
    if to.referenced != to.defined {
        return Err("it is an alias".to_owned());
    }
    let at = range(text, &to.referenced)?;
    match to.value {
        To::One(name) => Ok(RouteTarget::One { name, at }),
        To::Many(entries) => {
            let (mut kinds, mut shares) = (Vec::new(), Vec::new());
            for (key, value) in entries.into_iter().filter(|(key, _)| key.value != "sticky") {
                if value.referenced != value.defined {
                    return Err("one of its values is an alias".to_owned());
                }
                let weight = range(text, &value.referenced)?;
                let key_at = range(text, &key.referenced)?.start;
                let list =
                    if AcceptedCredential::named(&key.value).is_some() { &mut kinds } else { &mut shares };
                list.push(Share { name: key.value, key: key_at, weight });
            }
            Ok(RouteTarget::Many { kinds, shares, flow: text.as_bytes().get(at.start) == Some(&b'{') })
        }
    }
}

fn range(text: &str, location: &Location) -> Result<Range<usize>, String> {
    let unknown = || "its place in the text is not known".to_owned();
    let span = location.span();
    let start = span.byte_offset().and_then(|at| usize::try_from(at).ok()).ok_or_else(unknown)?;
    let length = span.byte_len().and_then(|length| usize::try_from(length).ok()).ok_or_else(unknown)?;
    let range = start..start.saturating_add(length);
    if text.get(range.clone()).is_some() { Ok(range) } else { Err(unknown()) }
}

#[derive(Deserialize)]
struct File {
    routes: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    name: String,
    to: Spanned<To>,
}

enum To {
    One(String),
    Many(Vec<(Spanned<String>, Spanned<IgnoredAny>)>),
}

impl<'de> Deserialize<'de> for To {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ToVisitor;

        impl<'de> Visitor<'de> for ToVisitor {
            type Value = To;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a backend, or shares")
            }

            fn visit_str<E>(self, value: &str) -> Result<To, E> {
                Ok(To::One(value.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<To, A::Error> {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key()? {
                    entries.push((key, map.next_value()?));
                }
                Ok(To::Many(entries))
            }
        }

        deserializer.deserialize_any(ToVisitor)
    }
}
