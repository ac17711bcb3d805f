//! Headers in the form in which the route configuration writes and matches them.

use serde_json::{Value, json};

/// A match on the method: one of `methods`, or any other one when `invert`.
pub(super) fn method_is(methods: &[&str], invert: bool) -> Value {
    json!([{
        "name": ":method",
        "string_match": { "safe_regex": { "regex": methods.join("|") } },
        "invert_match": invert,
    }])
}

/// Sets the header, over any value that it has.
pub(super) fn header(name: &str, value: &str) -> Value {
    json!({ "header": { "key": name, "value": value }, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD" })
}
