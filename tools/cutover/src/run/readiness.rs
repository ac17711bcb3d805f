//! Waiting until everything answers, and saying what does not.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Plan;
use crate::admin;
use crate::admin::envoy::Stats;

/// Between two looks; short, because a second start takes a few seconds in all.
const PAUSE: Duration = Duration::from_millis(100);
/// One look may take this long.
const LOOK: Duration = Duration::from_secs(1);

struct Probe {
    program: &'static str,
    address: SocketAddr,
    path: &'static str,
    /// The legacy knows no probes: that it answers at all is all that can be asked of it.
    any_answer: bool,
}

impl Probe {
    async fn is_ready(&self) -> bool {
        let status = status(self.address, self.path).await;
        status == Some(200) || (self.any_answer && status.is_some())
    }
}

/// Waits until every part is ready.
pub(super) async fn wait(plan: &Plan, within: Duration) -> Result<(), String> {
    let a = &plan.addresses;
    let mut waiting = vec![
        Probe { program: "authz", address: a.authorizer_admin.address, path: "/readyz", any_answer: false },
        Probe { program: "auth", address: a.auth.address, path: "/readyz", any_answer: false },
        Probe { program: "users", address: a.users.address, path: "/readyz", any_answer: false },
        Probe { program: "legacy", address: a.legacy.address, path: "/", any_answer: true },
        Probe { program: "envoy", address: a.envoy_admin.address, path: "/ready", any_answer: false },
    ];
    waiting.extend(a.comparator.iter().map(|[_, report]| Probe {
        program: "comparator",
        address: report.address,
        path: "/healthz",
        any_answer: false,
    }));
    // What the authorizer looks like from Envoy counts too: a route that needs a decision works from the first request on.
    // Envoy's own health checks say so. No route is asked: any of them may have a backend that is down, and that is its own.
    let admin = a.envoy_admin.address;
    let everything = async {
        loop {
            let mut still = Vec::new();
            for probe in waiting.drain(..) {
                if !probe.is_ready().await {
                    still.push(probe);
                }
            }
            waiting = still;
            if waiting.is_empty() && finds_authorizer_well(admin).await {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    if tokio::time::timeout(within, everything).await.is_ok() {
        return Ok(());
    }
    let mut message = format!("the edge is not ready after {} s.", within.as_secs());
    if waiting.is_empty() {
        message.push_str(
            " Every part answers, but Envoy's health checks of the authorizer fail: is it where `authorizer` in the edge file \
             says?",
        );
        waiting.push(Probe {
            program: "envoy",
            address: a.envoy_admin.address,
            path: "/ready",
            any_answer: false,
        });
    }
    for probe in waiting {
        message.push_str(&described(&probe, &plan.home.join("logs")).await);
    }
    Err(message)
}

/// What is known about a part that is not ready: what it says itself, part by part, or the end of its log when it does not
/// answer.
async fn described(probe: &Probe, logs: &Path) -> String {
    let Probe { program, address, path, any_answer: _ } = probe;
    let (address, path) = (*address, *path);
    let asked = tokio::task::spawn_blocking(move || admin::get(address, path).ok()).await.ok().flatten();
    if let Some((status, body)) = asked.filter(|(status, _)| *status != 200) {
        let said = said(&body);
        return format!("\n{program} answers {status} at http://{address}{path}:\n{said}");
    }
    let log = logs.join(format!("{program}.log"));
    let text = fs::read_to_string(&log).unwrap_or_default();
    let lines: Vec<_> = text.lines().rev().take(5).collect();
    let end: Vec<_> = lines.into_iter().rev().map(|line| format!("    {line}")).collect();
    format!(
        "\n{program} does not answer 200 at http://{address}{path}; the end of {}:\n{}",
        log.display(),
        end.join("\n")
    )
}

/// An answer of `/readyz`: each part that is not ready, with what it says, or the text as it is.
fn said(body: &str) -> String {
    let parts = serde_json::from_str::<serde_json::Value>(body).ok().and_then(|answer| {
        let parts = answer.get("parts")?.as_object()?;
        let waiting = parts.iter().filter(|(_, part)| part["ready"] != serde_json::Value::Bool(true));
        let shown = waiting.map(|(name, part)| {
            let detail = part["detail"].as_str().unwrap_or("not ready");
            format!("    {name}: {detail}")
        });
        Some(shown.collect::<Vec<_>>().join("\n"))
    });
    parts.filter(|parts| !parts.is_empty()).unwrap_or_else(|| format!("    {}", body.trim()))
}

/// Whether Envoy's health checks let it ask the authorizer.
async fn finds_authorizer_well(admin: SocketAddr) -> bool {
    const WELL: &str = "cluster.authorizer.membership_healthy";
    let asked = tokio::task::spawn_blocking(move || Stats::ask(admin, WELL).ok());
    asked.await.ok().flatten().is_some_and(|stats| stats.count(WELL) > 0)
}

/// The status of a GET, or nothing when there is no answer in time.
async fn status(address: SocketAddr, path: &str) -> Option<u16> {
    let look = async {
        let mut stream = TcpStream::connect(address).await.ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.ok()?;
        let mut start = [0_u8; 12];
        stream.read_exact(&mut start).await.ok()?;
        std::str::from_utf8(&start).ok()?.strip_prefix("HTTP/1.1 ")?.parse().ok()
    };
    tokio::time::timeout(LOOK, look).await.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn what_is_not_ready_is_told_part_by_part_in_its_own_words() {
        let body = r#"{"ready":false,"parts":{"api_keys":{"ready":false,"detail":"/x/api-keys.jsonl: not there"},
            "keys":{"ready":true,"detail":"1 key"},"tenants":{"ready":false,"detail":"broken"}}}"#;
        assert_eq!(said(body), "    api_keys: /x/api-keys.jsonl: not there\n    tenants: broken");
        assert_eq!(said("starting\n"), "    starting");
        assert_eq!(said(r#"{"parts":{}}"#), r#"    {"parts":{}}"#);
    }
}
