//! A mapping file: one person and their tenant on each line.
//!
//! A line is CSV (`PERSON,TENANT`, RFC 4180, with a header line or without one), or a JSON object with `tenant`
//! and either `id` or `email`. A person is an id or an e-mail address. Blank lines are skipped. The file is read
//! line by line, so its length has no limit.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use kit::{SubjectId, TenantId};
use serde::Deserialize;

use super::known::KnownTenants;

/// The longest line in bytes: an address has at most 254.
const MAX_LINE_BYTES: u64 = 4_096;

/// At most this many faults are reported; the rest are counted.
const MAX_FAULTS: usize = 20;

/// How a line names a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// By id.
    Id(SubjectId),
    /// By e-mail address, byte for byte.
    Email(String),
}

/// One line of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The number of the line, from 1.
    pub line: u64,
    /// The person.
    pub who: Who,
    /// The tenant that the person shall have.
    pub tenant: TenantId,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The file cannot be read.
    #[error("cannot read the mapping file: {0}")]
    Io(#[from] io::Error),
    /// Lines are not valid.
    #[error("{0}")]
    Lines(Faults),
}

/// The lines that are not valid: the first few, and how many there are.
#[derive(Debug, Default)]
pub struct Faults {
    shown: Vec<(u64, String)>,
    count: usize,
}

impl Faults {
    fn add(&mut self, line: u64, fault: String) {
        self.count += 1;
        if self.shown.len() < MAX_FAULTS {
            self.shown.push((line, fault));
        }
    }

    /// Returns the number of faults.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the first faults, each with its line.
    #[must_use]
    pub fn shown(&self) -> &[(u64, String)] {
        &self.shown
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (line, fault)) in self.shown.iter().enumerate() {
            let end = if index == 0 { "" } else { "\n" };
            write!(f, "{end}line {line}: {fault}")?;
        }
        match self.count.saturating_sub(self.shown.len()) {
            0 => Ok(()),
            more => write!(f, "\n… and {more} more"),
        }
    }
}

/// Reads all of `path` without keeping it, and returns the number of its entries. After this no line of it can fail.
///
/// # Errors
/// [`MapError`], with every line that is not valid or names a tenant that does not exist.
pub fn check(path: &Path, known: &KnownTenants) -> Result<u64, MapError> {
    let (mut faults, mut count) = (Faults::default(), 0);
    for line in Lines::open(path)? {
        match line? {
            (line, Ok(entry)) if !known.has(entry.tenant) => {
                faults.add(line, format!("the tenant {} does not exist", entry.tenant));
            }
            (_, Ok(_)) => count += 1,
            (line, Err(fault)) => faults.add(line, fault),
        }
    }
    if faults.count == 0 { Ok(count) } else { Err(MapError::Lines(faults)) }
}

/// The entries of a file, one after the other. An item is the number of the line, and the entry or its fault.
#[derive(Debug)]
pub struct Lines {
    reader: BufReader<File>,
    number: u64,
}

impl Lines {
    /// Opens the file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { reader: BufReader::new(File::open(path)?), number: 0 })
    }

    fn line(&mut self) -> io::Result<Option<Result<String, String>>> {
        let mut bytes = Vec::new();
        let mut limited = (&mut self.reader).take(MAX_LINE_BYTES);
        if limited.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let whole = bytes.last() == Some(&b'\n');
        if !whole && bytes.len() as u64 >= MAX_LINE_BYTES {
            self.skip_rest()?;
            return Ok(Some(Err(format!("it has more than {MAX_LINE_BYTES} bytes"))));
        }
        let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned());
        Ok(Some(text.map(|text| text.trim().trim_start_matches('\u{feff}').to_owned())))
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        loop {
            let mut piece = Vec::new();
            let read = (&mut self.reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut piece)?;
            if read == 0 || piece.last() == Some(&b'\n') {
                return Ok(());
            }
        }
    }
}

impl Iterator for Lines {
    type Item = io::Result<(u64, Result<Entry, String>)>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let text = match self.line() {
                Ok(None) => return None,
                Ok(Some(Ok(text))) => text,
                Ok(Some(Err(fault))) => return Some(Ok((self.number, Err(fault)))),
                Err(error) => return Some(Err(error)),
            };
            if text.is_empty() || (self.number == 1 && is_heading(&text)) {
                continue;
            }
            return Some(Ok((self.number, entry(self.number, &text))));
        }
    }
}

/// Returns whether a first line names the columns instead of a person: its tenant is the word `tenant`.
fn is_heading(text: &str) -> bool {
    let plain = text.replace([' ', '"'], "").to_ascii_lowercase();
    plain.split_once(',').is_some_and(|(_, tenant)| tenant == "tenant" || tenant == "tenant_id")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    #[serde(alias = "user_id")]
    id: Option<String>,
    email: Option<String>,
    #[serde(alias = "tenant_id")]
    tenant: String,
}

