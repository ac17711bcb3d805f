//! HTTP/2 in the clear, for backends that speak it.
//!
//! Details that HTTP/2 does not carry cannot differ: names are in lower case, there is no reason phrase (the standard one is
//! used, as Envoy writes it for an HTTP/1.1 client), and lines of one name stand together, at the place of the first.

use ::h2::client::{self, SendRequest};
use bytes::Bytes;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinSet;

use super::{Events, MAX_HEAD_BYTES, ReadError, is_stream};
use crate::answer::{Answer, BodyBuilder, Framing, Line, Version};

/// A request that HTTP/2 can carry. `scheme` is `http` or `https`.
///
/// # Errors
/// [`ReadError::Unaskable`]: its target, its host or a header has bytes that an HTTP/2 header cannot have, or that the
/// library does not send. That means nothing about the backend.
pub fn request(method: &[u8], scheme: &str, target: &[u8], lines: &[Line]) -> Result<Request<()>, ReadError> {
    let mut headers = HeaderMap::with_capacity(lines.len());
    let mut host = None;
    for line in lines {
        // It becomes `:authority`. Removing it from the map afterwards would move the last header to its place.
        if line.is(HOST.as_str()) {
            host = Some(line.value.as_slice());
            continue;
        }
        let name = HeaderName::from_bytes(&line.name).map_err(|_| ReadError::Unaskable)?;
        let value = HeaderValue::from_bytes(&line.value).map_err(|_| ReadError::Unaskable)?;
        headers.append(name, value);
    }
    let host = host.ok_or(ReadError::Unaskable)?;
    let uri = Uri::builder().scheme(scheme).authority(host).path_and_query(target).build();
    let mut request = Request::new(());
    *request.method_mut() = Method::from_bytes(method).map_err(|_| ReadError::Unaskable)?;
    *request.uri_mut() = uri.map_err(|_| ReadError::Unaskable)?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Sends `request` with its `body` on a new connection. `events` says what is done with a stream of events.
///
/// # Errors
/// [`ReadError`]: the answer is not whole.
pub async fn answer<S>(
    stream: S,
    request: Request<()>,
    body: Bytes,
    events: Events,
) -> Result<Answer, ReadError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limit = u32::try_from(MAX_HEAD_BYTES).unwrap_or(u32::MAX);
    let handshake = client::Builder::new().enable_push(false).max_header_list_size(limit).handshake(stream);
    let (sender, connection): (SendRequest<Bytes>, _) = handshake.await?;
    // The task reads and writes for the exchange, and ends with it: a set ends its tasks when it is dropped.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    exchange(sender, request, body, events).await
}

async fn exchange(
    sender: SendRequest<Bytes>,
    request: Request<()>,
    request_body: Bytes,
    events: Events,
) -> Result<Answer, ReadError> {
    let to_head = request.method() == Method::HEAD;
    let (answer, mut upload) = sender.ready().await?.send_request(request, request_body.is_empty())?;
    if !request_body.is_empty() {
        // The library sends the body as the peer's windows allow, while the answer is awaited.
        upload.send_data(request_body, true)?;
    }
    let (head, mut body) = answer.await?.into_parts();
    let line = |(name, value): (&HeaderName, &HeaderValue)| Line {
        name: name.as_str().as_bytes().to_vec(),
        value: value.as_bytes().trim_ascii().to_vec(),
    };
    let headers: Vec<Line> = head.headers.iter().map(line).collect();
    let status = head.status.as_u16();
    let framing = if to_head || matches!(status, 204 | 304) { Framing::None } else { Framing::Frames };
    if events == Events::Refuse && framing != Framing::None && headers.iter().any(is_stream) {
        return Err(ReadError::Stream);
    }
    let mut builder = BodyBuilder::default();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        // Without releasing capacity, the peer would send no more than the first window.
        body.flow_control().release_capacity(piece.len())?;
        builder.push(&piece)?;
    }
    let trailers = body.trailers().await?.unwrap_or_default();
    let trailers = trailers.iter().map(line).collect();
    let reason = head.status.canonical_reason().unwrap_or_default().as_bytes().to_vec();
    Ok(Answer { version: Version::Two, status, reason, headers, framing, body: builder.finish(), trailers })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(name: &str, value: &str) -> Line {
        Line { name: name.into(), value: value.into() }
    }

    #[test]
    fn a_request_keeps_its_target_its_host_and_the_order_of_its_headers() {
        let lines = [line("Host", "api.test:8080"), line("X-B", "1"), line("x-a", "2"), line("x-b", "3")];
        let request = request(b"HEAD", "http", b"/%61?b=%20&b", &lines).unwrap();
        assert_eq!((request.method(), request.uri().scheme_str()), (&Method::HEAD, Some("http")));
        assert_eq!(request.uri().authority().unwrap(), "api.test:8080");
        assert_eq!(request.uri().path_and_query().unwrap(), "/%61?b=%20&b");
        let sent: Vec<_> = request.headers().iter().map(|(n, v)| (n.as_str(), v.as_bytes())).collect();
        assert_eq!(sent, [("x-b", b"1".as_slice()), ("x-b", b"3"), ("x-a", b"2")]);
    }

    #[test]
    fn an_invalid_request_is_distinguished_from_a_missing_answer() {
        let host = line("host", "a");
        for (target, lines) in [
            (b"/<".as_slice(), vec![host.clone()]),
            (b"/", vec![]),
            (b"/", vec![line("host", "a b")]),
            (b"/", vec![host, line("x", "\u{1}")]),
        ] {
            assert!(
                matches!(request(b"GET", "http", target, &lines), Err(ReadError::Unaskable)),
                "{lines:?}"
            );
        }
    }
}
