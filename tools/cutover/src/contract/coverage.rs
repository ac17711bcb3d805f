//! `cutover contract coverage`: which routes, operations and denial reasons have an exchange.
//!
//! Evidence is counted, not claims: a route has an exchange when a golden file's request takes it, or when the access log of
//! a run has a request that took it. A denial reason is in the access log alone, because no client sees it.

mod reasons;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::Args;
use contract::golden::Golden;
use contract::requests;
use edge_config::{Edge, Environment, Match, route_of};
use serde::Deserialize;

use super::refused;
use crate::exit::{DONE, FOUND};
use crate::{out, render};

/// `cutover contract coverage`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The edge file.
    #[arg(value_name = "EDGE_FILE")]
    pub file: PathBuf,
    /// The directory of the golden files.
    #[arg(long, value_name = "DIR")]
    pub goldens: Option<PathBuf>,
    /// The access log of a run of the contract's tests: denial reasons are in it alone. May be given more than once.
    #[arg(long, value_name = "FILE")]
    pub access_log: Vec<PathBuf>,
    /// An OpenAPI document, each operation of which needs an exchange.
    #[arg(long, value_name = "FILE")]
    pub openapi: Option<PathBuf>,
    /// What may be without an exchange: lines such as `route NAME  # why`, `operation GET /path  # why`,
    /// `reason CODE  # why`.
    #[arg(long, value_name = "FILE")]
    pub exceptions: Option<PathBuf>,
    /// Fail when there are more exceptions than this: the number in a CI script can only be lowered.
    #[arg(long, value_name = "N")]
    pub most: Option<usize>,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// Something that needs an exchange: its kind and its name, as in the exceptions file.
type Item = (&'static str, String);

/// What was found.
#[derive(Debug, Default)]
struct Coverage {
    wanted: BTreeSet<Item>,
    covered: BTreeSet<Item>,
    exceptions: BTreeMap<(String, String), u64>,
}

#[derive(Deserialize)]
struct Logged {
    route: Option<String>,
    reason: Option<String>,
    decision: Option<String>,
    method: Option<String>,
    path: Option<String>,
}

/// Counts and prints.
pub(super) fn main(arguments: &Arguments, environment: Environment<'_>) -> u8 {
    let edge = match render::load(&arguments.file, environment) {
        Ok(edge) => edge,
        Err(message) => return refused("coverage", &message),
    };
    match counted(arguments, &edge) {
        Ok(coverage) => print(arguments, &coverage),
        Err(message) => refused("coverage", &message),
    }
}

fn counted(arguments: &Arguments, edge: &Edge) -> Result<Coverage, String> {
    let Arguments { goldens, access_log, openapi, exceptions, .. } = arguments;
    if goldens.is_none() && access_log.is_empty() {
        return Err("name golden files with --goldens, or the log of a run with --access-log".to_owned());
    }
    let mut coverage = Coverage::default();
    coverage.wanted.extend(edge.routes.iter().map(|route| ("route", route.name.clone())));
    let operations = openapi.as_deref().map(operations).transpose()?.unwrap_or_default();
    coverage.wanted.extend(operations.iter().map(|operation| ("operation", shown(operation))));
    if !access_log.is_empty() {
        coverage.wanted.extend(reasons::of(edge).into_iter().map(|code| ("reason", code.to_owned())));
    }
    if let Some(directory) = goldens {
        let set = requests::read(directory, &BTreeMap::new()).map_err(|error| error.to_string())?;
        for golden in &set.goldens {
            coverage.golden(edge, golden, &operations);
        }
    }
    for path in access_log {
        let text = text(path)?;
        for line in text.lines().filter_map(|line| serde_json::from_str::<Logged>(line).ok()) {
            coverage.logged(line, &operations);
        }
    }
    if let Some(path) = exceptions {
        coverage.exceptions = read_exceptions(path)?;
    }
    Ok(coverage)
}

fn text(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path)
        .map_err(|error| format!("cannot read {}: {error}; check the path", path.display()))
}

fn operations(path: &Path) -> Result<Vec<(String, String)>, String> {
    requests::operations(&text(path)?).map_err(|what| format!("{}: {what}", path.display()))
}

fn shown((method, path): &(String, String)) -> String {
    format!("{method} {path}")
}

/// Whether `path` is one of the template `/books/{id}`.
fn is_of(template: &str, path: &str) -> bool {
    let (mut wanted, mut own) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), own.next()) {
            (None, None) => return true,
            (Some(wanted), Some(own)) if wanted.contains('{') && !own.is_empty() || wanted == own => {}
            _ => return false,
        }
    }
}

impl Coverage {
    fn golden(&mut self, edge: &Edge, golden: &Golden, operations: &[(String, String)]) {
        let request = &golden.request;
        let target = String::from_utf8_lossy(&request.target).into_owned();
        let path = target.split('?').next().unwrap_or_default();
        let host = request.host.as_deref().unwrap_or_default();
        for listener in edge.listeners.keys() {
            if let Match::Route(route) = route_of(edge, listener, host, &request.method, path) {
                self.covered.insert(("route", route.name.clone()));
            }
        }
        self.operation(&request.method, path, operations);
    }

