//! Requests that leases served and the authorizer has not counted yet.

use crate::feed::Spent;

/// Requests by route. There is one counter per leasable route, so a client cannot add one.
#[derive(Clone, Debug)]
pub struct Ledger {
    routes: Vec<(String, String)>,
    waiting: Vec<u64>,
    reported: Vec<u64>,
}

impl Ledger {
    /// A ledger of routes and their policies.
    #[must_use]
    pub fn new(routes: Vec<(String, String)>) -> Self {
        let zero = vec![0; routes.len()];
        Self { routes, waiting: zero.clone(), reported: zero }
    }

    /// Counts one request of a route, by its position.
    #[inline]
    pub fn count(&mut self, route: usize) {
        if let Some(uses) = self.waiting.get_mut(route) {
            *uses = uses.saturating_add(1);
        }
    }

    /// The counts for the next poll: all that no successful poll has reported.
    pub fn report(&mut self) -> Vec<Spent> {
        self.lost();
        std::mem::swap(&mut self.waiting, &mut self.reported);
        let reported = self.routes.iter().zip(&self.reported).filter(|(_, uses)| **uses > 0);
        reported
            .map(|((route, policy), uses)| Spent {
                route: route.clone(),
                policy: policy.clone(),
                uses: *uses,
            })
            .collect()
    }

    /// The poll succeeded: its counts have arrived.
    pub fn answered(&mut self) {
        self.reported.fill(0);
    }

    /// The poll failed: the next one reports its counts again.
    pub fn lost(&mut self) {
        for (waiting, reported) in self.waiting.iter_mut().zip(&mut self.reported) {
            *waiting = waiting.saturating_add(std::mem::take(reported));
        }
    }
}
