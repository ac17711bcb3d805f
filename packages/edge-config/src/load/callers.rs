//! The sections that say who may call, and how callers prove who they are.

use std::time::Duration;

use identity::ServiceName;

use crate::declared::Declared;
use crate::edge::{
    ApiKeys, Backend, CertificateHolder, LegacySessions, Reserved, Service, ServiceTokens, Sessions,
    Signatures, TenantDirectory, Webhook,
};
use crate::node::Node;
use crate::reader::{Context, Fields};
use crate::sections::identity::Own;
use crate::sections::kinds::{Recognition, Section};
use crate::sections::{self, credentials};

/// A section that a file may leave out: where it stands, and what it says if it is good.
pub(super) struct Said<'n, T> {
    node: Option<&'n Node>,
    pub(super) good: Option<T>,
}

impl<'n, T> Said<'n, T> {
    fn read(node: Option<&'n Node>, read: impl FnOnce(&'n Node) -> Option<T>) -> Self {
        Self { node, good: node.and_then(read) }
    }

    fn section(&self) -> Section<&T> {
        Section::of(self.node.is_some(), self.good.as_ref())
    }
}

/// The callers of the edge, and their credentials.
pub(super) struct Callers<'n> {
    pub(super) sessions: Said<'n, Sessions>,
    pub(super) api_keys: Said<'n, ApiKeys>,
    pub(super) legacy_sessions: Said<'n, LegacySessions>,
    pub(super) services: Declared<(ServiceName, Service)>,
    pub(super) service_tokens: Option<ServiceTokens>,
    pub(super) tenants: Option<TenantDirectory>,
    pub(super) signatures: Said<'n, Signatures>,
    webhooks_node: Option<&'n Node>,
    pub(super) webhooks: Declared<Webhook>,
    certificates_node: Option<&'n Node>,
    pub(super) certificates: Declared<CertificateHolder>,
}

impl<'n> Callers<'n> {
    /// Reads the sections. A check of the authorizer has `patience`, which bounds its questions to issuers and to the
    /// legacy backend.
    pub(super) fn read(
        context: Context<'n>,
        fields: &mut Fields<'n>,
        backends: &Declared<Backend>,
        patience: Option<Duration>,
    ) -> Self {
        let sessions =
            Said::read(fields.optional("sessions"), |node| sections::sessions(context, node, patience));
        let api_keys = Said::read(fields.optional("api_keys"), |node| credentials::api_keys(context, node));
        let legacy_sessions = Said::read(fields.optional("legacy_sessions"), |node| {
            credentials::legacy_sessions(context, node, backends, patience)
        });
        let services = Declared::read(context, fields.optional("services"), "`services`", |name, node| {
            sections::service(context, name, node)
        });
        let service_tokens =
            fields.optional("service_tokens").and_then(|node| sections::services::tokens(context, node));
        let tenants = fields.optional("tenants").and_then(|node| sections::tenants(context, node));
        let signatures =
            Said::read(fields.optional("signatures"), |node| sections::signatures::read(context, node));
        let webhooks_node = fields.optional("webhooks");
        let webhooks = Declared::read(context, webhooks_node, "`webhooks`", |name, node| {
            sections::webhooks::webhook(context, name, node)
        });
        let certificates_node = fields.optional("client_certificates");
        let certificates =
            Declared::read(context, certificates_node, "`client_certificates`", |name, node| {
                sections::client_certificates::holder(context, name, node)
            });
        Self {
            sessions,
            api_keys,
            legacy_sessions,
            services,
            service_tokens,
            tenants,
            signatures,
            webhooks_node,
            webhooks,
            certificates_node,
            certificates,
        }
    }

    /// Which kinds of credentials a policy can accept.
    pub(super) const fn stores(&self) -> sections::Stores {
        sections::Stores {
            sessions: self.sessions.node.is_some(),
            api_keys: self.api_keys.node.is_some(),
            legacy_sessions: self.legacy_sessions.node.is_some(),
            signatures: self.signatures.node.is_some(),
        }
    }

    /// How a public route recognises the kind of a session.
    pub(super) fn recognition(&self) -> Recognition<'_> {
        Recognition { sessions: self.sessions.section(), legacy_sessions: self.legacy_sessions.section() }
    }

    /// Reports credentials in headers that only the edge may write, and webhooks that stand for a service.
    pub(super) fn check(&self, context: Context<'_>, reserved: &Reserved, own: Own<'_>) {
        if let (Some(node), Some(signatures)) = (self.signatures.node, &self.signatures.good) {
            sections::signatures::check_reserved(context, node, signatures, reserved, own);
        }
        let is_service = |name: &str| self.services.has(name);
        sections::webhooks::check(context, self.webhooks_node, &self.webhooks, Some(reserved), is_service);
        let certificates = (self.certificates_node, &self.certificates);
        sections::client_certificates::check(context, certificates, &self.webhooks, is_service);
        credentials::check_header(context, self.api_keys.node, self.api_keys.good.as_ref(), reserved, own);
    }
}
