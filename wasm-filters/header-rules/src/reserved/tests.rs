use super::*;

fn rules(names: &[&str], prefixes: &[&str]) -> Result<ReservedNames, ConfigError> {
    let owned = |list: &[&str]| list.iter().map(ToString::to_string).collect();
    ReservedNames::compile(&Reserved { names: owned(names), prefixes: owned(prefixes) }, "x-request-id")
}

fn usual() -> ReservedNames {
    rules(
        &["x-tenant-id", "forwarded", "x-real-ip", "true-client-ip", "x-forwarded"],
        &["x-acme-", "x-forwarded-", "x-envoy-"],
    )
    .unwrap()
}

fn label(name: &[u8]) -> Option<String> {
    let rules = usual();
    rules.rule(name).map(|rule| rules.labels()[rule.get()].clone())
}

#[test]
fn every_spelling_is_found() {
    let cases: [(&[u8], &str); 19] = [
        (b"x-acme-auth-sub", "x-acme-*"),
        (b"X-Acme-Auth-Sub", "x-acme-*"),
        (b"X-ACME-GW", "x-acme-*"),
        (b"x-acme-", "x-acme-*"),
        (b"x_acme_auth_sub", "x-acme-*"),
        (b"x-acme_public", "x-acme-*"),
        (b"X_aCmE_\xff", "x-acme-*"),
        (b"x.acme.public", "x-acme-*"),
        (b"x acme public", "x-acme-*"),
        (b"x!acme+public", "x-acme-*"),
        (b"x-tenant-id", "x-tenant-id"),
        (b"X_Tenant_Id", "x-tenant-id"),
        (b"x-forwarded-for", "x-forwarded-*"),
        (b"x-forwarded", "x-forwarded"),
        (b"x_forwarded", "x-forwarded"),
        (b"Forwarded", "forwarded"),
        (b"TRUE-CLIENT-IP", "true-client-ip"),
        (b"x-envoy-internal", "x-envoy-*"),
        (b"x_request_id", "x-request-id"),
    ];
    for (name, expected) in cases {
        assert_eq!(label(name).as_deref(), Some(expected), "{}", name.escape_ascii());
    }
}

#[test]
fn near_misses_are_left_alone() {
    let cases: [&[u8]; 17] = [
        b"",
        b"x",
        b"x-",
        b"x-acme",
        b"x-acm-e",
        b"xx-acme-auth",
        b"-x-acme-auth",
        b"_x-acme-auth",
        b"acme-auth",
        b"x-tenant-ids",
        b"x-tenant",
        b"x-tenantid",
        b"x--tenant-id",
        b"forwarde",
        b"forwarded-",
        b":x-acme-auth",
        "\u{445}-acme-auth".as_bytes(),
    ];
    for name in cases {
        assert_eq!(label(name), None, "{}", name.escape_ascii());
    }
}

#[test]
fn pseudo_headers_are_never_reserved() {
    for name in [":path", ":method", ":authority", ":scheme", ":protocol", ":status"] {
        assert_eq!(label(name.as_bytes()), None);
    }
}

#[test]
fn rules_that_cannot_work_are_named() {
    for bad in ["", "X-Tenant", "x_tenant", "-x", ":path", "x tenant", "x.tenant", "é"] {
        let error = ConfigError::BadReserved { name: bad.to_owned() };
        assert_eq!(rules(&[bad], &[]).err(), Some(error.clone()), "{bad}");
        assert_eq!(rules(&[], &[bad]).err(), Some(error), "{bad}");
    }
    for (name, header) in [("host", "host"), ("x-request-id", "x-request-id"), ("te", "te")] {
        assert_eq!(
            rules(&[name], &[]).err(),
            Some(ConfigError::ReservedTakesIn { name: name.into(), header: header.into() })
        );
    }
    for (prefix, header) in [("x-", "x-request-id"), ("con", "connection"), ("t", "te")] {
        assert_eq!(
            rules(&[], &[prefix]).err(),
            Some(ConfigError::ReservedTakesIn { name: prefix.into(), header: header.into() })
        );
    }
    assert_eq!(rules(&["a", "a"], &[]).err(), Some(ConfigError::DuplicateReserved { name: "a".into() }));
    assert_eq!(rules(&[], &["b-", "b-"]).err(), Some(ConfigError::DuplicateReserved { name: "b-*".into() }));
}

