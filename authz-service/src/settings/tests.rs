use super::*;

fn read(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let environment: std::collections::HashMap<String, String> =
        environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let all = std::iter::once("authz-service").chain(arguments.iter().copied());
    Settings::read(all, &|name| environment.get(name).cloned())
}

#[test]
fn defaults_follow_the_port_table() {
    let settings = read(&[], &[]).unwrap();
    assert_eq!(settings.edge_file, PathBuf::from("envoy/edges/dev.yaml"));
    assert_eq!(settings.listen, None);
    assert_eq!(settings.admin.to_string(), "127.0.0.1:9192");
    assert_eq!(settings.identity_key, PathBuf::from(".run/keys/identity.pem"));
    assert_eq!(settings.log, "info");
    assert_eq!(settings.notice, None, "it depends on the edge file");
    assert!(settings.leases);
}

#[test]
fn the_room_for_revocations_can_be_set() {
    assert_eq!(read(&[], &[]).unwrap().revocations, 500_000);
    assert_eq!(read(&[], &[("AUTHZ_REVOCATIONS", "8")]).unwrap().revocations, 8);
    assert_eq!(read(&["--revocations", "9"], &[("AUTHZ_REVOCATIONS", "8")]).unwrap().revocations, 9);
    for wrong in ["0", "-1", "many"] {
        let error = read(&[], &[("AUTHZ_REVOCATIONS", wrong)]).unwrap_err().to_string();
        assert!(error.contains("AUTHZ_REVOCATIONS") && error.contains("above 0"), "{error}");
    }
}

#[test]
fn leases_can_be_switched_off() {
    assert!(!read(&[], &[("AUTHZ_LEASES", "off")]).unwrap().leases);
    assert!(read(&["--leases", "on"], &[("AUTHZ_LEASES", "off")]).unwrap().leases);
    let error = read(&[], &[("AUTHZ_LEASES", "no")]).unwrap_err().to_string();
    assert!(error.contains("AUTHZ_LEASES") && error.contains("on or off"), "{error}");
}

#[test]
fn the_command_line_comes_before_the_environment() {
    let environment = [("AUTHZ_ADDRESS", "127.0.0.1:1"), ("CUTOVER_HOME", "/a"), ("EDGE_FILE", "e.yaml")];
    let settings = read(&[], &environment).unwrap();
    assert_eq!(settings.listen.unwrap().to_string(), "127.0.0.1:1");
    assert_eq!(settings.identity_key, PathBuf::from("/a/keys/identity.pem"));
    assert_eq!(settings.edge_file, PathBuf::from("e.yaml"));
    let settings = read(&["--listen", "127.0.0.1:2", "--home", "/b"], &environment).unwrap();
    assert_eq!(settings.listen.unwrap().to_string(), "127.0.0.1:2");
    assert_eq!(settings.identity_key, PathBuf::from("/b/keys/identity.pem"));
}

#[test]
fn a_wrong_value_is_named() {
    let error = read(&[], &[("AUTHZ_ADMIN_ADDRESS", "nine")]).unwrap_err().to_string();
    assert!(error.contains("AUTHZ_ADMIN_ADDRESS") && error.contains("nine"), "{error}");
    assert!(read(&["--listen", "x"], &[]).is_err());
    let error = read(&["--token-cache", "0"], &[]).unwrap_err().to_string();
    assert!(error.contains("--token-cache=\"0\""), "the flag is named, since it was the flag: {error}");
    assert!(read(&[], &[("AUTHZ_IDENTITY_CACHE", "0")]).is_err());
    assert!(read(&["--nonsense"], &[]).is_err());
    assert!(read(&[], &[("AUTHZ_ADMIN_ADDRESS", "")]).is_ok(), "empty is unset");
}

#[test]
fn help_names_every_variable() {
    let help = read(&["--help"], &[]).unwrap_err().to_string();
    for name in [
        "EDGE_FILE",
        "CUTOVER_HOME",
        "AUTHZ_ADDRESS",
        "AUTHZ_ADMIN_ADDRESS",
        "AUTHZ_ADMIN_HOSTS",
        "AUTHZ_IDENTITY_KEY",
        "AUTHZ_TOKEN_CACHE",
        "AUTHZ_IDENTITY_CACHE",
        "AUTHZ_LEASES",
        "REDIS_URL",
        "AUTHZ_NOTICE_SECONDS",
        "AUTHZ_DRAIN_SECONDS",
        "AMQP_URL",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "RUST_LOG",
    ] {
        assert!(help.contains(name), "{name} is not in the help");
    }
}

#[test]
fn every_fault_is_reported_at_once() {
    let wrong = [("AUTHZ_LEASES", "no"), ("AUTHZ_TLS_CA", "ca.pem"), ("AUTHZ_DRAIN_SECONDS", "soon")];
    let faults = read(&[], &wrong).unwrap_err().to_string();
    assert!(wrong.iter().all(|(name, _)| faults.contains(name)), "{faults}");
    assert!(faults.contains("AUTHZ_TLS_CA is set and AUTHZ_TLS_CERTIFICATE is not"), "{faults}");
}

#[test]
fn a_password_in_an_address_reaches_no_message_and_no_debug_output() {
    let url = "amqp://u:hunter2@127.0.0.1/%2f?verify=verify_none";
    let fault = read(&[], &[("AMQP_URL", url)]).unwrap_err().to_string();
    assert!(fault.contains("AMQP_URL") && !fault.contains("hunter2"), "{fault}");
    let plain = [("AMQP_URL", "amqp://u:hunter2@127.0.0.1/%2f"), ("REDIS_URL", "redis://:hunter2@127.0.0.1")];
    let settings = format!("{:?}", read(&[], &plain).unwrap());
    assert!(!settings.contains("hunter2"), "{settings}");
}

#[test]
fn help_shows_the_defaults_that_are_in_force() {
    let help = read(&["--help"], &[]).unwrap_err().to_string();
    for default in [cache::DEFAULT_CAPACITY, identity_headers::DEFAULT_CAPACITY, revocations::ROOM] {
        assert!(help.contains(&format!("Unset means {default}")), "{default}");
    }
}
