//! The one rule for valid e-mail addresses.
//!
//! The clients were built against a looser rule: something on both sides of the first `@`. Addresses that it
//! allows and mail does not belong to no person, because they can mean more than one recipient, or a header: a second
//! `@`, quotes, brackets, commas, colons, semicolons, backslashes, white space, controls. Unusual addresses
//! stay valid: dots at the ends of the name or beside each other (some providers issue such addresses), a
//! domain without a dot, and letters of any script (RFC 6531).

use crate::shown;

/// The longest address that mail can carry (RFC 5321 §4.5.3.1.3 allows 256 octets with the brackets).
pub const MAX_BYTES: usize = 254;

/// The longest part before the `@` (RFC 5321 §4.5.3.1.1).
const MAX_LOCAL_BYTES: usize = 64;

/// The longest label of a domain (RFC 1035 §2.3.4).
const MAX_LABEL_BYTES: usize = 63;

/// Returns whether `text` is an e-mail address: a dot-atom (RFC 5322 §3.2.3) before the `@`, and a host name
/// after it. Whether the address exists is known only to the users service. Letters beyond ASCII must be in
/// [normal form](crate::shown), so that one address has one spelling.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    text.len() <= MAX_BYTES
        && is_local(local)
        && is_domain(domain)
        && (text.is_ascii() || shown::is_normal(text))
}

fn is_local(local: &str) -> bool {
    (1..=MAX_LOCAL_BYTES).contains(&local.len()) && local.chars().all(|c| c == '.' || is_atom(c))
}

/// Returns whether `c` is `atext`, extended by letters, marks and digits of any script.
fn is_atom(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
    } else {
        !c.is_whitespace()
    }
}

fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        (1..=MAX_LABEL_BYTES).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| {
                if c.is_ascii() { c.is_ascii_alphanumeric() || c == '-' } else { !c.is_whitespace() }
            })
    })
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn an_address_is_valid_exactly_if_mail_accepts_it() {
        for (text, expected) in [
            ("a@b", true),
            ("demo@example.com", true),
            ("Demo.User+tag@mail.example.com", true),
            ("o'neill!#$%&*/=?^_`{|}~-@x.y", true),
            (".a..b.@docomo.test", true),
            ("../../keys/x@x", true),
            ("\u{e4}nne@b\u{fc}cher.example", true),
            ("\u{4e00}@\u{4e8c}.test", true),
            ("", false),
            ("@", false),
            ("a@", false),
            ("@b", false),
            ("a.b", false),
            ("a@b@c", false),
            ("a@b\r\nbcc: c@d", false),
            ("a@b\0", false),
            ("a\0@b", false),
            ("a b@c", false),
            (" a@b", false),
            ("a@b ", false),
            ("a@b,c@d", false),
            ("a,c@d", false),
            ("a;b@c", false),
            ("a:b@c", false),
            ("<a@b>", false),
            ("A <a@b>", false),
            ("\"a b\"@c", false),
            ("a(b)@c", false),
            ("a\\b@c", false),
            ("a[b]@c", false),
            ("a@[127.0.0.1]", false),
            ("a@b..c", false),
            ("a@.b", false),
            ("a@b.", false),
            ("a@-b", false),
            ("a@b-", false),
            ("a@b_c", false),
            ("a@b/c", false),
            // Visually identical: not in normal form, bidirectional, of zero width, with another kind of
            // space.
            ("a\u{308}nne@b", false),
            ("a\u{202e}b@c", false),
            ("a\u{200b}b@c", false),
            ("a\u{3000}b@c", false),
            ("a@b\u{2028}c", false),
        ] {
            assert_eq!(is_address(text), expected, "{text:?}");
        }
        assert!(
            is_address(&format!("{}@b", "a".repeat(64))) && !is_address(&format!("{}@b", "a".repeat(65)))
        );
        assert!(!is_address(&format!("a@{}", "b".repeat(64))));
        assert!(!is_address(&format!("a@{}", ["b"; 127].join("."))));
    }
}
