use super::*;

#[test]
fn a_type_is_a_media_type() {
    let types = TokenTypes { listed: vec!["at+jwt".to_owned(), "application/JWT".to_owned()], absent: false };
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt", "jwt", "JWT"] {
        assert!(types.accept(Some(typ)), "{typ}");
    }
    for typ in [
        "rt+jwt",
        "",
        "application/",
        "text/jwt",
        "application/x/jwt",
        "at+jwt ",
        "application/application/jwt",
    ] {
        assert!(!types.accept(Some(typ)), "{typ}");
    }
    assert!(!types.accept(None));
    assert!(TokenTypes { absent: true, ..types }.accept(None));
}

#[test]
fn a_host_stands_for_a_tenant() {
    let tenant = |text: &str| Some(text.parse::<TenantId>().unwrap());
    let named = TenantHosts::Named(BTreeMap::from([("a.example.com".to_owned(), "acme".parse().unwrap())]));
    assert_eq!(named.tenant("a.example.com"), tenant("acme"));
    assert_eq!(named.tenant("A.Example.com:8443"), tenant("acme"));
    let label = TenantHosts::LabelBefore(".shop.example.com".to_owned());
    assert_eq!(label.tenant("Acme.shop.example.com:80"), tenant("acme"));
    for host in ["", ":80", "b.example.com", "a.example.com.", "xa.example.com", "[::1]:80"] {
        assert_eq!(named.tenant(host), None, "{host}");
    }
    for host in
        ["shop.example.com", ".shop.example.com", "a.b.shop.example.com", "a.shop.example.com.evil.test"]
    {
        assert_eq!(label.tenant(host), None, "{host}");
    }
}

#[test]
fn a_path_names_members() {
    for (text, names) in [
        ("sub", &["sub"][..]),
        ("realm_access.roles", &["realm_access", "roles"]),
        ("cognito:groups", &["cognito:groups"]),
        ("https://acme.test/tenant", &["https://acme.test/tenant"]),
        ("\"https://acme.test/app\".tenant", &["https://acme.test/app", "tenant"]),
        ("resource_access.\"acme.api\".roles", &["resource_access", "acme.api", "roles"]),
        ("\"a.b\"", &["a.b"]),
        ("https://acme.test/v1.0/roles[]", &["https://acme.test/v1.0/roles[]"]),
        ("\"roles[0]\"", &["roles[0]"]),
    ] {
        let path: ClaimPath = text.parse().unwrap();
        assert_eq!(path.names(), names, "{text}");
    }
    let long = "a".repeat(256);
    for bad in [
        "roles[0]",
        "orgs[*].id",
        "$.roles",
        "/realm_access/roles",
        "orgs.*.id",
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "\"a",
        "\"a\"b",
        "a\"b",
        "\"\"",
        "a\nb",
        "a.b.c.d.e.f.g.h.i",
        &long,
    ] {
        assert_eq!(bad.parse::<ClaimPath>(), Err(InvalidClaimPath), "{bad}");
    }
}
