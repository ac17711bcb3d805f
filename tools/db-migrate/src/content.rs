//! The rows of each table, and the position of each sequence.
//!
//! The server computes the SHA-256 of each row's text, in the order of the primary key, and sends only key and digest. Here
//! they become one digest for each table. Neither side holds more than a few rows: the server reads an index, or sorts on
//! its disk when a key is text (servers can sort text differently, so it is sorted by bytes) or when a table has no key.

use std::time::Instant;

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row as _};

use crate::digest;
use crate::failure::Failure;
use crate::place::Place;
use crate::progress::{Progress, REPORT_EVERY};

/// Each table with rows of its own, and its primary key as SQL: the columns to sort by, and their text.
const TABLES: &str = r#"
    SELECT format('%I.%I', n.nspname, c.relname), k.sorted, k.shown
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN LATERAL (
        SELECT string_agg(quote_ident(a.attname) || CASE WHEN a.attcollation <> 0 THEN ' COLLATE "C"' ELSE '' END, ', '
                   ORDER BY key.place) AS sorted,
               format('ROW(%s)::text', string_agg(quote_ident(a.attname), ', ' ORDER BY key.place)) AS shown
        FROM pg_index i, unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS key (number, place)
        JOIN pg_attribute a ON a.attnum = key.number
        WHERE i.indrelid = c.oid AND i.indisprimary AND a.attrelid = c.oid
        HAVING count(*) > 0
    ) k ON true
    WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND c.relispopulated
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
    ORDER BY format('%I.%I', n.nspname, c.relname) COLLATE "C""#;

/// The sequences.
const SEQUENCES: &str = r#"
    SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'S' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY format('%I.%I', n.nspname, c.relname) COLLATE "C""#;

/// A row as one value. A column of a table could have any name, and one with this name is not to be expected.
const THIS_ROW: &str = "\"db-migrate: this row\"";

/// How many differing rows of a table are named.
pub const EXAMPLES: usize = 5;

/// A table and its primary key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The name, with its schema, as SQL writes it.
    pub name: String,
    /// The columns of the primary key to sort by, and the expression of their text. Absent without a primary key.
    key: Option<(String, String)>,
}

/// The rows of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// How many there are.
    pub count: u64,
    /// The digest of all of them.
    pub digest: String,
}

/// A row that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowDifference {
    /// The target has other values.
    Changed(String),
    /// The target does not have it.
    Missing(String),
    /// Only the target has it.
    Extra(String),
}

/// Returns the tables of `place`, in the order of their names.
///
/// # Errors
/// [`Failure::Database`].
pub async fn tables(place: &Place, connection: &mut PgConnection) -> Result<Vec<Table>, Failure> {
    let rows = sqlx::query(TABLES).fetch_all(connection).await.map_err(|error| place.failed(error))?;
    let table = |row: &PgRow| {
        let (sorted, shown): (Option<String>, Option<String>) = (row.try_get(1)?, row.try_get(2)?);
        Ok(Table { name: row.try_get(0)?, key: sorted.zip(shown) })
    };
    rows.iter().map(table).collect::<Result<_, sqlx::Error>>().map_err(|error| place.failed(error))
}

/// Returns each sequence and its position: the last value, and whether it was given out.
///
/// # Errors
/// [`Failure::Database`].
pub async fn sequences(
    place: &Place,
    connection: &mut PgConnection,
) -> Result<Vec<(String, String)>, Failure> {
    let names: Vec<String> = sqlx::query_scalar(SEQUENCES)
        .fetch_all(&mut *connection)
        .await
        .map_err(|error| place.failed(error))?;
    let mut positions = Vec::with_capacity(names.len());
    for name in names {
        // The name comes from `format('%I.%I')`.
        let position = format!(
            "SELECT format('%s, %s', last_value, CASE WHEN is_called THEN 'given out' ELSE 'not given out' END) FROM {name}"
        );
        let position: String = sqlx::query_scalar(AssertSqlSafe(position))
            .fetch_one(&mut *connection)
            .await
            .map_err(|error| place.failed(error))?;
        positions.push((name, position));
    }
    Ok(positions)
}

