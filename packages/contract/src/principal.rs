//! Who sends the requests of a set: header lines from a file that only its owner can read.

use std::fmt;
use std::path::Path;

use http_wire::answer::Line;
use http_wire::head::parse;

/// A principal.
#[derive(Clone, PartialEq, Eq)]
pub struct Principal {
    /// Its name: the file's, without its extension.
    pub name: String,
    /// The header lines with its credentials.
    pub lines: Vec<Line>,
}

/// Shows no credential.
impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Principal({}, {} lines)", self.name, self.lines.len())
    }
}

/// Reads a file of header lines, such as `cookie: session=…`; `none` is the caller without a session (nothing).
///
/// # Errors
/// A sentence that names the file and the fix, and none of its content.
pub fn read(path: &str) -> Result<Option<Principal>, String> {
    if path == "none" {
        return Ok(None);
    }
    let file = Path::new(path);
    let secret = secret_file::read(file, secret_file::MAX_KEY_BYTES).map_err(|error| error.to_string())?;
    let name = file.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name == "none" || !name.chars().all(is_name) {
        return Err(format!("{path}: name the file after the principal, in letters, digits, - and _"));
    }
    let mut lines = vec![b"GET / HTTP/1.1".to_vec()];
    let text = secret.as_bytes().split(|byte| *byte == b'\n');
    lines.extend(
        text.map(|line| line.trim_ascii().to_vec())
            .filter(|line| !line.is_empty() && !line.starts_with(b"#")),
    );
    let head = parse(&lines).map_err(|_| {
        format!("{path}: write header lines, one on each line, such as `cookie: session=VALUE`")
    })?;
    if head.lines.is_empty() {
        return Err(format!("{path} has no header line; write one, such as `cookie: session=VALUE`"));
    }
    if head.lines.iter().any(|line| line.is("host") || line.is("content-length")) {
        return Err(format!("{path}: a principal's file has credentials alone, not Host or Content-Length"));
    }
    Ok(Some(Principal { name, lines: head.lines }))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_names_a_principal_and_its_credentials() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("member.headers");
        let read = |text: &str, mode: u32| {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            read(path.to_str().unwrap())
        };
        let principal = read("# of the test tenant\nCookie: sid=secret1\n\n", 0o600).unwrap().unwrap();
        assert_eq!((principal.name.as_str(), principal.lines.len()), ("member", 1));
        assert!(!format!("{principal:?}").contains("secret1"));
        for (text, mode, expected) in [
            ("Cookie: sid=secret1", 0o644, "chmod 600"),
            ("secret1", 0o600, "write header lines"),
            ("", 0o600, "has no header line"),
            ("Host: a", 0o600, "credentials alone"),
        ] {
            let error = read(text, mode).unwrap_err();
            assert!(error.contains(expected) && !error.contains("secret1"), "{error}");
        }
        assert_eq!(super::read("none").unwrap(), None);
        assert!(super::read("/absent").is_err());
    }
}
