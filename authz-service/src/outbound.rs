//! The HTTP client of everything that this program fetches or asks by itself.
//!
//! Where a question goes is configuration: no proxy from the environment (`HTTP_PROXY`) reads the answer on the way, and no
//! answer (a redirect) sends the question elsewhere.

use std::time::Duration;

use edge_config::edge::Reach;

/// How long a connection may take. Another machine in the same network answers within a millisecond, one on another
/// continent within half a second.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// A client whose questions take `within` at the most, their answers included.
pub fn client(within: Duration) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .timeout(within)
        .connect_timeout(CONNECT_WITHIN.min(within))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
}

/// The same for `url`, which is fetched encrypted unless it is on this machine.
pub fn fetching(url: &str, within: Duration) -> reqwest::ClientBuilder {
    let local = reqwest::Url::parse(url).ok().is_some_and(|url| {
        let host = url.host_str().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
        host.is_some_and(|host| Reach::of_host(host) == Reach::Machine)
    });
    client(within).https_only(!local)
}

/// The body of a GET of `url`, when it is a success of `most` bytes at the most.
///
/// # Errors
/// A sentence, without the body.
pub async fn fetch(client: &reqwest::Client, url: &str, most: usize) -> Result<Vec<u8>, String> {
    let mut response = client.get(url).send().await.map_err(|error| error.to_string())?;
    if !response.status().is_success() {
        return Err(format!("answered {}", response.status()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| error.to_string())? {
        if body.len() + chunk.len() > most {
            return Err(format!("the answer has more than {most} bytes"));
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
