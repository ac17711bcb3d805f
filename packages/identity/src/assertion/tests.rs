use super::*;
use crate::principal::{Client, ClientName, Person, Role};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::jwk::JwkSet;
use std::path::PathBuf;

/// A fresh key pair on disk: (private PEM, public JWK set).
fn key_pair(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    let pair = Ed25519KeyPair::generate().unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let private = directory.join(format!("{name}.pem"));
    secret_file::write(&private, pem(der.as_ref()).as_bytes()).unwrap();
    let key = EncodingKey::from_ed_pem(&std::fs::read(&private).unwrap()).unwrap();
    let mut jwk = Jwk::from_encoding_key(&key, Algorithm::EdDSA).unwrap();
    jwk.common.key_id = Some(key_id(&jwk).unwrap());
    let public = directory.join(format!("{name}.jwks.json"));
    std::fs::write(&public, serde_json::to_vec(&JwkSet { keys: vec![jwk] }).unwrap()).unwrap();
    (private, public)
}

fn pem(der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}

fn person() -> Caller {
    Caller::Person(Person {
        subject: "0192d3c0-0000-7000-8000-0000000000aa".parse().unwrap(),
        tenant: Some("00000000-0000-7000-8000-000000000001".parse().unwrap()),
        session: Some("0192d3c0-0000-7000-8000-0000000000bb".parse().unwrap()),
        role: Some(Role::DEVELOPER),
        roles: Vec::new(),
        scopes: vec!["books.read".to_owned()],
    })
}

const NOW: UnixTime = UnixTime::from_seconds(1_800_000_000);

#[test]
fn a_signed_identity_is_read_back() {
    let home = tempfile::tempdir().unwrap();
    let (private, public) = key_pair(home.path(), "edge");
    let signer = Signer::from_file("edge", &private).unwrap();
    let verifier = Verifier::new("users").trust_file("edge", &public).unwrap();
    let for_a_tenant = Service {
        name: "auth".parse().unwrap(),
        tenant: Some("00000000-0000-7000-8000-000000000001".parse().unwrap()),
    };
    for caller in [person(), Caller::Service("auth".parse().unwrap()), Caller::Service(for_a_tenant)] {
        let signed = signer.sign(&caller, "users", NOW).unwrap();
        assert_eq!(verifier.verify(&signed, NOW), Ok(caller));
    }
}

