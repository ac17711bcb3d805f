//! A backend that sends each piece of a body back as soon as it has read it, and the trailers at the end. It speaks HTTP/1.1 or
//! HTTP/2, both in the clear.

use std::io;
use std::net::SocketAddr;

use bytes::Bytes;
use harness::Port;
use http_wire::answer::Line;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// A listening echo, until the test ends.
pub(crate) struct Echo {
    port: Port,
}

impl Echo {
    pub(crate) fn http1() -> Self {
        Self::listen(|stream| async move { http1(stream).await })
    }

    pub(crate) fn http2() -> Self {
        Self::listen(|stream| async move { http2(stream).await })
    }

    fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let port = Port::lease();
        let listener = std::net::TcpListener::bind(port.address()).expect("a leased port can be bound");
        listener.set_nonblocking(true).expect("it can be set");
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = TcpListener::from_std(listener).expect("it is a listener");
                while let Ok((stream, _)) = listener.accept().await {
                    let _ = stream.set_nodelay(true);
                    tokio::spawn(serve(stream));
                }
            });
        });
        Self { port }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

async fn http1(stream: TcpStream) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::with_capacity(64 * 1024, read);
    while let Some(head) = http_wire::head(&mut read).await.map_err(io::Error::other)? {
        let length = head.lines.iter().find(|line| line.is("content-length"));
        let length: Option<u64> = length.and_then(|line| String::from_utf8_lossy(&line.value).parse().ok());
        let begun = match length {
            // With a length, the answer has the same: both forms of framing are tested.
            Some(length) => format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"),
            None => "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned(),
        };
        write.write_all(begun.as_bytes()).await?;
        match length {
            Some(mut left) => {
                while left > 0 {
                    let piece = read.fill_buf().await?;
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
                    if count == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    write.write_all(&piece[..count]).await?;
                    read.consume(count);
                    left -= count as u64;
                }
            }
            None => {
                let mut pieces = Chunks::default();
                let mut buffer = Vec::new();
                while pieces.next(&mut read, &mut buffer).await? {
                    let head = format!("{:x}\r\n", buffer.len()).into_bytes();
                    write.write_all(&[head.as_slice(), &buffer, b"\r\n"].concat()).await?;
                }
                let mut end = b"0\r\n".to_vec();
                for Line { name, value } in trailers(&mut read).await? {
                    end.extend([name.as_slice(), b": ", &value, b"\r\n"].concat());
                }
                end.extend(b"\r\n");
                write.write_all(&end).await?;
            }
        }
    }
    Ok(())
}

/// Reads a chunked body piece by piece: a piece is as much of a chunk as has come.
#[derive(Default)]
pub(crate) struct Chunks {
    /// The number of bytes of the present chunk that are still to come.
    left: usize,
    is_within: bool,
}

impl Chunks {
    /// The next piece in `into`; false when the last chunk has come, and its trailers follow.
    pub(crate) async fn next<R>(&mut self, read: &mut BufReader<R>, into: &mut Vec<u8>) -> io::Result<bool>
    where
        R: tokio::io::AsyncRead + Unpin,
    {
        into.clear();
        if self.left == 0 {
            if self.is_within {
                let mut end = [0; 2];
                read.read_exact(&mut end).await?;
            }
            let line = line(read).await?;
            let size = line.split(';').next().unwrap_or_default().trim();
            self.left = usize::from_str_radix(size, 16).map_err(io::Error::other)?;
            self.is_within = true;
            if self.left == 0 {
                return Ok(false);
            }
        }
        let come = read.fill_buf().await?;
        let count = self.left.min(come.len());
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        into.extend_from_slice(&come[..count]);
        read.consume(count);
        self.left -= count;
        Ok(true)
    }
}

/// The trailers of a chunked body.
pub(crate) async fn trailers<R>(read: &mut BufReader<R>) -> io::Result<Vec<Line>>
where
    R: tokio::io::AsyncRead + Unpin,
{
    let mut all = Vec::new();
    loop {
        let line = line(read).await?;
        let Some((name, value)) = line.split_once(':') else { return Ok(all) };
        all.push(Line { name: name.into(), value: value.trim().into() });
    }
}

async fn line<R: tokio::io::AsyncRead + Unpin>(read: &mut BufReader<R>) -> io::Result<String> {
    let mut line = String::new();
    if read.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end().to_owned())
}

async fn http2(stream: TcpStream) -> io::Result<()> {
    let mut connection = h2::server::handshake(stream).await.map_err(io::Error::other)?;
    while let Some(Ok((request, answer))) = connection.accept().await {
        tokio::spawn(back(request.into_body(), answer));
    }
    Ok(())
}

async fn back(
    mut body: h2::RecvStream,
    mut answer: h2::server::SendResponse<Bytes>,
) -> Result<(), h2::Error> {
    let mut sending = answer.send_response(http::Response::new(()), false)?;
    while let Some(piece) = body.data().await {
        let piece = piece?;
        let count = piece.len();
        send(&mut sending, piece).await?;
        body.flow_control().release_capacity(count)?;
    }
    sending.send_trailers(body.trailers().await?.unwrap_or_default())
}

/// Sends `piece` as the other side's window allows, and keeps no more than that.
pub(crate) async fn send(sending: &mut h2::SendStream<Bytes>, mut piece: Bytes) -> Result<(), h2::Error> {
    while !piece.is_empty() {
        sending.reserve_capacity(piece.len());
        let granted = std::future::poll_fn(|context| sending.poll_capacity(context)).await;
        let granted = granted.ok_or_else(|| h2::Error::from(h2::Reason::STREAM_CLOSED))??;
        // The library may grant nothing; a frame without bytes, again and again, is an attack to Envoy.
        if granted > 0 {
            sending.send_data(piece.split_to(granted.min(piece.len())), false)?;
        }
    }
    Ok(())
}
