use super::*;

fn rules(header: ForwardedBy) -> ProxyRules {
    ProxyRules {
        addresses: ["10.0.0.0/8", "2001:db8:aa::/48"].map(str::to_owned).to_vec(),
        header,
        hops: 1,
        passes_host: true,
        accepts_http_1_0: false,
    }
}

/// The client's address, whether it came by HTTPS, and its host.
fn client(rules: &ProxyRules, peer: &str, headers: &[(&str, &str)]) -> (String, bool, String) {
    let proxies = Proxies::compile(rules).unwrap();
    let sender = proxies.sender(peer.as_bytes()).unwrap();
    let mut lines = Lines::default();
    for (name, value) in headers {
        if *name == "x-forwarded-proto" {
            lines.proto.put(value.as_bytes());
        } else if sender.trusted {
            lines.note(name.as_bytes(), value.as_bytes());
        }
    }
    let Arrival { address, https, host, .. } = proxies.client(&sender, &lines, false);
    let host = host.map(|host| String::from_utf8_lossy(&host).into_owned()).unwrap_or_default();
    (address.to_string(), https, host)
}

fn by_x_forwarded(peer: &str, value: &str) -> String {
    client(&rules(ForwardedBy::XForwardedFor), peer, &[("x-forwarded-for", value)]).0
}

fn by_forwarded(peer: &str, value: &str) -> String {
    client(&rules(ForwardedBy::Forwarded), peer, &[("forwarded", value)]).0
}

const PEER: &str = "10.0.0.1:4711";

#[test]
fn the_client_is_the_first_address_from_the_right_that_is_no_proxy() {
    for (value, expected) in [
        ("198.51.100.7", "198.51.100.7"),
        ("198.51.100.7:1234", "198.51.100.7"),
        ("10.9.9.9, 198.51.100.7, 10.0.0.2", "198.51.100.7"),
        ("203.0.113.1,198.51.100.7", "198.51.100.7"),
        ("garbage\", 198.51.100.7", "198.51.100.7"),
        (" , ,198.51.100.7,, ", "198.51.100.7"),
        ("2001:db8::7, 2001:db8:aa::2", "2001:db8::7"),
        ("[2001:db8::7]:80", "2001:db8::7"),
        ("::ffff:198.51.100.7, ::ffff:10.0.0.2", "198.51.100.7"),
        // All are proxies: the leftmost one asked.
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        // What a proxy does not know, the edge does not know either: the last known hop stays.
        ("", "10.0.0.1"),
        ("unknown", "10.0.0.1"),
        ("198.51.100.7, unknown, 10.0.0.2", "10.0.0.2"),
        ("198.51.100.7, 10.0.0.300", "10.0.0.1"),
    ] {
        assert_eq!(by_x_forwarded(PEER, value), expected, "{value}");
    }
}

