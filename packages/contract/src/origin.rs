//! A server, and how one request is sent to it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use edge_config::without_credentials;
use http_wire::answer::{Answer, Line};
use http_wire::{Events, ReadError};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::exchange::{Protocol, Request};

/// A server.
#[derive(Clone, Debug)]
pub struct Origin {
    host: String,
    port: u16,
    authority: String,
    tls: Option<Trust>,
}

/// The certificates that are trusted, for each protocol (ALPN).
#[derive(Clone)]
struct Trust {
    http1: TlsConnector,
    http2: TlsConnector,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trust")
    }
}

impl Origin {
    /// Reads `http://HOST:PORT` or `https://HOST:PORT`. `ca` is a file of trusted certificates in PEM; without it, those of
    /// the system count.
    ///
    /// # Errors
    /// A sentence with the fix.
    pub fn read(url: &str, ca: Option<&Path>) -> Result<Self, String> {
        let fix = "write for example http://127.0.0.1:8080";
        let shown = without_credentials(url);
        let (is_tls, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(format!("{shown:?} is not an http or https URL; {fix}")),
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.is_empty() || authority.contains(['/', '?', '#', '@']) {
            return Err(format!("{shown:?} is more than an address; {fix}"));
        }
        let default = if is_tls { 443 } else { 80 };
        // The last colon of `[::1]` belongs to the address.
        let (host, port) = match authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']')) {
            Some((host, port)) => {
                (host, port.parse().map_err(|_| format!("{shown:?} has no valid port; {fix}"))?)
            }
            None => (authority, default),
        };
        let host = host.trim_matches(['[', ']']).to_owned();
        // Read for http, too: a file that is named and cannot be used is a slip, whatever the address.
        let tls = if is_tls || ca.is_some() { Some(Trust::read(ca)?) } else { None }.filter(|_| is_tls);
        Ok(Self { host, port, authority: authority.to_owned(), tls })
    }

    /// Host and port as in the URL: the `Host` of requests that name none.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Sends `request` with `lines` on a connection of its own, so that bytes left by one answer are never read as the
    /// next one.
    ///
    /// # Errors
    /// [`ReadError`]: there is no whole answer within `patience`.
    pub async fn send(
        &self,
        request: &Request,
        lines: &[Line],
        protocol: Protocol,
        patience: Duration,
    ) -> Result<Answer, ReadError> {
        let late = |_| {
            let why = format!(
                "no whole answer within {} s (a stream of events that does not end has none); give it more with --timeout",
                patience.as_secs()
            );
            ReadError::Connection(std::io::Error::new(std::io::ErrorKind::TimedOut, why))
        };
        tokio::time::timeout(patience, self.exchange(request, lines, protocol)).await.map_err(late)?
    }

    async fn exchange(
        &self,
        request: &Request,
        lines: &[Line],
        protocol: Protocol,
    ) -> Result<Answer, ReadError> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        let Some(trust) = &self.tls else { return on(stream, "http", request, lines, protocol).await };
        let connector = match protocol {
            Protocol::Http1 => &trust.http1,
            Protocol::Http2 => &trust.http2,
        };
        // The certificate is for the name that the request asks for, as in a browser.
        let named =
            lines.iter().find(|line| line.is("host")).map(|line| String::from_utf8_lossy(&line.value));
        let named =
            named.as_deref().map_or(self.host.as_str(), |host| host.split(':').next().unwrap_or(host));
        let name = ServerName::try_from(named.to_owned())
            .or_else(|_| ServerName::try_from(self.host.clone()))
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidInput, error))?;
        on(connector.connect(name, stream).await?, "https", request, lines, protocol).await
    }
}

async fn on<S>(
    mut stream: S,
    scheme: &str,
    request: &Request,
    lines: &[Line],
    protocol: Protocol,
) -> Result<Answer, ReadError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    match protocol {
        Protocol::Http1 => {
            // A server may answer and close before it has read the whole request: then its answer counts.
            let sent = stream.write_all(&request.bytes(lines)).await;
            match read(stream, request.method == "HEAD").await {
                Err(ReadError::Closed) => Err(sent.map_or_else(ReadError::from, |()| ReadError::Closed)),
                answer => answer,
            }
        }
        Protocol::Http2 => {
            let kept: Vec<Line> = lines.iter().filter(|line| !is_of_http1(line)).cloned().collect();
            let head = http_wire::h2::request(request.method.as_bytes(), scheme, &request.target, &kept)?;
            http_wire::h2::answer(stream, head, Bytes::from(request.body.clone()), Events::ReadToEnd).await
        }
    }
}

/// Reads the answer, streams of events too: the patience of the caller limits the wait for their end.
async fn read<S: AsyncRead + Unpin>(stream: S, is_head: bool) -> Result<Answer, ReadError> {
    http_wire::answer(&mut BufReader::new(stream), is_head, Events::ReadToEnd).await
}

/// Headers that HTTP/2 does not have (RFC 9113 §8.2.2).
fn is_of_http1(line: &Line) -> bool {
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"]
        .iter()
        .any(|name| line.is(name))
}

impl Trust {
    fn read(ca: Option<&Path>) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        match ca {
            Some(path) => {
                let shown = path.display();
                let unreadable = |error| format!("--ca {shown}: {error}; name a file of certificates in PEM");
                let certificates = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
                for certificate in certificates {
                    let certificate = certificate.map_err(unreadable)?;
                    roots.add(certificate).map_err(|error| format!("--ca {shown}: {error}"))?;
                }
                if roots.is_empty() {
                    return Err(format!(
                        "--ca {shown} has no certificate; name a file of certificates in PEM"
                    ));
                }
            }
            None => {
                let found = rustls_native_certs::load_native_certs();
                roots.add_parsable_certificates(found.certs);
                if roots.is_empty() {
                    return Err("this system trusts no certificates; name some with --ca".to_owned());
                }
            }
        }
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let connector = |protocol: &[u8]| {
            let mut config = config.clone();
            config.alpn_protocols = vec![protocol.to_vec()];
            TlsConnector::from(Arc::new(config))
        };
        Ok(Self { http1: connector(b"http/1.1"), http2: connector(b"h2") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_an_address_and_nothing_more() {
        let origin = Origin::read("http://[::1]:8080/", None).unwrap();
        assert_eq!((origin.host.as_str(), origin.port, origin.authority()), ("::1", 8080, "[::1]:8080"));
        assert_eq!(Origin::read("http://a.test", None).unwrap().port, 80);
        for (wrong, expected) in [
            ("127.0.0.1:80", "is not an http"),
            ("http://a/b", "more than an address"),
            ("http://", "more than an address"),
            ("http://a:x", "no valid port"),
        ] {
            let error = Origin::read(wrong, None).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let error = Origin::read("https://a", Some(Path::new("/absent"))).unwrap_err();
        assert!(error.contains("--ca /absent"), "{error}");
    }
}
