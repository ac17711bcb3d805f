//! Edge files that are not in force yet, and the choice of the next one.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use edge_config::Edge;

use crate::admin::authorizer::{self, RevisionsInForce};

/// The number of files to remember. An authorizer polls ten times a second and remembers the files that it has seen, so
/// every authorizer knows one of the last few.
const MOST: usize = 8;

/// How long to wait for the newest file before an older one is taken that every authorizer already knows.
const GRACE: Duration = Duration::from_millis(400);

/// An edge file that is not in force yet.
struct Candidate {
    edge: Edge,
    read: Instant,
    /// Its refusal was reported already. It is taken only when every authorizer answers and knows it.
    reported: bool,
}

/// Edge files that are not in force yet, the newest last.
#[derive(Default)]
pub(super) struct Waiting {
    candidates: Vec<Candidate>,
    /// Since when a file waits.
    since: Option<Instant>,
}

/// The next action.
#[derive(Debug)]
pub(super) enum Next {
    /// Put this file into force.
    Take(Box<Edge>),
    /// The newest file cannot be taken now, with the reason. Reported once for each file.
    Refused(String),
    /// Nothing yet.
    Wait,
}

impl Waiting {
    /// Adds a file that was read.
    pub(super) fn add(&mut self, edge: Edge, now: Instant) {
        self.candidates.retain(|one| one.edge.revision != edge.revision);
        if self.candidates.len() == MOST {
            self.candidates.remove(0);
        }
        self.candidates.push(Candidate { edge, read: now, reported: false });
        self.since.get_or_insert(now);
    }

    /// Chooses by the reports of `authorizers`.
    pub(super) fn next(&mut self, authorizers: &[SocketAddr], patience: Duration, now: Instant) -> Next {
        if self.candidates.is_empty() {
            return Next::Wait;
        }
        let standings: Vec<_> =
            authorizers.iter().map(|address| (*address, authorizer::standing(*address))).collect();
        self.choose(&standings, patience, now)
    }

    fn choose(
        &mut self,
        standings: &[(SocketAddr, Option<RevisionsInForce>)],
        patience: Duration,
        now: Instant,
    ) -> Next {
        let Some(newest) = self.candidates.last_mut() else { return Next::Wait };
        let revision = newest.edge.revision.0.clone();
        // An authorizer that does not answer will read the newest file when it starts, and no other one.
        let all_answer = standings.iter().all(|(_, standing)| standing.is_some());
        let answered = || standings.iter().filter_map(|(address, one)| Some((*address, one.as_ref()?)));
        let known = |revision: &String| answered().all(|(_, one)| one.known.contains(revision));
        if known(&revision) && (all_answer || !newest.reported) {
            return self.take(self.candidates.len() - 1);
        }
        if !newest.reported {
            let refused = answered().find_map(|(address, one)| {
                let refused = one.refused.as_ref().filter(|one| one.revision == revision)?;
                Some(format!("the authorizer at {address} refuses revision {revision}: {}", refused.why))
            });
            let late = answered().find(|(_, one)| !one.known.contains(&revision)).map(|(address, one)| {
                let RevisionsInForce { revision: present, detail, .. } = one;
                format!("the authorizer at {address} decides by {present}, not by {revision} ({detail})")
            });
            let late = late.filter(|_| now.duration_since(newest.read) >= patience);
            if let Some(why) = refused.or(late) {
                newest.reported = true;
                return Next::Refused(why);
            }
        }
        let waited = self.since.is_some_and(|since| now.duration_since(since) >= GRACE);
        let older = self.candidates.iter().rposition(|one| known(&one.edge.revision.0));
        match older {
            Some(position) if waited && all_answer => self.take(position),
            Some(_) | None => Next::Wait,
        }
    }

