//! Checks that Envoy gives up: a deadline that passes for many at once must not cost the checks beside them.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::kit::Authz;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// RFC 9113, section 4.1.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The kind and the flags of the next frame.
async fn next(stream: &mut TcpStream) -> (u8, u8) {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.expect("the connection is open");
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.expect("a whole frame");
    (head[3], head[4])
}

/// `count` checks, each begun and given up before the server can have taken it, all in one piece; then a ping.
async fn given_up(authz: &Authz, count: u32) -> u8 {
    // RFC 7541: `:method: POST` and `:scheme: http` of the static table, `:path: /` too.
    let block = [0x83, 0x86, 0x84];
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend(frame(SETTINGS, 0, 0, &[]));
    let mut stream = TcpStream::connect(authz.checks).await.unwrap();
    stream.write_all(&bytes).await.unwrap();
    // From the server's settings on, the limit of streams that it sends is in force.
    while next(&mut stream).await != (SETTINGS, ACK) {}
    let mut bytes = frame(SETTINGS, ACK, 0, &[]);
    for number in 0..count {
        bytes.extend(frame(HEADERS, END_HEADERS, 2 * number + 1, &block));
        bytes.extend(frame(RST_STREAM, 0, 2 * number + 1, &CANCEL));
    }
    bytes.extend(frame(PING, 0, 0, &[0; 8]));
    stream.write_all(&bytes).await.unwrap();
    loop {
        match next(&mut stream).await {
            (PING, ACK) => return PING,
            (GOAWAY, _) => return GOAWAY,
            (_, _) => {}
        }
    }
}

#[tokio::test]
async fn a_connection_outlives_the_checks_that_envoy_gives_up_at_once() {
    let authz = Authz::start().await;
    assert_eq!(given_up(&authz, 1_000).await, PING, "everything that was open, given up in one moment");
    authz.ask(authz.check("me").session(&authz.token())).await.expect(200, "allowed");
}
