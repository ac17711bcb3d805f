//! What the file may say about issuers of access tokens.

mod claims;
mod introspection;
mod keys;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use self::claims::{Unmapped, claim_path, claims};
use self::introspection::{check_apart, introspection};
use self::keys::{algorithms, discovery, key_source};
use crate::edge::{ABSENT_TYPE, Issuer, OpaqueIssuer, TokenTypes};
use crate::node::{Node, Value};
use crate::reader::{self, Context, Fields};

/// The clock difference that most verifiers allow, as does the legacy backend (`contracts/legacy/sessions.py`).
pub(super) const LEEWAY: Duration = Duration::from_secs(60);
/// More issuers than this is surely a mistake.
const MAX_ISSUERS: usize = 16;
/// 200 group ids, or 9 KB of roles, and the signature. A quarter of what Envoy reads as the headers of one request.
const TOKEN_BYTES: usize = 16_384;
/// Leaves 12 KiB of Envoy's 60 KiB of headers (`envoy/templates/connection-manager.yaml`) for everything else.
const MAX_TOKEN_BYTES: u64 = 49_152;
/// No token of a platform with fewer bytes than this exists: header and signature alone have about 200.
const LEAST_TOKEN_BYTES: u64 = 1_024;

/// One issuer of either kind.
enum Found {
    Signed(Issuer),
    Opaque(OpaqueIssuer),
}

impl Found {
    fn name(&self) -> &str {
        match self {
            Self::Signed(issuer) => &issuer.issuer,
            Self::Opaque(issuer) => &issuer.issuer,
        }
    }
}

/// The issuers of `sessions`, of signed and of opaque tokens: a list under `issuers`, or the one in `sessions` itself, at
/// `node`.
pub(crate) fn issuers(
    context: Context<'_>,
    node: &Node,
    fields: &mut Fields<'_>,
    patience: Option<Duration>,
) -> Option<(Vec<Issuer>, Vec<OpaqueIssuer>)> {
    const FLAT: [&str; 12] = [
        "issuer",
        "audience",
        "audience_claim",
        "claims",
        "required",
        "introspection",
        "token_type",
        "token_types",
        "keys",
        "algorithms",
        "leeway_seconds",
        "max_token_bytes",
    ];
    let Some(list) = fields.optional("issuers") else {
        let one = one_issuer(context, fields, patience)?;
        return Some(sorted(context, vec![(node, one)]));
    };
    for name in FLAT {
        if let Some(node) = fields.optional(name) {
            let problem = format!("`sessions` has `issuers` and also `{name}` for a single one");
            context.faults.report(node.place, problem, "move it into the list, or leave the list out");
        }
    }
    let elements = reader::list(context, list, "`issuers`");
    if elements.is_empty() || elements.len() > MAX_ISSUERS {
        let problem = format!("`issuers` lists {} issuers", elements.len());
        context.faults.report(list.place, problem, format!("list 1 to {MAX_ISSUERS}"));
        return None;
    }
    let mut names = BTreeSet::new();
    let mut found = Vec::with_capacity(elements.len());
    let mut sound = true;
    for element in elements {
        let mut fields = Fields::of(context, element, "an issuer");
        let issuer = one_issuer(context, &mut fields, patience);
        fields.finish();
        sound &= issuer.is_some();
        let Some(issuer) = issuer else { continue };
        if !names.insert(issuer.name().to_owned()) {
            let problem = format!("two issuers are named {:?}", issuer.name());
            context.faults.report(
                element.place,
                problem,
                "a token is verified by the one issuer that it belongs to: merge the two, or give an issuer of opaque \
                 tokens a name of its own",
            );
        }
        found.push((element, issuer));
    }
    let sorted = sorted(context, found);
    sound.then_some(sorted)
}

/// The issuers by kind, each in the order of the file.
fn sorted(context: Context<'_>, found: Vec<(&Node, Found)>) -> (Vec<Issuer>, Vec<OpaqueIssuer>) {
    let (mut signed, mut opaque) = (Vec::new(), Vec::new());
    for (node, issuer) in found {
        match issuer {
            Found::Signed(issuer) => signed.push(issuer),
            Found::Opaque(issuer) => opaque.push((node, issuer)),
        }
    }
    let placed: Vec<(&Node, &OpaqueIssuer)> = opaque.iter().map(|(node, issuer)| (*node, issuer)).collect();
    check_apart(context, &placed, !signed.is_empty());
    (signed, opaque.into_iter().map(|(_, issuer)| issuer).collect())
}