impl Table {
    /// Counts the rows and digests them. A large table reports from time to time how far it is.
    ///
    /// # Errors
    /// [`Failure::Database`].
    pub async fn rows(
        &self,
        place: &Place,
        connection: &mut PgConnection,
        progress: Progress,
    ) -> Result<Rows, Failure> {
        let digest = format!("sha256(convert_to({THIS_ROW}::text, 'UTF8'))");
        let from = format!("FROM ONLY {} AS {THIS_ROW}", self.name);
        let statement = match &self.key {
            Some((sorted, _)) => format!("SELECT {digest} {from} ORDER BY {sorted}"),
            None => format!("SELECT {digest} AS digest {from} ORDER BY digest"),
        };
        let mut rows = sqlx::query_scalar::<_, Vec<u8>>(AssertSqlSafe(statement)).fetch(connection);
        let (mut count, mut digest) = (0u64, digest::Running::default());
        let mut reported = Instant::now();
        while let Some(row) = rows.try_next().await.map_err(|error| place.failed(error))? {
            digest.part(&row);
            count = count.saturating_add(1);
            if reported.elapsed() >= REPORT_EVERY {
                progress.event("compare", &format!("{place}: {}: {count} rows so far", self.name));
                reported = Instant::now();
            }
        }
        Ok(Rows { count, digest: digest.finish() })
    }

    /// Returns the first rows that differ, at most [`EXAMPLES`], by reading both sides in the order of the keys' bytes.
    ///
    /// # Errors
    /// [`Failure::Database`].
    pub async fn differing_rows(
        &self,
        (source, from): (&Place, &mut PgConnection),
        (target, to): (&Place, &mut PgConnection),
    ) -> Result<Vec<RowDifference>, Failure> {
        let digest = format!("sha256(convert_to({THIS_ROW}::text, 'UTF8'))");
        let key = match &self.key {
            Some((_, shown)) => shown.clone(),
            None => format!("encode({digest}, 'hex')"),
        };
        let statement = format!(
            "SELECT key, digest FROM (SELECT {key} AS key, {digest} AS digest FROM ONLY {} AS {THIS_ROW}) AS rows \
             ORDER BY key COLLATE \"C\", digest",
            self.name
        );
        let mut own = sqlx::query(AssertSqlSafe(statement.clone())).fetch(from);
        let mut other = sqlx::query(AssertSqlSafe(statement)).fetch(to);
        let read = |place: &Place, row: Option<PgRow>| {
            let read = |row: PgRow| Ok((row.try_get::<String, _>(0)?, row.try_get::<Vec<u8>, _>(1)?));
            row.map(read).transpose().map_err(|error: sqlx::Error| place.failed(error))
        };
        let mut left = read(source, own.try_next().await.map_err(|error| source.failed(error))?)?;
        let mut right = read(target, other.try_next().await.map_err(|error| target.failed(error))?)?;
        let mut found = Vec::new();
        while found.len() < EXAMPLES {
            let (mut next_left, mut next_right) = (true, true);
            match (&left, &right) {
                (None, None) => break,
                (Some((key, _)), None) => found.push(RowDifference::Missing(key.clone())),
                (None, Some((key, _))) => found.push(RowDifference::Extra(key.clone())),
                (Some((own, digest)), Some((other, wanted))) => match own.as_bytes().cmp(other.as_bytes()) {
                    std::cmp::Ordering::Less => {
                        found.push(RowDifference::Missing(own.clone()));
                        next_right = false;
                    }
                    std::cmp::Ordering::Greater => {
                        found.push(RowDifference::Extra(other.clone()));
                        next_left = false;
                    }
                    std::cmp::Ordering::Equal if digest != wanted => {
                        found.push(RowDifference::Changed(own.clone()))
                    }
                    std::cmp::Ordering::Equal => {}
                },
            }
            if next_left {
                left = read(source, own.try_next().await.map_err(|error| source.failed(error))?)?;
            }
            if next_right {
                right = read(target, other.try_next().await.map_err(|error| target.failed(error))?)?;
            }
        }
        Ok(found)
    }
}
