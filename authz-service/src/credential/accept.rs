//! More than one kind of credential: what a policy's `accept` list means.
//!
//! The list is an *or*, and its order is the precedence. The rule, whole:
//!
//! 1. A kind that the policy does not list is ignored.
//! 2. Every listed kind that the request *offers* is checked, in the order of the list.
//! 3. One that **fails** refuses the request, with its own reason, whatever the others prove. A client that
//!    sends a forged cookie beside a good key is not trusted with the key either, and a client whose cookie
//!    has expired must learn of it instead of silently becoming another caller.
//! 4. One that **cannot be judged** now (its keys or its store are unavailable) makes the answer 503, unless
//!    rule 3 already refused: the presence of another credential does not replace the missing proof.
//! 5. Those that verify must prove the same principal: the same person, or the same client, of the same tenant.
//!    Otherwise `ambiguous_credential`. An API key and a person's session never agree.
//! 6. The first verified credential decides the session, the role and the scopes.
//! 7. Nothing offered: `no_credential`.
//!
//! | first in the list | second | then |
//! |---|---|---|
//! | not offered | not offered | 401 `no_credential` |
//! | verified | not offered | passes as the first |
//! | not offered | verified | passes as the second |
//! | failed | anything | 401, the first's reason |
//! | anything but failed | failed | 401, the second's reason |
//! | cannot be judged | anything but failed | 503 |
//! | verified | cannot be judged | 503 |
//! | verified | verified, the same principal | passes as the first |
//! | verified | verified, another principal | 401 `ambiguous_credential` |
//!
//! New and old sessions usually come in the same cookie. When a policy accepts both and they share one, the
//! token's (unverified) header chooses the kind: `HS256` is a legacy session, anything else is not. A false
//! header only changes which of the two refuses the token.

use std::sync::Arc;

use clock::UnixTime;
use edge_config::edge::AcceptedCredential;
use identity::{Client, Person};

use crate::check::CheckInput;
use crate::credential::api_key::ApiKeyCredentials;
use crate::credential::fault::CredentialFault;
use crate::credential::legacy::LegacyCredentials;
use crate::credential::presented::{AuthenticatedClient, AuthenticatedPerson, Presented};
use crate::credential::session::SessionCredentials;
use crate::failure::Failure;

/// A caller that a session policy can accept.
#[derive(Clone, Debug)]
pub enum Principal {
    /// A person in a session.
    Person(AuthenticatedPerson),
    /// A client with an API key.
    Client(AuthenticatedClient),
}

/// The principal that a request proved, and the kind of the credential that decides ([the rule](self), 6).
#[derive(Clone, Debug)]
pub struct Proved {
    /// The principal.
    pub principal: Principal,
    /// The kind of the first verified credential.
    pub kind: AcceptedCredential,
}

impl Principal {
    fn person(&self) -> Option<&Arc<Person>> {
        match self {
            Self::Person(person) => Some(person.person()),
            Self::Client(_) => None,
        }
    }

    fn client(&self) -> Option<&Arc<Client>> {
        match self {
            Self::Client(client) => Some(client.client()),
            Self::Person(_) => None,
        }
    }

    /// Whether both are the same principal of the same tenant. Sessions and scopes may differ.
    fn agrees_with(&self, other: &Self) -> bool {
        if let (Some(a), Some(b)) = (self.person(), other.person()) {
            return (&a.subject, &a.tenant) == (&b.subject, &b.tenant);
        }
        if let (Some(a), Some(b)) = (self.client(), other.client()) {
            return (&a.name, &a.tenant) == (&b.name, &b.tenant);
        }
        false
    }
}

/// The verifier of each kind; absent when the edge file has no such section.
#[derive(Debug)]
pub struct Credentials<'a> {
    /// Access tokens.
    pub sessions: Option<SessionCredentials<'a>>,
    /// API keys.
    pub api_keys: Option<ApiKeyCredentials<'a>>,
    /// Sessions of the legacy backend.
    pub legacy: Option<LegacyCredentials<'a>>,
}

impl Credentials<'_> {
    /// The caller of `input`, by the kinds in `accepted`.
    ///
    /// # Errors
    /// The first [`Failure`] in the list's order, when an offered credential cannot be judged and none failed.
    pub async fn present(
        &self,
        accepted: &[AcceptedCredential],
        input: &CheckInput<'_>,
        now: UnixTime,
    ) -> Result<Presented<Proved>, Failure> {
        let mut outcome = Outcome::default();
        for kind in accepted {
            outcome.add(*kind, self.one(*kind, input, now).await);
            if outcome.failed.is_some() {
                break;
            }
        }
        outcome.settle()
    }

    async fn one(
        &self,
        kind: AcceptedCredential,
        input: &CheckInput<'_>,
        now: UnixTime,
    ) -> Result<Presented<Principal>, Failure> {
        // `Snapshot::new` refuses a policy that accepts a kind without a section in its edge.
        Ok(match kind {
            AcceptedCredential::Session => {
                let sessions = self.sessions.as_ref().ok_or(Failure::KeysUnavailable)?;
                sessions.present(input, now).await?.map(Principal::Person)
            }
            AcceptedCredential::ApiKey => {
                let keys = self.api_keys.as_ref().ok_or(Failure::ApiKeysUnavailable)?;
                keys.present(input, now)?.map(Principal::Client)
            }
            AcceptedCredential::LegacySession => {
                let legacy = self.legacy.as_ref().ok_or(Failure::LegacyUnavailable)?;
                legacy.present(input, now).await?.map(Principal::Person)
            }
        })
    }
}

