//! The wording of refusals: the statuses and bodies that the clients of a route already know.

use std::collections::BTreeMap;

use super::{Edge, HeaderCase, PathMatch, RefusalStatus, Route};

/// The wording of refusals for one set of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// `content-type` of every body; absent means that answers carry none.
    pub content_type: Option<String>,
    /// For a request without a valid credential (401).
    pub unauthenticated: RefusalAnswer,
    /// For a signature that was used before; without words of its own, as `unauthenticated`.
    pub replayed: RefusalAnswer,
    /// For a forbidden request: role, scope, tenant, another site, an upgrade (403).
    pub forbidden: RefusalAnswer,
    /// For a path that is not visible here (404).
    pub not_found: RefusalAnswer,
    /// When the edge cannot decide now, or no backend answers (503; 502 and 504 where Envoy uses them).
    pub unavailable: RefusalAnswer,
    /// For too many requests (429).
    pub too_many_requests: RefusalAnswer,
    /// For Envoy's own refusals, by their kind.
    pub made_by_envoy: BTreeMap<MadeByEnvoy, RefusalAnswer>,
    /// `www-authenticate` of a 401 (RFC 9110 §11.6.1); absent when clients know none.
    pub challenge: Option<String>,
    /// Further constant headers of every refusal.
    pub headers: BTreeMap<String, String>,
    /// The case of header names on HTTP/1.1.
    pub header_case: HeaderCase,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalAnswer {
    /// The HTTP status.
    pub status: RefusalStatus,
    /// The body, exactly as it is sent.
    pub body: String,
}

/// Refusals whose status Envoy chooses, because it answers before or instead of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MadeByEnvoy {
    /// 400: the request does not have exactly one meaning.
    BadRequest,
    /// 405: no edge accepts the method.
    MethodNotAllowed,
    /// 408: the request did not arrive in time.
    RequestTimeout,
    /// 413: the body is longer than allowed.
    ContentTooLarge,
    /// 426: HTTP/1.0.
    UpgradeRequired,
    /// 431: too many headers, or too long ones.
    HeadersTooLarge,
}

impl MadeByEnvoy {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::BadRequest,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::ContentTooLarge,
        Self::UpgradeRequired,
        Self::HeadersTooLarge,
    ];

    /// Its name in the edge file.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::RequestTimeout => "request_timeout",
            Self::ContentTooLarge => "content_too_large",
            Self::UpgradeRequired => "upgrade_required",
            Self::HeadersTooLarge => "headers_too_large",
        }
    }

    /// The status that Envoy sends.
    #[must_use]
    pub const fn status(self) -> RefusalStatus {
        match self {
            Self::BadRequest => RefusalStatus::BAD_REQUEST,
            Self::MethodNotAllowed => RefusalStatus::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => RefusalStatus::REQUEST_TIMEOUT,
            Self::ContentTooLarge => RefusalStatus::CONTENT_TOO_LARGE,
            Self::UpgradeRequired => RefusalStatus::UPGRADE_REQUIRED,
            Self::HeadersTooLarge => RefusalStatus::HEADERS_TOO_LARGE,
        }
    }

    /// The default wording.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::BadRequest => "Bad request",
            Self::MethodNotAllowed => "Method Not Allowed",
            Self::RequestTimeout => "Request timeout",
            Self::ContentTooLarge => "Content too large",
            Self::UpgradeRequired => "Upgrade required",
            Self::HeadersTooLarge => "Request header fields too large",
        }
    }
}

