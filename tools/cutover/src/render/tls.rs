//! How a listener with a certificate is read.
//!
//! Certificate and key come from files that Envoy watches (SDS): whoever replaces them needs no restart, and
//! connections that are open go on.

use std::path::{Path, PathBuf};

use edge_config::edge::Tls;
use serde_json::{Value, json};

use super::TemplateError;
use super::cluster::insert;

/// The resource that tells Envoy where certificate and key of `listener` are.
pub(super) fn secret(listener: &str, tls: &Tls) -> Result<Value, TemplateError> {
    let certificate = absolute(&tls.certificate)?;
    let key = absolute(&tls.key)?;
    // Both are read again when anything in the directory is moved, as Kubernetes does with a mounted secret.
    let directory = certificate.parent().unwrap_or(Path::new("/")).to_owned();
    Ok(json!({
        "name": name(listener),
        "tls_certificate": {
            "certificate_chain": { "filename": certificate },
            "private_key": { "filename": key },
            "watched_directory": { "path": directory },
        },
    }))
}

fn name(listener: &str) -> String {
    format!("certificate-{listener}")
}

/// The certificate of `listener`, from the file of [`secret`] that Envoy watches.
pub(super) fn watched(listener: &str, source: &Value) -> (&'static str, Value) {
    ("tls_certificate_sds_secret_configs", json!([{ "name": name(listener), "sds_config": source }]))
}

/// The certificate itself, for a configuration in one piece.
pub(super) fn in_place(secret: &Value) -> (&'static str, Value) {
    let mut certificate = secret["tls_certificate"].clone();
    if let Some(object) = certificate.as_object_mut() {
        object.remove("watched_directory");
    }
    ("tls_certificates", json!([certificate]))
}

/// Makes `listener` speak TLS.
pub(super) fn put(listener: &mut Value, certificate: (&'static str, Value)) {
    let mut common = json!({
        // 1.0 and 1.1 are broken and gone (RFC 8996).
        "tls_params": { "tls_minimum_protocol_version": "TLSv1_2" },
        "alpn_protocols": ["h2", "http/1.1"],
    });
    insert(&mut common, certificate.0, certificate.1);
    let socket = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": common,
        },
    });
    if let Some(chain) = listener.pointer_mut("/filter_chains/0") {
        insert(chain, "transport_socket", socket);
        // Who opens a connection and says nothing is gone as soon as one who sends no headers.
        insert(chain, "transport_socket_connect_timeout", json!("10s"));
    }
}

/// Envoy's working directory may be another one.
fn absolute(path: &Path) -> Result<PathBuf, TemplateError> {
    std::path::absolute(path).map_err(|error| TemplateError {
        name: "certificates",
        what: format!("{} cannot be made absolute: {error}", path.display()),
    })
}
