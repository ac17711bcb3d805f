//! The keys of an issuer of access tokens: their source, and the algorithms for which they may be used.

use crate::edge::{KeyAlgorithm, KeySource, Reach};
use crate::fault::Place;
use crate::node::Node;
use crate::reader::{self, Context, Fields, choice, path};

fn algorithm_choices() -> [(&'static str, KeyAlgorithm); 9] {
    KeyAlgorithm::ALL.map(|algorithm| (algorithm.as_str(), algorithm))
}

pub(super) fn algorithms(
    context: Context<'_>,
    node: &Node,
    keys: Option<&KeySource>,
) -> Option<Vec<KeyAlgorithm>> {
    let elements = reader::list(context, node, "`algorithms`");
    if elements.is_empty() {
        context.faults.report(
            node.place,
            "`algorithms` lists nothing",
            "name at least one, such as ES256, or leave it out",
        );
        return None;
    }
    let listed: Option<Vec<_>> =
        elements.iter().map(|n| choice(context, n, "an algorithm", &algorithm_choices())).collect();
    let listed = listed?;
    if let Some(KeySource::Pem { algorithm, .. }) = keys
        && !listed.contains(algorithm)
    {
        let problem = format!("`algorithms` does not list {}, the algorithm of the key", algorithm.as_str());
        context.faults.report(node.place, problem, "list it, or leave `algorithms` out");
    }
    Some(listed)
}

pub(super) fn key_source(context: Context<'_>, node: &Node) -> Option<KeySource> {
    let mut fields = Fields::of(context, node, "`keys`");
    let file = fields.optional("file");
    let url = fields.optional("url");
    let pem = fields.optional("pem");
    let metadata = fields.optional("discovery");
    let place = fields.place;
    if let (None, None, None, Some(metadata)) = (file, url, pem, metadata) {
        fields.finish();
        return address(context, metadata, "`discovery`").map(|address| KeySource::Discovery(vec![address]));
    }
    let source = match (file, url, pem) {
        (Some(file), None, None) => path(context, file, "`file`").map(KeySource::File),
        (None, Some(url), None) => key_url(context, url),
        (None, None, Some(pem)) => {
            let path = path(context, pem, "`pem`");
            let kid = fields
                .required("kid", "a PEM file has no `kid`: write the one in the issuer's tokens")
                .and_then(|n| reader::text(context, n, "`kid`").map(str::to_owned));
            let algorithm = fields
                .required(
                    "algorithm",
                    "a PEM file has no algorithm: write the key's algorithm, such as ES256",
                )
                .and_then(|n| choice(context, n, "`algorithm`", &algorithm_choices()));
            match (path, kid, algorithm) {
                (Some(path), Some(kid), Some(algorithm)) => Some(KeySource::Pem { path, kid, algorithm }),
                (None, _, _) | (_, None, _) | (_, _, None) => None,
            }
        }
        (None, None, None) | (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
            context.faults.report(
                place,
                "`keys` needs either a `file` or a `url` (or a `pem`, or `discovery`)",
                "give exactly one of them",
            );
            None
        }
    };
    fields.finish();
    source
}

fn key_url(context: Context<'_>, url: &Node) -> Option<KeySource> {
    address(context, url, "`url`").map(KeySource::Url)
}

/// An address that keys may come from: encrypted, or on this machine.
pub(super) fn address(context: Context<'_>, url: &Node, what: &str) -> Option<String> {
    let mend = "write an https:// address, such as https://issuer.example.com/jwks.json";
    let text: String = reader::parsed(context, url, what, mend)?;
    match origin(&text) {
        Some((true, _)) => return Some(text),
        Some((false, host)) if Reach::of_host(&host) == Reach::Machine => return Some(text),
        Some((false, _)) => context.faults.report(
            url.place,
            format!(
                "{what} is {text:?}: a machine on the way could replace an answer that comes without encryption"
            ),
            "write https://; http:// is allowed for this machine alone (127.0.0.1, localhost)",
        ),
        None => context.faults.report(url.place, format!("{what} is {text:?}"), mend),
    }
    None
}

/// The keys of an issuer that is named by its address alone.
pub(super) fn discovery(context: Context<'_>, place: Place, issuer: &str) -> Option<KeySource> {
    let reachable = match origin(issuer) {
        Some((encrypted, host)) => encrypted || Reach::of_host(&host) == Reach::Machine,
        None => false,
    };
    if let (true, Some(addresses)) = (reachable, metadata_addresses(issuer)) {
        return Some(KeySource::Discovery(addresses));
    }
    context.faults.report(
        place,
        format!("the issuer {issuer:?} has no `keys`, and its name is not an address that publishes metadata"),
        "give the source of the public keys: `keys: { file: … }`, `keys: { url: … }` or `keys: { discovery: … }`",
    );
    None
}

/// Where an issuer publishes its metadata: behind its path (OpenID Connect Discovery 1.0, section 4), or before it (RFC
/// 8414 §3.1). `None` for a name with a query or a fragment, which no issuer may have.
fn metadata_addresses(issuer: &str) -> Option<Vec<String>> {
    let bare = issuer.strip_suffix('/').unwrap_or(issuer);
    if bare.contains(['?', '#']) {
        return None;
    }
    let (scheme, rest) = bare.split_once("://")?;
    let (host, path) = match rest.split_once('/') {
        Some((host, path)) => (host, format!("/{path}")),
        None => (rest, String::new()),
    };
    Some(vec![
        format!("{bare}/.well-known/openid-configuration"),
        format!("{scheme}://{host}/.well-known/oauth-authorization-server{path}"),
    ])
}

/// Whether an address is encrypted, and its host in lower case, without port and brackets. `None` for an address without
/// a host, or with a user before the host.
fn origin(url: &str) -> Option<(bool, String)> {
    let (encrypted, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (true, rest),
        (None, Some(rest)) => (false, rest),
        (None, None) => return None,
    };
    let authority = rest.split(['/', '?', '#']).next()?;
    if authority.contains(['@', '\\', ' ']) || !url.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next()?,
        None => authority.split(':').next()?,
    };
    (!host.is_empty()).then(|| (encrypted, host.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_behind_the_path_or_before_it() {
        for (issuer, open_id, oauth) in [
            (
                "https://login.acme.test/realms/acme",
                "https://login.acme.test/realms/acme/.well-known/openid-configuration",
                "https://login.acme.test/.well-known/oauth-authorization-server/realms/acme",
            ),
            (
                "https://acme.eu.auth0.test/",
                "https://acme.eu.auth0.test/.well-known/openid-configuration",
                "https://acme.eu.auth0.test/.well-known/oauth-authorization-server",
            ),
        ] {
            assert_eq!(metadata_addresses(issuer).unwrap(), [open_id, oauth]);
        }
        assert_eq!(metadata_addresses("https://a.test/?x"), None);
    }
}
