//! One JSON object for each request.

use serde_json::{Value, json};

use super::template::{self, fill};
use super::{Paths, TemplateError};

/// What the authorizer tells of a decision and the guard tells of a lease, under the same name.
const DECIDED: [&str; 5] = ["decision", "reason", "subject", "session", "tenant"];

/// The log of a listener. Only where there are leases are two places looked at for the same thing: it costs each
/// request that was checked some microseconds.
pub(super) fn render(listener: &str, paths: &Paths, leases: bool) -> Result<Value, TemplateError> {
    const NAME: &str = "access-log.yaml";
    let mut config = template::access_log()?;
    fill(&mut config, NAME, "/path", json!(paths.access_log))?;
    fill(&mut config, NAME, "/log_format/json_format/listener", json!(listener))?;
    if leases {
        for key in DECIDED {
            let either = json!({ "operators": [
                { "command": "FILTER_STATE", "param": format!("wasm.cutover.{key}:PLAIN") },
                { "command": "DYNAMIC_METADATA", "param": format!("envoy.filters.http.ext_authz:{key}") },
            ] });
            let pointer = format!("/log_format/json_format/{key}");
            fill(&mut config, NAME, &pointer, json!(format!("%COALESCE({either})%")))?;
        }
    }
    Ok(json!([{ "name": "envoy.access_loggers.file", "typed_config": config }]))
}