impl RefusalAnswer {
    /// The default answer in the form of its content type: JSON for a JSON type, a page for HTML, an element for XML, the
    /// sentence itself for text or no type, and no body for any other type.
    #[must_use]
    pub fn standard(content_type: Option<&str>, status: RefusalStatus, text: &str) -> Self {
        let essence = content_type.map(|value| {
            let essence = value.split(';').next().unwrap_or(value);
            essence.trim().to_ascii_lowercase()
        });
        let body = match essence.as_deref() {
            None => text.to_owned(),
            // RFC 9457.
            Some("application/problem+json") => format!(r#"{{"title":"{text}","status":{status}}}"#),
            Some(json) if json == "application/json" || json.ends_with("+json") || json == "text/json" => {
                format!(r#"{{"message":"{text}"}}"#)
            }
            Some("text/html" | "application/xhtml+xml") => {
                format!("<!doctype html><title>{text}</title><p>{text}</p>")
            }
            Some(xml) if xml == "application/xml" || xml == "text/xml" || xml.ends_with("+xml") => {
                format!("<error><message>{text}</message></error>")
            }
            Some(plain) if plain.starts_with("text/") => text.to_owned(),
            Some(_) => String::new(),
        };
        Self { status, body }
    }
}

impl Answers {
    /// The name of the answers of routes that name none. A file words them by defining answers of this name; otherwise they
    /// are [`Answers::neutral`].
    pub const UNSAID: &str = "default";

    /// The wording for routes without `answers`: problem details (RFC 9457), the form that HTTP itself defines for programs,
    /// and the challenge that a 401 must carry (RFC 9110 §15.5.2).
    #[must_use]
    pub fn neutral() -> Self {
        const CONTENT_TYPE: &str = "application/problem+json";
        let answer = |status, text| RefusalAnswer::standard(Some(CONTENT_TYPE), status, text);
        Self {
            content_type: Some(CONTENT_TYPE.to_owned()),
            unauthenticated: answer(RefusalStatus::UNAUTHORIZED, Self::UNAUTHENTICATED),
            replayed: answer(RefusalStatus::UNAUTHORIZED, Self::UNAUTHENTICATED),
            forbidden: answer(RefusalStatus::FORBIDDEN, Self::FORBIDDEN),
            not_found: answer(RefusalStatus::NOT_FOUND, Self::NOT_FOUND),
            unavailable: answer(RefusalStatus::UNAVAILABLE, Self::UNAVAILABLE),
            too_many_requests: answer(RefusalStatus::TOO_MANY_REQUESTS, Self::TOO_MANY_REQUESTS),
            made_by_envoy: BTreeMap::new(),
            challenge: Some("Bearer".to_owned()),
            headers: BTreeMap::new(),
            header_case: HeaderCase::Lower,
        }
    }

    pub(crate) const UNAUTHENTICATED: &str = "Unauthorized";
    pub(crate) const FORBIDDEN: &str = "Permission denied";
    pub(crate) const NOT_FOUND: &str = "Not found";
    pub(crate) const UNAVAILABLE: &str = "Service unavailable";
    pub(crate) const TOO_MANY_REQUESTS: &str = "Too many requests";

    /// The wording when none is configured: plain sentences without a content type, as the services word them.
    #[must_use]
    pub fn built_in() -> Self {
        let answer = |status, body: &str| RefusalAnswer { status, body: body.to_owned() };
        Self {
            content_type: None,
            unauthenticated: answer(RefusalStatus::UNAUTHORIZED, Self::UNAUTHENTICATED),
            replayed: answer(RefusalStatus::UNAUTHORIZED, Self::UNAUTHENTICATED),
            forbidden: answer(RefusalStatus::FORBIDDEN, Self::FORBIDDEN),
            not_found: answer(RefusalStatus::NOT_FOUND, Self::NOT_FOUND),
            unavailable: answer(RefusalStatus::UNAVAILABLE, Self::UNAVAILABLE),
            too_many_requests: answer(RefusalStatus::TOO_MANY_REQUESTS, Self::TOO_MANY_REQUESTS),
            made_by_envoy: BTreeMap::new(),
            challenge: None,
            headers: BTreeMap::new(),
            header_case: HeaderCase::Lower,
        }
    }

    /// Envoy's answer for `kind`: that of the file, or else the standard one for this content type.
    #[must_use]
    pub fn by_envoy(&self, kind: MadeByEnvoy) -> RefusalAnswer {
        self.made_by_envoy.get(&kind).cloned().unwrap_or_else(|| {
            RefusalAnswer::standard(self.content_type.as_deref(), kind.status(), kind.text())
        })
    }

    /// The body of a refusal that Envoy makes with `status`.
    #[must_use]
    pub fn body_of(&self, status: u16) -> String {
        match status {
            403 => self.forbidden.body.clone(),
            404 => self.not_found.body.clone(),
            500.. => self.unavailable.body.clone(),
            other => {
                let kind = MadeByEnvoy::ALL.into_iter().find(|kind| kind.status().get() == other);
                self.by_envoy(kind.unwrap_or(MadeByEnvoy::BadRequest)).body
            }
        }
    }
}

impl Edge {
    /// The answers where neither route nor host is known.
    #[must_use]
    pub fn answers_by_default(&self) -> Answers {
        let named = self.default_answers.as_ref().and_then(|name| self.answers.get(name));
        named.cloned().unwrap_or_else(Answers::built_in)
    }

    /// The answers of the host group `group` where none of its routes matches: the answers that it names; else those of its
    /// route for everything (`prefix: /`); else those that all of its routes share; else the edge's.
    #[must_use]
    pub fn answers_of_host(&self, group: &str) -> Answers {
        let mut routes = self.routes.iter().filter(|route| route.host == group);
        let everything = routes.clone().find(|route| route.path == PathMatch::Prefix("/".to_owned()));
        let shared = || {
            let first = routes.next()?;
            routes.all(|route| route.answers == first.answers).then_some(&first.answers)
        };
        let named = self.hosts.get(group).and_then(|host| host.answers.as_ref());
        let name = named.or(everything.map(|route| &route.answers)).or_else(shared);
        let answers = name.and_then(|name| self.answers.get(name));
        answers.cloned().unwrap_or_else(|| self.answers_by_default())
    }

    /// The case of header names in refusals on `listener`: that of the answers that its routes and hosts use.
    #[must_use]
    pub fn header_case_of(&self, listener: &str) -> HeaderCase {
        let here = |group: &String| self.hosts.get(group).is_some_and(|host| host.is_on(listener));
        let routes = self.routes.iter().filter(|route| here(&route.host)).map(|route| &route.answers);
        let hosts = self.hosts.values().filter(|host| host.is_on(listener));
        let mut names = routes.chain(hosts.filter_map(|host| host.answers.as_ref()));
        let first = names.next().and_then(|name| self.answers.get(name));
        first.map_or_else(HeaderCase::default, |answers| answers.header_case)
    }

    /// The wording of a 404 for `path` of the host group `group`, when the path is closed there: that of the route that
    /// takes the paths beside it, so that clients cannot distinguish a closed path from an absent one.
    #[must_use]
    pub fn answers_of_closed(&self, group: &str, path: &str) -> Answers {
        let takes = |route: &&Route| route.host == group && route.path.takes(path);
        let rank = |one: &&Route, other: &&Route| {
            // A route for every method answers most of the requests that could ask.
            let methods = other.methods.is_empty().cmp(&one.methods.is_empty());
            one.path.specificity().cmp(&other.path.specificity()).then(methods)
        };
        let route = self.routes.iter().filter(takes).min_by(rank);
        let answers = route.and_then(|route| self.answers.get(&route.answers));
        answers.cloned().unwrap_or_else(|| self.answers_of_host(group))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standard_answer_has_the_form_of_its_content_type() {
        let body = |content_type: Option<&str>| {
            RefusalAnswer::standard(content_type, RefusalStatus::TOO_MANY_REQUESTS, "Too many requests").body
        };
        assert_eq!(body(None), "Too many requests");
        assert_eq!(body(Some("text/plain; charset=utf-8")), "Too many requests");
        for json in ["application/json", "Application/JSON; charset=utf-8", "application/vnd.x+json"] {
            assert_eq!(body(Some(json)), r#"{"message":"Too many requests"}"#, "{json}");
        }
        assert_eq!(body(Some("application/problem+json")), r#"{"title":"Too many requests","status":429}"#);
        assert!(body(Some("text/html")).starts_with("<!doctype html>"));
        assert!(body(Some("application/xml")).starts_with("<error>"));
        assert_eq!(body(Some("application/octet-stream")), "");
    }
}
