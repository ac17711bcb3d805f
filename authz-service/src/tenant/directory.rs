//! The embedded tenant directory: a YAML file.
//!
//! ```yaml
//! tenants:
//!   - { id: 00000000-0000-7000-8000-000000000001, name: Demo, status: active }
//!   - { id: acme-corp, status: suspended, plan: gold }
//! ```
//!
//! The same content as JSON is parsed about fifty times as fast: only then does a suspension in a long
//! listing take effect within a second, see docs/tenants.md. At most [`MAX_TENANTS`].
//!
//! | what happens | then |
//! |---|---|
//! | the file changes | in force after at most 200 ms and the time to read it; leases on tenants that are no longer active end |
//! | nothing was ever loaded | every session is 503 `tenants_unavailable`, `/readyz` is 503 |
//! | the new content is invalid | the last good directory serves for [`BROKEN_LIMIT`], then as above |
//! | the file is missing or unreadable, or reading it takes longer than [`HANGS`](crate::source::HANGS) | the last good directory serves for [`MISSING_LIMIT`], then as above |

use std::collections::{HashMap, HashSet, hash_map};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use api_keys::Record;
use clock::{Clock, UnixTime};
use identity::TenantId;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use tokio::time::Instant;

use crate::ended::{Ended, FRESH, tenant_tag};
use crate::failure::Failure;
use crate::source::file::WatchedFile;
use crate::source::followed::{Followed, FromFile};
use crate::source::last_good::LastGood;
use crate::source::last_seen::LastSeen;
use crate::source::{Health, Reloads};
use crate::tenant::change::{OnChange, TenantChange};

/// How long the last good directory serves while the file is missing: enough for a restart of the program
/// that writes it.
pub const MISSING_LIMIT: Duration = Duration::from_secs(60);

/// How long the last good directory serves while the file is invalid. An operator is editing it, and a log
/// line and a metric report the fault; five minutes are enough to fix a typing error, and they bound the
/// delay of a suspension behind it.
pub const BROKEN_LIMIT: Duration = Duration::from_secs(300);

/// More tenants belong in a service, not in a file. A million take 40 MB, and as much again while they change.
pub const MAX_TENANTS: usize = 1_000_000;

/// Room for that many, with names of about 40 bytes.
const MAX_BYTES: u64 = 134_217_728;

/// The parser's budget: its own limits are meant for settings and end at about 35,000 tenants. A tenant takes
/// a mapping, four keys and four values, which are ten events. Anchors and depth keep their limits.
const MAX_NODES: usize = 10 * MAX_TENANTS;
const MAX_EVENTS: usize = 12 * MAX_TENANTS;

/// Plans are products of a price list. More of them than this are something else.
const MAX_PLANS: usize = 1_000;

/// Whether a tenant may use the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// The tenant may use it.
    Active,
    /// The tenant may not use it for now.
    Suspended,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Listing {
    tenants: Tenants,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: TenantId,
    /// For the people who read the file.
    #[serde(default, rename = "name")]
    _name: Option<NotBlank>,
    status: Status,
    /// The plan that the tenant pays for. A limit may give each plan a quota.
    #[serde(default)]
    plan: Option<String>,
}

/// A text that is not blank. It is not kept.
#[derive(Clone, Copy, Debug)]
struct NotBlank;

impl<'de> Deserialize<'de> for NotBlank {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = NotBlank;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name that is not empty")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<NotBlank, E> {
                if text.trim().is_empty() {
                    Err(E::custom("a tenant has an empty name"))
                } else {
                    Ok(NotBlank)
                }
            }
        }

        deserializer.deserialize_str(Text)
    }
}

/// The number of tenants in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Active tenants.
    pub active: usize,
    /// Suspended tenants.
    pub suspended: usize,
}

/// The parsed content of a directory.
#[derive(Debug, Default)]
pub struct Tenants {
    status: HashMap<TenantId, Status>,
    /// The plans of those tenants that have one. Tenants of one plan share its name.
    plans: HashMap<TenantId, Arc<str>>,
    names: HashSet<Arc<str>>,
    census: Census,
}

