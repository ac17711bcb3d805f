//! Arbitrary requests with arbitrary signature headers: no panic, and nothing verifies that was not signed. A
//! signature of one request verifies with that one and with no other.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use signed_request::sign::COMPONENTS;
use signed_request::{Algorithm, Message, Profile, Signature, SigningKey, VerifyingKey, offer, sign};

/// 32 bytes, for this program only.
const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

static KEYS: LazyLock<(SigningKey, [VerifyingKey; 1])> = LazyLock::new(|| {
    let signing = SigningKey::read(SECRET).expect("a secret");
    (signing, [VerifyingKey::secret(SECRET).expect("a secret")])
});

#[derive(Debug, Arbitrary)]
struct Request<'a> {
    method: &'a str,
    target: &'a str,
    host: &'a str,
    headers: Vec<(&'a str, &'a [u8])>,
    body: &'a [u8],
}

impl<'a> Request<'a> {
    fn message(&self) -> Message<'a> {
        let Self { method, target, host, headers, body } = self;
        Message { method, target, scheme: "https", host, headers: headers.clone(), body }
    }
}

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    request: Request<'a>,
    other: Request<'a>,
    input: &'a [u8],
    signature: &'a [u8],
    nonce: &'a str,
    created: u64,
    expires: Option<u64>,
}

fn with<'a>(message: &Message<'a>, lines: &[(&'a str, &'a [u8])]) -> Message<'a> {
    let mut message = message.clone();
    message.headers.extend(lines);
    message
}

fuzz_target!(|input: Input<'_>| {
    let (signing, verifying) = &*KEYS;
    let listed = ["x-a".to_owned(), "content-type".to_owned()];
    let profile = Profile { headers: &listed, needs_nonce: true, needs_algorithm: true, tag: None };
    let verifies = |message: &Message<'_>| match offer(message, &profile) {
        Ok(Some(offered)) => {
            let _ = (offered.key_id(), offered.once(), offered.created(), offered.expires());
            offered.verify(message, Algorithm::HmacSha256, verifying).is_ok()
        }
        Ok(None) | Err(_) => false,
    };
    let mut forged = input.request.message();
    forged.headers.push(("signature-input", input.input));
    forged.headers.push(("signature", input.signature));
    assert!(!verifies(&forged), "this has no valid signature");

    let plain = |message: &mut Message<'_>| {
        message.headers.retain(|(name, _)| {
            !["signature", "signature-input", "content-digest"].iter().any(|n| n.eq_ignore_ascii_case(name))
        });
    };
    let (mut request, mut other) = (input.request.message(), input.other.message());
    plain(&mut request);
    plain(&mut other);
    let signature = Signature {
        key_id: "k",
        nonce: Some(input.nonce),
        names_algorithm: true,
        tag: None,
        created: input.created,
        expires: input.expires,
        components: &COMPONENTS,
    };
    let Ok(headers) = sign(&request, &signature, signing) else { return };
    let lines: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
    let signed = |message: &Message<'_>| verifies(&with(message, &lines));
    // A nonce outside of the grammar, or a moment with too many digits, is signed and then refused: both are fine.
    if !signed(&request) {
        return;
    }
    let same = |a: &Message<'_>, b: &Message<'_>| {
        (a.method, a.target, a.body) == (b.method, b.target, b.body)
            && a.component("@authority").ok() == b.component("@authority").ok()
    };
    assert_eq!(signed(&other), same(&request, &other));
    // One thing of the other request at a time.
    for part in 0..4 {
        let mut mixed = request.clone();
        match part {
            0 => mixed.method = other.method,
            1 => mixed.target = other.target,
            2 => mixed.body = other.body,
            _ => mixed.host = other.host,
        }
        assert_eq!(signed(&mixed), same(&request, &mixed), "part {part}");
    }
});
