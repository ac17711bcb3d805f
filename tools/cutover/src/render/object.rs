//! JSON objects that are changed after they were made.

use serde_json::Value;

/// Sets `key` of `object` to `value`. Any value but an object stays as it is.
pub(super) fn insert(object: &mut Value, key: &str, value: Value) {
    if let Some(map) = object.as_object_mut() {
        map.insert(key.to_owned(), value);
    }
}
