//! The rules file of a set of exchanges: what is volatile, what is ignored, and what may be stored although it looks like a
//! credential.

use std::path::{Path, PathBuf};

use edge_config::edge::{DifferenceKind, Ignore, Ignored};
use serde::Deserialize;

use crate::sensitive::Kind;
use crate::shape::{SPELLINGS, Shape};

/// The rules file of a directory of golden files.
pub const FILE_NAME: &str = "rules.yaml";

/// The largest rules file: thousands of rules.
const MAX_BYTES: u64 = 1024 * 1024;

/// The rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The volatile values.
    pub volatile: Vec<Volatile>,
    /// The ignored differences, for a name of a request or for all.
    pub ignore: Vec<Ignore>,
    /// Whether differences of trailers are ignored.
    pub ignores_trailers: bool,
    /// What may be stored.
    pub allow: Vec<Allowed>,
}

/// One volatile value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volatile {
    /// The request; absent for all.
    pub request: Option<String>,
    /// The place.
    pub place: Place,
    /// The shape that it keeps.
    pub shape: Shape,
}

/// The place of a volatile value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// The value of a header, by its name in lower case.
    Header(String),
    /// The value of a `Set-Cookie`, by the cookie's name.
    Cookie(String),
    /// The value of one attribute of a `Set-Cookie`, such as the date of `Expires`.
    CookieAttribute {
        /// The cookie's name.
        cookie: String,
        /// The attribute's name in lower case.
        attribute: String,
    },
    /// A value in a JSON body, and those below it; `*` stands for any index or name.
    Json(String),
    /// The word that follows this text in a body.
    After(String),
    /// The whole body.
    Body,
}

/// Something that may be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The request; absent for all.
    pub request: Option<String>,
    /// What it is.
    pub kind: Kind,
}

/// Rules that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}; check the path", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The file says something unknown.
    #[error("{}: {what}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The fault, with its line where one is known, and the fix.
        what: String,
    },
}

impl Rules {
    /// Reads the rules file `path`.
    ///
    /// # Errors
    /// [`RulesError`].
    pub fn read(path: &Path) -> Result<Self, RulesError> {
        let unreadable = |source| RulesError::Unreadable { path: path.to_owned(), source };
        let text = crate::file::read(path, MAX_BYTES).map_err(unreadable)?;
        let wrong = |what| RulesError::Wrong { path: path.to_owned(), what };
        let text = String::from_utf8(text).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        Self::parse(&text).map_err(wrong)
    }

    /// Reads rules.
    ///
    /// # Errors
    /// A sentence with the fix.
    pub fn parse(text: &str) -> Result<Self, String> {
        let said = |error: serde_saphyr::Error| {
            let place = error.location().map(|at| format!("line {}: ", at.line())).unwrap_or_default();
            let text = error.to_string();
            format!("{place}{}; docs/contract.md lists the rules", text.lines().next().unwrap_or_default())
        };
        let document: Option<Document> = serde_saphyr::from_str(text).map_err(said)?;
        let document = document.unwrap_or_default();
        let mut rules = Self::default();
        for one in document.volatile {
            rules.volatile.push(one.rule()?);
        }
        for one in document.ignore {
            match one.rule()? {
                Some(rule) => rules.ignore.push(rule),
                None => rules.ignores_trailers = true,
            }
        }
        for AllowedText { request, kind } in document.allow {
            let kind = Kind::read(&kind)
                .ok_or_else(|| format!("allow: `{kind}` is not one of {}", Kind::spellings()))?;
            rules.allow.push(Allowed { request, kind });
        }
        Ok(rules)
    }

    /// The volatile values of a request.
    pub fn volatile_of<'a>(&'a self, request: &'a str) -> impl Iterator<Item = &'a Volatile> {
        self.volatile.iter().filter(move |one| names(one.request.as_deref(), request))
    }

    /// Whether something of this kind may be stored with a request.
    #[must_use]
    pub fn allows(&self, request: &str, kind: Kind) -> bool {
        self.allow.iter().any(|one| one.kind == kind && names(one.request.as_deref(), request))
    }

    /// The ignored differences of a request. A rule may name several with a `*` at its end.
    #[must_use]
    pub fn ignored_of(&self, request: &str) -> Vec<Ignore> {
        let of_this = |one: &&Ignore| names(one.route.as_deref(), request);
        self.ignore.iter().filter(of_this).map(|one| Ignore { route: None, what: one.what.clone() }).collect()
    }
}

