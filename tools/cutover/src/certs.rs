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
    match make(&directory, &arguments.names, arguments.renew) {
        Ok(true) => {
            out::line!("{}", directory.join(CERTIFICATE).display());
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
    let (certificate, key) = (directory.join(CERTIFICATE), directory.join(KEY));
    if !renew && certificate.exists() && key.exists() {
        return Ok(false);
    }
    let failed = |source| CertsError::Certificate { names: names.join(", "), source };
    // ES256 on P-256, and no early expiry: a certificate for development needs no renewal.
    let made = rcgen::generate_simple_self_signed(names.to_vec()).map_err(failed)?;
    fs::create_dir_all(directory)
        .map_err(|source| CertsError::File { path: directory.to_owned(), source })?;
    // A program that watches the directory reads both files when either is replaced. Until the second is replaced
    // they do not match, and the old pair stays in force.
    replace(&key, made.signing_key.serialize_pem().as_bytes(), 0o600)?;
    replace(&certificate, made.cert.pem().as_bytes(), 0o644)?;
    Ok(true)
}

/// Writes a file so that it exists completely or not at all.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CertsError> {
    whole_file::replace(path, bytes, mode)
        .map_err(|source| CertsError::File { path: path.to_owned(), source })
}
