//! The tenants of people whom the legacy backend made.
//!
//! A person without a tenant cannot sign in: no service may guess whose customer they are. A team names the
//! tenants in one of two ways: by a [`rule`] (one tenant for all, or one for each e-mail domain), or by a
//! [`map`], a file with a line for each person. `users tenants` ([`command`]) names those of all people at
//! once, in batches ([`run`]). With `USERS_TENANT_RULE` the service applies the rule also to each person whom
//! the legacy backend adds later ([`crate::account::whole`]).

pub mod command;
pub mod known;
pub mod map;
pub mod rule;
pub mod run;
