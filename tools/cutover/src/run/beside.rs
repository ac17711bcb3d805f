//! What a run starts besides the edge: the file `NAME.run.yaml` beside the edge file `NAME.yaml`.
//!
//! An edge of your own needs no such file: its backends run elsewhere. The edges of this repository have one, because a
//! demonstration is of no use without something behind it.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::part::{Address, Probe, Program};

/// The file's content.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Beside {
    /// Where its programs run, from the file's own directory.
    #[serde(default)]
    directory: PathBuf,
    /// Files without which it is of no use, in `directory`.
    #[serde(default)]
    needs: Vec<PathBuf>,
    /// The addresses of its programs.
    #[serde(default)]
    addresses: Vec<Listens>,
    /// Directories to make in the home.
    #[serde(default)]
    pub(super) directories: Vec<PathBuf>,
    /// The tenants of a first run, beside the file.
    tenants: Option<PathBuf>,
    /// Its programs, each after the ones that it needs.
    #[serde(default)]
    programs: Vec<Described>,
    /// The host group whose name the greeting shows, where clients need a name.
    pub(super) host: Option<String>,
    /// What the greeting says besides where the programs listen.
    greeting: Option<String>,
    /// The file itself, for messages.
    #[serde(skip)]
    file: PathBuf,
}

/// An address of a program.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listens {
    /// The program, as the greeting calls it.
    of: String,
    /// The environment variable that changes it.
    variable: String,
    default: String,
}

/// A program to start.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    name: String,
    /// The program and its arguments.
    command: Vec<String>,
    /// How to get it when it is missing.
    missing: Option<String>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    ready: Ready,
}

/// When a program is ready.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ready {
    /// The variable of its address.
    address: String,
    path: String,
    /// Whether any answer counts, for a program without a probe; otherwise 200.
    #[serde(default)]
    any_answer: bool,
}

/// The values of the variables in the file.
pub(super) type Values = BTreeMap<String, String>;

