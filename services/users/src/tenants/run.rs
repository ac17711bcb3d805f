//! Names the tenants of existing people, batch by batch.
//!
//! Each batch is one transaction of at most [`Options::batch`] people, so the legacy backend is never kept
//! waiting for long, and a run that is killed loses one batch at most. A person who has a tenant keeps it.
//! Therefore the same command goes on where a killed one stopped, and a second run changes nothing.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use kit::{SubjectId, TenantId};
use sea_orm::{
    ColumnTrait as _, Condition, DatabaseConnection, DbErr, EntityTrait as _, PaginatorTrait as _,
    QueryFilter as _, QueryOrder as _, QuerySelect as _, TransactionTrait as _,
};
use serde::Serialize;
use uuid::Uuid;

use super::map::{Entry, Lines, MapError, Who};
use super::rule::Rule;
use crate::account::entity::{Column, Entity};

/// At most this many people are shown as examples.
const MAX_EXAMPLES: usize = 10;

/// At most this many lines of a mapping file are shown for each problem; the rest are counted.
const MAX_LINES: usize = 20;

/// Where the tenants come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A rule, for all people without a tenant.
    Rule(Rule),
    /// A mapping file, which was [checked](super::map::check).
    Map(PathBuf),
}

/// How to go about it.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Count, and change nothing.
    pub dry_run: bool,
    /// How many people one transaction changes.
    pub batch: u64,
}

/// What a run did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// How many people got a tenant, or would.
    pub named: u64,
    /// The same by tenant.
    pub by_tenant: BTreeMap<String, u64>,
    /// The first of them.
    pub examples: Vec<Example>,
    /// How many people of the mapping file have that tenant already.
    pub already: u64,
    /// How many people have no tenant by this rule or file.
    pub without: u64,
    /// How many lines name a person who does not exist, and the first of these lines.
    pub unknown: Problem,
    /// How many lines name a person who has another tenant, and the first of these lines. These people keep theirs.
    pub other: Problem,
}

/// Lines of a mapping file with one problem.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// How many lines.
    pub count: u64,
    /// The numbers of the first ones.
    pub lines: Vec<u64>,
}

impl Problem {
    fn add(&mut self, line: u64) {
        self.count += 1;
        if self.lines.len() < MAX_LINES {
            self.lines.push(line);
        }
    }
}

/// A person who got a tenant. The address is shortened to its domain: output ends up in tickets and chats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The person.
    pub id: SubjectId,
    /// The domain of their e-mail address.
    pub domain: String,
    /// Their tenant.
    pub tenant: TenantId,
}

impl Report {
    /// Returns whether every person that the rule or file means has a tenant now.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.without == 0 && self.unknown.count == 0 && self.other.count == 0
    }

    fn name(&mut self, id: Uuid, email: &str, tenant: TenantId) {
        self.named += 1;
        *self.by_tenant.entry(tenant.to_string()).or_default() += 1;
        if self.examples.len() < MAX_EXAMPLES {
            let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain).to_owned();
            self.examples.push(Example { id: SubjectId(id), domain, tenant });
        }
    }
}

