//! Paths in every spelling: no spelling of an internal path may be served, and every other path arrives byte for byte or is
//! refused.

use std::sync::Arc;

use http_wire::answer::Line;

use super::Findings;
use crate::exchange::{Protocol, Request};
use crate::origin::Origin;
use crate::run::{Pace, in_order};

/// What is sent.
#[derive(Clone, Debug)]
pub struct Paths {
    /// The edge.
    pub edge: Origin,
    /// Further header lines, such as a session.
    pub lines: Vec<Line>,
    /// The internal paths.
    pub internal: Vec<String>,
    /// The paths of public listeners, each with its `Host`.
    pub public: Vec<(String, String)>,
    /// The hosts with which internal paths are tried.
    pub hosts: Vec<String>,
    /// The value in the echo's answers.
    pub token: String,
    /// How fast.
    pub pace: Pace,
}

/// One probe.
#[derive(Clone, Debug)]
struct Probe {
    target: String,
    host: String,
    is_internal: bool,
}

/// Sends every spelling of every path. `progress` receives the number of finished ones and of all.
pub async fn paths(paths: &Paths, mut progress: impl FnMut(usize, usize)) -> Findings {
    let mut probes = Vec::new();
    for host in &paths.hosts {
        for path in &paths.internal {
            let spelt = spellings(path).into_iter();
            probes.extend(spelt.map(|target| Probe { target, host: host.clone(), is_internal: true }));
        }
    }
    for (host, path) in &paths.public {
        let spelt = variants(path).into_iter();
        probes.extend(spelt.map(|target| Probe { target, host: host.clone(), is_internal: false }));
    }
    let all = probes.len();
    let shared = Arc::new(paths.clone());
    let send = |probe: Probe| {
        let paths = Arc::clone(&shared);
        async move {
            let answer = paths.send(&probe).await;
            (probe, answer)
        }
    };
    let concurrency = paths.pace.concurrency;
    let answers = in_order(probes, concurrency, |_| true, send, |done| progress(done, all)).await;
    let mut findings = Findings::default();
    for (probe, answer) in answers {
        let status = answer.as_ref().map(|answer| answer.status).unwrap_or_default();
        let arrived = findings.count(answer.as_ref().map_err(|_| ()), &paths.token);
        let target = &probe.target;
        if probe.is_internal {
            if arrived.is_some() || (200..300).contains(&status) {
                findings.violation(format!(
                    "{target} is a spelling of an internal path and was served ({status})"
                ));
            }
            continue;
        }
        match arrived {
            Some(request) => {
                let line = request.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let received = line.strip_prefix(b"GET ").unwrap_or(line);
                if received != target.as_bytes() {
                    let received = String::from_utf8_lossy(received);
                    findings.violation(format!("{target} arrived as {received}"));
                }
            }
            None if status == 0 || (400..500).contains(&status) => {}
            None => findings
                .violation(format!("{target} was answered with {status}: neither passed on nor refused")),
        }
    }
    findings
}

impl Paths {
    async fn send(&self, probe: &Probe) -> Result<http_wire::answer::Answer, http_wire::ReadError> {
        let mut lines = vec![Line { name: b"host".to_vec(), value: probe.host.clone().into_bytes() }];
        lines.extend(self.lines.iter().cloned());
        let request = Request {
            name: String::new(),
            source: String::new(),
            method: "GET".to_owned(),
            target: probe.target.clone().into_bytes(),
            host: None,
            headers: Vec::new(),
            body: Vec::new(),
        };
        self.edge.send(&request, &lines, Protocol::Http1, self.pace.patience).await
    }
}

/// Every byte but the slashes percent-encoded.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| if byte == b'/' { "/".to_owned() } else { format!("%{byte:02x}") }).collect()
}

/// Spellings that some program reads as `path` itself: decoded once, with merged slashes, other slashes, parameters and dot
/// segments in any order. A program that decodes twice reads other paths than every other one, and no hop can know that.
#[must_use]
pub fn spellings(path: &str) -> Vec<String> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let first: String = inner.chars().take(1).collect();
    let rest: String = inner.chars().skip(1).collect();
    let once = encoded(&first);
    let upper = once.to_ascii_uppercase();
    vec![
        path.to_owned(),
        format!("{path}/"),
        format!("{path}/x"),
        format!("{path}?a=b"),
        format!("/a/..{path}"),
        format!("/a/b/../..{path}"),
        format!("/..{path}"),
        format!("/a/%2e%2e{path}"),
        format!("/a/%2E%2E{path}"),
        format!("/a/.%2e{path}"),
        format!("/a/%2e.{path}"),
        format!("/{path}"),
        format!("//{path}"),
        path.replace('/', "//"),
        format!("/.{path}"),
        format!("/%2e{path}"),
        format!("/a%2f..%2f{inner}"),
        format!("/a%2F..{path}"),
        format!("/a%5c..%5c{inner}"),
        format!("/a\\..\\{inner}"),
        format!("/{}", inner.replace('/', "\\")),
        format!("/..;{path}"),
        format!("/a/..;x=1{path}"),
        format!("/.;{path}"),
        format!("/a/%2e%2e;{path}"),
        format!("{path};x=1"),
        format!("{path};"),
        format!("{path}%3bx=1"),
        format!("/{once}{rest}"),
        format!("/{upper}{rest}"),
        encoded(path),
        encoded(path).to_ascii_uppercase(),
        format!("/%2f{inner}"),
        format!("{path}%2f"),
        path.to_ascii_uppercase(),
        encoded(&path.to_ascii_uppercase()),
        format!("{path}%3fx"),
        format!("{path}%23x"),
        format!("{path}#x"),
        format!("{path}%00"),
        format!("/a%00/..{path}"),
        format!("/a/%c0%ae%c0%ae{path}"),
        format!("/a%c0%af..%c0%af{inner}"),
        format!("/a//..;x/%5c..{path}/;y"),
    ]
}

/// Spellings of a public path that a careless hop would rewrite.
#[must_use]
pub fn variants(path: &str) -> Vec<String> {
    let path = path.trim_end_matches('/');
    vec![
        if path.is_empty() { "/".to_owned() } else { path.to_owned() },
        format!("{path}/"),
        format!("{path}/%61"),
        format!("{path}/%E4%BA%AC"),
        format!("{path}/%e4%ba%ac"),
        format!("{path}/a%20b"),
        format!("{path}/a+b"),
        format!("{path}/a%2Bb"),
        format!("{path}/a%2fb"),
        format!("{path}/a%2Fb"),
        format!("{path}//a"),
        format!("{path}/./a"),
        format!("{path}/b/../a"),
        format!("{path}/%2e/a"),
        format!("{path}/a;x=1"),
        format!("{path}/~a!$&'()*,:@"),
        format!("{path}?b=2&a=1&a=1"),
        format!("{path}?"),
        format!("{path}?a=%3D&b=+%20&c"),
        format!("{path}?a[]=1&a[0][1]=x|y"),
        format!("{path}?next=/..//%2e%2e/"),
        format!("{path}/a#b"),
        format!("{path}/A"),
    ]
}
