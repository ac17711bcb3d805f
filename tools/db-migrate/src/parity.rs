//! Compares the two databases: definitions, positions of sequences, and the rows of each table.

use serde::Serialize;
use sqlx::PgConnection;

use crate::catalogue::Catalogue;
use crate::content::{self, RowDifference};
use crate::digest;
use crate::failure::Failure;
use crate::identity;
use crate::place::Place;
use crate::progress::Progress;

/// How many differences are listed. The report has their number, too.
const MAX_LISTED: usize = 1_000;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// `table`, `column`, `index`, `sequence value`, `rows` and so on.
    pub kind: String,
    /// What differs, with its schema.
    pub name: String,
    /// How the source has it; absent when it has it not.
    pub source: Option<String>,
    /// How the target has it; absent when it has it not.
    pub target: Option<String>,
}

/// The result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Parity {
    /// Checksum of the source's definitions.
    pub source_schema: String,
    /// Checksum of the target's definitions.
    pub target_schema: String,
    /// How many tables were compared.
    pub tables: usize,
    /// How many rows the source has in them.
    pub rows: u64,
    /// Digest of all rows and sequences of the target.
    pub target_content: String,
    /// How many differences there are.
    pub found: usize,
    /// The first thousand of them.
    pub differences: Vec<Difference>,
}

impl Parity {
    /// Returns whether source and target are equal.
    #[must_use]
    pub const fn is_equal(&self) -> bool {
        self.found == 0
    }

    fn add(&mut self, kind: &str, name: &str, source: Option<String>, target: Option<String>) {
        self.found = self.found.saturating_add(1);
        if self.differences.len() < MAX_LISTED {
            self.differences.push(Difference {
                kind: kind.to_owned(),
                name: name.to_owned(),
                source,
                target,
            });
        }
    }
}

/// Compares `source` and `target`.
///
/// # Errors
/// [`Failure::Invalid`] if they are one database; [`Failure::Database`]. Differences are a result.
pub async fn compare(source: &Place, target: &Place, progress: Progress) -> Result<Parity, Failure> {
    let (mut from, mut to) = tokio::try_join!(source.connect(), target.connect())?;
    identity::distinct((source, &mut from), (target, &mut to)).await?;
    let mut parity = Parity::default();
    definitions((source, &mut from), (target, &mut to), &mut parity).await?;
    progress.event("compare", &format!("definitions {} and {}", parity.source_schema, parity.target_schema));
    let mut target_content = digest::Running::default();
    sequences((source, &mut from), (target, &mut to), &mut parity, &mut target_content).await?;
    rows((source, &mut from), (target, &mut to), progress, &mut parity, &mut target_content).await?;
    parity.target_content = target_content.finish();
    Place::close(from).await;
    Place::close(to).await;
    Ok(parity)
}

/// Returns the digest of all rows and sequences of `place`, as [`Parity::target_content`] has it.
///
/// # Errors
/// [`Failure::Database`].
pub async fn content_of(place: &Place, progress: Progress) -> Result<String, Failure> {
    let mut connection = place.connect().await?;
    let mut digest = digest::Running::default();
    for (name, position) in content::sequences(place, &mut connection).await? {
        digest.part(name.as_bytes());
        digest.part(position.as_bytes());
    }
    for table in content::tables(place, &mut connection).await? {
        let rows = table.rows(place, &mut connection, progress).await?;
        progress.event("compare", &format!("{place}: {}: {} rows", table.name, rows.count));
        digest.part(table.name.as_bytes());
        digest.part(rows.digest.as_bytes());
    }
    Place::close(connection).await;
    Ok(digest.finish())
}

async fn definitions(
    (source, from): (&Place, &mut PgConnection),
    (target, to): (&Place, &mut PgConnection),
    parity: &mut Parity,
) -> Result<(), Failure> {
    let (own, other) = tokio::try_join!(Catalogue::read(source, from), Catalogue::read(target, to))?;
    parity.source_schema = own.checksum();
    parity.target_schema = other.checksum();
    for (subject, source, target) in own.differences(&other) {
        parity.add(&subject.kind, &subject.name, source.map(str::to_owned), target.map(str::to_owned));
    }
    Ok(())
}

async fn sequences(
    (source, from): (&Place, &mut PgConnection),
    (target, to): (&Place, &mut PgConnection),
    parity: &mut Parity,
    target_content: &mut digest::Running,
) -> Result<(), Failure> {
    let own = content::sequences(source, from).await?;
    let other = content::sequences(target, to).await?;
    for (name, position) in &other {
        target_content.part(name.as_bytes());
        target_content.part(position.as_bytes());
    }
    // A missing sequence was found among the definitions.
    for (name, position) in own {
        if let Some((_, found)) = other.iter().find(|(other, found)| *other == name && *found != position) {
            parity.add("sequence value", &name, Some(position), Some(found.clone()));
        }
    }
    Ok(())
}

async fn rows(
    (source, from): (&Place, &mut PgConnection),
    (target, to): (&Place, &mut PgConnection),
    progress: Progress,
    parity: &mut Parity,
    target_content: &mut digest::Running,
) -> Result<(), Failure> {
    let own = content::tables(source, from).await?;
    let other = content::tables(target, to).await?;
    parity.tables = own.len();
    let mut done = 0usize;
    // The target's tables in their order, for its digest; a table that only one side has was found among the definitions.
    for table in &other {
        let Some(counterpart) = own.iter().find(|own| own.name == table.name) else {
            let rows = table.rows(target, to, progress).await?;
            target_content.part(table.name.as_bytes());
            target_content.part(rows.digest.as_bytes());
            continue;
        };
        // Each side sorts by its own key, so a differing key gives a differing order: then it is a definition that differs.
        let (expected, found) =
            tokio::try_join!(counterpart.rows(source, from, progress), table.rows(target, to, progress))?;
        target_content.part(table.name.as_bytes());
        target_content.part(found.digest.as_bytes());
        parity.rows = parity.rows.saturating_add(expected.count);
        done = done.saturating_add(1);
        progress
            .event("compare", &format!("{} ({done} of {}): {} rows", table.name, own.len(), expected.count));
        if expected == found {
            continue;
        }
        let differing = counterpart.differing_rows((source, &mut *from), (target, &mut *to)).await?;
        // Another key is another order, and was found among the definitions.
        if differing.is_empty() && expected.count == found.count && counterpart == table {
            parity.add("rows", &table.name, Some(expected.digest.clone()), Some(found.digest.clone()));
        }
        if expected.count != found.count {
            let shown = |rows: &content::Rows| Some(format!("{} rows", rows.count));
            parity.add("row count", &table.name, shown(&expected), shown(&found));
        }
        for difference in differing {
            let (key, source, target) = match difference {
                RowDifference::Changed(key) => (key, "present", Some("other values")),
                RowDifference::Missing(key) => (key, "present", None),
                RowDifference::Extra(key) => {
                    parity.add("row", &format!("{} {key}", table.name), None, Some("present".to_owned()));
                    continue;
                }
            };
            let name = format!("{} {key}", table.name);
            parity.add("row", &name, Some(source.to_owned()), target.map(str::to_owned));
        }
    }
    Ok(())
}
