//! Traces a request without sending it: guard, route, authorizer, answer.

mod missing;
mod shown;

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use authz_service::check::CheckInput;
use authz_service::credential::opaque::{self, Queries};
use authz_service::decision::Decision;
use authz_service::limit::quotas::{self, Payer};
use authz_service::observe::record::Record;
use authz_service::observe::stage::{Stage, Step};
use authz_service::startup::{self, needs::Needs};
use authz_service::verdict::Verdict;
use authz_service::who::{Caller, Who};
use clock::{Clock, SystemClock};
use edge_config::edge::{Exposure, Policy, Quota, Route};
use edge_config::{Edge, Environment, Match, route_of};
use header_rules::{GuardVerdict, Rules};
use identity::headers;
use serde_json::{Map, Value};

use super::goes::destination;
use super::request::{Request, listener, others};
use super::{Arguments, Failed, before, pages, unknown};
use crate::render;
use missing::missing;
use shown::{answer, check, passed, policy, redirected};

/// Small, because one request needs one entry of each cache.
const CACHE: usize = 16;

pub(super) fn explain(
    arguments: &Arguments,
    file: &Path,
    request: &str,
    environment: Environment<'_>,
) -> Result<Value, Failed> {
    let home = arguments.home.home.display().to_string();
    let overlaid = |name: &str| if name == "CUTOVER_HOME" { Some(home.clone()) } else { environment(name) };
    let edge = render::load(file, &overlaid).map_err(Failed::Invalid)?;
    let mut request = Request::read(request, arguments, edge.sessions.as_ref())?;
    let (authority, method, path) =
        (request.authority.clone(), request.method.clone(), request.path().to_owned());
    let name = listener(&edge, arguments.listener.as_deref(), &request).map_err(Failed::Usage)?;
    let listener = edge.listeners.get(name).ok_or_else(|| Failed::Other(format!("no listener {name}")))?;
    let rules = Rules::compile(&render::guard_config(&edge, name, listener))
        .map_err(|error| Failed::Invalid(error.to_string()))?;

    let mut report = Map::new();
    report.insert(
        "request".to_owned(),
        format!("{} {}{}", request.method, request.authority, request.path()).into(),
    );
    report.insert("edge".to_owned(), format!("{} at revision {}", edge.name, edge.revision).into());
    report.insert("listener".to_owned(), format!("{name} ({})", listener.exposure.as_str()).into());
    let also = others(&edge, name, &request);
    if !also.is_empty() {
        report.insert("also_on".to_owned(), also.into());
    }
    report.insert("path".to_owned(), request.path().into());
    let readings = match header_rules::forms::forms(request.path().as_bytes()) {
        Ok(forms) => forms.iter().map(|form| String::from_utf8_lossy(form).into_owned()).collect::<Vec<_>>(),
        Err(fault) => vec![fault.to_string()],
    };
    // No step of a reading makes the path longer, so the shortest reading has gone through all steps.
    let canonical = readings.iter().rev().min_by_key(|reading| reading.len()).cloned().unwrap_or_default();
    report.insert("canonical".to_owned(), canonical.into());
    report.insert("readings".to_owned(), readings.into());

    let dropped = before::dropped(&mut request, listener);
    if !dropped.is_empty() {
        report.insert("dropped".to_owned(), dropped.into());
    }
    let words = before::words(&edge, name, &request);
    let mut early =
        before::unreadable(&request, listener).map(|refused| (refused, edge.answers_by_default()));
    if early.is_none() && route_of(&edge, name, &authority, &method, &path) == Match::Redirect {
        report.insert("guard".to_owned(), "not reached".into());
        report.insert("answer".to_owned(), redirected(&edge, name, listener, &request));
        return Ok(Value::Object(report));
    }
    if early.is_none() {
        let matched = route_of(&edge, name, &authority, &method, &path);
        early = before::upgrade(&mut request, &matched).map(|refused| (refused, words.clone()));
    }
    if let Some((refused, words)) = early {
        let body = words.body_of(refused.status);
        report.insert("guard".to_owned(), "not reached".into());
        report.insert("rule".to_owned(), refused.rule.into());
        report.insert("answer".to_owned(), answer(refused.status, &body, "Envoy", &refused.why));
        return Ok(Value::Object(report));
    }
    let buffer = request.serialised();
    // Without an address, the peer is in no list of proxies either.
    let peer = arguments.client.map_or_else(|| "0.0.0.0".to_owned(), |client| client.to_string());
    let edits = match rules.judge_from(&buffer, Some(peer.as_bytes())) {
        GuardVerdict::Forward(edits) => edits,
        GuardVerdict::Answer(preflight) => {
            report.insert("guard".to_owned(), "preflight".into());
            report.insert("answer".to_owned(), pages::preflight(&preflight));
            return Ok(Value::Object(report));
        }
        GuardVerdict::Refuse(refusal) => {
            let reason = refusal.reason;
            pages::report(&edge, name, &request, refusal.reader.as_ref(), &mut report);
            report.insert("guard".to_owned(), reason.code().into());
            report.insert(
                "answer".to_owned(),
                answer(reason.status(), &words.body_of(reason.status()), "the guard", reason.code()),
            );
            return Ok(Value::Object(report));
        }
    };
    if let Some(moved) = &edits.token {
        request.take_token(moved);
        report.insert("token_in".to_owned(), header_rules::PROTOCOLS.into());
    }
    let stripped: Vec<String> =
        edits.removals.iter().map(|removal| String::from_utf8_lossy(removal.name).into_owned()).collect();
    report.insert("guard".to_owned(), "passes".into());
    pages::report(&edge, name, &request, edits.reader.as_ref(), &mut report);
    let client = match &edits.arrival {
        Some(arrival) => arguments.client.map(|_| arrival.address),
        None => arguments.client,
    };
    if let (Some(arrival), Some(client)) = (&edits.arrival, client) {
        let by = if arrival.trusted { "named by a trusted proxy" } else { "the peer of the connection" };
        let scheme = if arrival.https { "https" } else { "http" };
        report.insert("client".to_owned(), format!("{client}, {scheme} ({by})").into());
    }
    report.insert("stripped".to_owned(), stripped.clone().into());
    if listener.redirect.is_some() && edits.arrival.as_ref().is_some_and(|arrival| !arrival.https) {
        report.insert("answer".to_owned(), redirected(&edge, name, listener, &request));
        return Ok(Value::Object(report));
    }

    let matched = match route_of(&edge, name, &request.authority, &request.method, request.path()) {
        Match::Route(route) => Ok(route),
        Match::MethodNotAllowed => Err((405, "the edge accepts this method on no route")),
        // Answered above.
        Match::Redirect => Err((308, "the listener redirects to https")),
        Match::InternalPath => Err((404, "the path is closed on this listener")),
        Match::UnknownHost => Err((404, "the listener does not serve this host")),
        Match::Unmatched => Err((404, "no route matches it")),
    };
    let route = match matched {
        Ok(route) => route,
        Err((status, why)) => {
            report.insert("answer".to_owned(), answer(status, &words.body_of(status), "Envoy", why));
            return Ok(Value::Object(report));
        }
    };
    report.insert("route".to_owned(), route.name.clone().into());
    report.insert("policy".to_owned(), policy(&edge, route).into());
    let chosen =
        route.canaries.iter().find(|canary| canary.when.is_met_by(&request.target, &request.headers));
    report.insert("backend".to_owned(), destination(route, chosen, None).into());
    if chosen.is_some() {
        report.insert("chosen_by".to_owned(), "client".into());
    }
    report.insert("limits".to_owned(), route.limits.clone().into());
    if !edge.is_decided(route) {
        report.insert("decision".to_owned(), "none: the route is public".into());
        report.insert("answer".to_owned(), passed(&destination(route, chosen, None), &[]));
        return Ok(Value::Object(report));
    }
    // With Redis, shared limits and revocations are not in the home.
    let shared = environment("REDIS_URL").is_some_and(|url| !url.is_empty());
    let not_known = unknown::of(&edge, route, arguments, &request.method, shared);
    if !not_known.is_empty() {
        report.insert("not_known".to_owned(), not_known.into());
    }
    let decided = decide(
        &unknown::alone(&edge),
        arguments,
        &request,
        (&stripped, client, edits.navigates),
        (route, listener.exposure),
        &mut report,
    );
    match decided {
        Ok(()) => Ok(Value::Object(report)),
        // Only the decision needs keys. Route, policy and backend do not, and a pull request is reviewed without keys.
        Err(why) => Err(Failed::Undecided(Value::Object(report), why)),
    }
}

