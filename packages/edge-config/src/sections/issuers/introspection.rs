//! The issuers of opaque tokens, and the endpoints that describe them (RFC 7662).

use std::path::PathBuf;
use std::time::Duration;

use super::keys::address;
use crate::edge::{ClientCertificate, Introspection, IntrospectionClient, OpaqueIssuer};
use crate::node::Node;
use crate::reader::{self, Context, Fields, choice, path};
use crate::sections::backends::client_certificate as certificate;
use crate::sections::timeouts::timeout;

/// Leaves room within the 200 ms that Envoy waits for the authorizer.
const TIMEOUT: Duration = Duration::from_millis(150);
/// The requests of a page load need one query; a token that is revoked at the issuer is refused this much later.
const CACHE: Duration = Duration::from_secs(5);
/// RFC 7662 §4 weighs liveness against load; a token that is revoked should not live on for longer than a minute.
const MAX_CACHE_MS: u64 = 60_000;
/// The beginnings that products give to their tokens (`ory_at_`, `gho_`) have 4 to 12 characters.
const MAX_PREFIX_BYTES: usize = 32;
/// An id, a hint: one word.
const MAX_WORD_BYTES: usize = 255;

/// How clients send their secret.
#[derive(Clone, Copy)]
enum Sent {
    Basic,
    Post,
}

/// `introspection` of an issuer, and the beginning of its tokens.
pub(super) fn introspection(
    context: Context<'_>,
    node: &Node,
    patience: Option<Duration>,
) -> Option<(Introspection, Option<String>)> {
    let mut fields = Fields::of(context, node, "`introspection`");
    let url = fields
        .required("url", "write the address of the issuer's introspection endpoint (RFC 7662)")
        .and_then(|n| address(context, n, "`url` of `introspection`"));
    let tls_node = fields.optional("tls");
    let tls = tls_node.map_or(Some((None, None)), |n| tls(context, n));
    let presents = tls.as_ref().is_none_or(|(_, certificate)| certificate.is_some());
    let client = client(context, &mut fields, tls_node.is_some() && presents);
    if let (Some(node), Some(url)) = (tls_node, &url)
        && !url.starts_with("https://")
    {
        let problem = format!("`introspection` has `tls`, and its `url` {url} is in the clear");
        context.faults.report(node.place, problem, "write an `https://` address, or remove `tls`");
    }
    let token_type_hint = match fields.optional("token_type_hint") {
        None => Some(None),
        Some(n) => word(context, n, "`token_type_hint`", "write the word, such as access_token").map(Some),
    };
    let prefix = match fields.optional("prefix") {
        None => Some(None),
        Some(n) => prefix(context, n).map(Some),
    };
    let cache = fields
        .optional("cache_ms")
        .map_or(Some(CACHE), |n| reader::millis(context, n, "`cache_ms`", 0, MAX_CACHE_MS));
    let timeout = timeout(context, &mut fields, TIMEOUT, patience);
    fields.finish();
    let (ca, certificate) = tls?;
    let endpoint = Introspection {
        url: url?,
        client: client?,
        ca,
        certificate,
        token_type_hint: token_type_hint?,
        cache: cache?,
        timeout: timeout?,
    };
    Some((endpoint, prefix?))
}

/// `tls: { ca: login-ca.pem, client: { certificate: edge.pem, key: edge.key } }`
fn tls(context: Context<'_>, node: &Node) -> Option<(Option<PathBuf>, Option<ClientCertificate>)> {
    let what = "`tls` of `introspection`";
    let mut fields = Fields::of(context, node, what);
    let ca =
        fields.optional("ca").map_or(Some(None), |n| path(context, n, &format!("`ca` of {what}")).map(Some));
    let client = fields.optional("client").map_or(Some(None), |n| certificate(context, n, what).map(Some));
    fields.finish();
    Some((ca?, client?))
}

