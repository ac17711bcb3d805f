//! Passwords and certificates, from the address or from the files that it names.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use redis::{
    Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo, TlsCertificates,
};

/// The largest file of certificates. A bundle of all public authorities is about 250 KB; a mistaken path must not fill the
/// memory.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// How the servers and the sentinels are entered.
#[derive(Clone)]
pub(crate) struct Access {
    /// Absent without TLS.
    pub(crate) tls: Option<TlsFiles>,
    /// User, password and database, as the address gives them.
    pub(crate) settings: RedisConnectionInfo,
    pub(crate) password_file: Option<PathBuf>,
    /// Sentinels have users of their own.
    pub(crate) sentinel: Login,
}

/// The files of TLS; without `ca` the certificates count that the machine trusts.
#[derive(Clone)]
pub(crate) struct TlsFiles {
    pub(crate) ca: Option<PathBuf>,
    /// Certificate and key.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
}

#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Password>,
}

#[derive(Clone)]
pub(crate) enum Password {
    Text(String),
    File(PathBuf),
}

/// Why a file cannot be used. The message shows no content.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileFault {
    #[error(transparent)]
    Secret(#[from] secret_file::SecretFileError),
    #[error("{0} holds no password: it is empty or not UTF-8")]
    Password(PathBuf),
    #[error("cannot read {0}: {1}; check the path, and that this user may read it")]
    Unreadable(PathBuf, std::io::Error),
    #[error("{0} is larger than {MOST_BYTES} bytes, so it cannot be a certificate; check the path")]
    TooLarge(PathBuf),
    #[error("{0}: not a PEM file with certificates, or the key does not fit them ({1})")]
    Pem(PathBuf, redis::RedisError),
}

/// The content of the files, at one moment.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) settings: RedisConnectionInfo,
    pub(crate) sentinel: RedisConnectionInfo,
    pub(crate) certificates: Option<TlsCertificates>,
    /// Differs when a file does.
    pub(crate) fingerprint: u64,
}

impl Access {
    /// Whether a file can change what a connection needs.
    pub(crate) fn has_files(&self) -> bool {
        let has_tls = self.tls.as_ref().is_some_and(|tls| tls.ca.is_some() || tls.identity.is_some());
        has_tls || self.password_file.is_some() || matches!(self.sentinel.password, Some(Password::File(_)))
    }

    /// Reads the files.
    pub(crate) fn load(&self) -> Result<Loaded, FileFault> {
        let mut hasher = DefaultHasher::new();
        let mut settings = self.settings.clone();
        if let Some(file) = &self.password_file {
            let password = password(file)?;
            password.hash(&mut hasher);
            settings = settings.set_password(password);
        }
        let mut sentinel = RedisConnectionInfo::default();
        if let Some(user) = &self.sentinel.user {
            sentinel = sentinel.set_username(user);
        }
        match &self.sentinel.password {
            None => {}
            Some(Password::Text(text)) => sentinel = sentinel.set_password(text),
            Some(Password::File(file)) => {
                let password = password(file)?;
                password.hash(&mut hasher);
                sentinel = sentinel.set_password(password);
            }
        }
        let certificates = self.tls.as_ref().map(TlsFiles::load).transpose()?;
        if let Some(TlsCertificates { client_tls, root_cert }) = &certificates {
            root_cert.hash(&mut hasher);
            if let Some(ClientTlsConfig { client_cert, client_key }) = client_tls {
                (client_cert, client_key).hash(&mut hasher);
            }
        }
        Ok(Loaded { settings, sentinel, certificates, fingerprint: hasher.finish() })
    }
}

impl TlsFiles {
    fn load(&self) -> Result<TlsCertificates, FileFault> {
        let root_cert = self.ca.as_deref().map(certificates).transpose()?;
        let client_tls = match &self.identity {
            None => None,
            Some((certificate, key)) => {
                let client_cert = certificates(certificate)?;
                let client_key = secret_file::read(key, secret_file::MAX_KEY_BYTES)?.as_bytes().to_vec();
                Some(ClientTlsConfig { client_cert, client_key })
            }
        };
        // Each file is tried by itself, so that the message can name it.
        if let (Some(ca), Some(_)) = (&self.ca, &root_cert) {
            let alone = TlsCertificates { client_tls: None, root_cert: root_cert.clone() };
            usable(&alone).map_err(|error| FileFault::Pem(ca.clone(), error))?;
        }
        if let (Some((certificate, _)), Some(_)) = (&self.identity, &client_tls) {
            let alone = TlsCertificates { client_tls: client_tls.clone(), root_cert: None };
            usable(&alone).map_err(|error| FileFault::Pem(certificate.clone(), error))?;
        }
        Ok(TlsCertificates { client_tls, root_cert })
    }
}

impl Loaded {
    /// A client for the server at `address`.
    pub(crate) fn client(&self, address: ConnectionAddr) -> redis::RedisResult<Client> {
        let info = address.into_connection_info()?.set_redis_settings(self.settings.clone());
        match (&self.certificates, info.addr()) {
            (Some(certificates), ConnectionAddr::TcpTls { .. }) => {
                Client::build_with_tls(info, certificates.clone())
            }
            (Some(_) | None, _) => Client::open(info),
        }
    }
}

/// Parses the certificates as a connection will.
fn usable(certificates: &TlsCertificates) -> redis::RedisResult<()> {
    let nowhere =
        ConnectionAddr::TcpTls { host: "localhost".to_owned(), port: 1, insecure: false, tls_params: None };
    Client::build_with_tls(nowhere, certificates.clone()).map(|_| ())
}

fn password(file: &Path) -> Result<String, FileFault> {
    let secret = secret_file::read(file, secret_file::MAX_KEY_BYTES)?;
    let text = secret.as_text().map(|text| text.trim_end_matches(['\r', '\n']));
    match text {
        Ok(text) if !text.is_empty() => Ok(text.to_owned()),
        Ok(_) | Err(_) => Err(FileFault::Password(file.to_owned())),
    }
}

fn certificates(file: &Path) -> Result<Vec<u8>, FileFault> {
    let unreadable = |error| FileFault::Unreadable(file.to_owned(), error);
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(unreadable)?;
    opened.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(FileFault::TooLarge(file.to_owned()));
    }
    if !bytes.windows(BEGIN.len()).any(|window| window == BEGIN) {
        let none = redis::RedisError::from((redis::ErrorKind::InvalidClientConfig, "no certificate in it"));
        return Err(FileFault::Pem(file.to_owned(), none));
    }
    Ok(bytes)
}

/// The first line of a certificate in PEM (RFC 7468 §5.1). A file without one would be read as an empty list.
const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
