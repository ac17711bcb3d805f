//! The paths of the older surface: `/Books/%31/` is `/books/1`.

use axum::extract::Request;
use http::Uri;
use http::uri::PathAndQuery;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// Gives a request the one spelling of its path that the router knows.
pub(super) async fn canonical(mut request: Request) -> Request {
    let path = spelt(request.uri().path());
    let all = request.uri().query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    if let Ok(all) = PathAndQuery::try_from(all) {
        let mut parts = request.uri().clone().into_parts();
        parts.path_and_query = Some(all);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    request
}

/// Decodes a path once, drops one slash at its end, writes its fixed elements in lower case, and encodes the rest
/// again. A path of another service stays as it is.
fn spelt(path: &str) -> String {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    let decoded = decoded.strip_suffix('/').unwrap_or(&decoded);
    let mut elements: Vec<&str> = decoded.split('/').collect();
    let fixed: [(usize, &[&'static str]); 3] =
        [(1, &["books"]), (2, &["search"]), (3, &["completion", "images"])];
    for (place, names) in fixed {
        if let Some(element) = elements.get_mut(place)
            && let Some(name) = names.iter().find(|name| element.eq_ignore_ascii_case(name))
        {
            *element = name;
        }
    }
    if elements.get(1) != Some(&"books") {
        return path.to_owned();
    }
    let encoded: Vec<String> =
        elements.iter().map(|element| utf8_percent_encode(element, NON_ALPHANUMERIC).to_string()).collect();
    encoded.join("/")
}

#[cfg(test)]
mod tests {
    use super::spelt;

    #[test]
    fn one_path_has_many_spellings() {
        for path in ["/books", "/books/", "/Books", "/%62ooks", "/BOOK%53/", "/books%2f"] {
            assert_eq!(spelt(path), "/books", "{path}");
        }
        for path in ["/books/search/completion", "/books/SEARCH/Completion/", "/books%2FSearch/completion"] {
            assert_eq!(spelt(path), "/books/search/completion", "{path}");
        }
    }

    #[test]
    fn other_paths_stay_other_paths() {
        assert_eq!(spelt("//books"), "//books");
        assert_eq!(spelt("/books//"), "/books/");
        assert_eq!(spelt("/healthz"), "/healthz");
        assert_eq!(spelt("/book\u{17f}"), "/book\u{17f}");
        assert_eq!(spelt("/books/1/images/A%2e%20B"), "/books/1/images/A%2E%20B");
        assert_eq!(spelt("/books/%2531"), "/books/%2531");
    }
}
