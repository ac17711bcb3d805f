//! An edge with every service on its older surface, beside the legacy sample with the same people, books and pictures.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use harness::tokens::DEMO_TENANT;
use harness::wire::{Answer, Request};
use harness::{Edge, EdgeBuilder, Port, Process, SESSION_COOKIE, program, repository};
use serde_json::{Value, json};

use super::pictures;

/// A tenant that the shipped edge does not have.
const OTHER_TENANT: &str = "00000000-0000-7000-8000-000000000003";

/// A person: name, end of the id, role, tenant.
type Person = (&'static str, &'static str, u8, &'static str);

/// Who sends the set, beside the stranger without a session.
pub(crate) const PRINCIPALS: [Person; 4] = [
    ("demo", "a0", 0, DEMO_TENANT),
    ("dev", "a1", 1, DEMO_TENANT),
    ("bot", "a2", 2, DEMO_TENANT),
    ("elsewhere", "a4", 0, OTHER_TENANT),
];

/// Gets the codes of the set.
const MAIL: Person = ("mail", "a5", 0, DEMO_TENANT);

/// The book with pictures on the file host.
const BOOK: u32 = 7;

pub(crate) struct Stage {
    pub(crate) edge: Edge,
    /// The header lines of each principal.
    principals: tempfile::TempDir,
    _image: (Port, Process),
    _people: tempfile::TempDir,
}

impl Stage {
    /// Starts all of it, on PostgreSQL with a `database`, and signs every principal in.
    pub(crate) fn start(database: Option<&str>) -> Self {
        Self::start_with(database, |edge| edge)
    }

    /// The same with a changed edge.
    pub(crate) fn start_with(
        database: Option<&str>,
        change: impl FnOnce(EdgeBuilder) -> EdgeBuilder,
    ) -> Self {
        let people = tempfile::tempdir().expect("a temporary directory");
        let (old, new) = (people.path().join("legacy.json"), people.path().join("users.yaml"));
        let all = || PRINCIPALS.into_iter().chain([MAIL]);
        let list: Vec<String> = all().map(of_legacy).collect();
        std::fs::write(&old, format!("[{}]", list.join(","))).expect("it is writable");
        // JSON is YAML.
        let seed = json!({ "people": all().map(of_users).collect::<Vec<_>>() });
        std::fs::write(&new, seed.to_string()).expect("it is writable");

        let image = Port::lease();
        let mut edge = Edge::shipped("dev")
            // A busy machine can miss the deadline of a decision, which is a 503.
            .replace("timeout_ms: 200", "timeout_ms: 5000")
            .stand_in("IMAGE_ADDRESS", image.address())
            .prepare(one_more_tenant)
            .variable("LEGACY_PEOPLE", &old.display().to_string())
            .variable("USERS_SEED", &new.display().to_string())
            .variable("USERS_SURFACE", "older")
            .variable("AUTH_SURFACE", "older");
        if let Some(url) = database {
            edge = edge.variable("DATABASE_URL", url);
        }
        let edge = change(edge).start();
        let process = pictures::start(&edge, &image);
        let principals = tempfile::tempdir().expect("a temporary directory");
        let stage = Self { principals, edge, _image: (image, process), _people: people };
        stage.copy_pictures();
        // The sample takes a caller without this header for a service. The edge removes it, and writes its own.
        let public = "x-madome-public-access: true\n";
        for (name, ..) in PRINCIPALS {
            let token = stage.sign_in(name);
            stage.write_principal(name, &format!("cookie: {SESSION_COOKIE}={token}\n{public}"));
        }
        stage.write_principal("stranger", public);
        stage
    }

    /// The report of `cutover contract verify` about the requests of `contracts/whole/{set}`, as each of `principals`; empty
    /// when every answer is equal.
    pub(crate) fn verify(&self, set: &str, principals: &[&str], rules: &str) -> String {
        let whole = repository().join("contracts/whole");
        let mut command = Command::new(program("cutover"));
        command.args(["contract", "verify", "--against", &format!("http://{}", self.edge.public())]);
        command.args(["--direct", &format!("http://{}", self.edge.address("LEGACY_ADDRESS"))]);
        command.arg("--requests").arg(whole.join(set)).arg("--rules").arg(whole.join(rules));
        for name in principals {
            command.arg("--as").arg(self.principals.path().join(format!("{name}.headers")));
        }
        let output = command.output().expect("cutover can be started");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() { String::new() } else { said + &String::from_utf8_lossy(&output.stderr) }
    }

    /// A request to the legacy sample as from outside, or to the edge.
    pub(crate) fn request(&self, is_legacy: bool, method: &str, target: &str) -> Request {
        if is_legacy {
            let request = Request::new(self.edge.address("LEGACY_ADDRESS"), method, target);
            request.header("x-madome-public-access", "true")
        } else {
            self.edge.request(method, target)
        }
    }

    /// The newest code that was mailed to `email`.
    pub(crate) fn login_code(&self, email: &str) -> String {
        self.edge.login_code(email)
    }

    /// A request for `target` with the session of this principal, to the legacy sample or to the edge.
    pub(crate) fn signed_in(&self, is_legacy: bool, principal: &str, target: &str) -> Request {
        self.request(is_legacy, "GET", target).header("cookie", self.cookie(principal))
    }

    /// What the edge answers when this principal creates a person.
    pub(crate) fn create_a_person(&self, principal: &str) -> Answer {
        let request = self.edge.request("POST", "/users").header("cookie", self.cookie(principal));
        let request = request.header("content-type", "application/json");
        request.body(r#"{"name":"Last","email":"last@example.com"}"#).send()
    }

    /// The `Cookie` of this principal.
    pub(crate) fn cookie(&self, principal: &str) -> String {
        let file = self.principals.path().join(format!("{principal}.headers"));
        let lines = std::fs::read_to_string(file).expect("it was written");
        lines.lines().find_map(|line| line.strip_prefix("cookie: ")).expect("a session").to_owned()
    }

    fn write_principal(&self, name: &str, lines: &str) {
        let file = self.principals.path().join(format!("{name}.headers"));
        std::fs::write(&file, lines).expect("it is writable");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("the test owns it");
    }

    /// The access token of a session of the auth service. The sample accepts it, too: it checks sessions through the edge.
    fn sign_in(&self, name: &str) -> String {
        let email = format!("{name}@example.com");
        let post = |path: &str, body: Value| self.edge.request("POST", path).body(body.to_string()).send();
        assert_eq!(post("/auth/code", json!({ "email": email })).status, 201, "{name}");
        let code = self.edge.login_code(&email);
        let answer = post("/auth/token", json!({ "email": email, "code": code }));
        answer.cookie(SESSION_COOKIE).expect("a session")
    }

    /// Puts the sample's pictures where the image service reads them.
    fn copy_pictures(&self) {
        let directory = pictures::root(&self.edge).join(format!("image/library/{BOOK}"));
        std::fs::create_dir_all(&directory).expect("the home is writable");
        let get = |name: &str| {
            let target = format!("/image/library/{BOOK}/{name}");
            let request = Request::new(self.edge.address("LEGACY_ADDRESS"), "GET", target);
            let answer = request.host("file.dev-domain.test").send();
            assert_eq!(answer.status, 200, "{name}: {answer:?}");
            answer.body
        };
        let names: Vec<String> = serde_json::from_slice(&get("image_list")).expect("a list of names");
        for name in names.iter().map(String::as_str).chain(["image_list.txt"]) {
            let mut file = File::create(directory.join(name)).expect("the home is writable");
            file.write_all(&get(name)).expect("the home is writable");
            // 31 January 2022, 17:12: the sample's `Last-Modified`.
            file.set_modified(UNIX_EPOCH + Duration::from_secs(1_643_649_120)).expect("the test owns it");
        }
    }
}

fn whole_id(end: &str) -> String {
    format!("00000000-0000-7000-8000-0000000000{end}")
}

/// The sample answers with the fields in this order.
fn of_legacy((name, id, role, _): Person) -> String {
    let (id, at) = (whole_id(id), "2022-01-31T17:12:00.123Z");
    format!(
        r#"{{"id":"{id}","email":"{name}@example.com","name":"{name}","role":{role},"created_at":"{at}","updated_at":"{at}"}}"#
    )
}

fn of_users((name, id, role, tenant): Person) -> Value {
    json!({
        "id": whole_id(id), "email": format!("{name}@example.com"), "name": name, "handle": name, "role": role,
        "tenant": tenant,
    })
}

fn one_more_tenant(home: &Path) {
    let file = home.join("tenants.yaml");
    let text = std::fs::read_to_string(&file).expect("the tenants are readable");
    let line = format!("  - {{ id: {OTHER_TENANT}, name: other, status: active }}\n");
    std::fs::write(&file, text + &line).expect("the home is writable");
}
