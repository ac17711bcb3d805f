use super::*;

fn read(text: &str) -> Result<Address, UnusableAddress> {
    Address::read(text)
}

fn names(hosts: &[Host]) -> Vec<String> {
    hosts.iter().map(|host| format!("{}:{}", host.name, host.port)).collect()
}

#[test]
fn sentinels_have_a_name_for_the_primary_and_users_of_their_own() {
    let text = "redis+sentinel://us%40er:pass%2Fword@one:1,two/my%20primary/3?sentinel_user=watch&sentinel_password=w%26d";
    let Address { form, access } = read(text).unwrap();
    let Form::Sentinels { sentinels, primary } = form else { panic!("another form") };
    assert_eq!(
        (names(&sentinels), primary.as_str()),
        (vec!["one:1".to_owned(), "two:26379".to_owned()], "my primary")
    );
    let settings = &access.settings;
    assert_eq!(
        (settings.username(), settings.password(), settings.db()),
        (Some("us@er"), Some("pass/word"), 3)
    );
    assert!(access.tls.is_none());
    let loaded = access.load().unwrap();
    assert_eq!((loaded.sentinel.username(), loaded.sentinel.password()), (Some("watch"), Some("w&d")));
}

#[test]
fn a_cluster_is_named_by_some_of_its_nodes() {
    let Address { form, access } = read("rediss+cluster://:word@one,two:7000/").unwrap();
    let Form::Cluster(nodes) = form else { panic!("another form") };
    assert_eq!(names(&nodes), ["one:6379", "two:7000"]);
    assert_eq!((access.settings.username(), access.settings.password()), (None, Some("word")));
    assert!(access.tls.is_some());
}

#[test]
fn one_server_keeps_the_parameters_of_the_library() {
    let Address { form, access } = read("rediss://user:word@one:1/2?protocol=resp3&ca=/ca.pem").unwrap();
    assert!(matches!(form, Form::One(ConnectionAddr::TcpTls { port: 1, insecure: false, .. })));
    assert_eq!((access.settings.db(), access.settings.protocol()), (2, redis::ProtocolVersion::RESP3));
    assert_eq!(access.tls.unwrap().ca, Some("/ca.pem".into()));
    assert!(matches!(read("redis://127.0.0.1").unwrap().form, Form::One(ConnectionAddr::Tcp(_, 6379))));
}

#[test]
fn a_mistake_is_named_without_the_address() {
    for (text, fault) in [
        ("hunter2", UnusableAddress::Form),
        ("http://:hunter2@one", UnusableAddress::Form),
        ("redis+other://:hunter2@one", UnusableAddress::Form),
        ("redis+sentinel://:hunter2@one", UnusableAddress::NoPrimary),
        ("redis+sentinel://:hunter2@one/name/x", UnusableAddress::Database),
        ("redis+sentinel://:hunter2@/name", UnusableAddress::Host),
        ("redis+cluster://:hunter2@one/1", UnusableAddress::Database),
        ("redis+cluster://:hunter2@one?x=1", UnusableAddress::Parameter("x".to_owned())),
        ("redis+cluster://:hunter2@one?sentinel_user=u", UnusableAddress::Parameter("sentinel_…".to_owned())),
        (
            "redis+cluster://:hunter2@one?password_file=/f",
            UnusableAddress::Parameter("password_file".to_owned()),
        ),
        ("redis://:hunter2@one?ca=/ca.pem", UnusableAddress::Unencrypted),
        ("rediss://:hunter2@one?ca=", UnusableAddress::Parameter("ca".to_owned())),
        ("rediss://:hunter2@one?ca=/a&ca=/b", UnusableAddress::Parameter("ca".to_owned())),
        ("rediss://:hunter2@one?key=/key.pem", UnusableAddress::Half),
        ("rediss://:hunter2@one/#insecure", UnusableAddress::Unverified),
    ] {
        let found = read(text).unwrap_err();
        assert_eq!(found, fault, "{text}");
        assert!(!found.to_string().contains("hunter2"), "{found}");
    }
    let missing = Address::parse("rediss://:hunter2@one?ca=/absent/ca.pem").unwrap_err().to_string();
    assert!(missing.contains("/absent/ca.pem") && !missing.contains("hunter2"), "{missing}");
    let shown = format!("{:?}", read("redis+cluster://:hunter2@one").unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn files_are_read_when_they_are_used_and_a_fault_names_them() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("password");
    let write = |text: &str, mode| {
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let text = format!(
        "redis+sentinel://user@one/name?password_file={0}&sentinel_password_file={0}",
        file.display()
    );
    write("first\n", 0o600);
    let address = Address::parse(&text).unwrap();
    let first = address.access.load().unwrap();
    assert_eq!((first.settings.password(), first.sentinel.password()), (Some("first"), Some("first")));
    write("second", 0o600);
    let second = address.access.load().unwrap();
    assert_eq!(second.settings.password(), Some("second"));
    assert_ne!(first.fingerprint, second.fingerprint);
    assert_eq!(second.fingerprint, address.access.load().unwrap().fingerprint);
    write("\n", 0o600);
    assert!(Address::parse(&text).unwrap_err().to_string().contains("holds no password"));
    write("third", 0o644);
    assert!(Address::parse(&text).unwrap_err().to_string().contains("chmod 600"));
    let no_certificate = format!("rediss://one?ca={}", file.display());
    assert!(Address::parse(&no_certificate).unwrap_err().to_string().contains("not a PEM file"));
}