#[test]
fn the_same_is_read_from_forwarded() {
    for (value, expected) in [
        ("for=198.51.100.7", "198.51.100.7"),
        ("for=10.9.9.9, FOR=\"198.51.100.7:1234\";proto=http, for=10.0.0.2;by=10.0.0.1", "198.51.100.7"),
        (r#"for="[2001:db8::7]:4711""#, "2001:db8::7"),
        (r#"for="198.51.100.1, for=198.51.100.7"#, "198.51.100.7"),
        ("for=203.0.113.9, for=unknown", "10.0.0.1"),
        ("for=203.0.113.9, for=_hidden, for=10.0.0.2", "10.0.0.2"),
        ("for=203.0.113.9, proto=https", "10.0.0.1"),
        ("for=203.0.113.9, for=1.1.1.1;for=2.2.2.2", "10.0.0.1"),
        ("198.51.100.7", "10.0.0.1"),
        ("", "10.0.0.1"),
    ] {
        assert_eq!(by_forwarded(PEER, value), expected, "{value}");
    }
}

#[test]
fn a_peer_that_is_not_trusted_is_its_own_client() {
    for peer in ["198.51.100.9", "198.51.100.9:80", "[2001:db8::9]:80", "::ffff:198.51.100.9"] {
        let own = peer.parse().map_or_else(
            |_| if peer.starts_with('[') { "2001:db8::9" } else { "198.51.100.9" }.to_owned(),
            |address: IpAddr| address.to_canonical().to_string(),
        );
        assert_eq!(by_x_forwarded(peer, "203.0.113.1"), own);
        assert_eq!(by_forwarded(peer, "for=203.0.113.1"), own);
    }
    let https = [("x-forwarded-proto", "https"), ("x-forwarded-host", "evil.test")];
    let (_, https, host) = client(&rules(ForwardedBy::XForwardedFor), "198.51.100.9", &https);
    assert!(!https && host.is_empty());
}

#[test]
fn only_the_configured_header_counts() {
    let both = [("x-forwarded-for", "203.0.113.1"), ("forwarded", "for=203.0.113.2;proto=https")];
    assert_eq!(client(&rules(ForwardedBy::XForwardedFor), PEER, &both).0, "203.0.113.1");
    assert_eq!(client(&rules(ForwardedBy::Forwarded), PEER, &both).0, "203.0.113.2");
    let other = [("x-forwarded-for", "203.0.113.1"), ("x-forwarded-proto", "https")];
    assert_eq!(
        client(&rules(ForwardedBy::Forwarded), PEER, &other),
        ("10.0.0.1".into(), false, String::new())
    );
}

#[test]
fn scheme_and_host_are_those_of_the_client() {
    let of = |headers: &[(&str, &str)]| {
        let (_, https, host) = client(&rules(ForwardedBy::XForwardedFor), PEER, headers);
        (https, host)
    };
    let forged = ("x-forwarded-for", "1.1.1.1, 198.51.100.7, 10.0.0.2");
    assert_eq!(of(&[forged, ("x-forwarded-proto", "https")]), (true, String::new()));
    assert_eq!(of(&[forged, ("x-forwarded-proto", "HTTPS,http")]), (true, String::new()));
    assert_eq!(of(&[forged, ("x-forwarded-proto", "https,http,http")]), (false, String::new()));
    assert_eq!(of(&[forged, ("x-forwarded-proto", "ftp")]), (false, String::new()));
    assert_eq!(of(&[("x-forwarded-host", "shop.test:8443")]), (false, "shop.test:8443".to_owned()));
    assert_eq!(of(&[("x-forwarded-host", "evil.test/x")]), (false, String::new()));
    let forwarded = r#"for=1.1.1.1;host=evil.test, for=198.51.100.7;proto=https;host="shop.test:80", for=10.0.0.2;proto=http"#;
    let (address, https, host) = client(&rules(ForwardedBy::Forwarded), PEER, &[("forwarded", forwarded)]);
    assert_eq!((&*address, https, &*host), ("198.51.100.7", true, "shop.test:80"));
    let silent = ProxyRules { passes_host: false, ..rules(ForwardedBy::XForwardedFor) };
    assert_eq!(client(&silent, PEER, &[("x-forwarded-host", "shop.test")]).2, "");
}

#[test]
fn hops_stand_for_proxies_whose_addresses_are_not_known() {
    let hops = |hops: u32, value: &str| {
        let rules = ProxyRules { hops, ..rules(ForwardedBy::XForwardedFor) };
        client(&rules, PEER, &[("x-forwarded-for", value)]).0
    };
    let value = "203.0.113.1, 198.51.100.7, 192.0.2.1";
    assert_eq!(hops(1, value), "192.0.2.1");
    assert_eq!(hops(2, value), "198.51.100.7");
    assert_eq!(hops(3, value), "203.0.113.1");
    assert_eq!(hops(9, value), "203.0.113.1", "the last one that is known");
}

#[test]
fn the_proxy_protocol_comes_before_the_headers() {
    let of = |peer: &str| {
        let headers = [("x-forwarded-for", "203.0.113.1"), ("x-forwarded-proto", "https")];
        let (address, https, _) = client(&rules(ForwardedBy::XForwardedFor), peer, &headers);
        (address, https)
    };
    // The peer conveys a client: headers are the client's own.
    assert_eq!(of("10.0.0.1 198.51.100.7 -"), ("198.51.100.7".to_owned(), false));
    assert_eq!(of("10.0.0.1 198.51.100.7 \u{1}\0\0"), ("198.51.100.7".to_owned(), true));
    assert_eq!(of("10.0.0.1 198.51.100.7 \0"), ("198.51.100.7".to_owned(), false));
    // It conveys another proxy, or speaks for itself.
    assert_eq!(of("10.0.0.1 10.0.0.2 -"), ("203.0.113.1".to_owned(), true));
    assert_eq!(of("10.0.0.1 10.0.0.1 -"), ("203.0.113.1".to_owned(), true));
    // Nothing that a stranger conveys counts.
    assert_eq!(of("198.51.100.9 10.0.0.2 \u{1}"), ("198.51.100.9".to_owned(), false));
    let proxies = Proxies::compile(&rules(ForwardedBy::XForwardedFor)).unwrap();
    for peer in ["", "-", "- -", "10.0.0.1 -", "10.0.0.1 x", "/run/socket"] {
        assert_eq!(proxies.sender(peer.as_bytes()), None, "{peer}");
    }
}

#[test]
fn rules_that_recognise_no_proxy_are_refused() {
    for (addresses, hops) in [(vec!["10.0.0.1"], 1), (vec![], 1), (vec!["10.0.0.0/8"], 0)] {
        let addresses = addresses.into_iter().map(str::to_owned).collect();
        let rules = ProxyRules { addresses, hops, ..rules(ForwardedBy::XForwardedFor) };
        assert!(matches!(Proxies::compile(&rules), Err(ConfigError::BadProxies { .. })), "{rules:?}");
    }
}

proptest::proptest! {
    #[test]
    fn whatever_a_client_writes_to_the_left_the_proxy_s_word_stands(left: Vec<u8>) {
        let append = |own: &str| [&left, &b", "[..], own.as_bytes()].concat();
        for (header, value) in [
            (ForwardedBy::XForwardedFor, append("198.51.100.7")),
            (ForwardedBy::Forwarded, append("for=198.51.100.7")),
        ] {
            let proxies = Proxies::compile(&rules(header)).unwrap();
            let sender = proxies.sender(PEER.as_bytes()).unwrap();
            let mut lines = Lines::default();
            for name in ["x-forwarded-for", "forwarded"] {
                lines.note(name.as_bytes(), &value);
            }
            let expected: IpAddr = "198.51.100.7".parse().unwrap();
            proptest::prop_assert_eq!(proxies.client(&sender, &lines, false).address, expected);
        }
    }
}
