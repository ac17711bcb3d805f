//! Accounts, and every query about them.

pub(crate) mod entity;
mod owner;
pub mod removal;
pub mod whole;

use std::fmt;
use std::sync::Arc;

use clock::Clock;
use identity::Role;
use kit::{Member, Reach, SubjectId, TenantId, VerifiedTenant};
use sea_orm::sea_query::OnConflict;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, Condition, DatabaseConnection, DbErr, EntityTrait as _,
    QueryFilter as _, SqlErr,
};
use time::OffsetDateTime;
use uuid::Uuid;

use entity::{ActiveModel, Column, Entity, Model};

use crate::activity::news::News;
use crate::error::Error;
use crate::tenants::rule::Rule;

pub use owner::Owner;

/// A person's account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// The person's id.
    pub id: SubjectId,
    /// The person's tenant, once one has been assigned.
    pub tenant: Option<TenantId>,
    /// The data that the person entered.
    pub profile: Profile,
    /// The person's role, which sets their permissions.
    pub role: Role,
    /// When the account was created.
    pub created_at: OffsetDateTime,
    /// When the account was last changed.
    pub updated_at: OffsetDateTime,
}

/// The data that identifies a person to others. Each of the three is unique.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The displayed name.
    pub name: String,
    /// The short name.
    pub handle: String,
    /// The e-mail address for login codes.
    pub email: String,
}

/// A person's change of their own profile. `None` leaves a field unchanged.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// The new name.
    pub name: Option<String>,
    /// The new handle.
    pub handle: Option<String>,
}

/// How another service identifies a person.
#[derive(Clone, Debug)]
pub enum Key {
    /// By id.
    Id(SubjectId),
    /// By e-mail address, byte for byte.
    Email(String),
}

/// Returns the condition on the rows in `reach`. With a rule, a row without a tenant may turn out to be in reach.
fn rows_in(reach: Reach, has_rule: bool) -> Condition {
    match reach.tenant() {
        None => Condition::all(),
        Some(tenant) if has_rule => {
            Condition::any().add(Column::TenantId.eq(tenant.id().0)).add(Column::TenantId.is_null())
        }
        Some(tenant) => Condition::all().add(Column::TenantId.eq(tenant.id().0)),
    }
}

/// Stores and changes all accounts.
#[derive(Clone)]
pub struct Accounts {
    database: DatabaseConnection,
    clock: Arc<dyn Clock>,
    rule: Option<Arc<Rule>>,
    news: Option<News>,
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accounts").finish_non_exhaustive()
    }
}

impl Accounts {
    /// Uses the accounts in `database`, whose tables are up to date.
    #[must_use]
    pub fn new(database: DatabaseConnection, clock: Arc<dyn Clock>) -> Self {
        Self { database, clock, rule: None, news: None }
    }

    /// Gives people without a tenant the one of `rule`, when they are read ([`whole`]).
    #[must_use]
    pub fn with_rule(self, rule: Option<Rule>) -> Self {
        Self { rule: rule.map(Arc::new), ..self }
    }

    /// Writes an event for the audit with each change that a service makes for a tenant.
    #[must_use]
    pub fn with_news(self, news: Option<News>) -> Self {
        Self { news, ..self }
    }

    /// Returns whether the database answers.
    pub async fn reachable(&self) -> bool {
        self.database.ping().await.is_ok()
    }

