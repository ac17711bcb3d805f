//! Requests from hurl files (<https://hurl.dev>): method, URL, headers, query, form, cookies and body.
//!
//! What an answer must be, and what is captured from it, belongs to hurl. An entry that needs a captured variable is
//! skipped, unless the caller gives its value. The library `hurl_core` is not used: it links libxml2.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_wire::answer::Line;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::multipart::{self, Content};
use super::{Read, host_and_target};
use crate::exchange::{Request, name_of};

/// The unreserved characters of RFC 3986, which hurl does not encode.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A body in a file beside the hurl file is at most this long.
const MAX_BODY_BYTES: u64 = 16 * 1024 * 1024;

/// One entry so far.
#[derive(Default)]
struct Entry {
    line: usize,
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    query: Vec<(String, String)>,
    form: Vec<(String, String)>,
    /// The parts of a form by their names.
    parts: Vec<(String, Content)>,
    cookies: Vec<(String, String)>,
    basic: Option<(String, String)>,
    body: Option<Vec<u8>>,
    unsupported: Option<String>,
}

/// Where the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Query,
    Form,
    Multipart,
    Cookies,
    Basic,
    Skipped,
    /// The answer, until the next request.
    Answer,
}

pub(super) fn read(
    file: &str,
    text: &str,
    variables: &BTreeMap<String, String>,
    folder: &Path,
) -> Result<Read, String> {
    let mut read = Read::default();
    let mut entry: Option<Entry> = None;
    let mut part = Part::Head;
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let trimmed = line.trim();
        if let Some((method, url)) = request_line(trimmed) {
            finish(&mut read, file, entry.take(), variables);
            let (method, url) = (method.to_owned(), url.to_owned());
            entry = Some(Entry { line: index + 1, method, url, ..Entry::default() });
            part = Part::Head;
            continue;
        }
        if trimmed.starts_with("```") {
            let body = fenced(trimmed, &mut lines)
                .ok_or_else(|| format!("{file}:{}: the body has no end: write ``` after it", index + 1))?;
            if part != Part::Answer
                && let Some(entry) = &mut entry
            {
                entry.body = Some(body.into_bytes());
            }
            continue;
        }
        if trimmed.is_empty() || trimmed.starts_with('#') || part == Part::Answer {
            continue;
        }
        if trimmed == "HTTP" || trimmed.starts_with("HTTP ") || trimmed.starts_with("HTTP/") {
            part = Part::Answer;
            continue;
        }
        let Some(entry) = &mut entry else {
            return Err(format!("{file}:{}: `{trimmed}` stands before the first request", index + 1));
        };
        if let Some(section) = trimmed.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'))
            && section.chars().all(char::is_alphanumeric)
            && !section.is_empty()
            && section.starts_with(char::is_uppercase)
        {
            part = match section {
                "Query" | "QueryStringParams" => Part::Query,
                "Form" | "FormParams" => Part::Form,
                "Multipart" | "MultipartFormData" => Part::Multipart,
                "Cookies" => Part::Cookies,
                "BasicAuth" => Part::Basic,
                "Options" => Part::Skipped,
                other => {
                    entry.unsupported = Some(format!("a section [{other}] is not read"));
                    Part::Skipped
                }
            };
            continue;
        }
        if trimmed.starts_with(['{', '[', '<']) && part != Part::Skipped {
            // JSON and XML end before the answer, the next request, or the end of the file.
            let mut body = line.to_owned();
            while let Some((_, next)) = lines.peek() {
                let next = next.trim();
                if next.starts_with("HTTP ")
                    || next.starts_with("HTTP/")
                    || next == "HTTP"
                    || request_line(next).is_some()
                {
                    break;
                }
                body.push('\n');
                body.push_str(lines.next().map_or("", |(_, line)| line));
            }
            entry.body = Some(body.trim_end().as_bytes().to_vec());
            continue;
        }
        let wrong = |what: &str| format!("{file}:{}: {what}: `{trimmed}`", index + 1);
        if part != Part::Multipart
            && let Some(body) = one_line_body(trimmed, folder)
        {
            entry.body = Some(body.map_err(|what| wrong(&what))?);
            continue;
        }
        let (name, value) =
            trimmed.split_once(':').ok_or_else(|| wrong("the line is neither a header nor a body"))?;
        let pair = (name.trim().to_owned(), value.trim().to_owned());
        match part {
            Part::Head => entry.headers.push(pair),
            Part::Query => entry.query.push(pair),
            Part::Form => entry.form.push(pair),
            Part::Multipart => {
                let (name, value) = pair;
                let content = match multipart::file(&value, folder, MAX_BODY_BYTES) {
                    Some(file) => Content::File(file.map_err(|what| wrong(&what))?),
                    None => Content::Text(value),
                };
                entry.parts.push((name, content));
            }
            Part::Cookies => entry.cookies.push(pair),
            Part::Basic => entry.basic = Some(pair),
            Part::Skipped | Part::Answer => {}
        }
    }
    finish(&mut read, file, entry, variables);
    Ok(read)
}

/// `GET http://…`, `GET {{api}}/…`, `GET /…`.
fn request_line(line: &str) -> Option<(&str, &str)> {
    let (method, url) = line.split_once(' ')?;
    let url = url.trim();
    let is_method = method.len() >= 3 && method.bytes().all(|byte| byte.is_ascii_uppercase());
    let is_url = url.starts_with("http://") || url.starts_with("https://") || url.starts_with(['/', '{']);
    (is_method && is_url && method != "HTTP").then_some((method, url))
}

