//! Queries one backend.

use std::io;
use std::time::Duration;

use backend_connection::{Connector, Opened};
use bytes::Bytes;
use edge_config::Edge;
use tokio::io::{AsyncWriteExt as _, BufReader};

use crate::answer::Answer;
use crate::copy::Copy;
use crate::wire::{self, Events, ReadError};

/// The time from the connection to the last byte. A backend that needs longer is not ready for real requests, and a worker
/// that waits longer is missing for the others.
const PATIENCE: Duration = Duration::from_secs(10);

/// The answer of `backend` to a copy, on a connection of its own: bytes left on a connection by one answer must not be read
/// as the next one.
pub(super) async fn ask(
    edge: &Edge,
    connector: &Connector,
    backend: &str,
    copy: &Copy,
) -> Result<Answer, ReadError> {
    let Some(place) = edge.backends.get(backend) else {
        return Err(ReadError::Connection(io::ErrorKind::NotFound.into()));
    };
    let exchange = async {
        let Opened { mut stream, is_http2 } = connector.open(place).await?;
        if is_http2 {
            let lines = copy.lines_for(edge, backend);
            let scheme = if place.tls.is_some() { "https" } else { "http" };
            let request = wire::h2::request(copy.method().as_bytes(), scheme, &copy.target, &lines)?;
            return wire::h2::answer(stream, request, Bytes::new(), Events::Refuse).await;
        }
        stream.write_all(&copy.bytes_for(edge, backend)).await?;
        // A worker that waits for the end of a stream is missing for the others.
        wire::answer(&mut BufReader::new(stream), copy.is_head, Events::Refuse).await
    };
    tokio::time::timeout(PATIENCE, exchange).await.map_err(timed_out)?
}

fn timed_out(_: tokio::time::error::Elapsed) -> ReadError {
    ReadError::Connection(io::ErrorKind::TimedOut.into())
}
