//! What refused callers read: the statuses and bodies that the clients of a route already know.

use std::collections::BTreeMap;

use super::{Edge, PathMatch, RefusalStatus};

/// The words of one set of clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answers {
    /// `content-type` of every body; absent means that answers carry none.
    pub content_type: Option<String>,
    /// No valid credential (401).
    pub unauthenticated: Answer,
    /// Not allowed: role, scope, tenant, another site, an upgrade (403).
    pub forbidden: Answer,
    /// Not to be seen from here (404).
    pub not_found: Answer,
    /// The edge cannot decide now, or no backend answers (503; 502 and 504 where Envoy says so).
    pub unavailable: Answer,
    /// Too often (429).
    pub too_many_requests: Answer,
    /// What Envoy refuses by itself, by the status that it sends.
    pub made_by_envoy: BTreeMap<MadeByEnvoy, Answer>,
    /// `www-authenticate` of a 401 (RFC 9110 §11.6.1); absent when clients know none.
    pub challenge: Option<String>,
    /// Further constant headers of every refusal.
    pub headers: BTreeMap<String, String>,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: RefusalStatus,
    /// The body, exactly as it is sent.
    pub body: String,
}

/// Refusals whose status Envoy settles, because it answers before or instead of any decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MadeByEnvoy {
    /// 400: no request that has one meaning.
    BadRequest,
    /// 405: a method that no edge lets through.
    MethodNotAllowed,
    /// 408: the request did not arrive in time.
    RequestTimeout,
    /// 413: the body is longer than may be read.
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

    /// What the edge file calls it.
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

    /// The words where the file says nothing.
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

impl Answer {
    /// An answer that fits its content type where the file says nothing: JSON under a JSON type, a page under HTML, an
    /// element under XML, the sentence itself under text or no type, and no body under any other type.
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
    /// The words for which nothing is configured: plain sentences without a content type, as the services say them.
    #[must_use]
    pub fn built_in() -> Self {
        let answer = |status, body: &str| Answer { status, body: body.to_owned() };
        Self {
            content_type: None,
            unauthenticated: answer(RefusalStatus::UNAUTHORIZED, "Unauthorized"),
            forbidden: answer(RefusalStatus::FORBIDDEN, "Permission denied"),
            not_found: answer(RefusalStatus::NOT_FOUND, "Not found"),
            unavailable: answer(RefusalStatus::UNAVAILABLE, "Service unavailable"),
            too_many_requests: answer(RefusalStatus::TOO_MANY_REQUESTS, "Too many requests"),
            made_by_envoy: BTreeMap::new(),
            challenge: None,
            headers: BTreeMap::new(),
        }
    }

    /// What Envoy says for `kind`: the file's words, else the standard ones under this content type.
    #[must_use]
    pub fn by_envoy(&self, kind: MadeByEnvoy) -> Answer {
        self.made_by_envoy
            .get(&kind)
            .cloned()
            .unwrap_or_else(|| Answer::standard(self.content_type.as_deref(), kind.status(), kind.text()))
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
    /// The words where neither route nor host is known.
    #[must_use]
    pub fn answers_by_default(&self) -> Answers {
        let named = self.default_answers.as_ref().and_then(|name| self.answers.get(name));
        named.cloned().unwrap_or_else(Answers::built_in)
    }

    /// The words of the host group `group` where none of its routes takes a request: the answers that it names; else
    /// those of its route for everything (`prefix: /`); else those that all of its routes share; else the edge's.
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn standard_words_fit_their_content_type() {
        let body = |content_type: Option<&str>| {
            Answer::standard(content_type, RefusalStatus::TOO_MANY_REQUESTS, "Too many requests").body
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