/// The lines between two fences, each with its end.
fn fenced<'a>(first: &str, lines: &mut impl Iterator<Item = (usize, &'a str)>) -> Option<String> {
    // ```text``` in one line.
    if let Some(rest) = first.strip_prefix("```").and_then(|rest| rest.strip_suffix("```"))
        && first.len() >= 6
    {
        return Some(rest.to_owned());
    }
    let mut body = String::new();
    for (_, line) in lines {
        if line.trim() == "```" {
            return Some(body);
        }
        body.push_str(line);
        body.push('\n');
    }
    None
}

/// `` `text` ``, `base64,…;`, `hex,…;`, `file,…;`.
fn one_line_body(line: &str, folder: &Path) -> Option<Result<Vec<u8>, String>> {
    if let Some(text) = line.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        return Some(Ok(text.as_bytes().to_vec()));
    }
    let (kind, rest) = line.split_once(',')?;
    let rest = rest.strip_suffix(';')?.trim();
    match kind {
        "base64" => Some(STANDARD.decode(rest).map_err(|error| format!("not base64 ({error})"))),
        "hex" => {
            let digits: Option<Vec<u8>> = rest
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                .collect();
            Some(digits.ok_or_else(|| "not hexadecimal".to_owned()))
        }
        "file" => Some(
            crate::file::read(&folder.join(rest), MAX_BODY_BYTES)
                .map_err(|error| format!("the file ({error})")),
        ),
        _ => None,
    }
}

fn finish(read: &mut Read, file: &str, entry: Option<Entry>, variables: &BTreeMap<String, String>) {
    let Some(entry) = entry else { return };
    let source = format!("{file}:{}", entry.line);
    match request(entry, &source, variables) {
        Ok(request) => read.requests.push(request),
        Err(why) => read.skipped.push(format!("{source}: {why}")),
    }
}

fn request(entry: Entry, source: &str, variables: &BTreeMap<String, String>) -> Result<Request, String> {
    if let Some(why) = entry.unsupported {
        return Err(why);
    }
    let filled = |text: &str| fill(text, variables);
    // `{{api}}/books` begins with the address, which is the one of the server that is asked.
    let url = match entry.url.strip_prefix("{{").and_then(|rest| rest.split_once("}}")) {
        Some((name, rest)) if !variables.contains_key(name.trim()) => {
            if rest.is_empty() {
                "/".to_owned()
            } else {
                filled(rest)?
            }
        }
        _ => filled(&entry.url)?,
    };
    let (host, mut target) =
        host_and_target(&url).ok_or_else(|| format!("{url:?} is neither a URL nor a path"))?;
    if !entry.query.is_empty() {
        target.push(if target.contains('?') { '&' } else { '?' });
        target.push_str(&encoded(&entry.query, variables)?);
    }
    let mut headers = Vec::new();
    let mut own_host = host;
    for (name, value) in &entry.headers {
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        let value = match filled(value) {
            // A credential that a run of hurl would have captured: the principal brings its own.
            Err(_) if is("cookie") || is("authorization") => continue,
            value => value?,
        };
        if is("host") {
            own_host = Some(value);
        } else if !is("content-length") {
            headers.push(Line { name: name.as_bytes().to_vec(), value: value.into_bytes() });
        }
    }
    let mut add = |name: &str, value: String| {
        headers.push(Line { name: name.as_bytes().to_vec(), value: value.into_bytes() });
    };
    if let Some((user, password)) = &entry.basic {
        let pair = format!("{}:{}", filled(user)?, filled(password)?);
        add("Authorization", format!("Basic {}", STANDARD.encode(pair)));
    }
    if !entry.cookies.is_empty() {
        let pairs: Result<Vec<String>, String> =
            entry.cookies.iter().map(|(name, value)| Ok(format!("{name}={}", filled(value)?))).collect();
        add("Cookie", pairs?.join("; "));
    }
    let body = match entry.body {
        Some(bytes) => match String::from_utf8(bytes) {
            Ok(text) => filled(&text)?.into_bytes(),
            Err(error) => error.into_bytes(),
        },
        None if !entry.parts.is_empty() => {
            let part = |(name, content): (String, Content)| {
                let content = match content {
                    Content::Text(text) => Content::Text(filled(&text)?),
                    file @ Content::File(_) => file,
                };
                Ok::<_, String>((filled(&name)?, content))
            };
            let parts = entry.parts.into_iter().map(part).collect::<Result<Vec<_>, _>>()?;
            let (kind, body) = multipart::body(&parts);
            add("Content-Type", kind);
            body
        }
        None if entry.form.is_empty() => Vec::new(),
        None => {
            add("Content-Type", "application/x-www-form-urlencoded".to_owned());
            encoded(&entry.form, variables)?.into_bytes()
        }
    };
    Ok(Request {
        name: name_of(&entry.method, target.as_bytes()),
        source: source.to_owned(),
        method: entry.method,
        target: target.into_bytes(),
        host: own_host,
        headers,
        body,
    })
}

fn encoded(pairs: &[(String, String)], variables: &BTreeMap<String, String>) -> Result<String, String> {
    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let pairs: Result<Vec<String>, String> = pairs
        .iter()
        .map(|(name, value)| {
            Ok(format!("{}={}", encode(&fill(name, variables)?), encode(&fill(value, variables)?)))
        })
        .collect();
    Ok(pairs?.join("&"))
}

/// `text` with the values of its variables.
fn fill(text: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, behind)) = after.split_once("}}") else {
            // Two braces of JSON, and no variable.
            out.push_str("{{");
            rest = after;
            continue;
        };
        let name = name.trim();
        let value = variables.get(name);
        out.push_str(value.ok_or_else(|| {
            format!("it needs the variable `{name}`; give it with --variable {name}=VALUE")
        })?);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}