fn entry(line: u64, text: &str) -> Result<Entry, String> {
    let (person, tenant) = if text.starts_with('{') {
        let Object { id, email, tenant } = serde_json::from_str(text).map_err(|error| {
            format!("{error}; write {{\"email\": …, \"tenant\": …}} or {{\"id\": …, \"tenant\": …}}")
        })?;
        match (id, email) {
            (Some(person), None) | (None, Some(person)) => (person, tenant),
            (Some(_), Some(_)) | (None, None) => return Err("write either `id` or `email`".to_owned()),
        }
    } else {
        let form = "write PERSON,TENANT: an id or an e-mail address, a comma, and the id of a tenant";
        let (person, rest) = field(text).ok_or(form)?;
        let (tenant, rest) = field(rest.strip_prefix(',').ok_or(form)?).ok_or(form)?;
        if !rest.is_empty() {
            return Err(form.to_owned());
        }
        (person, tenant)
    };
    let tenant =
        tenant.trim().parse().map_err(|_| format!("{tenant:?} is not the id of a tenant; write a UUID"))?;
    let person = person.trim();
    let who = match person.parse() {
        Ok(id) => Who::Id(id),
        Err(_) if person.contains('@') && !person.chars().any(char::is_control) => {
            Who::Email(person.to_owned())
        }
        Err(_) => return Err(format!("{person:?} is neither an id nor an e-mail address")),
    };
    Ok(Entry { line, who, tenant })
}

/// Returns one field of CSV and the rest of the line.
fn field(text: &str) -> Option<(String, &str)> {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find(',').unwrap_or(text.len());
        let (field, rest) = text.split_at_checked(end)?;
        return Some((field.to_owned(), rest));
    };
    let mut field = String::new();
    loop {
        let (piece, after) = rest.split_once('"')?;
        field.push_str(piece);
        match after.strip_prefix('"') {
            // Two quotes mean one.
            Some(more) => {
                field.push('"');
                rest = more;
            }
            None => return Some((field, after)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "00000000-0000-7000-8000-000000000001";

    fn known() -> KnownTenants {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), format!("tenants: [{{ id: {ONE} }}]")).unwrap();
        KnownTenants::read(file.path()).unwrap()
    }

    fn read(text: &[u8]) -> (Result<u64, MapError>, Vec<Entry>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let entries = Lines::open(file.path()).unwrap().filter_map(|line| line.unwrap().1.ok()).collect();
        (check(file.path(), &known()), entries)
    }

    #[test]
    fn csv_and_json_lines_name_people_by_id_or_address() {
        let id = "00000000-0000-7000-8000-0000000000c0";
        let text =
            format!("\u{feff}email,tenant\r\na@x,{ONE}\r\n\r\n{id},{ONE}\n\"o\"\"neill, j\"@x,{ONE}\n");
        let (checked, _) = read(text.as_bytes());
        assert!(checked.is_err(), "a quoted field ends with its quote");
        let text = format!(
            "\u{feff}email,tenant\r\na@x,{ONE}\r\n\r\n{id},{ONE}\n\"o\"\"neill, j@x\",\"{ONE}\"\n\
             {{\"email\": \"b@x\", \"tenant\": \"{ONE}\"}}\n{{\"id\":\"{id}\",\"tenant\":\"{ONE}\"}}"
        );
        let (checked, entries) = read(text.as_bytes());
        assert_eq!(checked.unwrap(), 5);
        let people: Vec<(u64, Who)> = entries.into_iter().map(|entry| (entry.line, entry.who)).collect();
        let (by_id, by_email) = (|| Who::Id(id.parse().unwrap()), |text: &str| Who::Email(text.to_owned()));
        let expected = [
            (2, by_email("a@x")),
            (4, by_id()),
            (5, by_email("o\"neill, j@x")),
            (6, by_email("b@x")),
            (7, by_id()),
        ];
        assert_eq!(people, expected);
    }

    #[test]
    fn columns_may_have_the_names_of_the_database() {
        let id = "00000000-0000-7000-8000-0000000000c0";
        let text =
            format!("user_id,tenant_id\n{id},{ONE}\n{{\"user_id\":\"{id}\",\"tenant_id\":\"{ONE}\"}}\n");
        let (checked, entries) = read(text.as_bytes());
        assert_eq!((checked.unwrap(), entries.len()), (2, 2));
    }

    #[test]
    fn every_line_that_is_not_valid_is_named() {
        let long = "x".repeat(5_000);
        let text = format!(
            "a@x,{ONE}\nnobody,{ONE}\na@x\na@x,1\na@x,{ONE},2\n{{\"tenant\":\"{ONE}\"}}\n{{\"x\":1}}\n{long}\n\
             a@x,00000000-0000-7000-8000-0000000000ff\n"
        );
        let fault = read(text.as_bytes()).0.unwrap_err().to_string();
        for (line, word) in [
            (2, "neither an id"),
            (3, "PERSON,TENANT"),
            (4, "a tenant"),
            (5, "PERSON,TENANT"),
            (6, "either `id`"),
            (7, "unknown field"),
            (8, "more than 4096"),
            (9, "does not exist"),
        ] {
            let found = fault.lines().find(|text| text.starts_with(&format!("line {line}: ")));
            assert!(found.is_some_and(|text| text.contains(word)), "line {line}, {word}: {fault}");
        }
        let many = "x\n".repeat(100);
        let fault = read(many.as_bytes()).0.unwrap_err().to_string();
        assert!(fault.lines().count() == 21 && fault.ends_with("and 80 more"), "{fault}");
        assert!(read(b"\xff\n").0.unwrap_err().to_string().contains("not UTF-8"));
    }
}
