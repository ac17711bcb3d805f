//! Requests from hurl files (<https://hurl.dev>): method, URL, headers, query, form, cookies and body.
//!
//! What an answer must be, and what is captured from it, belongs to hurl. An entry that needs a captured variable is
//! skipped, unless the caller gives its value. The library `hurl_core` is not used: it links libxml2.

mod body;
mod text;

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_wire::answer::Line;
use percent_encoding::utf8_percent_encode;

use super::multipart::{self, Content};
use super::{ENCODED, Read, host_and_target};
use crate::exchange::{Request, name_of};
use body::Body;

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
    body: Option<Body>,
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
    Options,
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
    // `variable` of an entry's options is for that entry and the ones after it.
    let mut variables = variables.clone();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let trimmed = line.trim();
        if let Some((method, url)) = request_line(text::without_comment(trimmed)) {
            finish(&mut read, file, entry.take(), &variables);
            let (method, url) = (method.to_owned(), url.to_owned());
            entry = Some(Entry { line: index + 1, method, url, ..Entry::default() });
            part = Part::Head;
            continue;
        }
        if trimmed.starts_with("```") {
            let body = Body::fenced(trimmed, &mut lines)
                .ok_or_else(|| format!("{file}:{}: the body has no end: write ``` after it", index + 1))?;
            if part != Part::Answer
                && let Some(entry) = &mut entry
            {
                entry.body = Some(body);
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
                "Options" => Part::Options,
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
            entry.body = Some(Body::plain(&body));
            continue;
        }
        let wrong = |what: &str| format!("{file}:{}: {what}: `{trimmed}`", index + 1);
        if part != Part::Multipart
            && let Some(body) = Body::one_line(trimmed, folder)
        {
            entry.body = Some(body.map_err(|what| wrong(&what))?);
            continue;
        }
        let pair = text::pair(trimmed).ok_or_else(|| wrong("the line is neither a header nor a body"))?;
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
            Part::Options => option(entry, &pair, &mut variables).map_err(|what| wrong(&what))?,
            Part::Skipped | Part::Answer => {}
        }
    }
    finish(&mut read, file, entry, &variables);
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

/// Reads an option that changes what is sent; the others say how often and how long hurl tries.
fn option(
    entry: &mut Entry,
    (name, value): &(String, String),
    variables: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    match name.as_str() {
        "variable" => {
            let (name, value) = value.split_once('=').ok_or("write `variable: NAME=VALUE`")?;
            let value = fill(value.trim().trim_matches('"'), variables)?;
            variables.insert(name.trim().to_owned(), value);
        }
        "header" => entry.headers.push(text::pair(value).ok_or("write `header: NAME: VALUE`")?),
        "user" => {
            let (user, password) = value.split_once(':').ok_or("write `user: NAME:PASSWORD`")?;
            entry.basic = Some((user.to_owned(), password.to_owned()));
        }
        "skip" if value == "true" => entry.unsupported = Some("its option `skip` is true".to_owned()),
        _ => {}
    }
    Ok(())
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
    let has_type = entry.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let body = match entry.body {
        Some(body) => {
            if let Some(kind) = body.media_type().filter(|_| !has_type) {
                add("Content-Type", kind.to_owned());
            }
            body.filled(variables)?
        }
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
            if !has_type {
                add("Content-Type", "application/x-www-form-urlencoded".to_owned());
            }
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
