//! Which generation of the API a service answers as.

use std::fmt;
use std::str::FromStr;

/// The generation of clients whose answers a service gives, byte for byte.
///
/// A team moves paths first, with answers that no client can distinguish from the legacy backend's
/// ([`Older`](Self::Older)), and changes the surface later, as a step of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Surface {
    /// As the legacy backend answers. Users: `id`, `email`, `name`, `role` and the times, with as many digits
    /// as they need; any signed-in person creates accounts; no person changes their own. Auth: a check names
    /// the person only. No expiry header.
    Older,
    /// Users: with a handle and milliseconds; bots create accounts, and people change their own. Auth: a check
    /// names the role and the expiry too.
    #[default]
    Later,
}

/// The text names no surface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write `older` (as the legacy backend answers) or `later`")]
pub struct UnknownSurface;

impl FromStr for Surface {
    type Err = UnknownSurface;

    fn from_str(text: &str) -> Result<Self, UnknownSurface> {
        match text {
            "older" => Ok(Self::Older),
            "later" => Ok(Self::Later),
            _ => Err(UnknownSurface),
        }
    }
}

impl fmt::Display for Surface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Older => "older",
            Self::Later => "later",
        })
    }
}
