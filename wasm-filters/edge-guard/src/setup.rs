//! Reads a plugin's configuration once, for the guard or keeper of every worker.

use std::fmt;
use std::sync::Arc;

use header_rules::Rules;
#[cfg(not(target_family = "wasm"))]
use header_rules::config::LeaseRules;
use header_rules::config::{Exposure, GuardConfig, PluginConfig};
use lease::Slots;

use crate::body_limit::BodyLimit;
use crate::counters::Counters;
use crate::fault::Fault;
use crate::feed_client::{FeedClient, Spending};
use crate::guard::Guard;
use crate::host::{self, HostError, Level, Shelf, Tally};
use crate::keeper::Keeper;
use crate::leasing::Leasing;

/// The role of a plugin.
pub(crate) enum Role {
    /// Judges requests, and serves those that have a lease.
    Guard(Box<Setup>),
    /// Stores the leases that the authorizer granted, and ends open streams.
    Keeper(Box<Keeper>),
    /// Refuses requests with too long a body.
    BodyLimit(BodyLimit),
}

/// The guard of a listener, from which each worker makes its own.
pub(crate) struct Setup {
    rules: Arc<Rules>,
    counters: Counters,
    leases: Option<Leases>,
    listener: String,
    revision: String,
    exposure: Exposure,
    refuses_http_1_0: bool,
}

struct Leases {
    #[cfg(not(target_family = "wasm"))]
    rules: LeaseRules,
    shelf: (Shelf, Slots),
    spending: Spending,
    served: Tally,
}

impl Role {
    /// Reads the configuration that `cutover render` wrote. The reason of a failure is in Envoy's log.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let read = serde_json::from_slice(text).map_err(Fault::Json).and_then(|config| match config {
            PluginConfig::Guard(config) => Setup::read(*config).map(|setup| Self::Guard(Box::new(setup))),
            PluginConfig::Keeper(config) => {
                Keeper::configure(&config).map(|keeper| Self::Keeper(Box::new(keeper)))
            }
            PluginConfig::BodyLimit => BodyLimit::configure().map(Self::BodyLimit).map_err(Fault::Host),
        });
        match read {
            Ok(role) => {
                if let Self::Guard(setup) = &role {
                    host::log(Level::Info, &format!("edge-guard: {setup}"));
                }
                Some(role)
            }
            Err(error) => {
                host::log(
                    Level::Error,
                    &format!(
                        "edge-guard: wrong plugin configuration: {error}. Render it with `cutover render`."
                    ),
                );
                None
            }
        }
    }
}

impl Setup {
    fn read(config: GuardConfig) -> Result<Self, Fault> {
        let rules = Rules::compile(&config).map_err(Fault::Config)?;
        let leases = config.leases.map(|rules| {
            Ok::<_, Fault>(Leases {
                shelf: Shelf::open(&rules, &config.listener, &config.revision)?,
                spending: Spending::new(&rules),
                served: Tally::define("cutover_guard_leased")?,
                #[cfg(not(target_family = "wasm"))]
                rules,
            })
        });
        Ok(Self {
            counters: Counters::define(rules.reserved_rules())?,
            rules: Arc::new(rules),
            leases: leases.transpose()?,
            listener: config.listener,
            revision: config.revision,
            exposure: config.exposure,
            refuses_http_1_0: config.refuses_http_1_0,
        })
    }

    /// A guard for one worker.
    pub(crate) fn guard(&self) -> Result<Guard, HostError> {
        let leasing = self.leases.as_ref().map(|leases| {
            let Leases { shelf, spending, served, .. } = leases;
            Leasing::new(shelf.clone(), spending.clone(), served.clone())
        });
        Guard::new(Arc::clone(&self.rules), self.refuses_http_1_0, self.counters.clone(), leasing)
    }

    /// Its listener.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn listener(&self) -> &str {
        &self.listener
    }

    /// The values of [`EARLY_MARK`](header_rules::config::EARLY_MARK), by the position of a route.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn early_marks(&self) -> Vec<Option<String>> {
        let rules = self.leases.as_ref().map(|leases| &leases.rules);
        let marks = |rules: &LeaseRules| {
            (0..rules.routes.len()).map(|route| rules.early_mark(&self.revision, route)).collect()
        };
        rules.map(marks).unwrap_or_default()
    }

    /// Reports counts that could not be reported when they occurred.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn report(&self) -> Result<(), HostError> {
        self.counters.report_minted()?;
        self.leases.as_ref().map_or(Ok(()), |leases| leases.served.report())
    }

    /// The poller of the feed; `None` without leases.
    pub(crate) fn feed_client(&self) -> Option<FeedClient> {
        let spending = self.leases.as_ref()?.spending.clone();
        Some(FeedClient::new(&self.listener, &self.revision, spending))
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exposure = match self.exposure {
            Exposure::Public => "public",
            Exposure::Internal => "internal",
        };
        write!(f, "revision {} guards an {exposure} listener", self.revision)
    }
}
