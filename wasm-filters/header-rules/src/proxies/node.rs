//! Addresses as proxies write them.

use std::net::IpAddr;

/// The address of a node (RFC 7239 §6), with or without a port, and of the forms that proxies write in `X-Forwarded-For`:
/// `192.0.2.7`, `192.0.2.7:4711`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:4711`. `None` for `unknown`, for an
/// obfuscated identifier, and for everything else. An IPv4 address in IPv6 notation becomes the IPv4 address.
pub(super) fn address(node: &[u8]) -> Option<IpAddr> {
    /// `[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535` is shorter.
    const LONGEST: usize = 64;
    if node.len() > LONGEST {
        return None;
    }
    let text = std::str::from_utf8(node).ok()?;
    let address: IpAddr = if let Some(rest) = text.strip_prefix('[') {
        let (inner, rest) = rest.split_once(']')?;
        if !rest.is_empty() && !rest.strip_prefix(':').is_some_and(is_port) {
            return None;
        }
        IpAddr::V6(inner.parse().ok()?)
    } else {
        match text.split_once(':') {
            // One colon is before a port, and several are an IPv6 address.
            Some((address, port)) if !port.contains(':') => {
                if !is_port(port) {
                    return None;
                }
                IpAddr::V4(address.parse().ok()?)
            }
            Some(_) | None => text.parse().ok()?,
        }
    };
    Some(address.to_canonical())
}

/// A port, or an obfuscated one.
fn is_port(port: &str) -> bool {
    let digits = (1..=5).contains(&port.len()) && port.bytes().all(|b| b.is_ascii_digit());
    let hidden = |rest: &str| {
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    digits || port.strip_prefix('_').is_some_and(hidden)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_with_and_without_a_port() {
        for (text, expected) in [
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7:4711", "192.0.2.7"),
            ("192.0.2.7:_hidden", "192.0.2.7"),
            ("2001:db8::1", "2001:db8::1"),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("[::ffff:192.0.2.7]:80", "192.0.2.7"),
        ] {
            assert_eq!(address(text.as_bytes()), Some(expected.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn anything_else_is_no_address() {
        let long = format!("{}192.0.2.7", " ".repeat(80));
        for text in [
            "",
            "unknown",
            "_hidden",
            "192.0.2",
            "192.0.2.07",
            "0300.0.2.7",
            "0xc0000207",
            "192.0.2.256",
            "192.0.2.7:",
            "192.0.2.7:123456",
            "192.0.2.7:x",
            "192.0.2.7 ",
            "192.0.2.7/32",
            "192.0.2.7,10.0.0.1",
            "\"192.0.2.7\"",
            "[192.0.2.7]",
            "[2001:db8::1",
            "[2001:db8::1]x",
            "[2001:db8::1]:",
            "fe80::1%eth0",
            "localhost",
            "\u{661}92.0.2.7",
            &long,
        ] {
            assert_eq!(address(text.as_bytes()), None, "{text}");
        }
        assert_eq!(address(b"\xff"), None);
    }
}
