//! Reserved headers in every spelling: none with a client's value may arrive at a backend.

use std::sync::Arc;

use edge_config::edge::Reserved;
use http_wire::answer::Line;

use super::Findings;
use crate::exchange::{Protocol, Request};
use crate::origin::Origin;
use crate::run::{Pace, in_order};

/// The header that every probe has besides, and that must arrive: it shows that headers do.
const CONTROL: &str = "x-probe";

/// What is sent.
#[derive(Clone, Debug)]
pub struct Spoof {
    /// The edge.
    pub edge: Origin,
    /// `Host`.
    pub host: String,
    /// The path of a route whose backend is the echo.
    pub target: String,
    /// Further header lines, such as a session.
    pub lines: Vec<Line>,
    /// The names that only the edge may write.
    pub reserved: Reserved,
    /// Chooses the spellings: the same seed sends the same requests.
    pub seed: u64,
    /// The value in the echo's answers.
    pub token: String,
    /// How fast.
    pub pace: Pace,
}

/// One probe: header lines and a body, in the protocol that can carry them.
#[derive(Clone, Debug)]
struct Probe {
    marker: String,
    protocol: Protocol,
    lines: Vec<Line>,
    body: Vec<u8>,
}

/// A small generator (SplitMix64): which spelling comes next need not be unpredictable, only varied and repeatable.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, most: usize) -> usize {
        let most = u64::try_from(most.max(1)).unwrap_or(1);
        usize::try_from(self.next() % most).unwrap_or_default()
    }
}

/// Sends `number` probes. `progress` receives the number of finished ones.
pub async fn spoof(spoof: &Spoof, number: usize, mut progress: impl FnMut(usize, usize)) -> Findings {
    let mut dice = Dice(spoof.seed);
    let names = names(&spoof.reserved);
    let probes: Vec<Probe> = (0..number).map(|index| probe(index, &names, &mut dice)).collect();
    let shared = Arc::new(spoof.clone());
    let send = |probe: Probe| {
        let spoof = Arc::clone(&shared);
        async move {
            let answer = spoof.send(&probe).await;
            (probe, answer)
        }
    };
    let concurrency = spoof.pace.concurrency;
    let answers = in_order(probes, concurrency, |_| true, send, |done| progress(done, number)).await;
    let mut findings = Findings::default();
    for (probe, answer) in answers {
        let Some(arrived) = findings.count(answer.as_ref().map_err(|_| ()), &spoof.token) else { continue };
        for line in arrived.split(|byte| *byte == b'\n') {
            let text = String::from_utf8_lossy(line);
            let name = text.split(':').next().unwrap_or_default();
            if text.contains(&probe.marker) && !name.eq_ignore_ascii_case(CONTROL) {
                let sent: Vec<String> =
                    probe.lines.iter().map(|line| format!("{:?}", line.lower())).collect();
                let protocol = probe.protocol.as_str();
                findings.violation(format!(
                    "{name} arrived with a client's value ({protocol}, sent as {})",
                    sent.join(", ")
                ));
            }
        }
    }
    findings
}

impl Spoof {
    async fn send(&self, probe: &Probe) -> Result<http_wire::answer::Answer, http_wire::ReadError> {
        let line = |name: &str, value: &str| Line { name: name.into(), value: value.into() };
        let mut lines = vec![line("host", &self.host)];
        lines.extend(self.lines.iter().cloned());
        lines.push(line(CONTROL, &probe.marker));
        lines.extend(probe.lines.iter().cloned());
        let request = Request {
            name: String::new(),
            source: String::new(),
            method: "GET".to_owned(),
            target: self.target.clone().into_bytes(),
            host: None,
            headers: Vec::new(),
            body: probe.body.clone(),
        };
        self.edge.send(&request, &lines, probe.protocol, self.pace.patience).await
    }
}

/// The reserved names, and some below each reserved prefix.
fn names(reserved: &Reserved) -> Vec<String> {
    let mut names = reserved.names.clone();
    for prefix in &reserved.prefixes {
        names.extend(["", "x", "user-id", "auth-sub", "role", "tenant"].map(|end| format!("{prefix}{end}")));
    }
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    names
}

