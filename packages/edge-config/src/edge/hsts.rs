//! HTTP Strict Transport Security (RFC 6797): browsers use https alone for a host, for some time.

use std::fmt;

/// The header that says so.
pub const HSTS_HEADER: &str = "strict-transport-security";

/// The promise to browsers that a host is served over https. `Display` is the value of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hsts {
    /// How many seconds the browser remembers it after each answer; 0 makes it forget.
    pub max_age: u64,
    /// Whether it holds for all names below the host's, too.
    pub include_subdomains: bool,
    /// Whether the host asks to be in the browsers' own lists.
    pub preload: bool,
}

impl fmt::Display for Hsts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "max-age={}", self.max_age)?;
        if self.include_subdomains {
            f.write_str("; includeSubDomains")?;
        }
        if self.preload {
            f.write_str("; preload")?;
        }
        Ok(())
    }
}
