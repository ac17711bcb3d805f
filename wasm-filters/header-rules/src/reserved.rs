//! Finds header names that only the edge may write, in every spelling.

use crate::config::Reserved;
use crate::{ConfigError, RuleIndex};

/// The reserved names of a listener.
///
/// A backend may read a header under more than one name: CGI, WSGI and PHP turn every byte that is not a letter or a digit
/// into `_` and ignore case. So names are compared *folded*: letters in lower case, every other byte as `-`.
/// `X-Auth-Subject`, `x_auth_subject` and `x.auth-subject` are one name.
#[derive(Clone, Debug)]
pub(crate) struct ReservedNames {
    /// Whether any rule begins with this byte. For most headers of an honest request, this check is enough.
    starts: [bool; 256],
    /// Exact names by their length.
    by_length: Vec<Vec<(Box<[u8]>, RuleIndex)>>,
    prefixes: Vec<(Box<[u8]>, RuleIndex)>,
    /// The names with an underscore that stay, and the rule by which all others go; absent where Envoy lets none through.
    underscores: Option<(Vec<Box<[u8]>>, RuleIndex)>,
    labels: Vec<String>,
}

/// Headers that Envoy overwrites on every request before any filter runs (`use_remote_address`), so that their values never
/// come from a client. They stay, and other spellings of them are removed. Without the first, Envoy finds no route for a
/// request. The second is not needed, and Envoy removes it before the backend (`cutover render` configures this), which costs
/// each request less than a call to remove it here.
const LEFT_TO_ENVOY: [&[u8]; 2] = [b"x-forwarded-proto", b"x-envoy-external-address"];

/// Headers that no rule may cover: HTTP's own framing and routing. Nor may one cover the header with the request id, which
/// the guard sets itself.
const NEVER_RESERVED: [&str; 7] =
    ["connection", "content-length", "host", "te", "trailer", "transfer-encoding", "upgrade"];

/// The label of the rule for names with an underscore.
const WITH_UNDERSCORE: &str = "with_underscore";

/// Headers that the edge or HTTP reads, besides those that can never be reserved: another spelling of one could count for a
/// backend that reads `_` as `-`, where the edge has judged the plain one.
const READ_BY_ALL: [&str; 9] = [
    "authorization",
    "content-encoding",
    "content-type",
    "cookie",
    "expect",
    "keep-alive",
    "origin",
    "proxy-authorization",
    "sec-fetch-site",
];

/// The treatment of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is not reserved.
    Stays,
    /// It is removed, and counted for a rule.
    Goes(RuleIndex),
}

impl ReservedNames {
    /// `request_id` is the header with the request id.
    pub(crate) fn compile(config: &Reserved, request_id: &str) -> Result<Self, ConfigError> {
        // By itself it is valid like any reserved name.
        check(request_id, |header| header == request_id, None)?;
        let mut rules = Self {
            starts: [false; 256],
            by_length: Vec::new(),
            prefixes: Vec::new(),
            underscores: None,
            labels: Vec::with_capacity(config.names.len() + config.prefixes.len() + 1),
        };
        for name in &config.names {
            check(name, |header| header == name, Some(request_id))?;
            rules.add_name(name)?;
        }
        // `x_request_id` is a forgery of `x-request-id`.
        rules.add_name(request_id)?;
        for prefix in &config.prefixes {
            check(prefix, |header| header.starts_with(prefix.as_str()), Some(request_id))?;
            let rule = rules.label(format!("{prefix}*"))?;
            rules.starts_with(prefix);
            rules.prefixes.push((prefix.as_bytes().into(), rule));
        }
        Ok(rules)
    }

