//! What a process has used so far, from proc(5).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// CPU time of a process so far, seconds: what the scheduler gave each of its threads, to the nanosecond
/// (`schedstat`); on a kernel without it the ticks of 10 ms in `stat`. Threads that ended are not counted; nothing
/// that is measured here ends threads.
pub(crate) fn cpu_seconds(process: u32) -> f64 {
    let nanoseconds: f64 = std::fs::read_dir(format!("/proc/{process}/task"))
        .expect("the process runs")
        .flatten()
        .filter_map(|thread| std::fs::read_to_string(thread.path().join("schedstat")).ok())
        .filter_map(|text| text.split_whitespace().next()?.parse::<f64>().ok())
        .sum();
    if nanoseconds > 0.0 { nanoseconds / 1e9 } else { ticks(process) / 100.0 }
}

/// User and system time in ticks: fields 14 and 15 of `stat`.
fn ticks(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("the process runs");
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum()
}

/// Memory of a process that is in RAM now, MiB.
pub(crate) fn resident_mib(process: u32) -> f64 {
    memory_mib(process, "VmRSS:")
}

/// The most memory of a process that was in RAM since its start, MiB.
pub(crate) fn peak_mib(process: u32) -> f64 {
    memory_mib(process, "VmHWM:")
}

fn memory_mib(process: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kib = status.lines().find_map(|line| line.strip_prefix(field)?.split_whitespace().next());
    kib.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or_default() / 1024.0
}

/// Watches how much memory a process takes, fifty times a second.
pub(crate) struct MemoryWatch {
    done: Arc<AtomicBool>,
    watcher: JoinHandle<f64>,
}

impl MemoryWatch {
    /// Begins to watch `process`.
    pub(crate) fn begin(process: u32) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&done);
        let watcher = std::thread::spawn(move || {
            let mut most = resident_mib(process);
            while !until.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(20));
                most = most.max(resident_mib(process));
            }
            most
        });
        Self { done, watcher }
    }

    /// The most it took, MiB.
    pub(crate) fn end(self) -> f64 {
        self.done.store(true, Ordering::Relaxed);
        self.watcher.join().expect("the watcher only reads")
    }
}
