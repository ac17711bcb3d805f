//! Turns a file into an [`Edge`], or into all of its faults.

mod callers;
mod network;

use std::path::Path;

use serde_saphyr::Spanned;
use sha2::{Digest, Sha256};

use crate::declared::Declared;
use crate::edge::{Answers, Edge, IdentityHeaders, Revision};
use crate::fault::{Collector, Fault, Faults, Place, Severity};
use crate::node::{Node, Value};
use crate::reader::{self, Context, Environment, Fields};
use crate::sections::identity::Own;
use crate::{routes, sections};
use callers::Callers;
use network::Network;

/// Larger edge files are refused unread: 10,000 routes take about 2 MB, so a larger file is a mistake.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The most values in one file, including those that aliases repeat. A route has 13, so 100,000 routes fit. Aliases of
/// aliases cannot make more values than a file of [`MAX_BYTES`] could hold.
const MAX_VALUES: usize = 2_000_000;

/// Reads and checks the edge file at `path`. `${NAME:-default}` is replaced from `environment`.
///
/// # Errors
/// Every fault of the file, with line, value and fix.
///
/// ```no_run
/// let environment = |name: &str| std::env::var(name).ok();
/// match edge_config::load("envoy/edges/dev.yaml".as_ref(), &environment) {
///     Ok(edge) => println!("{} at revision {}", edge.name, edge.revision),
///     Err(faults) => eprintln!("{faults}"),
/// }
/// ```
pub fn load(path: &Path, environment: Environment<'_>) -> Result<Edge, Faults> {
    inspect(path, environment).map(|(edge, _)| edge)
}

/// The same as [`load`], with the warnings about a usable file.
///
/// # Errors
/// Every fault of the file. Warnings are returned only when there is none.
pub fn inspect(path: &Path, environment: Environment<'_>) -> Result<(Edge, Faults), Faults> {
    let unreadable = |problem: String, mend: &str| {
        let fault = Fault {
            place: Place { line: 1, column: 1 },
            problem,
            mend: mend.to_owned(),
            severity: Severity::Error,
        };
        Faults::new(path, "", vec![fault])
    };
    let length = std::fs::metadata(path).map(|data| data.len());
    if length.as_ref().is_ok_and(|length| *length > MAX_BYTES) {
        return Err(unreadable(
            format!("the file is larger than {MAX_BYTES} bytes"),
            "is it really an edge file?",
        ));
    }
    let bytes = std::fs::read(path).map_err(|e| {
        unreadable(
            format!("the file cannot be read ({e})"),
            "name an edge file, such as edge.yaml; `cutover init` writes a first one",
        )
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| unreadable("the file is not UTF-8".to_owned(), "save it as UTF-8"))?;
    examine(path, &text, environment)
}

/// Checks `text`, which came from `path`. See [`load`].
///
/// # Errors
/// Every fault of the text.
pub fn parse(path: &Path, text: &str, environment: Environment<'_>) -> Result<Edge, Faults> {
    examine(path, text, environment).map(|(edge, _)| edge)
}

/// The same as [`parse`], with the warnings about a usable text.
///
/// # Errors
/// Every fault of the text. Warnings are returned only when there is none.
pub fn inspect_text(path: &Path, text: &str, environment: Environment<'_>) -> Result<(Edge, Faults), Faults> {
    examine(path, text, environment)
}

fn examine(path: &Path, text: &str, environment: Environment<'_>) -> Result<(Edge, Faults), Faults> {
    let tree = tree(text).map_err(|fault| Faults::new(path, text, vec![fault]))?;
    let collector = Collector::default();
    let context = Context { faults: &collector, environment, notes: None };
    let edge = read(context, &tree, revision(text));
    let found = Faults::new(path, text, collector.into_faults());
    match edge {
        Some(edge) if !found.prevent() => Ok((edge, found)),
        // Only faults at first, because a fault may cause further warnings.
        Some(_) | None => Err(found.without_warnings()),
    }
}

/// The text as a tree, or the fault of the YAML.
pub(crate) fn tree(text: &str) -> Result<Node, Fault> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_nodes: MAX_VALUES, max_events: 2 * MAX_VALUES },
    };
    let tree = serde_saphyr::from_str_with_options::<Spanned<Value>>(text, options).map_err(|error| {
        let place = error
            .location()
            .map_or(Place { line: 1, column: 1 }, |at| Place { line: at.line(), column: at.column() });
        let said = error.to_string().lines().next().unwrap_or("the text is not YAML").to_owned();
        // The parser nests its errors; only their text shows the kind.
        let (problem, mend) = if said.contains("budget breached") {
            (
                format!("the file has more than {MAX_VALUES} values, including those that aliases repeat"),
                "serve some of the hosts from an edge of their own, or let one prefix stand for many routes",
            )
        } else {
            (said, "correct the YAML; nothing else could be checked")
        };
        Fault { place, problem, mend: mend.to_owned(), severity: Severity::Error }
    })?;
    Ok(tree.into())
}

