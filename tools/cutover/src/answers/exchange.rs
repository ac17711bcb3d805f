//! Queries the legacy backend, byte by byte.

use std::collections::BTreeMap;
use std::time::Duration;

use backend_connection::{Connector, Opened};
use edge_config::edge::{Backend, BackendTls, Endpoint, Protocol};
use edge_config::{Edge, without_credentials};
use http_wire::answer::Answer;
use http_wire::{Events, ReadError};
use tokio::io::{AsyncWriteExt as _, BufReader};

use super::question::Question;

/// From the connection to the last byte. A refusal takes milliseconds; a backend that needs longer is stuck.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the legacy backend answers, and what it expects of every request.
#[derive(Clone, Debug)]
pub struct Target {
    at: Endpoint,
    /// How its certificate is verified; absent where it is queried in the clear.
    tls: Option<BackendTls>,
    /// Constant headers that the edge sends to this backend.
    pub headers: BTreeMap<String, String>,
    /// The host that the edge names to this backend instead of the client's.
    host: Option<String>,
    /// The backends of the edge file that these come from.
    pub backends: Vec<String>,
}

impl Target {
    /// Reads `http://HOST:PORT` or `https://HOST:PORT`. The rules for certificates and the constant headers are those
    /// of the backend `named`, else of those with this address:
    /// a legacy backend may take a request without them for one of a trusted service.
    ///
    /// # Errors
    /// A sentence with the fix.
    pub fn read(url: &str, edge: &Edge, named: Option<&str>) -> Result<Self, String> {
        let fix = "write for example http://127.0.0.1:3000";
        let shown = without_credentials(url);
        let (rest, is_encrypted) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
            (Some(rest), _) => (rest, false),
            (None, Some(rest)) => (rest, true),
            (None, None) => {
                return Err(format!("{shown:?} is not an http URL; {fix}, an address of the backend itself"));
            }
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => {
                (host, port.parse().map_err(|_| format!("{shown:?} has no valid port; {fix}"))?)
            }
            None => (authority, if is_encrypted { 443 } else { 80 }),
        };
        if host.is_empty() || host.contains(['/', '?', '#', '@']) {
            return Err(format!("{shown:?} is more than an address; {fix}"));
        }
        if let Some(named) = named.filter(|named| !edge.backends.contains_key(*named)) {
            return Err(format!("the edge file has no backend {named:?}"));
        }
        // Several backends of one address are one program.
        let is_meant = |name: &str, backend: &Backend| match named {
            Some(named) => name == named,
            None => backend.endpoints.iter().any(|endpoint| endpoint.host == host && endpoint.port == port),
        };
        let (mut headers, mut backends, mut rules, mut own_host) = (BTreeMap::new(), Vec::new(), None, None);
        for (name, backend) in edge.backends.iter().filter(|(name, backend)| is_meant(name, backend)) {
            headers.extend(backend.request_headers.clone());
            rules = rules.or_else(|| backend.tls.clone());
            own_host = own_host.or_else(|| backend.host.clone());
            backends.push(name.clone());
        }
        let host = host.trim_matches(['[', ']']).to_owned();
        let tls = is_encrypted.then(|| rules.unwrap_or_else(BackendTls::by_system_authorities));
        Ok(Self { at: Endpoint { host, port }, tls, headers, host: own_host, backends })
    }

    /// Asks `question` on a connection of its own.
    ///
    /// # Errors
    /// [`ReadError`]: the answer is not whole.
    pub async fn ask(&self, question: &Question) -> Result<Answer, ReadError> {
        let exchange = async {
            let connector = Connector::default();
            let opening = connector.open_at(&self.at, self.tls.as_ref(), Protocol::Http1);
            let Opened { mut stream, is_http2: _ } = opening.await?;
            stream.write_all(&self.bytes(question)).await?;
            let is_head = question.method == "HEAD";
            http_wire::answer(&mut BufReader::new(stream), is_head, Events::Refuse).await
        };
        let late = |_| ReadError::Connection(std::io::ErrorKind::TimedOut.into());
        tokio::time::timeout(PATIENCE, exchange).await.map_err(late)?
    }

    fn bytes(&self, question: &Question) -> Vec<u8> {
        let Question { method, path, host: client, headers, .. } = question;
        let host = self.host.as_ref().unwrap_or(client);
        let mut text =
            format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAccept: */*\r\n");
        if self.host.is_some() {
            text.push_str(&format!("X-Forwarded-Host: {client}\r\n"));
        }
        // A method that may have a body says that it has none.
        if !["GET", "HEAD", "OPTIONS"].contains(&method.as_str()) {
            text.push_str("Content-Length: 0\r\n");
        }
        let own = headers.iter().map(|(name, value)| (name, value));
        for (name, value) in self.headers.iter().chain(own) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }
}
