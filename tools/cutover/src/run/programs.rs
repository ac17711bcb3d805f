//! The programs of a run, and their addresses.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use edge_config::edge::Socket;
use edge_config::{Edge, Environment};

/// The backends that a run starts: the variable of each address, and its default. An edge file may have other defaults
/// (`legacy.internal:3000`), but the run decides where its programs listen.
const OWN: [(&str, &str); 3] = [
    ("LEGACY_ADDRESS", "127.0.0.1:3000"),
    ("AUTH_ADDRESS", "127.0.0.1:3021"),
    ("USERS_ADDRESS", "127.0.0.1:3022"),
];

/// The environment in which a run and all of its programs read the edge file.
pub(super) fn surroundings(home: &Path, name: &str, environment: Environment<'_>) -> Option<String> {
    if name == "CUTOVER_HOME" {
        // The home decides where the edge file's paths point, even when an option gave it.
        return Some(home.display().to_string());
    }
    let set = environment(name).filter(|value| !value.is_empty());
    set.or_else(|| OWN.iter().find(|(own, _)| *own == name).map(|(_, default)| (*default).to_owned()))
}

/// One address of a run: the program that listens there, and the variable that changes it.
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
    pub(super) legacy: Address,
    pub(super) auth: Address,
    pub(super) users: Address,
    /// The comparator's addresses for copies and for its report; absent when no route has a shadow.
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
            // If the edge file gives a host name, it listens on loopback unless the variable says otherwise.
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
            .chain([&self.authorizer_admin, &self.legacy, &self.auth, &self.users])
            .chain(self.comparator.iter().flatten())
    }

    /// The listener for clients.
    pub(super) fn public(&self) -> Option<SocketAddr> {
        self.listeners.iter().find(|l| l.who == "edge, public").map(|l| l.address)
    }

    /// The listener for services.
    pub(super) fn service(&self) -> Option<SocketAddr> {
        self.listeners.iter().find(|l| l.who != "edge, public").map(|l| l.address)
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

/// One program that the supervisor keeps running.
pub(super) struct Program {
    pub(super) name: &'static str,
    pub(super) command: Vec<String>,
    pub(super) environment: Vec<(&'static str, String)>,
}

/// The programs of a run, each after the ones that it needs.
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
        ("ROOT_DOMAIN", plan.edge.root_domain.clone().unwrap_or_default()),
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
        return Err(format!("{} does not exist; `make setup` installs it", gunicorn.display()));
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
                ("ROOT_DOMAIN", plan.edge.root_domain.clone().unwrap_or_default()),
                // It does not speak TLS; behind an edge with TLS it keeps sessions of its own.
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
                // One Envoy for each run: there is no other Envoy to take over from.
                "--disable-hot-restart".to_owned(),
                "--log-level".to_owned(),
                "warning".to_owned(),
                // A reader of the access log should not wait the default ten seconds for a line.
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

/// The addresses of the backends that a run starts, for the programs that read the edge file.
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
