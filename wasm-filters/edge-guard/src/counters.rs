//! The guard's counters in Envoy's statistics.
//!
//! Envoy puts `wasmcustom.` before each name. There is one counter for each reserved rule of the configuration, plus a fixed
//! few: no client can create new ones.

use header_rules::{Reason, RuleIndex};

use crate::host::{self, HostError, Tally};

/// Counters of one plugin. Plugins of one Envoy share them by name.
#[derive(Clone)]
pub(crate) struct Counters {
    /// `cutover_guard_stripped_<rule>`, in the order of the rules: `…_x-auth-subject`, `…_x-forwarded-*`. Removed lines.
    stripped: Vec<u32>,
    /// `cutover_guard_refused_<reason>`, in the order of [`Reason::ALL`]. Requests refused here.
    refused: [u32; Reason::ALL.len()],
    /// `cutover_guard_preflights`. Preflights answered here.
    preflights: u32,
    /// `cutover_guard_ids_minted`. Requests without an id to keep.
    minted: Tally,
}

impl Counters {
    pub(crate) fn define(rules: &[String]) -> Result<Self, HostError> {
        let stripped = rules
            .iter()
            .map(|rule| host::counter(&format!("cutover_guard_stripped_{rule}")))
            .collect::<Result<_, _>>()?;
        let mut refused = [0; Reason::ALL.len()];
        for (reason, counter) in Reason::ALL.iter().zip(&mut refused) {
            *counter = host::counter(&format!("cutover_guard_refused_{}", reason.code()))?;
        }
        let preflights = host::counter("cutover_guard_preflights")?;
        Ok(Self { stripped, refused, preflights, minted: Tally::define("cutover_guard_ids_minted")? })
    }

    pub(crate) fn stripped(&self, rule: RuleIndex, lines: u32) -> Result<(), HostError> {
        self.stripped.get(rule.get()).map_or(Ok(()), |&counter| host::add(counter, lines))
    }

    pub(crate) fn refused(&self, reason: Reason) -> Result<(), HostError> {
        self.refused.get(reason.index()).map_or(Ok(()), |&counter| host::add(counter, 1))
    }

    pub(crate) fn answered_preflight(&self) -> Result<(), HostError> {
        host::add(self.preflights, 1)
    }

    pub(crate) fn minted(&mut self) -> Result<(), HostError> {
        self.minted.count()
    }

    /// Reports the counts since the last call.
    #[cfg(target_family = "wasm")]
    pub(crate) fn report(&mut self) -> Result<(), HostError> {
        self.minted.report()
    }

    /// Reports counts that could not be reported when they occurred.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn report_minted(&self) -> Result<(), HostError> {
        self.minted.report()
    }
}
