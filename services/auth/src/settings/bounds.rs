//! How much of the service one person can use, and a stranger who knows an address.

use std::ops::RangeInclusive;

use kit::settings::{Reader, Variable};

/// How many codes an address is mailed in an hour.
pub const CODES_PER_HOUR: Variable = Variable {
    name: "CODES_PER_HOUR",
    // One in each 120 s, the life of a code: a client that requests one whenever the last has expired is never refused.
    default: Some("30"),
    help: "Login codes that one address can be mailed in an hour, at once or spread (at most five are alive), from 5 to 150; \
           fewer protect a mailbox better and let its owner wait longer",
    secret: false,
};

/// How many refreshes a person can do at once.
pub const SESSION_REFRESH_BURST: Variable = Variable {
    name: "SESSION_REFRESH_BURST",
    // Twenty devices that wake up together and do three each, as a client does that refreshes on every page load.
    default: Some("60"),
    help: "Refreshes that one person can do at once, from 1 to 10000; after them one in 30 s is possible",
    secret: false,
};

/// How many sessions of one person can be alive.
pub const SESSIONS_PER_PERSON: Variable = Variable {
    name: "SESSIONS_PER_PERSON",
    // A few devices, and the private windows that were closed without signing out, which stay for seven days.
    default: Some("50"),
    help: "Sessions of one person that can be alive, from 1 to 1000; one more ends the oldest",
    secret: false,
};

/// Fewer than five codes would refuse what the contract allows at once. More than five in each 120 s cannot be alive.
const CODES: RangeInclusive<u32> = 5..=150;

/// Each ended session is an entry in the list of every authorizer for four hours, until one line covers them.
const REFRESHES: RangeInclusive<u32> = 1..=10_000;

/// A sign-in reads all of them.
const SESSIONS: RangeInclusive<u32> = 1..=1_000;

/// The bounds of one person and of one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How many codes an address is mailed in an hour.
    pub codes_per_hour: u32,
    /// How many refreshes a person can do at once.
    pub refresh_burst: u32,
    /// How many sessions of a person can be alive.
    pub sessions: u32,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { codes_per_hour: 30, refresh_burst: 60, sessions: 50 }
    }
}

impl Bounds {
    /// Reads the bounds.
    pub(super) fn read(reader: &mut Reader) -> Self {
        // A value that is not valid has been reported, and the service does not start with it.
        let usual = Self::default();
        Self {
            codes_per_hour: number(reader, &CODES_PER_HOUR, CODES).unwrap_or(usual.codes_per_hour),
            refresh_burst: number(reader, &SESSION_REFRESH_BURST, REFRESHES).unwrap_or(usual.refresh_burst),
            sessions: number(reader, &SESSIONS_PER_PERSON, SESSIONS).unwrap_or(usual.sessions),
        }
    }
}

fn number(reader: &mut Reader, variable: &Variable, range: RangeInclusive<u32>) -> Option<u32> {
    reader.parsed_by(variable, |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| format!("write a whole number from {} to {}", range.start(), range.end()))
    })
}
