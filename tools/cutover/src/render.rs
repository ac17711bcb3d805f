//! An edge becomes Envoy's configuration: a bootstrap, and listeners, filters, routes and clusters in files that Envoy
//! watches.
//!
//! The settings that do not depend on the edge are plain Envoy YAML in `envoy/templates/`, with the reason
//! beside each; this module fills in what does. The output is deterministic: the same edge, paths and guard
//! give the same bytes.

mod access_log;
mod bootstrap;
mod cluster;
pub mod command;
mod credentials;
mod decided;
mod destination;
mod discovered;
mod envoy;
mod guard;
mod header;
mod leases;
mod listener;
mod matcher;
mod metadata;
mod module;
mod routes;
mod shadow;
mod stage;
mod stats;
mod store;
mod template;
mod tls;
mod validate;
mod words;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use edge_config::Edge;
use edge_config::edge::Listener;
use serde_json::{Value, json};

use discovered::Found;

pub(crate) use discovered::FILTERS;
pub use envoy::check as check_envoy;
pub use guard::check as check_rules;
pub(crate) use guard::config as guard_config;
pub use module::{Form, InvalidModule, check as check_module};
pub(crate) use shadow::used as used_comparator;
pub use store::{Rendered, StoreError, go_back, store};
pub use validate::{Validation, missing_envoy, validated, validated_unless};

/// Where the rendered configuration will live, and what it refers to. Every path is absolute.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The directory that Envoy watches; it holds the link `current`.
    pub directory: PathBuf,
    /// The compiled guard; what is called `.so` is a dynamic module, everything else proxy-wasm.
    pub guard: PathBuf,
    /// Where Envoy writes its access log.
    pub access_log: PathBuf,
}

/// The absolute paths that a configuration refers to. Envoy's working directory may be another one.
///
/// # Errors
/// The current directory is gone.
pub fn paths(out: &Path, guard: &Path, access_log: &Path) -> io::Result<Paths> {
    Ok(Paths {
        directory: std::path::absolute(out)?,
        guard: std::path::absolute(guard)?,
        access_log: std::path::absolute(access_log)?,
    })
}

impl Paths {
    /// What the guard was compiled to, by its name.
    #[must_use]
    pub fn form(&self) -> Form {
        let native = self.guard.extension().is_some_and(|ending| ending == Form::Native.ending());
        if native { Form::Native } else { Form::Wasm }
    }
}

/// Envoy's configuration, one JSON text for each file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// How Envoy starts.
    pub bootstrap: String,
    /// The same in one piece, nothing behind a file: what Envoy is asked about before any of it is current.
    pub validation: String,
    /// Listeners (LDS).
    pub listeners: String,
    /// Routes (RDS), by listener: Envoy takes one table from each file.
    pub routes: Vec<(String, String)>,
    /// Filters (ECDS), by listener and name: Envoy takes one from each file.
    pub filters: Vec<(String, String)>,
    /// Certificates (SDS), by listener: the files that say where Envoy finds them.
    pub secrets: Vec<(String, String)>,
    /// Clusters (CDS).
    pub clusters: String,
}

/// Reads an edge file and checks it as a whole, the guard's rules included.
///
/// # Errors
/// Everything that is wrong with it, to print.
pub fn load(file: &Path, environment: edge_config::Environment<'_>) -> Result<Edge, String> {
    let edge = edge_config::load(file, environment).map_err(|faults| faults.to_string())?;
    check_rules(&edge).map_err(|message| format!("{}: {message}", file.display()))?;
    Ok(edge)
}

/// The templates in the source tree are not what this program expects: a fault of the program.
#[derive(Debug, thiserror::Error)]
#[error("the built-in template {name} is unusable: {what}")]
pub struct TemplateError {
    /// Which template.
    pub name: &'static str,
    /// What is wrong with it.
    pub what: String,
}

/// The listeners of `edge` by name, as Envoy is given them: without the routes and filters that it reads from files of
/// their own.
///
/// # Errors
/// [`TemplateError`] when a built-in template is broken.
pub(crate) fn listeners(edge: &Edge, paths: &Paths) -> Result<BTreeMap<String, Value>, TemplateError> {
    let mut listeners = BTreeMap::new();
    for (name, listener) in &edge.listeners {
        listeners.insert(name.clone(), watching(edge, name, listener, paths)?);
    }
    if let Some(address) = edge.stats {
        listeners.insert("stats".to_owned(), stats::listener(address));
    }
    Ok(listeners)
}

/// A listener that finds routes, filters and certificates in files.
fn watching(edge: &Edge, name: &str, listener: &Listener, paths: &Paths) -> Result<Value, TemplateError> {
    let watched = file_source(&paths.directory, &routes_file(name));
    let rds = ("rds", json!({ "route_config_name": name, "config_source": watched }));
    let mut rendered = listener::render(edge, name, listener, paths, rds, &Found::Watched(&paths.directory))?;
    if let Some(tls) = &listener.tls {
        tls::put(&mut rendered, &tls::Identity::of_listener(name, tls)?, Some(&paths.directory));
    }
    Ok(rendered)
}

