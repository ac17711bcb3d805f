//! Waiting until everything answers, and saying what does not.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Plan;
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
    // What the authorizer looks like from Envoy counts too: a route that needs a decision works from the
    // first request on. An unauthenticated one proves it (401 is a decision, and so is 404 where the path is no route;
    // 503 is none).
    let through = a.public().filter(|_| !plan.is_encrypted());
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
            if waiting.is_empty() {
                let decided = match through {
                    Some(address) => {
                        status(address, "/users/@me").await.is_some_and(|status| status != UNDECIDED)
                    }
                    // Behind TLS Envoy's own word has to do.
                    None => finds_authorizer_well(admin).await,
                };
                if decided {
                    return;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    };
    if tokio::time::timeout(within, everything).await.is_ok() {
        return Ok(());
    }
    let mut message = format!("the edge is not ready after {} s.", within.as_secs());
    if waiting.is_empty() {
        message.push_str(" Every part answers, but a request through the edge gets no decision.");
        waiting.push(Probe {
            program: "envoy",
            address: a.envoy_admin.address,
            path: "/ready",
            any_answer: false,
        });
    }
    for probe in waiting {
        let log = plan.home.join("logs").join(format!("{}.log", probe.program));
        let text = fs::read_to_string(&log).unwrap_or_default();
        let lines: Vec<_> = text.lines().rev().take(5).collect();
        let end: Vec<_> = lines.into_iter().rev().map(|line| format!("    {line}")).collect();
        message.push_str(&format!(
            "\n{} does not answer 200 at http://{}{}; the end of {}:\n{}",
            probe.program,
            probe.address,
            probe.path,
            log.display(),
            end.join("\n")
        ));
    }
    Err(message)
}

/// What a request reads that nobody could decide about.
const UNDECIDED: u16 = 503;

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