fn one_issuer(context: Context<'_>, fields: &mut Fields<'_>, patience: Option<Duration>) -> Option<Found> {
    let issuer = fields
        .required("issuer", "give the `iss` that a token must have")
        .and_then(|n| reader::text(context, n, "the issuer").map(str::to_owned));
    let audiences = fields
        .required(
            "audience",
            "give the `aud` that a token must have: without it, a token for another product would pass",
        )
        .and_then(|n| audiences(context, n));
    let audience = match fields.optional("audience_claim") {
        None => "aud".parse().ok(),
        Some(n) => claim_path(context, n, "`audience_claim`"),
    };
    let mapping = fields.optional("claims");
    let required = fields.optional("required");
    let endpoint = fields.optional("introspection");
    let unmapped = if endpoint.is_some() { Unmapped::Standard } else { Unmapped::Own };
    let claims = audience.and_then(|audience| claims(context, mapping, required, audience, unmapped));
    let leeway = fields.optional("leeway_seconds").map_or(Some(LEEWAY), |n| leeway(context, n));
    let max_token_bytes = fields.optional("max_token_bytes").map_or(Some(TOKEN_BYTES), |n| {
        let most = reader::number(context, n, "`max_token_bytes`", LEAST_TOKEN_BYTES, MAX_TOKEN_BYTES);
        most.and_then(|most| usize::try_from(most).ok())
    });
    if let Some(node) = endpoint {
        for name in ["token_type", "token_types", "keys", "algorithms"] {
            if let Some(node) = fields.optional(name) {
                let problem = format!("an issuer has `introspection` and also `{name}`");
                let mend =
                    "remove one of them: the endpoint describes opaque tokens, which have no signature";
                context.faults.report(node.place, problem, mend);
            }
        }
        let (endpoint, prefix) = introspection(context, node, patience)?;
        return Some(Found::Opaque(OpaqueIssuer {
            issuer: issuer?,
            audiences: audiences?,
            prefix,
            endpoint,
            leeway: leeway?,
            max_token_bytes: max_token_bytes?,
            claims: Arc::new(claims?),
        }));
    }
    let token_types = token_types(context, fields, mapping.is_some());
    let keys = match fields.optional("keys") {
        Some(n) => key_source(context, n),
        None => issuer.as_deref().and_then(|issuer| discovery(context, fields.place, issuer)),
    };
    let algorithms =
        fields.optional("algorithms").map_or(Some(Vec::new()), |n| algorithms(context, n, keys.as_ref()));
    Some(Found::Signed(Issuer {
        issuer: issuer?,
        audiences: audiences?,
        token_types: token_types?,
        keys: keys?,
        algorithms: algorithms?,
        leeway: leeway?,
        max_token_bytes: max_token_bytes?,
        claims: Arc::new(claims?),
    }))
}

pub(super) fn leeway(context: Context<'_>, node: &Node) -> Option<Duration> {
    reader::number(context, node, "`leeway_seconds`", 0, 300).map(Duration::from_secs)
}

/// `token_type: at+jwt`, or `token_types: [at+jwt, JWT, absent]`. Providers whose claims are mapped write one of these three.
fn token_types(context: Context<'_>, fields: &mut Fields<'_>, is_mapped: bool) -> Option<TokenTypes> {
    let (one, several) = (fields.optional("token_type"), fields.optional("token_types"));
    let node = match (one, several) {
        (None, None) if is_mapped => return Some(TokenTypes::usual()),
        (None, None) => return Some(TokenTypes::access_token()),
        (Some(one), None) => {
            let listed = vec![token_type(context, one, "`token_type`")?];
            return Some(TokenTypes { listed, absent: false });
        }
        (Some(one), Some(_)) => {
            let problem = "an issuer has `token_type` and also `token_types`";
            context.faults.report(one.place, problem, "keep `token_types`");
            return None;
        }
        (None, Some(several)) => several,
    };
    let elements = reader::list(context, node, "`token_types`");
    if elements.is_empty() {
        context.faults.report(
            node.place,
            "`token_types` lists nothing",
            "name at least one, such as at+jwt; `absent` stands for a token without `typ`",
        );
        return None;
    }
    let listed: Vec<String> =
        elements.iter().map(|n| token_type(context, n, "a token type")).collect::<Option<_>>()?;
    let absent = listed.iter().any(|typ| typ == ABSENT_TYPE);
    Some(TokenTypes { listed: listed.into_iter().filter(|typ| typ != ABSENT_TYPE).collect(), absent })
}

fn token_type(context: Context<'_>, node: &Node, what: &str) -> Option<String> {
    let text = reader::text(context, node, what)?;
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()) {
        return Some(text.to_owned());
    }
    let problem = format!("{what} is {text:?}, which is not a valid media type");
    context.faults.report(
        node.place,
        problem,
        "write the `typ` of the issuer's tokens, such as at+jwt or JWT",
    );
    None
}

/// One audience, or a list of them.
fn audiences(context: Context<'_>, node: &Node) -> Option<Vec<String>> {
    if !matches!(node.value, Value::List(_)) {
        return reader::text(context, node, "the audience").map(|audience| vec![audience.to_owned()]);
    }
    let elements = reader::list(context, node, "the audience");
    if elements.is_empty() {
        context.faults.report(node.place, "the audience is an empty list", "name at least one");
        return None;
    }
    elements.iter().map(|n| reader::text(context, n, "an audience").map(str::to_owned)).collect()
}
