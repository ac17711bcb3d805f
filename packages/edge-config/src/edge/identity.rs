//! The headers that the edge itself writes: who calls, and which request it is.

use std::sync::Arc;

use identity::{Form, headers};

use super::{Condition, Edge, Reserved, Route, Sticky};

/// The signed identity of an edge file without the section `identity`.
///
/// Such an edge sends nothing else: a signature holds wherever the request goes, a plain header is only as good as the
/// network, and a backend should not learn about people what its edge file does not say.
pub const DEFAULT_SIGNED: &str = "x-auth-identity";

/// What backends learn about the caller, and under which header names. A name is lower case; what has none is not sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityHeaders {
    /// The subject of a person, or the name of a client or service.
    pub subject: Option<Arc<str>>,
    /// The person's session.
    pub session: Option<Arc<str>>,
    /// The level of the caller, as a decimal integer.
    pub role: Option<Arc<str>>,
    /// The names of the caller's roles, separated by commas.
    pub roles: Option<Arc<str>>,
    /// The scopes, separated by single spaces (RFC 6749 §3.3).
    pub scopes: Option<Arc<str>>,
    /// The tenant for which the caller acts.
    pub tenant: Option<Arc<str>>,
    /// The signed identity, see [`identity::assertion`].
    pub signed: Option<Arc<str>>,
    /// The form of the signed identity.
    pub form: Arc<Form>,
    /// `1` on every request.
    pub gateway: Option<Arc<str>>,
    /// `1` on a public route: no caller was authenticated, whatever cookies the request carries.
    pub public: Option<Arc<str>>,
}

impl IdentityHeaders {
    /// The headers of an edge file without the section: the signed identity alone.
    #[must_use]
    pub fn unsaid() -> Self {
        Self { signed: Some(DEFAULT_SIGNED.into()), ..Self::default() }
    }

    /// Each name, with the field of the edge file that gives it.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &Arc<str>)> {
        let Self { subject, session, role, roles, scopes, tenant, signed, form: _, gateway, public } = self;
        let each = [
            ("subject", subject),
            ("session", session),
            ("role", role),
            ("roles", roles),
            ("scopes", scopes),
            ("tenant", tenant),
            ("signed", signed),
            ("gateway", gateway),
            ("public", public),
        ];
        each.into_iter().filter_map(|(field, name)| name.as_ref().map(|name| (field, name)))
    }

    /// The names of all headers that are sent; each is reserved.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named().map(|(_, name)| &**name)
    }

    /// The names of the values by which a canary can choose its callers.
    pub fn chosen_by(&self) -> impl Iterator<Item = &str> {
        let Self { subject, session, role, tenant, .. } = self;
        [subject, session, role, tenant].into_iter().flatten().map(|name| &**name)
    }
}

/// The header with the id of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestIdHeader {
    /// Its name, lower case.
    pub header: String,
    /// The answers that carry it.
    pub on_answers: OnAnswers,
}

impl Default for RequestIdHeader {
    fn default() -> Self {
        Self { header: headers::REQUEST_ID.to_owned(), on_answers: OnAnswers::default() }
    }
}

/// The answers that carry the id of their request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnAnswers {
    /// Every answer; a backend's own header of that name stays.
    Always,
    /// The answers that the edge makes itself, so that a refused client can name its request. Answers of backends stay as
    /// they are, which is why this is the default.
    #[default]
    Refusals,
    /// No answer.
    Never,
}

/// The marks by which Envoy chooses a backend after the decision. The authorizer writes them, and the route removes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// Whether [`headers::KIND`] is written, for a destination by kind of credential.
    pub kind: bool,
    /// Whether [`headers::SESSION`] is written.
    pub session: bool,
    /// Whether [`headers::SUBJECT`] is written.
    pub subject: bool,
    /// Whether [`headers::TENANT`] is written.
    pub tenant: bool,
}

impl Marks {
    /// The names of the headers.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let each = [
            (self.kind, headers::KIND),
            (self.session, headers::SESSION),
            (self.subject, headers::SUBJECT),
            (self.tenant, headers::TENANT),
        ];
        each.into_iter().filter_map(|(is_used, name)| is_used.then_some(name))
    }
}

impl Edge {
    /// The headers with the caller's session, or else the subject, in the order in which Envoy reads them.
    #[must_use]
    pub fn session_headers(&self) -> Vec<&str> {
        match (&self.identity.session, &self.identity.subject) {
            (Some(session), Some(subject)) => vec![session, subject],
            (Some(_) | None, _) => vec![headers::SESSION],
        }
    }

    /// The header with the caller's subject.
    #[must_use]
    pub fn subject_header(&self) -> &str {
        self.identity.subject.as_deref().unwrap_or(headers::SUBJECT)
    }

    /// The header with the caller's tenant.
    #[must_use]
    pub fn tenant_header(&self) -> &str {
        self.identity.tenant.as_deref().unwrap_or(headers::TENANT)
    }

    /// The marks that `route` needs.
    #[must_use]
    pub fn marks_of(&self, route: &Route) -> Marks {
        let to = &route.destination;
        let by_tenant = to.sticky == Some(Sticky::Tenant)
            || route.canaries.iter().any(|canary| matches!(canary.when, Condition::Tenant(_)));
        Marks {
            kind: !to.kinds.is_empty(),
            session: to.sticky == Some(Sticky::Session) && self.session_headers().contains(&headers::SESSION),
            subject: to.sticky == Some(Sticky::Subject) && self.subject_header() == headers::SUBJECT,
            tenant: by_tenant && self.tenant_header() == headers::TENANT,
        }
    }
}

impl Reserved {
    /// Whether `name`, in lower case, is reserved.
    #[must_use]
    pub fn takes(&self, name: &str) -> bool {
        self.names.iter().any(|own| own == name)
            || self.prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()))
    }
}
