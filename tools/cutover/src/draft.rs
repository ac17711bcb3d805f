//! A first edge file as text: what `cutover init` and `cutover import` write.
//!
//! The text is made for people who go on with it by hand: each section says what it is for. It lints clean, or it is not
//! written.

mod network;

use std::fmt::Write as _;
use std::path::Path;

use edge_config::Environment;
use serde_json::json;

pub(crate) use network::{BackendTls, CertificateFiles, Cors, Encrypted, Hsts, On};

/// What the file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct Draft {
    /// Who made it, for the first comment.
    pub(crate) made_by: String,
    pub(crate) name: String,
    /// Address and port of the listener for clients.
    pub(crate) listen: String,
    /// The listener with TLS, if there is one.
    pub(crate) encrypted: Option<Encrypted>,
    /// Whether the listener in the clear sends every request to https.
    pub(crate) redirects: bool,
    pub(crate) hosts: Vec<Host>,
    pub(crate) backends: Vec<Backend>,
    pub(crate) sessions: Option<Sessions>,
    pub(crate) limits: Vec<Limit>,
    pub(crate) routes: Vec<Route>,
}

/// A host group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) names: Vec<String>,
    pub(crate) on: On,
    pub(crate) hsts: Option<Hsts>,
    /// That of its routes which have none of their own.
    pub(crate) cors: Option<Cors>,
}

/// A backend.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backend {
    pub(crate) name: String,
    /// With `https://` for TLS.
    pub(crate) addresses: Vec<String>,
    pub(crate) tls: BackendTls,
    pub(crate) comment: Option<String>,
}

/// The identity provider.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    pub(crate) cookie: String,
    pub(crate) issuer: String,
    pub(crate) audience: String,
    pub(crate) comment: Option<String>,
}

/// A limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) name: String,
    /// What it counts by.
    pub(crate) per: &'static str,
    pub(crate) rate: u32,
    pub(crate) seconds: u32,
    /// How many may come at once; as many as `rate` when it is absent.
    pub(crate) burst: Option<u32>,
}

/// The paths that a route takes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Taken {
    Exact(String),
    /// With `{name}` for whole segments.
    Template(String),
    Prefix(String),
}

/// A route.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    pub(crate) name: String,
    pub(crate) host: String,
    pub(crate) path: Taken,
    /// Empty for all.
    pub(crate) methods: Vec<String>,
    /// Whether every caller passes; otherwise a session is needed.
    pub(crate) is_public: bool,
    pub(crate) scopes: Vec<String>,
    pub(crate) to: String,
    pub(crate) is_websocket: bool,
    /// The names of its limits.
    pub(crate) limits: Vec<String>,
    /// Its own, instead of that of its host.
    pub(crate) cors: Option<Cors>,
}

/// Methods that change nothing (RFC 9110 §9.2.1): open to every caller they need no limit.
const SAFE: [&str; 3] = ["GET", "HEAD", "OPTIONS"];

