//! AWS Signature Version 4 of one request with a body and no query
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>).
//!
//! The crate `aws-sigv4` would bring twenty crates of the AWS runtime for this page.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use clock::UnixTime;
use time::OffsetDateTime;
use time::macros::format_description;

use crate::keys::Keys;

/// What a signature covers.
pub(crate) struct Signed<'a> {
    pub(crate) host: &'a str,
    pub(crate) path: &'a str,
    /// Signed and sent as `content-type`; absent without one.
    pub(crate) content_type: Option<&'a str>,
    pub(crate) body: &'a [u8],
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// The headers `x-amz-date` and `authorization`.
pub(crate) struct Headers {
    pub(crate) date: String,
    pub(crate) authorization: String,
}

/// Signs a POST at `now`.
pub(crate) fn sign(request: &Signed<'_>, keys: &Keys, now: UnixTime) -> Headers {
    let Signed { host, path, content_type, body, region, service } = request;
    let date = timestamp(now);
    let day = date.get(..8).unwrap_or_default();
    let (content, names) = match content_type {
        Some(kind) => (format!("content-type:{kind}\n"), "content-type;host;x-amz-date"),
        None => (String::new(), "host;x-amz-date"),
    };
    let canonical = format!(
        "POST\n{path}\n\n{content}host:{host}\nx-amz-date:{date}\n\n{names}\n{}",
        hex(digest(&SHA256, body).as_ref())
    );
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let text =
        format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(digest(&SHA256, canonical.as_bytes()).as_ref()));
    let first = format!("AWS4{}", keys.secret).into_bytes();
    let key = [day, region, service, "aws4_request"].iter().fold(first, |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &text));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={signature}",
        keys.id
    );
    Headers { date, authorization }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn timestamp(now: UnixTime) -> String {
    let seconds = i64::try_from(now.seconds()).unwrap_or(i64::MAX);
    let format = format_description!("[year][month][day]T[hour][minute][second]Z");
    let time = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    time.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The keys and the time of AWS's own test suite.
    fn signature(content_type: Option<&str>, body: &[u8]) -> String {
        let keys = Keys {
            id: "AKIDEXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
        };
        let request = Signed {
            host: "example.amazonaws.com",
            path: "/",
            content_type,
            body,
            region: "us-east-1",
            service: "service",
        };
        let Headers { date, authorization } = sign(&request, &keys, UnixTime::from_seconds(1_440_938_160));
        assert_eq!(date, "20150830T123600Z");
        authorization
    }

    #[test]
    fn signatures_are_those_of_the_test_suite_of_aws() {
        // post-vanilla
        assert_eq!(
            signature(None, b""),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"
        );
        // post-x-www-form-urlencoded
        assert_eq!(
            signature(Some("application/x-www-form-urlencoded"), b"Param1=value1"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=content-type;host;x-amz-date, \
             Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
        );
    }
}