    /// Returns the account of the caller, who is a person of one tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn own(&self, person: &Member) -> Result<Account, Error> {
        self.look_up(person.tenant.into(), &Key::Id(person.subject)).await
    }

    /// Returns the account that another service requests, within its `reach`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Store`].
    pub async fn look_up(&self, reach: Reach, key: &Key) -> Result<Account, Error> {
        let query = match key {
            Key::Id(id) => Entity::find_by_id(id.0),
            Key::Email(email) => Entity::find().filter(Column::Email.eq(email)),
        };
        let query = query.filter(rows_in(reach, self.rule.is_some()));
        let row = query.one(&self.database).await.map_err(Error::Store)?.ok_or(Error::NotFound)?;
        let account = self.whole(row).await?;
        if reach.contains(account.tenant) { Ok(account) } else { Err(Error::NotFound) }
    }

    /// Changes the caller's account.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Taken`], [`Error::Store`].
    pub async fn change(&self, person: &Member, change: Change) -> Result<(), Error> {
        if let Some(handle) = &change.handle {
            self.give_namesake(handle).await?;
        }
        // A person without a tenant gets the rule's before the condition below looks at it.
        self.own(person).await?;
        let mut row = ActiveModel { updated_at: Set(self.now()), ..Default::default() };
        if let Some(name) = change.name {
            row.name = Set(name);
        }
        if let Some(handle) = change.handle {
            row.handle = Set(Some(handle));
        }
        let done = Entity::update_many()
            .set(row)
            .filter(Column::Id.eq(person.subject.0))
            .filter(Column::TenantId.eq(person.tenant.id().0))
            .exec(&self.database)
            .await
            .map_err(taken)?;
        if done.rows_affected == 0 { Err(Error::NotFound) } else { Ok(()) }
    }

    /// Creates an account.
    ///
    /// # Errors
    /// [`Error::Taken`], [`Error::Store`].
    pub async fn create(&self, tenant: VerifiedTenant, profile: Profile, role: Role) -> Result<(), Error> {
        self.give_namesake(&profile.handle).await?;
        let row = self.row(SubjectId(Uuid::now_v7()), tenant.id(), profile, role);
        Entity::insert(row).exec_without_returning(&self.database).await.map_err(taken)?;
        Ok(())
    }

    /// Creates an account as the legacy backend does, without a handle: the first read gives it one ([`whole`]).
    ///
    /// # Errors
    /// [`Error::Taken`], [`Error::Store`].
    pub async fn create_without_handle(
        &self,
        tenant: VerifiedTenant,
        name: String,
        email: String,
        role: Role,
    ) -> Result<(), Error> {
        let profile = Profile { name, handle: String::new(), email };
        let row = self.row(SubjectId(Uuid::now_v7()), tenant.id(), profile, role);
        let row = ActiveModel { handle: Set(None), ..row };
        Entity::insert(row).exec_without_returning(&self.database).await.map_err(taken)?;
        Ok(())
    }

    /// Creates an account with a given id, unless that id exists already: later changes by the person stay. For the
    /// operator's file of initial people, which names the tenant; no request comes here.
    ///
    /// # Errors
    /// [`Error::Taken`] when the name, handle or address belongs to another id; [`Error::Store`].
    pub async fn ensure(
        &self,
        id: SubjectId,
        tenant: TenantId,
        profile: Profile,
        role: Role,
    ) -> Result<(), Error> {
        Entity::insert(self.row(id, tenant, profile, role))
            .on_conflict(OnConflict::column(Column::Id).do_nothing().to_owned())
            .exec_without_returning(&self.database)
            .await
            .map_err(taken)?;
        Ok(())
    }

    fn row(&self, id: SubjectId, tenant: TenantId, profile: Profile, role: Role) -> ActiveModel {
        let now = self.now();
        ActiveModel {
            id: Set(id.0),
            name: Set(profile.name),
            email: Set(profile.email),
            role: Set(i16::from(role.0)),
            created_at: Set(now),
            updated_at: Set(now),
            handle: Set(Some(profile.handle)),
            tenant_id: Set(Some(tenant.0)),
        }
    }

    fn now(&self) -> OffsetDateTime {
        crate::moment::now(&*self.clock)
    }
}

fn taken(error: DbErr) -> Error {
    if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) {
        Error::Taken
    } else {
        Error::Store(error)
    }
}

impl TryFrom<Model> for Account {
    type Error = Error;

    fn try_from(row: Model) -> Result<Self, Error> {
        let Model { id, name, email, role, created_at, updated_at, handle, tenant_id } = row;
        let handle = handle.ok_or(Error::NoHandle)?;
        Ok(Self {
            id: SubjectId(id),
            tenant: tenant_id.map(TenantId),
            profile: Profile { name, handle, email },
            // The column is wider than a role. A value that does not fit counts as the lowest role.
            role: u8::try_from(role).map_or(Role::NORMAL, Role),
            created_at,
            updated_at,
        })
    }
}