/// Why a run stopped. Batches before it stay.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The database failed.
    #[error("the database failed: {0}")]
    Store(#[from] DbErr),
    /// The mapping file changed while it was used.
    #[error(transparent)]
    Map(#[from] MapError),
}

/// Runs. `progress` is called after each batch with the number of people, or of lines, that are done and the
/// number of all.
///
/// # Errors
/// [`RunError`].
pub async fn run(
    database: &DatabaseConnection,
    source: &Source,
    options: Options,
    progress: impl FnMut(u64, u64),
) -> Result<Report, RunError> {
    let mut report = Report { dry_run: options.dry_run, ..Report::default() };
    match source {
        Source::Rule(rule) => by_rule(database, rule, options, &mut report, progress).await?,
        Source::Map(path) => by_map(database, path, options, &mut report, progress).await?,
    }
    Ok(report)
}

/// The columns that a run reads.
type Row = (Uuid, String, Option<Uuid>);

async fn by_rule(
    database: &DatabaseConnection,
    rule: &Rule,
    options: Options,
    report: &mut Report,
    mut progress: impl FnMut(u64, u64),
) -> Result<(), RunError> {
    let all = Entity::find().filter(Column::TenantId.is_null()).count(database).await?;
    let (mut done, mut after) = (0, None::<Uuid>);
    loop {
        let mut query = Entity::find().filter(Column::TenantId.is_null());
        if let Some(after) = after {
            query = query.filter(Column::Id.gt(after));
        }
        let rows: Vec<Row> =
            columns(query.order_by_asc(Column::Id).limit(options.batch)).all(database).await?;
        let Some((last, _, _)) = rows.last() else { return Ok(()) };
        after = Some(*last);
        done += u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let mut named = Vec::new();
        for (id, email, _) in rows {
            match rule.tenant_of(&email) {
                Some(tenant) => named.push((id, email, tenant)),
                None => report.without += 1,
            }
        }
        write(database, named, options, report).await?;
        progress(done, all.max(done));
    }
}

async fn by_map(
    database: &DatabaseConnection,
    path: &Path,
    options: Options,
    report: &mut Report,
    mut progress: impl FnMut(u64, u64),
) -> Result<(), RunError> {
    let all = u64::try_from(Lines::open(path).map_err(MapError::Io)?.count()).unwrap_or(u64::MAX);
    let mut lines = Lines::open(path).map_err(MapError::Io)?;
    let mut done = 0;
    // The tenants that earlier lines gave: the database has them, except in a dry run.
    let mut given = HashMap::new();
    loop {
        let mut entries = Vec::new();
        while entries.len() < usize::try_from(options.batch).unwrap_or(usize::MAX) {
            match lines.next().transpose().map_err(MapError::Io)? {
                None => break,
                Some((_, Ok(entry))) => entries.push(entry),
                // The file was checked, so it has changed since; the entry counts as a person who is not known.
                Some((line, Err(_))) => report.unknown.add(line),
            }
        }
        if entries.is_empty() {
            return Ok(());
        }
        done += u64::try_from(entries.len()).unwrap_or(u64::MAX);
        lines_of(database, entries, options, &mut given, report).await?;
        if !options.dry_run {
            given.clear();
        }
        progress(done, all.max(done));
    }
}

/// Names the tenants of one batch of lines.
async fn lines_of(
    database: &DatabaseConnection,
    entries: Vec<Entry>,
    options: Options,
    given: &mut HashMap<Uuid, TenantId>,
    report: &mut Report,
) -> Result<(), RunError> {
    let ids = entries.iter().filter_map(|entry| match &entry.who {
        Who::Id(id) => Some(id.0),
        Who::Email(_) => None,
    });
    let emails = entries.iter().filter_map(|entry| match &entry.who {
        Who::Email(email) => Some(email.as_str()),
        Who::Id(_) => None,
    });
    let meant = Condition::any().add(Column::Id.is_in(ids)).add(Column::Email.is_in(emails));
    let rows: Vec<Row> = columns(Entity::find().filter(meant)).all(database).await?;
    let by_email: HashMap<&str, &Row> = rows.iter().map(|row| (row.1.as_str(), row)).collect();
    let by_id: HashMap<Uuid, &Row> = rows.iter().map(|row| (row.0, row)).collect();
    let mut named = Vec::new();
    for Entry { line, who, tenant } in &entries {
        let row = match who {
            Who::Id(id) => by_id.get(&id.0),
            Who::Email(email) => by_email.get(email.as_str()),
        };
        let Some((id, email, has)) = row else {
            report.unknown.add(*line);
            continue;
        };
        // A line before this one counts, too.
        match has.map(TenantId).or_else(|| given.get(id).copied()) {
            Some(has) if has == *tenant => report.already += 1,
            Some(_) => report.other.add(*line),
            None => {
                given.insert(*id, *tenant);
                named.push((*id, email.clone(), *tenant));
            }
        }
    }
    write(database, named, options, report).await
}

fn columns(query: sea_orm::Select<Entity>) -> sea_orm::Selector<sea_orm::SelectGetableTuple<Row>> {
    query.select_only().columns([Column::Id, Column::Email, Column::TenantId]).into_tuple()
}

/// Gives these people their tenants in one transaction. A person who got one meanwhile keeps it.
async fn write(
    database: &DatabaseConnection,
    named: Vec<(Uuid, String, TenantId)>,
    options: Options,
    report: &mut Report,
) -> Result<(), RunError> {
    if !options.dry_run && !named.is_empty() {
        let mut by_tenant: BTreeMap<TenantId, Vec<Uuid>> = BTreeMap::new();
        for (id, _, tenant) in &named {
            by_tenant.entry(*tenant).or_default().push(*id);
        }
        let transaction = database.begin().await?;
        for (tenant, ids) in by_tenant {
            Entity::update_many()
                .col_expr(Column::TenantId, tenant.0.into())
                .filter(Column::Id.is_in(ids))
                .filter(Column::TenantId.is_null())
                .exec(&transaction)
                .await?;
        }
        transaction.commit().await?;
    }
    for (id, email, tenant) in named {
        report.name(id, &email, tenant);
    }
    Ok(())
}
