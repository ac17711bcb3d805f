//! Carries requests from one version of HTTP to the other, so that a test that sends and reads HTTP/1.1 byte by byte also tests
//! an edge over HTTP/2.
//!
//! Two bridges with nothing between them show what HTTP/2 itself changes: names are in lower case, there is no reason phrase,
//! and lines of one name stand together. What an edge between them changes beyond that is the edge's doing.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use ::h2::server::SendResponse;
use ::h2::{RecvStream, SendStream};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};
use http_wire::Events;
use http_wire::answer::{Answer, Body, Framing, Line};
use http_wire::head::StartLine;
use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

use crate::ports::Port;
use crate::tls;

/// Headers that belong to one hop of HTTP/1.1 (RFC 9113 §8.2.2).
const HOP_BY_HOP: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// A bridge that listens until the test ends. Bodies are read whole, at most 1 MiB.
pub struct Bridge {
    port: Port,
}

impl Bridge {
    /// Listens for HTTP/1.1 and asks `server` over HTTP/2: in TLS when there is a `certificate`, which must be the server's.
    ///
    /// # Panics
    /// When it cannot listen, or the certificate cannot be read.
    #[must_use]
    pub fn to_http2(server: SocketAddr, certificate: Option<&Path>) -> Self {
        let connector = certificate.map(|path| tls::connector(path, &["h2"]));
        Self::listen(move |stream| {
            let connector = connector.clone();
            async move {
                let mut stream = BufReader::new(stream);
                while forward(&mut stream, server, connector.as_ref()).await? {}
                Ok(())
            }
        })
    }

    /// Listens for HTTP/2 in the clear and asks `server` over HTTP/1.1.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn to_http1(server: SocketAddr) -> Self {
        Self::listen(move |stream| async move {
            let mut builder = ::h2::server::Builder::new();
            builder.max_header_list_size(1024 * 1024);
            let mut connection = builder.handshake::<_, Bytes>(stream).await.map_err(io::Error::other)?;
            while let Some(Ok((request, answer))) = connection.accept().await {
                tokio::spawn(back(server, request, answer));
            }
            Ok(())
        })
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
                    // A failed connection is closed, and the test sees that.
                    tokio::spawn(serve(stream));
                }
            });
        });
        Self { port }
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }
}

fn is_end_to_end(line: &Line) -> bool {
    !HOP_BY_HOP.iter().any(|name| line.is(name))
}

/// Reads one request of HTTP/1.1 and writes the answer that `server` gives over HTTP/2; false at the end of the connection.
async fn forward(
    stream: &mut BufReader<TcpStream>,
    server: SocketAddr,
    connector: Option<&TlsConnector>,
) -> io::Result<bool> {
    let Some(head) = http_wire::head(stream).await.map_err(io::Error::other)? else { return Ok(false) };
    let StartLine::Request { method, target } = &head.start else {
        return Err(io::Error::other("it is not a request"));
    };
    let (body, trailers) = http_wire::request_body(stream, &head).await.map_err(io::Error::other)?;
    let lines: Vec<Line> = head.lines.iter().filter(|line| is_end_to_end(line)).cloned().collect();
    let scheme = if connector.is_some() { "https" } else { "http" };
    let request = http_wire::h2::request(method, scheme, target, &lines).map_err(io::Error::other)?;
    let outside = TcpStream::connect(server).await?;
    outside.set_nodelay(true)?;
    let body = Bytes::from(whole(body)?);
    let answer = match connector {
        Some(connector) => {
            let outside = connector.connect(tls::name(), outside).await?;
            exchanged(outside, request, body, &trailers).await
        }
        None => exchanged(outside, request, body, &trailers).await,
    };
    let answer = answer?;
    stream.get_mut().write_all(&written(&answer, method == b"HEAD")?).await?;
    Ok(true)
}

/// Sends `request` on a new connection of HTTP/2.
async fn exchanged<S>(
    stream: S,
    request: http::Request<()>,
    body: Bytes,
    trailers: &[Line],
) -> io::Result<Answer>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if trailers.is_empty() {
        return http_wire::h2::answer(stream, request, body, Events::ReadToEnd)
            .await
            .map_err(io::Error::other);
    }
    let to_head = request.method() == http::Method::HEAD;
    let (sender, connection) = ::h2::client::handshake(stream).await.map_err(io::Error::other)?;
    let driver = tokio::spawn(connection);
    let mut sender = sender.ready().await.map_err(io::Error::other)?;
    let (answer, sending) = sender.send_request(request, false).map_err(io::Error::other)?;
    send(sending, body.into(), trailers)?;
    let (head, mut stream) = answer.await.map_err(io::Error::other)?.into_parts();
    let (body, trailers) = received(&mut stream).await?;
    drop(driver);
    let framing = if to_head { Framing::None } else { Framing::Frames };
    let reason = head.status.canonical_reason().unwrap_or_default().as_bytes().to_vec();
    let headers = head.headers.iter().map(line).collect();
    let version = http_wire::answer::Version::Two;
    let status = head.status.as_u16();
    Ok(Answer { version, status, reason, headers, framing, body: Body::Whole(body), trailers })
}

