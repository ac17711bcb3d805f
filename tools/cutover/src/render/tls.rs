//! TLS for listeners with a certificate, mutual TLS between Envoy and the authorizer, and TLS to backends.
//!
//! Certificate and key come from files that Envoy watches (SDS): replacing them needs no restart, and open connections
//! continue.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use edge_config::edge::{AuthorizerTls, BackendTls, CertificateFiles, ClientCertificate, Clients, Tls};
use serde_json::{Value, json};

use super::TemplateError;
use super::object::insert;

/// An SDS resource that names files. Envoy reads them again when they are replaced.
pub(super) struct Secret {
    /// The name of the resource. With `.json` it is the name of the resource's file.
    name: String,
    resource: Value,
}

impl Secret {
    /// The certificate to present, with its key.
    fn pair(name: String, certificate: &Path, key: &Path) -> Result<Self, TemplateError> {
        let (certificate, key) = (absolute(certificate)?, absolute(key)?);
        let resource = json!({
            "name": name,
            "tls_certificate": {
                "certificate_chain": { "filename": certificate },
                "private_key": { "filename": key },
                "watched_directory": watched_directory(&certificate),
            },
        });
        Ok(Self { name, resource })
    }

    /// The trusted authorities.
    fn authorities(name: String, ca: &Path) -> Result<Self, TemplateError> {
        let ca = absolute(ca)?;
        let resource = json!({
            "name": name,
            "validation_context": {
                "trusted_ca": { "filename": ca },
                "watched_directory": watched_directory(&ca),
            },
        });
        Ok(Self { name, resource })
    }

    /// Adds a file of revoked certificates to trusted authorities; Envoy watches their directory.
    fn revoke(&mut self, revoked: &Path) -> Result<(), TemplateError> {
        let revoked = absolute(revoked)?;
        if let Some(context) = self.resource.get_mut("validation_context") {
            insert(context, "crl", json!({ "filename": revoked }));
            // Lists of the authorities above, which revoke authorities, are rarely published beside the others.
            insert(context, "only_verify_leaf_cert_crl", json!(true));
        }
        Ok(())
    }

    /// The name of the resource's file.
    pub(super) fn file(&self) -> String {
        format!("{}.json", self.name)
    }

    /// The content of the resource's file.
    pub(super) fn resource(self) -> Value {
        self.resource
    }

    /// The reference by which Envoy watches the file.
    fn watched(&self, directory: &Path) -> Value {
        json!({ "name": self.name, "sds_config": super::file_source(directory, &self.file()) })
    }

    /// The resource itself, for a configuration in one piece.
    fn in_place(&self, kind: &str) -> Value {
        let mut value = self.resource.get(kind).cloned().unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            object.remove("watched_directory");
        }
        value
    }
}

/// Envoy reads a file again when a file in its directory is moved, as Kubernetes does with a mounted secret.
fn watched_directory(file: &Path) -> Value {
    json!({ "path": file.parent().unwrap_or(Path::new("/")) })
}

/// The certificates that one side of a connection may present, and the authorities that it trusts.
pub(super) struct Identity {
    /// In their order; Envoy falls back to the first.
    pairs: Vec<Secret>,
    authorities: Option<Secret>,
    /// The names of which the other side's certificate must have one.
    names: Vec<String>,
    /// Whether the other side may present none.
    is_optional: bool,
    /// The public keys of which the other side's certificate must have one; empty where any key counts.
    pins: Vec<String>,
}

impl Identity {
    /// The identity of `listener`.
    pub(super) fn of_listener(listener: &str, tls: &Tls) -> Result<Self, TemplateError> {
        let Tls { certificates, clients } = tls;
        let one = |(index, files): (usize, &CertificateFiles)| {
            // No name of a listener has a dot.
            let number = if index == 0 { String::new() } else { format!(".{}", index + 1) };
            Secret::pair(format!("certificate-{listener}{number}"), &files.certificate, &files.key)
        };
        let pairs = certificates.iter().enumerate().map(one).collect::<Result<_, _>>()?;
        let (authorities, names, is_optional) = match clients {
            None => (None, Vec::new(), false),
            Some(Clients { required, ca, revoked, names }) => {
                let mut authorities = Secret::authorities(format!("clients-{listener}"), ca)?;
                if let Some(revoked) = revoked {
                    authorities.revoke(revoked)?;
                }
                (Some(authorities), names.clone(), !required)
            }
        };
        Ok(Self { pairs, authorities, names, is_optional, pins: Vec::new() })
    }

    /// The identity of Envoy for the authorizer.
    pub(super) fn towards_authorizer(tls: &AuthorizerTls) -> Result<Self, TemplateError> {
        let AuthorizerTls { ca, certificate, key, names } = tls;
        Ok(Self {
            pairs: vec![Secret::pair("authorizer-certificate".to_owned(), certificate, key)?],
            authorities: Some(Secret::authorities("authorizer-ca".to_owned(), ca)?),
            names: names.clone(),
            is_optional: false,
            pins: Vec::new(),
        })
    }

    /// The identity of Envoy for the backend `backend`, whose certificate must have `name`.
    pub(super) fn towards_backend(
        backend: &str,
        tls: &BackendTls,
        name: &str,
    ) -> Result<Self, TemplateError> {
        let BackendTls { ca, sni: _, client, pins } = tls;
        let pairs = match client {
            Some(ClientCertificate { certificate, key }) => {
                vec![Secret::pair(format!("backend-certificate-{backend}"), certificate, key)?]
            }
            None => Vec::new(),
        };
        Ok(Self {
            pairs,
            authorities: Some(Secret::authorities(format!("backend-ca-{backend}"), ca)?),
            names: vec![name.to_owned()],
            is_optional: false,
            pins: pins.clone(),
        })
    }