/// Runs the authorizer and adds its decision to the report.
fn decide(
    edge: &Edge,
    arguments: &Arguments,
    request: &Request,
    (stripped, client, navigates): (&[String], Option<IpAddr>, bool),
    (route, exposure): (&Route, Exposure),
    report: &mut Map<String, Value>,
) -> Result<(), String> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let needs = Needs {
        identity_key: arguments.home.home.join("keys/identity.pem"),
        token_cache: CACHE,
        identity_cache: CACHE,
        // An explanation counts against no limit and uses up no nonce.
        redis: None,
        revocations: authz_service::session::revocations::ROOM,
        introspection: if arguments.fetch { Queries::Made } else { Queries::Withheld },
        leases: true,
        dropped_log_lines: startup::dropped_log_lines().map_err(|e| e.to_string())?,
    };
    let mut assembled = startup::assemble(edge, &needs, &clock).map_err(|e| e.to_string())?;
    let body = match &arguments.body {
        None => Vec::new(),
        Some(file) => std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?,
    };
    let kept = request.headers.iter().filter(|(name, _)| !stripped.contains(name));
    let page = navigates.then_some((headers::NAVIGATION, b"1".as_slice()));
    let input = CheckInput {
        route: &route.name,
        policy: &route.policy,
        revision: &edge.revision.0,
        exposure,
        request_id: "-",
        client,
        certificate: arguments.certificate.as_deref(),
        method: &request.method,
        target: &request.target,
        scheme: if request.is_encrypted { "https" } else { "http" },
        host: &request.authority,
        headers: kept.map(|(name, value)| (name.as_str(), value.as_bytes())).chain(page).collect(),
        body: &body,
    };
    let now = clock.now();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let urls = std::mem::take(&mut assembled.key_urls);
    let verdict = runtime.block_on(Box::pin(async {
        if arguments.fetch {
            for mut url in urls {
                // If the decision needs these keys, the readiness holds the error.
                url.refresh().await;
            }
        }
        assembled.admin.authorizer.decide(&input, now).await
    }));
    if let (Some(file), Some(sessions)) = (&arguments.token_file, &edge.sessions) {
        let token = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
        let (token, authorizer) = (token.trim_ascii(), &assembled.admin.authorizer);
        let checks = match opaque::issuer_of(sessions, token) {
            Some(issuer) => runtime.block_on(authorizer.opaque.examine(token, issuer, now)),
            None => authorizer.keys.examine(token, sessions, now),
        };
        report.insert("token".to_owned(), checks.iter().map(check).collect());
    }
    let record = Record::of(&verdict, Some(&input), now);
    let view = serde_json::to_value(record.view()).map_err(|e| e.to_string())?;
    for field in [
        "decision",
        "reason",
        "claim",
        "principal",
        "subject",
        "tenant",
        "session",
        "kind",
        "limit",
        "shadow_reason",
        "had",
        "needed",
        "lease",
    ] {
        if let Some(value) = view.get(field) {
            report.insert(field.to_owned(), value.clone());
        }
    }
    let role = match &verdict.who {
        Who::Caller(Caller::Person(person)) => person.role,
        // A client without a role has less than any role.
        Who::Caller(Caller::Client(client)) => client.role,
        Who::Anyone | Who::Caller(Caller::Service(_)) => None,
    };
    if let Some(role) = role {
        report.insert("role".to_owned(), role.to_string().into());
    }
    if let Some(prepared) = &verdict.route {
        let plan =
            quotas::plan_of_tenant(prepared, &verdict.who, assembled.admin.authorizer.tenants.as_ref(), now);
        let tenant_plan = plan.as_deref();
        let payer = Payer { who: &verdict.who, key: verdict.key.as_ref(), tenant_plan, more: 0 };
        let shown = |(name, Quota { rate, period, burst }, own): (&str, Quota, bool)| {
            let of = if own { "this caller" } else { "all" };
            (
                name.to_owned(),
                format!("{rate} in {} s, {burst} at once (the quota of {of})", period.as_secs()).into(),
            )
        };
        let shown: Map<String, Value> = quotas::of(prepared, payer).into_iter().map(shown).collect();
        if !shown.is_empty() {
            report.insert("quotas".to_owned(), shown.into());
        }
    }
    let roles = match &verdict.who {
        Who::Caller(Caller::Person(person)) => person.roles.as_slice(),
        Who::Caller(Caller::Client(client)) => client.roles.as_slice(),
        Who::Anyone | Who::Caller(Caller::Service(_)) => &[],
    };
    if !roles.is_empty() {
        report.insert("roles".to_owned(), roles.into());
    }
    let of = |step: &Step| (step.stage == Stage::Credential).then(|| step.outcome.to_string());
    if let Some(outcome) = record.stages().iter().find_map(of) {
        report.insert("credential".to_owned(), outcome.into());
    }
    report.insert("stages".to_owned(), serde_json::to_value(record.stages()).map_err(|e| e.to_string())?);
    let shown = match (&verdict.decision, verdict.answer()) {
        (_, Some(_)) if verdict.sign_in.is_some() => {
            let mut redirect = answer(Verdict::SIGN_IN_STATUS, "", "the authorizer", verdict.decision.code());
            if let Some(fields) = redirect.as_object_mut() {
                fields.insert("location".to_owned(), verdict.sign_in.clone().into());
            }
            redirect
        }
        (_, Some((_, words))) => {
            answer(words.status.get(), &words.body, "the authorizer", verdict.decision.code())
        }
        (Decision::Allow(edits), None) => {
            let written = edits.set.iter().map(|(name, _)| &**name);
            let names: Vec<&str> = edge.identity.gateway.as_deref().into_iter().chain(written).collect();
            let chosen =
                route.canaries.iter().find(|canary| canary.when.is_met_by(&request.target, &request.headers));
            let kind = (verdict.kind, is_public(edge, route));
            passed(&destination(route, chosen, Some(kind)), &names)
        }
        (Decision::Deny(_) | Decision::Fail(_), None) => Value::Null,
    };
    report.insert("answer".to_owned(), shown);
    match &verdict.decision {
        Decision::Fail(failure) => missing(edge, arguments, route, *failure, &assembled, report),
        Decision::Allow(_) | Decision::Deny(_) => Ok(()),
    }
}

fn is_public(edge: &Edge, route: &Route) -> bool {
    matches!(edge.policies.get(&route.policy), Some(Policy::Public(_)))
}

#[cfg(test)]
mod tests;
