//! Compares numbers without rounding: `1.0`, `1` and `10e-1` are equal; `9007199254740993` and `9007199254740992` are not.

/// Sign, digits without zeros at either end, and the power of ten of the last digit.
pub(super) type Exact = (bool, Vec<u8>, i64);

/// The exact value of a JSON number; nothing when the text is not a number, or has an absurd exponent.
pub(super) fn exact(raw: &[u8]) -> Option<Exact> {
    let (negative, rest) = match raw.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, raw),
    };
    let mark = rest.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = match mark {
        Some(at) => (rest.get(..at)?, std::str::from_utf8(rest.get(at + 1..)?).ok()?.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let mut parts = mantissa.splitn(2, |byte| *byte == b'.');
    let (whole, fraction) = (parts.next()?, parts.next().unwrap_or_default());
    if whole.is_empty() || !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return None;
    }
    let mut digits: Vec<u8> =
        whole.iter().chain(fraction).copied().skip_while(|digit| *digit == b'0').collect();
    let mut power = i64::from(exponent) - i64::try_from(fraction.len()).ok()?;
    while digits.last() == Some(&b'0') {
        digits.pop();
        power += 1;
    }
    if digits.is_empty() {
        return Some((negative, digits, 0));
    }
    Some((negative, digits, power))
}

#[cfg(test)]
mod tests {
    use super::exact;

    #[test]
    fn spellings_of_one_number_are_equal_and_neighbours_are_not() {
        for (one, other) in [("1", "1.0"), ("10e-1", "1"), ("1E+2", "100"), ("0", "0.00"), ("-0.50", "-5e-1")]
        {
            assert_eq!(exact(one.as_bytes()), exact(other.as_bytes()), "{one} {other}");
        }
        for (one, other) in [("9007199254740993", "9007199254740992"), ("0", "-0"), ("1", "10"), ("1", "-1")]
        {
            assert_ne!(exact(one.as_bytes()), exact(other.as_bytes()), "{one} {other}");
        }
        for wrong in ["", "-", "true", "1e", "1e99999999999", ".5"] {
            assert_eq!(exact(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
