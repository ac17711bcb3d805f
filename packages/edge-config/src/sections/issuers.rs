//! What the file may say about issuers of access tokens.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crate::edge::{
    ABSENT_TYPE, ClaimPath, ClaimRules, Issuer, KeyAlgorithm, KeySource, MappedClaim, Reach, TenantRule,
    TokenTypes,
};
use crate::fault::Place;
use crate::node::{Node, Value};
use crate::reader::{self, Context, Fields};
use crate::reader::{choice, path};

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

/// The issuers of `sessions`: a list under `issuers`, or the one in `sessions` itself.
pub(crate) fn issuers(context: Context<'_>, fields: &mut Fields<'_>) -> Option<Vec<Issuer>> {
    const FLAT: [&str; 11] = [
        "issuer",
        "audience",
        "audience_claim",
        "claims",
        "required",
        "token_type",
        "token_types",
        "keys",
        "algorithms",
        "leeway_seconds",
        "max_token_bytes",
    ];
    let Some(list) = fields.optional("issuers") else {
        return one_issuer(context, fields).map(|issuer| vec![issuer]);
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
    let mut issuers = Vec::with_capacity(elements.len());
    let mut sound = true;
    for element in elements {
        let mut fields = Fields::of(context, element, "an issuer");
        let issuer = one_issuer(context, &mut fields);
        fields.finish();
        sound &= issuer.is_some();
        let Some(issuer) = issuer else { continue };
        if !names.insert(issuer.issuer.clone()) {
            let problem = format!("two issuers are named {:?}", issuer.issuer);
            context.faults.report(
                element.place,
                problem,
                "a token is verified with the keys of the one issuer that it names: merge the two",
            );
        }
        issuers.push(issuer);
    }
    sound.then_some(issuers)
}

fn one_issuer(context: Context<'_>, fields: &mut Fields<'_>) -> Option<Issuer> {
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
    let claims = audience.and_then(|audience| claims(context, mapping, required, audience));
    let token_types = token_types(context, fields, mapping.is_some());
    let keys = match fields.optional("keys") {
        Some(n) => key_source(context, n),
        None => issuer.as_deref().and_then(|issuer| discovery(context, fields.place, issuer)),
    };
    let algorithms =
        fields.optional("algorithms").map_or(Some(Vec::new()), |n| algorithms(context, n, keys.as_ref()));
    let leeway = fields.optional("leeway_seconds").map_or(Some(LEEWAY), |n| leeway(context, n));
    let max_token_bytes = fields.optional("max_token_bytes").map_or(Some(TOKEN_BYTES), |n| {
        let most = reader::number(context, n, "`max_token_bytes`", LEAST_TOKEN_BYTES, MAX_TOKEN_BYTES);
        most.and_then(|most| usize::try_from(most).ok())
    });
    Some(Issuer {
        issuer: issuer?,
        audiences: audiences?,
        token_types: token_types?,
        keys: keys?,
        algorithms: algorithms?,
        leeway: leeway?,
        max_token_bytes: max_token_bytes?,
        claims: Arc::new(claims?),
    })
}

pub(super) fn leeway(context: Context<'_>, node: &Node) -> Option<Duration> {
    reader::number(context, node, "`leeway_seconds`", 0, 300).map(Duration::from_secs)
}

/// Which claim says what. Without `claims` the tokens are those of the platform's own auth service.
fn claims(
    context: Context<'_>,
    mapping: Option<&Node>,
    required: Option<&Node>,
    audience: ClaimPath,
) -> Option<ClaimRules> {
    let Some(node) = mapping else {
        if let Some(required) = required {
            let problem = "an issuer has `required` without `claims`";
            context.faults.report(
                required.place,
                problem,
                "name the claims first: `claims: { tenant: org_id }`",
            );
            return None;
        }
        return Some(ClaimRules::own(audience));
    };
    let mut fields = Fields::of(context, node, "`claims`");
    let mut path = |name: &'static str, usual: Option<&str>| match fields.optional(name) {
        None => Some(usual.and_then(|usual| usual.parse().ok())),
        Some(n) => claim_path(context, n, &format!("`{name}` of `claims`")).map(Some),
    };
    let (subject, session, role) = (path("subject", Some("sub")), path("session", None), path("role", None));
    let scopes = path("scopes", Some("scope"));
    let tenant = fields
        .required(
            "tenant",
            "name the claim with the tenant, or one tenant for all: `tenant: { constant: … }`",
        )
        .and_then(|n| tenant(context, n));
    fields.finish();
    let rules = ClaimRules {
        audience,
        subject: subject??,
        tenant: tenant?,
        session: session?,
        role: role?,
        scopes: scopes?,
        required: BTreeSet::new(),
    };
    let required = match required {
        None => BTreeSet::new(),
        Some(node) => required_claims(context, node, &rules)?,
    };
    Some(ClaimRules { required, ..rules })
}

