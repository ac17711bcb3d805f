//! What the running edge knows of a request: the authorizer's memory, and the access log.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

/// It answers from memory.
const WITHIN: Duration = Duration::from_secs(5);

/// One decision has a kilobyte.
const MAX_ANSWER_BYTES: u64 = 65_536;

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
    let line = match logged(log, id) {
        Ok(Some(line)) => line,
        Ok(None) => return Err(format!("{unknown}; nor does {} know it", log.display())),
        Err(error) => return Err(format!("{unknown}; and {} cannot be read ({error})", log.display())),
    };
    let mut told = Map::new();
    told.insert("told_by".to_owned(), json!(log.display().to_string()));
    told.extend(LOGGED.iter().filter_map(|key| {
        let value = line.get(*key).filter(|value| !value.is_null())?;
        Some(((*key).to_owned(), value.clone()))
    }));
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

/// What the access log tells of a request about which nobody was asked: public, refused by the guard or by the table of
/// routes, or served by a lease.
const LOGGED: [&str; 14] = [
    "request_id",
    "time",
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
];

enum Decided {
    Told(Value),
    /// Why there is nothing to tell.
    Unknown(String),
}

fn decision(admin: SocketAddr, id: &str) -> Result<Decided, String> {
    let unreachable = |error: std::io::Error| {
        format!(
            "the authorizer at {admin} does not answer ({error}); name it with --admin or AUTHZ_ADMIN_ADDRESS"
        )
    };
    let answer = get(admin, &format!("/decisions/{id}")).map_err(unreachable)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer is not HTTP".to_owned())?;
    let told: Value = serde_json::from_str(body).map_err(|e| format!("the answer is not JSON ({e})"))?;
    if head.starts_with("HTTP/1.1 200 ") {
        return Ok(Decided::Told(told));
    }
    let field = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(Decided::Unknown(format!("{}; {}", field("problem"), field("mend"))))
}

/// The last line of `log` about the request `id`.
fn logged(log: &Path, id: &str) -> std::io::Result<Option<Value>> {
    let mut found = None;
    for line in BufReader::new(File::open(log)?).split(b'\n') {
        let line = line?;
        // Most lines are somebody else's, and reading JSON is the slow part.
        if line.windows(id.len()).any(|part| part == id.as_bytes())
            && let Ok(line) = serde_json::from_slice::<Value>(&line)
            && line.get("request_id").and_then(Value::as_str) == Some(id)
        {
            found = Some(line);
        }
    }
    Ok(found)
}

fn get(address: SocketAddr, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, WITHIN)?;
    stream.set_read_timeout(Some(WITHIN))?;
    stream.set_write_timeout(Some(WITHIN))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(MAX_ANSWER_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}
