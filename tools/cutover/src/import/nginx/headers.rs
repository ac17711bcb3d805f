//! Headers that nginx adds to answers: those for pages of other origins, and Strict-Transport-Security.

use super::super::cors::{self, Said};
use super::super::nginx_text::Directive;
use super::Import;
use crate::draft::{Cors, Hsts};

/// What goes with CORS, or with an empty answer to a preflight, and needs no translation.
const BESIDE: [&str; 3] = ["vary", "content-type", "content-length"];

/// Whether the header of this `add_header` is translated, or is named where it cannot be.
pub(super) fn is_known(directive: &Directive) -> bool {
    let name = directive.first().to_ascii_lowercase();
    directive.name == "add_header"
        && (name.starts_with("access-control-") || name == "strict-transport-security" || name == "vary")
}

/// Whether the directive is an `if` that answers preflights: `if ($request_method = OPTIONS) { …; return 204; }`.
pub(super) fn is_preflight(directive: &Directive) -> bool {
    let condition: String = directive.arguments.concat();
    let condition: String =
        condition.chars().filter(|c| !matches!(c, '(' | ')' | '"' | '\'' | ' ' | '^' | '$')).collect();
    let asks = ["request_method=OPTIONS", "request_method~OPTIONS", "request_method~*OPTIONS"];
    let known = |inside: &Directive| match inside.name.as_str() {
        "add_header" => {
            let name = inside.first().to_ascii_lowercase();
            name.starts_with("access-control-") || BESIDE.contains(&name.as_str())
        }
        "return" => matches!(inside.first(), "200" | "204"),
        _ => false,
    };
    directive.name == "if" && asks.contains(&condition.as_str()) && directive.inside().iter().all(known)
}

impl<'a> Import<'a> {
    /// The `add_header` that count in a block with the directives `own`: those of the block, or of the nearest one around it.
    fn added(&self, own: &'a [Directive]) -> Vec<&'a Directive> {
        let of = |block: &'a [Directive]| -> Vec<&'a Directive> {
            block.iter().filter(|directive| directive.name == "add_header").collect()
        };
        let blocks = std::iter::once(own).chain(self.levels.iter().rev().copied());
        blocks.map(of).find(|added| !added.is_empty()).unwrap_or_default()
    }

    /// The rules for pages of other origins in a location.
    pub(super) fn cors(&mut self, location: &'a Directive) -> Option<Cors> {
        let mut added = self.added(location.inside());
        let around = self.levels.iter().rev().copied();
        let mut preflights = std::iter::once(location.inside()).chain(around).flatten();
        if let Some(preflight) = preflights.find(|inside| is_preflight(inside)) {
            added.extend(preflight.inside().iter().filter(|inside| inside.name == "add_header"));
        }
        let of = |name: &str| {
            let header = format!("access-control-{name}");
            let is = |directive: &&&Directive| directive.first().eq_ignore_ascii_case(&header);
            added.iter().filter(is).copied().collect::<Vec<_>>()
        };
        let values = |name: &str| -> Vec<String> {
            of(name).into_iter().filter_map(|directive| directive.arguments.get(1).cloned()).collect()
        };
        let allowed = of("allow-origin");
        let line = allowed.first()?.line;
        let mut said = Said {
            credentials: values("allow-credentials").iter().any(|value| value.trim() == "true"),
            methods: values("allow-methods"),
            headers: values("allow-headers"),
            expose: values("expose-headers"),
            max_age: values("max-age").into_iter().next(),
            origins: Vec::new(),
        };
        for directive in allowed {
            let value = directive.arguments.get(1).map_or("", String::as_str);
            match value.strip_prefix('$') {
                None => said.origins.push(value.to_owned()),
                Some(variable) => match self.mapped(variable) {
                    Some(origins) => said.origins.extend(origins),
                    None => {
                        let what = format!(
                            "`add_header Access-Control-Allow-Origin {value}` is not translated: it depends on a variable"
                        );
                        self.found.note(directive.line, what, cors::MEND);
                    }
                },
            }
        }
        // What depends on a variable is said already.
        if said.origins.is_empty() {
            return None;
        }
        // The expected preflight is answered by the edge itself; a page never sends OPTIONS itself.
        let listed = said.methods.join(",");
        said.methods =
            listed.split(',').map(str::trim).filter(|m| *m != "OPTIONS").map(str::to_owned).collect();
        match cors::translated(&said) {
            Ok((rules, left_out)) => {
                for what in left_out {
                    self.found.note(line, format!("{what} is not translated into `cors`"), cors::MEND);
                }
                Some(rules)
            }
            Err(why) => {
                let what = format!("`Access-Control-Allow-Origin` is not translated: {why}");
                self.found.note(line, what, cors::MEND);
                None
            }
        }
    }

    /// What a `map $http_origin $NAME` lets through: origins, patterns, and what it says for all others.
    fn mapped(&self, variable: &str) -> Option<Vec<String>> {
        let map = self
            .origin_maps
            .iter()
            .find(|map| map.arguments.get(1).is_some_and(|name| name.strip_prefix('$') == Some(variable)))?;
        let allows = |entry: &&Directive| !entry.first().is_empty();
        let allowed = |entry: &Directive| {
            if entry.name == "default" { entry.first().to_owned() } else { entry.name.clone() }
        };
        Some(map.inside().iter().filter(allows).map(allowed).collect())
    }

    /// Strict-Transport-Security of a server, or of the first location that has it: a browser keeps it for the whole host.
    pub(super) fn hsts(&mut self, server: &'a Directive, is_encrypted: bool) -> Option<Hsts> {
        let locations = server.inside().iter().filter(|inside| inside.name == "location");
        let mut added = self.added(server.inside());
        for location in locations {
            added.extend(location.inside().iter().filter(|inside| inside.name == "add_header"));
        }
        let header = added.into_iter().find(|directive| {
            directive.name == "add_header"
                && directive.first().eq_ignore_ascii_case("strict-transport-security")
        })?;
        if !is_encrypted {
            return None;
        }
        let value = header.arguments.get(1).map_or("", String::as_str);
        let hsts = hsts(value);
        if hsts.is_none() {
            let what = format!("`add_header Strict-Transport-Security {value}` is not translated");
            let mend = "write `hsts` of the host: `{ max_age_seconds: 31536000 }`";
            self.found.note(header.line, what, mend);
        }
        hsts
    }
}

/// The value of Strict-Transport-Security (RFC 6797 §6.1), where an edge can say it.
fn hsts(value: &str) -> Option<Hsts> {
    /// Ten years, the most of an edge file.
    const MOST_SECONDS: u64 = 315_360_000;
    /// A year, which the browsers' own lists demand.
    const PRELOAD_SECONDS: u64 = 31_536_000;
    let mut max_age = None;
    let (mut include_subdomains, mut preload) = (false, false);
    for part in value.split(';').map(str::trim).filter(|part| !part.is_empty()) {
        match part.to_ascii_lowercase().as_str() {
            "includesubdomains" => include_subdomains = true,
            "preload" => preload = true,
            other => {
                let seconds = other.strip_prefix("max-age")?.trim_start().strip_prefix('=')?;
                max_age = Some(seconds.trim().trim_matches('"').parse::<u64>().ok()?.min(MOST_SECONDS));
            }
        }
    }
    let max_age = max_age?;
    // The lists do not take any other value, so the word had no effect.
    preload &= include_subdomains && max_age >= PRELOAD_SECONDS;
    Some(Hsts { max_age, include_subdomains, preload })
}
