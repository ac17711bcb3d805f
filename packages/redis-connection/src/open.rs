//! Finds the servers and connects to them.

use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo as _, Pipeline,
    RedisError, RedisFuture, RedisResult, TlsMode, Value,
};

use crate::access::Loaded;
use crate::address::{Address, Form};
use crate::connection::Bounds;
use crate::hosts::Host;

/// How long one server may take to accept a connection, TLS and login included: a thousand times the usual duration.
pub(crate) const CONNECT: Duration = Duration::from_secs(1);

/// How long it may take in total to find the servers and to connect. Sentinels are asked at once, but three at a time.
pub(crate) const OPEN: Duration = Duration::from_secs(3);

/// How often a request to a cluster is repeated by itself: for a slot that has moved, and for one that is moving.
const REDIRECTIONS: u32 = 3;

/// The pause before a request to a cluster is repeated, in ms: the first one, and the longest one.
const REDIRECTION_PAUSE: (u64, u64) = (5, 20);

/// An open connection.
#[derive(Clone)]
pub(crate) enum Server {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl ConnectionLike for Server {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::One(one) => one.req_packed_command(cmd),
            Self::Cluster(cluster) => cluster.req_packed_command(cmd),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::One(one) => one.req_packed_commands(pipeline, offset, count),
            Self::Cluster(cluster) => cluster.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::One(one) => one.get_db(),
            Self::Cluster(cluster) => cluster.get_db(),
        }
    }
}

/// Reads the files of `address`, outside of the threads that serve requests.
pub(crate) async fn load(address: &Address) -> RedisResult<Loaded> {
    let access = address.access.clone();
    let loaded = tokio::task::spawn_blocking(move || access.load()).await.map_err(std::io::Error::other)?;
    loaded.map_err(|fault| std::io::Error::other(fault).into())
}

/// Connects.
pub(crate) async fn open(address: &Address, loaded: &Loaded, bounds: Bounds) -> RedisResult<Server> {
    match &address.form {
        Form::One(one) => connect(&loaded.client(one.clone())?, bounds).await.map(Server::One),
        Form::Sentinels { sentinels, primary } => {
            let client = primary_of(sentinels, primary, loaded).await?;
            connect(&client, bounds).await.map(Server::One)
        }
        Form::Cluster(nodes) => {
            let encrypted = loaded.certificates.is_some();
            let nodes = nodes.iter().map(|node| {
                let info = node.address(encrypted).into_connection_info();
                info.map(|info| info.set_redis_settings(loaded.settings.clone()))
            });
            let (first, longest) = REDIRECTION_PAUSE;
            let mut builder = ClusterClientBuilder::new(nodes.collect::<RedisResult<Vec<_>>>()?)
                .connection_timeout(CONNECT)
                .response_timeout(bounds.answer)
                .retries(REDIRECTIONS)
                .min_retry_wait(first)
                .max_retry_wait(longest);
            if let Some(most) = bounds.concurrency {
                builder = builder.connection_concurrency_limit(most);
            }
            if let Some(certificates) = &loaded.certificates {
                builder = builder.tls(TlsMode::Secure).certs(certificates.clone());
            }
            builder.build()?.get_async_connection().await.map(Server::Cluster)
        }
    }
}

/// Connects to one server.
pub(crate) async fn connect(client: &Client, bounds: Bounds) -> RedisResult<MultiplexedConnection> {
    let mut config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(bounds.answer));
    if let Some(most) = bounds.concurrency {
        config = config.set_concurrency_limit(most);
    }
    client.get_multiplexed_async_connection_with_config(&config).await
}

/// The primary, by its sentinels: it says itself that it is one.
pub(crate) async fn primary_of(sentinels: &[Host], primary: &str, loaded: &Loaded) -> RedisResult<Client> {
    let encrypted = loaded.certificates.is_some();
    let addresses: Vec<ConnectionAddr> = sentinels.iter().map(|host| host.address(encrypted)).collect();
    let (settings, sentinel) = (&loaded.settings, &loaded.sentinel);
    let mut builder = SentinelClientBuilder::new(addresses, primary, SentinelServerType::Master)?
        .set_client_to_redis_db(settings.db())
        .set_client_to_redis_protocol(settings.protocol());
    if let Some(certificates) = &loaded.certificates {
        builder = builder
            .set_client_to_redis_tls_mode(TlsMode::Secure)
            .set_client_to_redis_certificates(certificates.clone())
            .set_client_to_sentinel_tls_mode(TlsMode::Secure)
            .set_client_to_sentinel_certificates(certificates.clone());
    }
    if let Some(user) = settings.username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = settings.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(user) = sentinel.username() {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = sentinel.password() {
        builder = builder.set_client_to_sentinel_password(password);
    }
    builder.build()?.async_get_client().await
}

/// Waits for `asking`, for `patience` at most.
pub(crate) async fn within<T>(
    patience: Duration,
    asking: impl Future<Output = RedisResult<T>>,
) -> RedisResult<T> {
    let late =
        |_| RedisError::from(std::io::Error::new(std::io::ErrorKind::TimedOut, "Redis does not answer"));
    tokio::time::timeout(patience, asking).await.map_err(late)?
}

/// Whether a connection with this error cannot be used again: it is closed, or its server is not the primary any more.
pub(crate) fn is_final(error: &RedisError) -> bool {
    let is_demoted = matches!(
        error.kind(),
        ErrorKind::Server(redis::ServerErrorKind::ReadOnly | redis::ServerErrorKind::MasterDown)
    );
    is_demoted || (error.is_unrecoverable_error() && !error.is_timeout())
}
