//! Asking one backend.

use std::io;
use std::time::Duration;

use edge_config::Edge;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::answer::Answer;
use crate::copy::Copy;
use crate::wire::{self, ReadError};

/// From the connection to the last byte: a backend that needs longer is not ready for anybody's requests, and a worker
/// that waits longer is one less for the others.
const PATIENCE: Duration = Duration::from_secs(10);

/// The answer of `backend` to a copy, on a connection of its own: what one answer leaves behind on a connection must
/// not be read as the next one.
pub(super) async fn ask(edge: &Edge, backend: &str, copy: &Copy) -> Result<Answer, ReadError> {
    let bytes = copy.bytes_for(edge, backend);
    let Some(place) = edge.backends.get(backend) else {
        return Err(ReadError::Connection(io::ErrorKind::NotFound.into()));
    };
    let exchange = async {
        let connecting = TcpStream::connect((place.host.as_str(), place.port));
        let mut stream =
            tokio::time::timeout(place.connect_timeout, connecting).await.map_err(timed_out)??;
        stream.set_nodelay(true)?;
        stream.write_all(&bytes).await?;
        wire::answer(&mut BufReader::new(stream), copy.is_head).await
    };
    tokio::time::timeout(PATIENCE, exchange).await.map_err(timed_out)?
}

fn timed_out(_: tokio::time::error::Elapsed) -> ReadError {
    ReadError::Connection(io::ErrorKind::TimedOut.into())
}
