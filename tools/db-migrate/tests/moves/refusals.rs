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
    stage.source.sql("CREATE ROLE everywhere; ALTER ROLE everywhere SET default_transaction_read_only = off");
    // An extension that the target's server does not offer: both run the same programs, so it gets another name.
    stage
        .source
        .sql("CREATE EXTENSION pg_trgm; UPDATE pg_extension SET extname = 'rare' WHERE extname = 'pg_trgm'");
    stage.source.sql("SELECT lo_create(0)");
    stage.source.sql("ALTER ROLE postgres SET allow_in_place_tablespaces = on");
    stage.source.sql("CREATE TABLESPACE fast LOCATION ''");
    stage.source.sql(
        "CREATE TABLE quick () TABLESPACE fast; CREATE POLICY writes ON visits TO writer;
         CREATE SUBSCRIPTION follows CONNECTION 'host=127.0.0.1 port=1' PUBLICATION p WITH (connect = false, slot_name = 's');
         ALTER SUBSCRIPTION follows ENABLE",
    );
    for command in ["plan", "run"] {
        let refused = stage.run(&[command]);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        for text in [
            "is not empty",
            "ALTER ROLE writer IN DATABASE postgres RESET default_transaction_read_only",
            "ALTER ROLE everywhere  RESET default_transaction_read_only",
            "lacks the extension rare",
            "1 large objects",
            "lacks the role writer",
            "lacks the tablespace fast",
            "ALTER SUBSCRIPTION follows DISABLE",
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
    let (own, other) =
        (format!("127.0.0.1:{}", stage.source.port()), format!("localhost:{}", stage.source.port()));
    let run = |command: &[&str], target: &str| {
        let mut same = stage.command(command);
        same.env("DB_MIGRATE_TARGET", stage.source.url().replace("127.0.0.1", target));
        crate::stage::ended(same.spawn().unwrap())
    };
    for (command, target) in
        ["plan", "run", "verify"].into_iter().flat_map(|one| [(one, "127.0.0.1"), (one, "localhost")])
    {
        let same = run(&[command], target);
        assert_eq!((same.code, &same.report), (Some(64), &serde_json::Value::Null), "{command}: {same:?}");
        let target = format!("the target {target}:{}/postgres", stage.source.port());
        for text in [&format!("the source {own}/postgres"), &target, "the same database"] {
            assert!(same.log.contains(text), "{command}: {text:?} is missing in {same:?}");
        }
    }
    // The record of an earlier version, which did not look.
    let steps = serde_json::json!({
        "version": 1, "source": format!("{own}/postgres"), "target": format!("{other}/postgres"), "frozen": null, "dump": null,
        "restoring": true, "restored": true, "content": null,
    });
    std::fs::create_dir_all(stage.state()).unwrap();
    std::fs::write(stage.state().join("state.json"), steps.to_string()).unwrap();
    let same = run(&["rollback", "--clear-target", "--discard-changes"], "localhost");
    assert_eq!(same.code, Some(64), "{same:?}");
    assert_eq!(stage.source.sql("SELECT count(*) FROM books"), "200");
    std::fs::remove_file(stage.state().join("state.json")).unwrap();

    let old = stage.programs("echo 'pg_dump (PostgreSQL) 12.22'", "echo 'pg_restore (PostgreSQL) 11.2'");
    let refused = stage.run(&["run", "--pg-bin", &old]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for text in ["pg_dump 12 cannot dump a server of version", "pg_restore 11 is older than pg_dump 12"] {
        assert!(refused.log.contains(text), "{refused:?}");
    }
    let missing = stage.run(&["run", "--pg-bin", "/nowhere"]);
    assert!(missing.log.contains("install the client programs of PostgreSQL"), "{missing:?}");
}

#[test]
fn two_databases_of_one_server_are_two() {
    let stage = Stage::set();
    stage.source.sql("CREATE DATABASE other");
    let address = format!("postgres://postgres@127.0.0.1:{}/other", stage.source.port());
    let moved = stage.run(&["run", "--target", &address]);
    assert_eq!((moved.code, moved.differences().len()), (Some(0), 0), "{moved:?}");
    let cleared = stage.run(&["rollback", "--clear-target", "--target", &address]);
    assert_eq!((cleared.code, &cleared.report["target_cleared"]), (Some(0), &true.into()), "{cleared:?}");
    assert_eq!(stage.source.sql("SELECT count(*) FROM books"), "200");
}

#[test]
fn a_standby_is_no_target_until_it_is_promoted() {
    let stage = Stage::set();
    let standby = stage.source.standby();
    harness::eventually("the standby has the rows", || standby.sql("SELECT count(*) FROM visits") == "52");
    let address = standby.url();
    let refused = stage.run(&["verify", "--target", &address]);
    assert_eq!(refused.code, Some(64), "{refused:?}");
    assert!(refused.log.contains("a database and its standby"), "{refused:?}");
    let other = stage.target.standby();
    for (flag, address, text) in
        [("--source", &address, "name the primary"), ("--target", &other.url(), "takes no writes")]
    {
        let planned = stage.run(&["plan", flag, address]);
        assert_eq!(planned.code, Some(1), "{planned:?}");
        assert!(planned.report["faults"].to_string().contains(text), "{planned:?}");
    }
    standby.promote();
    let verified = stage.run(&["verify", "--target", &address]);
    assert_eq!((verified.code, verified.differences().len()), (Some(0), 0), "{verified:?}");
}

#[test]
fn a_target_of_another_encoding_or_without_writes_is_refused() {
    let stage = Stage::set();
    stage.target.sql("CREATE DATABASE old TEMPLATE template0 ENCODING 'LATIN1'");
    stage.target.sql("ALTER DATABASE old SET default_transaction_read_only = on");
    let address = format!("postgres://postgres@127.0.0.1:{}/old", stage.target.port());
    let refused = stage.run(&["run", "--target", &address]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for text in ["create the target with ENCODING 'UTF8'", "/old is read-only"] {
        assert!(refused.log.contains(text), "{text:?} is missing in {refused:?}");
    }
    stage.source.sql("ALTER SYSTEM SET max_prepared_transactions = 1");
    stage.source.kill();
    stage.source.restart();
    stage.source.sql("BEGIN; INSERT INTO visits VALUES ('/prepared', 1); PREPARE TRANSACTION 'later'");
    let planned = stage.run(&["plan"]);
    assert!(planned.report["faults"].to_string().contains("the prepared transaction 'later'"), "{planned:?}");
    stage.source.sql("ROLLBACK PREPARED 'later'");
    assert_eq!(stage.run(&["run"]).code, Some(0));
}

#[test]
fn what_would_fail_only_at_the_end_is_found_before_the_source_is_frozen() {
    let stage = Stage::set();
    stage.source.sql("CREATE ROLE reader LOGIN");
    stage.target.sql("CREATE ROLE reader LOGIN");
    let name = "an_application_with_a_name_of_more_than_forty_seven_bytes";
    stage.target.sql(&format!("CREATE DATABASE {name} OWNER reader"));
    let checks = stage.checks(
        "services: [{ name: one, command: [a-missing-program] }, { name: two, command: [/nowhere/program] }, { name: three, \
         command: [sh] }]",
    );
    let [source, target] = [(&stage.source, "postgres"), (&stage.target, name)]
        .map(|(server, name)| format!("postgres://reader@127.0.0.1:{}/{name}", server.port()));
    let refused = stage.run(&["run", "--checks", &checks, "--source", &source, "--target", &target]);
    assert_eq!((refused.code, &refused.report), (Some(1), &serde_json::Value::Null), "{refused:?}");
    for text in [
        "does not own that database",
        "longer than 63 bytes",
        "`a-missing-program` of the checks of `one` is not found",
        "`/nowhere/program` of the checks of `two` is not found",
        "may not create the copy for the checks",
    ] {
        assert!(refused.log.contains(text), "{text:?} is missing in {refused:?}");
    }
    assert!(!refused.log.contains("`three`"), "{refused:?}");
    assert_eq!(stage.run(&["run", "--checks", "/nowhere/checks.yaml"]).code, Some(64));
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
  - { name: writes, sql: \"SELECT setval('book_tags_id_seq', 5)\", expect: '5' }
  - { name: nothing, sql: SELECT id FROM books WHERE id < 0, expect: nothing }
  - { name: it fails, sql: SELECT 1 / 0, expect: '0' }
  - { name: there are still books, sql: SELECT count(*) FROM books;, expect: '200' }
services:
  - { name: broken, command: [sh, -c, 'echo no such column >&2; exit 1'] }
",
    );
    let moved = stage.run(&["run", "--checks", &checks]);
    assert_eq!(moved.code, Some(1), "{moved:?}");
    let failed = &moved.report["failed_checks"];
    let names: Vec<_> = failed.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["there are books", "writes", "nothing", "it fails", "migrations of broken"]);
    assert_eq!(failed[0]["found"], r#""false" instead of "true""#);
    for (number, text) in [(1, "read-only"), (2, "nothing"), (3, "division by zero"), (4, "no such column")] {
        assert!(failed[number]["found"].as_str().unwrap().contains(text), "{text:?} is missing in {failed}");
    }
    let position = "SELECT last_value FROM book_tags_id_seq";
    assert_eq!(stage.target.sql(position), "20");
    assert_eq!(stage.target.sql("SELECT count(*) FROM books"), "200");
    assert_eq!(stage.target.sql("SELECT count(*) FROM pg_database WHERE datname LIKE '%copy'"), "0");
    let unknown = stage.checks("check: []");
    assert_eq!(stage.run(&["verify", "--checks", &unknown]).code, Some(64));
}
