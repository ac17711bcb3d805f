//! Requests from an HTTP archive (HAR 1.2): what a browser or a proxy recorded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_wire::answer::Line;
use percent_encoding::{percent_decode_str, utf8_percent_encode};
use serde::Deserialize;

use super::multipart::{self, Content};
use super::{ENCODED, Read, host_and_target};
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

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PostData {
    mime_type: String,
    text: String,
    /// Fields of a form, where the recorder wrote no text.
    params: Vec<Param>,
    /// `base64` where the recorder kept bytes.
    encoding: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Param {
    name: String,
    #[serde(default)]
    value: String,
    file_name: Option<String>,
}

impl PostData {
    /// The body, and the type of a form of parts, whose boundary is made anew.
    fn body(self) -> Result<(Vec<u8>, Option<String>), String> {
        if self.encoding == "base64" {
            let bytes =
                STANDARD.decode(&self.text).map_err(|error| format!("its body is not base64 ({error})"))?;
            return Ok((bytes, None));
        }
        if !self.text.is_empty() || self.params.is_empty() {
            return Ok((self.text.into_bytes(), None));
        }
        if self.params.iter().any(|param| param.file_name.as_ref().is_some_and(|name| !name.is_empty())) {
            return Err("its body has a file, which the archive does not contain".to_owned());
        }
        if self.mime_type.starts_with("multipart/") {
            let parts: Vec<_> =
                self.params.into_iter().map(|param| (param.name, Content::Text(param.value))).collect();
            let (kind, body) = multipart::body(&parts);
            return Ok((body, Some(kind)));
        }
        let pairs: Vec<String> = self
            .params
            .iter()
            .map(|param| {
                // Some recorders keep the fields encoded, as they were sent.
                let encode = |text: &str| {
                    let plain = percent_decode_str(text).decode_utf8_lossy().into_owned();
                    utf8_percent_encode(&plain, ENCODED).to_string()
                };
                format!("{}={}", encode(&param.name), encode(&param.value))
            })
            .collect();
        Ok((pairs.join("&").into_bytes(), None))
    }
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
        let mut headers: Vec<Line> =
            kept.map(|Header { name, value }| Line { name: name.into(), value: value.into() }).collect();
        let (body, kind) = match post_data.unwrap_or_default().body() {
            Ok(body) => body,
            Err(why) => {
                read.skipped.push(format!("{source}: {why}"));
                continue;
            }
        };
        if let Some(kind) = kind {
            headers.retain(|line| !line.is("content-type"));
            headers.push(Line { name: b"Content-Type".to_vec(), value: kind.into_bytes() });
        }
        read.requests.push(Request {
            name: name_of(&method, target.as_bytes()),
            source,
            method,
            target: target.into_bytes(),
            host,
            headers,
            body,
        });
    }
    if without_credentials > 0 {
        let what = "requests carried credentials, which were removed; send your own with --as FILE";
        read.skipped.push(format!("{file}: {without_credentials} {what}"));
    }
    Ok(read)
}
