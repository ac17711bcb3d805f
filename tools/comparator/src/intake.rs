//! Receives the copies from Envoy. Each is answered at once, before it is processed.

use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use edge_config::Edge;
use tokio::io::{AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::copy::{Copy, Refusal};
use crate::edge_file::EdgeFile;
use crate::ledger::{Dropped, Ledger, Pair};
use crate::wire::{self, ReadError};

/// The most connections. Envoy opens at most eight for each of its workers.
const MAX_CONNECTIONS: usize = 256;

/// Envoy closes an idle connection after 4 s; a peer that is silent for longer is not Envoy.
const IDLE: Duration = Duration::from_secs(60);

const TAKEN: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";

/// The entry to the queue.
#[derive(Clone, Debug)]
pub struct Intake {
    /// The edge in force.
    pub edge_file: EdgeFile,
    /// The counts.
    pub ledger: Arc<Ledger>,
    /// The queue.
    pub queue: mpsc::Sender<Copy>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}

impl Intake {
    /// Receives copies on `listener` until this is dropped.
    pub async fn serve(self, listener: TcpListener) {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _)) => {
                    let intake = self.clone();
                    tokio::spawn(async move {
                        if let Err(error) = intake.connection(stream).await {
                            tracing::debug!(%error, "a connection ended early");
                        }
                        drop(slot);
                    });
                }
                Err(error) => {
                    // Usually file descriptors ran out: without the pause this would loop at full speed.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn connection(&self, stream: TcpStream) -> Result<(), ReadError> {
        stream.set_nodelay(true)?;
        let mut stream = BufReader::new(stream);
        loop {
            let Ok(head) = tokio::time::timeout(IDLE, wire::head(&mut stream)).await else { return Ok(()) };
            let head = match head {
                Ok(Some(head)) => head,
                Ok(None) => return Ok(()),
                Err(error) => {
                    if matches!(error, ReadError::Malformed(_)) {
                        self.ledger.refused(Refusal::Malformed);
                    }
                    return Err(error);
                }
            };
            let received = Instant::now();
            let body = tokio::time::timeout(IDLE, wire::skip_request_body(&mut stream, &head)).await;
            let Ok(body) = body else { return Ok(()) };
            let has_body = body?;
            match Copy::new(&head, received) {
                Ok(copy) => self.take(copy, has_body),
                Err(refusal) => self.ledger.refused(refusal),
            }
            stream.get_mut().write_all(TAKEN).await?;
        }
    }

    fn take(&self, mut copy: Copy, has_body: bool) {
        let edge = self.edge_file.current();
        let route = edge.routes.iter().find(|route| route.name == copy.route);
        let names = route.and_then(|route| Some((route.reference()?, route.shadow.as_deref()?)));
        let Some((reference, shadow)) = names else {
            self.ledger.refused(Refusal::UnknownRoute);
            return;
        };
        copy.period = self.ledger.copy(&copy.route, pair(&edge, reference, shadow), self.clock.now());
        let period = copy.period;
        let route = copy.route.clone();
        if has_body {
            self.ledger.dropped(&route, period, Dropped::Body);
            return;
        }
        match self.queue.try_send(copy) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.ledger.dropped(&route, period, Dropped::QueueFull)
            }
            Err(mpsc::error::TrySendError::Closed(_)) => {
                self.ledger.dropped(&route, period, Dropped::Stopping)
            }
        }
    }
}

/// The two backends that answer, with their addresses.
fn pair(edge: &Edge, reference: &str, shadow: &str) -> Pair {
    let addresses = |name: &str| {
        let endpoints = edge.backends.get(name).into_iter().flat_map(|backend| &backend.endpoints);
        let mut addresses: Vec<String> = endpoints.map(ToString::to_string).collect();
        // Another order of the same endpoints is not a change.
        addresses.sort();
        addresses
    };
    let addresses = [addresses(reference), addresses(shadow)];
    Pair { reference: reference.to_owned(), shadow: shadow.to_owned(), addresses }
}
