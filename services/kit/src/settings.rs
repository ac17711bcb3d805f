//! Settings: environment variables, mirrored by command-line flags.
//!
//! The environment is an argument, so a test configures a service without changing its process. All faults
//! are reported at once. Each names the variable and the fix, and the process then exits with 64.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A variable that a service reads.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// The name in the environment. The flag is its lower-case form with dashes.
    pub name: &'static str,
    /// The value when the variable is unset or empty.
    pub default: Option<&'static str>,
    /// One sentence for `--help`.
    pub help: &'static str,
    /// Whether the value can hold a password. Such a variable has no flag, because every user of the machine can read
    /// the arguments of a process.
    pub secret: bool,
}

/// The directory of everything that a run writes: keys, databases, mail.
pub const CUTOVER_HOME: Variable = Variable {
    name: "CUTOVER_HOME",
    default: Some(".run"),
    help: "Directory of keys, databases and everything else that a run writes",
    secret: false,
};

/// The edge whose signature a service trusts.
pub const EDGE_NAME: Variable = Variable {
    name: "EDGE_NAME",
    default: Some("dev"),
    help: "Name of the edge that signs the callers' identities (`edge` in the edge file)",
    secret: false,
};

/// The database to use.
pub const DATABASE_URL: Variable = Variable {
    name: "DATABASE_URL",
    default: None,
    help: "PostgreSQL to use, as postgres://user:password@host/database; unset means SQLite in CUTOVER_HOME",
    secret: true,
};

/// The log level.
pub const RUST_LOG: Variable = Variable {
    name: "RUST_LOG",
    // The database layers log every statement at `info` and below.
    default: Some("info,sqlx=warn,sea_orm=warn,sea_orm_migration=warn"),
    help: "What to log, as tracing's filter directives",
    secret: false,
};

/// The values of the variables, read once at startup.
pub struct Reader {
    values: BTreeMap<&'static str, String>,
    faults: Vec<String>,
}

impl fmt::Debug for Reader {
    // Values may hold passwords (DATABASE_URL).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("variables", &self.values.keys()).finish_non_exhaustive()
    }
}

/// All invalid settings of a service.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Faults(Vec<String>);

impl Reader {
    /// Reads the values of `variables` from `environment`. An empty value counts as unset.
    pub fn new(variables: &[Variable], environment: impl Fn(&str) -> Option<String>) -> Self {
        let value = |v: &Variable| {
            environment(v.name).filter(|text| !text.is_empty()).or_else(|| v.default.map(str::to_owned))
        };
        let values = variables.iter().filter_map(|v| Some((v.name, value(v)?))).collect();
        Self { values, faults: Vec::new() }
    }

    /// Reads flags from `arguments` (the first is the program's name) before the environment. The values of
    /// [secret](Variable::secret) variables come only from the environment.
    ///
    /// # Errors
    /// The error of `clap`. `--help` is an error, too, which prints itself and exits with 0.
    pub fn from_command_line(
        name: &'static str,
        about: &'static str,
        variables: &[Variable],
        arguments: impl IntoIterator<Item = OsString>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, clap::Error> {
        let flags = variables.iter().filter(|v| !v.secret).map(|v| {
            let default = v.default.map(|d| format!(" [default: {d}]")).unwrap_or_default();
            clap::Arg::new(v.name)
                .long(v.name.to_ascii_lowercase().replace('_', "-"))
                .value_name("VALUE")
                .help(format!("{} [env: {}]{default}", v.help, v.name))
        });
        let command = clap::Command::new(name)
            .about(about)
            .version(env!("CARGO_PKG_VERSION"))
            .args(flags)
            .after_help(environment_only(variables));
        let matches = command.try_get_matches_from(arguments)?;
        Ok(Self::new(variables, |variable| {
            let flag = matches.try_get_one::<String>(variable).ok().flatten();
            flag.cloned().or_else(|| environment(variable))
        }))
    }

    /// Returns the value of `variable`, if it has one.
    #[must_use]
    pub fn optional(&self, variable: &Variable) -> Option<String> {
        self.values.get(variable.name).cloned()
    }

    /// Returns the value of `variable`. A missing value is a fault.
    pub fn text(&mut self, variable: &Variable) -> String {
        self.optional(variable).unwrap_or_else(|| {
            self.faults.push(format!("{} is not set: {}", variable.name, variable.help));
            String::new()
        })
    }

    /// Returns a path.
    pub fn path(&mut self, variable: &Variable) -> PathBuf {
        PathBuf::from(self.text(variable))
    }

    /// Returns an address to listen on. Port 0 selects any free port.
    pub fn address(&mut self, variable: &Variable) -> SocketAddr {
        let text = self.text(variable);
        text.parse().unwrap_or_else(|_| {
            self.fault(variable, &text, "write an address and a port, such as 127.0.0.1:3021");
            SocketAddr::from(([0, 0, 0, 0], 0))
        })
    }

    /// Returns a value that `check` accepts. The error of `check` is the fix.
    pub fn checked(&mut self, variable: &Variable, check: impl Fn(&str) -> Result<(), String>) -> String {
        let text = self.text(variable);
        if let Err(fix) = check(&text) {
            self.fault(variable, &text, &fix);
        }
        text
    }

    /// Returns an optional value that its own type parses. The error of the type is the fix.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, variable: &Variable) -> Option<T> {
        let text = self.optional(variable)?;
        text.parse().map_err(|fix: T::Err| self.fault(variable, &text, &fix.to_string())).ok()
    }

