//! The programs of a run, and their addresses.

use std::path::{Path, PathBuf};

use edge_config::edge::{Exposure, Socket};
use edge_config::{Edge, Environment};

use super::beside::{Beside, Values};
use super::part::{Address, Program};

/// The environment in which a run and all of its programs read the edge file. An edge file may have other defaults for the
/// addresses of what is started beside it (`legacy.internal:3000`), but the run decides where its programs listen.
pub(super) fn surroundings(
    home: &Path,
    beside: &Beside,
    name: &str,
    environment: Environment<'_>,
) -> Option<String> {
    if name == "CUTOVER_HOME" {
        // The home decides where the edge file's paths point, even when an option gave it.
        return Some(home.display().to_string());
    }
    let set = environment(name).filter(|value| !value.is_empty());
    set.or_else(|| beside.default_of(name).map(str::to_owned))
}

/// Where the authorizer of a run answers checks.
#[derive(Clone, Debug)]
pub(super) enum Checks {
    /// At an address.
    Network(Address),
    /// At a Unix socket, which needs no port.
    Unix(PathBuf),
}

/// Every address of a run.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    /// The edge's listeners, by name.
    pub(super) listeners: Vec<Address>,
    pub(super) envoy_admin: Address,
    pub(super) authorizer: Checks,
    pub(super) authorizer_admin: Address,
    /// What is started besides the edge.
    pub(super) beside: Vec<Address>,
    /// The comparator's addresses for copies and for its report; absent when no route has a shadow.
    pub(super) comparator: Option<[Address; 2]>,
}

impl Addresses {
    pub(super) fn new(edge: &Edge, beside: &Beside, environment: Environment<'_>) -> Result<Self, String> {
        let variable =
            |who: &str, variable: &str, default: &str| Address::from(who, variable, default, environment);
        let named = |who: &str, variable: &str, address| Address {
            who: who.to_owned(),
            variable: variable.to_owned(),
            address,
        };
        let listener = |name: &str| match name {
            "public" => "EDGE_ADDRESS",
            _ => "EDGE_SERVICE_ADDRESS",
        };
        Ok(Self {
            listeners: edge
                .listeners
                .iter()
                .map(|(name, l)| named(&format!("edge, {name}"), listener(name), l.address))
                .collect(),
            envoy_admin: named("envoy admin", "ENVOY_ADMIN_ADDRESS", edge.admin),
            // If the edge file gives a host name, it listens on loopback unless the variable says otherwise.
            authorizer: match edge.authorizer.listens() {
                Some(Socket::Network(address)) => {
                    Checks::Network(named("authorizer", "AUTHZ_ADDRESS", address))
                }
                Some(Socket::Unix(path)) => Checks::Unix(path),
                None => Checks::Network(variable("authorizer", "AUTHZ_ADDRESS", "127.0.0.1:9191")?),
            },
            authorizer_admin: variable("authorizer admin", "AUTHZ_ADMIN_ADDRESS", "127.0.0.1:9192")?,
            beside: beside.addresses(environment)?,
            comparator: comparator_addresses(edge),
        })
    }

    /// All addresses, those of the edge first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Address> {
        let checks = match &self.authorizer {
            Checks::Network(address) => Some(address),
            Checks::Unix(_) => None,
        };
        self.listeners
            .iter()
            .chain([&self.envoy_admin])
            .chain(checks)
            .chain([&self.authorizer_admin])
            .chain(&self.beside)
            .chain(self.comparator.iter().flatten())
    }
}

/// The comparator's addresses for copies and for its report; nothing when no route of `edge` has a shadow.
pub(super) fn comparator_addresses(edge: &Edge) -> Option<[Address; 2]> {
    let comparator = crate::render::used_comparator(edge)?;
    let named = |who: &str, variable: &str, address| Address {
        who: who.to_owned(),
        variable: variable.to_owned(),
        address,
    };
    Some([
        named("comparator", "COMPARATOR_ADDRESS", comparator.address),
        named("comparator report", "COMPARATOR_ADMIN_ADDRESS", comparator.admin),
    ])
}

