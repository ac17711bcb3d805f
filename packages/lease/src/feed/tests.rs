use super::*;

#[test]
fn a_feed_request_is_read_back_and_every_cut_is_found() {
    let spent = |route: &str, uses| Spent { route: route.to_owned(), policy: "signed-in".to_owned(), uses };
    let ask = FeedRequest {
        listener: "public".to_owned(),
        revision: "0123456789abcdef".to_owned(),
        spent: vec![spent("users-me", 3), spent("books", u64::MAX)],
    };
    let text = ask.encode().unwrap();
    assert_eq!(FeedRequest::decode(&text), Ok(ask));
    for end in 0..text.len() {
        assert!(FeedRequest::decode(&text[..end]).is_err(), "cut at {end} was not found");
    }
}

#[test]
fn a_feed_reply_is_read_back_and_every_cut_is_found() {
    for ended in [Ended::All, Ended::Tags(vec![]), Ended::Tags(vec![Tag(1), Tag(u64::MAX)])] {
        let feed = Feed { revisions: vec!["a".to_owned(), "b".to_owned()], reach_ms: 1_200, ended };
        let text = feed.encode().unwrap();
        assert_eq!(Feed::decode(&text), Ok(feed));
        for end in 0..text.len() {
            assert!(Feed::decode(&text[..end]).is_err(), "cut at {end} was not found");
        }
    }
}

#[test]
fn too_many_ends_are_all_ends() {
    let feed = |count: u64| Feed {
        revisions: vec![],
        reach_ms: 0,
        ended: Ended::Tags((0..count).map(Tag).collect()),
    };
    let read = |count| Feed::decode(&feed(count).encode().unwrap()).unwrap().ended;
    assert_eq!(read(4_096), feed(4_096).ended);
    assert_eq!(read(4_097), Ended::All);
}