    /// Takes the file at `position`, and forgets the ones before it.
    fn take(&mut self, position: usize) -> Next {
        let taken = self.candidates.drain(..=position).next_back();
        self.since = self.candidates.first().map(|one| one.read);
        taken.map_or(Next::Wait, |one| Next::Take(Box::new(one.edge)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::authorizer::Refused;

    const PATIENCE: Duration = Duration::from_secs(15);

    fn edge(revision: &str) -> Edge {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/files/edge.yaml");
        let mut edge = edge_config::load(file.as_ref(), &|_| None).unwrap();
        edge.revision.0 = revision.to_owned();
        edge
    }

    fn authorizer(known: &[&str], refused: Option<&str>) -> (SocketAddr, Option<RevisionsInForce>) {
        let known: Vec<String> = known.iter().map(|&one| one.to_owned()).collect();
        let refused =
            refused.map(|revision| Refused { revision: revision.to_owned(), why: "restart it".to_owned() });
        let standing = RevisionsInForce { revision: known[0].clone(), known, refused, detail: String::new() };
        (([127, 0, 0, 1], 9192).into(), Some(standing))
    }

    fn gone() -> (SocketAddr, Option<RevisionsInForce>) {
        (([127, 0, 0, 1], 9193).into(), None)
    }

    /// `a`, `b` and `c` were read one after the other at `now`.
    fn three(now: Instant) -> Waiting {
        let mut waiting = Waiting::default();
        ["a", "b", "c"].iter().for_each(|revision| waiting.add(edge(revision), now));
        waiting
    }

    fn taken(next: Next) -> Option<String> {
        match next {
            Next::Take(edge) => Some(edge.revision.0),
            Next::Refused(_) | Next::Wait => None,
        }
    }

    #[test]
    fn the_newest_file_that_every_authorizer_has_is_next_and_older_files_are_forgotten() {
        let now = Instant::now();
        let mut waiting = three(now);
        let both = [authorizer(&["c", "b"], None), authorizer(&["c", "a"], None)];
        assert_eq!(taken(waiting.choose(&both, PATIENCE, now)).as_deref(), Some("c"));
        assert!(waiting.candidates.is_empty());
    }

    #[test]
    fn an_older_file_is_taken_when_the_newest_is_late_and_only_if_every_authorizer_answers() {
        let now = Instant::now();
        let mut waiting = three(now);
        let both = [authorizer(&["d", "b", "a"], None), authorizer(&["b"], None)];
        assert_eq!(taken(waiting.choose(&both, PATIENCE, now)), None, "the newest is waited for");
        let later = now + GRACE;
        let one_is_gone = [authorizer(&["d", "b", "a"], None), gone()];
        assert_eq!(taken(waiting.choose(&one_is_gone, PATIENCE, later)), None, "it starts with the newest");
        assert_eq!(taken(waiting.choose(&both, PATIENCE, later)).as_deref(), Some("b"));
        let left: Vec<_> = waiting.candidates.iter().map(|one| one.edge.revision.0.as_str()).collect();
        assert_eq!(left, ["c"]);
    }

    #[test]
    fn a_refusal_is_reported_at_once_and_once_and_the_file_is_used_when_the_authorizer_has_it() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        waiting.add(edge("b"), now);
        let refusing = [authorizer(&["a"], Some("b"))];
        let said = waiting.choose(&refusing, PATIENCE, now);
        assert!(matches!(&said, Next::Refused(why) if why.contains("restart it")), "{said:?}");
        assert!(matches!(waiting.choose(&refusing, PATIENCE, now), Next::Wait));
        assert!(matches!(waiting.choose(&[gone()], PATIENCE, now), Next::Wait), "while it restarts");
        let restarted = [authorizer(&["b"], None)];
        assert_eq!(taken(waiting.choose(&restarted, PATIENCE, now)).as_deref(), Some("b"));
    }

    #[test]
    fn a_file_that_no_authorizer_mentions_is_reported_when_patience_ends() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        waiting.add(edge("b"), now);
        let late = [authorizer(&["a"], None)];
        assert!(matches!(waiting.choose(&late, PATIENCE, now), Next::Wait));
        assert!(matches!(waiting.choose(&late, PATIENCE, now + PATIENCE), Next::Refused(_)));
    }

    #[test]
    fn without_an_authorizer_that_answers_the_newest_is_taken() {
        let now = Instant::now();
        for standings in [vec![], vec![gone()]] {
            assert_eq!(taken(three(now).choose(&standings, PATIENCE, now)).as_deref(), Some("c"));
        }
    }
}
