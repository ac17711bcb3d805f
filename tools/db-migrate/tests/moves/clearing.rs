//! The target is emptied for another try, and loses nothing that only it has.

use kit::testing::PrivatePostgres;
use serde_json::Value;

use crate::stage::{SLEEPING, Stage, send};

const TABLES: &str = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";

/// A name so long that its copy for checks would have no name.
const NAME: &str = "an_application_with_a_name_of_more_than_forty_seven_bytes";

/// All that `CREATE DATABASE` and an administrator gave the database, and not its content.
fn description(server: &PrivatePostgres) -> String {
    server.sql(&format!(
        "SELECT to_jsonb(d) - '{{oid,datfrozenxid,datminmxid,datacl}}'::text[],
             (SELECT array_agg(a::text ORDER BY a::text) FROM aclexplode(d.datacl) AS a),
             (SELECT array_agg(format('%s %s', s.setrole, s.setconfig) ORDER BY s.setrole) FROM pg_db_role_setting s
              WHERE s.setdatabase = d.oid),
             shobj_description(d.oid, 'pg_database')
         FROM pg_database d WHERE datname = '{NAME}'"
    ))
}

/// A stage, and the flag that names a database on its target server, made with everything that one can have.
fn with_a_special_target() -> (Stage, String) {
    let stage = Stage::set();
    stage.target.sql("ALTER ROLE postgres SET allow_in_place_tablespaces = on");
    stage.target.sql("CREATE TABLESPACE \"a fast one\" LOCATION ''");
    stage.target.sql("CREATE ROLE \"the owner\" LOGIN");
    stage.target.sql(&format!(
        "CREATE DATABASE {NAME} OWNER \"the owner\" TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu
         ICU_LOCALE 'de-AT' LC_COLLATE 'C' LC_CTYPE 'C' TABLESPACE \"a fast one\" CONNECTION LIMIT 77"
    ));
    stage.target.sql(&format!(
        "ALTER DATABASE {NAME} SET search_path TO '', 'with, \"comma\"', public;
         ALTER DATABASE {NAME} SET app.formula = 'a=b''s';
         ALTER DATABASE {NAME} SET work_mem = '8MB';
         ALTER ROLE \"the owner\" IN DATABASE {NAME} SET search_path = '';
         REVOKE CONNECT ON DATABASE {NAME} FROM PUBLIC;
         GRANT CONNECT ON DATABASE {NAME} TO pg_monitor WITH GRANT OPTION;
         COMMENT ON DATABASE {NAME} IS 'it''s new'"
    ));
    let address = format!("postgres://postgres@127.0.0.1:{}/{NAME}", stage.target.port());
    (stage, address)
}

#[test]
fn a_cleared_target_has_all_that_it_was_created_with() {
    let (stage, target) = with_a_special_target();
    // ICU and the source sort these differently, and the comparison must not.
    stage.source.sql("INSERT INTO seaql_migrations VALUES ('a', 2), ('B', 3)");
    let before = description(&stage.target);
    for part in ["de-AT", "77", "it's new", "app.formula=a=b's"] {
        assert!(before.contains(part), "{part:?} is missing in {before}");
    }
    let moved = stage.run(&["run", "--target", &target]);
    assert_eq!(moved.code, Some(0), "{moved:?}");
    let cleared = stage.run(&["rollback", "--clear-target", "--target", &target]);
    assert_eq!((cleared.code, &cleared.report["target_cleared"]), (Some(0), &true.into()), "{cleared:?}");
    assert_eq!(stage.target.sql_in(NAME, TABLES), "0");
    assert_eq!(description(&stage.target), before);
    // What an administrator changed since is kept by the next one.
    stage.target.sql(&format!(
        "ALTER DATABASE {NAME} SET work_mem = '16MB'; ALTER DATABASE {NAME} CONNECTION LIMIT 78"
    ));
    let before = description(&stage.target);
    assert_eq!(stage.run(&["run", "--target", &target]).code, Some(0));
    let cleared = stage.run(&["rollback", "--clear-target", "--target", &target]);
    assert_eq!((cleared.code, &cleared.report["target_cleared"]), (Some(0), &true.into()), "{cleared:?}");
    assert_eq!(description(&stage.target), before);
    assert_eq!(stage.run(&["run", "--target", &target]).code, Some(0));
}

