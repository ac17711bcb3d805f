//! `cutover apikey` makes, imports, lists and revokes the API keys of clients, in the file that the edge watches.

mod import;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use api_keys::file::{self, FileError};
use api_keys::text::{self, NoRandomness};
use api_keys::{KeyId, Prefix, Record};
use clap::{Args, Subcommand};
use clock::Clock;
use identity::Role;
use serde_json::{Value, json};

use crate::exit::{DONE, FOUND, INVALID, exit};
use crate::out;

/// `cutover apikey`
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: ApiKeyCommand,
    /// The file that lists the keys (`api_keys.file` in the edge file). [default: HOME/api-keys.jsonl]
    #[arg(long, env = "CUTOVER_API_KEYS", value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
    /// The directory for everything that a run writes.
    #[arg(long, env = "CUTOVER_HOME", default_value = ".run", value_name = "DIRECTORY", global = true)]
    pub home: PathBuf,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands of `cutover apikey`.
#[derive(Debug, Subcommand)]
pub enum ApiKeyCommand {
    /// Make a key and print it. It cannot be shown again.
    New(NewApiKey),
    /// Import keys that clients hold already, plain or as SHA-256.
    Import(import::Arguments),
    /// Print the id, client and state of every key, but never a key itself.
    List,
    /// Revoke a key; an edge that watches the file refuses it within a second.
    Revoke {
        /// The key's id, as `list` prints it.
        #[arg(value_name = "ID")]
        id: api_keys::KeyId,
    },
}

/// `cutover apikey new`
#[derive(Debug, Args)]
pub struct NewApiKey {
    /// The client that will hold the key: lower-case letters, digits and `-`. A client may hold several keys: to replace
    /// one, make a new key, hand it over, and revoke the old one.
    #[arg(long, value_name = "NAME")]
    pub client: identity::ClientName,
    /// The tenant for which the client acts, as `tenants.yaml` or the tenants service names it. Without it, the client acts
    /// for no tenant.
    #[arg(long, value_name = "ID")]
    pub tenant: Option<identity::TenantId>,
    /// The client's level, compared as a number. A client without one has less than any that a policy requires.
    #[arg(long, value_name = "NUMBER")]
    pub role: Option<u8>,
    /// The names of the client's roles, separated by commas.
    #[arg(long, value_name = "NAMES", value_delimiter = ',', value_parser = role_name)]
    pub roles: Vec<String>,
    /// A scope of the client; may be repeated.
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    pub scopes: Vec<String>,
    /// The plan that the client pays for: a limit of the edge file may give each plan a quota.
    #[arg(long, value_name = "NAME", value_parser = plan)]
    pub plan: Option<String>,
    /// The beginning of the key, for example the product's name. The key is PREFIX_ID_SECRET.
    #[arg(long, value_name = "PREFIX", default_value_t = Prefix::default())]
    pub prefix: Prefix,
    /// The number of days after which the key expires. Without it, the key is valid until it is revoked.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub expires_in_days: Option<u32>,
}

fn role_name(text: &str) -> Result<String, String> {
    if identity::principal::is_role_name(text) {
        Ok(text.to_owned())
    } else {
        Err("a role has 1 to 255 bytes without commas and control characters".to_owned())
    }
}

fn plan(text: &str) -> Result<String, String> {
    if api_keys::Record::is_plan(text) {
        Ok(text.to_owned())
    } else {
        Err("a plan has 1 to 64 lower-case letters, digits and `-`, and begins with a letter or digit"
            .to_owned())
    }
}

fn scope(text: &str) -> Result<String, String> {
    if api_keys::Record::is_scope(text) {
        Ok(text.to_owned())
    } else {
        Err("a scope is visible ASCII without quotes and backslashes (RFC 6749 §3.3)".to_owned())
    }
}

const DAY_SECONDS: u64 = 86_400;

/// Why a command changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ApiKeyError {
    /// The file cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The system gave no random bytes for a secret.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The keys to import cannot be used.
    #[error(transparent)]
    Import(#[from] import::ImportError),
    /// The key to revoke does not exist.
    #[error("{path} lists no key {id}; `cutover apikey list` shows the keys in it")]
    NoSuchKey {
        /// Which file.
        path: PathBuf,
        /// Which key.
        id: KeyId,
    },
}

/// `cutover apikey`
pub fn main(arguments: &Arguments, clock: &dyn Clock) -> ExitCode {
    match run(arguments, clock) {
        Ok(said) => {
            out::text!("{said}");
            exit(DONE)
        }
        Err(error) => {
            out::error!("{error}");
            exit(match error {
                ApiKeyError::File(FileError::Content { .. })
                | ApiKeyError::Import(import::ImportError::Lines { .. }) => INVALID,
                ApiKeyError::File(FileError::Io { .. })
                | ApiKeyError::Import(import::ImportError::Io { .. })
                | ApiKeyError::Randomness(_)
                | ApiKeyError::NoSuchKey { .. } => FOUND,
            })
        }
    }
}

