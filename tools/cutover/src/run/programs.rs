//! What a run consists of, and where each part listens.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use edge_config::edge::Socket;
use edge_config::{Edge, Environment};

/// The programs of a run that an edge calls backends: which variable says where each is, and where it is without. An
/// edge file may have other defaults (`legacy.internal:3000`); what a run starts is where a run says.
const OWN: [(&str, &str); 3] = [
    ("LEGACY_ADDRESS", "127.0.0.1:3000"),
    ("AUTH_ADDRESS", "127.0.0.1:3021"),
    ("USERS_ADDRESS", "127.0.0.1:3022"),
];

/// The environment in which a run and all of its programs read the edge file.
pub(super) fn surroundings(home: &Path, name: &str, environment: Environment<'_>) -> Option<String> {
    if name == "CUTOVER_HOME" {
        // The home decides where the edge file's own paths point, also when it came from an option.
        return Some(home.display().to_string());
    }
    let set = environment(name).filter(|value| !value.is_empty());
    set.or_else(|| OWN.iter().find(|(own, _)| *own == name).map(|(_, default)| (*default).to_owned()))
}

/// One address of a run: who listens there, and which variable moves it.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) who: String,
    pub(super) variable: String,
    pub(super) address: SocketAddr,
}

/// Where the authorizer of a run answers checks.
#[derive(Clone, Debug)]
pub(super) enum Checks {
    /// At an address.
    Network(Address),
    /// At a Unix socket, which takes no port from anything.
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
    pub(super) legacy: Address,
    pub(super) auth: Address,
    pub(super) users: Address,
    /// Where the comparator takes copies and where it reports; absent when no route has a shadow.
    pub(super) comparator: Option<[Address; 2]>,
}

impl Addresses {
    pub(super) fn new(edge: &Edge, environment: Environment<'_>) -> Result<Self, String> {
        let variable = |who: &str, variable: &str, default: &str| {
            let own = OWN.iter().find(|(own, _)| *own == variable).map(|(_, address)| *address);
            let default = own.unwrap_or(default);
            let text =
                environment(variable).filter(|text| !text.is_empty()).unwrap_or_else(|| default.to_owned());
            let address = text.parse().map_err(|_| {
                format!("{variable} is {text:?}: write an address with a port, such as {default}")
            })?;
            Ok::<_, String>(Address { who: who.to_owned(), variable: variable.to_owned(), address })
        };
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
            // Where it is found by a name, it listens on loopback unless it is told otherwise.
            authorizer: match edge.authorizer.listens() {
                Some(Socket::Network(address)) => {
                    Checks::Network(named("authorizer", "AUTHZ_ADDRESS", address))
                }
                Some(Socket::Unix(path)) => Checks::Unix(path),
                None => Checks::Network(variable("authorizer", "AUTHZ_ADDRESS", "127.0.0.1:9191")?),
            },
            authorizer_admin: variable("authorizer admin", "AUTHZ_ADMIN_ADDRESS", "127.0.0.1:9192")?,
            legacy: variable("legacy sample", "LEGACY_ADDRESS", "")?,
            auth: variable("auth", "AUTH_ADDRESS", "")?,
            users: variable("users", "USERS_ADDRESS", "")?,
            comparator: comparator_addresses(edge),
        })
    }

    /// All of them, the edge first.
    pub(super) fn all(&self) -> impl Iterator<Item = &Address> {
        let checks = match &self.authorizer {
            Checks::Network(address) => Some(address),
            Checks::Unix(_) => None,
        };
        self.listeners
            .iter()
            .chain([&self.envoy_admin])
            .chain(checks)
            .chain([&self.authorizer_admin, &self.legacy, &self.auth, &self.users])
            .chain(self.comparator.iter().flatten())
    }

    /// Where clients come in.
    pub(super) fn public(&self) -> Option<SocketAddr> {
        self.listeners.iter().find(|l| l.who == "edge, public").map(|l| l.address)
    }

    /// Where services come in.
    pub(super) fn service(&self) -> Option<SocketAddr> {
        self.listeners.iter().find(|l| l.who != "edge, public").map(|l| l.address)
    }
}

/// Where the comparator takes copies and where it reports; nothing when no route of `edge` has a shadow.
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

/// One program that the supervisor keeps running.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) command: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
}

