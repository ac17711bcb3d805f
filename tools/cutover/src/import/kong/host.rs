//! Hosts: the names of routes, and on which listeners they are served.

use super::super::yaml::Yaml;
use super::Import;
use crate::draft::{Host, On, Route, free_name, name_of};

impl Import<'_> {
    /// The host group of the route; absent when none of its names can be one.
    pub(super) fn host(&mut self, route: &Yaml, name: &str, on: On) -> Option<String> {
        let listed = route.texts_of("hosts");
        let mut names: Vec<String> = Vec::new();
        for host in &listed {
            let lower = host.to_ascii_lowercase();
            // `*.example.com` means the same in both: every name below it. `example.*` is a pattern.
            let bare = lower.strip_prefix("*.").unwrap_or(&lower);
            if bare.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') {
                names.push(lower);
            } else {
                self.found.note(
                    route.line,
                    format!("the host {host} of the route {name} is not translated"),
                    "list the names one by one",
                );
            }
        }
        if listed.is_empty() {
            names.push("*".to_owned());
        }
        if names.is_empty() {
            return None;
        }
        names.sort();
        let draft = &mut self.found.draft;
        if let Some(known) = draft.hosts.iter_mut().find(|host| host.names == names) {
            let host = known.name.clone();
            // A name is served in one way: the stricter one counts.
            if known.on != on {
                known.on = On::Encrypted;
                let what =
                    format!("some routes of the host `{host}` are for https alone, and all of them are now");
                self.found.note(
                    route.line,
                    what,
                    "give the names that are served in the clear a host of their own",
                );
            }
            return Some(host);
        }
        let taken = draft.hosts.iter().find(|host| host.names.iter().any(|known| names.contains(known)));
        if let Some(taken) = taken {
            let what = format!(
                "the route {name} shares some names with others, and its route is on the host `{}`",
                taken.name
            );
            let host = taken.name.clone();
            if on == On::Encrypted {
                let is = |known: &&mut Host| known.name == host;
                draft.hosts.iter_mut().filter(is).for_each(|known| known.on = On::Encrypted);
            }
            self.found.note(route.line, what, "move it to the host group whose names it means");
            return Some(host);
        }
        let first = names.first().filter(|name| *name != "*").map_or("any", String::as_str);
        let host = free_name(&name_of(first, "any"), draft.hosts.iter().map(|host| host.name.as_str()));
        draft.hosts.push(Host { name: host.clone(), names, on, ..Host::default() });
        Some(host)
    }

    /// Writes rules that all routes of a host have once, at the host.
    pub(super) fn shared_cors(&mut self) {
        let draft = &mut self.found.draft;
        for host in &mut draft.hosts {
            let is_of = |route: &&mut Route| route.host == host.name;
            let mut routes: Vec<&mut Route> = draft.routes.iter_mut().filter(is_of).collect();
            let first = routes.first().and_then(|route| route.cors.clone());
            if first.is_some() && routes.iter().all(|route| route.cors == first) {
                routes.iter_mut().for_each(|route| route.cors = None);
                host.cors = first;
            }
        }
    }
}
