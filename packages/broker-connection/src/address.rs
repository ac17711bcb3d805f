//! The address of one or several brokers, as `AMQP_URL` gives it.
//!
//! `amqp://USER:PASSWORD@HOST:5672,HOST:5672/VHOST`, or `amqps` for TLS. Parameters behind `?` name files: `ca`, `certificate`
//! and `key`, `password_file`. A file is read again for each new connection. Besides them, those of the library count:
//! `auth_mechanism`, `channel_max`, `connection_timeout`, `frame_max`, `heartbeat`
//! (<https://www.rabbitmq.com/docs/uri-query-parameters>). Any other is refused and not ignored: it may ask for protection.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lapin::uri::{AMQPScheme, AMQPUri};
use percent_encoding::percent_decode_str;
use secret_file::MAX_KEY_BYTES;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// More brokers than this is surely a mistake; each costs a try while all are down.
const MAX_BROKERS: usize = 8;

/// A bundle of all public CAs has 200 KB.
const MAX_CERTIFICATE_BYTES: u64 = 4 * 1024 * 1024;

/// Heartbeats: a broker that vanished silently is noticed after twice this time.
const HEARTBEAT_SECONDS: u16 = 10;

/// The brokers, in the order of the address, and how they are entered. `Debug` and `Display` show hosts and ports alone.
#[derive(Clone)]
pub struct Address {
    brokers: Vec<AMQPUri>,
    password_file: Option<PathBuf>,
    /// Absent without TLS.
    tls: Option<TlsFiles>,
}

/// The files of TLS; without `ca` the certificates count that the machine trusts.
#[derive(Clone, Default)]
struct TlsFiles {
    ca: Option<PathBuf>,
    /// The client's own certificate, and its key.
    pair: Option<(PathBuf, PathBuf)>,
}

/// One broker, with what its files hold now. `Debug` and `Display` show its host and port alone.
#[derive(Clone)]
pub struct Entry {
    pub(super) uri: AMQPUri,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&name(&self.uri))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, broker) in self.brokers.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{}", name(broker))?;
        }
        Ok(())
    }
}

/// The host and port of `broker`, for messages.
fn name(broker: &AMQPUri) -> String {
    format!("{}:{}", broker.authority.host, broker.authority.port)
}

/// An invalid address; the message is the fix. Its text is not shown, because it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadAddress {
    /// Not an AMQP address.
    #[error(
        "write an AMQP address, such as amqp://USER:PASSWORD@127.0.0.1:5672/%2f (amqps with TLS), or with several hosts, \
         HOST:5672,HOST:5672"
    )]
    Unreadable,
    /// Too many brokers.
    #[error("name at most {MAX_BROKERS} brokers")]
    TooMany,
    /// A parameter that is not supported.
    #[error(
        "the parameter `{0}` is not supported; files of TLS are `ca`, `certificate` and `key`, that of the password is \
         `password_file`"
    )]
    Parameter(String),
    /// Certificates without TLS.
    #[error("names certificates without TLS; write amqps instead of amqp")]
    Unverified,
    /// A certificate without its key, or a key without its certificate.
    #[error("`certificate` and `key` belong together")]
    Pair,
    /// The password is given twice.
    #[error("the password is in the address and in password_file; leave one out")]
    TwoPasswords,
    /// A file that cannot be used.
    #[error("{0}")]
    File(String),
}

impl Address {
    /// Parses `url`. Its files must be there and usable, so that a mistake is found at the start.
    ///
    /// # Errors
    /// [`BadAddress`].
    pub fn parse(url: &str) -> Result<Self, BadAddress> {
        let address = Self::read(url)?;
        address.entries()?;
        Ok(address)
    }

