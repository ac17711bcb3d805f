//! Waits until all parts of a run answer, and reports the ones that do not.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Plan;
use super::part::Probe;
use crate::admin;
use crate::admin::envoy::Stats;

/// The time between two rounds of probes; short, because a second start takes only a few seconds.
const PAUSE: Duration = Duration::from_millis(100);
/// How long one probe may take.
const LOOK: Duration = Duration::from_secs(1);

impl Probe {
    fn of(program: &str, address: SocketAddr, path: &str) -> Self {
        Self { program: program.to_owned(), address, path: path.to_owned(), any_answer: false }
    }

    async fn is_ready(&self) -> bool {
        let status = status(self.address, &self.path).await;
        status == Some(200) || (self.any_answer && status.is_some())
    }
}

/// Waits until every part is ready.
pub(super) async fn wait(plan: &Plan, within: Duration) -> Result<(), String> {
    let a = &plan.addresses;
    let mut waiting = vec![Probe::of("authz", a.authorizer_admin.address, "/readyz")];
    waiting.extend(plan.beside.probes(&a.beside)?);
    waiting.push(Probe::of("envoy", a.envoy_admin.address, "/ready"));
    waiting
        .extend(a.comparator.iter().map(|[_, report]| Probe::of("comparator", report.address, "/healthz")));
    // Envoy must reach the authorizer, too, so that a route with a decision works from the first request on. Envoy's own
    // health checks show it. No route is queried, because its backend may be down for its own reasons.
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
            if waiting.is_empty() && finds_authorizer_healthy(admin).await {
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
            " Every part answers, but Envoy's health checks of the authorizer fail: does it listen at the address of \
             `authorizer` in the edge file?",
        );
        waiting.push(Probe::of("envoy", a.envoy_admin.address, "/ready"));
    }
    for probe in waiting {
        message.push_str(&described(&probe, &plan.home.join("logs")).await);
    }
    Err(message)
}

/// Describes a part that is not ready: by its own report, or by the end of its log when it does not answer.
async fn described(probe: &Probe, logs: &Path) -> String {
    let Probe { program, address, path, any_answer: _ } = probe;
    let (address, asked_path) = (*address, path.clone());
    let asked =
        tokio::task::spawn_blocking(move || admin::get(address, &asked_path).ok()).await.ok().flatten();
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

/// An answer of `/readyz` in words: each part that is not ready with its detail, or the text as it is.
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

/// Whether Envoy's health checks find the authorizer healthy.
async fn finds_authorizer_healthy(admin: SocketAddr) -> bool {
    const HEALTHY: &str = "cluster.authorizer.membership_healthy";
    let asked = tokio::task::spawn_blocking(move || Stats::ask(admin, HEALTHY).ok());
    asked.await.ok().flatten().is_some_and(|stats| stats.count(HEALTHY) > 0)
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
    fn each_part_that_is_not_ready_is_reported_with_its_detail() {
        let body = r#"{"ready":false,"parts":{"api_keys":{"ready":false,"detail":"/x/api-keys.jsonl: not there"},
            "keys":{"ready":true,"detail":"1 key"},"tenants":{"ready":false,"detail":"broken"}}}"#;
        assert_eq!(said(body), "    api_keys: /x/api-keys.jsonl: not there\n    tenants: broken");
        assert_eq!(said("starting\n"), "    starting");
        assert_eq!(said(r#"{"parts":{}}"#), r#"    {"parts":{}}"#);
    }
}
