//! `cutover certs` makes a certificate and its key for a development edge.
//!
//! The pair is made where it is used. A client trusts it only when configured to (`curl --cacert`), so it serves
//! development alone: a public edge gets its certificate from an authority, in the same two files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::exit::{DONE, FOUND, exit};
use crate::home::Home;
use crate::{out, whole_file};

/// `cutover certs`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
    /// A host name that the certificate is valid for; a leading `*.` stands for one label.
    #[arg(long = "name", value_name = "NAME", default_values_t = ["localhost".to_owned()])]
    pub names: Vec<String>,
    /// The name of the files below `certs`, for an edge with several certificates: `shop` makes shop.pem and shop.key.
    #[arg(long, value_name = "NAME", default_value = "edge", value_parser = file_name)]
    pub file: String,
    /// Put the key into the same file as the certificate, for the short form of `certificates` in the edge file.
    #[arg(long)]
    pub one_file: bool,
    /// Make a new pair even when one exists.
    #[arg(long)]
    pub renew: bool,
}

/// Why no pair was made.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// A file could not be written.
    #[error("cannot write {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The library refused, for example a name that no certificate can carry.
    #[error("cannot make a certificate for {names}: {source}")]
    Certificate {
        /// The requested names.
        names: String,
        /// The library's error.
        source: rcgen::Error,
    },
}

/// `cutover certs`
pub fn main(arguments: &Arguments) -> ExitCode {
    let directory = arguments.home.home.join("certs");
    let files = Files {
        certificate: directory.join(format!("{}.pem", arguments.file)),
        key: (!arguments.one_file).then(|| directory.join(format!("{}.key", arguments.file))),
    };
    match write(&directory, &files, &arguments.names, arguments.renew) {
        Ok(true) => {
            out::line!("{}", files.certificate.display());
            exit(DONE)
        }
        Ok(false) => {
            out::line!("{}: the pair exists and is kept; --renew makes another", directory.display());
            exit(DONE)
        }
        Err(error) => {
            out::error!("{error}");
            exit(FOUND)
        }
    }
}

/// The certificate, below the home's `certs`.
pub const CERTIFICATE: &str = "edge.pem";
/// Its private key, beside it.
pub const KEY: &str = "edge.key";

/// Makes the pair in `directory` unless it exists. Returns whether it made one.
///
/// # Errors
/// [`CertsError`]
pub fn make(directory: &Path, names: &[String], renew: bool) -> Result<bool, CertsError> {
    let files = Files { certificate: directory.join(CERTIFICATE), key: Some(directory.join(KEY)) };
    write(directory, &files, names, renew)
}

/// The files of a pair.
struct Files {
    certificate: PathBuf,
    /// Absent when the key is in the file of the certificate.
    key: Option<PathBuf>,
}

/// A plain name, so that no file elsewhere is replaced.
fn file_name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if text.is_empty() || text.starts_with('.') || !text.bytes().all(plain) {
        return Err("write a file name without directory and ending, such as shop".to_owned());
    }
    Ok(text.to_owned())
}

fn write(directory: &Path, files: &Files, names: &[String], renew: bool) -> Result<bool, CertsError> {
    let Files { certificate, key } = files;
    if !renew && certificate.exists() && key.as_ref().is_none_or(|key| key.exists()) {
        return Ok(false);
    }
    let failed = |source| CertsError::Certificate { names: names.join(", "), source };
    // ES256 on P-256, and no early expiry: a certificate for development needs no renewal.
    let made = rcgen::generate_simple_self_signed(names.to_vec()).map_err(failed)?;
    fs::create_dir_all(directory)
        .map_err(|source| CertsError::File { path: directory.to_owned(), source })?;
    // A program that watches the directory reads both files when either is replaced. Until the second is replaced
    // they do not match, and the old pair stays in force.
    let secret = made.signing_key.serialize_pem();
    match key {
        Some(key) => {
            replace(key, secret.as_bytes(), 0o600)?;
            replace(certificate, made.cert.pem().as_bytes(), 0o644)?;
        }
        None => replace(certificate, (made.cert.pem() + &secret).as_bytes(), 0o600)?,
    }
    Ok(true)
}

/// Writes a file so that it exists completely or not at all.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CertsError> {
    whole_file::replace(path, bytes, mode)
        .map_err(|source| CertsError::File { path: path.to_owned(), source })
}
