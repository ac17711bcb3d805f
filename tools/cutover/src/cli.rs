//! What the command line looks like, and what exit codes mean.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// The command did what it was asked.
pub const DONE: u8 = 0;
/// The check found something, or the work could not be finished.
pub const FOUND: u8 = 1;
/// What was asked for makes no sense here: a route that does not exist, say.
pub const USAGE: u8 = 2;
/// The edge file is invalid; every fault was printed.
pub const INVALID: u8 = 64;

/// An exit code.
#[must_use]
pub fn exit(code: u8) -> ExitCode {
    ExitCode::from(code)
}

/// Checks, renders and runs an edge.
#[derive(Debug, Parser)]
#[command(
    name = "cutover",
    version,
    about = "Move a live product off a legacy stack, path by path.",
    after_help = "Exit codes: 0 done, 1 the check found something or the work failed, 2 wrong usage, 64 invalid edge file."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check edge files: prints every fault with file, line, value and mend.
    Lint(LintArguments),
    /// Turn an edge file into Envoy's configuration.
    Render(RenderArguments),
    /// Say how a request would be answered and why, or why one was.
    Explain(crate::explain::Arguments),
    /// Compare the edge's verdicts with the backends' own, route by route.
    Agreement(crate::agreement::Arguments),
    /// Show what the comparator found: how a shadow's answers differ from those of the backend in use.
    Shadow(crate::shadow::Arguments),
    /// Make the keys that are missing.
    Keys(KeysArguments),
    /// Make a certificate and its key for a development edge.
    Certs(crate::certs::Arguments),
    /// Make, list and revoke API keys.
    Apikey(ApiKeyArguments),
    /// Start the whole edge in the foreground, until Ctrl-C.
    Run(RunArguments),
    /// End sessions before their tokens expire: one, all of a person, or all of a tenant.
    Revoke(RevokeArguments),
    /// Say what a change of an edge file means for requests; fails when something becomes less protected.
    Plan(crate::plan::Arguments),
    /// Move the shares of a route, in the edge file itself; everything else in it stays byte for byte.
    Set(crate::set::Arguments),
    /// Show where routes go and how the backends do, from the running Envoy.
    Status(crate::status::Arguments),
    /// Give a backend more and more of a route while every gate holds, and take all of it back when one does not.
    Ramp(crate::ramp::Arguments),
    /// Sign one request (RFC 9421) and print its headers, one for each line, as `curl -H @FILE` reads them.
    Sign(SignArguments),
}

/// `cutover sign`
#[derive(Debug, Args)]
pub struct SignArguments {
    /// The name that the edge knows the key by.
    #[arg(long, value_name = "NAME")]
    pub key: String,
    /// The secret in base64 (hmac-sha256), or an Ed25519 private key in PKCS #8 PEM.
    #[arg(long, value_name = "FILE")]
    pub secret_file: PathBuf,
    /// The body, when the request has one.
    #[arg(long, value_name = "FILE")]
    pub body: Option<PathBuf>,
    /// A header to cover, as it will be sent: `name: value`. The edge file says which may be.
    #[arg(long, value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// The host that the request will name, when it is not the one in the URL.
    #[arg(long)]
    pub host: Option<String>,
    /// Ends the signature this many seconds from now; the edge may end it earlier.
    #[arg(long, value_name = "SECONDS")]
    pub expires_in: Option<u64>,
    /// 16 to 128 characters that were never used before with this key. [default: random]
    #[arg(long)]
    pub nonce: Option<String>,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    pub json: bool,
    /// The method.
    pub method: String,
    /// The URL, exactly as it will be sent.
    pub url: String,
}

/// `cutover lint`
#[derive(Debug, Args)]
pub struct LintArguments {
    /// Edge files to check.
    #[arg(required = true, value_name = "EDGE_FILE")]
    pub files: Vec<PathBuf>,
    /// Print the faults as JSON, one array for all files.
    #[arg(long)]
    pub json: bool,
}

/// Where a run keeps what it writes.
#[derive(Clone, Debug, Args)]
pub struct Home {
    /// Holds everything that a run writes: keys, databases, rendered configuration, logs, mail.
    #[arg(long, env = "CUTOVER_HOME", default_value = ".run", value_name = "DIRECTORY")]
    pub home: PathBuf,
}

/// `cutover render`
#[derive(Debug, Args)]
pub struct RenderArguments {
    /// The edge file.
    #[arg(value_name = "EDGE_FILE", default_value = "envoy/edges/dev.yaml")]
    pub file: PathBuf,
    /// Where the configuration goes; the link `current` in it points to the newest. [default: HOME/envoy]
    #[arg(long, value_name = "DIRECTORY")]
    pub out: Option<PathBuf>,
    /// Where Envoy writes its access log. [default: HOME/logs/access.json]
    #[arg(long, value_name = "FILE")]
    pub access_log: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub programs: Programs,
    /// Ask Envoy itself (`--mode validate`) before the configuration becomes current.
    #[arg(long)]
    pub validate: bool,
    /// Stay, and render after every change: Envoy validates it, the authorizers know it, then it becomes current; what
    /// Envoy refuses after all is taken back.
    #[arg(long)]
    pub watch: bool,
    /// With --watch: the admin interfaces of the authorizers that read the same file, all replicas.
    #[arg(
        long,
        env = "AUTHZ_ADMIN_ADDRESS",
        default_value = "127.0.0.1:9192",
        value_name = "ADDRESS:PORT,…",
        value_delimiter = ','
    )]
    pub authorizer_admin: Vec<std::net::SocketAddr>,
}

