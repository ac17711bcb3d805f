//! Requests from an HTTP archive (HAR 1.2): what a browser or a proxy recorded.

use http_wire::answer::Line;
use serde::Deserialize;

use super::{Read, host_and_target};
use crate::exchange::{Request, name_of};

/// Headers that belong to the connection, or that the sender of the request writes anew.
const OF_THE_CONNECTION: [&str; 8] = [
    "host",
    "content-length",
    "connection",
    "keep-alive",
    "proxy-connection",
    "transfer-encoding",
    "upgrade",
    "te",
];

/// Headers with credentials of the person who was recorded.
const CREDENTIALS: [&str; 4] = ["cookie", "authorization", "proxy-authorization", "x-api-key"];

#[derive(Deserialize)]
struct Archive {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    request: Recorded,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Recorded {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Header>,
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct PostData {
    #[serde(default)]
    text: String,
}

pub(super) fn is_har(text: &str) -> bool {
    serde_json::from_str::<Archive>(text).is_ok()
}

pub(super) fn read(file: &str, text: &str) -> Result<Read, String> {
    let archive: Archive = serde_json::from_str(text)
        .map_err(|error| format!("{file}:{}: {error}; export the archive again (HAR 1.2)", error.line()))?;
    let mut read = Read::default();
    let mut without_credentials = 0_usize;
    for (index, entry) in archive.log.entries.into_iter().enumerate() {
        let source = format!("{file}: entry {}", index + 1);
        let Recorded { method, url, headers, post_data } = entry.request;
        let Some((host, target)) = host_and_target(&url).filter(|_| url.starts_with("http")) else {
            read.skipped.push(format!("{source}: {url:?} is not an http URL"));
            continue;
        };
        let is =
            |header: &Header, names: &[&str]| names.iter().any(|name| header.name.eq_ignore_ascii_case(name));
        without_credentials += usize::from(headers.iter().any(|header| is(header, &CREDENTIALS)));
        let kept = headers.into_iter().filter(|header| {
            !header.name.starts_with(':') && !is(header, &OF_THE_CONNECTION) && !is(header, &CREDENTIALS)
        });
        let headers = kept.map(|Header { name, value }| Line { name: name.into(), value: value.into() });
        read.requests.push(Request {
            name: name_of(&method, target.as_bytes()),
            source,
            method,
            target: target.into_bytes(),
            host,
            headers: headers.collect(),
            body: post_data.map(|data| data.text.into_bytes()).unwrap_or_default(),
        });
    }
    if without_credentials > 0 {
        let what = "requests carried credentials, which were removed; send your own with --as FILE";
        read.skipped.push(format!("{file}: {without_credentials} {what}"));
    }
    Ok(read)
}
