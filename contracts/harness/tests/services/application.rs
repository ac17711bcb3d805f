//! The web application as a person uses it: Debian's Chromium, driven by Playwright, over TLS, with the cookies that
//! the auth service sets; and its files, which pass the edge byte for byte.
#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine as _;
use harness::tls::Tunnel;
use harness::tokens::now;
use harness::wire::{Answer, Request};
use harness::{Edge, Port, Process, eventually, program, repository, venv};
use serde_json::{Value, json};

/// Method, target, headers of a request, and the status of its answer.
type Case = (&'static str, String, Vec<(&'static str, &'static str)>, u16);

const HOST: &str = "cutover.localhost";

/// Builds the application into `to`, with `environment` beside that of the test.
fn try_build(to: &Path, environment: &[(&str, &str)]) -> Output {
    let application = repository().join("apps/web");
    let vite = application.join("node_modules/vite");
    assert!(vite.exists(), "{} is missing: `make setup` installs it", vite.display());
    Command::new("npm")
        .args(["run", "build", "--silent", "--", "--logLevel", "warn", "--outDir"])
        .arg(to)
        .current_dir(application)
        .envs(environment.iter().copied())
        .output()
        .expect("npm can be started (`make setup` says what is missing)")
}

fn build(to: &Path, environment: &[(&str, &str)]) {
    let output = try_build(to, environment);
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The shipped edge of the application, with a build that calls it.
struct Application {
    // Dropped first: it reads the build in the edge's home.
    _web: Process,
    edge: Edge,
    encrypted: Port,
    direct: Port,
}

impl Application {
    fn start() -> Self {
        let (encrypted, direct) = (Port::lease(), Port::lease());
        let port = encrypted.address().port();
        let edge = Edge::shipped("web")
            .replace("https://cutover.localhost:8443\"", &format!("https://{HOST}:{port}\""))
            // Enough for one sign-in and one more code.
            .replace(
                "codes: { per: address, rate: 30, seconds: 60, burst: 60 }",
                "codes: { per: address, rate: 1, seconds: 3600, burst: 2 }",
            )
            .variable("EDGE_TLS_ADDRESS", &encrypted.address().to_string())
            .stand_in("WEB_ADDRESS", direct.address())
            .variable("EDGE_NAME", "web")
            .variable("ROOT_DOMAIN", HOST)
            .variable("TOKEN_ISSUER", &format!("https://api.{HOST}/auth"))
            .variable("TOKEN_AUDIENCE", &format!("https://api.{HOST}"))
            .start();
        let root = edge.home().join("dist");
        build(&root, &[("VITE_API_ORIGIN", &format!("https://api.{HOST}:{port}"))]);
        let mut command = Command::new(program("web"));
        command.env("WEB_ADDRESS", direct.address().to_string()).env("WEB_ROOT", &root);
        let web = Process::start("web", &mut command, &edge.home().join("logs/web.log"));
        let ready = Request::new(direct.address(), "GET", "/readyz");
        eventually("the application is served", || ready.try_send().is_ok_and(|answer| answer.status == 200));
        Self { _web: web, edge, encrypted, direct }
    }

    fn root(&self) -> PathBuf {
        self.edge.home().join("dist")
    }

    fn tunnel(&self) -> Tunnel {
        Tunnel::to(self.encrypted.address(), &self.edge.home().join("certs/edge.pem"))
    }

    /// What a person sees. The expired token is one of the same session, as if four hours had passed.
    fn used(&self) -> Value {
        let python = venv().join("bin/python");
        for (path, fix) in [
            (python.as_path(), "`make setup` makes the Python environment"),
            (Path::new("/usr/bin/chromium"), "`make setup` installs it (Debian: apt-get install chromium)"),
        ] {
            assert!(path.exists(), "{} is missing: {fix}", path.display());
        }
        let port = self.encrypted.address().port();
        let mut plan = json!({
            "web": format!("https://{HOST}:{port}"),
            "api": format!("https://api.{HOST}:{port}"),
            "mail": self.edge.home().join("mail/demo@example.com"),
        });
        if let Some(pictures) = std::env::var_os("CUTOVER_PICTURES") {
            plan["pictures"] = json!(PathBuf::from(pictures));
        }
        let mut child = Command::new(python)
            .arg(repository().join("contracts/harness/tests/services/application/person.py"))
            .arg(plan.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python can be started");
        let mut said = BufReader::new(child.stdout.take().expect("its output is piped"));
        let mut token = String::new();
        said.read_line(&mut token).expect("its output is text");
        if let Some(expired) = self.expired(token.trim()) {
            let mut answer = child.stdin.take().expect("its input is piped");
            writeln!(answer, "{expired}").expect("it reads the token");
        }
        let mut rest = String::new();
        said.read_to_string(&mut rest).expect("its output is text");
        let output = child.wait_with_output().expect("it ends");
        assert!(
            output.status.success(),
            "the person failed (`make setup` installs Playwright): {}",
            text(&output.stderr)
        );
        serde_json::from_str(&rest).expect("it prints JSON")
    }

    fn expired(&self, token: &str) -> Option<String> {
        let claims = token.split('.').nth(1)?;
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(claims).ok()?;
        let mut claims: Value = serde_json::from_slice(&claims).ok()?;
        claims["iat"] = json!(now() - 18_000);
        claims["exp"] = json!(now() - 3_600);
        let mint = self.edge.mint();
        Some(mint.sign(&mint.header(), &claims))
    }
}

#[test]
fn a_person_uses_the_application() {
    let application = Application::start();
    let seen = application.used();
    let is = |pointer: &str, expected: Value| {
        assert_eq!(seen.pointer(pointer), Some(&expected), "{pointer}: {seen:#}");
    };

    // A deep link needs a session, which begins in the page's place, at the same address.
    is("/deep_link", json!([200, "/books/3"]));
    is("/wrong_code", json!("This code is not valid. Check it, or request another."));
    is("/signed_in", json!("/books/3"));
    for name in ["madome_access_token", "madome_refresh_token"] {
        for (what, expected) in [
            ("domain", json!(format!(".{HOST}"))),
            ("secure", json!(true)),
            ("httpOnly", json!(true)),
            ("sameSite", json!("Lax")),
        ] {
            is(&format!("/cookies/{name}/{what}"), expected);
        }
    }
    is("/cookies/madome_refresh_token/path", json!("/auth/token"));
    is("/script_reads", json!(""));

    // Addresses are kept by a reload, and by back and forward.
    is("/reloaded", json!("/books/3"));
    is("/reader", json!("/books/3/reader?page=2"));
    is("/back", json!("/books/3"));
    is("/forward", json!("/books/3/reader"));
    let pages = seen["pages"].as_object().expect("there are pages");
    assert_eq!(pages.len(), 12);
    for (path, answered) in pages {
        assert_eq!(answered, &json!([200, path]), "{path}");
    }

    // The session outlives its access token, and ends when the person says so.
    is("/renewed", json!("/histories"));
    is("/is_new_token", json!(true));
    is("/missing_asset", json!(404));
    // The recorded lines of a sign-out leave this one in the browser. Its session has ended: the next page asks for a sign-in.
    is("/cookies_after", json!(["madome_refresh_token"]));
    is("/signed_out", json!("/books"));
    let wait =
        seen["too_often"].as_str().and_then(|text| text.strip_prefix("Too many attempts. Try again in "));
    let minutes = wait.and_then(|text| text.strip_suffix(" minutes.")?.parse::<u32>().ok());
    assert!(minutes.is_some_and(|count| (2..=60).contains(&count)), "{seen:#}");

    // The console has the refusals of the API that the steps above provoke, and nothing else.
    let refused = |status: &str, address: &str| {
        json!(format!(
            "error: Failed to load resource: the server responded with a status of {status} () https://{address}"
        ))
    };
    let api = format!("api.{HOST}");
    let mut expected = vec![
        // Without a session: who is it, and can it be renewed.
        refused("401", &format!("{api}/users/@me")),
        refused("401", &format!("{api}/auth/token")),
        // The wrong code.
        refused("404", &format!("{api}/auth/token")),
        // The expired token.
        refused("401", &format!("{api}/users/@me/histories")),
        refused("404", &format!("{HOST}/assets/index-OLD.js")),
        refused("429", &format!("{api}/auth/code")),
    ];
    expected.sort_by_key(Value::to_string);
    is("/console", json!(expected));
}

/// The headers of an answer, without those that differ from one answer to the next or that a connection has.
fn lasting(answer: &Answer) -> Vec<(String, String)> {
    let lines = answer.headers.iter().map(|(name, value)| (text(name), text(value)));
    lines.filter(|(name, _)| !["date", "connection"].contains(&name.to_ascii_lowercase().as_str())).collect()
}

#[test]
fn the_files_of_the_application_pass_the_edge_unchanged() {
    let application = Application::start();
    let tunnel = application.tunnel();
    let ask = |address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]| {
        let request = Request::new(address, method, target).host(HOST);
        headers.iter().fold(request, |request, (name, value)| request.header(name, value)).send()
    };
    let assets: Vec<String> = std::fs::read_dir(application.root().join("assets"))
        .expect("there are assets")
        .map(|entry| entry.expect("it is readable").file_name().to_string_lossy().into_owned())
        .collect();
    assert!(assets.len() >= 6, "scripts and styles, each with two compressed forms: {assets:?}");
    let page = [("accept", "text/html")];
    let plain: Vec<_> =
        assets.iter().filter(|name| name.ends_with(".js") || name.ends_with(".css")).collect();
    let mut cases: Vec<Case> = vec![
        ("GET", "/".to_owned(), page.to_vec(), 200),
        ("HEAD", "/books/1".to_owned(), page.to_vec(), 200),
        ("GET", "/books/tags/artist/some%20artist?a=%2F".to_owned(), page.to_vec(), 200),
        ("GET", "/icon.svg".to_owned(), vec![], 200),
        ("GET", "/assets/index-OLD.js".to_owned(), page.to_vec(), 404),
        ("GET", "/missing.png".to_owned(), vec![("sec-fetch-dest", "image")], 404),
    ];
    for name in plain {
        let target = format!("/assets/{name}");
        for (headers, status) in [
            (vec![], 200),
            (vec![("accept-encoding", "gzip, deflate, br")], 200),
            (vec![("accept-encoding", "gzip")], 200),
            (vec![("range", "bytes=10-99")], 206),
            (vec![("range", "bytes=9999999-")], 416),
        ] {
            cases.push(("GET", target.clone(), headers, status));
        }
        let whole = ask(application.direct.address(), "GET", &target, &[]);
        let on_disk = std::fs::read(application.root().join("assets").join(name)).expect("it is readable");
        assert!(whole.body == on_disk, "{name} is served as it was built");
    }
    for (method, target, headers, status) in cases {
        let direct = ask(application.direct.address(), method, &target, &headers);
        let edge = ask(tunnel.address(), method, &target, &headers);
        assert_eq!((direct.status, edge.status), (status, status), "{method} {target} {headers:?}");
        assert_eq!(lasting(&direct), lasting(&edge), "{method} {target} {headers:?}");
        assert!(direct.body == edge.body, "{method} {target} {headers:?}");
        if let Some(tag) = direct.header("etag").filter(|_| status == 200 && method == "GET") {
            let tag = text(tag);
            let again = [&headers[..], &[("if-none-match", tag.as_str())]].concat();
            assert_eq!(ask(tunnel.address(), method, &target, &again).status, 304, "{target}");
        }
    }
    // Nothing of the service itself is public, and its host takes no changes.
    assert_eq!(ask(tunnel.address(), "GET", "/readyz", &page).status, 404);
    assert_eq!(ask(tunnel.address(), "POST", "/", &page).status, 404);
}

#[test]
fn a_build_contains_its_public_configuration_and_nothing_else() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let to = place.path().join("dist");
    let canary = "canary-6f1d0c";
    // A secret in the environment of the build stays there.
    build(
        &to,
        &[
            ("VITE_API_ORIGIN", "https://api.example.com"),
            ("SESSION_SECRET", canary),
            ("DATABASE_URL", canary),
        ],
    );
    let site = std::fs::read_to_string(to.join("site.json")).expect("the build describes itself");
    assert_eq!(site, "{\"api\":\"https://api.example.com\"}\n");
    let mut all = String::new();
    for directory in [to.clone(), to.join("assets")] {
        for entry in std::fs::read_dir(directory).expect("it is a directory").flatten() {
            all.push_str(&text(&std::fs::read(entry.path()).unwrap_or_default()));
        }
    }
    assert!(all.contains("https://api.example.com"), "the application knows its API");
    assert!(!all.contains(canary) && !all.contains("8443"), "nothing else of its environment");

    // What would become public, or could not work, ends the build with its name, and never with its value.
    for (name, value) in [
        ("VITE_SESSION_SECRET", canary),
        ("VITE_API_ORIGIN", "https://user:canary-6f1d0c@api.example.com"),
        ("VITE_API_ORIGIN", "https://api.example.com/canary-6f1d0c"),
        ("VITE_API_ORIGIN", "api.example.com"),
    ] {
        let refused = place.path().join("refused");
        let output = try_build(&refused, &[(name, value)]);
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(!output.status.success() && said.contains(name), "{name}={value}: {said}");
        assert!(!said.contains(canary) && !refused.exists(), "{said}");
    }
}
