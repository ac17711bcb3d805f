//! The form of a refusal: its status, its body and its content type.

use harness::wire::Answer;

const JSON: &str = "application/json; charset=utf-8";

pub(crate) fn assert_json(answer: &Answer, status: u16, body: &str, what: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (status, body), "{what}: {answer:?}");
    assert_eq!(answer.header("content-type"), Some(JSON.as_bytes()), "{what}: {answer:?}");
    assert_clean(answer, what);
}

pub(crate) fn assert_bare(answer: &Answer, status: u16, body: &str, what: &str) {
    assert_eq!((answer.status, answer.text().as_str()), (status, body), "{what}: {answer:?}");
    assert_eq!(answer.header("content-type"), None, "{what}: {answer:?}");
    assert_clean(answer, what);
}

fn assert_clean(answer: &Answer, what: &str) {
    for mark in ["x-cutover-bare", "x-cutover-words"] {
        assert_eq!(answer.header(mark), None, "{what}: {answer:?}");
    }
    let length = answer.header("content-length").map(|length| String::from_utf8_lossy(length).into_owned());
    assert_eq!(length, Some(answer.text().len().to_string()), "{what}: {answer:?}");
}
