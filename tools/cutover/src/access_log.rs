//! Reads one line of the access log: whether the backend failed, and whether it let the caller in.
//!
//! Three commands count answers (`agreement`, `ramp`, and `status` by Envoy's counters), and they all mean the same by a
//! failure and by a refusal. A gRPC answer is judged by its `grpc_status`, because its HTTP status is always 200.

use edge_config::edge::GrpcErrors;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Envoy writes less than 4 KB for a usual request. The headers of a request are at most 60 KB, unless the listener's `wire`
/// allows more; a line repeats them at most a few times.
pub const MAX_LINE_BYTES: u64 = 1_048_576;

/// The prefix of the clusters of backends.
const CLUSTER: &str = "backend-";

/// Envoy's flags for a request whose client left: it ended the connection, reset the stream, or broke the protocol.
const CLIENT_LEFT: [&str; 3] = ["DC", "DR", "DPE"];

/// The keys of one line that are needed to judge an answer. Older logs lack some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "docs/access-log.md explains the keys")]
pub struct Line {
    pub route: Option<String>,
    pub cluster: Option<String>,
    pub status: Option<u16>,
    pub flags: Option<String>,
    #[serde(deserialize_with = "number")]
    pub grpc_status: Option<u64>,
    pub sign_in: Option<String>,
    pub upstream: Option<String>,
    pub decision: Option<String>,
    pub kind: Option<String>,
    pub shadow_reason: Option<String>,
    pub client: Option<String>,
    pub subject: Option<String>,
    pub upstream_us: Option<u64>,
    pub upstream_ms: Option<u64>,
    pub duration_ms: Option<u64>,
}

/// Envoy writes a known status as a number, and an unknown one from a header as text.
fn number<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u64>, D::Error> {
    Ok(match Value::deserialize(value)? {
        Value::Number(number) => number.as_u64(),
        // Text that is not a number is not a gRPC status: the call ended in an unknown way (2).
        Value::String(text) => Some(text.trim().parse().unwrap_or(2)),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    })
}

/// How a request ended for its backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The backend answered.
    Answered,
    /// The backend answered with a failure, or Envoy answered because the backend did not.
    Failed,
    /// The client left first, so nothing is known.
    Left,
}

/// A backend's verdict on the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// It let the caller in.
    Consents,
    /// It refused the caller.
    Refuses,
    /// Its answer says neither.
    Silent,
}

impl Line {
    /// The chosen backend.
    #[must_use]
    pub fn backend(&self) -> Option<&str> {
        self.cluster.as_deref()?.strip_prefix(CLUSTER)
    }

    fn client_left(&self) -> bool {
        let flags = self.flags.as_deref().unwrap_or_default();
        flags.split(',').any(|flag| CLIENT_LEFT.contains(&flag))
    }

    /// How the request ended; `errors` are the gRPC statuses that count as failures of this backend.
    #[must_use]
    pub fn outcome(&self, errors: &GrpcErrors) -> Outcome {
        let status = self.status.unwrap_or_default();
        if status >= 500 {
            return Outcome::Failed;
        }
        // Without an HTTP status there was no answer, and the gRPC status of a call that its client ended says nothing.
        if status == 0 || (self.client_left() && self.grpc_status.is_some_and(|status| status != 0)) {
            return Outcome::Left;
        }
        if self.grpc_status.is_some_and(|status| errors.contains(status)) {
            return Outcome::Failed;
        }
        Outcome::Answered
    }

    /// The backend's verdict on the caller. Only a clear answer counts: one that a backend may give before it checks the
    /// caller (not found, a bad request, a redirect elsewhere) says nothing.
    #[must_use]
    pub fn word(&self) -> Word {
        if self.upstream.is_none() {
            return Word::Silent;
        }
        match self.grpc_status {
            Some(0) => return Word::Consents,
            Some(7 | 16) => return Word::Refuses,
            Some(_) => return Word::Silent,
            None => {}
        }
        match self.status.unwrap_or_default() {
            101 | 200..=299 => Word::Consents,
            401 | 403 => Word::Refuses,
            300..=399 if self.sign_in.as_deref() == Some("true") => Word::Refuses,
            _ => Word::Silent,
        }
    }

    /// The edge's verdict on the caller: `allow`, `lease`, `deny` or `error`; nothing on a public route, also when the
    /// authorizer let its request pass for its limits or its kind of session: that names no caller. A policy in shadow that
    /// would refuse counts as `deny`. A limit is not a verdict on the caller.
    #[must_use]
    pub fn edge_says(&self) -> Option<&str> {
        let of_policy = |reasons: &str| reasons.split(',').any(|reason| !reason.starts_with("rate_limited"));
        if self.shadow_reason.as_deref().is_some_and(of_policy) {
            return Some("deny");
        }
        self.decision.as_deref().filter(|decision| *decision != "allow" || self.subject.is_some())
    }

    /// The name under which the answer is counted: `404`, `grpc 7`, `302 sign-in`.
    #[must_use]
    pub fn answer(&self) -> String {
        let status = self.status.unwrap_or_default();
        match self.grpc_status {
            Some(grpc) => format!("grpc {grpc}"),
            None if status == 0 => "none".to_owned(),
            None if self.word() == Word::Refuses && (300..400).contains(&status) => {
                format!("{status} sign-in")
            }
            None => status.to_string(),
        }
    }

