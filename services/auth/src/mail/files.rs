//! Mail as one JSON file each, for a development edge: `ADDRESS/NNNN.json`, with the variables of its template. A script (or a
//! developer) can read the login code from it.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::{Code, link};
use crate::escape;

/// How often a faster writer of the same directory may take the number before this writer gives up.
const MAX_ATTEMPTS: u32 = 100;

/// Writes `code` below `directory`, which is created with the first mail.
///
/// # Errors
/// The I/O error of the system.
pub(super) async fn write_code(directory: &Path, code: &Code<'_>) -> io::Result<()> {
    let now = i64::try_from(code.at.seconds()).unwrap_or(i64::MAX);
    let created_at = OffsetDateTime::from_unix_timestamp(now)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_default();
    let mail = json!({
        "to": code.to,
        "template": "authcode",
        "variables": { "authcode": code.code, "link": link(code.code) },
        "created_at": created_at,
    });
    let (all, name): (PathBuf, _) = (directory.to_owned(), escape::directory_name(code.to));
    let text = mail.to_string();
    let writing = move || {
        secret_file::make_directory(&all)?;
        write(&all.join(name), &text)
    };
    tokio::task::spawn_blocking(writing).await.map_err(io::Error::other)?
}

/// Writes the file with the next number. A reader sees the whole file or none: the text goes to a file of
/// another name first, and a hard link, unlike a rename, fails when the number is taken.
fn write(directory: &Path, text: &str) -> io::Result<()> {
    secret_file::make_directory(directory)?;
    let draft = directory.join(format!(".{}", Uuid::new_v4()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    let linked = publish(&draft, directory);
    fs::remove_file(&draft)?;
    linked
}

fn publish(draft: &Path, directory: &Path) -> io::Result<()> {
    let mut number = last_number(directory)?;
    for _ in 0..MAX_ATTEMPTS {
        number += 1;
        match fs::hard_link(draft, directory.join(format!("{number:04}.json"))) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            done => return done,
        }
    }
    Err(io::Error::other("too many simultaneous writers of one mailbox"))
}

fn last_number(directory: &Path) -> io::Result<u64> {
    let mut last = 0;
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok());
        last = last.max(number.unwrap_or(0));
    }
    Ok(last)
}
