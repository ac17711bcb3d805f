//! The backend of the pages: a WebSocket that sends messages back, events, uploads that are read to their end, and answers
//! with a header of their own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use harness::Port;
use tungstenite::WebSocket;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;

/// It serves until the test ends.
pub(crate) struct Pages(Port);

impl Pages {
    pub(crate) fn start() -> Self {
        let port = Port::lease();
        let listener = TcpListener::bind(port.address()).expect("a leased port can be bound");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || serve(stream));
            }
        });
        Self(port)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

fn serve(stream: TcpStream) -> Option<()> {
    let mut out = stream.try_clone().ok()?;
    let mut lines = BufReader::new(stream);
    loop {
        let (mut target, mut length, mut cookie, mut key) = (String::new(), 0_usize, false, String::new());
        let mut chosen = String::new();
        lines.read_line(&mut target).ok().filter(|read| *read > 0)?;
        loop {
            let mut line = String::new();
            lines.read_line(&mut line).ok()?;
            let lower = line.trim_end().to_ascii_lowercase();
            if lower.is_empty() {
                break;
            }
            cookie |= lower.starts_with("cookie:");
            if lower.starts_with("sec-websocket-key:") {
                line.split_once(':')?.1.trim().clone_into(&mut key);
            }
            if let Some(value) = lower.strip_prefix("sec-websocket-protocol:") {
                // The last one: a browser offers the token last.
                chosen = value.rsplit(',').next()?.trim().to_owned();
            }
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
        }
        if !key.is_empty() {
            let accept = derive_accept_key(key.as_bytes());
            let agreed = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
            let chosen =
                if chosen.is_empty() { chosen } else { format!("sec-websocket-protocol: {chosen}\r\n") };
            write!(out, "{agreed}{chosen}sec-websocket-accept: {accept}\r\n\r\n").ok()?;
            let mut socket = WebSocket::from_raw_socket(out, Role::Server, None);
            loop {
                let message = socket.read().ok()?;
                socket.send(message).ok()?;
            }
        }
        let mut body = vec![0; length];
        lines.read_exact(&mut body).ok()?;
        let path = target.split(' ').nth(1)?;
        let (headers, body) = match path {
            "/events" => {
                ("content-type: text/event-stream\r\n", "data: 0\n\ndata: 1\n\ndata: 2\n\n".to_owned())
            }
            "/own/1" => ("access-control-allow-origin: https://nobody.example\r\n", "own".to_owned()),
            _ => (
                "x-total-count: 3\r\n",
                format!("{target:.3} {length} {}", if cookie { "cookie" } else { "none" }),
            ),
        };
        write!(out, "HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n{body}", body.len()).ok()?;
    }
}
