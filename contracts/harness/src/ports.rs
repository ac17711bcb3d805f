//! Leases free ports: a lock on a file reserves each until its owner is done, so that tests that run at the same time, in
//! this process or another, never get the same one.

use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which the kernel takes ports for outgoing connections (32768 on Linux), so that no connection of
/// another test uses a leased port.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A leased port on 127.0.0.1.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lease: File,
}

static NEXT: AtomicU16 = AtomicU16::new(0);

impl Port {
    /// Leases a port on which no program listens.
    ///
    /// # Panics
    /// When there is no free port at all.
    #[must_use]
    pub fn lease() -> Self {
        let directory = std::env::temp_dir().join("cutover-ports");
        std::fs::create_dir_all(&directory).expect("the temporary directory is writable");
        // Every process begins at another port, so that parallel tests do not try the same ports first.
        let start = u16::try_from(std::process::id().wrapping_mul(97) % u32::from(COUNT)).unwrap_or_default();
        for _ in 0..COUNT {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let number = FIRST + (start + step % COUNT) % COUNT;
            let file = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(directory.join(number.to_string()));
            let Ok(lease) = file else { continue };
            if lease.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self { number, _lease: lease };
            }
        }
        panic!("no free port between {FIRST} and {}", FIRST + COUNT)
    }

    /// The port's number.
    #[must_use]
    pub fn number(&self) -> u16 {
        self.number
    }

    /// The address with this port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.number))
    }
}
