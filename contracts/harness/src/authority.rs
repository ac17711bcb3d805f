//! A certificate authority for tests, and peers that present its certificates.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer, KeyIdMethod,
    KeyPair, KeyUsagePurpose, RevokedCertParams,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A certificate authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
    /// The next serial number.
    issued: AtomicU64,
}

/// A certificate and its key, in files.
#[derive(Clone, Debug)]
pub struct Pair {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// Its private key, PEM.
    pub key: PathBuf,
    /// The number by which its authority revokes it.
    pub serial: u64,
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl Authority {
    /// A new authority.
    ///
    /// # Panics
    /// When no key can be made.
    #[must_use]
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        // A name of its own: Envoy treats a certificate whose subject is its issuer's name as self-signed.
        params.distinguished_name.push(DnType::CommonName, "authority of the tests");
        let certificate = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), certificate, issued: AtomicU64::new(2) }
    }

    /// Writes its own certificate to `path`, in one step.
    pub fn write(&self, path: &Path) {
        replace(path, &self.certificate);
    }

    /// Issues a certificate for `name` and writes it as `FILE.pem` and `FILE.key` in `directory`; existing files are replaced,
    /// each in one step.
    ///
    /// # Panics
    /// When the name is not a DNS name, or a file cannot be written.
    pub fn issue(&self, directory: &Path, file: &str, name: &str) -> Pair {
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        self.issue_with(directory, file, name, params)
    }

    /// The same for a certificate that was valid once and is not any more.
    ///
    /// # Panics
    /// When the name is not a DNS name, or a file cannot be written.
    pub fn issue_expired(&self, directory: &Path, file: &str, name: &str) -> Pair {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
        self.issue_with(directory, file, name, params)
    }

    /// Writes the list of revoked certificates to `path`, in one step: those of `pairs`. It is valid until `until`, a year.
    ///
    /// # Panics
    /// When it cannot be signed or written.
    pub fn revoke(&self, path: &Path, pairs: &[&Pair], until: i32) {
        let revoked = pairs.iter().map(|pair| RevokedCertParams {
            serial_number: pair.serial.into(),
            revocation_time: rcgen::date_time_ymd(2020, 1, 1),
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 1),
            next_update: rcgen::date_time_ymd(until, 1, 1),
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        let list = params.signed_by(&self.issuer).and_then(|list| list.pem()).expect("a list");
        replace(path, &list);
    }

    fn issue_with(&self, directory: &Path, file: &str, name: &str, mut params: CertificateParams) -> Pair {
        let key = KeyPair::generate().expect("a key");
        params.distinguished_name.push(DnType::CommonName, name);
        let serial = self.issued.fetch_add(1, Ordering::Relaxed);
        params.serial_number = Some(serial.into());
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        let pair = Pair {
            certificate: directory.join(format!("{file}.pem")),
            key: directory.join(format!("{file}.key")),
            serial,
        };
        replace(&pair.key, &key.serialize_pem());
        replace(&pair.certificate, &certificate.pem());
        pair
    }
}

fn replace(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let unfinished = path.with_extension("unfinished");
    std::fs::write(&unfinished, text).expect("the directory is writable");
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&unfinished, mode).expect("the file is ours");
    std::fs::rename(&unfinished, path).expect("the directory is writable");
}

/// The certificate and the first bytes of an HTTP/2 server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
    /// The beginning of its first frame.
    pub frame: Vec<u8>,
}

/// Connects to `server`, whose certificate must have the name `name` and come from the authority in `ca`, presents `own`,
/// and starts HTTP/2.
///
/// # Errors
/// No connection, no valid certificate, or no answer.
///
/// # Panics
/// When a file is not PEM.
pub fn greet(server: SocketAddr, ca: &Path, name: &str, own: Option<&Pair>) -> io::Result<Greeting> {
    let mut roots = RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(ca).expect("the authority is PEM");
    roots.add(authority).expect("it can be trusted");
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots);
    let mut config = match own {
        Some(pair) => {
            let chain = CertificateDer::from_pem_file(&pair.certificate).expect("the certificate is PEM");
            let key = PrivateKeyDer::from_pem_file(&pair.key).expect("the key is PEM");
            builder.with_client_auth_cert(vec![chain], key).expect("they fit together")
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from(name.to_owned()).expect("it is a name");
    let talk = async {
        let stream = TcpStream::connect(server).await?;
        let mut stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let certificate = shown.map(|certificate| certificate.as_ref().to_vec()).unwrap_or_default();
        // The preface and empty settings (RFC 9113 §3.4).
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
        let mut frame = vec![0; 9];
        stream.read_exact(&mut frame).await?;
        Ok(Greeting { certificate, frame })
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), talk)
            .await
            .unwrap_or(Err(io::ErrorKind::TimedOut.into()))
    })
}
