//! The plugin `cors`, as `cors` of hosts and routes.

use super::super::cors::{self, MEND, Said};
use super::super::yaml::Yaml;
use super::Import;
use crate::draft::Cors;

/// The plugin that answers preflights.
pub(super) const CORS: &str = "cors";

impl Import<'_> {
    /// The rules of the plugin, where an edge can say them.
    pub(super) fn cors(&mut self, plugin: &Yaml) -> Option<Cors> {
        let empty = Yaml::empty(plugin.line);
        let config = plugin.get("config").unwrap_or(&empty);
        let flag = |name: &str| config.get(name).and_then(Yaml::boolean) == Some(true);
        let mut note = |what: String, mend: &str| self.found.note(plugin.line, what, mend);
        if flag("preflight_continue") {
            let mend =
                "let the edge answer preflights (`cors` of the host), or make a public route for OPTIONS";
            note("the plugin cors leaves preflights to the backend, and is not translated".to_owned(), mend);
            return None;
        }
        if flag("private_network") {
            let mend = "nothing, unless pages of the internet call a private network";
            note("`private_network` of the plugin cors is not translated".to_owned(), mend);
        }
        let texts = |name: &str| config.texts_of(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
        let mut origins = texts("origins");
        // Kong allows every origin where none is listed.
        if config.get("origins").is_none() {
            origins.push("*".to_owned());
        }
        let is_pattern = |c: char| "*\\^$()[]?+|{}".contains(c);
        let (patterns, plain): (Vec<String>, Vec<String>) =
            origins.into_iter().partition(|origin| origin != "*" && origin.contains(is_pattern));
        for pattern in &patterns {
            note(format!("the origin {pattern} of the plugin cors is a pattern and not translated"), MEND);
        }
        if plain.is_empty() && !patterns.is_empty() {
            return None;
        }
        let own = ["TRACE", "CONNECT", "OPTIONS"];
        let said = Said {
            origins: plain,
            credentials: flag("credentials"),
            // A page's request never has one of those three methods.
            methods: texts("methods").into_iter().filter(|method| !own.contains(&method.as_str())).collect(),
            headers: texts("headers"),
            expose: texts("exposed_headers"),
            max_age: config.text_of("max_age").map(str::to_owned),
        };
        match cors::translated(&said) {
            Ok((rules, left_out)) => {
                for what in left_out {
                    note(format!("{what} is not translated into `cors`"), MEND);
                }
                Some(rules)
            }
            Err(why) => {
                note(format!("the plugin cors is not translated: {why}"), MEND);
                None
            }
        }
    }
}