/// Whether a rule for `wanted` is for this request.
fn names(wanted: Option<&str>, request: &str) -> bool {
    wanted.is_none_or(|wanted| match wanted.strip_suffix('*') {
        Some(start) => request.starts_with(start),
        None => wanted == request,
    })
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Document {
    volatile: Vec<VolatileText>,
    ignore: Vec<IgnoreText>,
    allow: Vec<AllowedText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VolatileText {
    request: Option<String>,
    header: Option<String>,
    cookie: Option<String>,
    attribute: Option<String>,
    json: Option<String>,
    after: Option<String>,
    body: Option<String>,
    shape: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnoreText {
    request: Option<String>,
    header: Option<String>,
    cookie: Option<String>,
    json: Option<String>,
    kind: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowedText {
    request: Option<String>,
    kind: String,
}

impl VolatileText {
    fn rule(self) -> Result<Volatile, String> {
        let Self { request, header, cookie, attribute, json, after, body, shape } = self;
        let mut places = Vec::new();
        places.extend(header.map(|name| Place::Header(name.to_ascii_lowercase())));
        places.extend(match (cookie, attribute) {
            (Some(cookie), Some(attribute)) => {
                Some(Place::CookieAttribute { cookie, attribute: attribute.to_ascii_lowercase() })
            }
            (Some(cookie), None) => Some(Place::Cookie(cookie)),
            (None, None) => None,
            (None, Some(attribute)) => {
                return Err(format!(
                    "volatile: write which cookie has the attribute: `{{ cookie: NAME, attribute: {attribute}, … }}`"
                ));
            }
        });
        places.extend(json.map(pointer).transpose()?.map(Place::Json));
        places.extend(after.map(Place::After));
        // `body: any` names place and shape at once: a body as a whole has no shape to keep.
        let is_body = body.is_some();
        if body.is_some_and(|word| word != "any") {
            return Err("volatile: write `body: any`".to_owned());
        }
        places.extend(is_body.then_some(Place::Body));
        let [place] = places.as_slice() else {
            return Err(
                "volatile: a rule names one of `header`, `cookie`, `json`, `after`, `body`".to_owned()
            );
        };
        let shape = match (shape, is_body) {
            (None, true) => Shape::Any,
            (Some(text), false) => Shape::read(&text)
                .ok_or_else(|| format!("volatile: `{text}` is not a shape; write one of {SPELLINGS}"))?,
            (None, false) => return Err(format!("volatile: a rule needs a `shape`: one of {SPELLINGS}")),
            (Some(_), true) => return Err("volatile: `body: any` has no shape; remove it".to_owned()),
        };
        Ok(Volatile { request, place: place.clone(), shape })
    }
}

impl IgnoreText {
    /// The rule; nothing for trailers, which are no kind of difference elsewhere.
    fn rule(self) -> Result<Option<Ignore>, String> {
        let Self { request, header, cookie, json, kind } = self;
        let mut all = Vec::new();
        all.extend(header.map(|name| Ignored::Header(name.to_ascii_lowercase())));
        all.extend(cookie.map(Ignored::Cookie));
        all.extend(json.map(pointer).transpose()?.map(Ignored::Json));
        if let Some(kind) = kind {
            if kind == "trailers" && all.is_empty() && request.is_none() {
                return Ok(None);
            }
            let known = DifferenceKind::ALL.iter().find(|one| one.as_str() == kind);
            all.push(Ignored::Kind(*known.ok_or_else(|| {
                let names: Vec<&str> = DifferenceKind::ALL.iter().map(|one| one.as_str()).collect();
                format!("ignore: `{kind}` is not a kind; write one of {}, trailers", names.join(", "))
            })?));
        }
        let [what] = all.as_slice() else {
            return Err("ignore: a rule names one of `header`, `cookie`, `json`, `kind`".to_owned());
        };
        Ok(Some(Ignore { route: request, what: what.clone() }))
    }
}

fn pointer(text: String) -> Result<String, String> {
    if text.starts_with('/') {
        Ok(text)
    } else {
        Err(format!("`{text}` is not a JSON pointer; write `/{text}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_name_places_shapes_and_requests() {
        let text = "volatile:\n  - { header: ETag, shape: hex 32 }\n  - { request: get-a*, json: /items/*/at, shape: timestamp }\n  - { body: any, request: random }\nignore:\n  - { kind: header_order }\n  - { kind: trailers }\n  - { header: Server, request: x }\nallow:\n  - { kind: email }\n";
        let rules = Rules::parse(text).unwrap();
        assert_eq!(rules.volatile_of("get-ab").count(), 2);
        assert_eq!(rules.volatile_of("random").count(), 2);
        assert_eq!((rules.ignored_of("x").len(), rules.ignored_of("y").len()), (2, 1));
        assert!(
            rules.ignores_trailers && rules.allows("any", Kind::Email) && !rules.allows("any", Kind::Jwt)
        );
        assert_eq!(Rules::parse("").unwrap(), Rules::default());
    }

    #[test]
    fn a_wrong_rule_is_refused_with_its_fix() {
        for (text, expected) in [
            ("volatile: [{ header: a }]", "needs a `shape`"),
            ("volatile: [{ header: a, shape: frob }]", "`frob` is not a shape"),
            ("volatile: [{ shape: any }]", "names one of"),
            ("volatile: [{ header: a, json: /b, shape: any }]", "names one of"),
            ("volatile: [{ json: b, shape: any }]", "write `/b`"),
            ("volatile: [{ attribute: expires, shape: any }]", "write which cookie has the attribute"),
            ("ignore: [{ kind: frob }]", "`frob` is not a kind"),
            ("ignore: [{ kind: status, header: a }]", "names one of"),
            ("allow: [{ kind: frob }]", "`frob` is not one of"),
            ("frob: []", "unknown field"),
            ("volatile: [{ header: a, shape: any, frob: 1 }]", "unknown field"),
        ] {
            let error = Rules::parse(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
