//! What other programs say about pages of other origins, as `cors` of an edge file. Nothing becomes wider: what cannot be said
//! is left out and named.

use edge_config::edge::{FURTHER_METHODS, METHODS};
use edge_config::is_origin;

use crate::draft::Cors;

/// Where the rules cannot be said.
pub(super) const MEND: &str = "list the origins of the pages in `cors` of the host or the route";

/// The most entries of a list of an edge file.
const MOST: usize = 64;
/// The longest time that a browser remembers an answer to a preflight.
const MOST_SECONDS: u32 = 86_400;
/// How long a browser remembers it where the answer does not say (Fetch standard, CORS-preflight cache).
const UNSAID_SECONDS: u32 = 5;

/// What the other program is configured to say.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) origins: Vec<String>,
    pub(super) credentials: bool,
    /// Empty where it says none.
    pub(super) methods: Vec<String>,
    /// Empty where it says none.
    pub(super) headers: Vec<String>,
    pub(super) expose: Vec<String>,
    /// Seconds.
    pub(super) max_age: Option<String>,
}

/// The rules, and what was left out of them.
///
/// # Errors
/// Why no rules can be made.
pub(super) fn translated(said: &Said) -> Result<(Cors, Vec<String>), String> {
    let mut left_out = Vec::new();
    let mut origins: Vec<String> = Vec::new();
    for text in &said.origins {
        let origin = spelled(text);
        let is_any = origin == "*" || origin == "null";
        let in_the_clear = origin.starts_with("http://") && !is_here(&origin);
        if !is_any && !is_origin(&origin) {
            left_out.push(format!("the origin {text} is a pattern, or no origin at all"));
        } else if said.credentials && is_any {
            left_out.push(format!("the origin {text} lets the pages of every site send cookies"));
        } else if said.credentials && in_the_clear {
            left_out.push(format!("the origin {text} comes in the clear, and its pages may send cookies"));
        } else if !origins.contains(&origin) {
            origins.push(origin);
        }
    }
    if origins.iter().any(|origin| origin == "*") {
        origins = vec!["*".to_owned()];
    }
    if origins.len() > MOST {
        left_out.push(format!("the origins after the first {MOST}"));
        origins.truncate(MOST);
    }
    if origins.is_empty() {
        return Err(left_out.into_iter().next().unwrap_or_else(|| "it names no origin".to_owned()));
    }
    let methods = words(&said.methods);
    let methods = if methods.is_empty() || methods.iter().any(|method| method == "*") {
        None
    } else {
        let known = |method: &&String| {
            METHODS.contains(&method.as_str()) || FURTHER_METHODS.contains(&method.as_str())
        };
        let (known, other): (Vec<&String>, Vec<&String>) = methods.iter().partition(known);
        left_out.extend(other.into_iter().map(|method| format!("the method {method}")));
        Some(known.into_iter().cloned().collect())
    };
    let mut named = |listed: &[String]| -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in words(listed) {
            let name = name.to_ascii_lowercase();
            let token =
                |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.!#$%&'+^`|~".contains(&b);
            if !name.bytes().all(token) || names.len() >= MOST {
                left_out.push(format!("the header {name}"));
            } else if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    };
    // `*` stands for every header only where no cookies are sent, and the request's own decide then.
    let any_header = !said.credentials && said.headers.iter().any(|names| names.trim() == "*");
    let lists_headers = !said.headers.is_empty() && !any_header;
    let headers = lists_headers.then(|| named(&said.headers));
    let expose = named(&said.expose);
    let max_age = match said.max_age.as_deref().map(str::trim) {
        None => UNSAID_SECONDS,
        // A negative number means that it is not remembered.
        Some(text) => text.parse::<i64>().ok().map_or(UNSAID_SECONDS, |seconds| {
            u32::try_from(seconds.max(0)).unwrap_or(u32::MAX).min(MOST_SECONDS)
        }),
    };
    let rules =
        Cors { origins, credentials: said.credentials, methods, headers, expose, max_age: Some(max_age) };
    Ok((rules, left_out))
}

/// The entries of lists that are written with commas or blanks.
fn words(listed: &[String]) -> Vec<String> {
    let split = listed.iter().flat_map(|text| text.split([',', ' ', '\t']));
    let mut words: Vec<String> = Vec::new();
    for word in split.map(str::trim).filter(|word| !word.is_empty()) {
        if !words.iter().any(|known| known == word) {
            words.push(word.to_owned());
        }
    }
    words
}

/// An origin as browsers send it: lower case, no slash behind it, no port that the scheme has anyway.
fn spelled(text: &str) -> String {
    let lower = text.trim().trim_end_matches('/').to_ascii_lowercase();
    let usual = if lower.starts_with("https://") { ":443" } else { ":80" };
    lower.strip_suffix(usual).map_or(lower.clone(), str::to_owned)
}

/// Whether the pages of `origin` come from the browser's own machine.
fn is_here(origin: &str) -> bool {
    let authority = origin.split_once("://").map_or(origin, |(_, authority)| authority);
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    host == "localhost" || host == "127.0.0.1" || host == "[::1]"
}
