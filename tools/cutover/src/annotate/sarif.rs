//! SARIF 2.1.0 (OASIS): one run with the rules of the command and a result for each annotation.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use super::{Annotation, Level, Report};

/// Where the format is described; readers choose their parser by it.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

pub(super) fn render(report: &Report) -> String {
    let rules: Vec<Value> = report
        .rules
        .iter()
        .map(|rule| json!({ "id": rule.name, "shortDescription": { "text": rule.about } }))
        .collect();
    let results: Vec<Value> = report.annotations.iter().map(result).collect();
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": format!("cutover {}", report.command),
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{document:#}\n")
}

fn result(one: &Annotation) -> Value {
    let level = match one.level {
        Level::Error => "error",
        Level::Warning => "warning",
        Level::Notice => "note",
    };
    let mut location = json!({ "artifactLocation": { "uri": uri(&one.file.display().to_string()) } });
    if let (Some((line, column)), Some(fields)) = (one.place, location.as_object_mut()) {
        fields.insert("region".to_owned(), json!({ "startLine": line, "startColumn": column }));
    }
    json!({
        "ruleId": one.rule,
        "level": level,
        "message": { "text": one.whole() },
        "locations": [{ "physicalLocation": location }],
    })
}

/// What a path segment of a URI shows as it is: the unreserved characters (RFC 3986 §2.3), and here the separator too.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A relative reference (RFC 3986 §4.2), or a `file` URI for an absolute path.
fn uri(path: &str) -> String {
    let scheme = if path.starts_with('/') { "file://" } else { "" };
    format!("{scheme}{}", utf8_percent_encode(path, ESCAPED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_relative_reference_or_a_file_uri() {
        assert_eq!(uri("envoy/edges/dev.yaml"), "envoy/edges/dev.yaml");
        assert_eq!(uri("a b:c.yaml"), "a%20b%3Ac.yaml");
        assert_eq!(uri("/etc/edge é.yaml"), "file:///etc/edge%20%C3%A9.yaml");
    }
}