/// The rule, independent of the sources of credentials.
#[derive(Debug, Default)]
struct Outcome {
    failed: Option<CredentialFault>,
    unjudged: Option<Failure>,
    verified: Option<Proved>,
    disagree: bool,
}

impl Outcome {
    fn add(&mut self, kind: AcceptedCredential, presented: Result<Presented<Principal>, Failure>) {
        match presented {
            Ok(Presented::NotOffered) => {}
            Ok(Presented::Failed(fault)) => {
                self.failed.get_or_insert(fault);
            }
            Ok(Presented::Verified(principal)) => match &self.verified {
                None => self.verified = Some(Proved { principal, kind }),
                Some(first) => self.disagree |= !first.principal.agrees_with(&principal),
            },
            Err(failure) => {
                self.unjudged.get_or_insert(failure);
            }
        }
    }

    fn settle(self) -> Result<Presented<Proved>, Failure> {
        let Self { failed, unjudged, verified, disagree } = self;
        if let Some(fault) = failed {
            return Ok(Presented::Failed(fault));
        }
        if let Some(failure) = unjudged {
            return Err(failure);
        }
        if disagree {
            return Ok(Presented::Failed(CredentialFault::Ambiguous));
        }
        Ok(verified.map_or(Presented::NotOffered, Presented::Verified))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::fault::TokenFault;
    use crate::credential::presented::Access;
    use crate::who::KeyTerms;
    use identity::Role;

    const TENANTS: [&str; 2] =
        ["00000000-0000-7000-8000-000000000001", "00000000-0000-7000-8000-000000000002"];

    fn person(last: u8, tenant: usize, session: u8) -> Principal {
        let id = |n: u8| format!("0192d3c0-0000-7000-8000-0000000000{n:02x}");
        let person = Person {
            subject: id(last).parse().unwrap(),
            tenant: Some(TENANTS[tenant].parse().unwrap()),
            session: Some(id(session).parse().unwrap()),
            role: Some(Role::NORMAL),
            roles: Vec::new(),
            scopes: Vec::new(),
        };
        Principal::Person(AuthenticatedPerson {
            person: Arc::new(person),
            issued: 0,
            token: None,
            access: Access::default(),
        })
    }

    fn client(name: &str, tenant: usize) -> Principal {
        let client = Client {
            name: name.parse().unwrap(),
            tenant: Some(TENANTS[tenant].parse().unwrap()),
            role: None,
            roles: Vec::new(),
            scopes: Vec::new(),
        };
        let key = KeyTerms { id: "00112233445566ff".parse().unwrap(), plan: None };
        Principal::Client(AuthenticatedClient { client: Arc::new(client), key, expires: None })
    }

    /// The outcome of two credentials, in words.
    fn of(all: [Result<Presented<Principal>, Failure>; 2]) -> String {
        let mut outcome = Outcome::default();
        for presented in all {
            outcome.add(AcceptedCredential::Session, presented);
            if outcome.failed.is_some() {
                break;
            }
        }
        match outcome.settle() {
            Ok(Presented::NotOffered) => "not offered".to_owned(),
            Ok(Presented::Failed(fault)) => fault.code().to_owned(),
            Ok(Presented::Verified(Proved { principal: Principal::Person(person), .. })) => {
                person.person().session.as_ref().unwrap().to_string()[34..].into()
            }
            Ok(Presented::Verified(Proved { principal: Principal::Client(client), .. })) => {
                client.client().name.to_string()
            }
            Err(failure) => failure.code().to_owned(),
        }
    }

    #[test]
    fn the_table() {
        let none = || Ok(Presented::NotOffered);
        let good = |principal| Ok(Presented::Verified(principal));
        let expired = || Ok(Presented::Failed(CredentialFault::Token(TokenFault::Expired)));
        let malformed = || Ok(Presented::Failed(CredentialFault::Token(TokenFault::Malformed)));
        let gone = || Err(Failure::LegacyUnavailable);
        let keys_gone = || Err(Failure::KeysUnavailable);
        for (number, (first, second, expected)) in [
            (none(), none(), "not offered"),
            (good(person(1, 0, 0x11)), none(), "11"),
            (none(), good(person(1, 0, 0x22)), "22"),
            (none(), good(client("ci", 0)), "ci"),
            (expired(), none(), "token_expired"),
            (expired(), good(person(1, 0, 0x22)), "token_expired"),
            (expired(), malformed(), "token_expired"),
            (expired(), gone(), "token_expired"),
            (none(), expired(), "token_expired"),
            (good(person(1, 0, 0x11)), expired(), "token_expired"),
            (gone(), expired(), "token_expired"),
            (gone(), none(), "legacy_unavailable"),
            (gone(), good(person(1, 0, 0x22)), "legacy_unavailable"),
            (good(person(1, 0, 0x11)), gone(), "legacy_unavailable"),
            (keys_gone(), gone(), "keys_unavailable"),
            (good(person(1, 0, 0x11)), good(person(1, 0, 0x22)), "11"),
            (good(person(1, 0, 0x11)), good(person(2, 0, 0x11)), "ambiguous_credential"),
            (good(person(1, 0, 0x11)), good(person(1, 1, 0x11)), "ambiguous_credential"),
            (good(person(1, 0, 0x11)), good(client("ci", 0)), "ambiguous_credential"),
            (good(client("ci", 0)), good(person(1, 0, 0x11)), "ambiguous_credential"),
            (good(client("ci", 0)), good(client("ci", 0)), "ci"),
            (good(client("ci", 0)), good(client("cd", 0)), "ambiguous_credential"),
            (good(client("ci", 0)), good(client("ci", 1)), "ambiguous_credential"),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(of([first, second]), expected, "row {number}");
        }
    }
}
