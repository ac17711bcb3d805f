//! Settings: environment variables, mirrored by command-line flags.
//!
//! The environment is an argument, so a test configures a program without changing its process. All faults
//! are reported at once; each names the flag or the variable, its value and the fix. A program reads its settings
//! once, at its start, and nothing in it reads the environment afterwards. One exception: an edge file may name
//! variables of its own, which the program passes in when it loads the file.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// A variable that a program reads.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// The name in the environment. Without a [`Flag`] of its own, its flag is the lower-case form with dashes.
    pub name: &'static str,
    /// The value when the variable is unset or empty.
    pub default: Option<&'static str>,
    /// One sentence for `--help`.
    pub help: &'static str,
    /// Whether the value can hold a password. Such a variable has no flag, because every user of the machine can read
    /// the arguments of a process.
    pub secret: bool,
}

/// A filter directive that every program adds to its log filter, behind those of its operator.
///
/// The client of RabbitMQ (lapin) writes each message that the broker returns into the log, whole. An event has
/// addresses and tokens of devices, which no log may have. A publisher reads in the confirmation that a message came
/// back, so nothing is missed.
pub const QUIET: &str = "lapin::returned_messages=off";

/// The values of the variables, read once at startup.
pub struct Reader {
    values: BTreeMap<&'static str, Value>,
    faults: Vec<String>,
}

/// A value, and the name under which it was set.
struct Value {
    text: String,
    origin: String,
}

/// A flag with another name than its variable.
#[derive(Clone, Copy, Debug)]
pub struct Flag {
    /// The name of the variable.
    pub variable: &'static str,
    /// The name of the flag, without the two dashes.
    pub long: &'static str,
    /// What `--help` shows for its value.
    pub value: &'static str,
}

/// A program and its settings, for `--help`.
#[derive(Clone, Copy, Debug)]
pub struct Program<'p> {
    /// The name of the program, as a user types it.
    pub name: &'static str,
    /// One sentence about its purpose.
    pub about: &'static str,
    /// The variables that it reads.
    pub variables: &'p [Variable],
    /// The flags with other names than their variables.
    pub flags: &'p [Flag],
}

impl fmt::Debug for Reader {
    // Values may hold passwords (DATABASE_URL).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("variables", &self.values.keys()).finish_non_exhaustive()
    }
}

/// All invalid settings of a program.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct Faults(Vec<String>);

impl Reader {
    /// Reads the values of `variables` from `environment`. An empty value counts as unset.
    pub fn new(variables: &[Variable], environment: impl Fn(&str) -> Option<String>) -> Self {
        Self::with_flags(variables, |_| None, environment)
    }

