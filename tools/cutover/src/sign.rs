//! `cutover sign` prints the headers that sign a request (RFC 9421).

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use clock::{Clock, SystemClock};
use signed_request::offer::{CONTENT_DIGEST, CONTENT_TYPE};
use signed_request::sign::COMPONENTS;
use signed_request::{Message, Signature, SigningKey};

use crate::exit::{DONE, FOUND, exit};
use crate::out;

/// `cutover sign`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The key's name in the edge's list of signing keys.
    #[arg(long, value_name = "NAME")]
    pub key: String,
    /// The secret in base64 (hmac-sha256), or an Ed25519 private key in PKCS #8 PEM.
    #[arg(long, value_name = "FILE")]
    pub secret_file: PathBuf,
    /// The body, when the request has one.
    #[arg(long, value_name = "FILE")]
    pub body: Option<PathBuf>,
    /// A header to cover, as it will be sent: `name: value`. The edge file lists the headers that may be covered.
    /// `Content-Type` always may, and must be covered where there is a body.
    #[arg(long, value_name = "NAME: VALUE")]
    pub header: Vec<String>,
    /// The host that the request will name, when it differs from the URL's. The signature is valid for this host alone.
    #[arg(long)]
    pub host: Option<String>,
    /// The number of seconds after which the signature expires; the edge may end it earlier.
    #[arg(long, value_name = "SECONDS")]
    pub expires_in: Option<u64>,
    /// 16 to 128 characters, never used before with this key. [default: random]
    #[arg(long)]
    pub nonce: Option<String>,
    /// Leave a parameter out, for an edge whose policy does not ask for it.
    #[arg(long, value_name = "PARAMETER", conflicts_with = "nonce")]
    pub without: Vec<Parameter>,
    /// The tag that the policy of the edge asks for.
    #[arg(long)]
    pub tag: Option<String>,
    /// Cover `@target-uri` instead of `@path`, `@query` and `@authority`.
    #[arg(long)]
    pub target_uri: bool,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    pub json: bool,
    /// The method.
    pub method: String,
    /// The URL, exactly as it will be sent.
    pub url: String,
}

/// A parameter that a policy can waive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Parameter {
    /// The nonce.
    Nonce,
    /// The name of the algorithm.
    Alg,
}

/// The components that cover the target as a whole.
const WHOLE: [&str; 3] = ["@method", "@target-uri", CONTENT_DIGEST];

/// The parts of a URL, byte for byte: nothing is escaped, unescaped or resolved.
#[derive(Debug, PartialEq, Eq)]
struct Address<'a> {
    scheme: &'static str,
    host: &'a str,
    target: String,
}

/// Signs and prints. `curl -H @FILE` reads the lines.
pub fn main(arguments: &Arguments) -> ExitCode {
    match headers(arguments) {
        Ok(headers) if arguments.json => {
            let object: serde_json::Map<_, _> =
                headers.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            out::line!("{:#}", serde_json::Value::Object(object));
            exit(DONE)
        }
        Ok(headers) => {
            for (name, value) in headers {
                out::line!("{name}: {value}");
            }
            exit(DONE)
        }
        Err(message) => {
            out::error!("{message}");
            exit(FOUND)
        }
    }
}

fn headers(arguments: &Arguments) -> Result<Vec<(&'static str, String)>, String> {
    let read = |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let at_key = |what: String| format!("{}: {what}", arguments.secret_file.display());
    let text = String::from_utf8(read(&arguments.secret_file)?).map_err(|_| at_key("not text".to_owned()))?;
    let key = SigningKey::read(&text).map_err(|error| at_key(error.to_string()))?;
    let body = arguments.body.as_deref().map(read).transpose()?;
    let Address { scheme, host, target } = address(&arguments.url)?;
    let lines = arguments.header.iter().map(|line| {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("{line:?} is not `name: value`"))?;
        Ok((name.trim().to_ascii_lowercase(), value.trim()))
    });
    let lines: Vec<(String, &str)> = lines.collect::<Result<_, String>>()?;
    let message = Message {
        method: &arguments.method,
        target: &target,
        scheme,
        host: arguments.host.as_deref().unwrap_or(host),
        headers: lines.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect(),
        body: body.as_deref().unwrap_or_default(),
    };
    if arguments.body.is_some() && !lines.iter().any(|(name, _)| name == CONTENT_TYPE) {
        // A request signed without a content type passes only when the client sends none, and curl sends one by itself.
        out::error!(
            "note: the body has no content type; a content type that the client adds would not be signed\n\
             help: give the type that will be sent: --header 'Content-Type: application/json'"
        );
    }
    let mut components: Vec<&str> = if arguments.target_uri { WHOLE.to_vec() } else { COMPONENTS.to_vec() };
    for (name, _) in &lines {
        if !components.contains(&name.as_str()) {
            components.push(name);
        }
    }
    let created = SystemClock.now().seconds();
    let random = nonce()?;
    let has = |parameter| !arguments.without.contains(&parameter);
    if let Some(tag) = arguments.tag.as_deref().filter(|tag| tag.contains(['"', '\\'])) {
        return Err(format!("--tag is {tag:?}; a tag has no quotes and no backslashes"));
    }
    let signature = Signature {
        key_id: &arguments.key,
        nonce: has(Parameter::Nonce).then(|| arguments.nonce.as_deref().unwrap_or(&random)),
        names_algorithm: has(Parameter::Alg),
        tag: arguments.tag.as_deref(),
        created,
        expires: arguments.expires_in.map(|seconds| created.saturating_add(seconds)),
        components: &components,
    };
    signed_request::sign(&message, &signature, &key)
        .map_err(|fault| format!("{} {} cannot be signed: {fault}", arguments.method, arguments.url))
}

fn nonce() -> Result<String, String> {
    use base64::Engine as _;
    let mut bytes = [0; 18];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the system's random source failed".to_owned())?;
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
}

fn address(url: &str) -> Result<Address<'_>, String> {
    let shown = edge_config::without_credentials(url);
    let (scheme, rest) = match (url.strip_prefix("http://"), url.strip_prefix("https://")) {
        (Some(rest), _) => ("http", rest),
        (None, Some(rest)) => ("https", rest),
        (None, None) => return Err(format!("{shown:?} does not begin with http:// or https://")),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
    if host.is_empty() || host.contains('@') {
        return Err(format!("{shown:?} has no plain host"));
    }
    // Every client sends `/` for an empty path.
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    Ok(Address { scheme, host, target })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_byte_for_byte() {
        for (url, scheme, host, target) in [
            ("http://a.test:8080/x%2Fy/../z?q=%20", "http", "a.test:8080", "/x%2Fy/../z?q=%20"),
            ("https://a.test", "https", "a.test", "/"),
            ("https://a.test?x=1", "https", "a.test", "/?x=1"),
        ] {
            assert_eq!(address(url), Ok(Address { scheme, host, target: target.to_owned() }));
        }
        for url in ["a.test/x", "ftp://a.test/", "http:///x", "http://u:p@a.test/"] {
            assert!(address(url).is_err(), "{url}");
        }
    }
}