impl Draft {
    /// The edge file.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "# yaml-language-server: $schema=./edge.schema.json\n\
             # {} `cutover lint FILE` checks it, `cutover run FILE` starts it. Every field is in\n\
             # docs/edge-file.md; what this file leaves out has a default there.\n\n\
             # The name is in the log, and it is the issuer of the identities that backends receive.\n\
             edge: {}\n\n{}\nhosts:\n",
            self.made_by,
            quoted(&self.name),
            self.listeners(),
        );
        // Writing to a String cannot fail.
        for Host { name, names, on, hsts, cors } in &self.hosts {
            let mut fields = format!("{}, names: {}", on.written(self.encrypted.is_some()), list(names));
            let further = [hsts.map(Hsts::written), cors.as_ref().map(Cors::written)];
            for field in further.into_iter().flatten() {
                let _ = write!(fields, ", {field}");
            }
            let _ = writeln!(text, "  {}: {{ {fields} }}", quoted(name));
        }
        text.push_str("\n# What answers requests. The name is the audience of the identities that are signed for it.\nbackends:\n");
        for Backend { name, addresses, tls, comment } in &self.backends {
            comment_above(&mut text, "  ", comment.as_deref());
            let addresses = match addresses.as_slice() {
                [one] => format!("address: {}", quoted(one)),
                several => format!("addresses: {}", list(several)),
            };
            let tls = if tls.is_default() { String::new() } else { format!(", {}", tls.written()) };
            let _ = writeln!(text, "  {}: {{ {addresses}{tls} }}", quoted(name));
        }
        self.write_sessions(&mut text);
        self.write_policies(&mut text);
        text.push_str("\n# The most specific match wins: exact before prefix, long prefix before short, named methods before any.\nroutes:\n");
        for route in &self.routes {
            let _ = writeln!(text, "  - {{ {} }}", self.route(route));
        }
        text
    }

    fn write_sessions(&self, text: &mut String) {
        let Some(Sessions { cookie, issuer, audience, comment }) = &self.sessions else { return };
        text.push_str(
            "\n# Who signs the tokens of people. The issuer's metadata names its keys.\nsessions:\n",
        );
        comment_above(text, "  ", comment.as_deref());
        let _ = write!(
            text,
            "  cookie: {}\n  # Programs send the token as `Authorization: Bearer`.\n  bearer: true\n  issuer: {}\n  \
             audience: {}\n  # Which claim says what; add `tenant`, `roles` or `session` when the tokens have them.\n  \
             claims: {{ subject: sub, scopes: scope }}\n",
            quoted(cookie),
            quoted(issuer),
            quoted(audience)
        );
    }

    fn write_policies(&self, text: &mut String) {
        let needs_attempts = self.routes.iter().any(Route::needs_limit);
        if needs_attempts || !self.limits.is_empty() {
            text.push_str(
                "\n# How many requests a caller has; a caller over a limit is answered 429.\nlimits:\n",
            );
        }
        for Limit { name, per, rate, seconds, burst } in &self.limits {
            let burst = burst.map(|burst| format!(", burst: {burst}")).unwrap_or_default();
            let name = quoted(name);
            let _ = writeln!(text, "  {name}: {{ per: {per}, rate: {rate}, seconds: {seconds}{burst} }}");
        }
        if needs_attempts {
            text.push_str(
                "  # What one address may try without a session: enough for an office, and too little to guess by.\n  \
                 attempts: { per: address, rate: 60, seconds: 60, burst: 120 }\n",
            );
        }
        text.push_str("\npolicies:\n  # Every caller.\n  public: { kind: public }\n");
        if self.sessions.is_some() {
            text.push_str("  # A person or program with a valid token.\n  signed-in: { kind: session }\n");
        }
        for (name, scopes) in self.scope_sets() {
            let _ = writeln!(text, "  {name}: {{ kind: session, scopes: {} }}", list(scopes));
        }
    }

    /// The sets of scopes that routes need, each once, with the name of its policy.
    fn scope_sets(&self) -> Vec<(String, &[String])> {
        let mut sets: Vec<(String, &[String])> = Vec::new();
        for route in self.routes.iter().filter(|route| !route.is_public && !route.scopes.is_empty()) {
            if sets.iter().any(|(_, scopes)| *scopes == route.scopes) {
                continue;
            }
            let name = name_of(&format!("may-{}", route.scopes.join("-")), "may");
            // Scopes may differ in characters that a name cannot have.
            let name = free_name(&name, sets.iter().map(|(name, _)| name.as_str()));
            sets.push((name, &route.scopes));
        }
        sets
    }

    fn route(&self, route: &Route) -> String {
        let mut fields = vec![format!("name: {}", quoted(&route.name))];
        if self.hosts.len() > 1 {
            fields.push(format!("host: {}", quoted(&route.host)));
        }
        fields.push(match &route.path {
            Taken::Exact(path) => format!("exact: {}", quoted(path)),
            Taken::Template(path) => format!("path: {}", quoted(path)),
            Taken::Prefix(path) => format!("prefix: {}", quoted(path)),
        });
        if !route.methods.is_empty() {
            fields.push(format!("methods: {}", list(&route.methods)));
        }
        let policy = match (route.is_public, route.scopes.as_slice()) {
            (true, _) => "public".to_owned(),
            (false, []) => "signed-in".to_owned(),
            (false, scopes) => {
                let sets = self.scope_sets();
                sets.into_iter().find(|(_, known)| *known == scopes).map(|(name, _)| name).unwrap_or_default()
            }
        };
        fields.push(format!("policy: {policy}"));
        fields.push(format!("to: {}", quoted(&route.to)));
        if route.is_websocket {
            fields.push("upgrade: websocket".to_owned());
        }
        let attempts = route.needs_limit().then(|| "attempts".to_owned());
        let limits: Vec<String> = route.limits.iter().cloned().chain(attempts).collect();
        if !limits.is_empty() {
            fields.push(format!("limits: {}", list(&limits)));
        }
        if let Some(cors) = &route.cors {
            fields.push(cors.written());
        }
        fields.join(", ")
    }

    /// The text, when the reader of edge files has nothing to say about it; otherwise its faults.
    pub(crate) fn linted(&self, file: &Path, environment: Environment<'_>) -> Result<String, String> {
        let text = self.text();
        let (edge, warnings) =
            edge_config::inspect_text(file, &text, environment).map_err(|faults| faults.to_string())?;
        if !warnings.faults.is_empty() {
            return Err(warnings.to_string());
        }
        crate::render::check_rules(&edge).map_err(|message| format!("{}: {message}", file.display()))?;
        Ok(text)
    }
}