    /// The files that Envoy watches.
    pub(super) fn secrets(self) -> impl Iterator<Item = Secret> {
        self.pairs.into_iter().chain(self.authorities)
    }

    /// Adds it to a `common_tls_context`: from files in `directory` that Envoy watches, or in one piece without one.
    fn put(&self, common: &mut Value, directory: Option<&Path>) {
        let pairs = self.pairs.iter();
        match directory {
            // Nothing to present.
            _ if self.pairs.is_empty() => {}
            Some(directory) => {
                let watched: Vec<Value> = pairs.map(|pair| pair.watched(directory)).collect();
                insert(common, "tls_certificate_sds_secret_configs", json!(watched));
            }
            None => {
                let whole: Vec<Value> = pairs.map(|pair| pair.in_place("tls_certificate")).collect();
                insert(common, "tls_certificates", json!(whole));
            }
        }
        let Some(authorities) = &self.authorities else { return };
        let mut rules = json!({});
        if !self.names.is_empty() {
            let matchers: Vec<_> = self.names.iter().map(|name| subject(name)).collect();
            insert(&mut rules, "match_typed_subject_alt_names", json!(matchers));
        }
        if !self.pins.is_empty() {
            insert(&mut rules, "verify_certificate_spki", json!(self.pins));
        }
        match directory {
            Some(directory) => {
                let combined = json!({
                    "default_validation_context": rules,
                    "validation_context_sds_secret_config": authorities.watched(directory),
                });
                insert(common, "combined_validation_context", combined);
            }
            None => {
                let context = authorities.in_place("validation_context");
                for (field, value) in context.as_object().into_iter().flatten() {
                    insert(&mut rules, field, value.clone());
                }
                insert(common, "validation_context", rules);
            }
        }
    }
}

fn subject(name: &str) -> Value {
    let kind = if name.parse::<IpAddr>().is_ok() { "IP_ADDRESS" } else { "DNS" };
    json!({ "san_type": kind, "matcher": { "exact": name } })
}

/// Makes the cluster of the authorizer speak TLS.
pub(super) fn put_upstream(cluster: &mut Value, identity: &Identity, directory: Option<&Path>) {
    // Both ends are ours.
    let socket = upstream(identity, directory, ("TLSv1_3", "TLSv1_3"), &["h2"]);
    insert(cluster, "transport_socket", socket);
}

/// The transport socket of a backend that agrees to one of `protocols` (ALPN).
pub(super) fn towards_backend(identity: &Identity, directory: Option<&Path>, protocols: &[&str]) -> Value {
    // 1.0 and 1.1 are broken and gone (RFC 8996). Envoy's own default for backends ends at 1.2.
    upstream(identity, directory, ("TLSv1_2", "TLSv1_3"), protocols)
}

fn upstream(
    identity: &Identity,
    directory: Option<&Path>,
    (oldest, newest): (&str, &str),
    protocols: &[&str],
) -> Value {
    let mut common = json!({
        "tls_params": { "tls_minimum_protocol_version": oldest, "tls_maximum_protocol_version": newest },
        "alpn_protocols": protocols,
    });
    identity.put(&mut common, directory);
    let mut context = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        // No resumption: each connection authenticates itself.
        "max_session_keys": 0,
        "common_tls_context": common,
    });
    // A name in the handshake is a DNS name (RFC 6066 §3).
    if let Some(name) = identity.names.iter().find(|name| name.parse::<IpAddr>().is_err()) {
        insert(&mut context, "sni", json!(name));
    }
    json!({ "name": "envoy.transport_sockets.tls", "typed_config": context })
}

/// Makes `listener` speak TLS.
pub(super) fn put(listener: &mut Value, identity: &Identity, directory: Option<&Path>) {
    let mut common = json!({
        // 1.0 and 1.1 are broken and gone (RFC 8996).
        "tls_params": { "tls_minimum_protocol_version": "TLSv1_2" },
        "alpn_protocols": ["h2", "http/1.1"],
    });
    identity.put(&mut common, directory);
    let mut context = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": common,
    });
    if identity.authorities.is_some() {
        insert(&mut context, "require_client_certificate", json!(!identity.is_optional));
        // A resumed session presents no certificate, so each connection has to authenticate itself.
        insert(&mut context, "disable_stateless_session_resumption", json!(true));
        insert(&mut context, "disable_stateful_session_resumption", json!(true));
    }
    let socket = json!({ "name": "envoy.transport_sockets.tls", "typed_config": context });
    if let Some(chain) = listener.pointer_mut("/filter_chains/0") {
        insert(chain, "transport_socket", socket);
        // A silent connection is closed as early as one that sends no headers.
        insert(chain, "transport_socket_connect_timeout", json!("10s"));
    }
}

/// Makes `path` absolute, because Envoy may run in another working directory.
fn absolute(path: &Path) -> Result<PathBuf, TemplateError> {
    std::path::absolute(path).map_err(|error| TemplateError {
        name: "certificates",
        what: format!("{} cannot be made absolute: {error}", path.display()),
    })
}
