//! The machine of a run: figures mean little without it.

use serde_json::{Value, json};

/// The load of the machine: the three load averages of proc(5).
pub(crate) fn load() -> Vec<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().take(3).filter_map(|figure| figure.parse().ok()).collect()
}

/// The machine and the measured programs.
pub(crate) fn figures(load_at_start: &[f64]) -> Value {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, model)| model);
    let memory = read("/proc/meminfo");
    let memory_kib =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    let size = |file: std::path::PathBuf| std::fs::metadata(file).map_or(0, |file| file.len());
    json!({
        "cpu": model,
        "cores": std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        "memory_mib": memory_kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() / 1024,
        "kernel": read("/proc/sys/kernel/osrelease").trim(),
        "load_at_start": load_at_start,
        "load_at_end": load(),
        "envoy": envoy_version(),
        "profile": profile(),
        "guard_bytes": size(harness::native_guard()),
        "guard_wasm_bytes": size(harness::wasm_guard()),
    })
}

fn envoy_version() -> String {
    let output = std::process::Command::new(harness::envoy()).arg("--version").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    // "envoy  version: <commit>/<version>/Clean/RELEASE/BoringSSL"
    text.trim().rsplit("version: ").next().unwrap_or_default().to_owned()
}

/// The build profile of this program and of the authorizer beside it: the directory both are in.
pub(crate) fn profile() -> String {
    let this = std::env::current_exe().ok();
    let directory = this.as_ref().and_then(|this| this.parent()?.file_name());
    directory.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The reason why the figures of this build would be useless, if any.
pub(crate) fn unfit() -> Option<String> {
    if cfg!(debug_assertions) {
        return Some(format!(
            "this is a build without optimisation (profile {}): use `make bench`, which builds profile `fast`",
            profile()
        ));
    }
    None
}
