//! What has to be true before anything changes. All reasons against a move are found at once.

use serde::Serialize;
use sqlx::{PgConnection, Row as _};

use crate::client::Client;
use crate::failure::Failure;
use crate::freeze;
use crate::identity;
use crate::place::Place;

/// How many tables a plan lists; the largest come first.
const LISTED_TABLES: i64 = 50;

/// Facts about a server and its database.
const FACTS: &str = "
    SELECT current_setting('server_version_num')::int4 / 10000, pg_encoding_to_char(d.encoding)::text,
           d.datcollate::text, pg_is_in_recovery(),
           pg_has_role(d.datdba, 'MEMBER'), pg_database_size(d.oid),
           (SELECT count(*) FROM pg_largeobject_metadata),
           (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'),
           current_setting('default_transaction_read_only'),
           EXISTS (SELECT FROM pg_class WHERE relkind = 'm')
    FROM pg_database d WHERE d.datname = current_database()";

/// The tables, the largest first.
const SIZES: &str = "
    SELECT format('%I.%I', n.nspname, c.relname), greatest(c.reltuples, 0)::int8, pg_total_relation_size(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    ORDER BY 3 DESC, 1 LIMIT $1";

/// Something of the source's server that the dump names and does not have.
struct Need {
    what: &'static str,
    /// The names that the source uses.
    used: &'static str,
    /// The names that the target's server has.
    offered: &'static str,
    fix: &'static str,
}

/// Without each of these the restore would stop in its middle.
const NEEDS: [Need; 3] = [
    Need {
        what: "extension",
        used: "SELECT extname::text FROM pg_extension",
        offered: "SELECT name::text FROM pg_available_extensions",
        fix: "install its package there",
    },
    Need {
        what: "role",
        used: "SELECT DISTINCT r.rolname::text FROM pg_policy p, unnest(p.polroles) AS role JOIN pg_roles r ON r.oid = role",
        offered: "SELECT rolname::text FROM pg_roles",
        fix: "a policy names it; run there: CREATE ROLE … NOLOGIN",
    },
    Need {
        what: "tablespace",
        used:
            "SELECT DISTINCT t.spcname::text FROM pg_class c JOIN pg_tablespace t ON t.oid = c.reltablespace
               WHERE c.relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname ~ '^pg_')",
        offered: "SELECT spcname::text FROM pg_tablespace",
        fix: "tables or indexes are in it; run there: CREATE TABLESPACE … LOCATION …",
    },
];

/// What a move will meet.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Preparation {
    /// Reasons against the move, each with its fix. A move begins only without any.
    pub faults: Vec<String>,
    /// What an operator should know.
    pub notes: Vec<String>,
    /// The bytes of the source on its server.
    pub source_bytes: i64,
    /// The largest tables.
    pub tables: Vec<TableSize>,
    /// Whether the target has tables already.
    #[serde(skip)]
    pub target_has_tables: bool,
}

/// A table of the source.
#[derive(Clone, Debug, Serialize)]
pub struct TableSize {
    /// The name, with its schema.
    pub name: String,
    /// The number of rows that the planner estimates.
    pub estimated_rows: i64,
    /// Its bytes, with indexes.
    pub bytes: i64,
}

struct Facts {
    version: i32,
    encoding: String,
    collation: String,
    is_standby: bool,
    is_owned: bool,
    bytes: i64,
    large_objects: i64,
    relations: i64,
    read_only: String,
    has_views: bool,
}