#[test]
fn an_identity_for_several_audiences_is_accepted_by_each_of_them_and_by_no_other() {
    let home = tempfile::tempdir().unwrap();
    let (private, public) = key_pair(home.path(), "edge");
    let signer = Signer::from_file("edge", &private).unwrap();
    let audience: Audience = ["legacy", "users"].into_iter().collect();
    let signed = signer.sign(&person(), &audience, NOW).unwrap();
    for (name, expected) in [
        ("legacy", Ok(())),
        ("users", Ok(())),
        ("auth", Err(Rejected::WrongAudience)),
        ("", Err(Rejected::WrongAudience)),
    ] {
        let verifier = Verifier::new(name).trust_file("edge", &public).unwrap();
        assert_eq!(verifier.verify(&signed, NOW).map(|_| ()), expected, "{name:?}");
    }
    let forms = [r#""users""#, r#"["users"]"#, r#"["legacy","users"]"#];
    for form in forms {
        assert!(serde_json::from_str::<Audience>(form).unwrap().includes("users"), "{form}");
    }
    let broadcast = serde_json::to_string(&vec!["users"; 33]).unwrap();
    for form in ["[]", "1", "null", r#"{"users":1}"#, r#"["users",1]"#, r#"["users",["x"]]"#, &broadcast] {
        assert!(serde_json::from_str::<Audience>(form).is_err(), "{form}");
    }
    assert_eq!(
        serde_json::to_string(&Audience::from("users")).unwrap(),
        r#""users""#,
        "one name stays a string"
    );
}

#[test]
fn another_audience_issuer_key_or_time_is_rejected() {
    let home = tempfile::tempdir().unwrap();
    let (edge_private, edge_public) = key_pair(home.path(), "edge");
    let (auth_private, auth_public) = key_pair(home.path(), "auth");
    let verifier = Verifier::new("users").trust_file("edge", &edge_public).unwrap();
    let sign = |issuer: &str, key: &Path, audience: &str| {
        Signer::from_file(issuer, key).unwrap().sign(&person(), audience, NOW).unwrap()
    };

    assert_eq!(verifier.verify(&sign("edge", &edge_private, "auth"), NOW), Err(Rejected::WrongAudience));
    assert_eq!(verifier.verify(&sign("edge", &auth_private, "users"), NOW), Err(Rejected::UnknownKey));
    let both = Verifier::new("users")
        .trust_file("edge", &edge_public)
        .unwrap()
        .trust_file("auth", &auth_public)
        .unwrap();
    // A service that signs as the edge: the key is trusted, but not for that issuer.
    assert_eq!(both.verify(&sign("edge", &auth_private, "users"), NOW), Err(Rejected::BadSignature));

    let good = sign("edge", &edge_private, "users");
    let at = |seconds| verifier.verify(&good, UnixTime::from_seconds(seconds));
    assert!(at(1_800_000_065).is_ok());
    assert_eq!(at(1_800_000_066), Err(Rejected::WrongTime));
    assert!(at(1_799_999_995).is_ok());
    assert_eq!(at(1_799_999_994), Err(Rejected::WrongTime));
}

#[test]
fn nonsense_is_rejected_without_a_panic() {
    let home = tempfile::tempdir().unwrap();
    let (private, public) = key_pair(home.path(), "edge");
    let verifier = Verifier::new("users").trust_file("edge", &public).unwrap();
    let good = Signer::from_file("edge", &private).unwrap().sign(&person(), "users", NOW).unwrap();
    for bad in ["", ".", "..", "a.b.c", &good[..good.len() - 2], &"x".repeat(MAX_BYTES + 1)] {
        assert!(verifier.verify(bad, NOW).is_err(), "{bad:?} was accepted");
    }
    let mut flipped = good.into_bytes();
    let last = flipped.len() - 10;
    flipped[last] ^= 1;
    assert_eq!(verifier.verify(&String::from_utf8(flipped).unwrap(), NOW), Err(Rejected::BadSignature));
}

#[test]
fn a_missing_key_names_its_file_and_the_fix() {
    let error = Signer::from_file("edge", Path::new("/nowhere/identity.pem")).unwrap_err().to_string();
    assert!(error.contains("/nowhere/identity.pem") && error.contains("cutover keys"), "{error}");
}

#[test]
fn a_signer_never_prints_its_key() {
    let home = tempfile::tempdir().unwrap();
    let (private, _) = key_pair(home.path(), "edge");
    let printed = format!("{:?}", Signer::from_file("edge", &private).unwrap());
    assert!(printed.contains("[redacted]"), "{printed}");
}

#[test]
fn a_service_speaks_for_itself_alone() {
    let home = tempfile::tempdir().unwrap();
    let (private, public) = key_pair(home.path(), "auth");
    let auth: ServiceName = "auth".parse().unwrap();
    let verifier = Verifier::new("dev").trust_service_file(&auth, &public).unwrap();
    let signer = Signer::from_file("auth", &private).unwrap();
    let verify = |caller: &Caller| verifier.verify(&signer.sign(caller, "dev", NOW).unwrap(), NOW);

    // For whom it acts is not its own to say.
    let tenant = Some("00000000-0000-7000-8000-000000000001".parse().unwrap());
    let for_a_tenant = Caller::Service(Service { name: auth.clone(), tenant });
    assert_eq!(verify(&for_a_tenant), Err(Rejected::WrongClaims));
    let itself = Caller::Service(auth.into());
    assert_eq!(verify(&itself), Ok(itself));
    assert_eq!(verify(&Caller::Service("sync".parse().unwrap())), Err(Rejected::WrongClaims));
    assert_eq!(verify(&person()), Err(Rejected::WrongClaims));
}

#[test]
fn a_client_is_a_client_and_no_other_kind_of_caller() {
    let home = tempfile::tempdir().unwrap();
    let (private, public) = key_pair(home.path(), "edge");
    let signer = Signer::from_file("dev", &private).unwrap();
    let client = |role| {
        Caller::Client(Client {
            name: "nightly".parse().unwrap(),
            tenant: Some("00000000-0000-7000-8000-000000000001".parse().unwrap()),
            role,
            roles: vec!["import".to_owned()],
            scopes: vec!["a".to_owned(), "b".to_owned()],
        })
    };
    let verifier = Verifier::new("users").trust_file("dev", &public).unwrap();
    for role in [None, Some(Role::BOT)] {
        let signed = signer.sign(&client(role), "users", NOW).unwrap();
        assert_eq!(verifier.verify(&signed, NOW), Ok(client(role)));
    }
    // A service cannot speak for one.
    let name: ServiceName = "dev".parse().unwrap();
    let verifier = Verifier::new("users").trust_service_file(&name, &public).unwrap();
    let signed = signer.sign(&client(None), "users", NOW).unwrap();
    assert_eq!(verifier.verify(&signed, NOW), Err(Rejected::WrongClaims));
    for name in ["", "A", "a b", "0192d3c0-0000-7000-8000-0000000000aa", "0192d3c0000070008000000000000000"] {
        assert!(name.parse::<ClientName>().is_err(), "{name:?}");
    }
}

#[test]
fn an_identity_verifies_in_its_own_form_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (private, public) = key_pair(directory.path(), "edge");
    let form = || Form {
        typ: "shop+jwt".to_owned(),
        subject: "https://shop.test/id".to_owned(),
        tenant: "org".to_owned(),
        ..Form::default()
    };
    let verifier = || Verifier::new("users").trust_file("edge", &public).unwrap();
    let usual = Signer::from_file("edge", &private).unwrap();
    let own = Signer::from_file("edge", &private).unwrap().in_form(form());
    let signed = own.sign(&person(), "users", NOW).unwrap();
    assert_eq!(verifier().reading(form()).verify(&signed, NOW), Ok(person()));
    assert_eq!(verifier().verify(&signed, NOW), Err(Rejected::Malformed));
    let usual = usual.sign(&person(), "users", NOW).unwrap();
    assert_eq!(verifier().reading(form()).verify(&usual, NOW), Err(Rejected::Malformed));
    // The same `typ` with other names.
    let same = Form { typ: form().typ, ..Form::default() };
    assert_eq!(verifier().reading(same).verify(&signed, NOW), Err(Rejected::WrongClaims));
}
