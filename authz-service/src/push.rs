//! What is pushed to every replica: changes of tenants and revocations, through one subscription to Redis.
//!
//! Decisions ask the [`channel`](crate::source::channel): is the subscription alive? [`subscriber`] keeps it alive.
//!
//! | what happens | then |
//! |---|---|
//! | a tenant changes, something is revoked | in force at every replica as soon as the message arrives |
//! | Redis closes the connection, or is gone | reconnected after 0.1 s, twice that each time, 2 s at most |
//! | Redis says nothing, its socket stays open | ten pings a second; one without answer for [`subscriber::SILENCE`] ends the connection |
//! | no sign of life for longer than the stated time | tenants: answers count for that time from when they were asked for; sessions: 503 `revocations_unavailable` |
//! | subscribed again | revocations are read whole before anything counts; what was known of tenants is asked for again |
//! | a message makes no sense | it is counted; answers about tenants from before it lose the channel's word |

pub mod subscriber;
