use super::*;

#[test]
fn an_ipv6_client_is_its_network() {
    let of = |text: &str| address(Some(text.parse().unwrap())).0.to_string();
    assert_eq!(of("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::");
    assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::1"));
    assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
    assert_eq!(of("192.0.2.7"), "192.0.2.7");
    assert_eq!(address(None).0.to_string(), "unknown");
}
