//! Keys of a fixed size for ids, so that what is kept for each id is bounded, whatever texts an issuer chooses.
//!
//! A UUID is its own key. Any other text has the first 122 bits of its SHA-256 digest with the kind of id in front, in the
//! form of a UUID of version 8 (RFC 9562 §5.8). To find two texts with one key takes about 2^61 digests; the finder would
//! share counters and ends with itself alone.

use ::lease::Kind;
use aws_lc_rs::digest::{Context, SHA256};
use identity::{SessionId, SubjectId, TenantId};
use uuid::{Builder, Uuid};

/// The key of a person's id.
#[must_use]
pub fn of_subject(id: &SubjectId) -> Uuid {
    id.uuid().unwrap_or_else(|| id.with_text(|text| digest(Kind::Subject, text)))
}

/// The key of a session's id.
#[must_use]
pub fn of_session(id: &SessionId) -> Uuid {
    id.uuid().unwrap_or_else(|| id.with_text(|text| digest(Kind::Session, text)))
}

/// The key of a tenant's id.
#[must_use]
pub fn of_tenant(id: &TenantId) -> Uuid {
    id.uuid().unwrap_or_else(|| id.with_text(|text| digest(Kind::Tenant, text)))
}

fn digest(kind: Kind, text: &str) -> Uuid {
    let kind: &[u8] = match kind {
        Kind::Session => b"session ",
        Kind::Subject => b"subject ",
        Kind::Tenant => b"tenant ",
        Kind::Key => b"key ",
    };
    let mut context = Context::new(&SHA256);
    context.update(kind);
    context.update(text.as_bytes());
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_is_its_own_key_and_a_text_has_one_for_its_bytes_and_its_kind() {
        let uuid = "0192d3c0-0000-7000-8000-000000000001";
        assert_eq!(of_subject(&uuid.parse().unwrap()).to_string(), uuid);
        let subject = |text: &str| of_subject(&text.parse().unwrap());
        let texts = [
            "alice",
            "ALICE",
            "auth0|alice",
            "110169484474386276334",
            "0192D3C0-0000-7000-8000-000000000001",
        ];
        for one in texts {
            for other in texts {
                assert_eq!(subject(one) == subject(other), one == other, "{one} {other}");
            }
        }
        assert_ne!(subject("acme"), of_tenant(&"acme".parse().unwrap()));
        assert_ne!(subject("acme"), of_session(&"acme".parse().unwrap()));
        assert_eq!(subject("alice").get_version_num(), 8, "no issuer's random UUID");
    }
}
