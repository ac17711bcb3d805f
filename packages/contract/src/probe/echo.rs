//! A backend that answers every request with the request itself, as it arrived.

use std::net::SocketAddr;
use std::sync::Arc;

use http_wire::answer::{Body, Line};
use http_wire::head::StartLine;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The header by which an answer of the echo is distinguished from one of the edge.
pub const HEADER: &str = "x-cutover-contract-echo";

/// The most connections: more than any edge opens to one backend in a probe.
const CONNECTIONS: usize = 1024;

/// A listening echo. It ends when it is dropped.
#[derive(Debug)]
pub struct Echo {
    _serving: JoinSet<()>,
    address: SocketAddr,
}

impl Echo {
    /// Listens on `address`. Every answer has `token` in [`HEADER`].
    ///
    /// # Errors
    /// A sentence: the address cannot be listened on.
    pub async fn listen(address: SocketAddr, token: &str) -> Result<Self, String> {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            format!("cannot listen on {address}: {error}; stop the backend there, the echo takes its place")
        })?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let token: Arc<str> = token.into();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let slots = Arc::new(Semaphore::new(CONNECTIONS));
            let mut connections = JoinSet::new();
            while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
                // An error here is of one connection, or passes.
                let Ok((stream, _)) = listener.accept().await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let token = Arc::clone(&token);
                connections.spawn(async move {
                    serve(stream, &token).await;
                    drop(slot);
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self { _serving: serving, address })
    }

    /// The address on which it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(stream: TcpStream, token: &str) {
    let mut stream = BufReader::new(stream);
    while let Ok(Some(head)) = http_wire::head(&mut stream).await {
        let StartLine::Request { method, target } = &head.start else { return };
        let expects = head.lines.iter().any(|line| line.is("expect"));
        if expects && stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await.is_err() {
            return;
        }
        let Ok((body, trailers)) = http_wire::request_body(&mut stream, &head).await else { return };
        let mut echoed = [method.as_slice(), b" ", target, b"\n"].concat();
        written(&mut echoed, &head.lines);
        echoed.push(b'\n');
        written(&mut echoed, &trailers);
        if let Body::Whole(bytes) = body {
            echoed.push(b'\n');
            echoed.extend(bytes);
        }
        let answer = format!(
            "HTTP/1.1 200 OK\r\n{HEADER}: {token}\r\ncontent-type: application/octet-stream\r\ncontent-length: {}\r\n\r\n",
            echoed.len()
        );
        let body = if method == b"HEAD" { &[][..] } else { &echoed };
        if stream.get_mut().write_all(&[answer.as_bytes(), body].concat()).await.is_err() {
            return;
        }
    }
}

fn written(out: &mut Vec<u8>, lines: &[Line]) {
    for line in lines {
        out.extend([line.name.as_slice(), b": ", &line.value, b"\n"].concat());
    }
}
