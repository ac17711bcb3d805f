//! What the running authorizer remembers of a request.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// It answers from memory.
const WITHIN: Duration = Duration::from_secs(5);

/// One decision has a kilobyte.
const MAX_ANSWER_BYTES: u64 = 65_536;

pub(super) fn ask(admin: SocketAddr, id: &str) -> Result<Value, String> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(format!("{id:?} is no request id; it stands in the response's access log line"));
    }
    let unreachable = |error: std::io::Error| {
        format!(
            "the authorizer at {admin} does not answer ({error}); name it with --admin or AUTHZ_ADMIN_ADDRESS"
        )
    };
    let answer = get(admin, &format!("/decisions/{id}")).map_err(unreachable)?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("the answer is not HTTP".to_owned())?;
    let told: Value = serde_json::from_str(body).map_err(|e| format!("the answer is not JSON ({e})"))?;
    if head.starts_with("HTTP/1.1 200 ") {
        return Ok(told);
    }
    let field = |name: &str| told.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    Err(format!("{}; {}", field("problem"), field("mend")))
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
