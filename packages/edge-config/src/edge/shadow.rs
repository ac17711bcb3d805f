//! How answers of a new backend are compared with those of the old one, before a client receives them.

use std::fmt;
use std::net::SocketAddr;

use super::{Destination, Route};

/// The comparator's addresses, and the differences that it ignores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparator {
    /// The address to which Envoy sends the copies of requests.
    pub address: SocketAddr,
    /// The address of its report: always loopback, because the report shows samples of answers.
    pub admin: SocketAddr,
    /// The percentage of safe requests that are copied, 1 to 100. Each copy costs the reference another request.
    pub sample_percent: u32,
    /// The differences to ignore.
    pub ignore: Vec<Ignore>,
    /// The header in which a backend names its version, lower case. A new version counts as a new backend: earlier counts
    /// do not apply to it. The header itself is not compared. Absent when backends do not name their version.
    pub version_header: Option<String>,
}

impl Route {
    /// The backend with whose answers the shadow's are compared: the first of the route's backends that is not the shadow.
    /// Absent without a shadow.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        let shadow = self.shadow.as_deref()?;
        self.destination.backends().find(|backend| *backend != shadow)
    }

    /// Whether requests that `to` takes are copied: their own backend must be the [reference](Self::reference). `to` is a
    /// part of the route's destination, such as the backend of one kind of session.
    #[must_use]
    pub fn copies(&self, to: &Destination) -> bool {
        self.reference().is_some_and(|reference| to.backends().any(|backend| backend == reference))
    }

    /// Every backend that answers its requests or copies of them, each once. The signed identity is valid for all of them.
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

/// A difference to ignore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignore {
    /// The route; absent means every route.
    pub route: Option<String>,
    /// Which difference does not count.
    pub what: Ignored,
}

/// The kinds of differences to ignore.
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
        /// A kind of difference between two answers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DifferenceKind {
            $($(#[$doc])+ $kind,)+
        }

        impl DifferenceKind {
            /// Every kind, in the order in which an answer is read.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// Its spelling in reports and edge files.
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
    /// Another body that is not text, or is too large to inspect.
    BodyBytes => "body_bytes",
    /// The same content, compressed to other bytes.
    BodyEncoding => "body_encoding",
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
