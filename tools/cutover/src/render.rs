//! Turns an edge into Envoy's configuration: a bootstrap, and listeners, filters, routes and clusters in files that Envoy
//! watches.
//!
//! Settings that do not depend on the edge are plain Envoy YAML in `envoy/templates/`, each with its reason; this module
//! fills in the others. The output is deterministic: the same edge, paths and guard give the same bytes.

mod access_log;
mod bootstrap;
mod cluster;
pub mod command;
mod cors;
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
mod object;
mod proxies;
mod redirect;
mod refusals;
mod request_id;
mod routes;
mod second_wall;
mod shadow;
mod stage;
mod stats;
mod store;
mod template;
mod tls;
mod tracing;
mod upstream_tls;
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

/// The paths of the rendered configuration and of the files to which it refers. Every path is absolute.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The directory that Envoy watches; it holds the link `current`.
    pub directory: PathBuf,
    /// The compiled guard; a file named `.so` is a dynamic module, any other is proxy-wasm.
    pub guard: PathBuf,
    /// The file for Envoy's access log.
    pub access_log: PathBuf,
}

/// The absolute paths to which a configuration refers. Envoy may run in another working directory.
///
/// # Errors
/// The current directory does not exist any more.
pub fn paths(out: &Path, guard: &Path, access_log: &Path) -> io::Result<Paths> {
    Ok(Paths {
        directory: std::path::absolute(out)?,
        guard: std::path::absolute(guard)?,
        access_log: std::path::absolute(access_log)?,
    })
}

impl Paths {
    /// The compiled form of the guard, by its file name.
    #[must_use]
    pub fn form(&self) -> Form {
        let native = self.guard.extension().is_some_and(|ending| ending == Form::Native.ending());
        if native { Form::Native } else { Form::Wasm }
    }
}

/// Envoy's configuration, as one JSON text for each file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The bootstrap with which Envoy starts.
    pub bootstrap: String,
    /// The whole configuration in one piece, without references to files. Envoy validates it before any of it is current.
    pub validation: String,
    /// The listeners (LDS).
    pub listeners: String,
    /// The routes (RDS), by listener: Envoy reads one table from each file.
    pub routes: Vec<(String, String)>,
    /// The filters (ECDS), by listener and name: Envoy reads one from each file.
    pub filters: Vec<(String, String)>,
    /// The certificates (SDS), by listener: files that name the files of the certificates.
    pub secrets: Vec<(String, String)>,
    /// The clusters (CDS).
    pub clusters: String,
}

/// Reads an edge file and checks it as a whole, including the guard's rules.
///
/// # Errors
/// All of its faults, as text to print.
pub fn load(file: &Path, environment: edge_config::Environment<'_>) -> Result<Edge, String> {
    let edge = edge_config::load(file, environment).map_err(|faults| faults.to_string())?;
    check_rules(&edge).map_err(|message| format!("{}: {message}", file.display()))?;
    Ok(edge)
}

/// A template in the source tree is not what this program expects: a fault of the program.
#[derive(Debug, thiserror::Error)]
#[error("the built-in template {name} is unusable: {what}")]
pub struct TemplateError {
    /// Which template.
    pub name: &'static str,
    /// What is wrong with it.
    pub what: String,
}

/// The listeners of `edge` by name, as Envoy receives them: without the routes and filters that it reads from files of
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

/// A listener that reads routes, filters and certificates from files.
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
        // Only a guard in Envoy's own process can run that early.
        let may = paths.form() == Form::Native && listener::may_look_early(listener);
        let early = leases::rules(edge, name).filter(|_| may);
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
    let mut whole_clusters = vec![whole_authorizer];
    let trailers = second_wall::of_trailers(edge);
    for (name, backend) in &edge.backends {
        clusters.push(cluster::backend(name, backend, &trailers, Some(&paths.directory))?);
        whole_clusters.push(cluster::backend(name, backend, &trailers, None)?);
        secrets.extend(upstream_tls::secrets(name, backend)?);
    }
    let mut others: Vec<Value> = Vec::new();
    if let Some(address) = edge.stats {
        listeners.push(stats::listener(address));
        whole_listeners.push(stats::listener(address));
        others.push(cluster::admin(edge.admin));
    }
    others.extend(tracing::cluster(edge)?);
    others.extend(shadow::cluster(edge)?);
    others.extend(destination::nowhere(edge));
    clusters.extend(others.iter().cloned());
    whole_clusters.extend(others);
    let bootstrap = bootstrap::render(edge, &paths.directory)?;
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

/// JSON without indentation, for texts that people read with tools only. A route lies so deep in the tree of its host that
/// three quarters of an indented table are spaces: a hundred megabytes for ten thousand routes.
fn compact(value: &Value) -> String {
    format!("{value}\n")
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// The source by which Envoy watches a file of the configuration: the link `current` is moved, so it watches the directory.
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
