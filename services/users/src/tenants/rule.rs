//! A rule that finds a person's tenant by the domain of the e-mail address.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use kit::TenantId;

/// More domains than this belong into a mapping file.
const MAX_DOMAINS: usize = 1_000;

/// The domain that means every other one.
const ANY: &str = "*";

/// Finds a tenant by the part of an e-mail address after its last `@`.
///
/// Written as `DOMAIN=TENANT`, several separated by commas; the domain `*` takes all others. A domain matches
/// as a whole and in any case: `example.com` takes neither `mail.example.com` nor `notexample.com`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    domains: BTreeMap<String, TenantId>,
    other: Option<TenantId>,
}

/// A part of a rule is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// A part is not `DOMAIN=TENANT`.
    #[error("{0:?} is not DOMAIN=TENANT; write for example example.com=00000000-0000-7000-8000-000000000001")]
    Form(String),
    /// A domain appears with two tenants.
    #[error("the domain {0:?} has two tenants; keep one")]
    Twice(String),
    /// The rule has too many domains.
    #[error("the rule has more than {MAX_DOMAINS} domains; use a mapping file")]
    TooMany,
    /// The rule is empty.
    #[error("the rule is empty; write for example *=00000000-0000-7000-8000-000000000001")]
    Empty,
}

impl Rule {
    /// Returns the tenant of the person with this e-mail address, if the rule has one.
    #[must_use]
    pub fn tenant_of(&self, email: &str) -> Option<TenantId> {
        let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain).to_lowercase();
        self.domains.get(&domain).copied().or(self.other)
    }

    /// Returns every tenant that the rule names.
    pub fn tenants(&self) -> impl Iterator<Item = TenantId> {
        self.domains.values().copied().chain(self.other)
    }

    /// Adds the parts of `more`.
    ///
    /// # Errors
    /// [`InvalidRule::Twice`], [`InvalidRule::TooMany`].
    pub fn and(mut self, more: Self) -> Result<Self, InvalidRule> {
        for (domain, tenant) in more.domains {
            self.add(domain, tenant)?;
        }
        if let Some(tenant) = more.other {
            self.add(ANY.to_owned(), tenant)?;
        }
        Ok(self)
    }

    fn add(&mut self, domain: String, tenant: TenantId) -> Result<(), InvalidRule> {
        let earlier = if domain == ANY {
            self.other.replace(tenant)
        } else {
            self.domains.insert(domain.clone(), tenant)
        };
        if earlier.is_some_and(|earlier| earlier != tenant) {
            return Err(InvalidRule::Twice(domain));
        }
        if self.domains.len() > MAX_DOMAINS { Err(InvalidRule::TooMany) } else { Ok(()) }
    }
}

impl FromStr for Rule {
    type Err = InvalidRule;

    fn from_str(text: &str) -> Result<Self, InvalidRule> {
        let mut rule = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let form = || InvalidRule::Form(part.to_owned());
            let (domain, tenant) = part.split_once('=').ok_or_else(form)?;
            let domain = domain.trim().to_lowercase();
            let plain = !domain.is_empty() && !domain.contains(|c: char| c == '@' || c.is_whitespace());
            let tenant = tenant.trim().parse().ok().filter(|_| plain).ok_or_else(form)?;
            rule.add(domain, tenant)?;
        }
        if rule == Self::default() { Err(InvalidRule::Empty) } else { Ok(rule) }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let other = self.other.map(|tenant| (ANY, tenant));
        let all = self.domains.iter().map(|(domain, tenant)| (domain.as_str(), *tenant)).chain(other);
        for (index, (domain, tenant)) in all.enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{domain}={tenant}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "00000000-0000-7000-8000-000000000001";
    const TWO: &str = "00000000-0000-7000-8000-000000000002";

    #[test]
    fn the_whole_domain_decides_in_any_case_and_the_star_takes_the_rest() {
        let rule: Rule = format!("Example.com={ONE}, *={TWO}").parse().unwrap();
        for (email, expected) in [
            ("a@example.com", ONE),
            ("a@EXAMPLE.COM", ONE),
            ("\"x@y\"@example.com", ONE),
            ("a@mail.example.com", TWO),
            ("a@notexample.com", TWO),
            ("a@example.com.elsewhere.test", TWO),
            ("nothing", TWO),
        ] {
            assert_eq!(rule.tenant_of(email).map(|t| t.to_string()).as_deref(), Some(expected), "{email}");
        }
        assert_eq!(rule.to_string().parse(), Ok(rule));
        let rule: Rule = format!("example.com={ONE}").parse().unwrap();
        assert_eq!(rule.tenant_of("a@elsewhere.test"), None);
    }

    #[test]
    fn a_rule_that_is_not_valid_names_the_part() {
        for (text, expected) in [
            ("", InvalidRule::Empty),
            (" , ", InvalidRule::Empty),
            ("x", InvalidRule::Form("x".to_owned())),
            ("example.com=1", InvalidRule::Form("example.com=1".to_owned())),
            (&format!("={ONE}"), InvalidRule::Form(format!("={ONE}"))),
            (&format!("a@b={ONE}"), InvalidRule::Form(format!("a@b={ONE}"))),
            (&format!("a={ONE},A={TWO}"), InvalidRule::Twice("a".to_owned())),
            (&format!("*={ONE},*={TWO}"), InvalidRule::Twice("*".to_owned())),
        ] {
            assert_eq!(text.parse::<Rule>(), Err(expected), "{text}");
        }
        assert!(format!("a={ONE},a={ONE}").parse::<Rule>().is_ok());
    }
}
