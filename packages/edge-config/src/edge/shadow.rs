//! How answers of a new backend are compared with those of the old one, before the new one's reach anybody.

use std::fmt;
use std::net::SocketAddr;

use super::Route;

/// Where the comparator is and what it overlooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparator {
    /// Where Envoy brings the copies of requests.
    pub address: SocketAddr,
    /// Where the comparator reports: always loopback, because samples of answers are shown there.
    pub admin: SocketAddr,
    /// How many of a hundred safe requests are copied, 1 to 100. Each one costs the reference another request.
    pub sample_percent: u32,
    /// What does not matter.
    pub ignore: Vec<Ignore>,
    /// The header in which a backend says which version of it answers, lower case. A new version is a new backend: what was
    /// counted before says nothing about it. It is not compared itself. Absent when backends do not say.
    pub version_header: Option<String>,
}

impl Route {
    /// Whose answers the shadow's are compared with: the first of its backends that is not the shadow. Absent
    /// without a shadow.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        let shadow = self.shadow.as_deref()?;
        self.destination.backends().find(|backend| *backend != shadow)
    }

    /// Every backend that answers its requests or copies of them, each once. The signed identity is good for all.
    #[must_use]
    pub fn answering(&self) -> Vec<&str> {
        let mut backends = self.backends();
        if let Some(shadow) = self.shadow.as_deref()
            && !backends.contains(&shadow)
        {
            backends.push(shadow);
        }
        backends
    }
}

/// A difference that does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignore {
    /// On which route; absent means on every one.
    pub route: Option<String>,
    /// Which difference.
    pub what: Ignored,
}

/// Which differences do not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// Everything about a header, by its name in lower case.
    Header(String),
    /// Everything about a `Set-Cookie`, by the cookie's name.
    Cookie(String),
    /// Everything at and below a place in a JSON body (RFC 6901); `*` stands for any index or name.
    Json(String),
    /// Every difference of a kind.
    Kind(DifferenceKind),
}

macro_rules! kinds {
    ($($(#[$doc:meta])+ $kind:ident => $name:literal),+ $(,)?) => {
        /// How two answers can differ.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DifferenceKind {
            $($(#[$doc])+ $kind,)+
        }

        impl DifferenceKind {
            /// Every kind, in the order in which an answer is read.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// As reports and edge files spell it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)+
                }
            }
        }
    };
}

kinds! {
    /// The reference answers and the shadow does not.
    NoAnswer => "no_answer",
    /// Another status.
    Status => "status",
    /// Another reason phrase.
    Reason => "reason",
    /// A header line that only the reference has.
    HeaderMissing => "header_missing",
    /// A header line that only the shadow has.
    HeaderExtra => "header_extra",
    /// Another value of a header.
    HeaderValue => "header_value",
    /// Another case of a header's name.
    HeaderCase => "header_case",
    /// The same headers in another order.
    HeaderOrder => "header_order",
    /// A cookie that only the reference sets.
    SetCookieMissing => "set_cookie_missing",
    /// A cookie that only the shadow sets.
    SetCookieExtra => "set_cookie_extra",
    /// Another value of a cookie.
    SetCookieValue => "set_cookie_value",
    /// Other attributes of a cookie.
    SetCookieAttributes => "set_cookie_attributes",
    /// JSON: a member or element that only the reference has.
    BodyMissing => "body_missing",
    /// JSON: a member or element that only the shadow has.
    BodyExtra => "body_extra",
    /// JSON: another value.
    BodyValue => "body_value",
    /// JSON: a value of another type (a number for a text, nothing for a number).
    BodyType => "body_type",
    /// JSON: the same members in another order.
    BodyOrder => "body_order",
    /// JSON: the same values in other bytes.
    BodyFormat => "body_format",
    /// Another text.
    BodyText => "body_text",
    /// Another body that is no text, or is too large to look into.
    BodyBytes => "body_bytes",
    /// Compressed to other bytes, and the same when unpacked.
    BodyEncoding => "body_encoding",
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
