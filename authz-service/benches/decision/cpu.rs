//! Time on a processor. What the machine does for others meanwhile is not in it, so a figure is nearly the same on a quiet
//! and on a busy machine.

use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Of the calling thread, so far, to the nanosecond. The thread's own line in `/proc` would not do: the kernel writes it
/// at its ticks, 4 ms apart, and a batch takes less than two of them.
pub(crate) fn of_this_thread() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).expect("it began at 0");
    Duration::new(seconds, u32::try_from(time.tv_nsec).expect("below a second"))
}

/// Of every thread of `process`, so far, to 4 ms (`/proc/PID/task/TID/schedstat`, first field): for times that are a
/// hundred times as long.
pub(crate) fn of_process(process: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    tasks.map(|task| read(&task.expect("it runs").path().join("schedstat"))).sum()
}

fn read(file: &Path) -> Duration {
    let text = std::fs::read_to_string(file).expect("the kernel keeps schedstat");
    let first = text.split_whitespace().next().expect("it has three numbers");
    Duration::from_nanos(first.parse().expect("a number"))
}
