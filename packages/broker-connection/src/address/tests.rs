use super::*;

fn fault(url: &str) -> String {
    let error = Address::parse(url).expect_err(url).to_string();
    assert!(!error.contains("s3cret"), "{error}");
    error
}

#[test]
fn an_address_keeps_its_password_to_itself() {
    let address = Address::parse("amqp://edge:s3cret@broker.test:5673,[::1],other.test/%2f").unwrap();
    assert_eq!(format!("{address}"), "broker.test:5673, ::1:5672, other.test:5672");
    assert_eq!(format!("{address:?}"), format!("{address}"));
    let users: Vec<_> =
        address.brokers.iter().map(|broker| broker.authority.userinfo.username.as_str()).collect();
    assert_eq!(users, ["edge"; 3]);
    assert!(address.brokers.iter().all(|broker| broker.vhost == "/" && broker.query.heartbeat == Some(10)));
}

#[test]
fn what_is_not_understood_is_refused_with_the_fix_and_without_the_password() {
    let home = tempfile::tempdir().unwrap();
    let empty = home.path().join("empty.pem");
    secret_file::write(&empty, b"").unwrap();
    let exposed = home.path().join("exposed");
    std::fs::write(&exposed, "s3cret").unwrap();
    let many = ["h"; 9].join(",");
    let query = |query: &str| fault(&format!("amqps://u:s3cret@h/%2f?{query}"));
    for (error, part) in [
        (fault("http://edge:s3cret@x"), "amqp://USER:PASSWORD@127.0.0.1:5672/%2f"),
        (fault("amqp://u:s3cret@h,,i/%2f"), "HOST:5672,HOST:5672"),
        (fault("amqp://u:s3cret@h:port/%2f"), "HOST:5672,HOST:5672"),
        (fault(&format!("amqp://u:s3cret@{many}/%2f")), "at most 8 brokers"),
        (fault("amqp://u:s3cret@h/%2f?ca=/ca.pem"), "write amqps"),
        (query("cacertfile=/ca.pem"), "`cacertfile` is not supported"),
        (query("verify=verify_none"), "`verify` is not supported"),
        (query("ca=/nowhere.pem"), "/nowhere.pem"),
        (query(&format!("ca={}", empty.display())), "no certificate"),
        (query("certificate=/x.pem"), "belong together"),
        (query("key=/x.pem"), "belong together"),
        (query(&format!("password_file={}", exposed.display())), "leave one out"),
        (fault(&format!("amqp://u@h/%2f?password_file={}", exposed.display())), "chmod 600"),
        (fault(&format!("amqp://u@h/%2f?password_file={}", empty.display())), "on one line"),
    ] {
        assert!(error.contains(part), "{error:?} does not contain {part:?}");
    }
}

#[test]
fn a_password_comes_from_its_file_and_is_read_again() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("password");
    secret_file::write(&file, b"first\n").unwrap();
    let address = Address::parse(&format!("amqp://edge@h/%2f?password_file={}", file.display())).unwrap();
    let password = |address: &Address| {
        let entries = address.entries().unwrap();
        entries.first().unwrap().uri.authority.userinfo.password.clone()
    };
    assert_eq!(password(&address), "first");
    secret_file::write(&file, b"second").unwrap();
    assert_eq!(password(&address), "second");
}
