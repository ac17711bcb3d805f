//! Takes events from a queue of RabbitMQ, one after the other, and handles each of them once.
//!
//! | what happens | then |
//! |---|---|
//! | the effect is committed, or was before | the event is acknowledged |
//! | the event is invalid, or refused by its handler | it goes to the dead letters |
//! | the handler fails | it is tried [`MAX_TRIES`] times with doubling waits, then it goes to the dead letters |
//! | the consumer ends before it answers, again and again | after [`MAX_REDELIVERIES`] times the event is a dead letter |
//! | the database is away | the consumer waits for it; the attempt does not count |
//! | the connection breaks | the broker hands out again what was not acknowledged |

use std::time::Duration;

use broker_connection::Address;
use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::FieldTable;
use lapin::{Connection, Consumer};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::bus::publisher::{self, CONNECT_WITHIN, First, PAUSES};
use crate::bus::topology::{Topology, Undeclared};
use crate::bus::{Handler, Subscription};
use crate::envelope::Envelope;
use crate::handled::{self, Handle, NotHandled};
use crate::pace;

/// How often a failing event is tried before it goes to the dead letters. With waits that double from 0.1 s to 5 s this is
/// about ten seconds: the events behind it wait for so long.
pub const MAX_TRIES: u32 = 8;

/// How often the broker may hand an event out again. An event that crashes its consumer would otherwise do so for ever. Other
/// events that were sent ahead at the same time are counted, too, so it is more than an outage with restarts takes.
pub const MAX_REDELIVERIES: i32 = 20;

/// Events that the broker sends ahead of their acknowledgement, so that the next is here when one is done.
const PREFETCH: u16 = 8;

/// How long a stop waits for the broker.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// Consumes until `stop`, over as many connections as it takes.
pub(super) async fn consume<H: Handle>(
    address: &Address,
    topology: &Topology,
    subscription: &Subscription,
    handler: &Handler<H>,
    mut stop: watch::Receiver<bool>,
) {
    let (mut failures, mut first) = (0_u32, First::default());
    while !is_stopped(&stop) {
        let trouble = match open(address, topology, subscription, &mut first).await {
            Ok((connection, consumer)) => {
                if std::mem::take(&mut failures) > 0 {
                    tracing::info!(consumer = %subscription.consumer, broker = %address, "events arrive again");
                }
                match session(connection, consumer, subscription, handler, &mut stop).await {
                    Ok(()) => return,
                    Err(trouble) => trouble.to_string(),
                }
            }
            Err(trouble) => trouble,
        };
        failures = failures.saturating_add(1);
        if failures == 1 {
            tracing::warn!(consumer = %subscription.consumer, broker = %address, %trouble, "no events arrive; connecting again");
        }
        let pause = pace::wait(failures, PAUSES.0, PAUSES.1);
        if timeout(pause, stop.wait_for(|stop| *stop)).await.is_ok() {
            return;
        }
    }
}

/// A sender that is gone can never say it, so that counts as a stop.
fn is_stopped(stop: &watch::Receiver<bool>) -> bool {
    *stop.borrow() || stop.has_changed().is_err()
}

async fn open(
    address: &Address,
    topology: &Topology,
    subscription: &Subscription,
    first: &mut First,
) -> Result<(Connection, Consumer), String> {
    let connection = publisher::connect(address, &subscription.consumer, first).await?;
    let prepare = async {
        let channel = connection.create_channel().await?;
        topology.declare(&connection, &channel).await?;
        let queue = topology.declare_subscription(&connection, &channel, subscription).await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let (tag, options) = (subscription.consumer.as_str(), BasicConsumeOptions::default());
        let consumer = channel.basic_consume(queue.into(), tag.into(), options, FieldTable::default());
        Ok::<_, Undeclared>(consumer.await?)
    };
    match timeout(CONNECT_WITHIN, prepare).await {
        Ok(Ok(consumer)) => Ok((connection, consumer)),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {CONNECT_WITHIN:?}")),
    }
}

/// Handles what arrives over one connection, until `stop`.
async fn session<H: Handle>(
    connection: Connection,
    mut consumer: Consumer,
    subscription: &Subscription,
    handler: &Handler<H>,
    stop: &mut watch::Receiver<bool>,
) -> lapin::Result<()> {
    loop {
        let delivery = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => None,
            delivery = consumer.next() => match delivery {
                Some(delivery) => Some(delivery?),
                None => return Err(lapin::ErrorKind::InvalidConnectionState(lapin::ConnectionState::Closed).into()),
            },
        };
        let Some(delivery) = delivery else { break };
        match settle(&delivery, subscription, handler, stop).await {
            Settled::Done => delivery.acker.ack(BasicAckOptions::default()).await?,
            Settled::Dead => delivery.acker.reject(BasicRejectOptions { requeue: false }).await?,
            Settled::Stopped => break,
        };
    }
    // What is not acknowledged goes back to the queue. When this fails, the broker notices by itself.
    let close = async {
        let _ = consumer.tag();
        connection.close(200, "the consumer ends".into()).await
    };
    let _ = timeout(CLOSE_WITHIN, close).await;
    Ok(())
}

/// What becomes of a delivery.
enum Settled {
    Done,
    Dead,
    Stopped,
}

async fn settle<H: Handle>(
    delivery: &Delivery,
    subscription: &Subscription,
    handler: &Handler<H>,
    stop: &mut watch::Receiver<bool>,
) -> Settled {
    let consumer = subscription.consumer.as_str();
    let event = match Envelope::parse(&delivery.data) {
        Ok(event) => event,
        Err(error) => {
            tracing::error!(consumer, %error, "an event is not valid; it goes to the dead letters");
            return Settled::Dead;
        }
    };
    let Handler { handle, database, clock } = handler;
    let (mut tries, mut waits) = (0_u32, 0_u32);
    let mut is_counted = !delivery.redelivered;
    loop {
        let handled = async {
            if !is_counted {
                let times = handled::again(database, consumer, &event, clock.now()).await?;
                is_counted = true;
                if times > MAX_REDELIVERIES {
                    let error = format!("its consumer ended {MAX_REDELIVERIES} times before it answered");
                    return Err(NotHandled::Refused(error));
                }
            }
            handled::once(database, consumer, &event, handle, clock.now()).await
        };
        let error = match handled.await {
            Ok(_) => return Settled::Done,
            Err(NotHandled::Refused(error)) => {
                tracing::error!(consumer, id = %event.id, kind = %event.kind, %error, "an event was refused; it goes to the dead letters");
                return Settled::Dead;
            }
            Err(error) => error,
        };
        waits = waits.saturating_add(1);
        // An effect that fails while the database answers is the event's own fault.
        let is_away = matches!(error, NotHandled::Database(_)) && database.ping().await.is_err();
        tries = tries.saturating_add(u32::from(!is_away));
        if tries >= MAX_TRIES {
            tracing::error!(consumer, id = %event.id, kind = %event.kind, %error, "an event failed {MAX_TRIES} times; it goes to the dead letters");
            return Settled::Dead;
        }
        if waits == 1 {
            tracing::warn!(consumer, id = %event.id, kind = %event.kind, %error, "an event failed; trying again");
        }
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => return Settled::Stopped,
            () = sleep(pace::wait(waits, PAUSES.0, PAUSES.1)) => {}
        }
    }
}
