//! A database with all kinds of things that PostgreSQL can store is moved, and a damage of each is found.

use crate::stage::{Stage, ended};

const VARIED: &str = "
    CREATE SCHEMA \"An Other\";
    CREATE TABLE \"An Other\".measured (id int8 GENERATED ALWAYS AS IDENTITY, day date NOT NULL, c float8,
        f float8 GENERATED ALWAYS AS (c * 1.8 + 32) STORED, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE \"An Other\".measured_1 PARTITION OF \"An Other\".measured FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    CREATE TABLE \"An Other\".measured_2 PARTITION OF \"An Other\".measured DEFAULT;
    INSERT INTO \"An Other\".measured (day, c) SELECT date '2024-06-01' + n, n / 3.0 FROM generate_series(1, 400) AS n;
    CREATE DOMAIN port AS int4 CHECK (VALUE BETWEEN 1 AND 65535);
    CREATE TABLE servers (name text COLLATE \"C\" PRIMARY KEY, at port, tags text[], more jsonb, made timestamptz, raw bytea);
    INSERT INTO servers SELECT 'server ' || n, n, ARRAY['a', NULL, 'c\\\"d'], jsonb_build_object('n', n),
        '2022-01-31T17:12:00.123456Z', decode('00ff27', 'hex') FROM generate_series(1, 30) AS n;
    CREATE TABLE racks (place text) INHERITS (servers);
    INSERT INTO racks (name, place) VALUES ('server 1', 'left');
    CREATE UNLOGGED TABLE cached (key text, value text);
    INSERT INTO cached VALUES ('a', 'b');
    CREATE MATERIALIZED VIEW months AS SELECT date_trunc('month', day) AS month, count(*) AS days
        FROM \"An Other\".measured GROUP BY 1;
    CREATE VIEW recent AS SELECT * FROM servers WHERE at > 20;
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.made := now(); RETURN NEW; END $$;
    CREATE TRIGGER touched BEFORE UPDATE ON servers FOR EACH ROW EXECUTE FUNCTION touch();
    ALTER TABLE visits ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY mine ON visits TO reader USING (seen = 1);
    CREATE SEQUENCE numbers AS int2 START 7 CYCLE;
    SELECT nextval('numbers');
    COMMENT ON TABLE servers IS 'the servers'";

const DAMAGES: &[(&str, &str)] = &[
    (
        "UPDATE \"An Other\".measured SET c = c + 1 WHERE id = 300",
        "row \"An Other\".measured_2 (300,2025-03-28)",
    ),
    ("UPDATE racks SET place = 'right'", "row public.racks"),
    ("UPDATE servers SET tags[2] = 'b' WHERE name = 'server 9'", "row public.servers (\"server 9\")"),
    ("UPDATE cached SET value = 'c'", "row public.cached"),
    (
        "INSERT INTO \"An Other\".measured (day) VALUES ('2024-01-02'); REFRESH MATERIALIZED VIEW months",
        "public.months",
    ),
    ("CREATE OR REPLACE VIEW recent AS SELECT * FROM servers WHERE at > 21", "view public.recent"),
    ("ALTER TABLE servers DISABLE TRIGGER touched", "trigger public.servers.touched"),
    ("ALTER POLICY mine ON visits USING (seen = 2)", "policy public.visits.mine"),
    ("ALTER TABLE visits NO FORCE ROW LEVEL SECURITY", "table public.visits"),
    ("ALTER DOMAIN port DROP CONSTRAINT port_check", "constraint public.port.port_check"),
    ("SELECT nextval('numbers')", "sequence value public.numbers"),
    ("COMMENT ON TABLE servers IS 'other servers'", "comment public.servers"),
    (
        "ALTER TABLE \"An Other\".measured DETACH PARTITION \"An Other\".measured_2",
        "table \"An Other\".measured_2",
    ),
    ("ALTER TABLE \"An Other\".measured ALTER f DROP EXPRESSION", "column \"An Other\".measured.f"),
];

#[test]
fn whatever_a_database_has_is_moved_and_compared() {
    let stage = Stage::set();
    for server in [&stage.source, &stage.target] {
        server.sql("CREATE ROLE reader LOGIN");
    }
    stage.source.sql(VARIED);
    let planned = stage.run(&["plan"]);
    assert_eq!(planned.code, Some(0), "{planned:?}");
    assert!(planned.report["notes"].to_string().contains("materialized views"), "{planned:?}");
    let moved = stage.run(&["run", "--hold"]);
    assert_eq!((moved.code, moved.differences()), (Some(0), Vec::new()), "{moved:?}");
    for (damage, expected) in DAMAGES {
        stage.target.sql("CREATE DATABASE damaged TEMPLATE postgres");
        let address = format!("postgres://postgres@127.0.0.1:{}/damaged", stage.target.port());
        stage.target.sql_in("damaged", damage);
        let found = stage.run(&["verify", "--target", &address]);
        let differences = found.differences();
        assert_eq!(found.code, Some(1), "{damage}: {found:?}");
        assert!(differences.iter().any(|one| one.contains(expected)), "{damage}: {differences:?}");
        stage.target.sql("DROP DATABASE damaged");
    }
}

#[test]
fn rows_that_a_policy_hides_from_the_user_are_never_taken_for_equal() {
    let stage = Stage::set();
    for server in [&stage.source, &stage.target] {
        server.sql("CREATE ROLE reader LOGIN; ALTER ROLE reader SET row_security = on");
    }
    stage.source.sql(
        "ALTER TABLE visits ENABLE ROW LEVEL SECURITY; CREATE POLICY mine ON visits TO reader USING (seen = 1)",
    );
    assert_eq!(stage.run(&["run"]).code, Some(0));
    stage.target.sql("UPDATE visits SET path = '/other' WHERE seen = 0");
    for server in [&stage.source, &stage.target] {
        server.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO reader");
    }
    let mut verified = stage.command(&["verify"]);
    let as_reader = |url: String| url.replace("postgres@", "reader@");
    verified.env("DB_MIGRATE_SOURCE", as_reader(stage.source.url()));
    let verified = ended(verified.env("DB_MIGRATE_TARGET", as_reader(stage.target.url())).spawn().unwrap());
    assert_eq!(verified.code, Some(1), "{verified:?}");
    assert!(verified.log.contains("row-level security"), "{verified:?}");
}
