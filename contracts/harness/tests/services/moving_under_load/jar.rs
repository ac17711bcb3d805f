//! A cookie jar that behaves as a browser's (RFC 6265 §5.3, §5.4) for one site.

use std::time::{Duration, Instant};

use harness::wire::{Answer, Request};

#[derive(Clone, Debug)]
struct Cookie {
    name: String,
    value: String,
    path: String,
    until: Option<Instant>,
}

/// The cookies of one browser.
#[derive(Clone, Debug, Default)]
pub(crate) struct Jar(Vec<Cookie>);

impl Jar {
    /// Stores what `answer` sets. A cookie of the same name and path is replaced in its place; `Max-Age=0` removes it.
    pub(crate) fn take(&mut self, answer: &Answer) {
        for line in answer.all("set-cookie") {
            let mut parts = line.split(';').map(str::trim);
            let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { continue };
            let (mut path, mut max_age) = ("/".to_owned(), None);
            for attribute in parts {
                let (key, value) = attribute.split_once('=').unwrap_or((attribute, ""));
                match key.to_ascii_lowercase().as_str() {
                    "path" if value.starts_with('/') => value.clone_into(&mut path),
                    "max-age" => max_age = value.parse::<i64>().ok(),
                    _ => {}
                }
            }
            let seconds = |seconds: i64| Duration::from_secs(seconds.try_into().unwrap_or_default());
            let until = max_age.map(|age| Instant::now() + seconds(age));
            let cookie = Cookie { name: name.to_owned(), value: value.to_owned(), path, until };
            let same = self.0.iter().position(|old| old.name == cookie.name && old.path == cookie.path);
            match (same, max_age.is_some_and(|age| age <= 0)) {
                (Some(at), true) => {
                    self.0.remove(at);
                }
                (Some(at), false) => self.0[at] = cookie,
                (None, true) => {}
                (None, false) => self.0.push(cookie),
            }
        }
    }

    /// Stores a cookie with the path `/`.
    pub(crate) fn put(&mut self, name: &str, value: &str) {
        let (name, value) = (name.to_owned(), value.to_owned());
        self.0.push(Cookie { name, value, path: "/".to_owned(), until: None });
    }

    /// The value of the last cookie with this name.
    pub(crate) fn value(&self, name: &str) -> String {
        let cookie = self.0.iter().rev().find(|cookie| cookie.name == name);
        cookie.map(|cookie| cookie.value.clone()).unwrap_or_default()
    }

    /// The access token of this jar beside the refresh token of `other`.
    pub(crate) fn with_refresh_of(&self, other: &Self) -> Self {
        let mut mixed = Self::default();
        mixed.put("madome_access_token", &self.value("madome_access_token"));
        mixed.put("madome_refresh_token", &other.value("madome_refresh_token"));
        mixed
    }

    /// The same with other signatures.
    pub(crate) fn forged(&self) -> Self {
        let forged = |name: &str| {
            let value = self.value(name);
            let (claims, signature) = value.rsplit_once('.').unwrap_or((value.as_str(), ""));
            // The last letter of a signature may have unused bits, so every letter is replaced.
            let other = |letter: char| if letter == 'A' { 'B' } else { 'A' };
            format!("{claims}.{}", signature.chars().map(other).collect::<String>())
        };
        let mut jar = Self::default();
        for name in ["madome_access_token", "madome_refresh_token"] {
            jar.put(name, &forged(name));
        }
        jar
    }

    /// The `Cookie` line for a request to `path`: longer paths first, older cookies before younger ones.
    pub(crate) fn line(&self, path: &str) -> Option<String> {
        let now = Instant::now();
        let covers = |cookie: &&Cookie| {
            let rest = path.strip_prefix(cookie.path.as_str());
            rest.is_some_and(|rest| rest.is_empty() || cookie.path.ends_with('/') || rest.starts_with('/'))
                && cookie.until.is_none_or(|until| now < until)
        };
        let mut sent: Vec<&Cookie> = self.0.iter().filter(covers).collect();
        sent.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let pairs: Vec<String> =
            sent.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// `request` to `path` with the cookies of this jar.
    pub(crate) fn on(&self, request: Request, path: &str) -> Request {
        match self.line(path) {
            Some(line) => request.header("cookie", line),
            None => request,
        }
    }

    /// Whether the access token is one of the legacy backend's: its header names HS256.
    pub(crate) fn is_legacy(&self) -> bool {
        let access = self.0.iter().find(|cookie| cookie.name == "madome_access_token");
        access.is_some_and(|cookie| cookie.value.starts_with("eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9."))
    }
}