/// A whole body, and its trailers.
async fn received(stream: &mut RecvStream) -> io::Result<(Vec<u8>, Vec<Line>)> {
    let mut body = Vec::new();
    while let Some(piece) = stream.data().await {
        let piece = piece.map_err(io::Error::other)?;
        stream.flow_control().release_capacity(piece.len()).map_err(io::Error::other)?;
        body.extend(piece);
    }
    let trailers = stream.trailers().await.map_err(io::Error::other)?.unwrap_or_default();
    Ok((body, trailers.iter().map(line).collect()))
}

fn whole(body: Body) -> io::Result<Vec<u8>> {
    match body {
        Body::Whole(bytes) => Ok(bytes),
        Body::Digest { .. } => Err(io::Error::other("a bridge carries bodies up to 1 MiB")),
    }
}

/// The bytes of an answer in HTTP/1.1.
fn written(answer: &Answer, to_head: bool) -> io::Result<Vec<u8>> {
    let mut bytes = format!("HTTP/1.1 {} ", answer.status).into_bytes();
    bytes.extend([answer.reason.as_slice(), b"\r\n"].concat());
    for line in &answer.headers {
        bytes.extend([line.name.as_slice(), b": ", &line.value, b"\r\n"].concat());
    }
    let body = whole(answer.body.clone())?;
    if to_head || answer.framing == Framing::None || answer.header("content-length").is_some() {
        bytes.extend([b"\r\n".as_slice(), &body].concat());
        return Ok(bytes);
    }
    bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
    bytes.extend(chunked(&body, &answer.trailers));
    Ok(bytes)
}

fn chunked(body: &[u8], trailers: &[Line]) -> Vec<u8> {
    let mut bytes = Vec::new();
    if !body.is_empty() {
        bytes.extend([format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n"].concat());
    }
    bytes.extend(b"0\r\n");
    for line in trailers {
        bytes.extend([line.name.as_slice(), b": ", &line.value, b"\r\n"].concat());
    }
    bytes.extend(b"\r\n");
    bytes
}

/// Answers one request of HTTP/2 with what `server` answers over HTTP/1.1. A failure resets the request.
async fn back(server: SocketAddr, request: http::Request<RecvStream>, mut answer: SendResponse<Bytes>) {
    if asked(server, request, &mut answer).await.is_err() {
        answer.send_reset(::h2::Reason::INTERNAL_ERROR);
    }
}

async fn asked(
    server: SocketAddr,
    request: http::Request<RecvStream>,
    answer: &mut SendResponse<Bytes>,
) -> io::Result<()> {
    let (head, mut stream) = request.into_parts();
    let (body, trailers) = received(&mut stream).await?;
    let target = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let authority = head.uri.authority().map_or("", http::uri::Authority::as_str);
    let mut bytes = format!("{} {target} HTTP/1.1\r\nhost: {authority}\r\n", head.method).into_bytes();
    for Line { name, value } in head.headers.iter().map(line) {
        bytes.extend([name.as_slice(), b": ", &value, b"\r\n"].concat());
    }
    if head.headers.contains_key("content-length") || body.is_empty() && trailers.is_empty() {
        bytes.extend([b"\r\n".as_slice(), &body].concat());
    } else {
        bytes.extend(b"transfer-encoding: chunked\r\n\r\n");
        bytes.extend(chunked(&body, &trailers));
    }
    let mut inside = TcpStream::connect(server).await?;
    inside.write_all(&bytes).await?;
    let got = read(&mut BufReader::new(inside), head.method == http::Method::HEAD).await?;
    let mut out = http::Response::new(());
    *out.status_mut() = http::StatusCode::from_u16(got.status).map_err(io::Error::other)?;
    *out.headers_mut() = map(got.headers.iter().filter(|line| is_end_to_end(line)))?;
    let body = whole(got.body)?;
    let is_last = body.is_empty() && got.trailers.is_empty();
    let sending = answer.send_response(out, is_last).map_err(io::Error::other)?;
    if is_last { Ok(()) } else { send(sending, body, &got.trailers) }
}

fn send(mut sending: SendStream<Bytes>, body: Vec<u8>, trailers: &[Line]) -> io::Result<()> {
    sending.send_data(body.into(), trailers.is_empty()).map_err(io::Error::other)?;
    if trailers.is_empty() {
        return Ok(());
    }
    sending.send_trailers(map(trailers.iter())?).map_err(io::Error::other)
}

async fn read<R: AsyncBufRead + Unpin>(stream: &mut R, to_head: bool) -> io::Result<Answer> {
    http_wire::answer(stream, to_head, Events::ReadToEnd).await.map_err(io::Error::other)
}

fn map<'a>(lines: impl Iterator<Item = &'a Line>) -> io::Result<HeaderMap> {
    let mut map = HeaderMap::new();
    for line in lines {
        let name = HeaderName::from_bytes(&line.name).map_err(io::Error::other)?;
        map.append(name, HeaderValue::from_bytes(&line.value).map_err(io::Error::other)?);
    }
    Ok(map)
}

fn line((name, value): (&HeaderName, &HeaderValue)) -> Line {
    Line { name: name.as_str().into(), value: value.as_bytes().to_vec() }
}
