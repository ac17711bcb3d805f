//! Finds what must not be stored: live credentials and personal data.
//!
//! A golden file goes into a repository. Better one exchange too few than one session of a real person in git: what merely
//! looks like a credential is refused, with its place, until a rule allows it.

mod body;
mod numbers;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use comparison::compare::coding;
use comparison::redact::is_sensitive;
use http_wire::answer::{Answer, Body, Framing, Version};
use percent_encoding::percent_decode_str;

use crate::exchange::Request;
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
const PREFIXES: [(&str, usize); 27] = [
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
    ("ghs_", 20),
    ("ghu_", 20),
    ("ghr_", 20),
    ("xoxa-", 10),
    ("xapp-", 10),
    ("sk_test_", 10),
    ("pk_live_", 10),
    ("whsec_", 16),
    ("sk-", 40),
    ("ASIA", 16),
    ("hf_", 30),
    ("dop_v1_", 40),
    ("shpat_", 20),
    ("glrt-", 16),
    ("ya29", 30),
];

/// Domains that stand for no person (RFC 2606, RFC 6761).
const NEUTRAL: [&str; 8] =
    ["example.com", "example.org", "example.net", "example", "test", "invalid", "localhost", "local"];

/// A value that is shorter identifies nothing: `true`, `de`, `1`.
const LEAST_SECRET: usize = 6;

/// A value of random characters that is shorter can be guessed, so that no server uses it as a session.
const LEAST_OPAQUE: usize = 16;

/// Everything in `golden` that must not be stored.
#[must_use]
pub fn findings(golden: &Golden) -> Vec<Finding> {
    let mut found = Found::default();
    let request = &golden.request;
    let target = String::from_utf8_lossy(&request.target).into_owned();
    if let Some((_, query)) = target.split_once('?') {
        found.pairs("request target", query);
    }
    found.encoded("request target", &target);
    for line in &request.headers {
        let value = String::from_utf8_lossy(&line.value).into_owned();
        found.header("request header", &line.lower(), &value);
    }
    match unpacked(request) {
        Some(content) => found.body("request body, unpacked,", &content),
        None => found.body("request body", &request.body),
    }
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

/// What a compressed body of a request unpacks to.
fn unpacked(request: &Request) -> Option<Vec<u8>> {
    coding::content(&Answer {
        version: Version::One(1),
        status: 200,
        reason: Vec::new(),
        headers: request.headers.clone(),
        framing: Framing::Length,
        body: Body::Whole(request.body.clone()),
        trailers: Vec::new(),
    })
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
        let (name, plain) = (name.trim(), value.trim().trim_matches('"'));
        // A session may be letters alone, or digits; so may `theme=high-contrast-dark`.
        let is_long = plain.len() >= LEAST_OPAQUE && !plain.contains(' ');
        if is_opaque(plain) || (is_sensitive(name) && is_long) {
            self.add(Kind::Cookie, &format!("{place} {name}"), value.trim());
        }
    }

    /// `name=value` pairs of a query or a form: `user%5Bpassword%5D=…` has a name, too.
    fn pairs(&mut self, place: &str, text: &str) {
        for (name, value) in text.split('&').filter_map(|pair| pair.split_once('=')) {
            let (name, value) = (decoded(name), decoded(value));
            if is_sensitive(&name) && value.len() >= LEAST_SECRET {
                self.add(Kind::Secret, &format!("{place} {name}"), &value);
            }
        }
    }

    /// The query and the fragment of an address: `Location: /signed-in#access_token=…` opens what a body with it would.
    fn address(&mut self, place: &str, value: &str) {
        if !value.starts_with('/') && !value.contains("://") {
            return;
        }
        for part in value.split(['?', '#']).skip(1) {
            self.pairs(place, part);
        }
    }

    /// A text of a URL or a form, as it is and as it is meant.
    fn encoded(&mut self, place: &str, text: &str) {
        self.text(place, text);
        let meant = decoded(text);
        if meant != text {
            self.text(place, &meant);
        }
    }

    /// What can be recognised wherever it stands.
    fn text(&mut self, place: &str, text: &str) {
        if find(text.as_bytes(), b"PRIVATE KEY-----").is_some() {
            self.add(Kind::PrivateKey, place, "-----BEGIN");
        }
        self.basic(place, text);
        self.user_of_address(place, text);
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.@+%".contains(c);
        for word in text.split(|c| !is_part(c)) {
            self.word(place, word.trim_matches(['.', '-']));
        }
        self.numbers(place, text);
    }

    /// `Basic` and a name with its password in base64 (RFC 7617), outside the header of authentication, too.
    fn basic(&mut self, place: &str, text: &str) {
        let words: Vec<&str> = text.split(|c: char| c.is_whitespace() || "\"',;<>".contains(c)).collect();
        for pair in words.windows(2) {
            let [scheme, value] = pair else { continue };
            let is_basic = scheme
                .get(scheme.len().saturating_sub(5)..)
                .is_some_and(|end| end.eq_ignore_ascii_case("basic"));
            let is_pair = || {
                let plain = STANDARD.decode(value).ok().and_then(|bytes| String::from_utf8(bytes).ok());
                plain.is_some_and(|plain| plain.contains(':'))
            };
            if is_basic && is_pair() {
                self.add(Kind::Authorization, place, value);
            }
        }
    }

    /// `https://name:password@host`, for a host that stands for a real one.
    fn user_of_address(&mut self, place: &str, text: &str) {
        for address in text.split("://").skip(1) {
            let end = |c: char| c.is_whitespace() || "/?#\"'<>".contains(c);
            let authority = address.split(end).next().unwrap_or_default();
            let Some((user, host)) = authority.rsplit_once('@') else { continue };
            let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
            if user.split_once(':').is_some_and(|(_, password)| !password.is_empty()) && !is_neutral(host) {
                self.add(Kind::Secret, place, user);
            }
        }
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
            let last = domain.rsplit('.').next().unwrap_or_default();
            let is_domain = domain.contains('.') && last.len() >= 2 && last.chars().all(char::is_alphabetic);
            if !name.is_empty() && is_domain && !is_neutral(&domain) && !domain.contains(['@', '%']) {
                self.add(Kind::Email, place, &address);
            }
        }
    }
}

/// What a text of a URL or a form means.
fn decoded(text: &str) -> Cow<'_, str> {
    let spaced: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    if spaced.contains('%') {
        return percent_decode_str(&spaced).decode_utf8_lossy().into_owned().into();
    }
    spaced
}

/// Whether a domain stands for none that exists.
fn is_neutral(domain: &str) -> bool {
    NEUTRAL
        .iter()
        .any(|own| domain == *own || domain.strip_suffix(own).is_some_and(|rest| rest.ends_with('.')))
}

/// Whether a value can be a credential: long enough, without spaces, and with letters and digits.
fn is_opaque(value: &str) -> bool {
    let has = |test: fn(&u8) -> bool| value.as_bytes().iter().any(test);
    value.len() >= LEAST_OPAQUE
        && !value.contains(' ')
        && has(u8::is_ascii_digit)
        && has(u8::is_ascii_alphabetic)
        && crate::shape::http_date(value.as_bytes()).is_none()
}

#[cfg(test)]
mod tests;
