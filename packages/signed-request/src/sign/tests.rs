use super::*;
use crate::field;
use crate::{Algorithm, Profile, VerifyingKey, offer};
use aws_lc_rs::signature::KeyPair as _;
use proptest::prelude::*;

const SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn message(target: &str) -> Message<'_> {
    Message {
        method: "POST",
        target,
        scheme: "https",
        host: "api.test",
        headers: vec![("x-a", b"1")],
        body: b"{}",
    }
}

fn how<'a>(components: &'a [&'a str]) -> Signature<'a> {
    Signature {
        key_id: "k",
        nonce: Some("0123456789abcdef"),
        names_algorithm: true,
        tag: None,
        created: 1_800_000_000,
        expires: None,
        components,
    }
}

/// What is asked of a signature without a profile of its own.
fn strict(headers: &[String]) -> Profile<'_> {
    Profile { headers, needs_nonce: true, needs_algorithm: true, tag: None }
}

/// Returns the result of verifying `changed`, which carries the signature of `signed`.
fn verdict(signed: &Message<'_>, changed: &Message<'_>, components: &[&str]) -> Result<(), Fault> {
    let headers = sign(signed, &how(components), &SigningKey::read(SECRET).unwrap()).unwrap();
    let mut carrying = changed.clone();
    carrying.headers.extend(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
    let offer = offer(&carrying, &strict(&["x-a".to_owned()]))?.expect("a signature is offered");
    offer.verify(&carrying, Algorithm::HmacSha256, &[VerifyingKey::secret(SECRET).unwrap()])
}

/// RFC 9421, appendix B.2.5: the base and the signature of a published example.
#[test]
fn the_published_hmac_example_verifies() {
    let secret = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    let parameters =
        "(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"";
    let message = Message {
        method: "POST",
        target: "/foo?param=Value&Pet=dog",
        scheme: "https",
        host: "example.com",
        headers: vec![("Date", b"Tue, 20 Apr 2021 02:07:55 GMT"), ("Content-Type", b"application/json")],
        body: b"",
    };
    let base = base(&message, &["date", "@authority", "content-type"], parameters).unwrap();
    let expected = concat!(
        "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@authority\": example.com\n",
        "\"content-type\": application/json\n\"@signature-params\": (\"date\" \"@authority\" \"content-type\")",
        ";created=1618884473;keyid=\"test-shared-secret\""
    );
    assert_eq!(String::from_utf8(base.clone()).unwrap(), expected);
    let signature =
        field::signature(b"sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:", "sig-b25").unwrap();
    assert!(VerifyingKey::secret(secret).unwrap().verifies(&base, &signature));
}

/// RFC 9421, appendix B.2.6.
#[test]
fn the_published_ed25519_example_verifies() {
    let message = Message {
        method: "POST",
        target: "/foo?param=Value&Pet=dog",
        scheme: "https",
        host: "example.com",
        headers: vec![
            ("date", b"Tue, 20 Apr 2021 02:07:55 GMT"),
            ("content-type", b"application/json"),
            ("content-length", b"18"),
        ],
        body: b"",
    };
    let parameters = "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"";
    let components = ["date", "@method", "@path", "@authority", "content-type", "content-length"];
    let base = base(&message, &components, parameters).unwrap();
    let x = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode("JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs")
        .unwrap();
    let text =
        b"sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:";
    let signature = field::signature(text, "sig-b26").unwrap();
    let key = VerifyingKey::public(&x).unwrap();
    assert!(key.verifies(&base, &signature));
    let mut other = signature;
    other[0] ^= 1;
    assert!(!key.verifies(&base, &other));
}

#[test]
fn a_signed_request_passes_and_any_change_of_it_does_not() {
    let all = ["@method", "@path", "@query", "@authority", "content-digest", "x-a"];
    let good = message("/a%2Fb?c=1");
    assert_eq!(verdict(&good, &good, &all), Ok(()));
    let bad = Err(Fault::BadSignature);
    assert_eq!(verdict(&good, &Message { method: "PUT", ..good.clone() }, &all), bad);
    assert_eq!(verdict(&good, &Message { host: "api.tesu", ..good.clone() }, &all), bad);
    assert_eq!(verdict(&good, &Message { headers: vec![("x-a", b"2")], ..good.clone() }, &all), bad);
    assert_eq!(verdict(&good, &Message { body: b"{ }", ..good.clone() }, &all), Err(Fault::WrongDigest));
    assert_eq!(verdict(&good, &Message { body: b"", ..good.clone() }, &all), Err(Fault::WrongDigest));
    assert_eq!(verdict(&good, &Message { headers: vec![], ..good.clone() }, &all), Err(Fault::Incomplete));
    for target in
        ["/a/b?c=1", "/a%2fb?c=1", "/a%2Fb?c=2", "/a%2Fb", "/a%2Fb?c=1&", "/A%2Fb?c=1", "//a%2Fb?c=1"]
    {
        assert_eq!(verdict(&good, &Message { target, ..good.clone() }, &all), bad, "{target}");
    }
    assert_eq!(verdict(&good, &Message { target: "/a%2Fb?", ..good.clone() }, &all), Err(Fault::Unsignable));
}

#[test]
fn a_signature_must_cover_the_required_components() {
    let good = message("/a");
    for missing in 0..4 {
        let mut some = vec!["@method", "@path", "@query", "@authority", "content-digest"];
        some.remove(missing);
        assert_eq!(verdict(&good, &good, &some), Err(Fault::Incomplete), "{some:?}");
    }
    let without_digest = ["@method", "@path", "@query", "@authority"];
    assert_eq!(verdict(&good, &good, &without_digest), Err(Fault::Incomplete));
    let empty = Message { body: b"", ..good.clone() };
    assert_eq!(verdict(&empty, &empty, &without_digest), Ok(()));
    // A body, or a digest, that is added later is not signed.
    assert_eq!(verdict(&empty, &good, &without_digest), Err(Fault::Incomplete));
    let added = Message { headers: vec![("content-digest", b"sha-256=:AAE=:")], ..empty.clone() };
    assert_eq!(verdict(&empty, &added, &without_digest), Err(Fault::Incomplete));
    let unknown = ["@method", "@path", "@query", "@authority", "content-digest", "x-b"];
    let with = Message { headers: vec![("x-b", b"1")], ..good.clone() };
    assert_eq!(verdict(&with, &with, &unknown), Err(Fault::UnknownComponent));
}

/// The target can be covered as a whole, as other clients do; half of it is not enough.
#[test]
fn the_target_is_covered_in_one_of_three_ways() {
    let good = message("/a%2Fb?c=1");
    for components in [
        &["@method", "@target-uri", "content-digest"][..],
        &["@method", "@request-target", "@authority", "content-digest"],
        &["@scheme", "@method", "@path", "@query", "@authority", "content-digest"],
    ] {
        assert_eq!(verdict(&good, &good, components), Ok(()), "{components:?}");
        for changed in [
            Message { target: "/a%2Fb?c=2", ..good.clone() },
            Message { target: "/a/b?c=1", ..good.clone() },
            Message { target: "/a%2Fb", ..good.clone() },
            Message { host: "other.test", ..good.clone() },
            Message { method: "PUT", ..good.clone() },
        ] {
            assert_eq!(verdict(&good, &changed, components), Err(Fault::BadSignature), "{components:?}");
        }
    }
    let http = Message { scheme: "http", ..good.clone() };
    assert_eq!(
        verdict(&http, &good, &["@method", "@target-uri", "content-digest"]),
        Err(Fault::BadSignature)
    );
    for half in [
        &["@target-uri", "content-digest"][..],
        &["@method", "@request-target", "content-digest"],
        &["@method", "@request-target", "@path", "@query", "content-digest"],
        &["@method", "@authority", "@path", "content-digest"],
        &["@method", "@scheme", "@authority", "content-digest"],
    ] {
        assert_eq!(verdict(&good, &good, half), Err(Fault::Incomplete), "{half:?}");
    }
}

#[test]
fn a_profile_waives_the_nonce_and_the_algorithm_and_asks_for_a_tag() {
    let good = message("/a");
    let key = SigningKey::read(SECRET).unwrap();
    let offered = |signature: &Signature<'_>, profile: Profile<'_>| {
        let headers = sign(&good, signature, &key).unwrap();
        let mut carrying = good.clone();
        carrying.headers.extend(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
        let offer = offer(&carrying, &profile)?.expect("a signature is offered");
        offer.verify(&carrying, Algorithm::HmacSha256, &[VerifyingKey::secret(SECRET).unwrap()])?;
        Ok(offer.once().into_owned())
    };
    let whole = how(&COMPONENTS);
    let (bare, tagged) = (
        Signature { nonce: None, names_algorithm: false, ..whole.clone() },
        Signature { tag: Some("gnap"), ..whole.clone() },
    );
    let strict = strict(&[]);
    let lax = Profile { needs_nonce: false, needs_algorithm: false, ..strict };
    let for_gnap = Profile { tag: Some("gnap"), ..strict };
    assert_eq!(offered(&whole, strict).as_deref(), Ok("0123456789abcdef"));
    assert_eq!(offered(&whole, lax).as_deref(), Ok("0123456789abcdef"));
    assert_eq!(offered(&bare, strict), Err(Fault::Incomplete));
    assert_eq!(offered(&bare, Profile { needs_nonce: false, ..strict }), Err(Fault::Incomplete));
    assert_eq!(offered(&bare, Profile { needs_algorithm: false, ..strict }), Err(Fault::Incomplete));
    assert_eq!(offered(&tagged, for_gnap).as_deref(), Ok("0123456789abcdef"));
    assert_eq!(offered(&tagged, strict), Err(Fault::WrongTag));
    assert_eq!(offered(&whole, for_gnap), Err(Fault::WrongTag));
    // Without a nonce, what was signed is the nonce.
    let (first, later) = (offered(&bare, lax).unwrap(), Signature { created: 1_800_000_001, ..bare.clone() });
    assert_eq!(offered(&bare, lax).unwrap(), first);
    assert!(first.starts_with('!') && offered(&later, lax).unwrap() != first);
}

#[test]
fn the_type_of_a_body_is_covered() {
    let typed = ["@method", "@path", "@query", "@authority", "content-digest", "content-type"];
    let untyped = typed.split_last().map_or(&typed[..], |(_, rest)| rest);
    let with = |content_type: &'static str| Message {
        headers: vec![("Content-Type", content_type.as_bytes())],
        ..message("/a")
    };
    let json = with("application/json");
    assert_eq!(verdict(&json, &json, &typed), Ok(()));
    assert_eq!(verdict(&json, &json, untyped), Err(Fault::Incomplete));
    assert_eq!(verdict(&json, &with("text/plain"), &typed), Err(Fault::BadSignature));
    let bare = Message { headers: vec![], ..message("/a") };
    assert_eq!(verdict(&json, &bare, &typed), Err(Fault::Incomplete), "taken away");
    assert_eq!(verdict(&bare, &bare, untyped), Ok(()));
    assert_eq!(verdict(&bare, &json, untyped), Err(Fault::Incomplete), "added");
    // Without a body the type is irrelevant.
    let empty = Message { body: b"", ..json };
    assert_eq!(verdict(&empty, &empty, untyped), Ok(()));
}

#[test]
fn one_signature_or_none() {
    let good = message("/a");
    assert!(offer(&good, &strict(&[])).unwrap().is_none());
    let headers = sign(&good, &how(&COMPONENTS), &SigningKey::read(SECRET).unwrap()).unwrap();
    for twice in 0..headers.len() {
        let mut lines = headers.clone();
        lines.push(headers[twice].clone());
        let mut carrying = good.clone();
        carrying.headers.extend(lines.iter().map(|(name, value)| (*name, value.as_bytes())));
        assert_eq!(offer(&carrying, &strict(&[])).err(), Some(Fault::Ambiguous), "{}", headers[twice].0);
    }
    for missing in ["signature", "signature-input"] {
        let mut carrying = good.clone();
        let lines = headers.iter().filter(|(name, _)| *name != missing);
        carrying.headers.extend(lines.map(|(name, value)| (*name, value.as_bytes())));
        assert_eq!(offer(&carrying, &strict(&[])).err(), Some(Fault::Malformed), "{missing}");
    }
}

#[test]
fn keys_are_read_and_never_shown() {
    assert!(SigningKey::read("AAEC").is_err() && SigningKey::read("not base64!").is_err());
    assert!(SigningKey::read("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----").is_err());
    assert!(VerifyingKey::public(&[0; 31]).is_err());
    let shown =
        format!("{:?} {:?}", SigningKey::read(SECRET).unwrap(), VerifyingKey::secret(SECRET).unwrap());
    assert_eq!(shown, "hmac-sha256 [redacted] hmac-sha256 [redacted]");

    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().unwrap();
    let document = pair.to_pkcs8().unwrap();
    let pem = format!(
        "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
        STANDARD.encode(document.as_ref())
    );
    let key = SigningKey::read(&pem).unwrap();
    assert_eq!(key.algorithm(), Algorithm::Ed25519);
    let public = VerifyingKey::public(pair.public_key().as_ref()).unwrap();
    assert!(public.verifies(b"base", &key.sign(b"base")));
    assert!(!public.verifies(b"bass", &key.sign(b"base")));
}

proptest! {
    /// No header text makes the parser panic, and only a signed one verifies.
    #[test]
    fn arbitrary_fields_are_refused(input in "\\PC{0,200}", signature in "\\PC{0,80}") {
        let lines = vec![("signature-input", input.as_bytes()), ("signature", signature.as_bytes())];
        let carrying = Message { headers: lines, ..message("/a") };
        prop_assert!(offer(&carrying, &strict(&[])).is_err());
    }

    /// A signature or input with one flipped bit is refused.
    #[test]
    fn one_flipped_bit_is_refused(which in 1_usize..3, at in any::<prop::sample::Index>(), bit in 0_u8..7) {
        let good = message("/a?b=1");
        let headers = sign(&good, &how(&COMPONENTS), &SigningKey::read(SECRET).unwrap()).unwrap();
        let mut values: Vec<Vec<u8>> = headers.iter().map(|(_, value)| value.as_bytes().to_vec()).collect();
        let index = at.index(values[which].len());
        values[which][index] ^= 1 << bit;
        let mut carrying = good.clone();
        carrying.headers.extend(headers.iter().zip(&values).map(|((name, _), value)| (*name, value.as_slice())));
        let key = [VerifyingKey::secret(SECRET).unwrap()];
        // The caller looks up the key id, so that flip is refused there.
        let verdict = offer(&carrying, &strict(&[])).map(|offer| offer.map(|o| (o.key_id() == "k", o.verify(&carrying, Algorithm::HmacSha256, &key))));
        prop_assert!(!matches!(verdict, Ok(Some((true, Ok(()))))), "{index} {bit}");
    }
}
