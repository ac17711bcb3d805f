//! The table, the promises, and the same figures as JSON.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::results::{Line, Results, rounded};

/// Prints the table, the findings and the promises.
pub(crate) fn print(results: &Results, figures: &Value) {
    if !results.lines.is_empty() {
        println!(
            "\n{:<42} {:>7} {:>11} {:>7} {:>10} {:>9} {:>9} {:>7}",
            "", "of bare", "lowest–most", "by CPU", "requests/s", "Envoy µs", "authz µs", "p99 ms"
        );
    }
    for line in &results.lines {
        let (lowest, highest) = line.spread();
        println!(
            "{:<42} {:>6.1}% {:>11} {:>6.1}% {:>10.0} {:>9.1} {:>9.1} {:>7.2}",
            line.title,
            100.0 * line.ratio(),
            format!("{:.0}–{:.0}", 100.0 * lowest, 100.0 * highest),
            100.0 * line.cpu_ratio(),
            line.median_of(|m| m.rate),
            line.median_of(|m| m.envoy_us),
            line.median_of(|m| m.authorizer_us),
            line.median_of(|m| m.p99_ms),
        );
    }
    for finding in &results.findings {
        println!("\n{}", finding.said.join("\n"));
    }
    println!();
    for promise in figures["promises"].as_array().into_iter().flatten() {
        let mark = if promise["kept"] == true { "kept  " } else { "MISSED" };
        println!(
            "{mark}  {}: {} (promised {} {})",
            promise["what"].as_str().unwrap_or_default(),
            promise["value"],
            promise["must_be"].as_str().unwrap_or_default(),
            promise["bound"],
        );
    }
}

/// All figures; `docs/performance.md` explains each key.
pub(crate) fn figures(results: &Results, machine: &Value, seconds: f64) -> Value {
    let each = |figure: fn(&Line) -> f64| -> Map<String, Value> {
        results.lines.iter().map(|line| (line.key.to_owned(), json!(rounded(figure(line))))).collect()
    };
    let rows: Map<String, Value> =
        results.lines.iter().map(|line| (line.key.to_owned(), line.figures())).collect();
    let mut all = json!({
        "format": 1,
        "seconds": seconds.round(),
        "ratios": each(Line::ratio),
        "envoy_cpu_ratios": each(Line::cpu_ratio),
        "rows": rows,
        "machine": machine,
    });
    for finding in &results.findings {
        if let Some(all) = all.as_object_mut() {
            all.insert(finding.key.to_owned(), finding.figures.clone());
        }
    }
    let promises = promises(&all);
    if let Some(all) = all.as_object_mut() {
        all.insert("promises".to_owned(), promises);
    }
    all
}

/// The promises, and whether this run kept them. Promises about rows that were not measured are left out.
fn promises(all: &Value) -> Value {
    let at = |pointer: &str| all.pointer(pointer).and_then(Value::as_f64);
    let mut promises = Vec::new();
    let mut least = |what: &str, pointer: &str, bound: Option<f64>| {
        if let (Some(value), Some(bound)) = (at(pointer), bound) {
            promises.push(json!({ "what": what, "value": value, "must_be": "at least", "bound": bound, "kept": value >= bound }));
        }
    };
    least("warm, of bare Envoy", "/ratios/warm", Some(0.78));
    least("warm, against Lua strip + cached jwt_authn", "/ratios/warm", at("/ratios/lua_jwt_cached"));
    least("guard alone, of bare Envoy", "/ratios/guard", Some(0.80));
    least("guard alone in WebAssembly, of bare Envoy", "/ratios/guard_wasm", Some(0.80));
    least("cold, of bare Envoy", "/ratios/cold", Some(0.33));
    least("warm over TLS, of bare Envoy", "/networks/tls/ratio", Some(0.78));
    // HTTP/2 on both sides has a figure and no bound: leases of routes to HTTP/2 are not used before the route is chosen
    // (docs/guard.md), and nothing was promised for them.
    least("accounts, against the legacy sample", "/services/me/ratio", Some(3.0));
    least("books, against the legacy sample", "/services/book/ratio", Some(3.0));
    // From the authorizer's own benchmark, if it ran, like the last ones below.
    least("checks a second, against a service that does nothing", "/authorizer/load_ratio", Some(0.8));
    let mut most = |what: &str, pointer: &str, bound: f64| {
        if let Some(value) = at(pointer) {
            promises.push(json!({ "what": what, "value": value, "must_be": "at most", "bound": bound, "kept": value <= bound }));
        }
    };
    most("the last of 4,500 streams after its session, native, s", "/streams/native/last_s", 2.0);
    most("the last of 4,500 streams after its session, WebAssembly, s", "/streams/wasm/last_s", 2.0);
    most("added p99 of a warm request at half load, ms", "/tail/warm/added_p99_ms", 0.5);
    most("time for a request, 10 → 10,000 routes", "/routes/cost", 1.2);
    most("time for a request, 10 → 10,000 path templates", "/templates/cost", 1.2);
    most("time for a short request with `body_limit`", "/short/body_limit/cost", 1.15);
    most("time for a short request on a stream's route", "/short/keeper/cost", 1.15);
    most("errors over 10,000 connections", "/connections/errors", 0.001);
    most("p95 over 10,000 connections, ms", "/connections/p95_ms", 100.0);
    most("growth of Envoy for 1 GiB up, MiB", "/bodies/up/envoy_mib_grown", 16.0);
    most("growth of Envoy for 1 GiB down, MiB", "/bodies/down/envoy_mib_grown", 16.0);
    most("p95 of accounts, 500 concurrent, ms", "/services/me/p95_ms_500", 100.0);
    most("p95 of books, 500 concurrent, ms", "/services/book/p95_ms_500", 100.0);
    most("errors of 10,000 people at once", "/services/crowd/errors", 0.001);
    most("the users service, MiB", "/services/users_mib", 64.0);
    most("the library service, MiB", "/services/library_mib", 64.0);
    most("a decision, warm session, µs", "/authorizer/decision_us", 20.0);
    most("a decision, warm session, allocations", "/authorizer/decision_allocations", 100.0);
    most("time for a decision, 10 → 100,000 API keys", "/authorizer/api_key_ratio", 1.2);
    most("time for a decision, 10 → 1,000,000 tenants", "/authorizer/tenants_ratio", 1.2);
    most("authorizer with 100,000 warm sessions, MiB", "/authorizer/memory_mib_100000", 128.0);
    Value::Array(promises)
}

/// Writes `text`, and makes its directory.
pub(crate) fn write(path: &Path, text: &str) {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).expect("the directory can be made");
    }
    std::fs::write(path, text).unwrap_or_else(|e| panic!("{} cannot be written: {e}", path.display()));
}
