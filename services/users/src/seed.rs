//! The initial people of a development edge.

use std::path::Path;

use identity::Role;
use kit::startup::StartError;
use kit::{SubjectId, TenantId};
use serde::Deserialize;

use crate::account::{Accounts, Profile};
use crate::routes::body::shown;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seed {
    people: Vec<Seedling>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Seedling {
    id: SubjectId,
    name: String,
    handle: String,
    email: String,
    role: Role,
    tenant: TenantId,
}

/// Adds the missing people of the file `path`. Existing people stay unchanged, so a second start changes
/// nothing.
///
/// # Errors
/// [`StartError::File`], which names the file, the place and the fix.
pub async fn apply(path: &Path, accounts: &Accounts) -> Result<(), StartError> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|e| StartError::File(format!("cannot read {name}: {e}; set USERS_SEED to another file")))?;
    let seed: Seed =
        serde_saphyr::from_str(&text).map_err(|e| StartError::File(format!("{name} is not valid: {e}")))?;
    for person in seed.people {
        let Seedling { id, name: person_name, handle, email, role, tenant } = person;
        if !kit::email::is_address(&email) {
            return Err(StartError::File(format!("{name}: {email:?} is not an e-mail address")));
        }
        let shown = |field, value: &str| {
            shown(field, value)
                .map_err(|e| StartError::File(format!("{name}: person {id}: {e}; write another one")))
        };
        let profile =
            Profile { name: shown("name", &person_name)?, handle: shown("handle", &handle)?, email };
        accounts.ensure(id, tenant, profile, role).await.map_err(|e| {
            StartError::File(format!(
                "{name}: person {id} cannot be added: {}; give them another name, handle and e-mail address",
                kit::answer::Chain(&e)
            ))
        })?;
    }
    Ok(())
}
