//! The definitions of a database in one canonical form, with a checksum: tables, columns, types, defaults, constraints,
//! indexes, sequences, views, functions, aggregates, triggers, policies and comments, as PostgreSQL itself writes them.
//!
//! Servers of different major versions may write the same definition differently. Such a pair is reported as a difference,
//! with both texts, and an operator decides.

use std::collections::BTreeMap;

use futures_util::TryStreamExt as _;
use sqlx::{PgConnection, Row as _};

use crate::digest;
use crate::failure::Failure;
use crate::place::Place;

/// Every definition: kind, name, text.
const DEFINITIONS: &str = include_str!("catalogue/definitions.sql");

/// More definitions than this are not compared. A database of 10,000 tables with 20 columns each has about 300,000, which
/// take about 100 MB.
const MAX_DEFINITIONS: usize = 2_000_000;

/// What a definition is about, such as `index` and `public.users_pkey`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// `table`, `column`, `index` and so on.
    pub kind: String,
    /// The name, with its schema.
    pub name: String,
}

/// All definitions of a database.
#[derive(Clone, Debug, Default)]
pub struct Catalogue(BTreeMap<Subject, String>);

impl Catalogue {
    /// Reads the definitions of `place`.
    ///
    /// # Errors
    /// [`Failure::Database`]; [`Failure::Program`] for more than two million definitions.
    pub async fn read(place: &Place, connection: &mut PgConnection) -> Result<Self, Failure> {
        let mut definitions = BTreeMap::new();
        let mut rows = sqlx::query(DEFINITIONS).fetch(connection);
        while let Some(row) = rows.try_next().await.map_err(|error| place.failed(error))? {
            let (subject, definition) = read_row(&row).map_err(|error| place.failed(error))?;
            definitions.insert(subject, definition);
            if definitions.len() > MAX_DEFINITIONS {
                return Err(Failure::Program(format!(
                    "{place}: more than {MAX_DEFINITIONS} definitions; move its schemas one by one"
                )));
            }
        }
        Ok(Self(definitions))
    }

    /// Returns the checksum: the same for the same definitions, in whatever order they were made.
    #[must_use]
    pub fn checksum(&self) -> String {
        let mut digest = digest::Running::default();
        for (subject, definition) in &self.0 {
            for part in [&subject.kind, &subject.name, definition] {
                digest.part(part.as_bytes());
            }
        }
        digest.finish()
    }

    /// Returns each subject whose definition differs, with both definitions.
    pub fn differences<'a>(
        &'a self,
        other: &'a Self,
    ) -> impl Iterator<Item = (&'a Subject, Option<&'a str>, Option<&'a str>)> {
        let get = |all: &'a Self, subject| all.0.get(subject).map(String::as_str);
        let own = self.0.keys();
        let foreign = other.0.keys().filter(|subject| !self.0.contains_key(subject));
        own.chain(foreign)
            .map(move |subject| (subject, get(self, subject), get(other, subject)))
            .filter(|(_, own, foreign)| own != foreign)
    }
}

fn read_row(row: &sqlx::postgres::PgRow) -> Result<(Subject, String), sqlx::Error> {
    Ok((Subject { kind: row.try_get(0)?, name: row.try_get(1)? }, row.try_get(2)?))
}