/// Runs the command and returns the text to print.
///
/// # Errors
/// [`ApiKeyError`]; the file is unchanged then.
pub fn run(arguments: &Arguments, clock: &dyn Clock) -> Result<String, ApiKeyError> {
    let path = arguments.file.clone().unwrap_or_else(|| arguments.home.join("api-keys.jsonl"));
    let now = clock.now().seconds();
    match &arguments.command {
        ApiKeyCommand::New(new) => {
            let (record, key) = make(new, now)?;
            let said = if arguments.json {
                let mut shown = shown(&record, now);
                if let Value::Object(fields) = &mut shown {
                    fields.insert("key".to_owned(), Value::String(key));
                }
                format!("{shown:#}\n")
            } else {
                let (id, client) = (record.id, &record.client);
                format!(
                    "{key}\n\nKey {id} of {client}, in {}. It cannot be shown again: store it now.\n",
                    path.display()
                )
            };
            file::update(&path, |records| records.push(record))?;
            Ok(said)
        }
        ApiKeyCommand::Import(import) => {
            let new = import::read(import, now)?;
            let done = if import.dry_run {
                import::add(&mut file::read(&path)?, new)
            } else {
                file::update(&path, |records| import::add(records, new))?
            };
            Ok(reported(done, import.dry_run, &path, arguments.json))
        }
        ApiKeyCommand::List => {
            let records = file::read(&path)?;
            if arguments.json {
                let all: Vec<Value> = records.iter().map(|record| shown(record, now)).collect();
                return Ok(format!("{:#}\n", Value::Array(all)));
            }
            Ok(table(&records, now))
        }
        ApiKeyCommand::Revoke { id } => {
            let revoked = file::update(&path, |records| {
                let record = records.iter_mut().find(|record| record.id == *id)?;
                // A second revocation does not move the first.
                record.revoked.get_or_insert(now);
                Some(record.clone())
            })?;
            let record = revoked.ok_or(ApiKeyError::NoSuchKey { path, id: *id })?;
            Ok(if arguments.json {
                format!("{:#}\n", shown(&record, now))
            } else {
                format!("Key {id} of {} is revoked.\n", record.client)
            })
        }
    }
}

/// The result of an import, for people or as JSON.
fn reported(done: import::Imported, dry_run: bool, path: &Path, as_json: bool) -> String {
    let import::Imported { added, known } = done;
    if as_json {
        return format!("{:#}\n", json!({ "added": added, "known": known, "dry_run": dry_run }));
    }
    let verb = if dry_run { "would be imported" } else { "imported" };
    format!("{added} keys {verb} into {}, {known} are there already\n", path.display())
}

fn make(new: &NewApiKey, now: u64) -> Result<(Record, String), NoRandomness> {
    let NewApiKey { client, tenant, role, roles, scopes, plan, prefix, expires_in_days } = new;
    let (id, key, sha256) = text::generate(prefix)?;
    let expires = expires_in_days.map(|days| now.saturating_add(u64::from(days) * DAY_SECONDS));
    let record = Record {
        id,
        sha256,
        imported: false,
        client: client.clone(),
        tenant: tenant.clone(),
        roles: roles.clone(),
        role: role.map(Role),
        scopes: scopes.clone(),
        plan: plan.clone(),
        created: now,
        expires,
        revoked: None,
    };
    Ok((record, key))
}

/// A record as it is printed: without the hash, which is useless to a reader.
fn shown(record: &Record, now: u64) -> Value {
    let Record {
        id,
        sha256: _,
        imported,
        client,
        tenant,
        role,
        roles,
        scopes,
        plan,
        created,
        expires,
        revoked,
    } = record;
    json!({
        "id": id, "client": client, "tenant": tenant, "role": role, "roles": roles, "scopes": scopes, "plan": plan,
        "created": created, "expires": expires, "revoked": revoked, "imported": imported, "state": record.state(now),
    })
}

fn table(records: &[Record], now: u64) -> String {
    let mut text = String::new();
    for record in records {
        let role = record.role.map_or_else(|| "-".to_owned(), |role| role.to_string());
        let plan = record.plan.as_deref().unwrap_or("-");
        let scopes = if record.scopes.is_empty() { "-".to_owned() } else { record.scopes.join(" ") };
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{}  {:<7}  {:<24}  {}  role {role}  plan {plan}  {scopes}",
            record.id,
            record.state(now),
            record.client,
            record.tenant.as_ref().map_or("-".to_owned(), ToString::to_string)
        );
    }
    if text.is_empty() { "no keys\n".to_owned() } else { text }
}

#[cfg(test)]
mod tests;
