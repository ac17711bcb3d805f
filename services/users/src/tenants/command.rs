//! `users tenants`: names the tenants of people whom the legacy backend made.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use kit::settings::{DATABASE_URL, Reader};
use sea_orm::{DatabaseConnection, EntityTrait as _, QuerySelect as _};
use tokio::time::Instant;

use super::known::KnownTenants;
use super::map::{self, MapError};
use super::rule::Rule;
use super::run::{self, Options, Problem, Report, Source};
use crate::account::entity::{Column, Entity};

/// How many people one transaction changes by default: a fraction of a second of any database, so that the legacy
/// backend's own changes to these people hardly wait.
const BATCH: u64 = 500;

/// The largest batch. PostgreSQL takes at most 65,535 parameters in one statement.
const MAX_BATCH: u64 = 10_000;

/// How often progress is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// The configuration is wrong.
const INVALID: u8 = 64;

/// Name the tenants of existing people.
///
/// A person without a tenant cannot sign in. This gives a tenant to people who have none, by a rule or by a mapping
/// file, and never changes a tenant that a person has. It works in small transactions while the services run. When it
/// is stopped, the same command goes on where it stopped.
#[derive(Debug, Parser)]
#[command(
    name = "users tenants",
    after_help = "The database is DATABASE_URL, or the SQLite file in CUTOVER_HOME.\n\nExit codes: 0 every person has a \
                  tenant now (or would have), 1 some people have none, or the work failed, 2 wrong usage, 64 the rule, \
                  the mapping file or the listing of tenants is not valid."
)]
struct Arguments {
    /// By e-mail domain: DOMAIN=TENANT, `*` for all other domains. May be given more than once.
    #[arg(long, value_name = "DOMAIN=TENANT", required_unless_present = "map", conflicts_with = "map")]
    rule: Vec<Rule>,
    /// By a file with PERSON,TENANT or {"email": …, "tenant": …} on each line; a person is an id or an address.
    #[arg(long, value_name = "FILE")]
    map: Option<PathBuf>,
    /// The tenants that exist, as the edge reads them [default: tenants.yaml in CUTOVER_HOME].
    #[arg(long, value_name = "FILE")]
    tenants: Option<PathBuf>,
    /// Count and show examples, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// How many people one transaction changes.
    #[arg(long, value_name = "NUMBER", default_value_t = BATCH, value_parser = clap::value_parser!(u64).range(1..=MAX_BATCH))]
    batch: u64,
    /// Directory of everything that a run writes.
    #[arg(long, env = "CUTOVER_HOME", default_value = ".run", value_name = "DIRECTORY")]
    home: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A failure with its exit code.
struct Failed(u8, String);

/// Runs `users tenants` with the arguments of this process.
pub async fn main() -> ExitCode {
    secret_file::restrict_new_files();
    let arguments = std::env::args_os().skip(1);
    let arguments = Arguments::try_parse_from(arguments).unwrap_or_else(|usage| usage.exit());
    let mut reader = Reader::new(&[DATABASE_URL], |name| std::env::var(name).ok());
    let database_url = kit::settings::database_url(&mut reader);
    let database_url = match reader.finish(database_url) {
        Ok(url) => url,
        Err(faults) => {
            complain(&faults.to_string());
            return ExitCode::from(INVALID);
        }
    };
    match work(&arguments, database_url.as_deref()).await {
        Ok(report) => {
            let text = if arguments.json {
                serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
            } else {
                shown(&report)
            };
            // A reader that left early changes nothing about what was done.
            let _ = std::io::stdout().lock().write_all(text.as_bytes());
            ExitCode::from(u8::from(!report.is_complete()))
        }
        Err(Failed(code, why)) => {
            complain(&why);
            ExitCode::from(code)
        }
    }
}

async fn work(arguments: &Arguments, database_url: Option<&str>) -> Result<Report, Failed> {
    let invalid = |why: String| Failed(INVALID, why);
    let tenants = arguments.tenants.clone().unwrap_or_else(|| arguments.home.join("tenants.yaml"));
    let known = KnownTenants::read(&tenants).map_err(invalid)?;
    let source = source(arguments, &known)?;
    let home = kit::settings::Home(arguments.home.clone());
    let database = open(database_url, &home, arguments.dry_run).await?;
    let options = Options { dry_run: arguments.dry_run, batch: arguments.batch };
    let mut reported = None;
    let progress = |done, all| {
        let due = reported.is_none_or(|at: Instant| at.elapsed() >= PROGRESS_INTERVAL);
        if due || done == all {
            reported = Some(Instant::now());
            complain(&format!("{done} of {all}"));
        }
    };
    run::run(&database, &source, options, progress).await.map_err(|error| {
        Failed(1, format!("{}; run the same command again, it goes on from here", kit::answer::Chain(&error)))
    })
}

fn source(arguments: &Arguments, known: &KnownTenants) -> Result<Source, Failed> {
    let invalid = |why: String| Failed(INVALID, why);
    if let Some(path) = &arguments.map {
        return match map::check(path, known) {
            Ok(_) => Ok(Source::Map(path.clone())),
            Err(MapError::Lines(faults)) => {
                let lines: Vec<String> =
                    faults.to_string().lines().map(|l| format!("{}: {l}", path.display())).collect();
                Err(invalid(format!("{}\nnothing was changed; correct these lines", lines.join("\n"))))
            }
            Err(error @ MapError::Io(_)) => Err(invalid(format!("{}: {error}", path.display()))),
        };
    }
    let rule = arguments.rule.iter().cloned().try_fold(Rule::default(), Rule::and);
    let rule = rule.map_err(|error| invalid(format!("--rule: {error}")))?;
    let unknown = rule.tenants().find(|tenant| !known.has(*tenant));
    match unknown {
        Some(tenant) => Err(invalid(format!("--rule: the tenant {tenant} does not exist"))),
        None => Ok(Source::Rule(rule)),
    }
}

/// Opens the database with its tables up to date. A dry run changes no table.
async fn open(
    database_url: Option<&str>,
    home: &kit::settings::Home,
    dry_run: bool,
) -> Result<DatabaseConnection, Failed> {
    let file = home.database("users");
    if database_url.is_none() && !file.exists() {
        let fix = "set DATABASE_URL, or CUTOVER_HOME to the directory of a run";
        return Err(Failed(INVALID, format!("there is no database {}; {fix}", file.display())));
    }
    let failed = |error: kit::store::StoreError| Failed(1, error.to_string());
    let database = kit::store::open(database_url, &file).await.map_err(failed)?;
    if dry_run {
        let column = Entity::find().select_only().column(Column::TenantId).limit(1);
        let found: Result<Option<Option<uuid::Uuid>>, _> = column.into_tuple().one(&database).await;
        found.map_err(|error| {
            let fix = "start the users service once, which adds the column of tenants";
            Failed(1, format!("the tables are not up to date: {error}; {fix}"))
        })?;
    } else {
        crate::migrations::run(&database).await.map_err(failed)?;
    }
    Ok(database)
}

fn shown(report: &Report) -> String {
    let mut text = String::new();
    let would = if report.dry_run { "would get" } else { "got" };
    let _ = writeln!(text, "{} people {would} a tenant", report.named);
    for (tenant, count) in &report.by_tenant {
        let _ = writeln!(text, "  {tenant}  {count}");
    }
    if !report.examples.is_empty() {
        let _ = writeln!(text, "for example");
    }
    for example in &report.examples {
        let _ = writeln!(text, "  {}  …@{}  {}", example.id, example.domain, example.tenant);
    }
    if report.already > 0 {
        let _ = writeln!(text, "{} people have that tenant already", report.already);
    }
    if report.without > 0 {
        let _ = writeln!(
            text,
            "{} people have no tenant by this rule; add their domains, or `*`",
            report.without
        );
    }
    for (problem, what) in [
        (&report.unknown, "name a person who does not exist"),
        (&report.other, "name a person who has another tenant, and keeps it"),
    ] {
        let Problem { count, lines } = problem;
        if *count > 0 {
            let numbers: Vec<String> = lines.iter().map(u64::to_string).collect();
            let more =
                if u64::try_from(lines.len()).is_ok_and(|shown| shown < *count) { ", …" } else { "" };
            let _ = writeln!(text, "{count} lines {what}: {}{more}", numbers.join(", "));
        }
    }
    if report.dry_run {
        let _ = writeln!(text, "nothing was changed: this was a dry run");
    }
    text
}

fn complain(text: &str) {
    // Where standard error is closed, the exit code has to do.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
