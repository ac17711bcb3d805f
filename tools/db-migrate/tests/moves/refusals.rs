//! What a move refuses before anything changes, and checks of the application.

use crate::stage::Stage;

#[test]
fn a_plan_names_all_faults_and_changes_nothing() {
    let stage = Stage::set();
    let planned = stage.run(&["plan"]);
    assert_eq!((planned.code, &planned.report["faults"]), (Some(0), &serde_json::json!([])), "{planned:?}");
    assert_eq!(planned.report["tables"].as_array().unwrap().len(), 14);
    stage.target.sql("CREATE TABLE taken ()");
    stage.source.sql(
        "CREATE ROLE writer; ALTER ROLE writer IN DATABASE postgres SET default_transaction_read_only = off",
    );
    stage.source.sql("SELECT lo_create(0)");
    for command in ["plan", "run"] {
        let refused = stage.run(&[command]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        for text in [
            "is not empty",
            "ALTER ROLE writer IN DATABASE postgres RESET default_transaction_read_only",
            "1 large objects",
        ] {
            let found = format!("{}{}", refused.report, refused.log);
            assert!(found.contains(text), "{text:?} is missing in {found}");
        }
    }
    assert!(stage.source_takes_writes());
    assert_eq!(
        stage.target.sql("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"),
        "1"
    );
}

#[test]
fn the_same_database_and_an_older_program_are_refused() {
    let stage = Stage::set();
    let mut same = stage.command(&["plan"]);
    same.env("DB_MIGRATE_TARGET", stage.source.url().replace("127.0.0.1", "localhost"));
    let same = crate::stage::ended(same.spawn().unwrap());
    assert!(same.report["faults"].to_string().contains("the same database"), "{same:?}");

    let old = stage.directory.path().join("old");
    std::fs::create_dir(&old).unwrap();
    for name in ["pg_dump", "pg_restore"] {
        let program = old.join(name);
        std::fs::write(&program, format!("#!/bin/sh\necho '{name} (PostgreSQL) 12.22'\n")).unwrap();
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let refused = stage.run(&["run", "--pg-bin", old.to_str().unwrap()]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.log.contains("pg_dump 12 cannot dump a server of version"), "{refused:?}");
    let missing = stage.run(&["run", "--pg-bin", "/nowhere"]);
    assert!(missing.log.contains("install the client programs of PostgreSQL"), "{missing:?}");
}

#[test]
fn a_password_is_never_an_argument() {
    let stage = Stage::set();
    let refused = stage.run(&["plan", "--source", "postgres://me:s3cret@127.0.0.1/app"]);
    assert_eq!(refused.code, Some(64), "{refused:?}");
    assert!(!refused.log.contains("s3cret"), "{refused:?}");
}

#[test]
fn a_server_that_wants_passwords_gets_them_from_a_file_or_the_environment() {
    let rules = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n";
    let stage = Stage::set();
    let guarded = kit::testing::PrivatePostgres::start_with("", Some(rules), &[]);
    guarded.sql("CREATE ROLE owner LOGIN SUPERUSER PASSWORD 's3cret'");
    let address =
        |password: &str| format!("postgres://owner{password}@127.0.0.1:{}/postgres", guarded.port());
    let passwords = stage.directory.path().join("pgpass");
    secret_file::write(&passwords, format!("127.0.0.1:{}:*:owner:s3cret\n", guarded.port()).as_bytes())
        .unwrap();
    let mut moved = stage.command(&["run", "--target", &address("")]);
    let moved = crate::stage::ended(moved.env("PGPASSFILE", &passwords).spawn().unwrap());
    assert_eq!(moved.code, Some(0), "{moved:?}");
    let mut verified = stage.command(&["verify"]);
    let verified =
        crate::stage::ended(verified.env("DB_MIGRATE_TARGET", address(":s3cret")).spawn().unwrap());
    assert_eq!(verified.code, Some(0), "{verified:?}");
    let wrong = stage.run(&["verify", "--target", &address("")]);
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
}

#[test]
fn a_check_that_does_not_hold_is_a_failed_move() {
    let stage = Stage::set();
    let checks = stage.checks(
        "checks:
  - { name: every like has its person, sql: 'SELECT count(*) FROM likes_book l LEFT JOIN users u ON u.id = l.user_id WHERE u.id IS NULL', expect: '0' }
  - { name: there are books, sql: SELECT count(*) > 1000 FROM books, expect: 'true' }
  - { name: writes, sql: 'WITH gone AS (DELETE FROM books RETURNING 1) SELECT count(*) FROM gone', expect: '0' }
services:
  - { name: broken, command: [sh, -c, 'echo no such column >&2; exit 1'] }
",
    );
    let moved = stage.run(&["run", "--checks", &checks]);
    assert_eq!(moved.code, Some(1), "{moved:?}");
    let failed = &moved.report["failed_checks"];
    let names: Vec<_> = failed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["there are books", "writes", "migrations of broken"]);
    assert_eq!(failed[0]["found"], r#""false" instead of "true""#);
    assert!(failed[2]["found"].as_str().unwrap().contains("no such column"), "{failed}");
    assert_eq!(stage.target.sql("SELECT count(*) FROM books"), "200");
    assert_eq!(stage.target.sql("SELECT count(*) FROM pg_database WHERE datname LIKE '%copy'"), "0");
    let unknown = stage.checks("check: []");
    assert_eq!(stage.run(&["verify", "--checks", &unknown]).code, Some(64));
}
