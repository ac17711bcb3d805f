//! Queries one backend.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use edge_config::Edge;
use edge_config::edge::{Backend, Protocol};
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::answer::Answer;
use crate::copy::Copy;
use crate::wire::{self, ReadError};

/// The time from the connection to the last byte. A backend that needs longer is not ready for real requests, and a worker
/// that waits longer is missing for the others.
const PATIENCE: Duration = Duration::from_secs(10);

/// The answer of `backend` to a copy, on a connection of its own: bytes left on a connection by one answer must not be read
/// as the next one.
pub(super) async fn ask(edge: &Edge, backend: &str, copy: &Copy) -> Result<Answer, ReadError> {
    let Some(place) = edge.backends.get(backend) else {
        return Err(ReadError::Connection(io::ErrorKind::NotFound.into()));
    };
    let exchange = async {
        match place.protocol {
            Protocol::Http1 => {
                let bytes = copy.bytes_for(edge, backend);
                let mut stream = connected(place).await?;
                stream.write_all(&bytes).await?;
                wire::answer(&mut BufReader::new(stream), copy.is_head).await
            }
            // The edge file allows no gRPC shadow: each gRPC request is a POST, which is never copied.
            Protocol::Http2 | Protocol::Grpc => {
                let lines = copy.lines_for(edge, backend);
                let request = wire::h2::request(copy.method().as_bytes(), "http", &copy.target, &lines)?;
                wire::h2::answer(connected(place).await?, request, Bytes::new()).await
            }
        }
    };
    tokio::time::timeout(PATIENCE, exchange).await.map_err(timed_out)?
}

/// A connection to the first of the backend's endpoints that accepts one.
async fn connected(place: &Backend) -> io::Result<TcpStream> {
    let mut refused = io::ErrorKind::NotFound.into();
    for endpoint in &place.endpoints {
        let connecting = TcpStream::connect((endpoint.host.as_str(), endpoint.port));
        match tokio::time::timeout(place.connect_timeout, connecting).await {
            Ok(Ok(stream)) => {
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Ok(Err(error)) => refused = error,
            Err(_) => refused = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(refused)
}

fn timed_out(_: tokio::time::error::Elapsed) -> ReadError {
    ReadError::Connection(io::ErrorKind::TimedOut.into())
}
