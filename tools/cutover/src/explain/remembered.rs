//! What the running edge knows of a request: the authorizer's memory, and the access log.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::before::told_by_details;
use crate::admin;

/// How many lines of the access log about one id are shown: clients choose ids, and may send one again and again.
const OF_ONE_ID: usize = 100;

/// What became of the request `id`: what the authorizer at `admin` remembers of it; else what the access log `log` says,
/// and of a request that a lease served also what was decided when the lease was granted.
pub(super) fn ask(admin: SocketAddr, id: &str, log: &Path) -> Result<Value, String> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(format!("{id:?} is no request id; it stands in the response's access log line"));
    }
    let unknown = match decision(admin, id) {
        Ok(Decided::Told(told)) => return Ok(told),
        // Without an authorizer there is still the log.
        Ok(Decided::Unknown(unknown)) | Err(unknown) => unknown,
    };
    let mut lines = match logged(log, id) {
        Ok(lines) => lines,
        Err(error) => return Err(format!("{unknown}; and {} cannot be read ({error})", log.display())),
    };
    let line = match lines.pop_back() {
        Some(line) => line,
        None => return Err(format!("{unknown}; nor does {} know it", log.display())),
    };
    let shown = |line: &Value| -> Map<String, Value> {
        let field = |key: &&str| {
            let value = line.get(*key).filter(|value| !value.is_null())?;
            Some(((*key).to_owned(), value.clone()))
        };
        LOGGED.iter().filter_map(field).collect()
    };
    let mut told = Map::new();
    told.insert("told_by".to_owned(), json!(log.display().to_string()));
    told.extend(shown(&line));
    if !lines.is_empty() {
        told.insert("earlier".to_owned(), lines.iter().rev().map(shown).map(Value::Object).collect());
    }
    let details = line.get("details").and_then(Value::as_str).unwrap_or_default();
    let status = line.get("status").and_then(Value::as_u64).unwrap_or_default();
    if let Some(refused_by) = told_by_details(details, status) {
        told.insert("refused_by".to_owned(), json!(refused_by));
    }
    if let Some(leased) = line.get("lease_of").and_then(Value::as_str) {
        let granted = match decision(admin, leased) {
            Ok(Decided::Told(granted)) => granted,
            Ok(Decided::Unknown(_)) => json!("not remembered any more"),
            Err(unreachable) => json!(unreachable),
        };
        told.insert("granted_with".to_owned(), granted);
    }
    Ok(Value::Object(told))
}

/// What the access log says of a request about which the authorizer was not asked: public, refused by Envoy, by the guard or
/// by the table of routes, or served by a lease.
const LOGGED: [&str; 18] = [
    "request_id",
    "time",
    "listener",
    "client",
    "protocol",
    "method",
    "host",
    "path",
    "route",
    "policy",
    "decision",
    "reason",
    "lease_of",
    "subject",
    "tenant",
    "status",
    "details",
    "flags",
];

enum Decided {
    Told(Value),
    /// Why there is nothing to tell.
    Unknown(String),
}

fn decision(address: SocketAddr, id: &str) -> Result<Decided, String> {
    let unreachable = |error: std::io::Error| {
        format!(
            "the authorizer at {address} does not answer ({error}); name it with --admin or AUTHZ_ADMIN_ADDRESS"
        )
    };
    let (status, body) = admin::get(address, &format!("/decisions/{id}")).map_err(unreachable)?;
    let told: Value = serde_json::from_str(&body).map_err(|e| format!("the answer is not JSON ({e})"))?;
    if status == 200 {
        return Ok(Decided::Told(told));
    }
    let field = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Decided::Unknown(format!("{}; {}", field("problem"), field("mend"))))
}

/// The last lines of `log` about the request `id`, the oldest first.
fn logged(log: &Path, id: &str) -> std::io::Result<VecDeque<Value>> {
    let mut found = VecDeque::new();
    for line in BufReader::new(File::open(log)?).split(b'\n') {
        let line = line?;
        // Most lines are about other requests, and reading JSON is the slow part.
        if line.windows(id.len()).any(|part| part == id.as_bytes())
            && let Ok(line) = serde_json::from_slice::<Value>(&line)
            && line.get("request_id").and_then(Value::as_str) == Some(id)
        {
            found.push_back(line);
            if found.len() > OF_ONE_ID {
                found.pop_front();
            }
        }
    }
    Ok(found)
}
