//! Finds what must not be stored: live credentials and personal data.
//!
//! A golden file goes into a repository. Better one exchange too few than one session of a real person in git: what merely
//! looks like a credential is refused, with its place, until a rule allows it.

use comparison::compare::{coding, json_values};
use comparison::redact::is_sensitive;

use crate::golden::{Content, Golden};
use crate::template::find;

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A header that authenticates.
    Authorization,
    /// The value of a cookie.
    Cookie,
    /// A JSON Web Token.
    Jwt,
    /// A private key in PEM.
    PrivateKey,
    /// A token with the prefix of its issuer, such as `ghp_`.
    ApiToken,
    /// A value whose name is one of a secret: `password`, `reset_code`.
    Secret,
    /// An address of a person.
    Email,
    /// A number of a payment card.
    Card,
    /// A number of a bank account.
    Iban,
}

impl Kind {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Authorization, "authorization"),
        (Self::Cookie, "cookie"),
        (Self::Jwt, "jwt"),
        (Self::PrivateKey, "private-key"),
        (Self::ApiToken, "api-token"),
        (Self::Secret, "secret"),
        (Self::Email, "email"),
        (Self::Card, "card"),
        (Self::Iban, "iban"),
    ];

    /// Its spelling in rules and messages.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    /// Reads that spelling.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, name)| *name == text).map(|(kind, _)| *kind)
    }

    /// All spellings, for messages.
    #[must_use]
    pub fn spellings() -> String {
        Self::ALL.map(|(_, name)| name).join(", ")
    }
}

/// One thing that must not be stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Where: `answer header set-cookie sid`, `answer body /user/email`, `request target`.
    pub place: String,
    /// Its first two characters and its length, so that it can be recognised and not used.
    pub hint: String,
}

/// Prefixes of tokens of well-known issuers, each with the least number of characters after it.
const PREFIXES: [(&str, usize); 12] = [
    ("ghp_", 20),
    ("gho_", 20),
    ("github_pat_", 20),
    ("glpat-", 16),
    ("xoxb-", 10),
    ("xoxp-", 10),
    ("sk_live_", 10),
    ("rk_live_", 10),
    ("AKIA", 16),
    ("AIza", 30),
    ("npm_", 30),
    ("pypi-", 30),
];

/// Domains that stand for no person (RFC 2606, RFC 6761).
const NEUTRAL: [&str; 8] =
    ["example.com", "example.org", "example.net", "example", "test", "invalid", "localhost", "local"];

/// A value that is shorter identifies nothing: `true`, `de`, `1`.
const LEAST_SECRET: usize = 6;

/// Everything in `golden` that must not be stored.
#[must_use]
pub fn findings(golden: &Golden) -> Vec<Finding> {
    let mut found = Found::default();
    let request = &golden.request;
    let target = String::from_utf8_lossy(&request.target).into_owned();
    if let Some((_, query)) = target.split_once('?') {
        found.pairs("request target", query, '&');
    }
    found.text("request target", &target);
    for line in &request.headers {
        let value = String::from_utf8_lossy(&line.value).into_owned();
        found.header("request header", &line.lower(), &value);
    }
    found.body("request body", &request.body);
    for (name, value) in &golden.answer.headers {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let value = String::from_utf8_lossy(&value.text()).into_owned();
        found.header("answer header", &name, &value);
    }
    for (name, value) in &golden.answer.trailers {
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        found.header("answer trailer", &name, &String::from_utf8_lossy(&value.text()));
    }
    match &golden.answer.body {
        Content::Text(template) => found.body("answer body", &template.text()),
        // What compressed bytes hide is stored with them.
        Content::Bytes(bytes) => match coding::content(&golden.answer.answer()) {
            Some(content) => found.body("answer body, unpacked,", &content),
            None => found.body("answer body", bytes),
        },
        Content::Digest { .. } => {}
    }
    found.0.sort();
    found.0.dedup();
    found.0
}

#[derive(Default)]
struct Found(Vec<Finding>);

impl Found {
    fn add(&mut self, kind: Kind, place: &str, value: &str) {
        // A placeholder is what a value is replaced by.
        if value.contains('«') {
            return;
        }
        let start: String = value.chars().take(2).collect();
        let hint = format!("{start}…, {} characters", value.chars().count());
        self.0.push(Finding { kind, place: place.to_owned(), hint });
    }

