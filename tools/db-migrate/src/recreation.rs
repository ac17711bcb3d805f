//! The statements that create a database again as it was: owner, encoding, locale, tablespace, limit of connections,
//! settings, privileges and comment. A target that is cleared keeps all that an administrator gave it.

use serde::Deserialize;
use sqlx::Row as _;

use crate::failure::Failure;
use crate::freeze::{identifier, literal};
use crate::place::Place;

/// The database. PostgreSQL 15, 16 and 17 have different columns for its locale, so the row is read as a document.
const DATABASE: &str = "
    SELECT to_jsonb(d)::text, r.rolname::text, pg_encoding_to_char(d.encoding)::text, t.spcname::text
    FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba JOIN pg_tablespace t ON t.oid = d.dattablespace
    WHERE d.datname = current_database()";

/// Its settings, also those of roles in it, then privileges and comment. A value of one of the named settings is a list
/// in the form of names, and is written as a list of texts; every other value is one text.
const MORE: &str = r#"
    WITH own AS (SELECT * FROM pg_database WHERE datname = current_database()),
    setting AS (
        SELECT CASE WHEN s.setrole = 0 THEN format('DATABASE %I', own.datname)
                    ELSE format('ROLE %I IN DATABASE %I', r.rolname, own.datname) END AS subject,
               split_part(entry, '=', 1) AS name, substr(entry, strpos(entry, '=') + 1) AS value
        FROM own JOIN pg_db_role_setting s ON s.setdatabase = own.oid LEFT JOIN pg_roles r ON r.oid = s.setrole,
             unnest(s.setconfig) AS entry
    )
    SELECT format('ALTER %s SET %I TO %s', subject, name,
        CASE WHEN name IN ('search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries')
             THEN coalesce((
                 SELECT string_agg(quote_literal(CASE WHEN found[1] LIKE '"%'
                     THEN replace(substr(found[1], 2, length(found[1]) - 2), '""', '"') ELSE trim(found[1]) END), ', ')
                 FROM regexp_matches(value, '("(?:[^"]|"")*"|[^,"\s][^,]*)', 'g') AS found), '''''')
             ELSE quote_literal(value) END)
    FROM setting
    UNION ALL
    SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM own WHERE datacl IS NOT NULL
    UNION ALL
    SELECT format('GRANT %s ON DATABASE %I TO %s%s', a.privilege_type, own.datname,
        CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
        CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
    FROM own, aclexplode(own.datacl) AS a
    UNION ALL
    SELECT format('COMMENT ON DATABASE %I IS %L', datname, shobj_description(oid, 'pg_database'))
    FROM own WHERE shobj_description(oid, 'pg_database') IS NOT NULL"#;

/// The row of `pg_database`, of any version from 12.
#[derive(Debug, Deserialize)]
struct Database {
    datname: String,
    datcollate: String,
    datctype: String,
    datconnlimit: i32,
    /// `c` (libc), `i` (ICU) or `b` (built in). Absent before PostgreSQL 15, which has libc alone.
    datlocprovider: Option<String>,
    /// The locale of ICU, or the built-in one: `daticulocale` in PostgreSQL 15 and 16, `datlocale` from 17.
    #[serde(alias = "daticulocale")]
    datlocale: Option<String>,
    /// Rules beside the locale of ICU, from PostgreSQL 16.
    daticurules: Option<String>,
}

impl Database {
    fn create(&self, owner: &str, encoding: &str, tablespace: &str) -> String {
        let mut statement = format!(
            "CREATE DATABASE {} OWNER {} TEMPLATE template0 ENCODING {} LC_COLLATE {} LC_CTYPE {}",
            identifier(&self.datname),
            identifier(owner),
            literal(encoding),
            literal(&self.datcollate),
            literal(&self.datctype)
        );
        let mut add = |name: &str, value: &str| statement.push_str(&format!(" {name} {}", literal(value)));
        let locale = self.datlocale.as_deref();
        match self.datlocprovider.as_deref() {
            Some("i") => {
                add("LOCALE_PROVIDER", "icu");
                if let Some(locale) = locale {
                    add("ICU_LOCALE", locale);
                }
                if let Some(rules) = &self.daticurules {
                    add("ICU_RULES", rules);
                }
            }
            Some("b") => {
                add("LOCALE_PROVIDER", "builtin");
                if let Some(locale) = locale {
                    add("BUILTIN_LOCALE", locale);
                }
            }
            Some("c") => add("LOCALE_PROVIDER", "libc"),
            // Before PostgreSQL 15 there was one provider, and no word for it.
            _ => {}
        }
        statement.push_str(&format!(
            " TABLESPACE {} CONNECTION LIMIT {}",
            identifier(tablespace),
            self.datconnlimit
        ));
        statement
    }
}

/// Returns the statements that create `place` again, in their order. Each has to run by itself.
///
/// # Errors
/// [`Failure::Database`].
pub async fn statements(place: &Place) -> Result<Vec<String>, Failure> {
    let mut connection = place.connect().await?;
    let failed = |error: sqlx::Error| place.failed(error);
    let row = sqlx::query(DATABASE).fetch_one(&mut connection).await.map_err(failed)?;
    let read = || {
        let database: Database = serde_json::from_str(row.try_get::<&str, _>(0)?)
            .map_err(|error| sqlx::Error::Decode(error.into()))?;
        Ok(database.create(row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
    };
    let mut statements = vec![read().map_err(failed)?];
    let more: Vec<String> = sqlx::query_scalar(MORE).fetch_all(&mut connection).await.map_err(failed)?;
    statements.extend(more);
    Place::close(connection).await;
    Ok(statements)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(row: &str) -> String {
        serde_json::from_str::<Database>(row).unwrap().create("an owner", "UTF8", "fast")
    }

    #[test]
    fn each_version_of_postgresql_names_its_locale_differently() {
        let rest = r#""datname": "app", "datcollate": "C", "datctype": "C", "datconnlimit": -1, "datallowconn": true"#;
        let beginning = "CREATE DATABASE \"app\" OWNER \"an owner\" TEMPLATE template0 ENCODING 'UTF8' \
                         LC_COLLATE 'C' LC_CTYPE 'C'";
        let end = " TABLESPACE \"fast\" CONNECTION LIMIT -1";
        for (columns, locale) in [
            ("", ""),
            (r#", "datlocprovider": "c", "daticulocale": null"#, " LOCALE_PROVIDER 'libc'"),
            (
                r#", "datlocprovider": "i", "daticulocale": "de-AT""#,
                " LOCALE_PROVIDER 'icu' ICU_LOCALE 'de-AT'",
            ),
            (
                r#", "datlocprovider": "i", "daticulocale": "und", "daticurules": "&V << w""#,
                " LOCALE_PROVIDER 'icu' ICU_LOCALE 'und' ICU_RULES '&V << w'",
            ),
            (
                r#", "datlocprovider": "i", "datlocale": "und", "daticurules": null"#,
                " LOCALE_PROVIDER 'icu' ICU_LOCALE 'und'",
            ),
            (
                r#", "datlocprovider": "b", "datlocale": "C.UTF-8""#,
                " LOCALE_PROVIDER 'builtin' BUILTIN_LOCALE 'C.UTF-8'",
            ),
        ] {
            assert_eq!(create(&format!("{{{rest}{columns}}}")), format!("{beginning}{locale}{end}"));
        }
    }
}
