//! The parts of a draft that say how a connection is made: TLS on both sides, and what browsers are told.

use serde_json::json;

use super::{Draft, list, quoted};

/// The listener for connections with TLS, beside the one in the clear.
#[derive(Clone, Debug, Default)]
pub(crate) struct Encrypted {
    /// Address and port.
    pub(crate) listen: String,
    /// At least one; the first is for clients that name no known host.
    pub(crate) certificates: Vec<CertificateFiles>,
    /// The file with the authorities of client certificates.
    pub(crate) client_ca: Option<String>,
    /// Whether a client may have no certificate.
    pub(crate) client_may_be_unknown: bool,
    /// Whether the files are still to be written.
    pub(crate) comment: Option<String>,
}

/// The files of a certificate chain and its key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CertificateFiles {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The listeners of a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum On {
    #[default]
    Clear,
    Encrypted,
    Both,
}

/// How the certificate of a backend is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct BackendTls {
    pub(crate) ca: Option<String>,
    pub(crate) sni: Option<String>,
    pub(crate) client: Option<CertificateFiles>,
}

/// The pages of other origins that may read answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cors {
    pub(crate) origins: Vec<String>,
    pub(crate) credentials: bool,
    /// Absent where the request's own decides.
    pub(crate) methods: Option<Vec<String>>,
    /// Absent where the request's own decide.
    pub(crate) headers: Option<Vec<String>>,
    pub(crate) expose: Vec<String>,
    pub(crate) max_age: Option<u32>,
}

/// How long browsers use https alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hsts {
    pub(crate) max_age: u64,
    pub(crate) include_subdomains: bool,
    pub(crate) preload: bool,
}

impl Draft {
    /// The section `listeners`.
    pub(super) fn listeners(&self) -> String {
        let mut text = "listeners:\n".to_owned();
        let address = |variable: &str, address: &str| quoted(&format!("${{{variable}:-{address}}}"));
        if self.encrypted.is_none() || self.hosts.iter().any(|host| host.on != On::Encrypted) {
            text.push_str("  # Where clients connect. The variable moves it.\n");
            let redirect = if self.redirects && self.encrypted.is_some() {
                text.push_str("  # Every request is answered with 308 to https; 308 keeps its method.\n");
                ", redirect: https"
            } else {
                ""
            };
            let address = address("EDGE_ADDRESS", &self.listen);
            text.push_str(&format!("  public: {{ address: {address}, exposure: public{redirect} }}\n"));
        }
        let Some(encrypted) = &self.encrypted else { return text };
        text.push_str(
            "  # Where clients connect with TLS. The name that a client asks for chooses the certificate.\n",
        );
        super::comment_above(&mut text, "  ", encrypted.comment.as_deref());
        let address = address("EDGE_TLS_ADDRESS", &encrypted.listen);
        text.push_str(&format!("  tls:\n    address: {address}\n    exposure: public\n    tls:\n"));
        match encrypted.certificates.as_slice() {
            [CertificateFiles { certificate, key }] => {
                let (certificate, key) = (quoted(certificate), quoted(key));
                text.push_str(&format!("      certificate: {certificate}\n      key: {key}\n"));
            }
            several => {
                text.push_str("      certificates:\n");
                for files in several {
                    text.push_str(&format!("        - {}\n", files.written()));
                }
            }
        }
        if let Some(ca) = &encrypted.client_ca {
            text.push_str(&format!("      client_ca: {}\n", quoted(ca)));
            if encrypted.client_may_be_unknown {
                text.push_str("      client_certificate: optional\n");
            }
        }
        text
    }
}

impl On {
    /// The field of a host; `has_tls` says whether there is a listener with TLS at all.
    pub(super) const fn written(self, has_tls: bool) -> &'static str {
        match (self, has_tls) {
            (_, false) | (Self::Clear, true) => "listener: public",
            (Self::Encrypted, true) => "listener: tls",
            (Self::Both, true) => "listeners: [public, tls]",
        }
    }
}

impl CertificateFiles {
    fn written(&self) -> String {
        format!("{{ certificate: {}, key: {} }}", quoted(&self.certificate), quoted(&self.key))
    }
}

impl BackendTls {
    /// The field `tls` of a backend.
    pub(super) fn written(&self) -> String {
        let mut fields = Vec::new();
        if let Some(ca) = &self.ca {
            fields.push(format!("ca: {}", quoted(ca)));
        }
        if let Some(sni) = &self.sni {
            fields.push(format!("sni: {}", quoted(sni)));
        }
        if let Some(client) = &self.client {
            fields.push(format!("client: {}", client.written()));
        }
        format!("tls: {{ {} }}", fields.join(", "))
    }

    /// Whether it says anything but the defaults.
    pub(crate) const fn is_default(&self) -> bool {
        self.ca.is_none() && self.sni.is_none() && self.client.is_none()
    }
}

impl Cors {
    /// The field `cors` of a host or a route.
    pub(super) fn written(&self) -> String {
        let origins = self.origins.iter().map(|origin| json!(origin).to_string()).collect::<Vec<_>>();
        let mut fields = vec![format!("origins: [{}]", origins.join(", "))];
        if self.credentials {
            fields.push("credentials: true".to_owned());
        }
        if let Some(methods) = &self.methods {
            fields.push(format!("methods: {}", list(methods)));
        }
        if let Some(headers) = &self.headers {
            fields.push(format!("headers: {}", list(headers)));
        }
        if !self.expose.is_empty() {
            fields.push(format!("expose: {}", list(&self.expose)));
        }
        if let Some(seconds) = self.max_age {
            fields.push(format!("max_age_seconds: {seconds}"));
        }
        format!("cors: {{ {} }}", fields.join(", "))
    }
}

impl Hsts {
    /// The field `hsts` of a host.
    pub(super) fn written(self) -> String {
        let Self { max_age, include_subdomains, preload } = self;
        let mut text = format!("hsts: {{ max_age_seconds: {max_age}");
        if include_subdomains {
            text.push_str(", include_subdomains: true");
        }
        if preload {
            text.push_str(", preload: true");
        }
        text.push_str(" }");
        text
    }
}
