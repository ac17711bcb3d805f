//! Temporary.
use harness::{Backend, Edge};
fn main() {
    let backend = Backend::plain();
    let edge = Edge::dev().with_open_route().every_backend(backend.address()).start();
    std::fs::write(
        "/tmp/probe.info",
        format!(
            "{}\n{}\n{}\n{}\n",
            edge.public().port(),
            edge.home().display(),
            edge.mint().good(0),
            edge.address("ENVOY_ADMIN_ADDRESS").port()
        ),
    )
    .unwrap();
    let mut shown = 0;
    while std::path::Path::new("/tmp/probe.info").exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
        let seen = backend.seen();
        for s in &seen[shown..] {
            println!(
                "SEEN {:?} BODY {:?}",
                String::from_utf8_lossy(&s.head),
                String::from_utf8_lossy(&s.body[..s.body.len().min(200)])
            );
        }
        shown = seen.len();
    }
}