fn probe(index: usize, names: &[String], dice: &mut Dice) -> Probe {
    let marker = format!("forged-{index:x}-{:08x}", dice.next() >> 32);
    let protocol = if dice.below(3) == 0 { Protocol::Http2 } else { Protocol::Http1 };
    let mut lines = Vec::new();
    let mut trailers = Vec::new();
    for _ in 0..=dice.below(3) {
        let name = names.get(dice.below(names.len())).map_or("x-forwarded-for", String::as_str);
        let line = |name: Vec<u8>, value: String| Line { name, value: value.into_bytes() };
        if protocol == Protocol::Http2 {
            // Upper case does not exist in HTTP/2; a name may still have underscores and dots.
            let name = if dice.below(3) == 0 { name.replace('-', "_") } else { name.to_owned() };
            lines.push(line(name.into_bytes(), marker.clone()));
            continue;
        }
        match dice.below(9) {
            0 => lines.push(line(name.to_ascii_uppercase().into_bytes(), marker.clone())),
            1 => lines.push(line(folded(name, b'_', dice), marker.clone())),
            2 => lines.push(line(folded(name, b'.', dice), marker.clone())),
            3 => lines.push(line([name.as_bytes(), b" "].concat(), marker.clone())),
            4 => lines.push(line(cased(name, dice), format!("\t{marker} "))),
            5 => {
                // A hop that follows RFC 9110 §7.6.1 removes it; one that does not must still not pass it on.
                lines.push(line(b"Connection".to_vec(), name.to_owned()));
                lines.push(line(cased(name, dice), marker.clone()));
            }
            6 => {
                lines.push(line(cased(name, dice), "1".to_owned()));
                lines.push(line(cased(name, dice), marker.clone()));
            }
            7 => trailers.push(format!("{name}: {marker}\r\n")),
            _ => lines.push(line(cased(name, dice), marker.clone())),
        }
    }
    let mut body = Vec::new();
    if !trailers.is_empty() {
        lines.push(Line { name: b"Transfer-Encoding".to_vec(), value: b"chunked".to_vec() });
        body = format!("1\r\nx\r\n0\r\n{}\r\n", trailers.concat()).into_bytes();
    }
    Probe { marker, protocol, lines, body }
}

/// The name with random cases.
fn cased(name: &str, dice: &mut Dice) -> Vec<u8> {
    let bits = dice.next();
    let each = |(at, byte): (usize, u8)| {
        if bits >> (at % 64) & 1 == 0 { byte.to_ascii_uppercase() } else { byte }
    };
    name.bytes().enumerate().map(each).collect()
}

/// The name with other characters where it has hyphens: programs that fold names as CGI does take them for the same.
fn folded(name: &str, with: u8, dice: &mut Dice) -> Vec<u8> {
    let bits = dice.next();
    let each = |(at, byte): (usize, u8)| if byte == b'-' && bits >> (at % 64) & 1 == 0 { with } else { byte };
    let mut name: Vec<u8> = name.bytes().enumerate().map(each).collect();
    // At least one, else it would be the name itself, which other probes send.
    if let Some(first) = name.iter_mut().find(|byte| **byte == b'-' || **byte == with) {
        *first = with;
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_sends_the_same_probes_and_every_one_has_a_reserved_name() {
        let reserved = Reserved { names: vec!["x-real-ip".to_owned()], prefixes: vec!["x-own-".to_owned()] };
        let names = names(&reserved);
        assert!(names.contains(&"x-own-role".to_owned()) && names.contains(&"x-real-ip".to_owned()));
        let all = |seed| {
            let mut dice = Dice(seed);
            (0..500).map(|index| probe(index, &names, &mut dice)).collect::<Vec<_>>()
        };
        let shown = |probes: &[Probe]| format!("{probes:?}");
        assert_eq!(shown(&all(1)), shown(&all(1)));
        assert_ne!(shown(&all(1)), shown(&all(2)));
        for probe in all(1) {
            let sent = format!("{:?}{}", probe.lines, String::from_utf8_lossy(&probe.body));
            assert!(!probe.lines.is_empty() && sent.len() > 20, "{probe:?}");
        }
        assert!(all(1).iter().any(|probe| probe.protocol == Protocol::Http2));
        assert!(all(1).iter().any(|probe| !probe.body.is_empty()));
    }
}
