//! Recognises the kind of a session without verifying it, for public routes that choose a backend by kind.
//!
//! Nothing here proves anything. The kind only chooses which backend refuses a bad credential, and the claims can only
//! refuse the client that sent them.
//!
//! The rule, whole:
//!
//! 1. The cookie with the access token decides. Both kinds usually have one name and one path, so a browser holds one, and
//!    it belongs to the newest session.
//! 2. Without it, or when its value is of neither kind, the cookies with the refresh tokens decide, all values of the name.
//!    Two generations have two paths, so a browser may send both; then `session` wins, which is the newer kind.
//! 3. Without these, a bearer token decides, where `sessions` accepts one. It can be a `session` only.
//!
//! A value is a `legacy-session` when it is a token whose header names HS256. It is a `session` when its header names an
//! asymmetric algorithm and its payload names an issuer of `sessions`. Any other value is ignored.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use edge_config::edge::{AcceptedCredential, KeyAlgorithm, LegacySessions, Sessions, TenantRule};
use identity::{Person, SessionId, SubjectId};
use serde::Deserialize;

use crate::check::CheckInput;
use crate::credential::fault::CredentialFault;
use crate::credential::legacy::token::plain_uuid;
use crate::credential::token::SessionOf;
use crate::credential::{bearer, cookie, legacy};

/// A session that a request seems to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recognised {
    /// Its kind.
    pub kind: AcceptedCredential,
    /// Its claims; absent when they are incomplete.
    pub claimed: Option<Claimed>,
}

/// The claims of an unverified token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The person, without a role and scopes.
    pub person: Person,
    /// The second in which the token says that it was issued; 0 when it does not say, as when it is verified.
    pub issued: u64,
}

/// The session that `input` seems to have, or `None`.
#[must_use]
pub fn recognise(
    input: &CheckInput<'_>,
    sessions: Option<&Sessions>,
    legacy: Option<&LegacySessions>,
) -> Option<Recognised> {
    let reader = Reader { sessions, legacy, host: input.host };
    let cookies = input.cookies();
    // By the rule for the one value that counts: lines that disagree have none.
    let access = |name: &str| cookie::find(&cookies, name.as_bytes()).ok().flatten();
    let new = sessions.and_then(|rules| reader.session(&cookie::access(&cookies, rules).ok().flatten()?));
    let old = || legacy.and_then(|rules| reader.legacy(access(&rules.cookie)?));
    if let Some(found) = new.or_else(old) {
        return Some(found);
    }
    let refresh = |name: Option<&'_ String>| -> Vec<&[u8]> {
        name.map(|name| cookie::all(&cookies, name.as_bytes())).unwrap_or_default()
    };
    let new = refresh(sessions.and_then(|rules| rules.refresh_cookie.as_ref()));
    let old = refresh(legacy.and_then(|rules| rules.refresh_cookie.as_ref()));
    // The last value of a name is the one that most readers take.
    let new = new.into_iter().rev().find_map(|value| reader.session(value));
    if let Some(found) = new.or_else(|| old.into_iter().rev().find_map(|value| reader.legacy(value))) {
        return Some(found);
    }
    let token =
        sessions.filter(|rules| rules.bearer).and_then(|_| bearer::find(&input.authorizations()).ok()?);
    token.and_then(|token| reader.session(token))
}

/// Why `input` does not show which session it means: two `Cookie` lines disagree about a cookie that counts, or there are too
/// many. A backend that reads only one of the lines could find another session there. `None` when it is clear.
#[must_use]
pub fn unclear(
    input: &CheckInput<'_>,
    sessions: Option<&Sessions>,
    legacy: Option<&LegacySessions>,
) -> Option<CredentialFault> {
    let cookies = input.cookies();
    if let Some(fault) = sessions.and_then(|rules| cookie::access(&cookies, rules).err()) {
        return Some(fault);
    }
    let refresh = sessions.and_then(|rules| rules.refresh_cookie.as_ref());
    let old = legacy.map(|rules| [Some(&rules.cookie), rules.refresh_cookie.as_ref()]);
    let mut names = old.into_iter().flatten().chain([refresh]).flatten();
    names.find_map(|name| cookie::find(&cookies, name.as_bytes()).err())
}

/// Reads one value as a token of each kind.
#[derive(Clone, Copy)]
struct Reader<'a> {
    sessions: Option<&'a Sessions>,
    legacy: Option<&'a LegacySessions>,
    host: &'a str,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

#[derive(Deserialize)]
struct SessionClaims {
    iss: String,
}

#[derive(Deserialize)]
struct LegacyClaims {
    id: Option<String>,
    user_id: Option<String>,
    iat: Option<serde_json::Value>,
}

impl Reader<'_> {
    fn session(self, token: &[u8]) -> Option<Recognised> {
        let rules = self.sessions?;
        let longest = rules.issuers.iter().map(|issuer| issuer.max_token_bytes).max()?;
        if token.len() > longest {
            return None;
        }
        let Header { alg } = part(token, 0)?;
        if !KeyAlgorithm::ALL.iter().any(|algorithm| algorithm.as_str() == alg) {
            return None;
        }
        let payload = bytes(token, 1)?;
        let SessionClaims { iss } = serde_json::from_slice(&payload).ok()?;
        let issuer = rules.issuers.iter().find(|issuer| issuer.issuer == iss)?;
        let claimed = SessionOf::read(&payload, &issuer.claims).map(|named| {
            let SessionOf { subject, tenant, session, iat } = named;
            let tenant = match &issuer.claims.tenant {
                TenantRule::Host(hosts) => hosts.tenant(self.host),
                TenantRule::Absent | TenantRule::Claim(_) | TenantRule::Constant(_) => tenant,
            };
            let (roles, scopes) = (Vec::new(), Vec::new());
            let person = Person { subject, tenant, session, role: None, roles, scopes };
            Claimed { person, issued: iat.unwrap_or(0) }
        });
        Some(Recognised { kind: AcceptedCredential::Session, claimed })
    }

    fn legacy(self, token: &[u8]) -> Option<Recognised> {
        let rules = self.legacy?;
        if !legacy::looks_like(token) {
            return None;
        }
        let claimed = || {
            let LegacyClaims { id, user_id, iat } = part(token, 1)?;
            let person = Person {
                subject: user_id.as_deref().and_then(plain_uuid).map(SubjectId::from)?,
                session: Some(id.as_deref().and_then(plain_uuid).map(SessionId::from)?),
                tenant: Some(rules.tenant.clone()),
                role: None,
                roles: Vec::new(),
                scopes: Vec::new(),
            };
            let issued = iat.as_ref().and_then(serde_json::Value::as_u64).unwrap_or(0);
            Some(Claimed { person, issued })
        };
        Some(Recognised { kind: AcceptedCredential::LegacySession, claimed: claimed() })
    }
}

/// A part of a compact JWS of three parts, as JSON.
fn part<T: for<'de> Deserialize<'de>>(token: &[u8], number: usize) -> Option<T> {
    serde_json::from_slice(&bytes(token, number)?).ok()
}

/// A part of a compact JWS of three parts, decoded.
fn bytes(token: &[u8], number: usize) -> Option<Vec<u8>> {
    let mut parts = token.split(|byte| *byte == b'.');
    if parts.clone().count() != 3 {
        return None;
    }
    URL_SAFE_NO_PAD.decode(parts.nth(number)?).ok()
}

#[cfg(test)]
mod tests;
