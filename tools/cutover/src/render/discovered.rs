//! Filters that Envoy reads from files of their own (ECDS): the guard, the keeper of leases and open streams, and the counter of
//! bodies.
//!
//! A filter in a listener's configuration belongs to its filter chain: when the filter changes, Envoy makes a new chain and
//! ends every connection of the old one after its drain time. A discovered filter is replaced under open connections.
//! Streams that began under the old one continue with it.
//!
//! There is no default: a listener waits for its filters before it listens, and where Envoy refused one it answers every
//! request with 500.
//!
//! Only plain filters are discovered. A stage ([`super::stage`]) is part of the listener, and the filter inside it is
//! discovered: Envoy 1.40 crashes when a whole stage is replaced under a request that waits in it.

use std::path::Path;

use serde_json::{Value, json};

use super::metadata::filter;
use super::{file_source, stage};

/// The resource in a file.
pub(super) const KIND: &str = "envoy.config.core.v3.TypedExtensionConfig";

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const NATIVE: &str =
    "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter";
const NOTHING: &str = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation";

/// The discovered filters of every listener.
pub(crate) const FILTERS: [&str; 3] = [filter::GUARD, filter::KEEPER, filter::BODY];

/// The file name of one filter.
pub(super) fn file(listener: &str, filter: &str) -> String {
    format!("filter-{filter}-{listener}.json")
}

/// The keeper of a listener without leases and without streams that end with their session, and the counter of bodies where no
/// route limits them: it changes nothing.
pub(super) fn nothing() -> Value {
    json!({ "@type": NOTHING, "mutations": {} })
}

/// The discovered filters of one listener.
pub(super) struct Discovered {
    pub(super) guard: Value,
    pub(super) keeper: Value,
    pub(super) body: Value,
}

impl Discovered {
    /// The filters, each with its name.
    pub(super) fn each(&self) -> [(&'static str, &Value); 3] {
        [(filter::GUARD, &self.guard), (filter::KEEPER, &self.keeper), (filter::BODY, &self.body)]
    }
}

/// The source of a listener's discovered filters.
pub(super) enum Found<'a> {
    /// Files below this directory, which Envoy watches.
    Watched(&'a Path),
    /// The listener itself, for a configuration in one piece.
    InPlace(&'a Discovered),
}

impl Found<'_> {
    /// The guard, as a filter of `listener`.
    pub(super) fn guard(&self, listener: &str) -> Value {
        match self {
            Self::Watched(directory) => {
                // Both forms are allowed: a guard of the other form needs another chain only for its early lease search.
                let source = source(directory, listener, filter::GUARD, &[WASM, NATIVE]);
                json!({ "name": filter::GUARD, "config_discovery": source })
            }
            Self::InPlace(found) => json!({ "name": filter::GUARD, "typed_config": found.guard }),
        }
    }

    /// The counter of bodies, as a filter of `listener` that only routes with a limit have.
    pub(super) fn body(&self, listener: &str) -> Value {
        match self {
            Self::Watched(directory) => {
                let source = source(directory, listener, filter::BODY, &[WASM, NATIVE, NOTHING]);
                json!({ "name": filter::BODY, "config_discovery": source, "disabled": true })
            }
            Self::InPlace(found) => {
                json!({ "name": filter::BODY, "typed_config": found.body, "disabled": true })
            }
        }
    }

    /// The settings of the stage that runs the keeper for requests for which `when` holds.
    pub(super) fn keeper(&self, listener: &str, when: &Value) -> Value {
        let action = match self {
            Self::Watched(directory) => {
                let source = source(directory, listener, filter::KEEPER, &[WASM, NATIVE, NOTHING]);
                json!({ "dynamic_config": { "name": filter::KEEPER, "config_discovery": source } })
            }
            Self::InPlace(found) => {
                json!({ "typed_config": { "name": filter::KEEPER, "typed_config": found.keeper } })
            }
        };
        stage::one(filter::KEEPER, when, action)
    }
}

fn source(directory: &Path, listener: &str, filter: &str, kinds: &[&str]) -> Value {
    json!({ "config_source": file_source(directory, &file(listener, filter)), "type_urls": kinds })
}
