//! One public OpenAPI document of all services, and one of their internal routes.
//!
//! Each service writes its public and its internal document from its code (`services/*/openapi`). This tool merges each kind for
//! itself; nothing internal comes into the public document or the page. The public result is frozen in
//! `contracts/openapi/public.yaml`: what it promises to clients may grow, and a change that takes something away fails
//! until a person accepts it.
//!
//! * [`merge`]: the documents, and the merged public one. [`internal`]: the merged internal one.
//! * [`narrowing`]: what a newer document takes from clients of an older one.
//! * [`render`]: the page.

pub mod internal;
pub mod merge;
pub mod narrowing;
pub mod render;

use std::path::Path;

use utoipa::openapi::OpenApi;

/// The frozen document, below the root.
pub const FROZEN: &str = "contracts/openapi/public.yaml";

/// The document of the routes for services, below the root.
pub const INTERNAL: &str = "contracts/openapi/internal.yaml";

/// The command that writes [`FROZEN`] and [`INTERNAL`].
const WRITE: &str = "cargo run -p openapi-aggregate -- write";

/// Compares the two documents with the merged ones.
///
/// # Errors
/// A message with every promise that is broken, or the document that is old; and the command that helps.
pub fn check(root: &Path) -> Result<String, String> {
    let merged = merge::merged(root)?;
    let frozen = merge::read(&root.join(FROZEN))?;
    refuse_narrowing(&frozen, &merged)?;
    for (file, document) in [(FROZEN, merged), (INTERNAL, internal::merged(root)?)] {
        let text = std::fs::read_to_string(root.join(file))
            .map_err(|error| format!("{file}: {error}; write it with `{WRITE}`"))?;
        if text != merge::yaml(&document)? {
            return Err(format!("{file} lacks something that the services say now; write it with `{WRITE}`"));
        }
    }
    Ok(format!("{FROZEN} and {INTERNAL} are what the services say"))
}

/// Writes the two documents.
///
/// # Errors
/// As [`check`], except where clients lose something and that is accepted.
pub fn write(root: &Path, accept_narrowing: bool) -> Result<String, String> {
    let merged = merge::merged(root)?;
    let path = root.join(FROZEN);
    if path.exists() && !accept_narrowing {
        refuse_narrowing(&merge::read(&path)?, &merged)?;
    }
    let internal = merge::yaml(&internal::merged(root)?)?;
    put(&path, &merge::yaml(&merged)?)?;
    put(&root.join(INTERNAL), &internal)?;
    Ok(format!("wrote {FROZEN} and {INTERNAL}"))
}

/// Writes the page of the frozen document to `out`.
///
/// # Errors
/// When the document cannot be read, or the page cannot be written.
pub fn page(root: &Path, out: &Path) -> Result<String, String> {
    let frozen = merge::read(&root.join(FROZEN))?;
    let value = serde_json::to_value(&frozen).map_err(|error| format!("{FROZEN}: {error}"))?;
    put(out, &render::page(&value))?;
    Ok(format!("wrote {}", out.display()))
}

fn put(path: &Path, text: &str) -> Result<(), String> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)
        .and_then(|()| std::fs::write(path, text))
        .map_err(|error| format!("cannot write {}: {error}; make the directory writable", path.display()))
}

fn refuse_narrowing(frozen: &OpenApi, merged: &OpenApi) -> Result<(), String> {
    let value = |document: &OpenApi| serde_json::to_value(document).map_err(|error| error.to_string());
    let lost = narrowing::narrowings(&value(frozen)?, &value(merged)?);
    if lost.is_empty() {
        return Ok(());
    }
    Err(format!(
        "clients of {FROZEN} lose something:\n  {}\nKeep the old form, or accept the loss with `{WRITE} --accept-narrowing` \
         and say in the commit which clients it breaks",
        lost.join("\n  ")
    ))
}