/// Renders `edge`.
///
/// # Errors
/// [`TemplateError`] when a built-in template is broken.
pub fn configuration(edge: &Edge, paths: &Paths) -> Result<Configuration, TemplateError> {
    let mut listeners = Vec::new();
    let mut whole_listeners = Vec::new();
    let mut route_tables = Vec::new();
    let mut secrets = Vec::new();
    let mut filters = Vec::new();
    for (name, listener) in &edge.listeners {
        // Only where it runs in Envoy's own process can the guard be asked that early.
        let early = leases::rules(edge, name).filter(|_| paths.form() == Form::Native);
        let table = routes::table(edge, name, listener, early.as_ref());
        let found = listener::discovered(edge, name, listener, paths)?;
        for (filter, config) in found.each() {
            let resource = json!({ "name": filter, "typed_config": config });
            let text = resources(discovered::KIND, &edge.revision.0, vec![resource]);
            filters.push((discovered::file(name, filter), compact(&text)));
        }
        let table_in_place = ("route_config", table.clone());
        let found = Found::InPlace(&found);
        let mut whole = listener::render(edge, name, listener, paths, table_in_place, &found)?;
        if let Some(tls) = &listener.tls {
            let identity = tls::Identity::of_listener(name, tls)?;
            tls::put(&mut whole, &identity, None);
            secrets.extend(identity.secrets());
        }
        listeners.push(watching(edge, name, listener, paths)?);
        whole_listeners.push(whole);
        let table = resources("envoy.config.route.v3.RouteConfiguration", &edge.revision.0, vec![table]);
        let table = compact(&table);
        route_tables.push((routes_file(name), table));
    }
    let mut clusters = vec![cluster::authorizer(edge)?];
    let mut whole_authorizer = cluster::authorizer(edge)?;
    if let (Some(tls), [cluster]) = (&edge.authorizer.tls, clusters.as_mut_slice()) {
        let identity = tls::Identity::towards_authorizer(tls)?;
        tls::put_upstream(cluster, &identity, Some(&paths.directory));
        tls::put_upstream(&mut whole_authorizer, &identity, None);
        secrets.extend(identity.secrets());
    }
    for (name, backend) in &edge.backends {
        clusters.push(cluster::backend(name, backend)?);
    }
    if let Some(address) = edge.stats {
        listeners.push(stats::listener(address));
        whole_listeners.push(stats::listener(address));
        clusters.push(cluster::admin(edge.admin));
    }
    clusters.extend(shadow::cluster(edge)?);
    let bootstrap = bootstrap::render(edge, &paths.directory)?;
    let whole_clusters: Vec<_> =
        std::iter::once(whole_authorizer).chain(clusters.iter().skip(1).cloned()).collect();
    let validation = bootstrap::in_one_piece(&bootstrap, whole_listeners, &whole_clusters);
    let kind = "envoy.extensions.transport_sockets.tls.v3.Secret";
    let secrets = secrets
        .into_iter()
        .map(|secret| (secret.file(), discovery(kind, &edge.revision.0, vec![secret.resource()])))
        .collect();
    Ok(Configuration {
        bootstrap: pretty(&bootstrap),
        validation: compact(&validation),
        listeners: discovery("envoy.config.listener.v3.Listener", &edge.revision.0, listeners),
        routes: route_tables,
        filters,
        secrets,
        clusters: discovery("envoy.config.cluster.v3.Cluster", &edge.revision.0, clusters),
    })
}

fn routes_file(listener: &str) -> String {
    format!("routes-{listener}.json")
}

/// A discovery response, as Envoy reads it from a file.
fn discovery(kind: &str, revision: &str, resources: Vec<Value>) -> String {
    pretty(&self::resources(kind, revision, resources))
}

fn resources(kind: &str, revision: &str, resources: Vec<Value>) -> Value {
    let kind = format!("type.googleapis.com/{kind}");
    let typed: Vec<Value> = resources
        .into_iter()
        .map(|mut resource| {
            if let Some(object) = resource.as_object_mut() {
                object.insert("@type".to_owned(), Value::String(kind.clone()));
            }
            resource
        })
        .collect();
    // `json!` would copy them.
    matcher::object([("version_info", json!(revision)), ("resources", Value::Array(typed))])
}

/// For what nobody reads without a tool: a route lies so deep in the tree of a host that three quarters of an indented
/// table are spaces, a hundred megabytes of them for ten thousand routes.
fn compact(value: &Value) -> String {
    format!("{value}\n")
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// How Envoy watches a file of the configuration: the link `current` is moved, so the directory is watched.
fn file_source(directory: &Path, file: &str) -> Value {
    json!({
        "path_config_source": {
            "path": directory.join("current").join(file),
            "watched_directory": { "path": directory },
        },
        "resource_api_version": "V3",
    })
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{}.{:03}s", duration.as_secs(), duration.subsec_millis())
}