/// The programs of a run, the leaves first.
pub(super) fn all(plan: &super::Plan) -> Result<Vec<Program>, String> {
    let home = ("CUTOVER_HOME", plan.home.display().to_string());
    let address = |a: &Address| a.address.to_string();
    let url = |address: Option<SocketAddr>| address.map(|a| format!("http://{a}")).unwrap_or_default();
    let edge_name = ("EDGE_NAME", plan.edge.name.clone());
    let backends = backends(&plan.addresses);
    let mut auth = vec![
        home.clone(),
        edge_name.clone(),
        ("AUTH_ADDRESS", address(&plan.addresses.auth)),
        ("ROOT_DOMAIN", plan.edge.root_domain.clone()),
        ("EDGE_FILE", plan.edge_file.display().to_string()),
    ];
    if let Some(service) = plan.addresses.service() {
        auth.push(("SERVICE_EDGE_URL", format!("http://{service}")));
    }
    // The first issuer is this platform's own auth service.
    if let Some(own) = plan.edge.sessions.as_ref().and_then(|sessions| sessions.issuers.first()) {
        auth.push(("TOKEN_ISSUER", own.issuer.clone()));
        auth.push(("TOKEN_AUDIENCE", own.audiences.first().cloned().unwrap_or_default()));
    }
    let checks = match &plan.addresses.authorizer {
        Checks::Network(at) => address(at),
        Checks::Unix(path) => Socket::Unix(path.clone()).to_string(),
    };
    let gunicorn = plan.venv.join("bin/gunicorn");
    if !gunicorn.exists() {
        return Err(format!("{} is not there; `make setup` installs it", gunicorn.display()));
    }
    let mut programs = vec![
        Program {
            name: "legacy",
            command: vec![
                gunicorn.display().to_string(),
                "--config".to_owned(),
                "contracts/legacy/gunicorn.conf.py".to_owned(),
                "legacy.app:application".to_owned(),
            ],
            environment: vec![
                home.clone(),
                ("PYTHONPATH", "contracts".to_owned()),
                ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
                ("LEGACY_ADDRESS", address(&plan.addresses.legacy)),
                ("ROOT_DOMAIN", plan.edge.root_domain.clone()),
                // It asks in the clear; behind an edge that speaks TLS it keeps sessions of its own.
                ("AUTH_URL", url(plan.addresses.public().filter(|_| !plan.is_encrypted()))),
            ],
        },
        Program {
            name: "users",
            command: vec![beside("users")?],
            environment: vec![
                home.clone(),
                edge_name,
                ("USERS_ADDRESS", address(&plan.addresses.users)),
                ("USERS_SEED", "services/users/seed/dev.yaml".to_owned()),
            ],
        },
        Program { name: "auth", command: vec![beside("auth")?], environment: auth },
        Program {
            name: "authz",
            command: vec![beside("authz-service")?],
            environment: [
                home.clone(),
                ("EDGE_FILE", plan.edge_file.display().to_string()),
                ("AUTHZ_ADDRESS", checks),
                ("AUTHZ_ADMIN_ADDRESS", address(&plan.addresses.authorizer_admin)),
            ]
            .into_iter()
            .chain(backends.clone())
            .collect(),
        },
        Program {
            name: "envoy",
            command: vec![
                plan.envoy.display().to_string(),
                "-c".to_owned(),
                plan.bootstrap.display().to_string(),
                // One Envoy for each run: nothing to hand over to another by shared memory.
                "--disable-hot-restart".to_owned(),
                "--log-level".to_owned(),
                "warning".to_owned(),
                // Whoever follows the access log should not wait the default ten seconds for a line.
                "--file-flush-interval-msec".to_owned(),
                "500".to_owned(),
            ],
            environment: Vec::new(),
        },
    ];
    if plan.addresses.comparator.is_some() {
        // First in the list, so it stops last: copies come until Envoy is gone.
        programs.insert(0, comparator(plan)?);
    }
    Ok(programs)
}

/// The program that compares a shadow's answers.
pub(super) fn comparator(plan: &super::Plan) -> Result<Program, String> {
    let home = ("CUTOVER_HOME", plan.home.display().to_string());
    let mut environment = vec![("EDGE_FILE", plan.edge_file.display().to_string()), home];
    environment.extend(backends(&plan.addresses));
    Ok(Program { name: "comparator", command: vec![beside("comparator")?], environment })
}

/// Where the backends are that a run starts, for the programs that read the edge file.
fn backends(addresses: &Addresses) -> [(&'static str, String); 3] {
    [
        ("LEGACY_ADDRESS", addresses.legacy.address.to_string()),
        ("AUTH_ADDRESS", addresses.auth.address.to_string()),
        ("USERS_ADDRESS", addresses.users.address.to_string()),
    ]
}

/// A program of this workspace, which is beside this one.
fn beside(name: &str) -> Result<String, String> {
    let here = std::env::current_exe().map_err(|e| format!("cannot find this program's directory: {e}"))?;
    let path = here.with_file_name(name);
    if path.exists() {
        Ok(path.display().to_string())
    } else {
        Err(format!("{} is not built; `make build` builds it", path.display()))
    }
}

/// A program by path, or by name from `PATH`.
pub(super) fn resolve(program: &Path) -> io::Result<PathBuf> {
    if program.components().count() > 1 {
        let path = std::path::absolute(program)?;
        return if path.exists() { Ok(path) } else { Err(io::Error::from(io::ErrorKind::NotFound)) };
    }
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths)
        .map(|directory| directory.join(program))
        .find(|path| path.exists())
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
}
