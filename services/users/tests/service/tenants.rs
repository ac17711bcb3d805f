//! `users tenants` names the tenants of existing people.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use kit::testing::{PrivatePostgres, TENANT};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use crate::app::{TestApp, legacy_row};

const BINARY: &str = env!("CARGO_BIN_EXE_users");
const OTHER: &str = "00000000-0000-7000-8000-000000000002";
const UNKNOWN: &str = "00000000-0000-7000-8000-0000000000ee";

fn id(number: usize) -> String {
    format!("00000000-0000-7000-8000-{number:012x}")
}

struct Tool<'a> {
    home: &'a Path,
    database_url: Option<&'a str>,
}

impl Tool<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(BINARY);
        command.env_clear().env("CUTOVER_HOME", self.home).arg("tenants").args(arguments);
        if let Some(url) = self.database_url {
            command.env("DATABASE_URL", url);
        }
        command
    }

    fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code().unwrap(), text(stdout), text(stderr))
    }

    fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let (code, out, err) = self.run(&[arguments, &["--json"]].concat());
        (code, serde_json::from_str(&out).expect(&err))
    }
}

async fn tenants_of(app: &TestApp) -> Vec<(String, Option<String>)> {
    let auth = app.edge.service("auth", "users");
    let mut all = Vec::new();
    for number in 1..=6 {
        let answer = app.call(&format!("GET /_/users/{}", id(number)), &auth, "").await;
        let person: Value = serde_json::from_str(&answer.body).unwrap();
        all.push((
            person["email"].as_str().unwrap().to_owned(),
            person["tenant_id"].as_str().map(str::to_owned),
        ));
    }
    all
}

fn listing(home: &Path) {
    let text = format!(
        "tenants:\n  - {{ id: {TENANT}, name: Demo, status: active }}\n  - {{ id: {OTHER}, name: Other, status: suspended }}\n"
    );
    std::fs::write(home.join("tenants.yaml"), text).unwrap();
}

async fn six_people(database_url: Option<String>) {
    let app = TestApp::on(database_url.clone()).await;
    listing(app.home.path());
    for number in 1..=6 {
        let domain = ["example.com", "Example.COM", "elsewhere.test"][number % 3];
        app.legacy_adds(&id(number), &format!("n{number}"), &format!("n{number}@{domain}")).await;
    }
    let tool = Tool { home: app.home.path(), database_url: database_url.as_deref() };
    let rule = format!("example.com={TENANT}");

    // A dry run counts and changes nothing.
    let (code, dry) = tool.json(&["--rule", &rule, "--dry-run"]);
    assert_eq!(
        (code, &dry["named"], &dry["without"], &dry["dry_run"]),
        (1, &json!(4), &json!(2), &json!(true))
    );
    assert_eq!(dry["by_tenant"], json!({ TENANT: 4 }));
    assert_eq!(dry["examples"][0], json!({ "id": id(1), "domain": "Example.COM", "tenant": TENANT }));
    assert!(tenants_of(&app).await.iter().all(|(_, tenant)| tenant.is_none()));
    let (_, text, progress) = tool.run(&["--rule", &rule, "--dry-run", "--batch", "2"]);
    assert!(text.contains("4 people would get a tenant") && text.contains("nothing was changed"), "{text}");
    assert!(progress.contains("6 of 6") && !text.contains("n1@"), "{progress} {text}");

    // Two rules, in batches that are smaller than the number of people.
    let (code, done) = tool.json(&["--rule", &rule, "--batch", "1"]);
    assert_eq!((code, &done["named"], &done["without"]), (1, &json!(4), &json!(2)));
    let (code, done) = tool.json(&["--rule", &rule, "--rule", &format!("*={OTHER}")]);
    assert_eq!((code, &done["named"], &done["without"]), (0, &json!(2), &json!(0)));
    for (email, tenant) in tenants_of(&app).await {
        let expected = if email.ends_with("elsewhere.test") { OTHER } else { TENANT };
        assert_eq!(tenant.as_deref(), Some(expected), "{email}");
    }
    let (code, again) = tool.json(&["--rule", &rule]);
    assert_eq!((code, &again["named"]), (0, &json!(0)));

    // A file: one person who has that tenant, one who has another, one who does not exist, and two who have none.
    for number in [7, 8] {
        app.legacy_adds(&id(number), &format!("n{number}"), &format!("n{number}@x")).await;
    }
    let map = app.home.path().join("map.csv");
    let lines = format!(
        "person,tenant\nn1@Example.COM,{TENANT}\n{},{OTHER}\nnobody@x,{TENANT}\nn7@x,{TENANT}\n{{\"id\":\"{}\",\"tenant\":\"{OTHER}\"}}\nn7@x,{OTHER}\n",
        id(1),
        id(8),
    );
    std::fs::write(&map, lines).unwrap();
    let map = map.to_str().unwrap();
    for (batch, dry) in [("500", true), ("1", true), ("2", false)] {
        let mut arguments = vec!["--map", map, "--batch", batch];
        if dry {
            arguments.push("--dry-run");
        }
        let (code, done) = tool.json(&arguments);
        assert_eq!((code, &done["named"], &done["already"]), (1, &json!(2), &json!(1)), "{done}");
        assert_eq!(done["unknown"], json!({ "count": 1, "lines": [4] }), "{done}");
    }
    let (code, done) = tool.json(&["--map", map]);
    assert_eq!((code, &done["named"], &done["already"]), (1, &json!(0), &json!(3)));
    assert_eq!(done["other"], json!({ "count": 2, "lines": [3, 7] }));

    // Tenants that do not exist are refused, with their lines, before anything changes.
    let bad = app.home.path().join("bad.csv");
    std::fs::write(&bad, format!("n1@x,{TENANT}\nn2@x,{UNKNOWN}\nn3,{TENANT}\n")).unwrap();
    let (code, _, err) = tool.run(&["--map", bad.to_str().unwrap()]);
    assert_eq!(code, 64, "{err}");
    for words in ["bad.csv: line 2", UNKNOWN, "does not exist", "bad.csv: line 3", "nothing was changed"] {
        assert!(err.contains(words), "{words:?} is missing in: {err}");
    }
    let (code, _, err) = tool.run(&["--rule", &format!("*={UNKNOWN}")]);
    assert!(code == 64 && err.contains(UNKNOWN), "{err}");
    for arguments in
        [&[][..], &["--rule", "x"], &["--rule", &rule, "--map", map], &["--map", map, "--batch", "0"]]
    {
        assert_eq!(tool.run(arguments).0, 2, "{arguments:?}");
    }
}

