//! One JSON object for each request.

use serde_json::{Value, json};

use super::template::{self, fill};
use super::{Paths, TemplateError};

pub(super) fn render(listener: &str, paths: &Paths) -> Result<Value, TemplateError> {
    let mut config = template::access_log()?;
    fill(&mut config, "access-log.yaml", "/path", json!(paths.access_log))?;
    fill(&mut config, "access-log.yaml", "/log_format/json_format/listener", json!(listener))?;
    Ok(json!([{ "name": "envoy.access_loggers.file", "typed_config": config }]))
}
