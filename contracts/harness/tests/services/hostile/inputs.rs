//! What a stranger sends instead of the values that an operation of an OpenAPI document allows.

use std::iter;

use harness::operations::{Operation, Parameter};
use serde_json::{Value, json};

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Hostile {
    pub(crate) method: String,
    pub(crate) target: Vec<u8>,
    pub(crate) headers: Vec<(&'static str, Vec<u8>)>,
    pub(crate) body: Option<Vec<u8>>,
}

impl Hostile {
    /// Method, target, headers and the beginning of the body.
    pub(crate) fn shown(&self) -> String {
        let body = self.body.as_deref().unwrap_or_default();
        let cut =
            |bytes: &[u8]| bytes.iter().take(160).copied().collect::<Vec<u8>>().escape_ascii().to_string();
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {}", cut(value)));
        let headers = headers.collect::<Vec<_>>().join(", ");
        format!("{} {} [{headers}] {} ({} bytes)", self.method, cut(&self.target), cut(body), body.len())
    }
}

/// Values for a parameter, as they stand in a target.
fn values() -> Vec<String> {
    let fixed = [
        "",
        "%00",
        "1%00",
        "a%00b",
        "%FF",
        "%C0%AF",
        "%ED%A0%80",
        "%F0%9F%92%A9",
        "..%2F..%2Fetc%2Fpasswd",
        "%2E%2E",
        "-1",
        "0",
        "2147483647",
        "2147483648",
        "9223372036854775807",
        "99999999999999999999",
        "1.5",
        "1e9",
        "%",
        "%zz",
        "%3Ci%3Emark%3C%2Fi%3E",
        "%27%22%3B--%25_",
        "1%0D%0Ax-injected:%201",
        "book%00",
        "artist-%00",
        "%2B%2B%26%7C%21%28%29%3A%2A",
    ];
    // Many short words are as hostile as one long one: a service that looks for each of them asks its database too much.
    let words = ["a.", "a+"].into_iter().flat_map(|word| [1_000, 25_000].map(|times| word.repeat(times)));
    let long = iter::once("x".repeat(9_000)).chain(words);
    fixed.into_iter().map(str::to_owned).chain(long).collect()
}

/// Values for a field of a body, as JSON text.
fn fields() -> Vec<String> {
    let fixed = [
        "null",
        "true",
        "-1",
        "0",
        "1.5",
        "1e400",
        "2147483648",
        "9223372036854775808",
        "99999999999999999999",
        r#""""#,
        r#"" ""#,
        r#""\u0000""#,
        r#""a\u0000b@example.com""#,
        r#""\ud800""#,
        r#""<i>mark</i>""#,
        r#""-1""#,
        "[]",
        "[[]]",
        r#"[["artist","\u0000"]]"#,
        "{}",
        r#"{"a":"\u0000"}"#,
        r#"{"\u0000":"a"}"#,
    ];
    let long = ["x".repeat(9_000), "a.".repeat(25_000)].map(|text| format!("\"{text}\""));
    fixed.into_iter().map(str::to_owned).chain(long).collect()
}

/// Every request for `operation`.
pub(crate) fn of(operation: &Operation) -> Vec<Hostile> {
    let plain = |target: String, headers: Vec<(&'static str, Vec<u8>)>| Hostile {
        method: operation.method.clone(),
        target: target.into_bytes(),
        headers,
        body: operation.body.as_ref().map(|body| body.to_string().into_bytes()),
    };
    let json = || vec![("content-type", b"application/json".to_vec())];
    let mut all: Vec<Hostile> = operation
        .parameters
        .iter()
        .flat_map(|parameter| targets(operation, parameter))
        .map(|target| plain(target, json()))
        .collect();
    let target = operation.target();
    let extended = |more: &str| format!("{target}{}{more}", if target.contains('?') { '&' } else { '?' });
    all.push(plain(extended("%00=%00&=&&&a[b][c]=1&page=1&page=2"), json()));
    all.push(plain(extended(&"a[]=1&".repeat(2_000)), json()));
    let mut raw = plain(target.clone(), json());
    raw.target.extend(b"/\xff\xfe");
    all.push(raw);
    for (name, value) in [
        ("accept", b"\xff\xfe".to_vec()),
        ("accept-language", vec![b'x'; 9_000]),
        ("content-encoding", b"gzip".to_vec()),
        ("x-request-id", b"<i>mark</i>".to_vec()),
        ("range", b"bytes=9-1,-,99999999999999999999-".to_vec()),
        ("if-modified-since", b"never".to_vec()),
    ] {
        all.push(plain(target.clone(), [json(), vec![(name, value)]].concat()));
    }
    all.extend(
        bodies(operation)
            .into_iter()
            .map(|body| Hostile { body: Some(body), ..plain(target.clone(), json()) }),
    );
    if operation.body.is_some() {
        for kind in [
            "",
            "text/plain",
            "application/json; charset=utf-16",
            "application/json, application/json",
            "\u{ff}",
        ] {
            all.push(plain(target.clone(), vec![("content-type", kind.as_bytes().to_vec())]));
        }
        all.push(plain(target, Vec::new()));
    }
    all
}

fn targets(operation: &Operation, parameter: &Parameter) -> Vec<String> {
    let name = &parameter.name;
    let mut all: Vec<String> = values().iter().map(|value| operation.target_with(name, value)).collect();
    if !parameter.is_in_path {
        let value = &parameter.value;
        for tail in [
            format!("{value}&{name}={value}"),
            format!("{value}&{name}[]=x"),
            format!("{value}&{name}[0][0]=x&{name}[0][1]=%00"),
            format!("{value}&{name}[99999999999]=1"),
            format!("{value}&{name}"),
            vec![value.as_str(); 200].join(&format!("&{name}=")),
        ] {
            all.push(operation.target_with(name, &tail));
        }
    }
    all
}

/// Bodies for an operation; for one without a body, a few that are not read.
fn bodies(operation: &Operation) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        [&b""[..], b"{", b"\xff\xfe", b"null", b"{}"].iter().map(|body| body.to_vec()).collect();
    all.push(vec![b' '; 100_000]);
    if operation.body.is_none() {
        return all;
    }
    all.extend(
        [&b"[]"[..], b"1", b"\"x\"", b"\0", b"{}{}", b"{\"a\":1,}", b"NaN"].iter().map(|body| body.to_vec()),
    );
    all.push("[".repeat(30_000).into_bytes());
    all.push("{\"a\":".repeat(10_000).into_bytes());
    for body in &operation.bodies {
        let text = body.to_string();
        all.push(["\u{feff}", &text].concat().into_bytes());
        all.push(text.replace('{', "{\"a\":1,\"a\":2,").into_bytes());
        all.push([text.as_bytes(), b"\xff"].concat());
        if let Some(inner) = text.strip_prefix('{') {
            // Every field twice.
            all.push(format!("{},{inner}", text.trim_end_matches('}')).into_bytes());
        }
        for place in places(body) {
            all.extend(fields().iter().map(|value| replaced(body, &place, value)));
            all.push(removed(body, &place));
        }
    }
    all
}

