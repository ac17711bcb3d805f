//! The initial books of a development edge.

use std::path::Path;

use kit::answer::Chain;
use kit::startup::StartError;
use serde::Deserialize;

use crate::books::Books;
use crate::error::Error;
use crate::routes::body::SeedBody;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    books: Vec<SeedBody>,
}

/// Adds the missing books of the file `path`. Existing books stay unchanged, so a second start changes nothing.
///
/// # Errors
/// [`StartError::File`], which names the file, the place and the fix.
pub async fn apply(path: &Path, books: &Books) -> Result<(), StartError> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|e| {
        StartError::File(format!("cannot read {name}: {e}; set LIBRARY_SEED to another file"))
    })?;
    let seed: Seed =
        serde_saphyr::from_str(&text).map_err(|e| StartError::File(format!("{name} is not valid: {e}")))?;
    for body in seed.books {
        let id = body.id();
        let fault = |e: &Error| {
            StartError::File(format!("{name}: book {id} cannot be added: {}; correct it there", Chain(e)))
        };
        let book = body.check().map_err(|e| fault(&e))?;
        match books.seed(book).await {
            Ok(()) | Err(Error::Taken) => {}
            Err(error) => return Err(fault(&error)),
        }
    }
    Ok(())
}
