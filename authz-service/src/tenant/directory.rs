//! The embedded tenant directory: a YAML file.
//!
//! ```yaml
//! tenants:
//!   - { id: 00000000-0000-7000-8000-000000000001, name: Demo, status: active }
//!   - { id: 00000000-0000-7000-8000-000000000002, name: Former, status: suspended }
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

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use clock::{Clock, UnixTime};
use identity::TenantId;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use tokio::time::Instant;
use uuid::Uuid;

use crate::ended::{Ended, FRESH, tenant_tag};
use crate::failure::Failure;
use crate::source::{Hanging, Health, Looked, Reloads, Source, Trouble, WatchedFile};
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
/// a mapping, three keys and three values, which are nine events. Anchors and depth keep their limits.
const MAX_NODES: usize = 8 * MAX_TENANTS;
const MAX_EVENTS: usize = 10 * MAX_TENANTS;

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
struct Entry<'a> {
    id: Uuid,
    #[serde(borrow)]
    name: Cow<'a, str>,
    status: Status,
}

/// The number of tenants in each state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Active tenants.
    pub active: usize,
    /// Suspended tenants.
    pub suspended: usize,
}

#[derive(Debug, Default)]
struct Tenants {
    status: HashMap<TenantId, Status>,
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

    fn add(&mut self, Entry { id, name, status }: Entry<'_>) -> Result<(), String> {
        if name.trim().is_empty() {
            return Err(format!("tenant {id} has an empty name"));
        }
        if self.status.len() == MAX_TENANTS {
            return Err(format!(
                "more than {MAX_TENANTS} tenants; use a tenants service instead (`tenants.grpc`)"
            ));
        }
        match status {
            Status::Active => self.census.active += 1,
            Status::Suspended => self.census.suspended += 1,
        }
        match self.status.insert(TenantId(id), status) {
            None => Ok(()),
            Some(_) => Err(format!("tenant {id} is listed twice")),
        }
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
                while let Some(entry) = entries.next_element::<Entry<'de>>()? {
                    tenants.add(entry).map_err(serde::de::Error::custom)?;
                }
                Ok(tenants)
            }
        }

        deserializer.deserialize_seq(Entries)
    }
}

/// The directory of all tenants.
#[derive(Debug, Default)]
pub struct Directory {
    tenants: ArcSwapOption<Tenants>,
    missing: ArcSwap<Option<Trouble>>,
    broken: ArcSwap<Option<Trouble>>,
    looked: Looked,
    ended: Arc<Ended>,
}

impl Directory {
    /// An empty directory that notes tenants that are no longer active in `ended`.
    #[must_use]
    pub fn noting(ended: &Arc<Ended>) -> Self {
        Self { ended: Arc::clone(ended), ..Self::default() }
    }

    /// The status of `tenant`, or `None` when it is not listed.
    ///
    /// # Errors
    /// [`Failure::TenantsUnavailable`] when no directory is loaded, or the loaded one is too old.
    pub fn status(&self, tenant: TenantId, now: UnixTime) -> Result<Option<Status>, Failure> {
        if self.is_too_old(now) {
            return Err(Failure::TenantsUnavailable);
        }
        let tenants = self.tenants.load();
        let tenants = tenants.as_ref().ok_or(Failure::TenantsUnavailable)?;
        Ok(tenants.status.get(&tenant).copied())
    }

    /// Whether decisions use the content that the file had until [`FRESH`] before `at`. While the file is
    /// broken or missing they use an older state, and an answer should be trusted for one request only.
    #[must_use]
    pub fn is_fresh(&self, now: UnixTime, at: Instant) -> bool {
        self.looked.is_within(FRESH, at) && self.tenants.load().is_some() && !self.is_too_old(now)
    }

    fn replace(&self, tenants: &Arc<Tenants>) -> Option<Arc<Tenants>> {
        let before = self.tenants.swap(Some(Arc::clone(tenants)));
        let now = Instant::now();
        match &before {
            Some(before) => {
                let is_active = |listing: &Tenants, id| listing.status.get(id) == Some(&Status::Active);
                let gone = before.status.keys().filter(|id| is_active(before, id) && !is_active(tenants, id));
                self.ended.note(gone.map(|id| tenant_tag(*id)), now);
            }
            // The tenants that other replicas held active until now are not known here.
            None => self.ended.restart(now),
        }
        before
    }

    fn is_too_old(&self, now: UnixTime) -> bool {
        let over = |slot: &ArcSwap<Option<Trouble>>, limit| {
            slot.load().as_ref().as_ref().is_some_and(|trouble| trouble.lasts_longer_than(limit, now))
        };
        over(&self.missing, MISSING_LIMIT) || over(&self.broken, BROKEN_LIMIT)
    }