impl Tenants {
    fn parse(text: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(text).map_err(|e| format!("not UTF-8 ({e})"))?;
        // JSON is valid YAML, but its own parser is about fifty times as fast. Near-JSON is parsed as YAML
        // below.
        if text.starts_with('{')
            && let Ok(Listing { tenants }) = serde_json::from_str(text)
        {
            return Ok(tenants);
        }
        let mut budget = serde_saphyr::Budget::default();
        budget.max_nodes = MAX_NODES;
        budget.max_events = MAX_EVENTS;
        budget.max_total_scalar_bytes = text.len();
        let options = serde_saphyr::options! { budget: Some(budget) };
        let listing: Result<Listing, _> = serde_saphyr::from_str_with_options(text, options);
        listing.map(|listing| listing.tenants).map_err(|e| e.to_string())
    }

    fn add(&mut self, Entry { id, _name: _, status, plan }: Entry) -> Result<(), String> {
        if self.status.len() == MAX_TENANTS {
            return Err(format!(
                "more than {MAX_TENANTS} tenants; use a tenants service instead (`tenants.grpc`)"
            ));
        }
        match status {
            Status::Active => self.census.active += 1,
            Status::Suspended => self.census.suspended += 1,
        }
        if let Some(plan) = plan {
            let name = self.plan(&id, &plan)?;
            self.plans.insert(id.clone(), name);
        }
        match self.status.entry(id) {
            hash_map::Entry::Vacant(place) => {
                place.insert(status);
                Ok(())
            }
            hash_map::Entry::Occupied(known) => Err(format!("tenant {} is listed twice", known.key())),
        }
    }
}

impl Tenants {
    /// The name of the plan `plan`, which the tenant `id` has.
    fn plan(&mut self, id: &TenantId, plan: &str) -> Result<Arc<str>, String> {
        if let Some(name) = self.names.get(plan) {
            return Ok(Arc::clone(name));
        }
        if !Record::is_plan(plan) {
            return Err(format!(
                "tenant {id} has the plan {plan:?}: write 1 to 64 lower-case letters, digits and `-`"
            ));
        }
        if self.names.len() == MAX_PLANS {
            return Err(format!(
                "tenant {id} has one plan more than {MAX_PLANS}; write a quota of its own into `overrides`"
            ));
        }
        let name: Arc<str> = Arc::from(plan);
        self.names.insert(Arc::clone(&name));
        Ok(name)
    }
}

/// Reads entry by entry, so that a long listing is not in memory twice.
impl<'de> Deserialize<'de> for Tenants {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = Tenants;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of tenants")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Tenants, A::Error> {
                let mut tenants = Tenants::default();
                while let Some(entry) = entries.next_element::<Entry>()? {
                    tenants.add(entry).map_err(serde::de::Error::custom)?;
                }
                Ok(tenants)
            }
        }

        deserializer.deserialize_seq(Entries)
    }
}

/// The directory of all tenants.
#[derive(Debug)]
pub struct Directory {
    tenants: LastGood<Tenants>,
    seen: LastSeen,
    ended: Arc<Ended>,
}

impl Default for Directory {
    fn default() -> Self {
        Self::noting(&Arc::default())
    }
}

impl Directory {
    /// An empty directory that notes tenants that are no longer active in `ended`.
    #[must_use]
    pub fn noting(ended: &Arc<Ended>) -> Self {
        let tenants = LastGood::for_at_most_each(MISSING_LIMIT, BROKEN_LIMIT);
        Self { tenants, seen: LastSeen::default(), ended: Arc::clone(ended) }
    }

    /// The status of `tenant`, or `None` when it is not listed.
    ///
    /// # Errors
    /// [`Failure::TenantsUnavailable`] when no directory is loaded, or the loaded one is too old.
    pub fn status(&self, tenant: &TenantId, now: UnixTime) -> Result<Option<Status>, Failure> {
        let status = self.tenants.with(now, |tenants| tenants.status.get(tenant).copied());
        status.ok_or(Failure::TenantsUnavailable)
    }

    /// The plan of `tenant`; `None` when it has none, or while no directory may be used.
    #[must_use]
    pub fn plan(&self, tenant: &TenantId, now: UnixTime) -> Option<Arc<str>> {
        self.tenants.with(now, |tenants| tenants.plans.get(tenant).cloned()).flatten()
    }