#[test]
fn a_rollback_that_was_killed_between_drop_and_create_goes_on() {
    let (stage, target) = with_a_special_target();
    assert_eq!(stage.run(&["run", "--target", &target]).code, Some(0));
    let record = stage.state().join("state.json");
    let mut steps: Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    // The record that a process leaves which ends after the drop.
    let create = format!("CREATE DATABASE {NAME} TEMPLATE template0 CONNECTION LIMIT 78");
    steps["recreation"] = serde_json::json!([create]);
    std::fs::write(&record, steps.to_string()).unwrap();
    stage.target.sql(&format!("DROP DATABASE {NAME}"));
    let cleared = stage.run(&["rollback", "--clear-target", "--target", &target]);
    assert_eq!((cleared.code, &cleared.report["target_cleared"]), (Some(0), &true.into()), "{cleared:?}");
    assert_eq!(
        stage.target.sql(&format!("SELECT datconnlimit FROM pg_database WHERE datname = '{NAME}'")),
        "78"
    );

    // Somebody else dropped it: nothing says how it was.
    assert_eq!(stage.run(&["run", "--target", &target]).code, Some(0));
    stage.target.sql(&format!("DROP DATABASE {NAME}"));
    let refused = stage.run(&["rollback", "--clear-target", "--target", &target]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.log.contains("does not exist; create it"), "{refused:?}");
}

#[test]
fn a_target_that_was_never_equal_is_cleared_only_if_that_is_wanted() {
    let stage = Stage::set();
    // The target's own trigger makes the restored table different, as a wrong server setting would.
    stage.target.sql(
        "CREATE FUNCTION public.spoil() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
            IF EXISTS (SELECT FROM pg_class WHERE relname = 'IDX_books_kind') THEN
                EXECUTE 'UPDATE public.books SET page = 4 WHERE id = 1';
            END IF; END $$;
         CREATE EVENT TRIGGER spoil ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION public.spoil()",
    );
    assert_eq!(stage.run(&["run"]).code, Some(1));
    let refused = stage.run(&["run"]);
    assert!(refused.log.contains("rollback --clear-target --discard-changes"), "{refused:?}");
    let refused = stage.run(&["rollback", "--clear-target"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.log.contains("never found equal") && refused.log.contains("--discard-changes"),
        "{refused:?}"
    );
    assert_eq!(stage.target.sql("SELECT count(*) FROM books"), "200");
    let cleared = stage.run(&["rollback", "--clear-target", "--discard-changes"]);
    assert_eq!((cleared.code, &cleared.report["target_cleared"]), (Some(0), &true.into()), "{cleared:?}");
    assert_eq!(stage.target.sql(TABLES), "0");
    assert_eq!(stage.run(&["run"]).code, Some(0));
}

#[test]
fn a_rollback_without_a_record_is_refused() {
    let stage = Stage::set();
    let refused = stage.run(&["rollback"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.log.contains("has no record of a move"), "{refused:?}");
    assert!(!stage.state().exists());
}

/// It has all rows of the target, and a program that still uses it.
#[test]
fn the_copy_for_checks_of_a_killed_run_is_dropped_by_the_next_command() {
    let stage = Stage::set();
    let copies = || stage.target.sql("SELECT count(*) FROM pg_database WHERE datname LIKE '%\\_copy'");
    let endless = r#"services: [{ name: endless, command: [sh, -c, 'exec psql -X "$DATABASE_URL" -c "SELECT pg_sleep(600)"'] }]"#;
    for next in [&["run"][..], &["rollback", "--clear-target"]] {
        let checks = stage.checks(endless);
        let mut child = stage.command(&["run", "--hold", "--checks", &checks]).spawn().unwrap();
        harness::eventually("the program uses the copy", || stage.target.sql(SLEEPING) == "1");
        assert_eq!(copies(), "1");
        send(&child, "-KILL");
        child.wait().unwrap();
        let checks = stage.checks("services: [{ name: short, command: ['true'] }]");
        let more = if next == ["run"] { vec!["--checks", checks.as_str()] } else { Vec::new() };
        let done = stage.run(&[next, more.as_slice()].concat());
        assert_eq!((done.code, copies().as_str()), (Some(0), "0"), "{next:?}: {done:?}");
        assert_eq!(stage.target.sql(SLEEPING), "0", "{next:?}");
        if next == ["run"] {
            let cleared = stage.run(&["rollback", "--clear-target"]);
            assert_eq!(cleared.report["target_cleared"], true, "{cleared:?}");
        }
    }
}