impl Route {
    /// Whether any client may have it change something, as often as it likes.
    fn needs_limit(&self) -> bool {
        self.is_public
            && (self.methods.is_empty() || self.methods.iter().any(|method| !SAFE.contains(&method.as_str())))
    }
}

/// A name of the edge file made from `text`: lower-case letters, digits and `-`, at most 64.
pub(crate) fn name_of(text: &str, otherwise: &str) -> String {
    let mut name = String::new();
    for character in text.chars() {
        match character.to_ascii_lowercase() {
            c if c.is_ascii_lowercase() || c.is_ascii_digit() => name.push(c),
            _ if name.ends_with('-') || name.is_empty() => {}
            _ => name.push('-'),
        }
    }
    name.truncate(48);
    let name = name.trim_matches('-');
    if name.is_empty() { otherwise.to_owned() } else { name.to_owned() }
}

/// `name`, or with a number behind it when it is taken.
pub(crate) fn free_name<'a>(name: &str, taken: impl Iterator<Item = &'a str>) -> String {
    let taken: Vec<&str> = taken.collect();
    let is_free = |name: &str| !taken.contains(&name);
    let numbered = (2_u32..).map(|number| format!("{name}-{number}"));
    // There are more numbers than names.
    std::iter::once(name.to_owned()).chain(numbered).find(|name| is_free(name)).unwrap_or_default()
}

fn comment_above(text: &mut String, indent: &str, comment: Option<&str>) {
    for line in comment.into_iter().flat_map(str::lines) {
        let _ = writeln!(text, "{indent}# {line}");
    }
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

/// Text for YAML: as it is where that is safe, otherwise in the quotes of JSON, which are quotes of YAML, too.
fn quoted(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    if begins && text.bytes().all(plain) && !words.contains(&text.to_ascii_lowercase().as_str()) {
        text.to_owned()
    } else {
        json!(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_a_name() {
        assert_eq!(name_of("GET /Users/{id}", "route"), "get-users-id");
        assert_eq!(name_of("/", "route"), "route");
        assert_eq!(name_of(&"x".repeat(100), "route").len(), 48);
        assert_eq!(free_name("a", ["a", "a-2"].into_iter()), "a-3");
    }

    #[test]
    fn text_is_quoted_where_yaml_reads_something_else() {
        for (text, written) in [
            ("api.example.com", "api.example.com"),
            ("127.0.0.1:80", "\"127.0.0.1:80\""),
            ("no", "\"no\""),
            ("*", "\"*\""),
            ("a: b", "\"a: b\""),
            ("say \"x\"", "\"say \\\"x\\\"\""),
        ] {
            assert_eq!(quoted(text), written);
            assert_eq!(serde_saphyr::from_str::<String>(written).unwrap(), text);
        }
    }
}
