//! Requests from the edge's access log: each method, host and path once. The log has no queries, headers and bodies.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::Read;
use crate::exchange::{Request, name_of};

#[derive(Deserialize)]
struct Logged {
    method: Option<String>,
    host: Option<String>,
    path: Option<String>,
}

pub(super) fn read(file: &str, text: &str) -> Result<Read, String> {
    let mut read = Read { is_generated: true, ..Read::default() };
    let mut seen = BTreeSet::new();
    let mut not_safe = 0_usize;
    let mut broken = 0_usize;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let parsed: Result<Logged, _> = serde_json::from_str(line);
        let Ok(Logged { method: Some(method), host, path: Some(path) }) = parsed else {
            // A log that was rotated may begin within a line.
            broken += 1;
            continue;
        };
        let is_plain = path.starts_with('/') && path.bytes().all(|byte| byte > b' ' && byte != 0x7f);
        if !is_plain || !seen.insert((method.clone(), host.clone(), path.clone())) {
            continue;
        }
        let request = Request {
            name: name_of(&method, path.as_bytes()),
            source: format!("{file}:{}", index + 1),
            method,
            target: path.into_bytes(),
            host,
            headers: Vec::new(),
            body: Vec::new(),
        };
        if request.is_safe() { read.requests.push(request) } else { not_safe += 1 }
    }
    if read.requests.is_empty() {
        return Err(format!("{file} has no line of an access log; docs/access-log.md lists the keys"));
    }
    if not_safe > 0 {
        let what = "requests change something; the log does not have their bodies, so they are not sent";
        read.skipped.push(format!("{file}: {not_safe} {what}"));
    }
    if broken > 0 {
        read.skipped.push(format!("{file}: {broken} lines are not of an access log"));
    }
    Ok(read)
}
