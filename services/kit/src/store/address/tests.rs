use super::*;

fn none(_: &str) -> Option<String> {
    None
}

fn parsed(text: &str) -> Result<Address, UnusableAddress> {
    Address::parse(text, none)
}

fn fault(text: &str) -> String {
    let error = parsed(text).expect_err(text).to_string();
    assert!(!error.contains("s3cret"), "{error}");
    error
}

fn mode(address: &Address) -> String {
    format!("{:?}", address.servers[0].get_ssl_mode())
}

/// A directory with a file of CA certificates and a key that only this user can read.
fn files() -> (tempfile::TempDir, String, String) {
    let home = tempfile::tempdir().unwrap();
    let (ca, key) = (home.path().join("ca.pem"), home.path().join("key.pem"));
    std::fs::write(&ca, "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n").unwrap();
    secret_file::write(&key, b"-----BEGIN PRIVATE KEY-----\n").unwrap();
    let (ca, key) = (ca.display().to_string(), key.display().to_string());
    (home, ca, key)
}

#[test]
fn one_server_or_several_with_their_ports() {
    let one = parsed("postgres://me:s3cret@db.test/app").unwrap();
    assert_eq!((one.to_string(), one.primary_only), ("db.test:5432".to_owned(), false));
    assert_eq!(one.servers[0].get_username(), "me");
    assert_eq!(one.servers[0].get_database(), Some("app"));
    let two = parsed("postgresql://me:s3cret@a.test:6000,[::1]:6001/app?application_name=x").unwrap();
    assert_eq!(two.servers.len(), 2);
    assert!(two.primary_only, "of several servers the one that takes writes is meant");
    assert!(two.servers.iter().all(|server| server.get_username() == "me"));
    assert!(!format!("{two:?}").contains("s3cret"));
    assert!(parsed("postgres://a.test/app?target_session_attrs=read-write").unwrap().primary_only);
}

#[test]
fn a_demand_for_tls_is_never_weakened() {
    let (_home, ca, key) = files();
    for (query, expected) in [
        ("", "Prefer"),
        ("sslmode=disable", "Disable"),
        ("sslmode=allow", "Prefer"),
        ("sslmode=prefer", "Prefer"),
        ("sslmode=require", "Require"),
        (&format!("sslmode=require&sslrootcert={ca}"), "VerifyFull"),
        (&format!("sslmode=verify-ca&sslrootcert={ca}"), "VerifyFull"),
        (&format!("sslmode=verify-full&sslrootcert={ca}&sslcert={ca}&sslkey={key}"), "VerifyFull"),
    ] {
        assert_eq!(mode(&parsed(&format!("postgres://db.test/app?{query}")).unwrap()), expected, "{query}");
    }
}

#[test]
fn variables_of_libpq_count_and_a_mistake_in_them_is_found() {
    let (_home, ca, _key) = files();
    let with = |mode: &'static str, ca: Option<String>| {
        Address::parse("postgres://db.test/app", move |name| match name {
            "PGSSLMODE" => Some(mode.to_owned()),
            "PGSSLROOTCERT" => ca.clone(),
            _ => None,
        })
    };
    assert_eq!(mode(&with("verify-full", Some(ca)).unwrap()), "VerifyFull");
    assert_eq!(mode(&with("require", None).unwrap()), "Require");
    let error = with("verify-fll", None).unwrap_err().to_string();
    assert!(error.contains("verify-fll"), "{error}");
    assert!(matches!(with("verify-full", None), Err(UnusableAddress::NoAuthority(_))));
}

#[test]
fn what_is_not_understood_is_refused_with_the_fix_and_without_the_password() {
    let (home, ca, key) = files();
    let exposed = home.path().join("exposed.key");
    std::fs::write(&exposed, "-----BEGIN PRIVATE KEY-----\n").unwrap();
    let empty = home.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let many = ["h"; 9].join(",");
    let query = |query: &str| fault(&format!("postgres://u:s3cret@h/d?{query}"));
    for (error, part) in [
        (fault("mysql://u:s3cret@h/d"), "postgres://USER:PASSWORD@HOST:5432/DATABASE"),
        (fault("s3cret"), "postgres://USER:PASSWORD@HOST:5432/DATABASE"),
        (fault("postgres://u:s3cret@h:port/d"), "postgres://USER:PASSWORD@HOST:5432/DATABASE"),
        (fault("postgres://u:s3cret@h,,i/d"), "postgres://USER:PASSWORD@HOST:5432/DATABASE"),
        (fault(&format!("postgres://u:s3cret@{many}/d")), "at most 8 servers"),
        (query("channel_binding=require"), "`channel_binding` is not supported"),
        (query("sslcrl=/x"), "`sslcrl` is not supported"),
        (query("host=a,b"), "HOST:5432,HOST:5432"),
        (query("sslmode=verify"), "\"verify\""),
        (query("sslmode=verify-ca"), "sslrootcert=FILE"),
        (query("sslmode=require&sslrootcert=system"), "verify-full"),
        (query("sslmode=verify-full&sslrootcert=/nowhere.pem"), "/nowhere.pem"),
        (query(&format!("sslmode=verify-full&sslrootcert={}", empty.display())), "no certificate"),
        (query(&format!("sslcert={ca}")), "belong together"),
        (query(&format!("sslkey={key}")), "belong together"),
        (query(&format!("sslcert={ca}&sslkey={}", exposed.display())), "chmod 600"),
        (query("target_session_attrs=standby"), "read-write"),
        (query(&format!("password_file={key}")), "leave one out"),
    ] {
        assert!(error.contains(part), "{error:?} does not contain {part:?}");
    }
}

#[test]
fn a_password_comes_from_its_file() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("password");
    secret_file::write(&file, b"s3cret\n").unwrap();
    let url = format!("postgres://me@db.test/app?password_file={}", file.display());
    let address = parsed(&url).unwrap();
    assert!(!format!("{address:?}").contains("s3cret"));
    // The library shows it nowhere but in the address that it builds itself.
    use sqlx::ConnectOptions as _;
    assert_eq!(address.servers[0].to_url_lossy().password(), Some("s3cret"));
    std::fs::write(&file, "s3cret\nsecond line\n").unwrap();
    assert!(fault(&url).contains("on one line"));
}
