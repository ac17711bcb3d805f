//! One JSON object for each request.

use serde_json::{Value, json};

use super::template::{self, fill};
use super::{Form, Paths, TemplateError};

/// What the authorizer tells of a decision and the guard tells of a lease, under the same name.
const DECIDED: [&str; 5] = ["decision", "reason", "subject", "session", "tenant"];

/// The log of a listener. Only where there are leases are several places looked at for the same thing: it costs each
/// request that was checked some microseconds.
pub(super) fn render(listener: &str, paths: &Paths, leases: bool) -> Result<Value, TemplateError> {
    const NAME: &str = "access-log.yaml";
    let mut config = template::access_log()?;
    fill(&mut config, NAME, "/path", json!(paths.access_log))?;
    fill(&mut config, NAME, "/log_format/json_format/listener", json!(listener))?;
    if leases {
        let early = paths.form() == Form::Native;
        for key in DECIDED.into_iter().chain(["lease_of"]) {
            let mut places = Vec::new();
            if early {
                // What an early look noted. No client can send such a header (header-rules says why).
                places.push(
                    json!({ "command": "REQ", "param": format!(":cutover-{}", key.replace('_', "-")) }),
                );
            }
            places.push(json!({ "command": "FILTER_STATE", "param": format!("wasm.cutover.{key}:PLAIN") }));
            if key != "lease_of" {
                let param = format!("envoy.filters.http.ext_authz:{key}");
                places.push(json!({ "command": "DYNAMIC_METADATA", "param": param }));
            }
            let first = json!({ "operators": places });
            let pointer = format!("/log_format/json_format/{key}");
            fill(&mut config, NAME, &pointer, json!(format!("%COALESCE({first})%")))?;
        }
    }
    Ok(json!([{ "name": "envoy.access_loggers.file", "typed_config": config }]))
}