    /// How many tenants are loaded.
    #[must_use]
    pub fn census(&self) -> Census {
        self.tenants.load().as_ref().map(|tenants| tenants.census).unwrap_or_default()
    }

    /// The state of the directory, for `/readyz`.
    #[must_use]
    pub fn health(&self, now: UnixTime) -> Health {
        let loaded = self.tenants.load().is_some();
        let census = self.census();
        let mut detail = if loaded {
            format!("{} active, {} suspended", census.active, census.suspended)
        } else {
            "not loaded yet".to_owned()
        };
        for (slot, limit) in [(&self.missing, MISSING_LIMIT), (&self.broken, BROKEN_LIMIT)] {
            if let Some(trouble) = slot.load().as_ref() {
                detail.push_str(&format!(
                    "; stale since {} ({}), refused after {} s",
                    trouble.since().seconds(),
                    trouble.what(),
                    limit.as_secs()
                ));
            }
        }
        Health { ready: loaded && !self.is_too_old(now), detail }
    }
}

fn clear(slot: &ArcSwap<Option<Trouble>>) {
    if slot.load().is_some() {
        slot.store(Arc::new(None));
    }
}

/// Loads the directory from its file, and again when the file changes.
#[derive(Debug)]
pub struct DirectoryFile {
    file: WatchedFile,
    directory: Arc<Directory>,
    clock: Arc<dyn Clock>,
    reloads: Reloads,
    on_change: OnChange,
}

impl DirectoryFile {
    /// A loader that fills `directory` from `path`.
    #[must_use]
    pub fn new(path: &Path, directory: Arc<Directory>, clock: Arc<dyn Clock>, reloads: Reloads) -> Self {
        Self {
            file: WatchedFile::new(path, MAX_BYTES),
            directory,
            clock,
            reloads,
            on_change: OnChange::default(),
        }
    }

    /// Calls `on_change` for each tenant that is added, removed or changed. The first load is not a change.
    #[must_use]
    pub fn listening(self, on_change: OnChange) -> Self {
        Self { on_change, ..self }
    }

    fn trouble(&self, slot: &ArcSwap<Option<Trouble>>, what: &str) {
        note(slot, self.file.path(), what, self.clock.now(), &self.reloads);
    }
}

/// Whether `content` is a directory that [`DirectoryFile`] takes.
///
/// # Errors
/// A sentence, without the file's name.
pub fn check(content: &[u8]) -> Result<(), String> {
    Tenants::parse(content).map(|_| ())
}

fn note(slot: &ArcSwap<Option<Trouble>>, path: &Path, what: &str, now: UnixTime, reloads: &Reloads) {
    let path = path.display().to_string();
    if Trouble::note(slot, format!("{path}: {what}"), now) {
        reloads.failed.inc();
        tracing::error!(file = path, what, "tenant directory not loaded");
    }
}

impl Source for DirectoryFile {
    fn name(&self) -> &'static str {
        "tenants"
    }

    fn poll(&mut self) {
        let began = Instant::now();
        match self.file.poll() {
            Ok(None) => {
                clear(&self.directory.missing);
                if self.directory.broken.load().is_none() {
                    self.directory.looked.note(began);
                }
            }
            Ok(Some(yaml)) => {
                clear(&self.directory.missing);
                match Tenants::parse(&yaml) {
                    Ok(tenants) => {
                        let Census { active, suspended } = tenants.census;
                        tracing::info!(file = %self.file.path().display(), active, suspended, "tenants loaded");
                        let tenants = Arc::new(tenants);
                        let before = self.directory.replace(&tenants);
                        self.directory.looked.note(began);
                        if let Some(before) = before {
                            report_changes(&before, &tenants, &self.on_change);
                        }
                        clear(&self.directory.broken);
                        self.reloads.done.inc();
                    }
                    Err(what) => self.trouble(&self.directory.broken, &what),
                }
            }
            Err(error) => self.trouble(&self.directory.missing, &error.to_string()),
        }
    }

    fn hanging(&self) -> Option<Hanging> {
        let (path, directory) = (self.file.path().to_owned(), Arc::clone(&self.directory));
        let (clock, reloads) = (Arc::clone(&self.clock), self.reloads.clone());
        Some(Box::new(move |what| note(&directory.missing, &path, what, clock.now(), &reloads)))
    }
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
            on_change.call(TenantChange { tenant: *id, from, to });
        }
    }
}

#[cfg(test)]
mod tests;
