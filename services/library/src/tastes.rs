//! Changes of tastes, as the users service announces them: the next list leaves out what a person dislikes now.

use std::sync::Arc;

use clock::Clock;
use events::bus::{Handler, Subscription};
use events::handled::{Handle, NotHandled};
use events::{Bus, Envelope};
use kit::SubjectId;
use kit::work::Work;
use sea_orm::{DatabaseConnection, DatabaseTransaction};
use serde_json::Value;

use crate::people::People;
use crate::settings::ABOUT;

/// Drops cached dislikes of people whose tastes changed (`users.taste.changed`).
#[derive(Clone, Debug)]
pub struct Changed(pub People);

impl Handle for Changed {
    /// The cache is no part of the transaction. That is well: dropping a value twice is the same as dropping it once.
    async fn handle(&self, _: &DatabaseTransaction, event: &Envelope) -> Result<(), NotHandled> {
        let wrong = || NotHandled::Refused("`data.people` is not a list of ids of people".to_owned());
        let people = event.data.get("people").and_then(Value::as_array).ok_or_else(wrong)?;
        for person in people {
            let person: SubjectId = person.as_str().and_then(|id| id.parse().ok()).ok_or_else(wrong)?;
            let forgotten = self.0.forget_dislikes(&event.tenant_id, person).await;
            forgotten.map_err(|error| NotHandled::Refused(error.to_string()))?;
        }
        Ok(())
    }
}

/// Starts to consume changes from `bus`, as a part of `work`.
///
/// # Errors
/// [`events::bus::UnknownConsumer`], when the table of services lacks this one.
pub fn follow(
    bus: &Bus,
    people: People,
    database: &DatabaseConnection,
    clock: &Arc<dyn Clock>,
    work: &Work,
) -> Result<(), events::bus::UnknownConsumer> {
    let subscription = Subscription::of(ABOUT.name)?;
    let handler = Handler { handle: Changed(people), database: database.clone(), clock: Arc::clone(clock) };
    work.run(|stop| bus.consume(subscription, handler, stop));
    work.run_until_stopped(events::handled::keep_house(database.clone(), Arc::clone(clock)));
    Ok(())
}