/// `client_id` and `secret_file`, and how they are sent; without `client_id` the secret is a bearer token, and without
/// `secret_file` the edge's certificate proves the id, where it `presents` one.
fn client(context: Context<'_>, fields: &mut Fields<'_>, presents: bool) -> Option<IntrospectionClient> {
    let id = fields.optional("client_id");
    let mend = "name the file with the edge's secret at the issuer, with mode 0600, or a client certificate (`tls: { client: \
                … }`): an endpoint that describes tokens to every client would let strangers try tokens";
    let secret_node =
        if presents { fields.optional("secret_file") } else { fields.required("secret_file", mend) };
    let sent = fields.optional("send_secret");
    if presents && secret_node.is_none() {
        return by_certificate(context, fields, id, sent);
    }
    let secret = secret_node.and_then(|n| path(context, n, "`secret_file`"));
    let Some(id) = id else {
        if let Some(sent) = sent {
            let problem = "`introspection` has `send_secret` and no `client_id`";
            let mend = "add `client_id`; without it the secret is sent as a bearer token";
            context.faults.report(sent.place, problem, mend);
            return None;
        }
        return Some(IntrospectionClient::Bearer { secret: secret? });
    };
    let client_id = word(context, id, "`client_id`", "write the edge's id at the issuer");
    let sent = sent.map_or(Some(Sent::Basic), |n| {
        choice(context, n, "`send_secret`", &[("basic", Sent::Basic), ("post", Sent::Post)])
    });
    let (client_id, secret) = (client_id?, secret?);
    Some(match sent? {
        Sent::Basic => IntrospectionClient::Basic { client_id, secret },
        Sent::Post => IntrospectionClient::Post { client_id, secret },
    })
}

/// The id alone: the certificate proves it, and the endpoint finds the client by its id (RFC 8705 §2).
fn by_certificate(
    context: Context<'_>,
    fields: &mut Fields<'_>,
    id: Option<&Node>,
    sent: Option<&Node>,
) -> Option<IntrospectionClient> {
    if let Some(sent) = sent {
        let problem = "`introspection` has `send_secret` and no `secret_file`";
        context.faults.report(sent.place, problem, "remove it: the certificate proves the id");
        return None;
    }
    let Some(id) = id else {
        fields.required(
            "client_id",
            "write the edge's id at the issuer: the certificate proves it (RFC 8705 §2)",
        );
        return None;
    };
    let client_id = word(context, id, "`client_id`", "write the edge's id at the issuer")?;
    Some(IntrospectionClient::Certificate { client_id })
}

/// A text of visible ASCII (RFC 6749, appendix A.1).
fn word(context: Context<'_>, node: &Node, what: &str, mend: &str) -> Option<String> {
    let text: String = reader::parsed(context, node, what, mend)?;
    if (1..=MAX_WORD_BYTES).contains(&text.len()) && text.bytes().all(|b| matches!(b, 0x20..=0x7e)) {
        return Some(text);
    }
    context.faults.report(node.place, format!("{what} is {text:?}"), mend);
    None
}

fn prefix(context: Context<'_>, node: &Node) -> Option<String> {
    let text = reader::text(context, node, "`prefix`")?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._~+/".contains(&b);
    if (1..=MAX_PREFIX_BYTES).contains(&text.len()) && text.bytes().all(fits) {
        return Some(text.to_owned());
    }
    context.faults.report(
        node.place,
        format!("`prefix` is {text:?}"),
        format!(
            "write the characters with which the issuer's tokens begin, 1 to {MAX_PREFIX_BYTES} of those that a bearer \
             token may have (RFC 6750 §2.1), such as `ory_at_`"
        ),
    );
    None
}

/// Reports issuers whose tokens cannot be distinguished.
pub(super) fn check_apart(context: Context<'_>, opaque: &[(&Node, &OpaqueIssuer)], has_jwt: bool) {
    let mut unnamed: Option<&OpaqueIssuer> = None;
    for (position, (node, one)) in opaque.iter().enumerate() {
        let report = |problem: String, mend: &str| context.faults.report(node.place, problem, mend);
        let Some(prefix) = &one.prefix else {
            match unnamed {
                None => unnamed = Some(one),
                Some(other) => report(
                    format!(
                        "the opaque tokens of {:?} and {:?} cannot be distinguished",
                        other.issuer, one.issuer
                    ),
                    "give `prefix` to all of them but one: the characters with which the tokens of that issuer begin",
                ),
            }
            continue;
        };
        if has_jwt && ("eyJ".starts_with(prefix.as_str()) || prefix.starts_with("eyJ")) {
            report(
                format!(
                    "`prefix` of {:?} is {prefix:?}, with which the tokens of other issuers begin",
                    one.issuer
                ),
                "a signed token begins with `eyJ`: write what only the tokens of this issuer begin with, or leave \
                 `prefix` out",
            );
        }
        let clash = opaque.iter().take(position).find_map(|(_, other)| {
            let theirs = other.prefix.as_ref()?;
            (theirs.starts_with(prefix.as_str()) || prefix.starts_with(theirs.as_str()))
                .then_some((other, theirs))
        });
        if let Some((other, theirs)) = clash {
            report(
                format!(
                    "the prefixes {theirs:?} of {:?} and {prefix:?} of {:?} can begin one token",
                    other.issuer, one.issuer
                ),
                "write prefixes of which none begins with another",
            );
        }
    }
}
