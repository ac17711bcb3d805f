//! Numbers that name an account of a person, recognised by their check digits.

use super::{Found, Kind};

impl Found {
    /// Numbers with a check digit: payment cards and bank accounts.
    pub(super) fn numbers(&mut self, place: &str, text: &str) {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == ' ' || c == '-';
        for run in text.split(|c| !is_part(c)) {
            let groups: Vec<&str> = run.split([' ', '-']).filter(|group| !group.is_empty()).collect();
            for from in 0..groups.len() {
                // Written as one word, or in groups of four.
                let mut compact = String::new();
                for group in groups.iter().skip(from) {
                    compact.push_str(group);
                    if compact.len() > 34 {
                        break;
                    }
                    if compact.len() >= 15 && is_iban(&compact) {
                        self.add(Kind::Iban, place, &compact);
                    }
                }
            }
            for number in run.split(|c: char| !c.is_ascii_digit() && c != ' ' && c != '-') {
                let groups: Vec<&str> = number.split([' ', '-']).filter(|group| !group.is_empty()).collect();
                let digits = groups.concat();
                // Cards are written as one number or in groups of four; ids and times have other groups.
                let grouped = groups.len() == 1 || groups.iter().all(|group| (3..=6).contains(&group.len()));
                if grouped && is_card(&digits) {
                    self.add(Kind::Card, place, &digits);
                }
            }
        }
    }
}

/// Luhn's check, and a first digit and a length that card issuers use.
fn is_card(digits: &str) -> bool {
    if !(15..=16).contains(&digits.len()) || !digits.starts_with(['3', '4', '5', '6']) {
        return false;
    }
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(at, digit)| {
            let digit = u32::from(digit - b'0');
            let doubled = if at % 2 == 1 { digit * 2 } else { digit };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// ISO 13616: two letters, two check digits, and the remainder 1 of 97.
fn is_iban(text: &str) -> bool {
    let bytes = text.as_bytes();
    let starts = bytes.iter().take(2).all(u8::is_ascii_uppercase)
        && bytes.iter().skip(2).take(2).all(u8::is_ascii_digit);
    if !starts || !bytes.iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()) {
        return false;
    }
    let (start, rest) = text.split_at(4);
    let remainder = rest.chars().chain(start.chars()).fold(0_u32, |remainder, c| {
        let value = c.to_digit(36).unwrap_or_default();
        let shift = if value > 9 { 100 } else { 10 };
        (remainder * shift + value) % 97
    });
    remainder == 1
}