/// Programs that are not built by this command.
#[derive(Clone, Debug, Args)]
pub struct Programs {
    /// The compiled guard: WebAssembly (`make wasm`), or a native module of Envoy's (`make native`).
    #[arg(
        long,
        env = "CUTOVER_GUARD",
        default_value = "target/wasm32-wasip1/wasm/edge_guard.wasm",
        value_name = "FILE"
    )]
    pub guard: PathBuf,
    /// The Envoy to use.
    #[arg(long, env = "ENVOY", default_value = ".tools/venv/bin/envoy", value_name = "PROGRAM")]
    pub envoy: PathBuf,
}

/// `cutover keys`
#[derive(Debug, Args)]
pub struct KeysArguments {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
}

/// `cutover apikey`
#[derive(Debug, Args)]
pub struct ApiKeyArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: ApiKeyCommand,
    /// The file that lists the keys (`api_keys.file` in the edge file). [default: HOME/api-keys.jsonl]
    #[arg(long, env = "CUTOVER_API_KEYS", value_name = "FILE", global = true)]
    pub file: Option<PathBuf>,
    /// Holds everything that a run writes.
    #[arg(long, env = "CUTOVER_HOME", default_value = ".run", value_name = "DIRECTORY", global = true)]
    pub home: PathBuf,
    /// Print JSON.
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands of `cutover apikey`.
#[derive(Debug, Subcommand)]
pub enum ApiKeyCommand {
    /// Make a key and print it: the only time that anybody sees it.
    New(NewApiKey),
    /// Print every key's id, client and state; never a key.
    List,
    /// Revoke a key; edges that watch the file refuse it within a second.
    Revoke {
        /// The key's id, as `list` prints it.
        #[arg(value_name = "ID")]
        id: api_keys::KeyId,
    },
}

/// `cutover apikey new`
#[derive(Debug, Args)]
pub struct NewApiKey {
    /// Who will hold it: lower-case letters, digits and `-`. Several keys may have one client: make the new one, hand
    /// it over, revoke the old one.
    #[arg(long, value_name = "NAME")]
    pub client: identity::ClientName,
    /// The tenant that the client acts for.
    #[arg(long, value_name = "UUID", value_parser = tenant)]
    pub tenant: identity::TenantId,
    /// The client's role, compared as a number; without one it has less than any that a policy asks for.
    #[arg(long, value_name = "NUMBER")]
    pub role: Option<u8>,
    /// Something that the client may do; once for each.
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope)]
    pub scopes: Vec<String>,
    /// After how many days the key is no longer good; without, when it is revoked.
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub expires_in_days: Option<u32>,
}

fn tenant(text: &str) -> Result<identity::TenantId, String> {
    text.parse().map_err(|_| "a tenant is named by its UUID".to_owned())
}

fn scope(text: &str) -> Result<String, String> {
    if api_keys::Record::is_scope(text) {
        Ok(text.to_owned())
    } else {
        Err("a scope is visible ASCII without quotes and backslashes (RFC 6749 §3.3)".to_owned())
    }
}

/// `cutover run`
#[derive(Debug, Args)]
pub struct RunArguments {
    /// The edge file.
    #[arg(long, env = "EDGE_FILE", default_value = "envoy/edges/dev.yaml", value_name = "EDGE_FILE")]
    pub edge: PathBuf,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub programs: Programs,
    /// The Python environment with the supervisor and the server of the legacy sample.
    #[arg(long, default_value = ".tools/venv", value_name = "DIRECTORY")]
    pub venv: PathBuf,
    /// How long everything may take to become ready.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub ready_within: u64,
}

/// `cutover revoke`
#[derive(Debug, Args)]
pub struct RevokeArguments {
    /// What is ended.
    #[arg(value_enum)]
    pub what: Revoked,
    /// Its id.
    #[arg(value_name = "UUID")]
    pub id: uuid::Uuid,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
    /// How long the longest token lives: a refresh token. What is written is forgotten after it.
    #[arg(long, default_value_t = 604_800, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    pub token_life: u64,
    /// Through which the edge hears of it; unset means the file HOME/sessions/revoked.jsonl.
    // Its value may hold a password, so `--help` does not show it.
    #[arg(long, env = "REDIS_URL", hide_env_values = true, value_name = "URL")]
    pub redis_url: Option<String>,
}

/// What `cutover revoke` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Revoked {
    /// One session, by the `sid` of its tokens.
    Session,
    /// Every session of a person that began until now, by `sub`.
    Subject,
    /// Every session for a tenant that began until now, by `tenantId`.
    Tenant,
}
