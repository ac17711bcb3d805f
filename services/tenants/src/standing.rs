//! Whether a tenant may use the product, and which change leads where.
//!
//! ```text
//! active ⇄ suspended
//!    └────┬────┘
//!     offboarding ──▶ deleted
//!         └──▶ what it was before, when a service refuses to remove the tenant's data
//! ```

use std::fmt;
use std::str::FromStr;

/// Whether a tenant may use the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may.
    Active,
    /// It may not, for now.
    Suspended,
    /// It may not, and its data is being removed ([`crate::offboarding`]).
    Offboarding,
    /// It may not, for good. The row stays, so that its id never means another tenant.
    Deleted,
}

/// The standing of a tenant before its offboarding, to which it returns when that is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// [`Standing::Active`].
    Active,
    /// [`Standing::Suspended`].
    Suspended,
}

/// A change of a tenant's standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Closes the product to the tenant, for now.
    Suspend,
    /// Opens it again.
    Reinstate,
    /// Begins to remove the tenant.
    Offboard,
    /// Ends the removal. Only the offboarding itself does this.
    Delete,
    /// Undoes the removal. Only the offboarding itself does this.
    Restore(Kept),
}

/// What a change comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// The tenant has that standing already; a repeated request changes nothing.
    Same,
    /// The new standing.
    To(Standing),
}

/// The change does not lead anywhere from this standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the tenant is {0}")]
pub struct NotFrom(pub Standing);

/// The text is not a valid standing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a standing")]
pub struct UnknownStanding(String);

impl Standing {
    /// Every standing.
    pub const ALL: [Self; 4] = [Self::Active, Self::Suspended, Self::Offboarding, Self::Deleted];

    /// The text in the database, in answers and in events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Offboarding => "offboarding",
            Self::Deleted => "deleted",
        }
    }

    /// Returns where `change` leads from here.
    ///
    /// # Errors
    /// [`NotFrom`], when it leads nowhere.
    pub const fn after(self, change: Change) -> Result<Next, NotFrom> {
        match (self, change) {
            (Self::Active, Change::Suspend) => Ok(Next::To(Self::Suspended)),
            (Self::Suspended, Change::Reinstate) => Ok(Next::To(Self::Active)),
            (Self::Active | Self::Suspended, Change::Offboard) => Ok(Next::To(Self::Offboarding)),
            (Self::Offboarding, Change::Delete) => Ok(Next::To(Self::Deleted)),
            (Self::Offboarding, Change::Restore(kept)) => Ok(Next::To(kept.standing())),
            (Self::Active, Change::Reinstate)
            | (Self::Suspended, Change::Suspend)
            | (Self::Offboarding, Change::Offboard)
            | (Self::Deleted, Change::Offboard) => Ok(Next::Same),
            (Self::Active | Self::Suspended, Change::Delete | Change::Restore(_))
            | (Self::Offboarding, Change::Suspend | Change::Reinstate)
            | (Self::Deleted, Change::Suspend | Change::Reinstate | Change::Delete | Change::Restore(_)) => {
                Err(NotFrom(self))
            }
        }
    }

    /// What the edge is to make of it. During an offboarding a tenant is suspended there, because that can still be undone.
    #[must_use]
    pub const fn at_the_edge(self) -> validity::tenant::Standing {
        match self {
            Self::Active => validity::tenant::Standing::Active,
            Self::Suspended | Self::Offboarding => validity::tenant::Standing::Suspended,
            Self::Deleted => validity::tenant::Standing::Deleted,
        }
    }

    /// The standing to which an offboarding that begins now can return.
    #[must_use]
    pub const fn kept(self) -> Option<Kept> {
        match self {
            Self::Active => Some(Kept::Active),
            Self::Suspended => Some(Kept::Suspended),
            Self::Offboarding | Self::Deleted => None,
        }
    }
}

impl Kept {
    /// The standing.
    #[must_use]
    pub const fn standing(self) -> Standing {
        match self {
            Self::Active => Standing::Active,
            Self::Suspended => Standing::Suspended,
        }
    }
}

impl Change {
    /// The type of the event about it.
    #[must_use]
    pub const fn event(self) -> &'static str {
        match self {
            Self::Suspend => "tenants.tenant.suspended",
            Self::Reinstate => "tenants.tenant.reinstated",
            Self::Offboard => "tenants.tenant.offboarding_started",
            Self::Delete => "tenants.tenant.deleted",
            Self::Restore(_) => "tenants.tenant.offboarding_undone",
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Standing {
    type Err = UnknownStanding;

    fn from_str(text: &str) -> Result<Self, UnknownStanding> {
        let found = Self::ALL.into_iter().find(|standing| standing.as_str() == text);
        found.ok_or_else(|| UnknownStanding(text.chars().take(32).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_offboarding_deletes_and_nothing_leads_back_from_deleted() {
        let changes = [
            Change::Suspend,
            Change::Reinstate,
            Change::Offboard,
            Change::Delete,
            Change::Restore(Kept::Active),
            Change::Restore(Kept::Suspended),
        ];
        for from in Standing::ALL {
            for change in changes {
                let next = from.after(change);
                if next == Ok(Next::To(Standing::Deleted)) {
                    assert_eq!((from, change), (Standing::Offboarding, Change::Delete));
                }
                if from == Standing::Deleted {
                    assert!(!matches!(next, Ok(Next::To(_))), "{change:?}");
                }
                // A change that was made can be requested again.
                if let Ok(Next::To(to)) = next
                    && matches!(change, Change::Suspend | Change::Reinstate | Change::Offboard)
                {
                    assert_eq!(to.after(change), Ok(Next::Same), "{change:?}");
                }
            }
            assert_eq!(from.as_str().parse(), Ok(from));
        }
        assert!("gone".parse::<Standing>().is_err());
    }
}
