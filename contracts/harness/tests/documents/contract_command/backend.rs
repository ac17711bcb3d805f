//! A backend whose answers can be changed by one byte each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use harness::{Backend, Seen};

/// One request for each kind of answer.
pub(crate) const REQUESTS: &str = "GET {{api}}/open/json
HTTP 200

GET {{api}}/open/words

GET {{api}}/open/text
Accept: text/plain

GET {{api}}/open/%7Euser/a%2fb

GET {{api}}/open/empty

GET {{api}}/open/volatile

POST {{api}}/open/form
[Form]
a: b c
";

/// The backend, and what is changed at the moment.
pub(crate) struct Seeded {
    backend: Backend,
    seed: Arc<Mutex<String>>,
}

impl Seeded {
    pub(crate) fn start() -> Self {
        let seed = Arc::new(Mutex::new(String::new()));
        let (shared, count) = (Arc::clone(&seed), AtomicU64::new(7));
        let backend = Backend::with(move |seen| {
            let seed = shared.lock().expect("no thread panicked").clone();
            answer(seen, &seed, count.fetch_add(1, Ordering::Relaxed))
        });
        Self { backend, seed }
    }

    pub(crate) fn backend(&self) -> &Backend {
        &self.backend
    }

    pub(crate) fn seed(&self, seed: &str) {
        seed.clone_into(&mut self.seed.lock().expect("no thread panicked"));
    }
}

fn answer(seen: &Seen, seed: &str, count: u64) -> Vec<u8> {
    let line = seen.request_line();
    let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let with = |headers: &str, body: &str| {
        format!(
            "HTTP/1.1 200 OK\r\nServer: Seeded\r\nDate: Fri, 27 Nov 2026 03:33:{:02} GMT\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            count % 60,
            body.len()
        )
        .into_bytes()
    };
    match target.as_str() {
        "/open/json" => {
            let price = if seed == "float format" { "1" } else { "1.0" };
            let thing = if seed == "header case" { "X-THING" } else { "X-Thing" };
            let cookie = if seed == "cookie attribute moved" {
                "theme=dark; HttpOnly; Path=/; SameSite=Lax"
            } else {
                "theme=dark; Path=/; HttpOnly; SameSite=Lax"
            };
            let added = if seed == "header added" { "X-New: 1\r\n" } else { "" };
            let headers =
                format!("Content-Type: application/json\r\n{thing}: a\r\nSet-Cookie: {cookie}\r\n{added}");
            with(&headers, &format!("{{\"price\":{price},\"name\":\"x\"}}"))
        }
        "/open/words" => {
            let word = if seed == "body re-encoded" { "caf\\u00e9" } else { "café" };
            with("Content-Type: application/json\r\n", &format!("{{\"word\":\"{word}\"}}"))
        }
        "/open/text" => with(
            "Content-Type: text/plain\r\n",
            if seed == "newline lost" { "two\nlines" } else { "two\nlines\n" },
        ),
        "/open/empty" if seed == "204 for 200" => {
            b"HTTP/1.1 204 No Content\r\nServer: Seeded\r\nDate: Fri, 27 Nov 2026 03:33:39 GMT\r\n\r\n"
                .to_vec()
        }
        "/open/empty" => with("", ""),
        "/open/volatile" => {
            let id = if seed == "volatile shape" {
                "none".to_owned()
            } else {
                format!("01932c07-0000-7000-8000-{count:012x}")
            };
            let body = format!("{{\"id\":\"{id}\",\"count\":{count},\"by\":\"seeded\"}}");
            with(&format!("X-Count: {count}\r\n"), &body)
        }
        "/open/form" => with("", &String::from_utf8_lossy(&seen.body)),
        other => {
            let read = if seed == "path normalised" {
                other.replace("%7E", "~").replace("%2f", "/")
            } else {
                other.to_owned()
            };
            with("Content-Type: text/plain\r\n", &format!("you asked for {read}\n"))
        }
    }
}
