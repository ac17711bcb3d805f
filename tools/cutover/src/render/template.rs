//! The templates of `envoy/templates/`, built into the program.

use serde_json::Value;

use super::TemplateError;

macro_rules! templates {
    ($($function:ident => $file:literal),+ $(,)?) => {$(
        pub(super) fn $function() -> Result<Value, TemplateError> {
            parse($file, include_str!(concat!("../../../../envoy/templates/", $file)))
        }
    )+};
}

templates! {
    bootstrap => "bootstrap.yaml",
    connection_manager => "connection-manager.yaml",
    authorizer => "authorizer.yaml",
    guard => "guard.yaml",
    guard_native => "guard-native.yaml",
    early_native => "early-native.yaml",
    cluster => "cluster.yaml",
    authorizer_cluster => "authorizer-cluster.yaml",
    collector_cluster => "collector-cluster.yaml",
    access_log => "access-log.yaml",
    comparator_cluster => "comparator-cluster.yaml",
}

fn parse(name: &'static str, text: &str) -> Result<Value, TemplateError> {
    serde_saphyr::from_str(text).map_err(|error| TemplateError { name, what: error.to_string() })
}

/// Puts `value` at `pointer` (RFC 6901), whose place must exist in the template.
pub(super) fn fill(
    template: &mut Value,
    name: &'static str,
    pointer: &str,
    value: Value,
) -> Result<(), TemplateError> {
    let place = template
        .pointer_mut(pointer)
        .ok_or_else(|| TemplateError { name, what: format!("it has no {pointer}") })?;
    *place = value;
    Ok(())
}
