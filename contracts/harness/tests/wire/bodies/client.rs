//! Sends a body piece by piece and compares what comes back as it comes.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::echo::{self, Chunks};
use super::pattern;

/// In a passing test no piece takes longer to come back.
const PATIENCE: Duration = Duration::from_secs(60);

/// A body and how it is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    /// The number of its pieces.
    pub(crate) pieces: u64,
    /// The number of bytes of each.
    pub(crate) size: usize,
    /// The time between two pieces. With one, a piece is sent only when the one before it has come back.
    pub(crate) pause: Option<Duration>,
    /// Whether its length is named before it (HTTP/1.1). A body with a named length has no trailers.
    pub(crate) has_length: bool,
}

impl Body {
    pub(crate) const fn of(pieces: u64, size: usize) -> Self {
        Self { pieces, size, pause: None, has_length: false }
    }

    pub(crate) const fn length(self) -> u64 {
        self.pieces * self.size as u64
    }
}

/// The trailer that follows each body without a named length.
pub(crate) const TRAILER: (&str, &str) = ("x-checksum", "0ff1ce");

/// One that only the edge may write. It must not come back.
const FORGED: (&str, &str) = ("x-madome-auth-sub", "forged");

type Lines = [(&'static str, String)];

/// Sends `body` over HTTP/1.1. Returns the trailers of the answer.
pub(crate) async fn http1(
    edge: SocketAddr,
    target: &str,
    lines: &Lines,
    body: Body,
) -> io::Result<Vec<(String, String)>> {
    let stream = TcpStream::connect(edge).await?;
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    let framing = if body.has_length {
        format!("content-length: {}", body.length())
    } else {
        format!("transfer-encoding: chunked\r\ntrailer: {}", TRAILER.0)
    };
    let mut head = format!("POST {target} HTTP/1.1\r\nhost: localhost\r\nte: trailers\r\n{framing}\r\n");
    for (name, value) in lines {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    write.write_all(format!("{head}\r\n").as_bytes()).await?;
    let (come, arrived) = watch::channel(0_u64);
    let sending = async move {
        let mut turn = Turn { body, arrived };
        for number in 0..body.pieces {
            let piece = turn.next(number).await?;
            if body.has_length {
                write.write_all(piece).await?;
            } else {
                let head = format!("{:x}\r\n", piece.len()).into_bytes();
                write.write_all(&[head.as_slice(), piece, b"\r\n"].concat()).await?;
            }
        }
        if !body.has_length {
            let trailers = [TRAILER, FORGED].map(|(name, value)| format!("{name}: {value}\r\n")).concat();
            write.write_all(format!("0\r\n{trailers}\r\n").as_bytes()).await?;
        }
        // The connection stays open until the answer is whole.
        Ok(write)
    };
    let receiving = async move {
        let mut read = BufReader::with_capacity(64 * 1024, read);
        let head = http_wire::head(&mut read).await.map_err(io::Error::other)?;
        let head = head.ok_or_else(|| io::Error::other("the connection was closed"))?;
        let http_wire::head::StartLine::Status { status: 200, .. } = head.start else {
            return Err(io::Error::other(format!("it was refused: {head:?}")));
        };
        let has_length = head.lines.iter().any(|line| line.is("content-length"));
        let mut whole = Arrived { offset: 0, come };
        if has_length {
            while whole.offset < body.length() {
                let piece = read.fill_buf().await?;
                let count = piece.len();
                if count == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                whole.add(piece)?;
                read.consume(count);
            }
            return Ok(Vec::new());
        }
        let (mut chunks, mut piece) = (Chunks::default(), Vec::new());
        while chunks.next(&mut read, &mut piece).await? {
            whole.add(&piece)?;
        }
        whole.assert_length(body)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let lines = echo::trailers(&mut read).await?;
        Ok(lines.iter().map(|line| (text(&line.name), text(&line.value))).collect())
    };
    let (_write, trailers) = tokio::try_join!(sending, receiving)?;
    Ok(trailers)
}

/// The same over HTTP/2.
pub(crate) async fn http2(
    edge: SocketAddr,
    target: &str,
    lines: &Lines,
    body: Body,
) -> io::Result<Vec<(String, String)>> {
    let stream = TcpStream::connect(edge).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
    tokio::spawn(connection);
    let mut request = http::Request::post(format!("http://localhost{target}")).header("te", "trailers");
    for (name, value) in lines {
        request = request.header(*name, value);
    }
    let request = request.body(()).map_err(io::Error::other)?;
    let (answer, mut upload) = sender.send_request(request, false).map_err(io::Error::other)?;
    let (come, arrived) = watch::channel(0_u64);
    let sending = async move {
        let mut turn = Turn { body, arrived };
        for number in 0..body.pieces {
            let piece = Bytes::from_static(turn.next(number).await?);
            echo::send(&mut upload, piece).await.map_err(io::Error::other)?;
        }
        let mut trailers = HeaderMap::new();
        for (name, value) in [TRAILER, FORGED] {
            trailers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        upload.send_trailers(trailers).map_err(io::Error::other)
    };
    let receiving = async move {
        let (head, mut stream) = answer.await.map_err(io::Error::other)?.into_parts();
        if head.status != http::StatusCode::OK {
            return Err(io::Error::other(format!("it was refused: {head:?}")));
        }
        let mut whole = Arrived { offset: 0, come };
        while let Some(piece) = stream.data().await {
            let piece = piece.map_err(io::Error::other)?;
            whole.add(&piece)?;
            stream.flow_control().release_capacity(piece.len()).map_err(io::Error::other)?;
        }
        whole.assert_length(body)?;
        let trailers = stream.trailers().await.map_err(io::Error::other)?.unwrap_or_default();
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Ok(trailers.iter().map(|(name, value)| (name.to_string(), text(value))).collect())
    };
    let ((), trailers) = tokio::try_join!(sending, receiving)?;
    Ok(trailers)
}

/// Which piece is sent next, and when.
struct Turn {
    body: Body,
    arrived: watch::Receiver<u64>,
}

impl Turn {
    async fn next(&mut self, number: u64) -> io::Result<&'static [u8]> {
        let offset = number * self.body.size as u64;
        // Without a pause the client is ahead of what has come back: by fewer frames than the library of HTTP/2 takes for a flood
        // of small ones.
        let ahead = if self.body.pause.is_some() { 0 } else { 100 * self.body.size as u64 };
        // A buffer on the way that waits for more would hold the last piece back for ever.
        let come = self.arrived.wait_for(|come| *come + ahead >= offset);
        let late = || io::Error::other(format!("the {offset} bytes so far did not come back"));
        tokio::time::timeout(PATIENCE, come).await.map_err(|_| late())?.map_err(|_| late())?;
        if let Some(pause) = self.body.pause {
            harness::pause_async(pause, "the client is slow").await;
        }
        Ok(pattern::at(offset, self.body.size))
    }
}

/// What has come back so far.
struct Arrived {
    offset: u64,
    come: watch::Sender<u64>,
}

impl Arrived {
    fn add(&mut self, piece: &[u8]) -> io::Result<()> {
        pattern::check(self.offset, piece).map_err(io::Error::other)?;
        self.offset += piece.len() as u64;
        let _ = self.come.send(self.offset);
        Ok(())
    }

    fn assert_length(&self, body: Body) -> io::Result<()> {
        if self.offset == body.length() {
            return Ok(());
        }
        Err(io::Error::other(format!("{} of {} bytes came back", self.offset, body.length())))
    }
}
