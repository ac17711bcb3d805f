//! Serves a router on a real socket, and sends requests written byte by byte.

use std::net::SocketAddr;

use axum::Router;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::startup::HeaderCase;

/// A router served on a free port by the same code as in the binary.
#[derive(Debug)]
pub struct Wire {
    address: SocketAddr,
    server: JoinHandle<()>,
}

impl Wire {
    /// Starts serving, with header names in lower case.
    pub async fn start(router: Router) -> Self {
        Self::start_as(router, HeaderCase::Lower).await
    }

    /// Starts serving, with header names in the case `header_case`.
    pub async fn start_as(router: Router, header_case: HeaderCase) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server =
            tokio::spawn(crate::startup::serve(listener, router, header_case, std::future::pending()));
        Self { address, server }
    }

    /// Returns the address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends `head` (a request line and header lines, separated by `\n` here and by CRLF on the wire) and
    /// `body` on a connection of its own. Beside a signed identity it sends its tenant, as the edge does.
    /// Returns the answer without the `date` and `connection` lines, with `\n` for CRLF.
    pub async fn send(&self, head: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let lines: String = head.lines().map(|line| format!("{}\r\n", line.trim())).collect();
        let identity = head.lines().find_map(|line| line.trim().strip_prefix("x-madome-identity: "));
        let tenant = identity.and_then(super::tenant_in);
        let tenant = tenant.map(|tenant| format!("x-tenant-id: {tenant}\r\n")).unwrap_or_default();
        let request = format!("{lines}{tenant}host: test\r\nconnection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
        let head: Vec<&str> = head
            .split("\r\n")
            .filter(|line| {
                !line.to_ascii_lowercase().starts_with("date: ")
                    && !line.eq_ignore_ascii_case("connection: close")
            })
            .collect();
        format!("{}\n\n{body}", head.join("\n"))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.server.abort();
    }
}
