//! The name of a message in the outbox: the caller, the tenant and the key that the caller chose. Two callers may
//! choose the same key, and so may one caller for two tenants; neither takes the other's message for its own.

use aws_lc_rs::digest::{SHA256, digest};
use events::outbox::MAX_KEY_BYTES;
use identity::{ServiceName, TenantId};

/// Stands between the parts. None of them has a control character.
const BETWEEN: char = '\u{1f}';

/// Why a key is refused.
const RULE: &str = "`idempotencyKey` has 1 to 255 bytes and no control characters";

/// The parts of a name, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The service that queued the message; absent in rows that are not messages, or are older than these names.
    pub caller: Option<String>,
    /// The tenant, unless the name was too long to be kept.
    pub tenant: Option<String>,
    /// The key that the caller chose, or a digest of tenant and key when the name was too long.
    pub key: String,
}

/// Returns the name of the message that `caller` queues for `tenant` under `key`.
///
/// # Errors
/// The reason, when `key` is not a key.
pub fn name(caller: &ServiceName, tenant: &TenantId, key: &str) -> Result<String, String> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES || key.chars().any(char::is_control) {
        return Err(RULE.to_owned());
    }
    let of_tenant = format!("{tenant}{BETWEEN}{key}");
    let whole = format!("{caller}{BETWEEN}{of_tenant}");
    match whole.len() > MAX_KEY_BYTES {
        // Two parts instead of three, so no other key has this name.
        true => Ok(format!("{caller}{BETWEEN}{}", hex(&of_tenant))),
        false => Ok(whole),
    }
}

/// Returns the parts of a name.
#[must_use]
pub fn parts(name: &str) -> Parts {
    let parts: Vec<&str> = name.split(BETWEEN).collect();
    let text = |text: &str| Some(text.to_owned());
    match parts[..] {
        [caller, tenant, key] => Parts { caller: text(caller), tenant: text(tenant), key: key.to_owned() },
        [caller, digest] => Parts { caller: text(caller), tenant: None, key: digest.to_owned() },
        _ => Parts { caller: None, tenant: None, key: name.to_owned() },
    }
}

/// The SHA-256 of `text`, as hexadecimal digits.
pub(crate) fn hex(text: &str) -> String {
    digest(&SHA256, text.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(caller: &str, tenant: &str, key: &str) -> Result<String, String> {
        name(&caller.parse().unwrap(), &tenant.parse().unwrap(), key)
    }

    #[test]
    fn a_name_belongs_to_one_caller_tenant_and_key() {
        let long = "x".repeat(255);
        let names: std::collections::BTreeSet<_> = [
            ("auth", "t", "k"),
            ("users", "t", "k"),
            ("auth", "t k", "k"),
            ("auth", "t", "k k"),
            ("auth", "t", long.as_str()),
            ("auth", long.as_str(), "k"),
            ("auth", long.as_str(), long.as_str()),
            ("users", long.as_str(), long.as_str()),
        ]
        .map(|(caller, tenant, key)| named(caller, tenant, key).unwrap())
        .into();
        assert_eq!(names.len(), 8);
        assert!(names.iter().all(|name| name.len() <= MAX_KEY_BYTES), "{names:?}");
        // The key that looks like another's digest.
        let whole = named("auth", &long, &long).unwrap();
        let digest = parts(&whole).key;
        assert_ne!(named("auth", "t", &digest).unwrap(), whole);
    }

    #[test]
    fn an_operator_reads_the_parts_of_a_name() {
        let all = parts(&named("auth", "t-1", "code 7").unwrap());
        assert_eq!((all.caller.as_deref(), all.tenant.as_deref()), (Some("auth"), Some("t-1")));
        assert_eq!(all.key, "code 7");
        let long = parts(&named("auth", "t-1", &"x".repeat(255)).unwrap());
        assert_eq!((long.caller.as_deref(), long.tenant, long.key.len()), (Some("auth"), None, 64));
        assert_eq!(parts("older"), Parts { caller: None, tenant: None, key: "older".to_owned() });
    }

    #[test]
    fn a_key_is_refused_that_no_database_keeps() {
        for key in ["", "a\u{0}", "a\u{1f}b", &"x".repeat(256)] {
            assert!(named("auth", "t", key).is_err(), "{key:?}");
        }
    }
}
