//! The form of a signed identity: its `typ`, and how its claims are called.

use std::fmt;
use std::hash::{Hash, Hasher};

use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

/// The claims of every signed identity, whatever its form: who made it, for whom, and when (RFC 7519 §4.1).
pub const FIXED: [&str; 4] = ["iss", "aud", "iat", "exp"];

/// The `typ` of the header, and the names of the claims about the caller.
///
/// An edge file names both (`signed` in `identity`), so that a backend reads the claims that its library expects. Signer and
/// verifier need the same form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// The `typ` of the header. No other kind of token that a backend accepts may carry it, so that none can stand in for
    /// an identity.
    pub typ: String,
    /// The subject of a person, or the name of a client or service.
    pub subject: String,
    /// `person`, `client` or `service`.
    pub kind: String,
    /// The session of a person.
    pub session: String,
    /// The tenant.
    pub tenant: String,
    /// The level, a number.
    pub role: String,
    /// The names of the roles, a list.
    pub roles: String,
    /// The scopes, separated by single spaces.
    pub scopes: String,
}

impl Default for Form {
    /// Registered names where there are some: `sub` (RFC 7519), `scope` and `roles` (RFC 9068), `sid` (OpenID Connect).
    fn default() -> Self {
        Self {
            typ: "identity+jwt".to_owned(),
            subject: "sub".to_owned(),
            kind: "kind".to_owned(),
            session: "sid".to_owned(),
            tenant: "tenant".to_owned(),
            role: "role".to_owned(),
            roles: "roles".to_owned(),
            scopes: "scope".to_owned(),
        }
    }
}

/// Forms of one edge differ after a change of its file alone, so the hash of a cache need not read every name.
impl Hash for Form {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.typ.hash(state);
        self.tenant.hash(state);
    }
}

impl Form {
    /// The names of the claims about the caller, each with its name in [`Form::default`].
    pub fn claims(&self) -> [(&'static str, &str); 7] {
        let Self { typ: _, subject, kind, session, tenant, role, roles, scopes } = self;
        [
            ("sub", subject),
            ("kind", kind),
            ("sid", session),
            ("tenant", tenant),
            ("role", role),
            ("roles", roles),
            ("scope", scopes),
        ]
    }
}

/// The claims of a verified token, under the names of its form, each at most once.
pub(crate) struct Members(Map<String, Value>);

impl Members {
    /// The claims as `T`, which has the names of [`Form::default`]; nothing when a claim is unknown or has another type.
    pub(crate) fn read<T: DeserializeOwned>(self, form: &Form) -> Option<T> {
        let usual = |name: &str| {
            let fixed = FIXED.into_iter().find(|fixed| *fixed == name);
            fixed.or_else(|| form.claims().into_iter().find(|(_, own)| *own == name).map(|(usual, _)| usual))
        };
        let renamed: Option<Map<String, Value>> =
            self.0.into_iter().map(|(name, value)| Some((usual(&name)?.to_owned(), value))).collect();
        serde_json::from_value(Value::Object(renamed?)).ok()
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;

        impl<'de> Visitor<'de> for Each {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of claims")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
                let mut members = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    // Two readers could take different ones.
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a claim occurs twice"));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Each)
    }
}
