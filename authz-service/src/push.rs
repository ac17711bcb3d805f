//! Receives changes of tenants and revocations, pushed to every replica through one subscription to Redis.
//!
//! Decisions consult the [`channel`](crate::source::channel): is the subscription alive? [`subscriber`] keeps
//! it alive.
//!
//! | what happens | then |
//! |---|---|
//! | a tenant changes, a session is revoked | in force at every replica as soon as the message arrives |
//! | Redis closes the connection, or is unavailable | reconnected after 0.1 s, doubling up to 2 s |
//! | Redis is silent, its socket stays open | ten pings a second; one without answer for [`subscriber::SILENCE`] ends the connection |
//! | no sign of life for longer than the stated time | tenants: answers are valid for that time from the lookup on; sessions: 503 `revocations_unavailable` |
//! | subscribed again | all revocations are read before any decision relies on them; cached tenants are looked up again |
//! | a message is malformed | it is counted; the channel no longer vouches for cached tenants from before it |

pub mod subscriber;
