//! The request to explain.

use std::path::Path;

use edge_config::Edge;
use edge_config::edge::{Exposure, Sessions};
use header_rules::MovedToken;

use super::{Arguments, Failed};

/// A request as Envoy would receive it.
pub(super) struct Request {
    pub(super) method: String,
    /// Whether the URL is `https`.
    pub(super) is_encrypted: bool,
    pub(super) authority: String,
    /// Path and query, byte for byte.
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
}

impl Request {
    /// Reads `METHOD URL` and the headers of `arguments`.
    pub(super) fn read(
        text: &str,
        arguments: &Arguments,
        sessions: Option<&Sessions>,
    ) -> Result<Self, Failed> {
        let usage = || {
            let fix = "write for example 'GET https://api.example.com/users/@me'";
            Failed::Usage(format!("{text:?} is not a request; {fix}"))
        };
        let (method, url) = text.split_once(' ').ok_or_else(usage)?;
        let (is_encrypted, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(usage()),
        };
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).ok_or_else(usage)?;
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let mut headers = Vec::new();
        for header in &arguments.headers {
            let colon = || Failed::Usage(format!("{header:?} is not a header; write -H 'name: value'"));
            let (name, value) = header.split_once(':').ok_or_else(colon)?;
            headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        if let Some(cookie) = &arguments.cookie {
            headers.push(("cookie".to_owned(), cookie.clone()));
        }
        if let Some(file) = &arguments.token_file {
            let token = token(file).map_err(Failed::Other)?;
            headers.push(match sessions {
                Some(sessions) => ("cookie".to_owned(), format!("{}={token}", sessions.cookie)),
                None => ("authorization".to_owned(), format!("Bearer {token}")),
            });
        }
        let (method, authority) = (method.to_owned(), authority.to_owned());
        Ok(Self { method, is_encrypted, authority, target, headers })
    }

    /// The path without its query.
    pub(super) fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or(&self.target)
    }

    /// Moves the token of a WebSocket from its protocols to `authorization`, as the guard does.
    pub(super) fn take_token(&mut self, moved: &MovedToken) {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.headers.retain(|(name, _)| name != header_rules::PROTOCOLS);
        self.headers.push((header_rules::PROTOCOLS.to_owned(), text(&moved.protocols)));
        self.headers.push(("authorization".to_owned(), text(&moved.authorization)));
    }

    /// The headers as the guard receives them, see [`header_rules::HeaderMap`].
    pub(super) fn serialised(&self) -> Vec<u8> {
        let pseudo = [(":method", &self.method), (":path", &self.target), (":authority", &self.authority)];
        let all: Vec<(&str, &str)> = pseudo
            .into_iter()
            .map(|(name, value)| (name, value.as_str()))
            .chain(self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())))
            .collect();
        let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes();
        let mut buffer = length(all.len()).to_vec();
        for (name, value) in &all {
            buffer.extend(length(name.len()));
            buffer.extend(length(value.len()));
        }
        for (name, value) in &all {
            buffer.extend([name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
        }
        buffer
    }
}

fn token(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
    Ok(text.trim().to_owned())
}

/// The listener that receives `request`: the `wanted` one, or else a public one that serves the host, or else the first public
/// one. Of several that serve the host, the first that is encrypted as the URL says (`https` or `http`).
pub(super) fn listener<'a>(
    edge: &'a Edge,
    wanted: Option<&str>,
    request: &Request,
) -> Result<&'a str, String> {
    let names = || edge.listeners.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    if let Some(wanted) = wanted {
        let found = edge.listeners.get_key_value(wanted).map(|(name, _)| name.as_str());
        return found.ok_or_else(|| format!("there is no listener `{wanted}`; there are: {}", names()));
    }
    let public = || edge.listeners.iter().filter(|(_, listener)| listener.exposure == Exposure::Public);
    let serves = |name: &str| edge_config::host_of(edge, name, &request.authority).is_some();
    let serving = || public().filter(|(name, _)| serves(name));
    serving()
        .find(|(_, listener)| listener.tls.is_some() == request.is_encrypted)
        .or_else(|| serving().next())
        .or_else(|| public().next())
        .map(|(name, _)| name.as_str())
        .ok_or_else(|| format!("the edge has no public listener; name one with --listener: {}", names()))
}

/// The other listeners that serve the host of `request` besides `receiving`.
pub(super) fn others<'a>(edge: &'a Edge, receiving: &str, request: &Request) -> Vec<&'a str> {
    let group = |name: &str| edge_config::host_of(edge, name, &request.authority).map(|(group, _)| group);
    let here = group(receiving);
    let names = edge.listeners.keys().map(String::as_str);
    names.filter(|name| *name != receiving && here.is_some() && group(name) == here).collect()
}