    /// How long the caller waited for the backend's first byte, in microseconds. Nothing when the wait means nothing:
    /// Envoy answered at once, or the client left soon.
    #[must_use]
    pub fn waited_us(&self) -> Option<u64> {
        /// A shorter wait without an answer means a quick failure or an impatient client, not a quick backend.
        const TELLING_US: u64 = 1_000_000;
        let of_ms = |ms: Option<u64>| ms.map(|ms| ms.saturating_mul(1_000));
        self.upstream_us.or_else(|| of_ms(self.upstream_ms)).or_else(|| {
            // No first byte came: the wait counts until the client or Envoy gave up.
            of_ms(self.duration_ms).filter(|waited| *waited >= TELLING_US)
        })
    }

    /// The client: the subject where it was proved, otherwise the address. An IPv6 client has a whole /64.
    #[must_use]
    pub fn who(&self) -> String {
        if let Some(subject) = &self.subject {
            return subject.clone();
        }
        let client = self.client.as_deref().unwrap_or_default();
        match client.parse::<std::net::Ipv6Addr>() {
            Ok(address) => {
                let [a, b, c, d, ..] = address.segments();
                format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
            }
            Err(_) => client.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        serde_json::from_str(&format!("{{\"upstream\":\"a\",{text}}}")).unwrap()
    }

    #[test]
    fn a_grpc_answer_is_judged_by_its_own_status_under_200() {
        let errors = GrpcErrors::default();
        for status in 0..=20 {
            let line = line(&format!("\"status\":200,\"grpc_status\":{status}"));
            let failed = [2, 4, 8, 13, 14, 15].contains(&status);
            assert_eq!(line.outcome(&errors) == Outcome::Failed, failed, "{status}");
            let word = match status {
                0 => Word::Consents,
                7 | 16 => Word::Refuses,
                _ => Word::Silent,
            };
            assert_eq!(line.word(), word, "{status}");
        }
        // As text, when only a header has it.
        assert_eq!(line("\"status\":200,\"grpc_status\":\"13\"").outcome(&errors), Outcome::Failed);
        assert_eq!(line("\"status\":200,\"grpc_status\":\"x\"").outcome(&errors), Outcome::Failed);
        assert_eq!(line("\"status\":200,\"grpc_status\":null").outcome(&errors), Outcome::Answered);
        let mine = GrpcErrors([5].into());
        assert_eq!(line("\"status\":200,\"grpc_status\":5").outcome(&mine), Outcome::Failed);
        assert_eq!(line("\"status\":200,\"grpc_status\":13").outcome(&mine), Outcome::Answered);
    }

    #[test]
    fn a_client_that_leaves_does_not_count_against_the_backend() {
        let errors = GrpcErrors::default();
        for text in [
            "\"status\":0,\"flags\":\"DC\"",
            "\"status\":200,\"grpc_status\":2,\"flags\":\"DC\"",
            "\"status\":200,\"grpc_status\":2,\"flags\":\"UR,DR\"",
        ] {
            assert_eq!(line(text).outcome(&errors), Outcome::Left, "{text}");
        }
        assert_eq!(line("\"status\":504,\"flags\":\"UT\"").outcome(&errors), Outcome::Failed);
        assert_eq!(line("\"status\":200,\"flags\":\"DC\"").outcome(&errors), Outcome::Answered);
    }

    #[test]
    fn only_a_clear_answer_about_the_caller_is_a_verdict_of_the_backend() {
        for (text, word) in [
            ("\"status\":200", Word::Consents),
            ("\"status\":204", Word::Consents),
            ("\"status\":101", Word::Consents),
            ("\"status\":401", Word::Refuses),
            ("\"status\":403", Word::Refuses),
            ("\"status\":302,\"sign_in\":\"true\"", Word::Refuses),
            ("\"status\":302,\"sign_in\":\"false\"", Word::Silent),
            ("\"status\":302", Word::Silent),
            ("\"status\":201,\"sign_in\":\"true\"", Word::Consents),
            ("\"status\":404", Word::Silent),
            ("\"status\":400", Word::Silent),
            ("\"status\":429", Word::Silent),
            ("\"status\":500", Word::Silent),
            ("\"status\":200,\"upstream\":null", Word::Silent),
        ] {
            let line: Line = serde_json::from_str(&if text.contains("upstream") {
                format!("{{{text}}}")
            } else {
                format!("{{\"upstream\":\"a\",{text}}}")
            })
            .unwrap();
            assert_eq!(line.word(), word, "{text}");
        }
    }

    #[test]
    fn a_client_is_a_subject_or_an_ipv4_address_or_an_ipv6_network() {
        assert_eq!(line("\"subject\":\"s\",\"client\":\"10.0.0.1\"").who(), "s");
        assert_eq!(line("\"client\":\"10.0.0.1\"").who(), "10.0.0.1");
        let (one, other) = (line("\"client\":\"2001:db8::1\""), line("\"client\":\"2001:db8::ffff:1\""));
        assert_eq!(one.who(), other.who());
        assert_ne!(one.who(), line("\"client\":\"2001:db8:0:1::1\"").who());
    }

    #[test]
    fn a_quick_failure_is_not_a_quick_answer() {
        assert_eq!(line("\"upstream_us\":420,\"upstream_ms\":0").waited_us(), Some(420));
        assert_eq!(line("\"upstream_ms\":3").waited_us(), Some(3_000));
        assert_eq!(line("\"duration_ms\":2").waited_us(), None);
        assert_eq!(line("\"duration_ms\":15000").waited_us(), Some(15_000_000));
    }
}