    /// The same, where headers with an underscore arrive, and those named `passes` stay.
    pub(crate) fn passing(mut self, passes: &[String]) -> Result<Self, ConfigError> {
        let mut stay: Vec<Box<[u8]>> = Vec::with_capacity(passes.len());
        for name in passes {
            let well_formed =
                name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
                    && name.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
            let folded: String = name.bytes().map(|byte| char::from(fold(byte))).collect();
            let is_read = NEVER_RESERVED.iter().chain(&READ_BY_ALL).any(|header| *header == folded);
            let fault = if !well_formed || !name.contains('_') {
                "is not a lower-case header name with an underscore (letters, digits, `-` and `_`, beginning with a letter)"
            } else if self.has(name.as_bytes()) {
                "is another spelling of a name that only the edge may write"
            } else if is_read {
                "is another spelling of a header that the edge or HTTP itself reads"
            } else if stay.iter().any(|known| **known == *name.as_bytes()) {
                "is listed twice"
            } else {
                stay.push(name.as_bytes().into());
                continue;
            };
            return Err(ConfigError::BadUnderscore { name: name.clone(), fault });
        }
        let rule = self.label(WITH_UNDERSCORE.to_owned())?;
        self.underscores = Some((stay, rule));
        Ok(self)
    }

    fn add_name(&mut self, name: &str) -> Result<(), ConfigError> {
        let rule = self.label(name.to_owned())?;
        self.starts_with(name);
        if self.by_length.len() <= name.len() {
            self.by_length.resize_with(name.len() + 1, Vec::new);
        }
        if let Some(names) = self.by_length.get_mut(name.len()) {
            names.push((name.as_bytes().into(), rule));
        }
        Ok(())
    }

    fn label(&mut self, label: String) -> Result<RuleIndex, ConfigError> {
        let index = u16::try_from(self.labels.len());
        if self.labels.contains(&label) {
            return Err(ConfigError::DuplicateReserved { name: label });
        }
        let index = index.map_err(|_| ConfigError::BadReserved { name: label.clone() })?;
        self.labels.push(label);
        Ok(RuleIndex(index))
    }

    fn starts_with(&mut self, rule: &str) {
        for (byte, starts) in (0_u8..=255).zip(&mut self.starts) {
            *starts |= rule.as_bytes().first() == Some(&fold(byte));
        }
    }

    /// The name of every rule, as in counters: a name as it is, a prefix with `*`.
    pub(crate) fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The treatment of the header `name`.
    #[inline]
    pub(crate) fn judge(&self, name: &[u8]) -> Fate {
        match self.rule(name) {
            Some(rule) if !LEFT_TO_ENVOY.contains(&name) => Fate::Goes(rule),
            Some(_) => Fate::Stays,
            None => self.judge_underscore(name),
        }
    }

    fn judge_underscore(&self, name: &[u8]) -> Fate {
        match &self.underscores {
            Some((stay, rule))
                if name.contains(&b'_') && !stay.iter().any(|known| name.eq_ignore_ascii_case(known)) =>
            {
                Fate::Goes(*rule)
            }
            Some(_) | None => Fate::Stays,
        }
    }

    /// Whether any rule reserves `name`.
    pub(crate) fn has(&self, name: &[u8]) -> bool {
        self.rule(name).is_some()
    }

    /// The rule that reserves `name`; a name's own rule comes before a prefix.
    fn rule(&self, name: &[u8]) -> Option<RuleIndex> {
        let first = usize::from(*name.first()?);
        if !*self.starts.get(first)? {
            return None;
        }
        let exact = self.by_length.get(name.len()).into_iter().flatten();
        exact
            .filter(|(rule, _)| equals(name, rule))
            .chain(
                self.prefixes
                    .iter()
                    .filter(|(rule, _)| name.get(..rule.len()).is_some_and(|n| equals(n, rule))),
            )
            .map(|(_, rule)| *rule)
            .next()
    }
}

/// Whether `name`, folded, is `rule`, which is already folded and has the same length.
fn equals(name: &[u8], rule: &[u8]) -> bool {
    name.iter().zip(rule).all(|(&byte, &rule)| fold(byte) == rule)
}

const fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

fn check(name: &str, takes_in: impl Fn(&str) -> bool, request_id: Option<&str>) -> Result<(), ConfigError> {
    let well_formed = name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
        && name.bytes().all(|byte| fold(byte) == byte);
    if !well_formed {
        return Err(ConfigError::BadReserved { name: name.to_owned() });
    }
    match NEVER_RESERVED.into_iter().chain(request_id).find(|header| takes_in(header)) {
        Some(header) => {
            Err(ConfigError::ReservedTakesIn { name: name.to_owned(), header: header.to_owned() })
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
