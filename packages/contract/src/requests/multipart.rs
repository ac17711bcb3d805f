//! Bodies of several parts (RFC 7578), as hurl writes them: `[Multipart]`.

use std::path::Path;

/// The boundary between parts, the same in every run; it grows until no part contains it.
const BOUNDARY: &str = "----cutover-contract-boundary";

/// A file that is a part of a form.
pub(super) struct File {
    /// Its name, without its directory.
    name: String,
    /// Its type, as in `Content-Type`.
    kind: String,
    content: Vec<u8>,
}

/// The content of a part.
pub(super) enum Content {
    Text(String),
    File(File),
}

/// Reads `file,NAME;` or `file,NAME; TYPE`, the value of a part that is a file in `folder`; none for a text.
pub(super) fn file(value: &str, folder: &Path, most: u64) -> Option<Result<File, String>> {
    let (path, kind) = value.strip_prefix("file,")?.split_once(';')?;
    let (path, kind) = (path.trim(), kind.trim());
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
    let kind = if kind.is_empty() { kind_of(&name) } else { kind }.to_owned();
    let content = crate::file::read(&folder.join(path), most).map_err(|error| format!("the file ({error})"));
    Some(content.map(|content| File { name, kind, content }))
}

/// The type of a file without one, by the end of its name: the list of hurl.
fn kind_of(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, end)| end).to_ascii_lowercase().as_str() {
        "gif" => "image/gif",
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        "txt" => "text/plain",
        "htm" | "html" => "text/html",
        "pdf" => "application/pdf",
        "xml" => "application/xml",
        _ => "application/octet-stream",
    }
}

/// The value of `Content-Type`, and the body of a form with these parts, each with its name.
pub(super) fn body(parts: &[(String, Content)]) -> (String, Vec<u8>) {
    let mut boundary = BOUNDARY.to_owned();
    let bytes = |content: &Content| match content {
        Content::Text(text) => text.as_bytes().to_vec(),
        Content::File(file) => file.content.clone(),
    };
    let is_inside = |boundary: &str| {
        let has =
            |content: Vec<u8>| content.windows(boundary.len()).any(|window| window == boundary.as_bytes());
        parts.iter().any(|(_, content)| has(bytes(content)))
    };
    while is_inside(&boundary) {
        boundary.push('-');
    }
    let mut body = Vec::new();
    for (name, content) in parts {
        body.extend(
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(name)).bytes(),
        );
        if let Content::File(File { name, kind, .. }) = content {
            body.extend(format!("; filename=\"{}\"\r\nContent-Type: {kind}", quoted(name)).bytes());
        }
        body.extend(b"\r\n\r\n");
        body.extend(bytes(content));
        body.extend(b"\r\n");
    }
    body.extend(format!("--{boundary}--\r\n").bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

/// As browsers write a name in quotation marks (HTML standard, "multipart/form-data encoding algorithm").
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_contains_the_boundary_and_no_name_ends_its_header() {
        let part = ("a\"\r\nb".to_owned(), Content::Text(format!("a{BOUNDARY}b")));
        let (kind, body) = body(&[part]);
        let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
        assert_eq!(boundary, format!("{BOUNDARY}-"));
        let body = String::from_utf8(body).unwrap();
        assert_eq!(
            body,
            format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"a%22%0D%0Ab\"\r\n\r\na{BOUNDARY}b\r\n--{boundary}--\r\n"
            )
        );
    }
}
