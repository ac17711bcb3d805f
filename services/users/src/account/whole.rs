//! Makes the people of the legacy backend whole.
//!
//! During a move both services work on one database, and the legacy backend adds people without a handle and
//! without a tenant. The first read of such a person gives them both and stores them: every later answer is
//! the same, and no other person can take the handle. The legacy backend's own columns stay as they are, also
//! `updated_at`, because the person changed nothing.
//!
//! A handle starts as the name, in its stored form. Names are unique, but another person may have chosen
//! this one as a handle; then the end of the person's id follows the name.

use kit::SubjectId;
use sea_orm::{ColumnTrait as _, EntityTrait as _, QueryFilter as _};

use super::entity::{Column, Entity, Model};
use super::{Account, Accounts, taken};
use crate::error::Error;

/// Handles have at most this many characters when a person chooses them.
const MAX_CHARACTERS: usize = 20;

impl Accounts {
    /// Returns the account of `row`, after giving it what it lacks.
    pub(super) async fn whole(&self, row: Model) -> Result<Account, Error> {
        let row = if row.handle.is_none() { self.give_handle(row).await? } else { row };
        let row = if row.tenant_id.is_none() { self.give_tenant(row).await? } else { row };
        Account::try_from(row)
    }

    /// Gives the person who is called `handle` and has no handle yet their own, before another person takes it.
    pub(super) async fn give_namesake(&self, handle: &str) -> Result<(), Error> {
        let namesake = Entity::find()
            .filter(Column::Name.eq(handle))
            .filter(Column::Handle.is_null())
            .one(&self.database)
            .await
            .map_err(Error::Store)?;
        match namesake {
            Some(row) => self.give_handle(row).await.map(drop),
            None => Ok(()),
        }
    }

    async fn give_handle(&self, row: Model) -> Result<Model, Error> {
        for handle in candidates(&row.name, SubjectId(row.id)) {
            let done = Entity::update_many()
                .col_expr(Column::Handle, handle.clone().into())
                .filter(Column::Id.eq(row.id))
                .filter(Column::Handle.is_null())
                .exec(&self.database)
                .await
                .map_err(taken);
            match done {
                Ok(done) if done.rows_affected == 1 => return Ok(Model { handle: Some(handle), ..row }),
                // Another request was first, or the person is gone.
                Ok(_) => return self.again(&row).await,
                Err(Error::Taken) => {}
                Err(other) => return Err(other),
            }
        }
        Err(Error::NoHandle)
    }

    async fn give_tenant(&self, row: Model) -> Result<Model, Error> {
        let Some(tenant) = self.rule.as_ref().and_then(|rule| rule.tenant_of(&row.email)) else {
            return Ok(row);
        };
        let done = Entity::update_many()
            .col_expr(Column::TenantId, tenant.0.into())
            .filter(Column::Id.eq(row.id))
            .filter(Column::TenantId.is_null())
            .exec(&self.database)
            .await
            .map_err(Error::Store)?;
        if done.rows_affected == 1 {
            return Ok(Model { tenant_id: Some(tenant.0), ..row });
        }
        self.again(&row).await
    }

    async fn again(&self, row: &Model) -> Result<Model, Error> {
        Entity::find_by_id(row.id).one(&self.database).await.map_err(Error::Store)?.ok_or(Error::NotFound)
    }
}

/// Returns the handles for a person, best first. The last one has 32 characters, which no person can choose, and
/// contains the id, so no other person has it.
fn candidates(name: &str, id: SubjectId) -> Vec<String> {
    let normal = kit::shown::normal(name).ok().filter(|normal| !normal.is_empty());
    let first = normal.unwrap_or_else(|| name.to_owned());
    let id = id.0.simple().to_string();
    // The end of the id: the start of a version 7 id is the same for people of the same minute.
    let with = |digits: usize| {
        let end = id.get(id.len().saturating_sub(digits)..).unwrap_or(&id);
        let kept: String = first.chars().take(MAX_CHARACTERS.saturating_sub(digits + 1)).collect();
        format!("{kept}-{end}")
    };
    vec![first.clone(), with(4), with(8), id.clone()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_the_name_or_the_name_and_the_end_of_the_id() {
        let id: SubjectId = "01932c07-0000-7000-8000-00000000abcd".parse().unwrap();
        assert_eq!(
            candidates("Zoe\u{308}", id),
            ["Zo\u{eb}", "Zo\u{eb}-abcd", "Zo\u{eb}-0000abcd", "01932c0700007000800000000000abcd"]
        );
        let long = "\u{4e00}".repeat(20);
        for handle in candidates(&long, id).iter().take(3) {
            assert_eq!(handle.chars().count(), 20, "{handle}");
        }
        // A name of the legacy backend that is not valid today stays readable.
        assert_eq!(candidates("De\u{202e}mo", id).first().map(String::as_str), Some("De\u{202e}mo"));
        assert_eq!(candidates(" ", id).first().map(String::as_str), Some(" "));
    }
}
