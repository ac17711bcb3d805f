//! The HTTP client for every request that this program sends itself.
//!
//! The configuration fixes each address: no proxy from the environment (`HTTP_PROXY`) reads the response on
//! the way, and no redirect sends the request elsewhere.

use std::time::Duration;

use edge_config::edge::Reach;

/// How long a connection may take. Another machine in the same network answers within a millisecond, one on another
/// continent within half a second.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// A client whose requests take at most `within`, the response included.
pub fn client(within: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .timeout(within)
        .connect_timeout(CONNECT_WITHIN.min(within))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
}

/// The same for `url`, which must be HTTPS unless it is on this machine.
pub fn fetching(url: &str, within: Duration) -> reqwest::ClientBuilder {
    let local = reqwest::Url::parse(url).ok().is_some_and(|url| {
        let host = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
        host.is_some_and(|host| Reach::of_host(host) == Reach::Machine)
    });
    client(within).https_only(!local)
}

/// The innermost reason of `error`: the outer ones only say what was tried.
#[must_use]
pub fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// Fetches the body of `url` with a GET; it must be a success of at most `most` bytes.
///
/// # Errors
/// A message, without the body.
pub async fn fetch(client: &reqwest::Client, url: &str, most: usize) -> Result<Vec<u8>, String> {
    let mut response = client.get(url).send().await.map_err(|error| error.to_string())?;
    if !response.status().is_success() {
        return Err(format!("answered {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
        if body.len() + chunk.len() > most {
            return Err(format!("the response has more than {most} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keys_in_the_clear_come_from_this_machine_alone() {
        let within = Duration::from_secs(1);
        for (url, refused) in [
            ("http://192.0.2.1/jwks.json", true),
            ("http://issuer.example.com/jwks.json", true),
            ("http://127.0.0.1:1/jwks.json", false),
            ("http://[::1]:1/jwks.json", false),
        ] {
            let client = fetching(url, within).build().unwrap();
            let error = client.get(url).send().await.unwrap_err();
            assert_eq!(error.is_builder(), refused, "{url}: {error:?}");
        }
    }
}