    fn with_flags(
        variables: &[Variable],
        flag: impl Fn(&str) -> Option<Value>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Self {
        let value = |v: &Variable| {
            flag(v.name).filter(|value| !value.text.is_empty()).or_else(|| {
                let set = environment(v.name).filter(|text| !text.is_empty());
                let text = set.or_else(|| v.default.map(str::to_owned))?;
                Some(Value { text, origin: v.name.to_owned() })
            })
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
        program: Program<'_>,
        arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, clap::Error> {
        let Program { name, about, variables, flags } = program;
        let long = |variable: &str| match flags.iter().find(|flag| flag.variable == variable) {
            Some(flag) => (flag.long.to_owned(), flag.value),
            None => (variable.to_ascii_lowercase().replace('_', "-"), "VALUE"),
        };
        let arguments_of = variables.iter().filter(|v| !v.secret).map(|v| {
            let default = v.default.map(|d| format!(" [default: {d}]")).unwrap_or_default();
            let (long, value) = long(v.name);
            let help = format!("{} [env: {}]{default}", v.help, v.name);
            clap::Arg::new(v.name).long(long).value_name(value).help(help)
        });
        let command = clap::Command::new(name)
            .about(about)
            .version(env!("CARGO_PKG_VERSION"))
            .args(arguments_of)
            .after_help(environment_only(variables));
        let matches = command.try_get_matches_from(arguments)?;
        let flag = |variable: &str| {
            let text = matches.try_get_one::<String>(variable).ok().flatten()?.clone();
            Some(Value { text, origin: format!("--{}", long(variable).0) })
        };
        Ok(Self::with_flags(variables, flag, environment))
    }

    /// Returns the value of `variable`, if it has one.
    #[must_use]
    pub fn optional(&self, variable: &Variable) -> Option<String> {
        self.values.get(variable.name).map(|value| value.text.clone())
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

    /// Returns an optional value that its own type parses. The error of the type is the fix.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, variable: &Variable) -> Option<T> {
        self.parsed_by(variable, |text| text.parse().map_err(|fix: T::Err| fix.to_string()))
    }

    /// The same for a type whose error does not say how to write a value; `fix` does.
    pub fn parsed_as<T: FromStr>(&mut self, variable: &Variable, fix: &str) -> Option<T> {
        self.parsed_by(variable, |text| text.parse().map_err(|_| fix.to_owned()))
    }

    /// The same with another parser. Its error is the fix.
    pub fn parsed_by<T>(
        &mut self,
        variable: &Variable,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.optional(variable)?;
        parse(&text).map_err(|fix| self.fault(variable, &text, &fix)).ok()
    }

    /// Returns a value that `check` accepts. The error of `check` is the fix.
    pub fn checked(&mut self, variable: &Variable, check: impl Fn(&str) -> Result<(), String>) -> String {
        let text = self.text(variable);
        if let Err(fix) = check(&text) {
            self.fault(variable, &text, &fix);
        }
        text
    }

    /// Notes that `value` of `variable` is not valid. An unset variable is one fault, not two. The value of a
    /// [secret](Variable::secret) variable is not shown.
    fn fault(&mut self, variable: &Variable, value: &str, fix: &str) {
        if value.is_empty() {
            return;
        }
        let origin = self.values.get(variable.name).map_or(variable.name, |value| &value.origin);
        self.faults.push(match variable.secret {
            true => format!("{origin} is not valid: {fix}"),
            false => format!("{origin}={value:?} is not valid: {fix}"),
        });
    }

    /// Reports that settings that belong together are not set together.
    pub fn incomplete(&mut self, what: String) {
        self.faults.push(what);
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

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: Variable =
        Variable { name: "X_ADDRESS", default: Some("127.0.0.1:1"), help: "Where to listen", secret: false };
    const NEEDED: Variable = Variable { name: "X_NEEDED", default: None, help: "What for", secret: false };

    const DATABASE_URL: Variable =
        Variable { name: "DATABASE_URL", default: None, help: "PostgreSQL to use", secret: true };

    fn program(variables: &[Variable]) -> Program<'_> {
        Program { name: "x", about: "", variables, flags: &[] }
    }

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
                Reader::from_command_line(program(&[ADDRESS]), arguments, |_| environment.map(str::to_owned))
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
            Reader::from_command_line(program(&[ADDRESS, DATABASE_URL]), arguments, environment)
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
        let help =
            Reader::from_command_line(program(&[ADDRESS]), ["x", "--help"], none).unwrap_err().to_string();
        assert!(help.contains("[env: X_ADDRESS] [default: 127.0.0.1:1]"), "{help}");
    }

    #[test]
    fn a_flag_with_a_name_of_its_own_is_named_in_help_and_in_its_fault() {
        let flags = [Flag { variable: "X_ADDRESS", long: "listen", value: "ADDRESS:PORT" }];
        let program = Program { flags: &flags, ..program(&[ADDRESS]) };
        let help = Reader::from_command_line(program, ["x", "--help"], none).unwrap_err().to_string();
        assert!(help.contains("--listen <ADDRESS:PORT>") && !help.contains("--x-address"), "{help}");
        let mut reader = Reader::from_command_line(program, ["x", "--listen", "nowhere"], none).unwrap();
        assert_eq!(reader.parsed_as::<SocketAddr>(&ADDRESS, "write an address"), None);
        let fault = reader.finish(()).unwrap_err().to_string();
        assert_eq!(fault, "--listen=\"nowhere\" is not valid: write an address");
    }

    #[test]
    fn a_secret_that_is_not_valid_is_not_shown() {
        let mut reader = Reader::new(&[DATABASE_URL], |_| Some("hunter2".to_owned()));
        assert_eq!(reader.parsed_as::<SocketAddr>(&DATABASE_URL, "write postgres://…"), None);
        assert_eq!(
            reader.finish(()).unwrap_err().to_string(),
            "DATABASE_URL is not valid: write postgres://…"
        );
    }
}
