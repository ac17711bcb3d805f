//! The tenants that exist: no person gets another one.

use std::collections::HashSet;
use std::path::Path;

use identity::TenantId;
use serde::Deserialize;

/// The longest listing in bytes: room for the million tenants that the edge reads from a file.
const MAX_BYTES: u64 = 134_217_728;

/// The parser's budget for that many tenants: nine events each. Its own limits are meant for settings.
const MAX_NODES: usize = 8_000_000;
const MAX_EVENTS: usize = 10_000_000;

/// The ids of all tenants, suspended ones too: a suspended tenant's people still belong to it.
#[derive(Clone, Debug, Default)]
pub struct KnownTenants(HashSet<TenantId>);

#[derive(Deserialize)]
struct Listing {
    tenants: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: TenantId,
}

impl KnownTenants {
    /// Reads the listing that the edge reads, too (`tenants: { file: … }` in the edge file), as YAML or JSON.
    ///
    /// # Errors
    /// A sentence that names the file and the fix.
    pub fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let length = std::fs::metadata(path).map(|metadata| metadata.len());
        let fix = "name the listing of the edge with --tenants FILE";
        match length {
            Err(error) => return Err(format!("cannot read the tenants in {shown}: {error}; {fix}")),
            Ok(length) if length > MAX_BYTES => {
                return Err(format!("{shown} has {length} bytes, and at most {MAX_BYTES} are read; {fix}"));
            }
            Ok(_) => {}
        }
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the tenants in {shown}: {error}; {fix}"))?;
        Self::parse(&text).map_err(|error| format!("{shown} is not a listing of tenants: {error}; {fix}"))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let listing: Listing = match text.starts_with('{').then(|| serde_json::from_str(text)) {
            Some(Ok(listing)) => listing,
            Some(Err(_)) | None => {
                let mut budget = serde_saphyr::Budget::default();
                budget.max_nodes = MAX_NODES;
                budget.max_events = MAX_EVENTS;
                budget.max_total_scalar_bytes = text.len();
                let options = serde_saphyr::options! { budget: Some(budget) };
                serde_saphyr::from_str_with_options(text, options).map_err(|error| error.to_string())?
            }
        };
        Ok(Self(listing.tenants.into_iter().map(|entry| entry.id).collect()))
    }

    /// Returns whether this tenant exists.
    #[must_use]
    pub fn has(&self, tenant: kit::TenantId) -> bool {
        self.0.contains(&tenant.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_are_read_and_other_text_is_an_error() {
        let id = "00000000-0000-7000-8000-000000000001";
        for text in [
            format!("tenants:\n  - {{ id: {id}, name: Demo, status: suspended }}\n"),
            format!(r#"{{"tenants": [{{"id": "{id}", "name": "Demo", "status": "active"}}]}}"#),
        ] {
            assert!(KnownTenants::parse(&text).unwrap().has(id.parse().unwrap()), "{text}");
        }
        for text in ["", "tenants: 1", "{", "tenants:\n  - { id: \"\" }\n"] {
            assert!(KnownTenants::parse(text).is_err(), "{text}");
        }
        let missing = KnownTenants::read(Path::new("/nowhere/tenants.yaml")).unwrap_err();
        assert!(missing.contains("/nowhere/tenants.yaml") && missing.contains("--tenants"), "{missing}");
    }
}
