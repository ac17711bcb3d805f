//! The connections of the database pool. A pool counts them itself, so they are read when they are shown.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};
use sea_orm::{DatabaseConnection, DbBackend};

/// The gauges of one pool.
struct Connections {
    database: DatabaseConnection,
    open: IntGaugeVec,
    limit: IntGauge,
}

/// Adds the connections of `database` to `registry`.
pub(super) fn show(database: &DatabaseConnection, registry: &Registry) -> Result<(), prometheus::Error> {
    let open = Opts::new("service_database_connections", "Open connections of the database pool by state");
    let open = IntGaugeVec::new(open, &["state"])?;
    let limit =
        IntGauge::new("service_database_connections_limit", "The most connections of the database pool")?;
    registry.register(Box::new(Connections { database: database.clone(), open, limit }))
}

impl Collector for Connections {
    fn desc(&self) -> Vec<&Desc> {
        let mut all = self.open.desc();
        all.extend(self.limit.desc());
        all
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // The accessors of the library are for one kind of database each.
        let backend = self.database.get_database_backend();
        let (open, idle, limit) = if backend == DbBackend::Postgres {
            let pool = self.database.get_postgres_connection_pool();
            (pool.size(), pool.num_idle(), pool.options().get_max_connections())
        } else if backend == DbBackend::Sqlite {
            let pool = self.database.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle(), pool.options().get_max_connections())
        } else {
            // No service opens another kind.
            return Vec::new();
        };
        let idle = i64::try_from(idle).unwrap_or(i64::MAX);
        self.open.with_label_values(&["idle"]).set(idle);
        // The two counts are read one after the other, so their difference can be off by one for a moment.
        self.open.with_label_values(&["in_use"]).set(i64::from(open).saturating_sub(idle).max(0));
        self.limit.set(i64::from(limit));
        let mut all = self.open.collect();
        all.extend(self.limit.collect());
        all
    }
}
