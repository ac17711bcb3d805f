//! Carries log lines to standard output through a bounded queue and a thread of its own.
//!
//! A reader that stops reading (a full pipe, a stopped terminal) must not delay decisions. When the queue is
//! full, lines are dropped and counted.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use prometheus::IntCounter;
use tracing_subscriber::fmt::MakeWriter;

/// About 2 MB of lines: a second of denials at full speed.
const MAX_LINES: usize = 8_192;

enum Item {
    Line(Vec<u8>),
    End,
}

/// Makes writers that put their line into the queue.
#[derive(Clone, Debug)]
pub struct Outlet {
    queue: SyncSender<Item>,
    dropped: IntCounter,
}

/// Keeps the thread; dropping it writes the queued lines.
#[derive(Debug)]
pub struct Flush {
    queue: SyncSender<Item>,
    thread: Option<JoinHandle<()>>,
}

/// An outlet to `to` that counts dropped lines.
///
/// # Errors
/// When the system cannot start a thread.
pub fn open(to: impl Write + Send + 'static, dropped: IntCounter) -> io::Result<(Outlet, Flush)> {
    let (queue, lines) = sync_channel(MAX_LINES);
    let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || drain(&lines, to))?;
    Ok((Outlet { queue: queue.clone(), dropped }, Flush { queue, thread: Some(thread) }))
}

fn drain(lines: &Receiver<Item>, mut to: impl Write) {
    while let Ok(Item::Line(line)) = lines.recv() {
        // If the log itself cannot be written, no place is left to report it.
        let _ = to.write_all(&line).and_then(|()| to.flush());
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        // Waits for room if necessary: the thread is draining.
        let _ = self.queue.send(Item::End);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Collects one event and queues it as a whole.
#[derive(Debug)]
pub struct Line<'a> {
    outlet: &'a Outlet,
    text: Vec<u8>,
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let line = std::mem::take(&mut self.text);
        match self.outlet.queue.try_send(Item::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.outlet.dropped.inc(),
        }
    }
}

impl<'w> MakeWriter<'w> for Outlet {
    type Writer = Line<'w>;

    fn make_writer(&'w self) -> Line<'w> {
        Line { outlet: self, text: Vec::with_capacity(256) }
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;

    use super::*;
    use std::sync::Arc;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn every_line_arrives_before_the_end() {
        let shared = Shared::default();
        let dropped = IntCounter::new("dropped", "x").unwrap();
        let (outlet, flush) = open(shared.clone(), dropped.clone()).unwrap();
        for number in 0..100 {
            writeln!(outlet.make_writer(), "line {number}").unwrap();
        }
        drop(flush);
        let text = String::from_utf8(shared.0.lock().clone()).unwrap();
        assert_eq!(text.lines().count(), 100);
        assert!(text.ends_with("line 99\n"));
        assert_eq!(dropped.get(), 0);
    }

    #[test]
    fn a_reader_that_stands_still_costs_lines_not_time() {
        struct Stuck(Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let (go, wait) = sync_channel(0);
        let dropped = IntCounter::new("dropped", "x").unwrap();
        let (outlet, flush) = open(Stuck(wait), dropped.clone()).unwrap();
        for _ in 0..MAX_LINES + 10 {
            outlet.make_writer().write_all(b"line\n").unwrap();
        }
        assert!(dropped.get() >= 9, "{} dropped", dropped.get());
        drop(go);
        drop(flush);
    }
}
