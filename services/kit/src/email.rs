//! The one rule for what counts as an e-mail address.

/// The longest address that mail can carry (RFC 5321 §4.5.3.1.3 allows 256 octets with the brackets).
pub const MAX_BYTES: usize = 254;

/// Whether `text` counts as an e-mail address: something on both sides of the first `@`. The clients were
/// built against a rule this loose; whether an address exists is for the users service to say. Control
/// characters and overlong text are no address under any rule.
#[must_use]
pub fn is_address(text: &str) -> bool {
    text.len() <= MAX_BYTES
        && !text.chars().any(char::is_control)
        && text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && !host.is_empty())
}

#[cfg(test)]
mod tests {
    use super::is_address;

    #[test]
    fn both_sides_of_the_first_at_sign_are_needed() {
        for (text, expected) in [
            ("a@b", true),
            ("demo@example.com", true),
            ("a@b@c", true),
            ("", false),
            ("@", false),
            ("a@", false),
            ("@b", false),
            ("a.b", false),
            ("a@b\r\nbcc: c@d", false),
        ] {
            assert_eq!(is_address(text), expected, "{text:?}");
        }
        assert!(!is_address(&format!("{}@b", "a".repeat(254))));
    }
}
