//! The bootstrap with which Envoy starts.

use std::path::Path;

use edge_config::Edge;
use serde_json::{Value, json};

use super::template::{self, fill};
use super::{TemplateError, file_source};

const NAME: &str = "bootstrap.yaml";

pub(super) fn render(edge: &Edge, directory: &Path) -> Result<Value, TemplateError> {
    let mut bootstrap = template::bootstrap()?;
    fill(&mut bootstrap, NAME, "/node", json!({ "id": edge.name, "cluster": "cutover" }))?;
    fill(&mut bootstrap, NAME, "/admin/address", super::cluster::socket(edge.admin))?;
    fill(&mut bootstrap, NAME, "/dynamic_resources/lds_config", file_source(directory, "listeners.json"))?;
    fill(&mut bootstrap, NAME, "/dynamic_resources/cds_config", file_source(directory, "clusters.json"))?;
    Ok(bootstrap)
}

/// A bootstrap that contains the whole configuration. It does not copy the listeners with their routes.
pub(super) fn in_one_piece(bootstrap: &Value, listeners: Vec<Value>, clusters: &[Value]) -> Value {
    let mut whole = bootstrap.clone();
    if let Some(object) = whole.as_object_mut() {
        object.remove("dynamic_resources");
        let resources =
            super::matcher::object([("listeners", Value::Array(listeners)), ("clusters", json!(clusters))]);
        object.insert("static_resources".to_owned(), resources);
    }
    whole
}