/// Looks at programs and databases, and changes nothing.
///
/// # Errors
/// [`Failure::Database`] or [`Failure::Program`] if a database or a program cannot be used at all,
/// [`Failure::Invalid`] if source and target are one database.
pub async fn prepare(source: &Place, target: &Place, client: &Client) -> Result<Preparation, Failure> {
    let dumper = client.version("pg_dump").await?;
    let restorer = client.version("pg_restore").await?;
    let (mut from, mut to) = tokio::try_join!(source.connect(), target.connect())?;
    identity::distinct((source, &mut from), (target, &mut to)).await?;
    let (own, other) = tokio::try_join!(facts(source, &mut from), facts(target, &mut to))?;
    let mut prepared = Preparation {
        source_bytes: own.bytes,
        tables: sizes(source, &mut from).await?,
        target_has_tables: other.relations > 0,
        ..Preparation::default()
    };
    let faults = &mut prepared.faults;
    versions((dumper, restorer), (&own, &other), faults);
    if own.encoding != other.encoding {
        faults.push(format!(
            "the target's encoding is {} and the source's {}; create the target with ENCODING '{}' TEMPLATE template0",
            other.encoding, own.encoding, own.encoding
        ));
    }
    if own.is_standby {
        faults.push(format!(
            "{source} is a standby, which cannot be made read-only by itself; name the primary"
        ));
    }
    if !own.is_owned {
        faults.push(format!(
            "the user of {source} does not own that database, so it cannot make it read-only; name its owner or a superuser"
        ));
    }
    if other.is_standby {
        faults.push(format!("{target} is a standby and takes no writes; name the primary"));
    } else if other.read_only == "on" {
        faults.push(format!("{target} is read-only (default_transaction_read_only); reset that setting"));
    }
    if own.large_objects > 0 {
        faults.push(format!(
            "the source has {} large objects, which are not compared; store them as bytea or files first",
            own.large_objects
        ));
    }
    faults.extend(freeze::obstacles(source, &mut from).await?);
    for need in NEEDS {
        faults.extend(need.missing((source, &mut from), (target, &mut to)).await?);
    }
    if own.has_views {
        prepared.notes.push(
            "the source has materialized views, and the restore computes them anew: refresh them in the source before, or they \
             may differ"
                .to_owned(),
        );
    }
    if own.collation != other.collation {
        prepared.notes.push(format!(
            "the target sorts text by {} and the source by {}: ORDER BY without COLLATE can give another order",
            other.collation, own.collation
        ));
    }
    Place::close(from).await;
    Place::close(to).await;
    Ok(prepared)
}

fn versions((dumper, restorer): (u32, u32), (own, other): (&Facts, &Facts), faults: &mut Vec<String>) {
    let source = u32::try_from(own.version).unwrap_or(0);
    if dumper < source {
        faults.push(format!(
            "pg_dump {dumper} cannot dump a server of version {source}; install postgresql-client-{source} or newer, and \
             name its directory with --pg-bin"
        ));
    }
    if restorer < dumper {
        faults.push(format!("pg_restore {restorer} is older than pg_dump {dumper}; use both of one version"));
    }
    if other.version < own.version {
        faults.push(format!(
            "the target's server has version {} and the source's {source}; a dump goes to the same or a newer version",
            other.version
        ));
    }
}

async fn facts(place: &Place, connection: &mut PgConnection) -> Result<Facts, Failure> {
    let row = sqlx::query(FACTS).fetch_one(connection).await.map_err(|error| place.failed(error))?;
    let read = || {
        Ok(Facts {
            version: row.try_get(0)?,
            encoding: row.try_get(1)?,
            collation: row.try_get(2)?,
            is_standby: row.try_get(3)?,
            is_owned: row.try_get(4)?,
            bytes: row.try_get(5)?,
            large_objects: row.try_get(6)?,
            relations: row.try_get(7)?,
            read_only: row.try_get(8)?,
            has_views: row.try_get(9)?,
        })
    };
    read().map_err(|error: sqlx::Error| place.failed(error))
}

async fn sizes(place: &Place, connection: &mut PgConnection) -> Result<Vec<TableSize>, Failure> {
    let rows = sqlx::query(SIZES).bind(LISTED_TABLES).fetch_all(connection).await;
    let rows = rows.map_err(|error| place.failed(error))?;
    let size = |row: &sqlx::postgres::PgRow| {
        Ok(TableSize { name: row.try_get(0)?, estimated_rows: row.try_get(1)?, bytes: row.try_get(2)? })
    };
    rows.iter().map(size).collect::<Result<_, sqlx::Error>>().map_err(|error| place.failed(error))
}

impl Need {
    /// Returns a fault for each name that the source uses and the target's server does not have.
    async fn missing(
        &self,
        (source, from): (&Place, &mut PgConnection),
        (target, to): (&Place, &mut PgConnection),
    ) -> Result<Vec<String>, Failure> {
        let used: Vec<String> =
            sqlx::query_scalar(self.used).fetch_all(from).await.map_err(|error| source.failed(error))?;
        let offered: Vec<String> =
            sqlx::query_scalar(self.offered).fetch_all(to).await.map_err(|error| target.failed(error))?;
        let fault =
            |name: &String| format!("the target's server lacks the {} {name}; {}", self.what, self.fix);
        Ok(used.iter().filter(|name| !offered.contains(name)).map(fault).collect())
    }
}
