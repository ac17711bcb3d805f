//! Opens the stores of tenants and revocations: files on this machine, or stores that replicas share.

use std::sync::Arc;

use clock::Clock;
use edge_config::Edge;
use edge_config::edge::TenantDirectory;
use redis_connection::Address;

use crate::ended::Ended;
use crate::observe::Observers;
use crate::push::subscriber::Subscriber;
use crate::session::revocations::{RevocationFile, Revocations};
use crate::source::Watchers;
use crate::source::channel::Channel;
use crate::startup::needs::{AssemblyError, Needs};
use crate::tenant::Tenants;
use crate::tenant::change::{OnChange, TenantChange};
use crate::tenant::directory::{self, Directory};
use crate::tenant::memory::{Lifetimes, Memory};
use crate::tenant::service::TenantService;
use crate::tenant::shared::SharedLayer;
use crate::tenant::source::TenantSource;

/// The stores of a decision, besides keys.
pub(super) struct Stores {
    pub(super) tenants: Option<Tenants>,
    pub(super) revocations: Option<Arc<Revocations>>,
    pub(super) channel: Option<Arc<Channel>>,
    pub(super) subscriber: Option<Subscriber>,
}

pub(super) fn assemble(
    edge: &Edge,
    needs: &Needs,
    redis: Option<&Address>,
    clock: &Arc<dyn Clock>,
    observers: &Arc<Observers>,
    ended: &Arc<Ended>,
    watchers: &mut Watchers,
) -> Result<Stores, AssemblyError> {
    let metrics = &observers.metrics;
    let on_change = {
        let observers = Arc::clone(observers);
        OnChange::new(move |TenantChange { tenant, from, to }| {
            if let Some(audit) = observers.audit() {
                audit.tenant(&tenant, from, to);
            }
        })
    };
    let channel = Arc::new(Channel::default());

    let mut pushed_tenants = None;
    let tenants = match &edge.tenants {
        None => None,
        Some(TenantDirectory::File(file)) => {
            let directory = Arc::new(Directory::noting(ended));
            let reloads = metrics.parts.reloads("tenants");
            let (state, clock) = (Arc::clone(&directory), Arc::clone(clock));
            watchers.watch(directory::follow(file, state, on_change, clock, reloads))?;
            Some(Tenants::Listed(directory))
        }
        Some(TenantDirectory::Service(listed)) => {
            let mut source: Arc<dyn TenantSource> = Arc::new(TenantService::new(&listed.url)?);
            if listed.redis {
                let connection = validity::connect_to(redis.ok_or(AssemblyError::NoRedis)?);
                let counts = metrics.parts.lookups("redis");
                let layer = SharedLayer::new(connection, source, Arc::clone(&channel), listed.shared, counts);
                source = Arc::new(layer);
            }
            let lifetimes = Lifetimes {
                memory: listed.memory,
                negative: listed.negative,
                untrusted_after: listed.untrusted_after,
            };
            let counts = metrics.parts.lookups("memory");
            let memory = Memory::new(source, Arc::clone(&channel), lifetimes, counts);
            let memory = memory.listening(on_change);
            let memory = Arc::new(if listed.redis { memory.with_pushed_changes(ended) } else { memory });
            pushed_tenants = listed.redis.then(|| Arc::clone(&memory));
            Some(Tenants::Asked(memory))
        }
    };

    let listed = edge.sessions.as_ref().and_then(|sessions| sessions.revocations.as_ref());
    let mut pushed_revocations = None;
    let revocations = match (listed, redis) {
        (None, _) => None,
        (Some(_), Some(_)) => {
            let list =
                Arc::new(Revocations::pushed(Arc::clone(&channel)).holding(needs.revocations).noting(ended));
            pushed_revocations = Some(Arc::clone(&list));
            Some(list)
        }
        (Some(path), None) => {
            let list = Arc::new(Revocations::default().holding(needs.revocations).noting(ended));
            let bad = metrics.parts.bad_revocations.clone();
            watchers.watch(RevocationFile::new(path, Arc::clone(&list), Arc::clone(clock), bad))?;
            Some(list)
        }
    };

    let is_pushed = pushed_tenants.is_some() || pushed_revocations.is_some();
    let subscriber = redis.filter(|_| is_pushed).map(|address| Subscriber {
        address: address.clone(),
        channel: Arc::clone(&channel),
        tenants: pushed_tenants,
        revocations: pushed_revocations,
        ended: Arc::clone(ended),
        clock: Arc::clone(clock),
        counts: metrics.parts.push(),
    });
    let channel = subscriber.as_ref().map(|_| channel);
    Ok(Stores { tenants, revocations, channel, subscriber })
}