#[tokio::test]
async fn a_rule_and_a_file_name_tenants_on_sqlite() {
    six_people(None).await;
}

#[tokio::test]
async fn a_rule_and_a_file_name_tenants_on_postgresql() {
    let postgres = PrivatePostgres::start();
    six_people(Some(postgres.url())).await;
}

/// Enough that a run cannot end between its first line and the signal.
const CROWD: usize = 20_000;

async fn a_killed_run_goes_on(database_url: Option<String>) {
    let app = TestApp::on(database_url.clone()).await;
    listing(app.home.path());
    let database = app.database().await;
    for start in (0..CROWD).step_by(1_000) {
        let one = |number: usize| {
            legacy_row(
                database_url.is_none(),
                &id(0x10_0000 + number),
                &format!("c{number}"),
                &format!("c{number}@x"),
                "2022-01-31 17:12:00+00:00",
            )
        };
        let statements: Vec<String> = (start..start + 1_000).map(one).collect();
        database.execute_unprepared(&format!("BEGIN; {}; COMMIT", statements.join("; "))).await.unwrap();
    }
    let tool = Tool { home: app.home.path(), database_url: database_url.as_deref() };
    let rule = format!("*={TENANT}");
    let mut child = tool
        .command(&["--rule", &rule, "--batch", "10"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut progress = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    progress.read_line(&mut line).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    progress.read_to_string(&mut line).unwrap();
    assert!(line.starts_with("10 of 20000"), "{line}");
    let (code, rest) = tool.json(&["--rule", &rule]);
    let named = rest["named"].as_u64().unwrap();
    assert!(code == 0 && named > 0 && named < CROWD as u64, "{rest}");
    let without = sea_orm::Statement::from_string(
        database.get_database_backend(),
        "SELECT count(*) AS n FROM users WHERE tenant_id IS NULL".to_owned(),
    );
    let without: i64 = database.query_one_raw(without).await.unwrap().unwrap().try_get("", "n").unwrap();
    assert_eq!(without, 0);
}

#[tokio::test]
async fn a_run_that_was_killed_goes_on_where_it_stopped_on_sqlite() {
    a_killed_run_goes_on(None).await;
}

#[tokio::test]
async fn a_run_that_was_killed_goes_on_where_it_stopped_on_postgresql() {
    let postgres = PrivatePostgres::start();
    a_killed_run_goes_on(Some(postgres.url())).await;
}
