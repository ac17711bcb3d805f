use super::*;

fn entry(prefix: &str, encoding: TokenEncoding) -> TokenEntry {
    TokenEntry::compile(&WebsocketToken { prefix: prefix.to_owned(), encoding }).unwrap()
}

/// `authorization` and the offered protocols of a handshake with `lines`, or the reason for its refusal.
fn taken(entry: &TokenEntry, lines: &[(&str, &str)]) -> Result<Option<(String, String)>, Reason> {
    let mut opening = Opening::default();
    for (name, value) in lines {
        opening.see(name.as_bytes(), value.as_bytes());
    }
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ok(entry.take(&opening)?.map(|moved| (text(moved.authorization), text(moved.protocols))))
}

fn offered(entry: &TokenEntry, value: &str) -> Result<Option<(String, String)>, Reason> {
    taken(entry, &[("upgrade", "websocket"), ("Sec-WebSocket-Protocol", value)])
}

fn moved(authorization: &str, protocols: &str) -> Result<Option<(String, String)>, Reason> {
    Ok(Some((authorization.to_owned(), protocols.to_owned())))
}

#[test]
fn the_token_moves_and_the_other_protocols_stay_in_their_order() {
    let plain = entry("bearer.", TokenEncoding::Plain);
    assert_eq!(
        offered(&plain, "chat.v2, bearer.a.b-c_d, chat.v1"),
        moved("Bearer a.b-c_d", "chat.v2, chat.v1")
    );
    assert_eq!(offered(&plain, "bearer.a,chat"), moved("Bearer a", "chat"));
    assert_eq!(offered(&plain, "chat, ,\tbearer.a ,"), moved("Bearer a", "chat"));
    let two = [
        ("upgrade", "WebSocket"),
        ("sec-websocket-protocol", "chat"),
        ("sec-websocket-protocol", "bearer.a"),
    ];
    assert_eq!(taken(&plain, &two), moved("Bearer a", "chat"));
    let kubernetes = entry("base64url.bearer.authorization.k8s.io.", TokenEncoding::Base64url);
    let value = "base64url.bearer.authorization.k8s.io.YSticA, v4.channel.k8s.io";
    assert_eq!(offered(&kubernetes, value), moved("Bearer a+bp", "v4.channel.k8s.io"));
    let quarkus = entry("quarkus-http-upgrade#Authorization#Bearer%20", TokenEncoding::Plain);
    let value = "bearer-token-carrier, quarkus-http-upgrade#Authorization#Bearer%20a.b.c";
    assert_eq!(offered(&quarkus, value), moved("Bearer a.b.c", "bearer-token-carrier"));
}

#[test]
fn a_request_without_a_token_is_left_alone() {
    let plain = entry("bearer.", TokenEncoding::Plain);
    for value in ["", "chat", "chat, Bearer.a", "xbearer.a", "bearer"] {
        assert_eq!(offered(&plain, value), Ok(None), "{value}");
    }
    let protocols = ("sec-websocket-protocol", "chat, bearer.a");
    assert_eq!(taken(&plain, &[protocols]), Ok(None), "not an upgrade");
    assert_eq!(taken(&plain, &[("upgrade", "h2c"), protocols]), Ok(None), "another upgrade");
}

#[test]
fn a_doubtful_token_is_refused() {
    let plain = entry("bearer.", TokenEncoding::Plain);
    let encoded = entry("bearer.", TokenEncoding::Base64url);
    for value in
        ["chat, bearer.a, bearer.a", "chat, bearer.", "chat, bearer.a b", "chat, bearer.=", "chat, bearer.a!"]
    {
        assert_eq!(offered(&plain, value), Err(Reason::WebsocketToken), "{value}");
    }
    // Not base64url, with padding, with bits left over; a line break and a space behind the encoding.
    for value in [
        "chat, bearer.a+b",
        "chat, bearer.YQ==",
        "chat, bearer.YR",
        "chat, bearer.YQ0KYg",
        "chat, bearer.YSBi",
    ] {
        assert_eq!(offered(&encoded, value), Err(Reason::WebsocketToken), "{value}");
    }
    for value in ["bearer.a", " , bearer.a,"] {
        assert_eq!(offered(&plain, value), Err(Reason::WebsocketTokenAlone), "{value}");
    }
    for other in ["Bearer a", "Basic eDp5", ""] {
        let lines = [
            ("upgrade", "websocket"),
            ("sec-websocket-protocol", "chat, bearer.a"),
            ("authorization", other),
        ];
        assert_eq!(taken(&plain, &lines), Err(Reason::WebsocketToken), "beside {other:?}");
    }
}

#[test]
fn a_prefix_is_the_beginning_of_a_protocol_and_debug_hides_the_token() {
    for prefix in ["", "a b", "a,b", "ä", "a=", &"x".repeat(LONGEST_PREFIX + 1)] {
        let config = WebsocketToken { prefix: prefix.to_owned(), encoding: TokenEncoding::Plain };
        assert!(TokenEntry::compile(&config).is_err(), "{prefix}");
    }
    let moved = MovedToken { authorization: b"Bearer secret".to_vec(), protocols: b"chat".to_vec() };
    assert!(!format!("{moved:?}").contains("secret"), "{moved:?}");
}