/// The programs of a run, each after the ones that it needs.
pub(super) fn all(plan: &super::Plan) -> Result<Vec<Program>, String> {
    let mut programs = Vec::new();
    if plan.addresses.comparator.is_some() {
        // First in the list, so it stops last: copies come until Envoy is gone.
        programs.push(comparator(plan)?);
    }
    programs.extend(plan.beside.programs(&plan.values)?);
    let checks = match &plan.addresses.authorizer {
        Checks::Network(at) => at.address.to_string(),
        Checks::Unix(path) => Socket::Unix(path.clone()).to_string(),
    };
    let own = [
        ("AUTHZ_ADDRESS".to_owned(), checks),
        ("AUTHZ_ADMIN_ADDRESS".to_owned(), plan.addresses.authorizer_admin.address.to_string()),
    ];
    programs.push(Program {
        name: "authz".to_owned(),
        command: vec![sibling("authz-service")?],
        environment: reads_edge_file(plan).into_iter().chain(own).collect(),
        directory: None,
    });
    let envoy = [
        &*plan.envoy.display().to_string(),
        "-c",
        &*plan.bootstrap.display().to_string(),
        // One Envoy for each run: there is no other Envoy to take over from.
        "--disable-hot-restart",
        "--log-level",
        "warning",
        // A reader of the access log should not wait the default ten seconds for a line.
        "--file-flush-interval-msec",
        "500",
    ];
    programs.push(Program {
        name: "envoy".to_owned(),
        command: envoy.map(str::to_owned).to_vec(),
        environment: Vec::new(),
        directory: None,
    });
    Ok(programs)
}

/// The program that compares a shadow's answers.
pub(super) fn comparator(plan: &super::Plan) -> Result<Program, String> {
    Ok(Program {
        name: "comparator".to_owned(),
        command: vec![sibling("comparator")?],
        environment: reads_edge_file(plan),
        directory: None,
    })
}

/// The environment of the programs that read the edge file: they must read it as the run does.
fn reads_edge_file(plan: &super::Plan) -> Vec<(String, String)> {
    let own = [("CUTOVER_HOME", &plan.home), ("EDGE_FILE", &plan.edge_file)];
    let own = own.map(|(name, path)| (name.to_owned(), path.display().to_string()));
    let beside = plan.addresses.beside.iter().map(|one| (one.variable.clone(), one.address.to_string()));
    own.into_iter().chain(beside).collect()
}

/// The values of the variables in the file beside the edge file.
pub(super) fn values(edge: &Edge, addresses: &Addresses, paths: [(&str, &Path); 3]) -> Values {
    let mut values = Values::new();
    let mut put = |name: &str, value: String| {
        values.insert(name.to_owned(), value);
    };
    for (name, path) in paths {
        put(name, path.display().to_string());
    }
    // The programs of this workspace are beside this one. Without a path, the name of a program is looked up in PATH.
    let bin = std::env::current_exe().ok().and_then(|this| this.parent().map(Path::to_owned));
    put("BIN", bin.unwrap_or_default().display().to_string());
    put("EDGE_NAME", edge.name.clone());
    put("ROOT_DOMAIN", edge.root_domain.clone().unwrap_or_default());
    for (name, listener) in &edge.listeners {
        put(&format!("LISTENER_{}", name.to_uppercase().replace('-', "_")), listener.address.to_string());
    }
    // The first issuer is the platform's own auth service.
    if let Some(own) = edge.sessions.as_ref().and_then(|sessions| sessions.issuers.first()) {
        put("ISSUER", own.issuer.clone());
        put("AUDIENCE", own.audiences.first().cloned().unwrap_or_default());
    }
    for one in &addresses.beside {
        put(&one.variable, one.address.to_string());
    }
    values
}

/// The listener for clients, by name: the one named `public`, or else the first that is.
pub(super) fn public(edge: &Edge) -> Option<(&str, &edge_config::edge::Listener)> {
    let mut open = edge.listeners.iter().filter(|(_, listener)| listener.exposure == Exposure::Public);
    let named = open.clone().find(|(name, _)| *name == "public");
    named.or_else(|| open.next()).map(|(name, listener)| (name.as_str(), listener))
}

/// A program of this workspace, which is beside this one.
fn sibling(name: &str) -> Result<String, String> {
    let here = std::env::current_exe().map_err(|e| format!("cannot find this program's directory: {e}"))?;
    let path = here.with_file_name(name);
    if path.exists() {
        Ok(path.display().to_string())
    } else {
        Err(format!(
            "{} does not exist; a release has it beside `cutover`, and `make build` builds it",
            path.display()
        ))
    }
}
