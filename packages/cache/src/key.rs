//! Names of values.

use std::fmt;
use std::time::Duration;

use identity::TenantId;

/// The longest id. Ids in use are UUIDs, numbers and addresses of at most 254 bytes.
const MAX_ID_BYTES: usize = 256;

/// A kind of values, such as accounts. Declare one `static` for each.
#[derive(Debug, PartialEq, Eq)]
pub struct Kind {
    /// The name in keys, such as `account`.
    pub name: &'static str,
    /// How long a value lives in memory. So long another replica can miss a change while Redis is gone.
    pub memory: Duration,
    /// How long a value lives in Redis.
    pub shared: Duration,
    /// How long the absence of a value is remembered, in both.
    pub missing: Duration,
}

/// The name of one value: `tenant:{tenant}:{kind}:{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    text: String,
    tenant_bytes: usize,
    kind_bytes: usize,
    lives: Lives,
}

/// How long a value of the key lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lives {
    pub(crate) memory: Duration,
    pub(crate) shared: Duration,
    pub(crate) missing: Duration,
}

/// A part of a key that could be read as another one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{part} {value:?} is empty, too long, or has a colon or a control character; use the id of the stored row"
)]
pub struct InvalidKey {
    part: &'static str,
    value: String,
}

impl Key {
    /// Names the value `id` of `kind` that belongs to `tenant`.
    ///
    /// # Errors
    /// [`InvalidKey`] for an id that is empty, longer than 256 bytes, or contains a control character, and for a tenant with a
    /// colon. An id may contain colons: it stands last.
    pub fn new(tenant: &TenantId, kind: &Kind, id: &str) -> Result<Self, InvalidKey> {
        let prefix = prefix(tenant)?;
        if id.is_empty() || id.len() > MAX_ID_BYTES || id.chars().any(char::is_control) {
            return Err(InvalidKey { part: "the id", value: id.chars().take(MAX_ID_BYTES).collect() });
        }
        let of_kind = format!("{prefix}{}:", kind.name);
        let Kind { name: _, memory, shared, missing } = *kind;
        Ok(Self {
            tenant_bytes: prefix.len(),
            kind_bytes: of_kind.len(),
            text: of_kind + id,
            lives: Lives { memory, shared, missing },
        })
    }

    /// Returns the key as Redis has it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) const fn lives(&self) -> Lives {
        self.lives
    }

    /// The scopes that contain this key, the widest first: each has a generation in Redis.
    pub(crate) fn scopes(&self) -> [&str; 3] {
        let upto = |bytes| self.text.get(..bytes).unwrap_or(&self.text);
        [upto(self.tenant_bytes), upto(self.kind_bytes), &self.text]
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What is invalidated.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// One value.
    One(&'a Key),
    /// All values of a kind that belong to a tenant.
    OfKind(&'a TenantId, &'a Kind),
    /// All values of a tenant.
    OfTenant(&'a TenantId),
}

impl Scope<'_> {
    /// What all keys of this scope begin with; a whole key for [`Scope::One`].
    pub(crate) fn beginning(&self) -> Result<String, InvalidKey> {
        match self {
            Self::One(key) => Ok(key.text.clone()),
            Self::OfKind(tenant, kind) => Ok(format!("{}{}:", prefix(tenant)?, kind.name)),
            Self::OfTenant(tenant) => prefix(tenant),
        }
    }
}

fn prefix(tenant: &TenantId) -> Result<String, InvalidKey> {
    let tenant = tenant.to_string();
    if tenant.is_empty() || tenant.contains(':') || tenant.chars().any(char::is_control) {
        return Err(InvalidKey { part: "the tenant", value: tenant });
    }
    Ok(format!("tenant:{tenant}:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    static ACCOUNTS: Kind = Kind {
        name: "account",
        memory: Duration::from_secs(1),
        shared: Duration::from_secs(2),
        missing: Duration::from_secs(1),
    };
    const TENANT: &str = "00000000-0000-7000-8000-000000000001";

    #[test]
    fn a_key_has_its_tenant_kind_and_id() {
        let tenant: TenantId = TENANT.parse().unwrap();
        let key = Key::new(&tenant, &ACCOUNTS, "a:1").unwrap();
        assert_eq!(key.as_str(), format!("tenant:{TENANT}:account:a:1"));
        let scopes = [format!("tenant:{TENANT}:"), format!("tenant:{TENANT}:account:"), key.to_string()];
        assert_eq!(key.scopes().map(str::to_owned), scopes);
        let beginnings = [Scope::OfTenant(&tenant), Scope::OfKind(&tenant, &ACCOUNTS), Scope::One(&key)];
        assert_eq!(beginnings.map(|scope| scope.beginning().unwrap()), scopes);
    }

    #[test]
    fn an_id_that_could_be_read_otherwise_is_refused() {
        let tenant: TenantId = TENANT.parse().unwrap();
        for id in ["", "a\n", "\0", &"x".repeat(257)] {
            let refused = Key::new(&tenant, &ACCOUNTS, id).unwrap_err();
            assert!(refused.to_string().contains("the id"), "{refused}");
        }
    }
}