proptest::proptest! {
    /// The name is found with any separators and in any case, and arbitrary bytes never panic.
    #[test]
    fn no_spelling_escapes(tail in "[a-z0-9-]{0,12}", noise in proptest::collection::vec(0_u8..=255, 32), upper: u32) {
        let name = format!("x-acme-{tail}");
        let spelled: Vec<u8> = name.bytes().enumerate().map(|(n, byte)| match byte {
            b'-' if noise[n].is_ascii_alphanumeric() => b'_',
            b'-' => noise[n],
            _ if upper & (1 << n) != 0 => byte.to_ascii_uppercase(),
            _ => byte,
        }).collect();
        proptest::prop_assert!(label(&spelled).is_some());
        let _ = label(&noise);
    }
}

/// Where headers with an underscore arrive, those that are named stay.
fn passing(passes: &[&str]) -> Result<ReservedNames, ConfigError> {
    let passes: Vec<String> = passes.iter().map(ToString::to_string).collect();
    usual().passing(&passes)
}

#[test]
fn a_header_with_an_underscore_stays_by_name_alone() {
    let rules = passing(&["x_app_version", "app_id-2"]).unwrap();
    for name in ["x_app_version", "X_App_Version", "app_id-2", "x-app-version", "accept"] {
        assert_eq!(rules.judge(name.as_bytes()), Fate::Stays, "{name}");
    }
    for name in [
        "x_app-version",
        "x-app_version",
        "x_app_versions",
        "x_acme_auth_sub",
        "x-acme_identity",
        "_",
        "__",
        "x_tenant_id",
        "x_forwarded_for",
        "x_request_id",
        "content_length",
        "transfer_encoding",
        "cookie_",
        "x_cutover_lease",
        "_x-app-version",
    ] {
        assert!(matches!(rules.judge(name.as_bytes()), Fate::Goes(_)), "{name}");
    }
    assert_eq!(usual().judge(b"x_app_version"), Fate::Stays, "Envoy lets none through there");
}

#[test]
fn no_list_lets_another_spelling_of_a_name_through_that_counts() {
    for (name, part) in [
        ("x_acme_auth_sub", "only the edge may write"),
        ("x-acme_auth_sub", "only the edge may write"),
        ("x_tenant_id", "only the edge may write"),
        ("x_request_id", "only the edge may write"),
        ("x_envoy_original_path", "only the edge may write"),
        ("content_length", "HTTP itself reads"),
        ("transfer_encoding", "HTTP itself reads"),
        ("content_type", "HTTP itself reads"),
        ("proxy_authorization", "HTTP itself reads"),
        ("x-app", "with an underscore"),
        ("X_App", "with an underscore"),
        ("_", "beginning with a letter"),
        ("_x", "beginning with a letter"),
        (":x_y", "beginning with a letter"),
        ("x_\u{e9}", "with an underscore"),
        ("", "with an underscore"),
    ] {
        let error = passing(&[name]).unwrap_err().to_string();
        assert!(error.contains(part) && error.contains(name), "{name}: {error}");
    }
    assert!(passing(&["x_y", "x_y"]).unwrap_err().to_string().contains("twice"));
}

proptest::proptest! {
    /// Whatever is listed, no spelling of a reserved name passes, and no name with an underscore that is not listed.
    #[test]
    fn a_list_opens_nothing_else(
        listed in proptest::collection::vec("[a-z][a-z0-9_-]{0,16}", 0..6),
        tail in "[a-z0-9_-]{0,12}",
        arbitrary in "[!-~]{1,24}",
        upper: u32,
    ) {
        let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
        if let Ok(rules) = passing(&listed) {
            let spelled: String = format!("x_acme_{tail}").char_indices().map(|(n, letter)| {
                if upper & (1 << (n % 32)) != 0 { letter.to_ascii_uppercase() } else { letter }
            }).collect();
            let is_gone = matches!(rules.judge(spelled.as_bytes()), Fate::Goes(_));
            proptest::prop_assert!(is_gone, "{spelled}");
            for name in [tail.as_str(), arbitrary.as_str()] {
                if rules.judge(name.as_bytes()) == Fate::Stays && name.contains('_') {
                    proptest::prop_assert!(listed.contains(&name.to_ascii_lowercase().as_str()), "{name}");
                }
            }
        }
    }
}
