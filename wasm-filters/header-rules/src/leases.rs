//! Finds the requests that a lease may serve, by their own headers.

use lease::{Class, Gathered, Names, Offer, OnOutage};

use crate::ConfigError;
use crate::config::LeaseRules;

/// A request that a lease could serve, or for which a lease could be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Position in [`LeaseRules::routes`].
    pub route: usize,
    /// The class of decisions that may stand in for its own.
    pub class: Class,
    /// The one credential by which the lease is found.
    pub offer: Offer<'a>,
}

#[derive(Clone, Debug)]
pub(crate) struct Leasing {
    names: Names,
    /// By route: its class, and whether every method is served.
    routes: Vec<(Class, bool)>,
}

impl Leasing {
    pub(crate) fn compile(rules: &LeaseRules) -> Result<Self, ConfigError> {
        let bytes = |names: &[String]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
        let names = Names {
            cookie: rules.cookie.as_bytes().to_vec(),
            bearer: rules.bearer,
            other_headers: bytes(&rules.other_headers),
            other_cookies: bytes(&rules.other_cookies),
        };
        let routes = rules.routes.iter().map(|route| {
            let class = usize::try_from(route.class).ok().and_then(|at| rules.classes.get(at));
            let class = class.ok_or_else(|| ConfigError::BadLease { route: route.route.clone() })?;
            let on_outage = if class.outlives_outage { OnOutage::Lease } else { OnOutage::Deny };
            let (lifetime_ms, uses) = (class.lifetime_ms, class.uses);
            Ok((Class { id: route.class, lifetime_ms, uses, on_outage }, class.every_method))
        });
        Ok(Self { names, routes: routes.collect::<Result<_, _>>()? })
    }

    pub(crate) fn knows(&self, route: u32) -> bool {
        usize::try_from(route).is_ok_and(|route| route < self.routes.len())
    }

    #[inline]
    pub(crate) fn see<'a>(&self, gathered: &mut Gathered<'a>, name: &[u8], value: &'a [u8]) {
        self.names.see(gathered, name, value);
    }

    pub(crate) fn candidate<'a>(
        &self,
        route: u32,
        method: &[u8],
        gathered: &Gathered<'a>,
    ) -> Option<Candidate<'a>> {
        let route = usize::try_from(route).ok()?;
        let (class, every_method) = *self.routes.get(route)?;
        if !every_method && method != b"GET" && method != b"HEAD" {
            return None;
        }
        Some(Candidate { route, class, offer: self.names.offer(gathered)? })
    }
}
