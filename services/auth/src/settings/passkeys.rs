//! Where passkeys are valid: the relying party of WebAuthn.

use kit::settings::{Reader, Variable};
use reqwest::Url;

/// The domain that passkeys belong to.
pub const PASSKEY_RP_ID: Variable = Variable {
    name: "PASSKEY_RP_ID",
    default: None,
    help: "Domain that passkeys belong to (the relying party); unset means ROOT_DOMAIN. A browser offers a passkey on this \
           domain and below it, and never again under another name",
    secret: false,
};

/// The pages that may use them.
pub const PASSKEY_ORIGINS: Variable = Variable {
    name: "PASSKEY_ORIGINS",
    default: None,
    help: "Origins whose pages may use passkeys, separated by commas, such as https://dev-domain.test; of Android apps \
           android:apk-key-hash:…; unset means https:// and PASSKEY_RP_ID",
    secret: false,
};

/// More origins than a product has. Each is compared with that of a request.
const MAX_ORIGINS: usize = 16;

/// How the origin of an Android app begins.
const ANDROID: &str = "android:apk-key-hash:";

/// Where passkeys are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    /// The domain that passkeys belong to.
    pub id: String,
    /// The origins of the pages and apps that may use them.
    pub origins: Vec<String>,
}

impl RelyingParty {
    /// Uses the domain `id`, and the pages of the domain itself.
    #[must_use]
    pub fn of(id: &str) -> Self {
        Self { id: id.to_owned(), origins: vec![format!("https://{id}")] }
    }

    /// Reads both settings. `root_domain` has its own check.
    pub(super) fn read(reader: &mut Reader, root_domain: &str) -> Self {
        let check = |text: &str| super::check_domain(text).map(|()| text.to_owned());
        let id = reader.parsed_by(&PASSKEY_RP_ID, check).unwrap_or_else(|| root_domain.to_owned());
        let origins = reader.parsed_by(&PASSKEY_ORIGINS, |text| origins(text, &id));
        let origins = origins.unwrap_or_else(|| Self::of(&id).origins);
        Self { id, origins }
    }
}

fn origins(text: &str, id: &str) -> Result<Vec<String>, String> {
    let origins: Vec<String> = text.split(',').map(|origin| origin.trim().to_owned()).collect();
    if origins.len() > MAX_ORIGINS {
        return Err(format!("write at most {MAX_ORIGINS} origins"));
    }
    if let Some(bad) = origins.iter().find(|origin| !is_origin(origin, id)) {
        return Err(format!(
            "`{bad}` may not use passkeys of {id}: write https://{id}, https://NAME.{id} (either with a port), \
             or android:apk-key-hash:…"
        ));
    }
    Ok(origins)
}

/// Returns whether a browser can send `text` as the origin of a page that may use passkeys of `id`. It has no path and no slash
/// at its end, because it is compared byte for byte. Without TLS a browser has passkeys on `localhost` alone.
fn is_origin(text: &str, id: &str) -> bool {
    if let Some(hash) = text.strip_prefix(ANDROID) {
        return !hash.is_empty();
    }
    let Ok(url) = Url::parse(text) else { return false };
    let Some(host) = url.host_str() else { return false };
    let is_secure = url.scheme() == "https" || (url.scheme() == "http" && host == "localhost");
    let is_below = host == id || host.strip_suffix(id).is_some_and(|name| name.ends_with('.'));
    is_secure && is_below && url.origin().ascii_serialization() == text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_one_that_a_browser_sends_for_the_domain() {
        for (text, expected) in [
            ("https://dev-domain.test", true),
            ("https://www.dev-domain.test:8443", true),
            ("android:apk-key-hash:4WPIm3", true),
            ("android:apk-key-hash:", false),
            ("http://dev-domain.test", false),
            ("https://dev-domain.test/", false),
            ("https://dev-domain.test:443", false),
            ("https://evil-dev-domain.test", false),
            ("https://dev-domain.test.evil.test", false),
            ("https://Dev-Domain.test", false),
            ("dev-domain.test", false),
            ("", false),
        ] {
            assert_eq!(is_origin(text, "dev-domain.test"), expected, "{text}");
        }
        assert!(is_origin("http://localhost:8080", "localhost"));
        assert_eq!(
            origins("https://a.test, https://b.a.test", "a.test"),
            Ok(vec!["https://a.test".to_owned(), "https://b.a.test".to_owned()])
        );
        assert!(origins("https://a.test,https://b.test", "a.test").is_err());
        assert!(origins(&vec!["https://a.test"; 17].join(","), "a.test").is_err());
    }
}
