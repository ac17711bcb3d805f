//! What a signed identity claims, and the caller that the claims describe.

use serde::ser::SerializeMap as _;
use serde::{Deserialize, Serialize, Serializer};

use super::Rejected;
use crate::audience::Audience;
use crate::form::Form;
use crate::id::{SessionId, SubjectId, TenantId};
use crate::principal::{Caller, Client, ClientName, Person, Role, Service, ServiceName, is_role_name};

/// The claims under the names of [`Form::default`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claims {
    pub(super) iss: String,
    pub(super) aud: Audience,
    /// The subject of a person, the name of a service or a client. Read it together with `kind`: a person may be called
    /// as a program is.
    pub(super) sub: String,
    /// `person`, `service` or `client`.
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) sid: Option<SessionId>,
    #[serde(default)]
    pub(super) tenant: Option<TenantId>,
    #[serde(default)]
    pub(super) role: Option<Role>,
    #[serde(default)]
    pub(super) roles: Vec<String>,
    #[serde(default)]
    pub(super) scope: String,
    pub(super) iat: u64,
    pub(super) exp: u64,
}

/// Claims under the names of a form. What is absent is not written.
pub(super) struct Named<'a>(pub(super) &'a Claims, pub(super) &'a Form);

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(Claims { iss, aud, sub, kind, sid, tenant, role, roles, scope, iat, exp }, form) = self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", iss)?;
        map.serialize_entry("aud", aud)?;
        map.serialize_entry(&form.subject, sub)?;
        map.serialize_entry(&form.kind, kind)?;
        if let Some(session) = sid {
            map.serialize_entry(&form.session, session)?;
        }
        if let Some(tenant) = tenant {
            map.serialize_entry(&form.tenant, tenant)?;
        }
        if let Some(role) = role {
            map.serialize_entry(&form.role, role)?;
        }
        if !roles.is_empty() {
            map.serialize_entry(&form.roles, roles)?;
        }
        if !scope.is_empty() {
            map.serialize_entry(&form.scopes, scope)?;
        }
        map.serialize_entry("iat", iat)?;
        map.serialize_entry("exp", exp)?;
        map.end()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Person,
    Service,
    Client,
}

/// The caller that the claims describe.
pub(super) fn caller(claims: Claims) -> Result<Caller, Rejected> {
    if !claims.roles.iter().all(|name| is_role_name(name)) {
        return Err(Rejected::WrongClaims);
    }
    match claims {
        Claims { kind: Kind::Person, sub, sid: session, tenant, role, roles, scope, .. } => {
            let subject: SubjectId = sub.parse().map_err(|_| Rejected::WrongClaims)?;
            Ok(Caller::Person(Person { subject, tenant, session, role, roles, scopes: split(&scope) }))
        }
        Claims { kind: Kind::Service, iss: _, sub, sid: None, tenant, role: None, roles, .. }
            if roles.is_empty() =>
        {
            let name: ServiceName = sub.parse().map_err(|_| Rejected::WrongClaims)?;
            Ok(Caller::Service(Service { name, tenant }))
        }
        Claims { kind: Kind::Client, sub, sid: None, tenant, role, roles, scope, .. } => {
            let name: ClientName = sub.parse().map_err(|_| Rejected::WrongClaims)?;
            Ok(Caller::Client(Client { name, tenant, role, roles, scopes: split(&scope) }))
        }
        Claims { kind: Kind::Service | Kind::Client, .. } => Err(Rejected::WrongClaims),
    }
}

fn split(scope: &str) -> Vec<String> {
    scope.split(' ').filter(|s| !s.is_empty()).map(str::to_owned).collect()
}