    fn logged(&mut self, line: Logged, operations: &[(String, String)]) {
        let Logged { route, reason, decision, method, path } = line;
        self.covered.extend(route.map(|route| ("route", route)));
        if decision.as_deref() == Some("deny") {
            self.covered.extend(reason.map(|reason| ("reason", reason)));
        }
        if let (Some(method), Some(path)) = (method, path) {
            self.operation(&method, &path, operations);
        }
    }

    fn operation(&mut self, method: &str, path: &str, operations: &[(String, String)]) {
        // A path that one operation spells out is not another one's parameter.
        let of = |operation: &&(String, String)| operation.0 == method && is_of(&operation.1, path);
        let best = operations.iter().filter(of).min_by_key(|(_, template)| template.matches('{').count());
        self.covered.extend(best.map(|operation| ("operation", shown(operation))));
    }

    fn is_exception(&self, item: &Item) -> bool {
        self.exceptions.contains_key(&(item.0.to_owned(), item.1.clone()))
    }

    /// What has neither an exchange nor an exception.
    fn missing(&self) -> Vec<&Item> {
        self.wanted.iter().filter(|item| !self.covered.contains(*item) && !self.is_exception(item)).collect()
    }

    /// Exceptions that are not needed any more, with their lines and the reason.
    fn needless(&self) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        for ((kind, name), line) in &self.exceptions {
            let is = |item: &&Item| item.0 == kind && item.1 == *name;
            if self.covered.iter().any(|item| is(&item)) {
                found.push((*line, format!("{kind} {name} has an exchange now")));
            } else if !self.wanted.iter().any(|item| is(&item)) {
                found.push((*line, format!("{kind} {name} does not exist, or is not checked in this run")));
            }
        }
        found.sort();
        found
    }
}

/// Reads `KIND NAME  # why` lines.
fn read_exceptions(path: &Path) -> Result<BTreeMap<(String, String), u64>, String> {
    let mut found = BTreeMap::new();
    for (line, text) in (1..).zip(text(path)?.lines()) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| format!("{}:{line}: {what}: `{text}`", path.display());
        let (item, why) = text.split_once(" #").unwrap_or((text, ""));
        if why.trim().is_empty() {
            return Err(wrong("an exception states its reason; write `# why` after it"));
        }
        let (kind, name) = item.trim().split_once(' ').ok_or_else(|| wrong("write a kind and a name"))?;
        if !["route", "operation", "reason"].contains(&kind) {
            return Err(wrong("the kind is none of route, operation, reason"));
        }
        if found.insert((kind.to_owned(), name.trim().to_owned()), line).is_some() {
            return Err(wrong("the exception stands there twice; remove one"));
        }
    }
    Ok(found)
}

fn print(arguments: &Arguments, coverage: &Coverage) -> u8 {
    let (missing, needless) = (coverage.missing(), coverage.needless());
    let exceptions = coverage.exceptions.len();
    let too_many = arguments.most.filter(|most| exceptions > *most);
    let is_well = missing.is_empty() && needless.is_empty() && too_many.is_none();
    let file = arguments.exceptions.as_deref().unwrap_or(Path::new("exceptions")).display();
    let counts = ["route", "operation", "reason"].map(|kind| {
        let of = |items: &BTreeSet<Item>| items.iter().filter(|item| item.0 == kind).count();
        let covered =
            coverage.wanted.iter().filter(|item| item.0 == kind && coverage.covered.contains(*item));
        (kind, covered.count(), of(&coverage.wanted))
    });
    if arguments.json {
        let missing: Vec<String> = missing.iter().map(|(kind, name)| format!("{kind} {name}")).collect();
        let counts: BTreeMap<&str, [usize; 2]> =
            counts.into_iter().map(|(kind, covered, all)| (kind, [covered, all])).collect();
        out::line!(
            "{:#}",
            serde_json::json!({ "covered": is_well, "counts": counts, "missing": missing,
                "needless_exceptions": needless.iter().map(|(_, why)| why).collect::<Vec<_>>(), "exceptions": exceptions })
        );
        return if is_well { DONE } else { FOUND };
    }
    for (kind, name) in missing {
        out::line!("{kind} {name} has no exchange; record one, or list it in the exceptions with its reason");
    }
    for (line, why) in needless {
        out::line!("{file}:{line}: {why}; remove the line");
    }
    if let Some(most) = too_many {
        out::line!("{file} has {exceptions} exceptions, and --most allows {most}");
    }
    let words = counts.iter().filter(|(_, _, all)| *all > 0);
    let words: Vec<String> =
        words.map(|(kind, covered, all)| format!("{covered} of {all} {kind}s")).collect();
    out::line!("{} have an exchange, {exceptions} exceptions", words.join(", "));
    if arguments.access_log.is_empty() {
        out::line!("denial reasons are not checked: they are in an access log alone (--access-log)");
    }
    if is_well { DONE } else { FOUND }
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn a_path_is_of_a_template_by_whole_segments() {
        assert!(is_of("/books/{id}", "/books/7") && is_of("/", "/"));
        assert!(!is_of("/books/{id}", "/books/") && !is_of("/books/{id}", "/books/7/x"));
        assert!(!is_of("/books/{id}", "/book/7") && !is_of("/books", "/books/7"));
    }
}
