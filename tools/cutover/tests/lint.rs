//! `cutover lint` beyond the text: warnings, and the files that an edge file names.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

struct Home {
    home: tempfile::TempDir,
    text: String,
}

impl Home {
    fn new() -> Self {
        let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
        let text = std::fs::read_to_string(dev).unwrap();
        let this = Self { home: tempfile::tempdir().unwrap(), text };
        assert_eq!(this.cutover(&["keys"]).0, 0);
        this.write("tenants.yaml", "tenants: []\n");
        this
    }

    fn at(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        std::fs::write(self.at(name), text).unwrap();
    }

    /// Exit code, standard output and standard error.
    fn cutover(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_cutover"))
            .args(arguments)
            .current_dir(self.home.path())
            .env("CUTOVER_HOME", self.home.path())
            .output()
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    /// Lints the edge with one replacement.
    fn lint(&self, old: &str, new: &str, more: &[&str]) -> (i32, String, String) {
        assert!(self.text.contains(old), "{old:?} is not in the edge file");
        self.write("edge.yaml", &self.text.replacen(old, new, 1));
        self.cutover(&[&["lint", "edge.yaml"], more].concat())
    }
}

#[test]
fn the_shipped_edges_limit_what_strangers_may_try() {
    let edges = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges");
    for name in ["dev", "prod", "coder", "web"] {
        let file = edges.join(format!("{name}.yaml"));
        let (edge, found) = edge_config::inspect(&file, &|_| None).unwrap();
        assert_eq!(found.faults, Vec::new(), "{name}");
        let limited = edge.routes.iter().filter(|route| !route.limits.is_empty()).count();
        assert!(limited >= 3, "{name}");
    }
}

#[test]
fn a_public_route_that_changes_something_without_a_limit_is_a_warning() {
    let home = Home::new();
    let (code, said, stderr) = home.lint("edge: dev", "edge: dev", &[]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{said}");
    for (old, new, says) in [
        (", limits: [codes] }", " }", "route `auth-code` lets any client POST"),
        (", limits: [renewals] }", " }", "route `auth-refresh` lets any client PATCH"),
        (
            "methods: [GET, HEAD], policy: public, to: web, answers: pages",
            "policy: public, to: web, answers: pages",
            "route `web` lets any client POST, PUT, PATCH, DELETE",
        ),
        // Counted, and nothing refused.
        (
            "rate: 30, seconds: 60, burst: 60 }",
            "rate: 30, seconds: 60, burst: 60, mode: shadow }",
            "auth-code",
        ),
    ] {
        let (code, said, stderr) = home.lint(old, new, &[]);
        assert_eq!(code, 0, "{stderr}");
        assert!(said.contains("no faults"), "{said}");
        assert!(
            stderr.contains("warning: ") && stderr.contains(says) && stderr.contains("1 warning in"),
            "{stderr}"
        );
        assert_eq!(home.lint(old, new, &["--deny-warnings"]).0, 64);
        let (code, said, _) = home.lint(old, new, &["--json"]);
        let found: serde_json::Value = serde_json::from_str(&said).unwrap();
        assert_eq!((code, &found[0]["severity"]), (0, &"warning".into()), "{said}");
        assert!(found[0]["line"].as_u64().unwrap() > 1 && found[0]["mend"].is_string(), "{said}");
    }
}

#[test]
fn a_file_that_is_not_there_yet_is_a_warning_and_one_that_could_never_load_is_a_fault() {
    let home = Home::new();
    let missing = |name: &str| {
        std::fs::rename(home.at(name), home.at("aside")).unwrap();
        let (code, _, stderr) = home.lint("edge: dev", "edge: dev", &[]);
        std::fs::rename(home.at("aside"), home.at(name)).unwrap();
        assert_eq!(code, 0, "{name}: {stderr}");
        assert!(
            stderr.contains("warning: ") && stderr.contains(name) && stderr.contains("does not exist yet"),
            "{stderr}"
        );
    };
    let named = ["keys/session.jwks.json", "keys/auth.jwks.json", "tenants.yaml"];
    for name in named {
        missing(name);
        let good = std::fs::read_to_string(home.at(name)).unwrap();
        for bad in ["", "{", "nonsense", "[1, 2]", "{\"keys\": 1}", "-----BEGIN PRIVATE KEY-----"] {
            home.write(name, bad);
            let (code, _, stderr) = home.lint("edge: dev", "edge: dev", &[]);
            // An empty YAML file is an empty mapping to some readers, and a fault to others.
            if code == 0 && bad.is_empty() {
                continue;
            }
            assert_eq!(code, 64, "{name} {bad:?}: {stderr}");
            assert!(stderr.contains(name) && stderr.contains("cannot be loaded"), "{name} {bad:?}: {stderr}");
            assert!(stderr.contains("edge.yaml:"), "{stderr}");
        }
        std::fs::remove_file(home.at(name)).unwrap();
        std::fs::create_dir(home.at(name)).unwrap();
        assert_eq!(home.lint("edge: dev", "edge: dev", &[]).0, 64, "a directory is not a file");
        std::fs::remove_dir(home.at(name)).unwrap();
        home.write(name, &good);
    }
    let tls = "exposure: public, tls: { certificate: certs/edge.pem, key: certs/edge.key }";
    let lint = || home.lint("exposure: public", tls, &[]);
    assert!(lint().2.contains("certs/edge.pem does not exist yet"));
    let names = ["localhost", "api.dev-domain.test", "*.dev-domain.test", "dev-domain.test"];
    let named: Vec<&str> = names.iter().flat_map(|name| ["--name", name]).collect();
    assert_eq!(home.cutover(&[&["certs"], named.as_slice()].concat()).0, 0);
    let (code, _, stderr) = lint();
    assert_eq!((code, stderr.as_str()), (0, ""));
    let key = std::fs::read(home.at("certs/edge.key")).unwrap();
    assert_eq!(home.cutover(&["certs", "--renew"]).0, 0);
    std::fs::write(home.at("certs/edge.key"), &key).unwrap();
    let (code, _, stderr) = lint();
    assert!(code == 64 && stderr.contains("cannot be loaded"), "another pair's key: {stderr}");
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(home.cutover(&["certs", "--renew"]).0, 0);
    std::fs::set_permissions(home.at("certs/edge.key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let (code, _, stderr) = lint();
    assert!(code == 64 && stderr.contains("chmod 600"), "{stderr}");
}

#[test]
fn keys_come_encrypted_or_from_this_machine() {
    let home = Home::new();
    let file = "keys: { file: \"${CUTOVER_HOME:-.run}/keys/session.jwks.json\" }";
    let url = |url: &str| home.lint(file, &format!("keys: {{ url: \"{url}\" }}"), &[]);
    for good in [
        "https://issuer.example.com/jwks.json",
        "http://127.0.0.1:3021/jwks.json",
        "http://[::1]:3021/jwks.json",
        "http://localhost:3021/jwks.json",
    ] {
        let (code, _, stderr) = url(good);
        assert_eq!(code, 0, "{good}: {stderr}");
    }
    for bad in [
        "http://issuer.example.com/jwks.json",
        "http://10.0.0.1/jwks.json",
        "http://localhost.example.com/jwks.json",
        "http://127.0.0.1@evil.example/jwks.json",
        "http://auth/jwks.json",
        "http://",
        "ftp://issuer.example.com/jwks.json",
    ] {
        let (code, _, stderr) = url(bad);
        assert!(code == 64 && stderr.contains("https://"), "{bad}: {stderr}");
    }
}

#[test]
fn a_quota_of_a_tenant_that_is_not_listed_is_a_warning_and_a_webhook_without_its_secret_too() {
    let home = Home::new();
    let limit = |key: &str| {
        format!(
            "limits:\n  tenants: {{ per: tenant, rate: 6, seconds: 60, overrides: {{ {key}: {{ rate: 9 }} }} }}\n"
        )
    };
    let id = "00000000-0000-7000-8000-000000000001";
    home.write("tenants.yaml", &format!("tenants: [{{ id: {id}, name: Demo, status: active }}]\n"));
    let (code, _, said) = home.lint("limits:\n", &limit("ghost"), &[]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("limit `tenants` has a quota for the tenant `ghost`, which"), "{said}");
    let (code, _, said) = home.lint("limits:\n", &limit(id), &[]);
    assert_eq!((code, said.as_str()), (0, ""));

    let hook = "webhooks:\n  partner: { secret_file: partner.secret, header: x-sign, format: \"{hex}\" }\n\npolicies:\n";
    let (code, _, said) = home.lint("policies:\n", hook, &[]);
    assert!(code == 0 && said.contains("partner.secret does not exist yet"), "{said}");
    home.write("partner.secret", "a secret of a sender");
    let (code, _, said) = home.lint("policies:\n", hook, &[]);
    assert!(code != 0 && said.contains("chmod 600") && !said.contains("a secret of"), "{code} {said}");
}

#[test]
fn lists_of_revoked_certificates_that_do_not_count_are_named() {
    let home = Home::new();
    let tls = "exposure: public, tls: { certificate: certs/edge.pem, key: certs/edge.key, client_ca: certs/clients.pem, client_crl: certs/clients.crl.pem }";
    let lint = || home.lint("exposure: public", tls, &[]);
    assert!(lint().2.contains("certs/clients.crl.pem does not exist yet"), "{}", lint().2);
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(rcgen::DnType::CommonName, "clients");
    home.write("certs/clients.pem", &params.self_signed(&key).unwrap().pem());
    let issuer = rcgen::Issuer::new(params, key);
    let list = |until: i32| {
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2020, 1, 1),
            next_update: rcgen::date_time_ymd(until, 1, 1),
            crl_number: 1_u64.into(),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&issuer).unwrap().pem().unwrap()
    };
    for (content, code, said) in [
        (list(2999), 0, None),
        (list(2021), 0, Some("warning: the list of CN=clients in ")),
        // Lists of public authorities have megabytes.
        (format!("{}{}", list(2999), "# a comment\n".repeat(200_000)), 0, None),
        ("no list\n".to_owned(), 64, Some("contains no `X509 CRL` in PEM")),
    ] {
        home.write("certs/clients.crl.pem", &content);
        let (ended, _, stderr) = lint();
        assert_eq!(ended, code, "{stderr}");
        assert!(said.map_or(!stderr.contains("the list of"), |said| stderr.contains(said)), "{stderr}");
    }
}

#[test]
fn names_without_a_certificate_and_certificates_out_of_their_time_are_warnings() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = Home::new();
    let tls = "exposure: public, tls: { certificates: [certs/api.pem, { certificate: certs/file.pem, key: certs/file.key }] }";
    let lint = || home.lint("exposure: public", tls, &[]);
    assert!(lint().2.contains("certs/api.pem does not exist yet"));
    let certs = |file: &str, names: &[&str], more: &[&str]| {
        let named: Vec<&str> = names.iter().flat_map(|name| ["--name", name]).collect();
        let (code, _, stderr) = home.cutover(&[&["certs", "--file", file], named.as_slice(), more].concat());
        assert_eq!(code, 0, "{stderr}");
    };
    certs("api", &["api.dev-domain.test", "localhost"], &["--one-file"]);
    certs("file", &["file.dev-domain.test"], &[]);
    let (code, _, stderr) = lint();
    assert_eq!(code, 0, "{stderr}");
    assert!(
        stderr.contains("warning: no certificate of listener `public` has the name dev-domain.test"),
        "{stderr}"
    );
    assert!(stderr.contains("its clients are shown that of api.dev-domain.test"), "{stderr}");
    assert_eq!(stderr.matches("warning: ").count(), 1, "{stderr}");
    certs("file", &["file.dev-domain.test", "dev-domain.test"], &["--renew"]);
    assert_eq!(lint().2, "");
    // A file with a key is closed to others.
    let mode = |name: &str| std::fs::metadata(home.at(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("certs/api.pem"), mode("certs/file.key")), (0o600, 0o600));
    std::fs::set_permissions(home.at("certs/api.pem"), std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(lint().2.contains("chmod 600"), "{}", lint().2);
    // A certificate alone where both are expected.
    std::fs::copy(home.at("certs/file.pem"), home.at("certs/api.pem")).unwrap();
    std::fs::set_permissions(home.at("certs/api.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let (code, _, stderr) = lint();
    assert!(code == 64 && stderr.contains("contains no private key"), "{stderr}");

    for (begins, ends, said) in [(2000, 2001, "expired: "), (2200, 2201, "is not valid yet: ")] {
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(begins, 1, 1), rcgen::date_time_ymd(ends, 1, 1));
        let key = rcgen::KeyPair::generate().unwrap();
        home.write("certs/api.pem", &(params.self_signed(&key).unwrap().pem() + &key.serialize_pem()));
        let (code, _, stderr) = lint();
        assert_eq!(code, 0, "{stderr}");
        assert!(stderr.contains("warning: the certificate ") && stderr.contains(said), "{stderr}");
    }
    assert_ne!(home.cutover(&["certs", "--file", "../elsewhere"]).0, 0);
}
