use proptest::prelude::*;
use tokio::io::BufReader;

use super::*;
use crate::answer::{Body, Line};

fn read(bytes: &[u8], to_head: bool) -> Result<Answer, ReadError> {
    // A small buffer, so that every piece is cut somewhere.
    let mut stream = BufReader::with_capacity(7, bytes);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(answer(&mut stream, to_head, Events::ReadToEnd))
}

fn line(name: &str, value: &str) -> Line {
    Line { name: name.into(), value: value.into() }
}

#[test]
fn names_keep_their_case_lines_their_order_and_the_status_line_its_reason() {
    let bytes = b"HTTP/1.1 200 Okay Then\r\nX-b: 1\r\nx-A:  two \r\nX-B:\r\nContent-Length: 2\r\n\r\nhi";
    let answer = read(bytes, false).unwrap();
    assert_eq!(
        (answer.version, answer.status, answer.reason.as_slice()),
        (Version::One(1), 200, b"Okay Then".as_slice())
    );
    let expected = [line("X-b", "1"), line("x-A", "two"), line("X-B", ""), line("Content-Length", "2")];
    assert_eq!(answer.headers, expected);
    assert_eq!((answer.framing, answer.body), (Framing::Length, Body::Whole(b"hi".to_vec())));
}

#[test]
fn every_framing_gives_the_same_body() {
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n";
    let closed = b"HTTP/1.0 200 OK\r\n\r\nabcde";
    for (bytes, framing) in [(chunked.as_slice(), Framing::Chunked), (closed, Framing::Close)] {
        let answer = read(bytes, false).unwrap();
        assert_eq!((answer.framing, answer.body), (framing, Body::Whole(b"abcde".to_vec())));
        let trailers = if framing == Framing::Chunked { vec![line("T", "1")] } else { Vec::new() };
        assert_eq!(answer.trailers, trailers);
    }
}

#[test]
fn an_answer_without_a_body_is_not_waited_for() {
    let answer = read(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", true).unwrap();
    assert_eq!((answer.framing, answer.body), (Framing::None, Body::Whole(Vec::new())));
    for status in ["204 No Content", "304 Not Modified"] {
        let bytes = format!("HTTP/1.1 {status}\r\nContent-Length: 10\r\n\r\n");
        assert_eq!(read(bytes.as_bytes(), false).unwrap().framing, Framing::None);
    }
}

#[test]
fn interim_answers_are_skipped() {
    let bytes =
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(read(bytes, false).unwrap().status, 404);
    assert!(read(&b"HTTP/1.1 100 Continue\r\n\r\n".repeat(9), false).is_err());
}

#[test]
fn half_an_answer_is_an_error() {
    let halves: [&[u8]; 9] = [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n\r\n",
    ];
    for half in halves {
        assert!(read(half, false).is_err(), "{}", String::from_utf8_lossy(half));
    }
}

#[test]
fn a_stream_of_events_is_refused_or_read_to_its_end_as_the_caller_chooses() {
    let bytes = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n";
    assert_eq!(read(bytes, false).unwrap().body, Body::Whole(b"data: 1\n\n".to_vec()));
    let half = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n";
    assert!(matches!(read(half, false), Err(ReadError::Closed)));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let refused = runtime.block_on(answer(&mut BufReader::new(bytes.as_slice()), false, Events::Refuse));
    assert!(matches!(refused, Err(ReadError::Stream)));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic_or_read_for_ever(bytes in prop::collection::vec(any::<u8>(), 0..300), to_head: bool) {
        let _ = read(&bytes, to_head);
        let _ = read(&[b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice(), &bytes].concat(), to_head);
    }

    #[test]
    fn a_body_in_any_chunks_is_the_body(body in prop::collection::vec(any::<u8>(), 1..200), size in 1_usize..50) {
        let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for chunk in body.chunks(size) {
            bytes.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend(chunk);
            bytes.extend(b"\r\n");
        }
        bytes.extend(b"0\r\n\r\n");
        prop_assert_eq!(read(&bytes, false).unwrap().body, Body::Whole(body));
    }
}