    fn header(&mut self, place: &str, name: &str, value: &str) {
        let named = format!("{place} {name}");
        match name {
            "authorization" | "proxy-authorization" | "x-api-key" if !value.is_empty() => {
                self.add(Kind::Authorization, &named, value);
            }
            "cookie" => {
                for pair in value.split(';') {
                    self.cookie(&named, pair);
                }
            }
            "set-cookie" => self.cookie(&named, value.split(';').next().unwrap_or_default()),
            _ => {
                if is_sensitive(name) && is_opaque(value) {
                    self.add(Kind::Secret, &named, value);
                }
                self.address(&named, value);
                self.text(&named, value);
            }
        }
    }

    fn cookie(&mut self, place: &str, pair: &str) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if is_opaque(value.trim().trim_matches('"')) {
            self.add(Kind::Cookie, &format!("{place} {}", name.trim()), value.trim());
        }
    }

    /// `name=value` pairs of a query or a form.
    fn pairs(&mut self, place: &str, text: &str, separator: char) {
        for (name, value) in text.split(separator).filter_map(|pair| pair.split_once('=')) {
            if is_sensitive(name) && value.len() >= LEAST_SECRET {
                self.add(Kind::Secret, &format!("{place} {name}"), value);
            }
        }
    }

    /// The query and the fragment of an address: `Location: /signed-in#access_token=…` opens what a body with it would.
    fn address(&mut self, place: &str, value: &str) {
        if !value.starts_with('/') && !value.contains("://") {
            return;
        }
        for part in value.split(['?', '#']).skip(1) {
            self.pairs(place, part, '&');
        }
    }

    fn body(&mut self, place: &str, bytes: &[u8]) {
        let Some(values) = json_values(bytes) else {
            let text = String::from_utf8_lossy(bytes);
            if !text.contains(['\n', '<', ' ']) {
                self.pairs(place, &text, '&');
            }
            self.text(place, &text);
            return;
        };
        for value in values {
            let raw = bytes.get(value.span).unwrap_or_default();
            let Ok(text) = serde_json::from_slice::<String>(raw) else { continue };
            let place = format!("{place} {}", value.place);
            let name = value.place.rsplit('/').find(|segment| *segment != "*").unwrap_or_default();
            if is_sensitive(name) && text.len() >= LEAST_SECRET {
                self.add(Kind::Secret, &place, &text);
            }
            self.address(&place, &text);
            self.text(&place, &text);
        }
    }

    /// What can be recognised wherever it stands.
    fn text(&mut self, place: &str, text: &str) {
        if find(text.as_bytes(), b"PRIVATE KEY-----").is_some() {
            self.add(Kind::PrivateKey, place, "-----BEGIN");
        }
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.@+%".contains(c);
        for word in text.split(|c| !is_part(c)) {
            self.word(place, word.trim_matches(['.', '-']));
        }
        self.numbers(place, text);
    }

    fn word(&mut self, place: &str, word: &str) {
        if crate::shape::Shape::Jwt.is_of(word.as_bytes()) && word.len() > 40 {
            self.add(Kind::Jwt, place, word);
        }
        let of_issuer = |(prefix, least): &(&str, usize)| {
            let rest = word.strip_prefix(prefix);
            rest.is_some_and(|rest| rest.len() >= *least && !rest.contains(['.', '@']))
        };
        if PREFIXES.iter().any(of_issuer) {
            self.add(Kind::ApiToken, place, word);
        }
        let address = word.replace("%40", "@");
        if let Some((name, domain)) = address.split_once('@') {
            let domain = domain.to_ascii_lowercase();
            let is_neutral = NEUTRAL.iter().any(|own| {
                domain == *own || domain.strip_suffix(own).is_some_and(|rest| rest.ends_with('.'))
            });
            let last = domain.rsplit('.').next().unwrap_or_default();
            let is_domain = domain.contains('.') && last.len() >= 2 && last.chars().all(char::is_alphabetic);
            if !name.is_empty() && is_domain && !is_neutral && !domain.contains(['@', '%']) {
                self.add(Kind::Email, place, &address);
            }
        }
    }

    /// Numbers with a check digit: payment cards and bank accounts.
    fn numbers(&mut self, place: &str, text: &str) {
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

/// Whether a value can be a credential: long enough, without spaces, and with letters and digits.
fn is_opaque(value: &str) -> bool {
    let has = |test: fn(&u8) -> bool| value.as_bytes().iter().any(test);
    value.len() >= 16
        && !value.contains(' ')
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && crate::shape::http_date(value.as_bytes()).is_none()
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

#[cfg(test)]
mod tests;
