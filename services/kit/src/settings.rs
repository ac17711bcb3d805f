//! The variables that more than one service reads, and the files below `CUTOVER_HOME`. The reader itself is
//! [`settings`](::settings).

use std::path::{Path, PathBuf};

pub use ::settings::{Faults, Reader, Variable};

/// The directory of everything that a run writes: keys, databases, mail.
pub const CUTOVER_HOME: Variable = Variable {
    name: "CUTOVER_HOME",
    default: Some(".run"),
    help: "Directory of keys, databases and everything else that a run writes",
    secret: false,
};

/// The edge whose signature a service trusts.
pub const EDGE_NAME: Variable = Variable {
    name: "EDGE_NAME",
    default: Some("dev"),
    help: "Name of the edge that signs the callers' identities (`edge` in the edge file)",
    secret: false,
};

/// The database to use.
pub const DATABASE_URL: Variable = Variable {
    name: "DATABASE_URL",
    default: None,
    help: "PostgreSQL to use, as postgres://user:password@host/database, with libpq's sslmode, sslrootcert, sslcert and \
           sslkey, or password_file behind `?`; several hosts with commas; unset means SQLite in CUTOVER_HOME",
    secret: true,
};

/// Reads [`DATABASE_URL`]. An address that cannot be used is a fault.
pub fn database_url(reader: &mut Reader) -> Option<String> {
    reader.parsed_by(&DATABASE_URL, |url| match crate::store::check(url) {
        Ok(()) => Ok(url.to_owned()),
        Err(error) => Err(error.to_string()),
    })
}

/// The broker.
pub const AMQP_URL: Variable = Variable {
    name: "AMQP_URL",
    default: None,
    help: "RabbitMQ for events, as amqp://USER:PASSWORD@HOST:5672/VHOST (amqps with TLS); unset means events within this process",
    secret: true,
};

/// The prefix of the names at the broker.
pub const EVENTS_PREFIX: Variable = Variable {
    name: "EVENTS_PREFIX",
    default: Some("coder"),
    help: "Prefix of exchanges and queues at the broker: PREFIX.events, PREFIX.notifications and so on",
    secret: false,
};

/// The services with queues at the broker.
pub const AMQP_CONSUMERS: Variable = Variable {
    name: "AMQP_CONSUMERS",
    default: None,
    help: "Services whose queues are kept at the broker, separated by commas: those of docs/events.md that are deployed, the \
           same list for every service; unset means all",
    secret: false,
};

/// The access key of SES.
pub const SES_KEY: Variable = Variable {
    name: "SES_KEY",
    default: None,
    help: "File with the AWS access key id on its first line and the secret on its second; needed with SES_FROM",
    secret: false,
};

/// The region of SES.
pub const SES_REGION: Variable = Variable {
    name: "SES_REGION",
    default: None,
    help: "AWS region of SES, such as eu-central-1; needed with SES_FROM",
    secret: false,
};

/// The address of SES.
pub const SES_URL: Variable = Variable {
    name: "SES_URL",
    default: None,
    help: "Address of SES, if not the region's own",
    secret: false,
};

/// The log level.
pub const RUST_LOG: Variable = Variable {
    name: "RUST_LOG",
    // The database layers log every statement at `info` and below.
    default: Some("info,sqlx=warn,sea_orm=warn,sea_orm_migration=warn"),
    help: "What to log, as tracing's filter directives",
    secret: false,
};

/// Locates the files below `CUTOVER_HOME` that more than one service uses.
#[derive(Clone, Debug)]
pub struct Home(pub PathBuf);

impl Home {
    /// Returns the path `keys/NAME`.
    #[must_use]
    pub fn key(&self, name: &str) -> PathBuf {
        self.0.join("keys").join(name)
    }

    /// Returns the path `db/NAME.sqlite`.
    #[must_use]
    pub fn database(&self, name: &str) -> PathBuf {
        self.0.join("db").join(format!("{name}.sqlite"))
    }

    /// Returns the directory itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}
