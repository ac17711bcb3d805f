use super::*;
use crate::feed::{Feed, WINDOW_MS};

const RULES: StreamRules = StreamRules { most: 16, unjudged_ms: 60_000 };
const PATIENCE_MS: u64 = 240;

fn ticket(owner: u64) -> Ticket {
    let tags = vec![Tag(owner), Tag(1_000)];
    Ticket { lifetime_ms: None, owner: Tag(owner), tags, facts: format!("stream of {owner}") }
}

fn reply(standings: &[Standing], reach_ms: u64, tags: &[u64]) -> Vec<u8> {
    let ended = Ended::Tags(tags.iter().map(|tag| Tag(*tag)).collect());
    let feed = Feed { revisions: vec!["r".to_owned()], reach_ms, ended };
    StreamsReply { standings: standings.to_vec(), feed }.encode().unwrap().into_bytes()
}

/// Polls at `now_ms` and has it answered; returns the facts asked about, and what is left to do.
fn poll(
    streams: &mut OpenStreams,
    now_ms: u64,
    of: impl Fn(&str) -> Standing,
    (reach_ms, tags): (u64, &[u64]),
) -> (Vec<String>, Option<Pending>) {
    let Some(body) = streams.question(now_ms, PATIENCE_MS) else { return (Vec::new(), None) };
    let facts = StreamsRequest::decode(&body).unwrap().facts;
    let standings: Vec<Standing> = facts.iter().map(|facts| of(facts)).collect();
    streams.sent(now_ms, now_ms);
    let pending = streams.answered(now_ms, Some(&reply(&standings, reach_ms, tags)));
    (facts, pending)
}

fn live(_: &str) -> Standing {
    Standing::Live
}

fn revoked(_: &str) -> Standing {
    Standing::Ended("session_revoked".to_owned())
}

const CALM: (u64, &[u64]) = (WINDOW_MS, &[]);

#[test]
fn a_new_stream_is_asked_about_once_and_then_the_feed_vouches_for_it() {
    let mut streams = OpenStreams::new(RULES);
    assert_eq!(streams.question(0, PATIENCE_MS), None, "no stream, no poll");
    streams.begin(1, ticket(1), 100_000).unwrap();
    assert_eq!(poll(&mut streams, 100_400, live, CALM), (vec!["stream of 1".into()], Some(Pending::Nothing)));
    for turn in 2..70 {
        assert_eq!(poll(&mut streams, 100_000 + turn * 400, live, CALM).0, [""; 0], "{turn}");
    }
    // After half a minute it is asked about all the same.
    assert_eq!(poll(&mut streams, 130_500, live, CALM).0.len(), 1);
    assert_eq!(streams.ending(10_000_000, 9), [(1, StreamEnd::Unjudged)]);
}

#[test]
fn a_tag_makes_the_edge_ask_and_only_the_answer_ends_a_stream() {
    let mut streams = OpenStreams::new(RULES);
    for stream in 1..=3 {
        streams.begin(stream, ticket(stream), 100_000).unwrap();
    }
    assert_eq!(poll(&mut streams, 100_400, live, CALM).0.len(), 3);
    // All sessions of one person end, and a new one of theirs begins later: it has the same tag.
    assert_eq!(poll(&mut streams, 100_800, live, (WINDOW_MS, &[2])), (vec![], Some(Pending::Questions)));
    let (asked, pending) = poll(&mut streams, 100_810, revoked, (WINDOW_MS, &[2]));
    assert_eq!((asked, pending), (vec!["stream of 2".to_owned()], Some(Pending::Endings)));
    assert_eq!(streams.ending(100_820, 9), [(2, StreamEnd::Ended("session_revoked".into()))]);
    streams.begin(4, ticket(2), 101_000).unwrap();
    poll(&mut streams, 101_200, live, (WINDOW_MS, &[2]));
    assert_eq!(streams.ending(101_210, 9), []);
    assert_eq!(streams.len(), 3);
    // The tag of all three.
    poll(&mut streams, 101_600, live, (WINDOW_MS, &[1_000]));
    assert_eq!(poll(&mut streams, 101_610, live, (WINDOW_MS, &[1_000])).0.len(), 3);
}

#[test]
fn a_replica_that_vouches_for_too_little_is_asked_about_every_stream() {
    let mut streams = OpenStreams::new(RULES);
    streams.begin(1, ticket(1), 100_000).unwrap();
    poll(&mut streams, 100_400, live, CALM);
    assert_eq!(poll(&mut streams, 100_800, live, (200, &[])).1, Some(Pending::Questions));
    assert_eq!(poll(&mut streams, 100_810, live, (210, &[])).0.len(), 1);
    // Everything ended, as far as it knows.
    streams.question(101_200, PATIENCE_MS).unwrap();
    streams.sent(5, 101_200);
    let feed = Feed { revisions: Vec::new(), reach_ms: WINDOW_MS, ended: Ended::All };
    let all = StreamsReply { standings: Vec::new(), feed }.encode().unwrap();
    assert_eq!(streams.answered(5, Some(all.as_bytes())), Some(Pending::Questions));
}

