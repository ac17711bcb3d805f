//! The section `browser_origins`: origins whose pages may send requests here, besides the edge's own hosts.

use super::hosts::is_host_name;
use crate::node::Node;
use crate::reader::{self, Context};

/// A company has a handful of front ends on other domains. The guard compares the origins one by one.
const MOST: usize = 64;

pub(crate) fn browser_origins(context: Context<'_>, node: &Node) -> Vec<String> {
    let mut origins: Vec<String> = Vec::new();
    let elements = reader::list(context, node, "`browser_origins`");
    if elements.len() > MOST {
        let problem = format!("`browser_origins` lists {} origins", elements.len());
        context.faults.report(node.place, problem, format!("list at most {MOST}"));
    }
    for element in elements {
        let Some(text) = reader::text(context, element, "an origin") else { continue };
        if !is_origin(text) {
            context.faults.report(
                element.place,
                format!("an origin is {text:?}"),
                "write it as browsers send it: scheme and lower-case host, a port only if it is not the scheme's default, \
                 no path, such as https://app.example.com",
            );
            continue;
        }
        if origins.iter().any(|known| known == text) {
            context.faults.report(element.place, format!("{text} is listed twice"), "list it once");
        }
        origins.push(text.to_owned());
    }
    origins
}

/// Whether `text` is an origin in the spelling of RFC 6454 §6.2, which browsers send and the guard compares byte by byte.
fn is_origin(text: &str) -> bool {
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
    (is_host_name(host) || address(host)) && port.is_none_or(plain)
}

#[cfg(test)]
mod tests {
    use super::is_origin;

    #[test]
    fn an_origin_is_spelled_as_a_browser_sends_it() {
        for good in
            ["https://app.example.com", "http://localhost:5173", "https://a:8443", "http://[::1]:3000"]
        {
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
            "https://*.example.com",
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
