//! What the build says about itself, and the constant headers that follow from it.

use std::path::{Path, PathBuf};

use http::{HeaderValue, Uri};
use kit::startup::StartError;
use serde::Deserialize;
use tokio::sync::OnceCell;

/// The entry document, which every page begins with.
pub const ENTRY: &str = "index.html";

/// What the build says about itself.
pub const SITE: &str = "site.json";

/// The public configuration of a build (`apps/web/config.ts` writes it).
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Built {
    /// The origin of the API that the pages call, such as `https://api.example.com`.
    api: String,
}

/// A built application that can be served.
#[derive(Clone, Debug)]
pub struct Site {
    /// The value of `content-security-policy` on the entry document.
    pub policy: HeaderValue,
}

/// The directory of a build, which may be empty for now.
#[derive(Debug)]
pub struct Build {
    root: PathBuf,
    site: OnceCell<Site>,
}

impl Build {
    /// A build at `root`, which need not be there yet.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root, site: OnceCell::new() }
    }

    /// The directory of the build.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The application, read once. While there is none, each call tries again, so a build that is made later is served
    /// without a restart.
    ///
    /// # Errors
    /// As [`Site::read`].
    pub async fn site(&self) -> Result<&Site, StartError> {
        self.site.get_or_try_init(|| Site::read(&self.root)).await
    }
}

impl Site {
    /// Reads the build at `root`.
    ///
    /// # Errors
    /// [`StartError::File`] when the build is missing, incomplete or names no origin.
    pub async fn read(root: &Path) -> Result<Self, StartError> {
        let build = "`make pages` builds it, or set WEB_ROOT to a built application";
        let entry = root.join(ENTRY);
        if !tokio::fs::try_exists(&entry).await.unwrap_or(false) {
            return Err(StartError::File(format!("{} does not exist; {build}", entry.display())));
        }
        let file = root.join(SITE);
        let failed = |why: String| StartError::File(format!("{}: {why}; {build}", file.display()));
        let text = tokio::fs::read(&file).await.map_err(|error| failed(error.to_string()))?;
        let built: Built = serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
        let policy = policy(&built.api).ok_or_else(|| {
            failed(format!("api: {:?} is not an origin; write one like https://api.example.com", built.api))
        })?;
        Ok(Self { policy })
    }
}

/// Scripts, styles and images come from the service itself, and only the API may be called (CSP Level 3). A page
/// cannot be framed, so that no other site can place it under its own buttons.
fn policy(api: &str) -> Option<HeaderValue> {
    let uri: Uri = api.parse().ok()?;
    let authority = uri.authority()?.as_str();
    let scheme = uri.scheme_str().filter(|scheme| ["http", "https"].contains(scheme))?;
    // Text that reads differently from its origin has a path, a query or a user, or another character that the policy
    // would read as its own.
    let is_origin =
        format!("{scheme}://{authority}") == api && !authority.contains(['@', ';', ',', '*', '\'']);
    let text = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; \
         connect-src 'self' {api}; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    is_origin.then(|| HeaderValue::from_str(&text).ok())?
}

#[cfg(test)]
mod tests {
    use super::policy;

    #[test]
    fn only_an_origin_gets_into_the_policy() {
        for origin in ["https://api.example.com", "http://api.cutover.localhost:8080", "https://[::1]:8443"] {
            let text = policy(origin).and_then(|value| value.to_str().ok().map(str::to_owned));
            assert!(
                text.is_some_and(|text| text.contains(&format!("connect-src 'self' {origin};"))),
                "{origin}"
            );
        }
        for other in [
            "",
            "api.example.com",
            "//api.example.com",
            "https://api.example.com/",
            "https://api.example.com/v1",
            "https://api.example.com?x",
            "https://me@api.example.com",
            "https://*.example.com",
            "https://api.example.com;script-src",
            "https://api.example.com script-src",
            "javascript://api.example.com",
        ] {
            assert_eq!(policy(other), None, "{other}");
        }
    }
}