#[test]
fn a_lost_answer_changes_nothing_until_the_bound() {
    let mut streams = OpenStreams::new(RULES);
    streams.begin(1, ticket(1), 100_000).unwrap();
    poll(&mut streams, 100_400, live, CALM);
    let mut now_ms = 100_800;
    while now_ms < 160_400 {
        assert!(streams.question(now_ms, PATIENCE_MS).is_some());
        streams.sent(now_ms, now_ms);
        assert!(streams.question(now_ms + 1, PATIENCE_MS).is_none(), "one poll at a time");
        assert_eq!(streams.answered(now_ms + 7, None), None, "an answer to another poll");
        assert_eq!(streams.answered(now_ms, [None, Some(&b"?"[..])][usize::from(now_ms % 800 == 0)]), None);
        assert_eq!(streams.ending(now_ms, 9), [], "{now_ms}");
        now_ms += 400;
    }
    assert_eq!(streams.ending(160_400, 9), [(1, StreamEnd::Unjudged)]);
    assert!(streams.is_empty());
}

#[test]
fn an_unknown_standing_counts_from_the_last_known_one_and_soon_is_asked_each_time() {
    let mut streams = OpenStreams::new(RULES);
    streams.begin(1, ticket(1), 100_000).unwrap();
    streams.begin(2, ticket(2), 100_000).unwrap();
    let of = |facts: &str| if facts.ends_with('1') { Standing::Unknown } else { Standing::Soon };
    let mut now_ms = 100_400;
    while now_ms < 160_000 {
        let (asked, pending) = poll(&mut streams, now_ms, of, CALM);
        assert_eq!((asked.len(), pending), (2, Some(Pending::Nothing)), "not again without a pause");
        assert_eq!(streams.ending(now_ms, 9), []);
        now_ms += 400;
    }
    assert_eq!(streams.ending(160_000, 9), [(1, StreamEnd::Unjudged)], "the other was found in force");
}

#[test]
fn an_expired_credential_ends_its_stream_without_a_question() {
    let mut streams = OpenStreams::new(RULES);
    streams.begin(1, Ticket { lifetime_ms: Some(5_000), ..ticket(1) }, 100_000).unwrap();
    assert_eq!(streams.ending(104_999, 9), []);
    assert_eq!(streams.ending(105_000, 9), [(1, StreamEnd::Expired)]);
    assert_eq!(streams.ending(105_000, 9), [], "once");
}

#[test]
fn no_caller_takes_more_than_a_share_and_all_together_no_more_than_the_bound() {
    let mut streams = OpenStreams::new(RULES);
    streams.begin(1, ticket(1), 0).unwrap();
    streams.begin(2, ticket(1), 0).unwrap();
    assert_eq!(streams.begin(3, ticket(1), 0), Err(Full), "an eighth of sixteen");
    for stream in 3..=16 {
        streams.begin(stream, ticket(stream), 0).unwrap();
    }
    assert_eq!(streams.begin(17, ticket(99), 0), Err(Full));
    streams.end(1);
    streams.end(1);
    streams.begin(17, ticket(1), 0).unwrap();
    assert_eq!(streams.len(), 16);
}

#[test]
fn many_streams_are_asked_about_in_parts_and_end_in_parts() {
    let mut streams = OpenStreams::new(StreamRules { most: 10_000, ..RULES });
    for stream in 0..1_000 {
        streams.begin(stream, ticket(2_000 + stream), 100_000).unwrap();
    }
    let mut parts = 0;
    loop {
        let (asked, pending) = poll(&mut streams, 100_400 + parts, revoked, CALM);
        assert!(asked.len() <= MAX_ASKED);
        parts += 1;
        assert_eq!(pending, Some(Pending::Endings));
        let mut ended = 0;
        while !streams.ending(100_400 + parts, 100).is_empty() {
            ended += 1;
        }
        assert_eq!(ended, asked.len().div_ceil(100));
        if streams.is_empty() {
            break;
        }
    }
    assert_eq!(parts, 8);
    assert!(streams.is_empty() && streams.owners.is_empty() && streams.suspects.is_empty());
}

#[test]
fn streams_that_cannot_be_judged_keep_none_from_being_asked_about() {
    let mut streams = OpenStreams::new(StreamRules { most: 10_000, ..RULES });
    for stream in 0..600 {
        streams.begin(stream, ticket(2_000 + stream), 100_000).unwrap();
    }
    // Each answer takes so long that the first streams may be asked about again before the last ones were.
    let of = |facts: &str| if facts.ends_with(" 2599") { revoked(facts) } else { Standing::Unknown };
    for turn in 1..=5 {
        poll(&mut streams, 100_000 + turn * AGAIN_MS, of, CALM);
    }
    assert_eq!(streams.ending(101_000, 9), [(599, StreamEnd::Ended("session_revoked".into()))]);
}
