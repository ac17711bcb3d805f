//! A database with the tables, events, and effects that can be counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use clock::{Clock, ManualClock, UnixTime};
use events::handled::{Handle, NotHandled};
use events::outbox::{Deliver, Entry, Item, Outcome, Put};
use events::{Envelope, Outbox, Source};
use kit::testing::PrivatePostgres;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, Statement, TransactionTrait as _};
use sea_orm_migration::prelude::*;

pub(crate) struct Steps;

impl MigratorTrait for Steps {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(events::tables::Outbox),
            Box::new(events::tables::Handled),
            Box::new(events::tables::Streams),
            Box::new(events::tables::Unfinished),
            Box::new(events::tables::Selected),
        ]
    }
}

/// A database of its own: a SQLite file, or a PostgreSQL.
pub(crate) struct Store {
    pub(crate) database: DatabaseConnection,
    _directory: tempfile::TempDir,
    pub(crate) postgres: Option<Arc<PrivatePostgres>>,
}

impl Store {
    pub(crate) async fn sqlite() -> Self {
        Self::open(None).await
    }

    pub(crate) async fn postgres() -> Self {
        Self::open(Some(Arc::new(PrivatePostgres::start()))).await
    }

    async fn open(postgres: Option<Arc<PrivatePostgres>>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("db").join("events.sqlite");
        let url = postgres.as_ref().map(|postgres| postgres.url());
        let database = kit::store::open(url.as_deref(), &file).await.unwrap();
        Steps::up(&database, None).await.unwrap();
        // No key: an effect that happens twice must be seen.
        database.execute_unprepared("CREATE TABLE effects (name text NOT NULL)").await.unwrap();
        Self { database, _directory: directory, postgres }
    }

    /// How often each effect happened.
    pub(crate) async fn effects(&self) -> BTreeMap<String, i64> {
        let rows = self.all("SELECT name, count(*) FROM effects GROUP BY name").await;
        rows.iter().map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap())).collect()
    }

    /// The numbers of rows of the outbox: waiting, delivered, dead.
    pub(crate) async fn rows(&self) -> (i64, i64, i64) {
        let rows = self
            .all(
                "SELECT count(*) - count(processed_at) - count(failed_at), count(processed_at), count(failed_at) \
                 FROM outbox_events",
            )
            .await;
        let number = |place| rows[0].try_get_by_index(place).unwrap();
        (number(0), number(1), number(2))
    }

    /// The attempts of all rows of the outbox together.
    pub(crate) async fn attempts(&self) -> i64 {
        let rows = self.all("SELECT CAST(sum(attempts) AS bigint) FROM outbox_events").await;
        rows[0].try_get_by_index(0).unwrap()
    }

    async fn all(&self, text: &str) -> Vec<sea_orm::QueryResult> {
        let backend = self.database.get_database_backend();
        self.database.query_all_raw(Statement::from_string(backend, text)).await.unwrap()
    }

    /// Writes one row in a transaction of its own.
    pub(crate) async fn put(&self, outbox: &Outbox, key: &str) -> Put {
        let change = self.database.begin().await.unwrap();
        let put = outbox.put(&change, entry(key)).await.unwrap();
        change.commit().await.unwrap();
        outbox.committed();
        put
    }
}

pub(crate) fn entry(key: &str) -> Entry<'_> {
    Entry { kind: "test", payload: r#"{"a":1}"#, idempotency_key: key, delay: std::time::Duration::ZERO }
}

pub(crate) fn clock() -> ManualClock {
    ManualClock::at(kit::testing::START)
}

pub(crate) fn outbox(clock: &ManualClock) -> Outbox {
    Outbox::new(Arc::new(clock.clone()))
}

/// An event that names `what` happened.
pub(crate) fn event(what: &str, now: UnixTime) -> Envelope {
    let source = Source { service: "test".to_owned(), instance: "one".to_owned() };
    let data = serde_json::json!({ "what": what }).as_object().unwrap().clone();
    Envelope::new("test.thing.happened".parse().unwrap(), "tenant".parse().unwrap(), source, data, now)
}

/// Writes a row of `effects` for each event. Data without `what` are refused, and `fail` fails.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effect;

impl Handle for Effect {
    async fn handle(&self, effect: &DatabaseTransaction, event: &Envelope) -> Result<(), NotHandled> {
        let what = event.data.get("what").and_then(|what| what.as_str());
        let what = what.ok_or_else(|| NotHandled::Refused("`what` is missing".to_owned()))?;
        let text = "INSERT INTO effects (name) VALUES ($1)";
        let backend = effect.get_database_backend();
        effect.execute_raw(Statement::from_sql_and_values(backend, text, [what.into()])).await?;
        match what {
            // After its effect, which must then not be there.
            "fail" => Err(NotHandled::Failed("it fails".to_owned())),
            _ => Ok(()),
        }
    }
}

/// Records what is delivered, and returns what `answer` says.
#[derive(Clone)]
pub(crate) struct Recorder<A> {
    pub(crate) seen: Arc<Mutex<BTreeMap<String, u32>>>,
    answer: A,
}

impl<A: Fn(&Item) -> Outcome + Clone + Send + Sync + 'static> Recorder<A> {
    pub(crate) fn new(answer: A) -> Self {
        Self { seen: Arc::default(), answer }
    }
}

impl<A: Fn(&Item) -> Outcome + Clone + Send + Sync + 'static> Deliver for Recorder<A> {
    fn kinds(&self) -> &'static [&'static str] {
        &["test"]
    }

    async fn deliver(&self, item: &Item) -> Outcome {
        *self.seen.lock().unwrap().entry(item.idempotency_key.clone()).or_default() += 1;
        tokio::task::yield_now().await;
        (self.answer)(item)
    }
}

pub(crate) fn now(clock: &ManualClock) -> UnixTime {
    clock.now()
}

/// Runs each test on SQLite, and all of them on PostgreSQL.
macro_rules! on_both {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&crate::fixture::Store::sqlite().await).await;
            })*
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn postgresql() {
            $($name(&crate::fixture::Store::postgres().await).await;)*
        }
    };
}

pub(crate) use on_both;