/// The revision of an edge file with this text, even when the text is invalid.
#[must_use]
pub fn revision(text: &str) -> Revision {
    let digest = Sha256::digest(text.as_bytes());
    Revision(digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

/// Reads the whole tree; `None` after a fault of a section that every edge has.
pub(crate) fn read(context: Context<'_>, tree: &Node, revision: Revision) -> Option<Edge> {
    let mut fields = Fields::of(context, tree, "the edge file");
    let name = fields
        .required("edge", "give the edge a name: `edge: dev`")
        .and_then(|node| reader::name(context, node, "the edge's name"));
    let root_domain = match fields.optional("root_domain") {
        None => Some(None),
        Some(node) => sections::host_name(context, node, "the root domain").map(Some),
    };
    let Network { listeners, admin, stats, authorizer } = Network::read(context, &mut fields, tree);
    let identity = match fields.optional("identity") {
        Some(node) => sections::identity::identity(context, node),
        None => IdentityHeaders::unsaid(),
    };
    let request_id = fields
        .optional("request_id")
        .map(|node| sections::identity::request_id(context, node, &identity))
        .unwrap_or_default();
    let own = Own { identity: &identity, request_id: &request_id };
    let mut same = sections::SameProcess::new();
    let backends = Declared::read(
        context,
        fields.required(
            "backends",
            "name at least one backend: `backends: { users: { address: 127.0.0.1:3022 } }`",
        ),
        "`backends`",
        |name, node| sections::backend(context, name, node, own, &mut same),
    );
    sections::check_audiences(context, &backends.good, &same);
    let answers_node = fields.optional("answers");
    let mut answers = Declared::read(context, answers_node, "`answers`", |name, node| {
        sections::answers(context, name, node, own)
    });
    // Routes that name no answers have these, and the file may word them.
    let is_unsaid = answers.or_insert(Answers::UNSAID, Answers::neutral);
    let default_answers = fields
        .optional("default_answers")
        .and_then(|node| answers.reference(context, node, "`default_answers`"));
    let browser_origins = fields
        .optional("browser_origins")
        .map(|node| sections::browser_origins(context, node))
        .unwrap_or_default();
    let hosts = Declared::read(
        context,
        fields.required("hosts", "name at least one group of host names"),
        "`hosts`",
        |name, node| sections::host(context, name, node, &listeners, &answers),
    );
    let patience = authorizer.as_ref().map(|authorizer| authorizer.timeout);
    let callers = Callers::read(context, &mut fields, &backends, patience);
    let recognition = callers.recognition();
    let policies = Declared::read(
        context,
        fields.required("policies", "name at least one policy: `policies: { public: { kind: public } }`"),
        "`policies`",
        |name, node| {
            let named = sections::Callers {
                services: &callers.services,
                webhooks: &callers.webhooks,
                certificates: &callers.certificates,
            };
            sections::policy(context, name, node, named, callers.stores(), recognition)
        },
    );
    let limits = Declared::read(context, fields.optional("limits"), "`limits`", |name, node| {
        sections::limits::limit(context, name, node)
    });
    let leases = fields
        .optional("leases")
        .map_or(Some(crate::edge::Leases::default()), |node| sections::leases::leases(context, node));
    let streams = fields
        .optional("streams")
        .map_or(Some(crate::edge::Streams::default()), |node| sections::streams::streams(context, node));
    let tracing = match fields.optional("tracing") {
        None => Some(None),
        Some(node) => sections::tracing::read(context, node).map(Some),
    };
    let reserved = sections::reserved(context, fields.optional("reserved_headers"), own);
    callers.check(context, &reserved, own);
    let internal_paths = fields
        .optional("internal_paths")
        .map(|node| sections::paths::internal(context, node))
        .unwrap_or_default();
    let comparator_node = fields.optional("comparator");
    let surroundings = routes::Surroundings {
        listeners: &listeners,
        hosts: &hosts,
        backends: &backends,
        policies: &policies,
        recognition,
        limits: &limits,
        answers: &answers,
        default_answers: default_answers.as_deref(),
        internal_paths: &internal_paths,
        reserved: &reserved,
        identity: &identity,
    };
    let routes = fields
        .required(
            "routes",
            "list the routes: `routes: [{ name: …, host: …, prefix: /, policy: …, to: …, answers: … }]`",
        )
        .map(|node| routes::read(context, node, &surroundings))
        .unwrap_or_default();
    let absent_paths = fields
        .optional("absent_paths")
        .map(|node| routes::absent_paths(context, node, &surroundings, &routes))
        .unwrap_or_default();
    if is_unsaid && !sections::uses(Answers::UNSAID, &hosts.good, default_answers.as_ref(), &routes) {
        answers.good.remove(Answers::UNSAID);
    }
    sections::check_addresses(context, tree, &listeners, admin, stats);
    let comparator = match comparator_node {
        Some(node) => sections::comparator::read(context, node),
        None => sections::comparator::unsaid(&routes),
    };
    sections::comparator::check(context, comparator.as_ref(), &routes, &backends.good, tree);
    let used = (default_answers.as_ref(), routes.as_slice());
    sections::check_header_case(context, answers_node.unwrap_or(tree), &answers.good, &hosts.good, used);
    sections::check_host_names(context, &hosts, tree);
    sections::limits::check_tenant_headers(context, &policies.good, &reserved, tree);
    fields.finish();
    let edge = Edge {
        name: name?,
        revision,
        root_domain: root_domain?,
        listeners: listeners.good,
        admin: admin?,
        stats,
        authorizer: authorizer?,
        backends: backends.good,
        hosts: hosts.good,
        sessions: callers.sessions.good,
        api_keys: callers.api_keys.good,
        legacy_sessions: callers.legacy_sessions.good,
        services: callers.services.good.into_values().collect(),
        service_tokens: callers.service_tokens,
        signatures: callers.signatures.good,
        webhooks: callers.webhooks.good,
        client_certificates: callers.certificates.good,
        tenants: callers.tenants,
        policies: policies.good,
        comparator,
        limits: limits.good,
        leases: leases?,
        tracing: tracing?,
        streams: streams?,
        answers: answers.good,
        default_answers,
        browser_origins,
        identity,
        request_id,
        reserved,
        internal_paths,
        absent_paths,
        routes,
    };
    sections::check_sign_in(context, tree, &edge);
    Some(edge)
}
