//! Calls to the services that have data of tenants, through the edge's listener for services.
//!
//! | call | asks the service to |
//! |---|---|
//! | `PUT /_/NAME/tenants/{tenant}/removal` | prepare the removal: 204, or 409 with the reason |
//! | `DELETE /_/NAME/tenants/{tenant}/removal` | take that back: 204 |
//! | `DELETE /_/NAME/tenants/{tenant}` | remove the tenant's data: 204 |
//!
//! Each can come twice and then changes nothing more.
//!
//! A service refuses to remove what was not prepared. When every service has prepared, the removal is decided: a
//! service that refuses it then has lost its preparation, for example with a database that was restored from an older
//! copy. It is asked to prepare again, and then to remove.

use std::time::Duration;

use http::{Method, StatusCode};
use identity::ServiceName;
use kit::TenantId;
use kit::peer::Peer;
use tokio::time::timeout;

use super::progress::Task;

/// How long one call may take, and all calls of one step together. A removal deletes many rows; it is still less than
/// the lease of an offboarding, so that two workers never take the same step at once.
pub(crate) const CALL_WITHIN: Duration = Duration::from_secs(20);

/// The most bytes of a reason that are kept.
const MAX_REASON_BYTES: usize = 200;

/// The services with data of tenants. They can be any service, so the calls are plain HTTP.
#[derive(Clone, Debug)]
pub struct Participants(Peer);

/// Why a call had no effect that is known.
#[derive(Debug, thiserror::Error)]
pub enum NotDone {
    /// The service refused, and would again.
    #[error("{service} refused: {reason}")]
    Refused {
        /// The service.
        service: ServiceName,
        /// Its reason, shortened.
        reason: String,
    },
    /// It may succeed later.
    #[error("{service} did not do it: {reason}")]
    Failed {
        /// The service.
        service: ServiceName,
        /// What happened.
        reason: String,
    },
}

impl Participants {
    /// Calls as `peer`.
    #[must_use]
    pub fn new(peer: Peer) -> Self {
        Self(peer.within(CALL_WITHIN))
    }

    /// Has a participant take `task` for `tenant`. [`Task::Delete`] and [`Task::Restore`] are no calls.
    pub(crate) async fn take(&self, task: &Task, tenant: TenantId) -> Result<(), NotDone> {
        match task {
            Task::Prepare(service) => self.call(Method::PUT, service, &format!("{tenant}/removal")).await,
            Task::TakeBack(service) => self.call(Method::DELETE, service, &format!("{tenant}/removal")).await,
            Task::Remove(service) => self.remove(service, tenant).await,
            Task::Delete | Task::Restore => Ok(()),
        }
    }

    /// Has `service` remove the tenant's data, and prepare that again when it has lost its preparation.
    async fn remove(&self, service: &ServiceName, tenant: TenantId) -> Result<(), NotDone> {
        let path = tenant.to_string();
        let calls = async {
            match self.call(Method::DELETE, service, &path).await {
                Err(NotDone::Refused { .. }) => {
                    self.call(Method::PUT, service, &format!("{path}/removal")).await?;
                    self.call(Method::DELETE, service, &path).await
                }
                done => done,
            }
        };
        // All of them together take no longer than one may: the lease of an offboarding is made for that.
        timeout(CALL_WITHIN, calls).await.unwrap_or_else(|_| {
            let reason = format!("no answer within {CALL_WITHIN:?}");
            Err(NotDone::Failed { service: service.clone(), reason })
        })
    }

    async fn call(&self, method: Method, service: &ServiceName, path: &str) -> Result<(), NotDone> {
        let failed = |reason: String| NotDone::Failed { service: service.clone(), reason };
        let target = format!("/_/{service}/tenants/{path}");
        let reply = self.0.call(method, &target, None::<&()>).await;
        let reply = reply.map_err(|error| failed(kit::answer::Chain(&error).to_string()))?;
        match reply.status {
            status if status.is_success() => Ok(()),
            StatusCode::CONFLICT => {
                Err(NotDone::Refused { service: service.clone(), reason: reason(&reply.body) })
            }
            status => Err(failed(format!("it answered {}", status.as_u16()))),
        }
    }
}

/// Returns the start of the answer's body, as one line.
fn reason(body: &[u8]) -> String {
    let start = body.get(..MAX_REASON_BYTES).unwrap_or(body);
    String::from_utf8_lossy(start).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        assert_eq!(reason(b"It keeps\r\nthem\0"), "It keeps  them ");
        // Cut in the middle of a character.
        let long = format!("x{}", "\u{eb}".repeat(300));
        assert_eq!(reason(long.as_bytes()), format!("x{}\u{fffd}", "\u{eb}".repeat(99)));
        assert_eq!(reason(b""), "");
    }
}
