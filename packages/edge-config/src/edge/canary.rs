//! Canaries: callers that go to another backend, whatever the shares of a route are.

use identity::TenantId;

/// A caller whose requests go to another backend. The choice depends on what the authorizer found out: the compared headers
/// belong to the edge, and a client's headers with these names never arrive. Only a canary that the edge file marks as
/// chosen by the client depends on what a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canary {
    /// Which callers go there.
    pub when: Condition,
    /// The name of the backend to which they go.
    pub backend: String,
}

/// A condition on the authorizer's findings about a caller, or on what the client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The caller's verified tenant is this one.
    Tenant(TenantId),
    /// An identity header that the authorizer wrote has exactly this value.
    Header {
        /// One of the identity headers, lower case.
        name: String,
        /// The value, compared byte for byte.
        value: String,
    },
    /// The client sends this cookie, and so chooses the backend itself.
    ClientCookie {
        /// The cookie's name.
        name: String,
        /// The value, compared byte for byte.
        value: String,
    },
    /// The client sends this header, once, and so chooses the backend itself.
    ClientHeader {
        /// The header's name, lower case.
        name: String,
        /// The value, compared byte for byte.
        value: String,
    },
    /// The query of the request has this parameter, and so the client chooses the backend itself.
    ClientQuery {
        /// The parameter's name, as it is sent: nothing is decoded.
        name: String,
        /// The value, compared byte for byte. Of several parameters of the name the first counts.
        value: String,
    },
}

impl Condition {
    /// Whether any client can meet it by what it sends.
    #[must_use]
    pub const fn is_chosen_by_client(&self) -> bool {
        match self {
            Self::ClientCookie { .. } | Self::ClientHeader { .. } | Self::ClientQuery { .. } => true,
            Self::Tenant(_) | Self::Header { .. } => false,
        }
    }

    /// Whether a request's target (path and query) and header lines (lower-case names) meet a condition that the client chooses.
    #[must_use]
    pub fn is_met_by(&self, target: &str, headers: &[(String, String)]) -> bool {
        let lines = |wanted: &str| {
            let lines: Vec<&str> =
                headers.iter().filter(|(name, _)| name == wanted).map(|(_, value)| value.as_str()).collect();
            // As Envoy compares several lines of one name.
            lines.join(",")
        };
        match self {
            Self::ClientCookie { name, value } => {
                let wanted = format!("{name}={value}");
                lines("cookie").split([';', ',']).any(|pair| pair.trim_matches([' ', '\t']) == wanted)
            }
            Self::ClientHeader { name, value } => lines(name) == *value,
            Self::ClientQuery { name, value } => {
                let query = target.split_once('?').map_or("", |(_, query)| query);
                let mut parameters = query.split('&').map(|one| one.split_once('=').unwrap_or((one, "")));
                parameters.find(|(sent, _)| sent == name).is_some_and(|(_, sent)| sent == value)
            }
            Self::Tenant(_) | Self::Header { .. } => false,
        }
    }
}