    fn fault(&mut self, variable: &Variable, value: &str, fix: &str) {
        // An unset variable is one fault, not two.
        if !value.is_empty() {
            self.faults.push(format!("{}={value:?} is not valid: {fix}", variable.name));
        }
    }

    /// Returns `settings`, unless there was a fault.
    ///
    /// # Errors
    /// [`Faults`] with all of them.
    pub fn finish<T>(self, settings: T) -> Result<T, Faults> {
        if self.faults.is_empty() { Ok(settings) } else { Err(Faults(self.faults)) }
    }
}

/// Formats the part of `--help` about variables without a flag.
fn environment_only(variables: &[Variable]) -> String {
    let secret = variables.iter().filter(|v| v.secret);
    let lines: Vec<String> =
        secret.map(|v| format!("  {}\n          {} [env: {}]", v.name, v.help, v.name)).collect();
    if lines.is_empty() {
        return String::new();
    }
    format!("Environment only, because the value can hold a password:\n{}", lines.join("\n"))
}

/// Locates the files below `CUTOVER_HOME` that more than one service uses.
#[derive(Clone, Debug)]
pub struct Home(pub PathBuf);

impl Home {
    /// Returns the path `keys/NAME`.
    #[must_use]
    pub fn key(&self, name: &str) -> PathBuf {
        self.0.join("keys").join(name)
    }

    /// Returns the path `db/NAME.sqlite`.
    #[must_use]
    pub fn database(&self, name: &str) -> PathBuf {
        self.0.join("db").join(format!("{name}.sqlite"))
    }

    /// Returns the directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Variable =
        Variable { name: "X_ADDRESS", default: Some("127.0.0.1:1"), help: "Where to listen", secret: false };
    const NEEDED: Variable = Variable { name: "X_NEEDED", default: None, help: "What for", secret: false };

    fn none(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn every_fault_is_reported_and_names_the_variable() {
        let mut reader =
            Reader::new(&[ADDRESS, NEEDED], |name| (name == "X_ADDRESS").then(|| "nowhere".to_owned()));
        let _ = (reader.address(&ADDRESS), reader.text(&NEEDED));
        let faults = reader.finish(()).unwrap_err().to_string();
        assert_eq!(
            faults,
            "X_ADDRESS=\"nowhere\" is not valid: write an address and a port, such as 127.0.0.1:3021\n\
             X_NEEDED is not set: What for"
        );
    }

    #[test]
    fn a_flag_beats_the_environment_and_the_environment_beats_the_default() {
        let read = |arguments: &[&str], environment: Option<&str>| {
            let arguments = arguments.iter().map(OsString::from);
            let mut reader =
                Reader::from_command_line("x", "", &[ADDRESS], arguments, |_| environment.map(str::to_owned))
                    .unwrap();
            reader.address(&ADDRESS).port()
        };
        assert_eq!(read(&["x"], None), 1);
        assert_eq!(read(&["x"], Some("")), 1);
        assert_eq!(read(&["x"], Some("127.0.0.1:2")), 2);
        assert_eq!(read(&["x", "--x-address", "127.0.0.1:3"], Some("127.0.0.1:2")), 3);
    }

    #[test]
    fn a_secret_comes_from_the_environment_alone_and_help_says_so() {
        let read = |arguments: &[&str]| {
            let arguments = arguments.iter().map(OsString::from);
            let environment = |_: &str| Some("postgres://u:hunter2@h/d".to_owned());
            Reader::from_command_line("x", "", &[ADDRESS, DATABASE_URL], arguments, environment)
        };
        let reader = read(&["x"]).unwrap();
        assert_eq!(reader.optional(&DATABASE_URL).as_deref(), Some("postgres://u:hunter2@h/d"));
        assert!(read(&["x", "--database-url", "postgres://h/d"]).is_err(), "there is no such flag");
        let help = read(&["x", "--help"]).unwrap_err().to_string();
        assert!(help.contains("Environment only") && help.contains("DATABASE_URL"), "{help}");
        assert!(!help.contains("--database-url") && !help.contains("hunter2"), "{help}");
    }

    #[test]
    fn help_lists_every_variable() {
        let help = Reader::from_command_line("x", "", &[ADDRESS], ["x".into(), "--help".into()], none)
            .unwrap_err()
            .to_string();
        assert!(help.contains("[env: X_ADDRESS] [default: 127.0.0.1:1]"), "{help}");
    }
}