    /// Whether decisions use the content that the file had until [`FRESH`] before `at`. While the file is
    /// broken or missing they use an older state, and an answer should be trusted for one request only.
    #[must_use]
    pub fn is_fresh(&self, now: UnixTime, at: Instant) -> bool {
        self.seen.is_within(FRESH, at) && self.is_ready(now)
    }

    fn replace(&self, tenants: &Arc<Tenants>) -> Option<Arc<Tenants>> {
        let before = self.tenants.swap(Arc::clone(tenants));
        let now = Instant::now();
        match &before {
            Some(before) => {
                let is_active = |listing: &Tenants, id| listing.status.get(id) == Some(&Status::Active);
                let gone = before.status.keys().filter(|id| is_active(before, id) && !is_active(tenants, id));
                self.ended.note(gone.map(tenant_tag), now);
            }
            // The tenants that other replicas held active until now are not known here.
            None => self.ended.restart(now),
        }
        before
    }

    fn is_ready(&self, now: UnixTime) -> bool {
        self.tenants.with(now, |_| ()).is_some()
    }

    /// How many tenants are loaded.
    #[must_use]
    pub fn census(&self) -> Census {
        self.tenants.value().map(|tenants| tenants.census).unwrap_or_default()
    }

    /// The state of the directory, for `/readyz`.
    #[must_use]
    pub fn health(&self, now: UnixTime) -> Health {
        let loaded = match self.tenants.value() {
            Some(tenants) => {
                format!("{} active, {} suspended", tenants.census.active, tenants.census.suspended)
            }
            None => "not loaded yet".to_owned(),
        };
        Health { ready: self.is_ready(now), detail: loaded + &self.tenants.stale() }
    }
}

/// A directory that has its tenants from a file.
#[derive(Debug)]
pub struct Filed {
    directory: Arc<Directory>,
    on_change: OnChange,
}

impl FromFile for Filed {
    type Content = Tenants;

    fn last_good(&self) -> &LastGood<Tenants> {
        &self.directory.tenants
    }

    fn parse(&self, content: &[u8]) -> Result<Tenants, String> {
        Tenants::parse(content)
    }

    fn install(&self, tenants: Tenants, began: Instant) {
        let tenants = Arc::new(tenants);
        let before = self.directory.replace(&tenants);
        self.directory.seen.note(began);
        if let Some(before) = before {
            report_changes(&before, &tenants, &self.on_change);
        }
        self.directory.tenants.mend();
    }

    fn unchanged(&self, began: Instant) {
        self.directory.seen.note(began);
    }

    fn summary(&self, tenants: &Tenants) -> String {
        let Census { active, suspended } = tenants.census;
        format!("{active} active, {suspended} suspended")
    }
}

/// Loads `directory` from the file at `path`, and again when it changes. Calls `on_change` for each tenant that is
/// added, removed or changed; the first load is not a change.
#[must_use]
pub fn follow(
    path: &Path,
    directory: Arc<Directory>,
    on_change: OnChange,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
) -> Followed<Filed> {
    let state = Filed { directory, on_change };
    Followed::new("tenants", WatchedFile::new(path, MAX_BYTES), state, clock, reloads)
}

/// Whether `content` is a directory that [`follow`] accepts.
///
/// # Errors
/// A sentence, without the file's name.
pub fn check(content: &[u8]) -> Result<(), String> {
    Tenants::parse(content).map(|_| ())
}

/// The ids in `content`, as an edge file writes them.
///
/// # Errors
/// As [`check`].
pub fn ids(content: &[u8]) -> Result<Vec<String>, String> {
    Ok(Tenants::parse(content)?.status.keys().map(ToString::to_string).collect())
}

fn report_changes(before: &Tenants, after: &Tenants, on_change: &OnChange) {
    let word = |tenants: &Tenants, id: &TenantId| {
        tenants.status.get(id).map(|status| match status {
            Status::Active => "active",
            Status::Suspended => "suspended",
        })
    };
    let gone = before.status.keys().filter(|id| !after.status.contains_key(id));
    for id in after.status.keys().chain(gone) {
        let (from, to) = (word(before, id), word(after, id));
        if from != to {
            on_change.call(TenantChange { tenant: id.clone(), from, to });
        }
    }
}

#[cfg(test)]
mod tests;
