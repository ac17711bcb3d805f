//! What the running edge knows about a past request: the authorizer's memory, and the access log.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::before::refused_by;
use crate::admin;

/// The most access log lines to show for one id: clients choose ids, and may send one again and again.
const OF_ONE_ID: usize = 100;

/// The outcome of the request `id`: the decision that the authorizer at `admin` remembers, or else the line in the access
/// log `log`. For a request that a lease served, also the decision that granted the lease.
pub(super) fn ask(admin: SocketAddr, id: &str, log: &Path) -> Result<Value, String> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("{id:?} is not a request id; find the id in the `request_id` of the access log"));
    }
    let unknown = match decision(admin, id) {
        Ok(Decided::Known(report)) => return Ok(report),
        // Without an authorizer there is still the log.
        Ok(Decided::Unknown(unknown)) | Err(unknown) => unknown,
    };
    let mut lines = match logged(log, id) {
        Ok(lines) => lines,
        Err(error) => return Err(format!("{unknown}; {} cannot be read either ({error})", log.display())),
    };
    let line = match lines.pop_back() {
        Some(line) => line,
        None => return Err(format!("{unknown}; {} does not have it either", log.display())),
    };
    let shown = |line: &Value| -> Map<String, Value> {
        let field = |key: &&str| {
            let value = line.get(*key).filter(|value| !value.is_null())?;
            Some(((*key).to_owned(), value.clone()))
        };
        LOGGED.iter().filter_map(field).collect()
    };
    let mut report = Map::new();
    report.insert("told_by".to_owned(), json!(log.display().to_string()));
    report.extend(shown(&line));
    if !lines.is_empty() {
        report.insert("earlier".to_owned(), lines.iter().rev().map(shown).map(Value::Object).collect());
    }
    let details = line.get("details").and_then(Value::as_str).unwrap_or_default();
    let status = line.get("status").and_then(Value::as_u64).unwrap_or_default();
    if let Some(refused_by) = refused_by(details, status) {
        report.insert("refused_by".to_owned(), json!(refused_by));
    }
    if let Some(leased) = line.get("lease_of").and_then(Value::as_str) {
        let granted = match decision(admin, leased) {
            Ok(Decided::Known(granted)) => granted,
            Ok(Decided::Unknown(_)) => json!("no longer remembered"),
            Err(unreachable) => json!(unreachable),
        };
        report.insert("granted_with".to_owned(), granted);
    }
    Ok(Value::Object(report))
}

/// The access log's keys to show for a request that never reached the authorizer: public, refused by Envoy, by the guard
/// or by the table of routes, or served by a lease.
const LOGGED: &[&str] = &[
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
    "upstream_tls_failure",
];

enum Decided {
    Known(Value),
    /// Why the decision is not known.
    Unknown(String),
}

fn decision(address: SocketAddr, id: &str) -> Result<Decided, String> {
    let unreachable = |error: std::io::Error| {
        format!(
            "the authorizer at {address} does not answer ({error}); name it with --admin or AUTHZ_ADMIN_ADDRESS"
        )
    };
    // A trusted proxy may have chosen an id of any visible characters.
    let escaped: String = id
        .bytes()
        .map(|byte| match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'-' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect();
    let (status, body) = admin::get(address, &format!("/decisions/{escaped}")).map_err(unreachable)?;
    let report: Value = serde_json::from_str(&body).map_err(|e| format!("the answer is not JSON ({e})"))?;
    if status == 200 {
        return Ok(Decided::Known(report));
    }
    let field = |name: &str| report.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Decided::Unknown(format!("{}; {}", field("problem"), field("mend"))))
}

/// The last lines of `log` about the request `id`, the oldest first.
fn logged(log: &Path, id: &str) -> std::io::Result<VecDeque<Value>> {
    let mut found = VecDeque::new();
    // As JSON writes it.
    let written = Value::from(id).to_string();
    for line in BufReader::new(File::open(log)?).split(b'\n') {
        let line = line?;
        // Most lines are about other requests, and reading JSON is the slow part.
        if line.windows(written.len()).any(|part| part == written.as_bytes())
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