impl Beside {
    /// Reads the file beside `edge_file`; without one, nothing is started besides the edge.
    pub(super) fn of(edge_file: &Path) -> Result<Self, String> {
        let file = edge_file.with_extension("run.yaml");
        let failed = |what: String| format!("{}: {what}", file.display());
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(failed(error.to_string())),
        };
        let read: Self = serde_saphyr::from_str(&text).map_err(|error| failed(error.to_string()))?;
        let this = Self { file, ..read };
        for needed in &this.needs {
            let path = this.directory().join(needed);
            if !path.exists() {
                return Err(format!(
                    "{} does not exist, and {} needs it; correct `directory` there, or remove that file to start the edge \
                     alone",
                    path.display(),
                    this.file.display()
                ));
            }
        }
        Ok(this)
    }

    /// The default of the address with this variable.
    pub(super) fn default_of(&self, variable: &str) -> Option<&str> {
        self.addresses.iter().find(|one| one.variable == variable).map(|one| one.default.as_str())
    }

    /// The addresses of the programs, from their variables.
    pub(super) fn addresses(
        &self,
        environment: edge_config::Environment<'_>,
    ) -> Result<Vec<Address>, String> {
        let one =
            |Listens { of, variable, default }: &Listens| Address::from(of, variable, default, environment);
        self.addresses.iter().map(one).collect()
    }

    /// The tenants of a first run: those that the file names, or `NAME.tenants.yaml` beside the edge file.
    pub(super) fn first_tenants(&self, edge_file: &Path) -> PathBuf {
        let own = edge_file.with_extension("tenants.yaml");
        match &self.tenants {
            Some(named) if !own.exists() => self.file.with_file_name(named),
            Some(_) | None => own,
        }
    }

    /// The programs, with the values of their variables.
    pub(super) fn programs(&self, values: &Values) -> Result<Vec<Program>, String> {
        self.programs.iter().map(|program| self.program(program, values)).collect()
    }

    fn program(&self, described: &Described, values: &Values) -> Result<Program, String> {
        let Described { name, command, missing, environment, ready: _ } = described;
        let command: Vec<String> =
            command.iter().map(|part| self.filled(part, values)).collect::<Result<_, _>>()?;
        let Some(program) = command.first() else {
            return Err(format!("{}: the program `{name}` has no `command`", self.file.display()));
        };
        if Path::new(program).is_absolute() && !Path::new(program).exists() {
            let fix = missing.as_ref().map(|fix| format!("; {fix}")).unwrap_or_default();
            return Err(format!("{program} does not exist{fix}"));
        }
        let environment = environment
            .iter()
            .map(|(name, value)| Ok((name.clone(), self.filled(value, values)?)))
            .collect::<Result<_, String>>()?;
        Ok(Program { name: name.clone(), command, environment, directory: Some(self.directory()) })
    }

    /// The probes of the programs.
    pub(super) fn probes(&self, addresses: &[Address]) -> Result<Vec<Probe>, String> {
        let one = |Described { name, ready: Ready { address, path, any_answer }, .. }: &Described| {
            let at = addresses.iter().find(|known| known.variable == *address).ok_or_else(|| {
                format!(
                    "{}: `{name}` is ready at {address}, which is not in `addresses`",
                    self.file.display()
                )
            })?;
            Ok(Probe {
                program: name.clone(),
                address: at.address,
                path: path.clone(),
                any_answer: *any_answer,
            })
        };
        self.programs.iter().map(one).collect()
    }

    /// What the greeting says, with the values of its variables.
    pub(super) fn greeting(&self, values: &Values) -> Result<Option<String>, String> {
        self.greeting.as_ref().map(|text| self.filled(text, values)).transpose()
    }

    /// The names of the programs.
    pub(super) fn is_empty(&self) -> bool {
        self.programs.is_empty()
    }

    fn directory(&self) -> PathBuf {
        let beside = self.file.parent().unwrap_or_else(|| Path::new("."));
        let joined = beside.join(&self.directory);
        fs::canonicalize(&joined).unwrap_or(joined)
    }

    /// Replaces `${NAME}`. A `$` without a brace stays, as in a shell command to paste.
    fn filled(&self, text: &str, values: &Values) -> Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, tail)) = after.split_once('}') else {
                return Err(format!("{}: {text:?} opens `${{` and does not close it", self.file.display()));
            };
            let Some(value) = values.get(name) else {
                let known: Vec<&str> = values.keys().map(String::as_str).collect();
                return Err(format!(
                    "{}: {text:?} names ${{{name}}}; there are: {}",
                    self.file.display(),
                    known.join(", ")
                ));
            };
            filled.push_str(before);
            filled.push_str(value);
            rest = tail;
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Beside {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join("shop.run.yaml"), text).unwrap();
        Beside::of(&home.path().join("shop.yaml")).unwrap()
    }

    #[test]
    fn variables_are_filled_in_and_shell_variables_stay() {
        let beside = read("greeting: 'EDGE=${EDGE_URL}; echo $EDGE $(date)'\n");
        let values = Values::from([("EDGE_URL".to_owned(), "http://localhost:1".to_owned())]);
        assert_eq!(beside.greeting(&values).unwrap().unwrap(), "EDGE=http://localhost:1; echo $EDGE $(date)");
        let said = beside.greeting(&Values::from([("OTHER".to_owned(), String::new())])).unwrap_err();
        assert!(said.contains("shop.run.yaml") && said.contains("${EDGE_URL}; there are: OTHER"), "{said}");
    }

    #[test]
    fn an_edge_without_such_a_file_starts_nothing_else_and_a_wrong_file_is_reported() {
        let home = tempfile::tempdir().unwrap();
        let edge = home.path().join("shop.yaml");
        assert!(Beside::of(&edge).unwrap().is_empty());
        fs::write(home.path().join("shop.run.yaml"), "program: []\n").unwrap();
        let said = Beside::of(&edge).unwrap_err();
        assert!(said.contains("shop.run.yaml") && said.contains("program"), "{said}");
        fs::write(home.path().join("shop.run.yaml"), "needs: [app.py]\n").unwrap();
        let said = Beside::of(&edge).unwrap_err();
        assert!(said.contains("app.py does not exist"), "{said}");
    }
}
