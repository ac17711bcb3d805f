use serde_json::json;

use super::*;

fn event() -> Envelope {
    let source = Source { service: "tenants".to_owned(), instance: "host-1".to_owned() };
    let data = json!({ "from": "active", "to": "suspended" }).as_object().unwrap().clone();
    let kind = "tenants.tenant.suspended".parse().unwrap();
    Envelope::new(kind, "t-1".parse().unwrap(), source, data, UnixTime::from_millis(1_795_132_800_123))
}

#[test]
fn an_event_is_written_and_read_in_camel_case() {
    let mut cause = event();
    cause.metadata.user_id = Some("u-1".parse().unwrap());
    let event = event().caused_by(&cause);
    let text = event.to_json().unwrap();
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value,
        json!({
            "id": event.id, "type": "tenants.tenant.suspended", "version": 1, "timestamp": "2026-11-20T00:00:00.123Z",
            "tenantId": "t-1", "source": { "service": "tenants", "instance": "host-1" },
            "data": { "from": "active", "to": "suspended" },
            "metadata": { "correlationId": cause.id, "causationId": cause.id, "userId": "u-1" },
        })
    );
    assert_eq!(Envelope::parse(text.as_bytes()).unwrap(), event);
}

#[test]
fn an_effect_of_an_effect_keeps_the_correlation() {
    let first = event();
    let second = event().caused_by(&first);
    let third = event().caused_by(&second);
    assert_eq!(third.metadata.correlation_id, Some(first.id.to_string()));
    assert_eq!(third.metadata.causation_id, Some(second.id.to_string()));
}

#[test]
fn what_the_schema_refuses_is_refused_on_both_ends_and_not_repeated() {
    let written: Value = serde_json::from_str(&event().to_json().unwrap()).unwrap();
    let cases = [
        ("tenantId", json!(null), "/tenantId"),
        ("tenantId", json!(""), "/tenantId"),
        ("type", json!("tenants.suspended"), "/type"),
        ("type", json!("Tenants.tenant.suspended"), "/type"),
        ("version", json!(0), "/version"),
        ("version", json!("1"), "/version"),
        ("timestamp", json!("yesterday"), "/timestamp"),
        ("timestamp", json!("2026-13-20T00:00:00Z"), "cannot be read"),
        ("id", json!("hunter2"), "/id"),
        ("data", json!(["hunter2"]), "/data"),
        ("source", json!({ "service": "hunter2" }), "/source"),
        ("metadata", json!({ "userId": 7 }), "/metadata/userId"),
    ];
    for (field, value, place) in cases {
        let mut changed = written.clone();
        changed[field] = value;
        let error = Envelope::parse(changed.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains(place) && !error.contains("hunter2"), "{field}: {error}");
    }
    for field in ["id", "type", "version", "timestamp", "tenantId", "source", "data", "metadata"] {
        let mut changed = written.clone();
        changed.as_object_mut().unwrap().remove(field);
        assert!(Envelope::parse(changed.to_string().as_bytes()).is_err(), "{field} is required");
    }
    let mut later = written;
    later["later"] = json!(true);
    assert!(Envelope::parse(later.to_string().as_bytes()).is_ok(), "a later version may add fields");
    let mut wrong = event();
    wrong.source.service = String::new();
    assert!(matches!(wrong.to_json(), Err(InvalidEvent::Refused { .. })), "the sender checks, too");
}

#[test]
fn an_event_is_bounded() {
    let mut large = event();
    large.data.insert("x".to_owned(), json!("x".repeat(MAX_BYTES)));
    assert!(matches!(large.to_json(), Err(InvalidEvent::TooLarge(_))));
    let bytes = serde_json::to_vec(&large).unwrap();
    assert!(matches!(Envelope::parse(&bytes), Err(InvalidEvent::TooLarge(_))));
    assert!(Envelope::parse(b"").is_err() && Envelope::parse(&[0xff, 0xfe]).is_err());
    let deep = "[".repeat(10_000);
    assert!(Envelope::parse(deep.as_bytes()).is_err());
}

#[test]
fn a_type_has_three_parts() {
    for text in ["a.b.c", "tenants.tenant.suspended", "a1._b.c"] {
        let is_valid = text != "a1._b.c";
        assert_eq!(text.parse::<EventType>().is_ok(), is_valid, "{text}");
    }
    for text in ["", ".", "..", "a.b", "a.b.c.d", "a..c", "a.b.C", "a.b.1", "a.*.c", "a.#.c", "a.b.c\n"] {
        let error = text.parse::<EventType>().unwrap_err().to_string();
        assert!(error.contains("{module}.{resource}.{action}"), "{error}");
    }
    assert!(format!("{}.b.c", "a".repeat(41)).parse::<EventType>().is_err());
}