/// The pointers of all values inside `body`.
fn places(body: &Value) -> Vec<String> {
    let inner: Vec<(String, &Value)> = match body {
        Value::Object(fields) => fields.iter().map(|(name, value)| (format!("/{name}"), value)).collect(),
        Value::Array(items) => {
            items.iter().take(2).enumerate().map(|(at, value)| (format!("/{at}"), value)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    };
    let below = |(place, value): (String, &Value)| {
        let deeper: Vec<String> = places(value).iter().map(|inner| format!("{place}{inner}")).collect();
        iter::once(place).chain(deeper).collect::<Vec<String>>()
    };
    inner.into_iter().flat_map(below).collect()
}

/// `body` with the JSON text `value` at `place`. It is text, because a number of any size and half a character have to arrive.
fn replaced(body: &Value, place: &str, value: &str) -> Vec<u8> {
    const HERE: &str = "5f0c7a52-here";
    let mut edited = body.clone();
    if let Some(target) = edited.pointer_mut(place) {
        *target = json!(HERE);
    }
    edited.to_string().replace(&format!("\"{HERE}\""), value).into_bytes()
}

/// `body` without the field at `place`.
fn removed(body: &Value, place: &str) -> Vec<u8> {
    let mut edited = body.clone();
    let (above, name) = place.rsplit_once('/').unwrap_or_default();
    if let Some(Value::Object(fields)) = edited.pointer_mut(above) {
        fields.remove(name);
    }
    edited.to_string().into_bytes()
}
