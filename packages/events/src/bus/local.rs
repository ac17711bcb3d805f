//! The bus within one process, for a development machine without a broker. A publication ends when every subscriber has
//! handled the event: only then may the row of the outbox be done, because nothing else keeps the event.

use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

use crate::bus::{Handler, NotPublished, Pattern, Subscription};
use crate::envelope::Envelope;
use crate::exchange::Exchange;
use crate::handled::{self, Handle, NotHandled};

/// Events that wait for one subscriber. A publisher waits beyond it; a worker publishes at most 16 at a time.
const MAX_ARRIVING: usize = 64;

/// The bus.
#[derive(Debug, Default)]
pub struct Local {
    subscribers: Mutex<Vec<Subscriber>>,
}

#[derive(Clone, Debug)]
struct Subscriber {
    exchange: Exchange,
    patterns: Vec<Pattern>,
    arriving: mpsc::Sender<Arrival>,
}

/// An event, and where the subscriber reports its result.
#[derive(Debug)]
struct Arrival {
    event: Envelope,
    result: oneshot::Sender<Result<(), NotPublished>>,
}

/// The events of one subscriber.
#[derive(Debug)]
pub(super) struct Arriving(mpsc::Receiver<Arrival>);

impl Local {
    pub(super) fn subscribe(&self, subscription: &Subscription) -> Arriving {
        let (arriving, receiver) = mpsc::channel(MAX_ARRIVING);
        let Subscription { exchange, patterns, .. } = subscription;
        let mut subscribers = self.subscribers.lock();
        subscribers.retain(|subscriber| !subscriber.arriving.is_closed());
        subscribers.push(Subscriber { exchange: *exchange, patterns: patterns.clone(), arriving });
        Arriving(receiver)
    }

    pub(super) async fn publish(&self, exchange: Exchange, event: &Envelope) -> Result<(), NotPublished> {
        event.to_json().map_err(|error| NotPublished::Refused(error.to_string()))?;
        let is_for = |subscriber: &&Subscriber| {
            subscriber.exchange == exchange
                && !subscriber.arriving.is_closed()
                && subscriber.patterns.iter().any(|pattern| pattern.matches(&event.kind))
        };
        let subscribers: Vec<Subscriber> = self.subscribers.lock().iter().filter(is_for).cloned().collect();
        let ended = || NotPublished::Unavailable("a subscriber ended".to_owned());
        for subscriber in subscribers {
            let (result, handled) = oneshot::channel();
            let arrival = Arrival { event: event.clone(), result };
            subscriber.arriving.send(arrival).await.map_err(|_| ended())?;
            handled.await.map_err(|_| ended())??;
        }
        Ok(())
    }
}

/// Handles what arrives until `stop`.
pub(super) async fn consume<H: Handle>(
    Arriving(mut arriving): Arriving,
    subscription: &Subscription,
    handler: &Handler<H>,
    mut stop: watch::Receiver<bool>,
) {
    loop {
        let arrival = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => return,
            arrival = arriving.recv() => arrival,
        };
        let Some(Arrival { event, result }) = arrival else { return };
        let Handler { handle, database, clock } = handler;
        let handled = handled::once(database, &subscription.consumer, &event, handle, clock.now()).await;
        let of_consumer = |error: &dyn std::fmt::Display| format!("{}: {error}", subscription.consumer);
        // A publisher that gave up asks again.
        let _ = result.send(match handled {
            Ok(_) => Ok(()),
            Err(NotHandled::Refused(error)) => Err(NotPublished::Refused(of_consumer(&error))),
            Err(NotHandled::Failed(error)) => Err(NotPublished::Failed(of_consumer(&error))),
            Err(NotHandled::Database(error)) => Err(NotPublished::Failed(of_consumer(&error))),
        });
    }
}
