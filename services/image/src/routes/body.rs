//! The body of an answer, read from the disk while it is sent.

use std::collections::VecDeque;
use std::fs::File as Opened;
use std::io::{self, SeekFrom};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

use super::precondition::Span;

/// How much is read at a time. Larger reads gain nothing on a disk and cost memory for each slow client.
const CHUNK_BYTES: u64 = 64 * 1024;

/// A piece of a body.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// Bytes of its own, between the parts of several ranges.
    Text(Bytes),
    /// A part of the file.
    Part(Span),
}

/// Returns a body of `pieces`. A file that became shorter meanwhile breaks the connection off, so that a client cannot
/// take a part for the whole.
pub(super) fn of(file: Opened, pieces: impl Into<VecDeque<Piece>>) -> Body {
    let reading = Reading { file: File::from_std(file), pieces: pieces.into(), at: None };
    Body::from_stream(stream::unfold(Some(reading), async |reading| {
        let mut reading = reading?;
        match reading.next().await {
            Ok(Some(chunk)) => Some((Ok(chunk), Some(reading))),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    }))
}

struct Reading {
    file: File,
    pieces: VecDeque<Piece>,
    /// Where the file is read at the moment.
    at: Option<u64>,
}

impl Reading {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let span = match self.pieces.pop_front() {
            None => return Ok(None),
            Some(Piece::Text(text)) => return Ok(Some(text)),
            Some(Piece::Part(span)) => span,
        };
        if self.at != Some(span.start) {
            self.file.seek(SeekFrom::Start(span.start)).await?;
        }
        let most = span.length.min(CHUNK_BYTES);
        let mut chunk = BytesMut::with_capacity(usize::try_from(most).unwrap_or_default());
        (&mut self.file).take(most).read_buf(&mut chunk).await?;
        let read = u64::try_from(chunk.len()).unwrap_or_default();
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter while it was sent",
            ));
        }
        let (start, length) = (span.start.saturating_add(read), span.length.saturating_sub(read));
        self.at = Some(start);
        if length > 0 {
            self.pieces.push_front(Piece::Part(Span { start, length }));
        }
        Ok(Some(chunk.freeze()))
    }
}