    fn read(url: &str) -> Result<Self, BadAddress> {
        let (scheme, rest) = url.split_once("://").ok_or(BadAddress::Unreadable)?;
        let encrypted = match scheme {
            "amqp" => false,
            "amqps" => true,
            _ => return Err(BadAddress::Unreadable),
        };
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, vhost) = match place.split_once('/') {
            Some((authority, vhost)) => (authority, format!("/{vhost}")),
            None => (place, String::new()),
        };
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let Parameters { files, password_file, others } = Parameters::read(query)?;
        if password_file.is_some() && login.contains(':') {
            return Err(BadAddress::TwoPasswords);
        }
        let tls = match files {
            files if encrypted => Some(files),
            TlsFiles { ca: None, pair: None } => None,
            TlsFiles { .. } => return Err(BadAddress::Unverified),
        };
        let hosts: Vec<&str> = hosts.split(',').collect();
        if hosts.len() > MAX_BROKERS {
            return Err(BadAddress::TooMany);
        }
        let at = if login.is_empty() { "" } else { "@" };
        let broker = |host: &&str| {
            let one = format!("{scheme}://{login}{at}{host}{vhost}?{others}");
            let mut uri: AMQPUri = one.parse().map_err(|_| BadAddress::Unreadable)?;
            // The library reads an IPv6 address as `localhost`.
            if let Some((address, _)) = host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
                address.clone_into(&mut uri.authority.host);
            } else if host.is_empty() || host.starts_with(':') {
                return Err(BadAddress::Unreadable);
            }
            uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
            Ok(uri)
        };
        let brokers = hosts.iter().map(broker).collect::<Result<_, _>>()?;
        Ok(Self { brokers, password_file, tls })
    }

    /// The brokers, in the order of the address, with what the files hold now.
    ///
    /// # Errors
    /// [`BadAddress::File`], when a file cannot be used any more.
    pub fn entries(&self) -> Result<Vec<Entry>, BadAddress> {
        let password = self.password_file.as_deref().map(password).transpose()?;
        let tls = self.tls.as_ref().map(TlsFiles::load).transpose()?.map(Arc::new);
        let entry = |broker: &AMQPUri| {
            let mut uri = broker.clone();
            if let Some(password) = &password {
                password.clone_into(&mut uri.authority.userinfo.password);
            }
            debug_assert_eq!(tls.is_some(), uri.scheme == AMQPScheme::AMQPS, "the scheme decides about TLS");
            Entry { uri, tls: tls.clone() }
        };
        Ok(self.brokers.iter().map(entry).collect())
    }
}

/// The parameters behind `?`.
#[derive(Default)]
struct Parameters {
    files: TlsFiles,
    password_file: Option<PathBuf>,
    /// Those that the library reads, encoded.
    others: String,
}

impl Parameters {
    fn read(query: &str) -> Result<Self, BadAddress> {
        let mut read = Self::default();
        let (mut certificate, mut key) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, encoded) = pair.split_once('=').ok_or(BadAddress::Unreadable)?;
            let value = percent_decode_str(encoded).decode_utf8().map_err(|_| BadAddress::Unreadable)?;
            let file = Some(PathBuf::from(value.as_ref()));
            match name {
                "ca" => read.files.ca = file,
                "certificate" => certificate = file,
                "key" => key = file,
                "password_file" => read.password_file = file,
                "auth_mechanism" | "channel_max" | "connection_timeout" | "frame_max" | "heartbeat" => {
                    read.others.push_str(pair);
                    read.others.push('&');
                }
                _ => return Err(BadAddress::Parameter(name.to_owned())),
            }
        }
        read.files.pair = match (certificate, key) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (Some(_), None) | (None, Some(_)) => return Err(BadAddress::Pair),
        };
        Ok(read)
    }
}

/// The password in `file`. A line break at its end is not part of it.
fn password(file: &Path) -> Result<String, BadAddress> {
    let secret =
        secret_file::read(file, MAX_KEY_BYTES).map_err(|error| BadAddress::File(error.to_string()))?;
    let text = secret.as_text().ok().map(|text| text.trim_end_matches(['\r', '\n']));
    let text = text.filter(|text| !text.is_empty() && !text.contains(char::is_control));
    let fix = || BadAddress::File(format!("{}: write the password on one line, as UTF-8", file.display()));
    text.map(str::to_owned).ok_or_else(fix)
}

impl TlsFiles {
    fn load(&self) -> Result<ClientConfig, BadAddress> {
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| BadAddress::File(error.to_string()))?
            .with_root_certificates(self.roots()?);
        let Some((certificate, key)) = &self.pair else { return Ok(builder.with_no_client_auth()) };
        let secret =
            secret_file::read(key, MAX_KEY_BYTES).map_err(|error| BadAddress::File(error.to_string()))?;
        let private =
            PrivateKeyDer::from_pem_slice(secret.as_bytes()).map_err(|error| unusable(key, &error))?;
        builder
            .with_client_auth_cert(certificates(certificate)?, private)
            .map_err(|error| unusable(key, &error))
    }

    fn roots(&self) -> Result<RootCertStore, BadAddress> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            Some(file) => {
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|error| unusable(file, &error))?;
                }
            }
            None => {
                // Certificates of the machine that cannot be read are missing: then a broker of theirs is refused.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
        }
        Ok(roots)
    }
}

fn unusable(file: &Path, what: &dyn fmt::Display) -> BadAddress {
    BadAddress::File(format!("{}: {what}", file.display()))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, BadAddress> {
    let length = std::fs::metadata(file).map_err(|error| unusable(file, &error))?.len();
    if length > MAX_CERTIFICATE_BYTES {
        return Err(unusable(file, &format!("it has more than {MAX_CERTIFICATE_BYTES} bytes")));
    }
    let content = std::fs::read(file).map_err(|error| unusable(file, &error))?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&content).collect();
    let found = found.map_err(|error| unusable(file, &error))?;
    if found.is_empty() {
        return Err(unusable(file, &"it contains no certificate in PEM"));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
