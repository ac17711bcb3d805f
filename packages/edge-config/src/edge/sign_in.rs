//! The sign-in page to which a policy sends people instead of a 401.

use std::fmt::Write as _;

use super::{Edge, Policy, Route};

/// Where a page that a browser opens goes when its caller has no valid session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInRedirect {
    /// The page: a path on the same host, or a URL. It may have a query, but no fragment.
    pub page: String,
    /// The query parameter for path and query of the refused request; absent when the page does not want to know.
    pub return_parameter: Option<String>,
}

/// The longest path and query that is passed on. Sign-in pages put it into links and cookies of 4 KiB at most; a person who
/// comes from a longer one starts at the page's default.
const LONGEST_RETURN: usize = 2_048;

impl SignInRedirect {
    /// The `Location` for a request with this `target` (path and query).
    ///
    /// The target is a parameter of the page's URL and never a URL itself. A target that a sign-in page could mistake for
    /// another host (`//evil.example`, `/\\evil.example`) is left out, as is one that is too long.
    #[must_use]
    pub fn location(&self, target: &str) -> String {
        let Self { page, return_parameter } = self;
        let mut location = page.clone();
        let is_local = target.starts_with('/') && !target.starts_with("//") && !target.contains('\\');
        if let Some(name) = return_parameter
            && is_local
            && target.len() <= LONGEST_RETURN
        {
            location.push(if page.contains('?') { '&' } else { '?' });
            location.push_str(name);
            location.push('=');
            for byte in target.bytes() {
                // RFC 3986 §2.3: unreserved.
                if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
                    location.push(char::from(byte));
                } else {
                    // Writing to a string does not fail.
                    let _ = write!(location, "%{byte:02X}");
                }
            }
        }
        location
    }

    /// Host (with port) and path of the page; no host for a page of the same host.
    #[must_use]
    pub fn place(&self) -> (Option<&str>, &str) {
        let whole = self.page.split('?').next().unwrap_or(&self.page);
        let rest = whole.strip_prefix("https://").or_else(|| whole.strip_prefix("http://"));
        match rest {
            None => (None, whole),
            Some(rest) => match rest.find('/').map(|at| rest.split_at(at)) {
                Some((host, path)) => (Some(host), path),
                None => (Some(rest), "/"),
            },
        }
    }
}

impl Edge {
    /// The sign-in page of the policy of `route`.
    #[must_use]
    pub fn sign_in_of(&self, route: &Route) -> Option<&SignInRedirect> {
        match self.policies.get(&route.policy)? {
            Policy::Session(policy) => policy.sign_in.as_ref(),
            Policy::Public(_)
            | Policy::Internal(_)
            | Policy::Signed(_)
            | Policy::Webhook(_)
            | Policy::Certificate(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(page: &str) -> SignInRedirect {
        SignInRedirect { page: page.to_owned(), return_parameter: Some("next".to_owned()) }
    }

    #[test]
    fn the_return_address_is_a_parameter_and_never_another_host() {
        let page = redirect("https://app.test/login");
        assert_eq!(
            page.location("/orders?a=1&b=%20"),
            "https://app.test/login?next=/orders%3Fa%3D1%26b%3D%2520"
        );
        assert_eq!(page.location("/a#b\r\n\u{e9}\""), "https://app.test/login?next=/a%23b%0D%0A%C3%A9%22");
        for foreign in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "",
            "/a\\b",
            &format!("/{}", "a".repeat(2_048)),
        ] {
            assert_eq!(page.location(foreign), "https://app.test/login", "{foreign}");
        }
        assert_eq!(redirect("/login?client=a").location("/x"), "/login?client=a&next=/x");
        let silent = SignInRedirect { page: "/login".to_owned(), return_parameter: None };
        assert_eq!(silent.location("/x"), "/login");
    }

    #[test]
    fn the_place_of_a_page_is_host_and_path() {
        assert_eq!(redirect("/login?x=/y").place(), (None, "/login"));
        assert_eq!(redirect("https://a.test:8443/b/c?d").place(), (Some("a.test:8443"), "/b/c"));
        assert_eq!(redirect("http://a.test").place(), (Some("a.test"), "/"));
    }
}