/// `tenant: org_id`, or `tenant: { constant: … }`.
fn tenant(context: Context<'_>, node: &Node) -> Option<TenantRule> {
    if matches!(node.value, Value::Text(_)) {
        return claim_path(context, node, "`tenant` of `claims`").map(TenantRule::Claim);
    }
    let mut fields = Fields::of(context, node, "`tenant` of `claims`");
    let constant = fields
        .required("constant", "write the tenant's UUID, or the name of a claim")
        .and_then(|n| reader::parsed(context, n, "`constant`", "write the tenant's UUID"));
    fields.finish();
    constant.map(TenantRule::Constant)
}

fn required_claims(context: Context<'_>, node: &Node, rules: &ClaimRules) -> Option<BTreeSet<MappedClaim>> {
    let choices = MappedClaim::ALL.map(|claim| (claim.as_str(), claim));
    let elements = reader::list(context, node, "`required`");
    let mut required = BTreeSet::new();
    for element in elements {
        let claim = choice(context, element, "`required`", &choices)?;
        let is_mapped = match claim {
            MappedClaim::Subject | MappedClaim::Tenant => true,
            MappedClaim::Session => rules.session.is_some(),
            MappedClaim::Role => rules.role.is_some(),
            MappedClaim::Scopes => rules.scopes.is_some(),
        };
        if !is_mapped {
            let name = claim.as_str();
            let problem = format!("`required` lists `{name}`, and `claims` does not name its claim");
            context.faults.report(element.place, problem, format!("write `{name}: …` into `claims`"));
            return None;
        }
        required.insert(claim);
    }
    Some(required)
}

/// The claim that `node` names.
fn claim_path(context: Context<'_>, node: &Node, what: &str) -> Option<ClaimPath> {
    let text = reader::text(context, node, what)?;
    match text.parse() {
        Ok(path) => Some(path),
        Err(error) => {
            let problem = format!("{what} is {text:?}, which is not a valid claim path");
            context.faults.report(node.place, problem, format!("{error}"));
            None
        }
    }
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

fn algorithm_choices() -> [(&'static str, KeyAlgorithm); 9] {
    KeyAlgorithm::ALL.map(|algorithm| (algorithm.as_str(), algorithm))
}

fn algorithms(context: Context<'_>, node: &Node, keys: Option<&KeySource>) -> Option<Vec<KeyAlgorithm>> {
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

fn key_source(context: Context<'_>, node: &Node) -> Option<KeySource> {
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
fn address(context: Context<'_>, url: &Node, what: &str) -> Option<String> {
    let mend = "write an https:// address, such as https://issuer.example.com/jwks.json";
    let text: String = reader::parsed(context, url, what, mend)?;
    match origin(&text) {
        Some((true, _)) => return Some(text),
        Some((false, host)) if Reach::of_host(&host) == Reach::Machine => return Some(text),
        Some((false, _)) => context.faults.report(
            url.place,
            format!(
                "{what} is {text:?}: a machine on the way could replace keys that come without encryption"
            ),
            "write https://; http:// is allowed for this machine alone (127.0.0.1, localhost)",
        ),
        None => context.faults.report(url.place, format!("{what} is {text:?}"), mend),
    }
    None
}

/// The keys of an issuer that is named by its address alone.
fn discovery(context: Context<'_>, place: Place, issuer: &str) -> Option<KeySource> {
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
