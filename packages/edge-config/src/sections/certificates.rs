//! The certificates of a listener: `certificate` and `key`, or several in `certificates`.

use crate::edge::CertificateFiles;
use crate::node::{Node, Value};
use crate::reader::{self, Context, Fields, path};

/// Envoy holds each of them in memory, on every worker. More names than a company has fit: one certificate may have a hundred,
/// or a wildcard.
const MOST: usize = 128;

/// Reads the fields of `tls`.
pub(super) fn read(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    what: &str,
) -> Option<Vec<CertificateFiles>> {
    let Some(list) = fields.optional("certificates") else {
        return pair(context, fields, what).map(|pair| vec![pair]);
    };
    let others = [fields.optional("certificate"), fields.optional("key")];
    if let Some(other) = others.into_iter().flatten().next() {
        let problem = format!("{what} has `certificates` and `certificate` or `key` beside it");
        context.faults.report(other.place, problem, "list all of them in `certificates`");
        return None;
    }
    several(context, list, what)
}

/// `certificate: edge.pem, key: edge.key`
fn pair(context: Context<'_>, fields: &mut Fields<'_>, what: &str) -> Option<CertificateFiles> {
    let certificate = fields
        .required(
            "certificate",
            "name the PEM file with the certificate chain, or list several in `certificates`",
        )
        .and_then(|n| path(context, n, &format!("the certificate of {what}")));
    let key = fields
        .required("key", "name the PEM file with the private key")
        .and_then(|n| path(context, n, &format!("the key of {what}")));
    Some(CertificateFiles { certificate: certificate?, key: key? })
}

/// `[certs/acme.pem, { certificate: certs/shop.pem, key: certs/shop.key }]`
fn several(context: Context<'_>, list: &Node, what: &str) -> Option<Vec<CertificateFiles>> {
    let elements = reader::list(context, list, &format!("`certificates` of {what}"));
    if elements.is_empty() || elements.len() > MOST {
        if matches!(list.value, Value::List(_)) {
            let problem = format!("`certificates` of {what} lists {} certificates", elements.len());
            context.faults.report(list.place, problem, format!("list 1 to {MOST}"));
        }
        return None;
    }
    let mut certificates: Vec<CertificateFiles> = Vec::new();
    let mut is_valid = true;
    for element in elements {
        let Some(files) = one(context, element, what) else {
            is_valid = false;
            continue;
        };
        if certificates.iter().any(|known| known.certificate == files.certificate) {
            let problem = format!("`certificates` of {what} lists {} twice", files.certificate.display());
            context.faults.report(element.place, problem, "list it once");
            is_valid = false;
        }
        certificates.push(files);
    }
    is_valid.then_some(certificates)
}

fn one(context: Context<'_>, element: &Node, what: &str) -> Option<CertificateFiles> {
    if matches!(element.value, Value::Map(_)) {
        let what = format!("a certificate of {what}");
        let mut fields = Fields::of(context, element, &*what);
        let files = pair(context, &mut fields, &what);
        fields.finish();
        return files;
    }
    let file = path(context, element, &format!("a certificate of {what}"))?;
    Some(CertificateFiles { certificate: file.clone(), key: file })
}
