//! Time on a processor, to the nanosecond (`/proc/PID/schedstat`, first field). What the machine does for others
//! meanwhile is not in it, so a figure is nearly the same on a quiet and on a busy machine.

use std::path::Path;
use std::time::Duration;

/// Of the calling thread, so far.
pub(crate) fn of_this_thread() -> Duration {
    read(Path::new("/proc/thread-self/schedstat"))
}

/// Of every thread of `process`, so far.
pub(crate) fn of_process(process: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    tasks.map(|task| read(&task.expect("it runs").path().join("schedstat"))).sum()
}

fn read(file: &Path) -> Duration {
    let text = std::fs::read_to_string(file).expect("the kernel keeps schedstat");
    let first = text.split_whitespace().next().expect("it has three numbers");
    Duration::from_nanos(first.parse().expect("a number"))
}
