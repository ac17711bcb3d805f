//! The section `browser_origins`: origins whose pages may send requests here, besides the edge's own hosts.

use super::host_names::is_host_name;
use crate::fault::Place;
use crate::node::Node;
use crate::reader::{self, Context};

/// A company has a handful of front ends on other domains. The guard compares the origins one by one.
const MOST: usize = 64;

pub(crate) fn browser_origins(context: Context<'_>, node: &Node) -> Vec<String> {
    let origins = list(context, node, "`browser_origins`", &[]);
    origins.into_iter().map(|(origin, _)| origin).collect()
}

/// The origins in the list `node`, each with its place. Besides origins and sets of them, it may have the `words`.
pub(super) fn list(context: Context<'_>, node: &Node, what: &str, words: &[&str]) -> Vec<(String, Place)> {
    let mut origins: Vec<(String, Place)> = Vec::new();
    let elements = reader::list(context, node, what);
    if elements.len() > MOST {
        let problem = format!("{what} lists {} origins", elements.len());
        context.faults.report(node.place, problem, format!("list at most {MOST}"));
    }
    for element in elements {
        let Some(text) = reader::text(context, element, "an origin") else { continue };
        if !words.contains(&text) && !is_origin(text) {
            context.faults.report(
                element.place,
                format!("an origin is {text:?}"),
                "write it as browsers send it: scheme and lower-case host, a port only if it is not the scheme's default, \
                 no path, such as https://app.example.com; or `https://*.example.com` for every name below one",
            );
            continue;
        }
        if let Some(("http" | "https", rest)) = text.split_once("://")
            && let Some(name) = rest.strip_prefix("*.")
            && !name.contains('.')
            && !matches!(name.split(':').next(), Some("localhost" | "test"))
        {
            let problem = format!("{text} is every site of a whole top-level domain");
            context.faults.warn(
                element.place,
                problem,
                "name a domain that is yours: `https://*.example.com`",
            );
        }
        if origins.iter().any(|(known, _)| known == text) {
            context.faults.report(element.place, format!("{text} is listed twice"), "list it once");
        }
        origins.push((text.to_owned(), element.place));
    }
    origins
}

/// Whether `text` is an origin in the spelling of RFC 6454 §6.2, which browsers send and the guard compares byte by byte, or
/// every name below one.
#[must_use]
pub fn is_origin(text: &str) -> bool {
    let (authority, usual) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
        (Some(rest), _) => (rest, 443),
        (None, Some(rest)) => (rest, 80),
        (None, None) => return false,
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    };
    let plain = |port: &str| {
        let number = port.parse::<u16>().ok().filter(|number| *number != 0 && *number != usual);
        number.is_some_and(|number| number.to_string() == port)
    };
    let address = |host: &str| {
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok_and(|ip| ip.to_string() == inner))
    };
    let name = host.strip_prefix("*.").unwrap_or(host);
    (is_host_name(name) || address(host)) && port.is_none_or(plain)
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn an_origin_is_spelled_as_a_browser_sends_it() {
        for good in [
            "https://app.example.com",
            "http://localhost:5173",
            "https://a:8443",
            "http://[::1]:3000",
            "https://*.example.com",
            "http://*.localhost:5173",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "*",
            "null",
            "",
            "https://",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com/a",
            "https://App.example.com",
            "https://*",
            "https://*.",
            "https://a.*.example.com",
            "https://*example.com",
            "https://*.example.com:443",
            "https://*.*.example.com",
            "https://*.[::1]",
            "https://app.example.com:443",
            "http://app.example.com:80",
            "https://app.example.com:0",
            "https://app.example.com:08443",
            "https://user@app.example.com",
            "ftp://app.example.com",
            "https://app.example.com:",
            "https://[::1",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
    }
}
