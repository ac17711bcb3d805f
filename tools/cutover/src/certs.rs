//! `cutover certs`: a certificate and its key for a development edge.
//!
//! Made where it is used, believed by nobody who was not told to (`curl --cacert`), and never for anything but
//! development: a public edge gets its certificate from an authority, into the same two files.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use crate::exit::{DONE, FOUND, exit};
use crate::home::Home;
use crate::out;

/// `cutover certs`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
    /// A name that the certificate is good for; a leading `*.` stands for one label.
    #[arg(long = "name", value_name = "NAME", default_values_t = ["localhost".to_owned()])]
    pub names: Vec<String>,
    /// Make a new pair although there is one.
    #[arg(long)]
    pub renew: bool,
}

/// Why there is no pair.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// A file could not be written.
    #[error("cannot write {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The library refused, for example a name that no certificate can carry.
    #[error("no certificate could be made for {names}: {source}")]
    Certificate {
        /// The names that were asked for.
        names: String,
        /// What the library said.
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
            out::line!("{}: the pair is there and stays; --renew makes another", directory.display());
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

/// Makes the pair in `directory` unless it is there. Says whether it did.
///
/// # Errors
/// [`CertsError`]
pub fn make(directory: &Path, names: &[String], renew: bool) -> Result<bool, CertsError> {
    let (certificate, key) = (directory.join(CERTIFICATE), directory.join(KEY));
    if !renew && certificate.exists() && key.exists() {
        return Ok(false);
    }
    let failed = |source| CertsError::Certificate { names: names.join(", "), source };
    // ES256 on P-256, and no end in sight: nobody renews what nobody relies on.
    let made = rcgen::generate_simple_self_signed(names.to_vec()).map_err(failed)?;
    fs::create_dir_all(directory)
        .map_err(|source| CertsError::File { path: directory.to_owned(), source })?;
    // Whoever watches the directory reads both when either is moved; until the second is there they do not fit,
    // and the old pair stays in force.
    replace(&key, made.signing_key.serialize_pem().as_bytes(), 0o600)?;
    replace(&certificate, made.cert.pem().as_bytes(), 0o644)?;
    Ok(true)
}

/// Writes a file so that it is there whole or not at all.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CertsError> {
    let failed = |source| CertsError::File { path: path.to_owned(), source };
    let unfinished = path.with_extension(format!("{}.unfinished", std::process::id()));
    let _ = fs::remove_file(&unfinished);
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&unfinished).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)
}
