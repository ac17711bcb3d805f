//! Ends sessions in the legacy backend's form that another program ended: `cutover revoke` for a person, a tenant or one
//! session.
//!
//! The edge refuses these by the list of revocations alone. The legacy backend does not know the list, so their keys are
//! deleted from its Redis, within a second. A session that the legacy backend itself began has no row here and keeps its
//! key: it ends at the edge only.
//!
//! | what happens | then |
//! |---|---|
//! | a session of the person begins or is refreshed at the same moment | it is seen here or sees the revocation itself: both hold the lock of the person |
//! | the database or Redis fails | the same revocations are tried again every second |
//! | this service was down | it reads the whole list at its start |

use std::time::Duration;

use clock::UnixTime;
use kit::SubjectId;
use sea_orm::sea_query::Expr;
use sea_orm::{
    ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QuerySelect as _, TransactionTrait as _,
};
use uuid::Uuid;
use validity::revocation::Revocation;

use super::ends::{alive_at, is_written};
use super::entity::{Column, Entity};
use super::person::Person;
use super::{Sessions, seconds};
use crate::error::Error;
use crate::revocation::news::News;
use crate::token::ACCESS_LIFETIME;

/// How long to wait after a failure.
const AGAIN: Duration = Duration::from_secs(1);

/// How many people of a tenant are looked up at once.
const PAGE: u64 = 500;

/// How much later the end of a tenant is applied once more: its people are not locked as one, so a session may just have been
/// committed. Longer than a request may take.
const ONCE_MORE: Duration = Duration::from_secs(11);

/// Ends sessions as the revocations in `news` come, for ever.
pub async fn follow(sessions: Sessions, mut news: News) {
    loop {
        let lines = match news.next().await {
            Ok(lines) => lines,
            Err(error) => {
                tracing::warn!(%error, "cannot read the revocations; retrying");
                tokio::time::sleep(AGAIN).await;
                continue;
            }
        };
        for line in lines {
            end(&sessions, &line).await;
            if matches!(line, Revocation::Tenant(_)) {
                let sessions = sessions.clone();
                tokio::spawn(async move {
                    tokio::time::sleep(ONCE_MORE).await;
                    end(&sessions, &line).await;
                });
            }
        }
    }
}

/// Ends what `line` ends, however often that fails at first.
async fn end(sessions: &Sessions, line: &Revocation) {
    while let Err(error) = sessions.end_written(line).await {
        tracing::warn!(error = %kit::answer::Chain(&error), "cannot end sessions in the legacy backend's Redis; retrying");
        tokio::time::sleep(AGAIN).await;
    }
}

impl Sessions {
    /// Ends the sessions in the legacy backend's form that `line` ends. The edge knows the line already.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Legacy`]. Repeating it is harmless.
    pub async fn end_written(&self, line: &Revocation) -> Result<(), Error> {
        let now = self.clock.now();
        let begun_before = |before: u64| {
            Column::AccessExpiresAt.lt(seconds(UnixTime::from_seconds(before).plus(ACCESS_LIFETIME)))
        };
        // An id that is not a UUID is of another issuer, and no session in this store has it.
        match line {
            Revocation::Subject(end) => {
                let Ok(sub) = SubjectId::try_from(&end.sub) else { return Ok(()) };
                self.end_written_of(sub, Condition::all().add(begun_before(end.before)), now).await
            }
            Revocation::Session(end) if now.seconds() < end.from => Ok(()),
            Revocation::Session(end) => {
                let Some(session) = end.sid.uuid() else { return Ok(()) };
                let one = Condition::all().add(Column::Id.eq(session));
                self.end_written_where(one, now).await
            }
            Revocation::Tenant(end) => {
                let Some(tenant) = end.tid.uuid() else { return Ok(()) };
                let all = Condition::all().add(Column::TenantId.eq(tenant)).add(begun_before(end.before));
                self.end_written_where(all, now).await
            }
        }
    }

    /// Ends the sessions that `which` selects, one person after the other.
    async fn end_written_where(&self, which: Condition, now: UnixTime) -> Result<(), Error> {
        loop {
            let people: Vec<Uuid> = Entity::find()
                .select_only()
                .column(Column::UserId)
                .distinct()
                .filter(which.clone())
                .filter(is_written())
                .filter(alive_at(now))
                .limit(PAGE)
                .into_tuple()
                .all(&self.database)
                .await
                .map_err(Error::Store)?;
            if people.is_empty() {
                return Ok(());
            }
            for person in people {
                self.end_written_of(SubjectId(person), which.clone(), now).await?;
            }
        }
    }

    async fn end_written_of(&self, person: SubjectId, which: Condition, now: UnixTime) -> Result<(), Error> {
        let which = which.add(Column::UserId.eq(person.0)).add(is_written()).add(alive_at(now));
        let transaction = self.database.begin().await.map_err(Error::Store)?;
        Person::lock(&transaction, person).await?;
        let rows = Entity::find().filter(which.clone()).all(&transaction).await.map_err(Error::Store)?;
        self.lists().end_keys(&rows).await?;
        Entity::update_many()
            .col_expr(Column::DeadFrom, Expr::value(seconds(now)))
            .filter(which)
            .exec(&transaction)
            .await
            .map_err(Error::Store)?;
        transaction.commit().await.map_err(Error::Store)
    }
}
