//! The tiers with a real Redis, as one replica, as two, and without it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use cache::{Bounds, Cache, Exhausted, Key, Kind, LoadError, Metrics, Pool, Scope};
use futures_util::future::join_all;
use futures_util::poll;
use harness::{Redis, eventually_async};
use identity::TenantId;
use prometheus::Registry;
use redis_connection::Address;
use tokio::sync::Notify;

static ACCOUNTS: Kind = Kind {
    name: "account",
    memory: Duration::from_secs(60),
    shared: Duration::from_secs(600),
    missing: Duration::from_secs(60),
};
static BOOKS: Kind = Kind { name: "book", ..ACCOUNTS };

fn tenant(number: u8) -> TenantId {
    format!("00000000-0000-7000-8000-{number:012}").parse().unwrap()
}

fn key(number: u8, kind: &Kind, id: &str) -> Key {
    Key::new(&tenant(number), kind, id).unwrap()
}

/// One replica, and how often it read the source.
struct Replica {
    cache: Cache<String>,
    registry: Registry,
    loads: AtomicUsize,
}

impl Replica {
    fn with(bounds: Bounds, redis: Option<&Redis>) -> Self {
        let registry = Registry::new();
        let metrics = Metrics::new(&registry).unwrap();
        let address = redis.map(|redis| Address::parse(&redis.url()).unwrap());
        Self {
            cache: Cache::new("test", bounds, address.as_ref(), metrics),
            registry,
            loads: AtomicUsize::new(0),
        }
    }

    fn new(redis: Option<&Redis>) -> Self {
        Self::with(Bounds::default(), redis)
    }

    async fn get(&self, key: &Key, source: Option<&str>) -> Option<String> {
        let load = async {
            self.loads.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>(source.map(str::to_owned))
        };
        self.cache.get(key, load).await.unwrap()
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }

    fn counted(&self, name: &str, label: &str) -> u64 {
        let families = self.registry.gather();
        let of =
            families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
        let labelled = of.filter(|metric| metric.get_label().iter().any(|pair| pair.value() == label));
        labelled.map(|metric| metric.get_counter().get_value() as u64).sum()
    }
}

#[tokio::test]
async fn many_readers_of_a_missing_key_are_one() {
    let replica = Replica::new(None);
    let key = key(1, &ACCOUNTS, "a");
    let began = Notify::new();
    let all = join_all((0..50).map(|_| {
        replica.cache.get(&key, async {
            replica.loads.fetch_add(1, Ordering::SeqCst);
            began.notify_one();
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(Some("value".to_owned()))
        })
    }))
    .await;
    assert!(all.iter().all(|one| one.as_ref().unwrap().as_deref() == Some("value")));
    assert_eq!(replica.loads(), 1);
    assert_eq!(replica.counted("cache_reads_total", "source"), 1);
    assert_eq!(replica.counted("cache_reads_total", "memory"), 49);
}

#[tokio::test]
async fn a_missing_value_is_remembered_and_a_failure_is_not() {
    let redis = Redis::start();
    let (replica, other) = (Replica::new(Some(&redis)), Replica::new(Some(&redis)));
    let missing = key(1, &ACCOUNTS, "nobody");
    for _ in 0..2 {
        assert_eq!(replica.get(&missing, None).await, None);
        assert_eq!(other.get(&missing, Some("not asked")).await, None);
    }
    assert_eq!((replica.loads(), other.loads()), (1, 0));
    let failing = key(1, &ACCOUNTS, "broken");
    let failed =
        replica.cache.get(&failing, async { Err::<Option<String>, _>("the database is gone") }).await;
    assert!(matches!(*failed.unwrap_err(), LoadError::Source("the database is gone")));
    assert_eq!(replica.get(&failing, Some("back")).await.as_deref(), Some("back"));
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_values_and_invalidations() {
    let redis = Redis::start();
    let (one, two) = (Replica::new(Some(&redis)), Replica::new(Some(&redis)));
    let (account, book, foreign) = (key(1, &ACCOUNTS, "a"), key(1, &BOOKS, "a"), key(2, &ACCOUNTS, "a"));
    let all = [&account, &book, &foreign];
    for key in all {
        assert_eq!(one.get(key, Some("first")).await.as_deref(), Some("first"));
        assert_eq!(two.get(key, Some("not asked")).await.as_deref(), Some("first"));
    }
    assert_eq!((one.loads(), two.loads()), (3, 0));
    assert_eq!(redis.cli(&["EXISTS", account.as_str()]).trim(), "1", "the key is the one that was promised");
    // Each scope forgets what is in it, and nothing else.
    let tenant = tenant(1);
    let scopes = [Scope::One(&account), Scope::OfKind(&tenant, &ACCOUNTS), Scope::OfTenant(&tenant)];
    for (round, scope) in scopes.into_iter().enumerate() {
        let (next, is_tenant) = (format!("next {round}"), round == 2);
        one.cache.invalidate(scope).await.unwrap();
        assert_eq!(one.get(&account, Some(&next)).await.as_deref(), Some(&*next));
        eventually_async("the other replica has the new value", async || {
            two.get(&account, Some("not asked")).await.as_deref() == Some(&*next)
        })
        .await;
        let expected = if is_tenant { "of the book" } else { "first" };
        assert_eq!(one.get(&book, Some("of the book")).await.as_deref(), Some(expected));
        assert_eq!(one.get(&foreign, Some("not asked")).await.as_deref(), Some("first"));
    }
    assert_eq!(two.loads(), 0, "the other replica found each new value in Redis");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_was_read_before_its_invalidation_is_not_kept() {
    let redis = Redis::start();
    let (one, two) = (Replica::new(Some(&redis)), Replica::new(Some(&redis)));
    for redis_less in [false, true] {
        let alone = Replica::new(None);
        let reader = if redis_less { &alone } else { &one };
        let key = key(1, &ACCOUNTS, "raced");
        let (began, go_on) = (Notify::new(), Notify::new());
        let read = reader.cache.get(&key, async {
            began.notify_one();
            go_on.notified().await;
            Ok::<_, Infallible>(Some("old".to_owned()))
        });
        let change = async {
            began.notified().await;
            reader.cache.invalidate(Scope::One(&key)).await.unwrap();
            go_on.notify_one();
        };
        let (old, ()) = tokio::join!(read, change);
        assert_eq!(old.unwrap().as_deref(), Some("old"), "its own reader gets it");
        assert_eq!(reader.get(&key, Some("new")).await.as_deref(), Some("new"));
        if !redis_less {
            assert_eq!(two.get(&key, Some("not asked")).await.as_deref(), Some("new"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_the_source_is_read_by_a_bounded_number_and_redis_is_used_again_later() {
    let mut redis = Redis::start();
    let bounds = Bounds { loads: 4, wait: Duration::from_secs(60), ..Bounds::default() };
    let replica = Replica::with(bounds, Some(&redis));
    redis.process().signal(harness::Signal::Kill);
    redis.process().wait(Duration::from_secs(20));
    let (at_once, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let keys: Vec<Key> = (0..40).map(|number| key(1, &ACCOUNTS, &number.to_string())).collect();
    let all = join_all(keys.iter().map(|key| {
        replica.cache.get(key, async {
            most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            for _ in 0..10 {
                tokio::task::yield_now().await;
            }
            at_once.fetch_sub(1, Ordering::SeqCst);
            Ok::<_, Infallible>(Some("value".to_owned()))
        })
    }))
    .await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(most.load(Ordering::SeqCst), 4);
    redis.restart();
    let other = Replica::new(Some(&redis));
    let mut number = 100;
    eventually_async("values are shared again", async || {
        number += 1;
        let key = key(1, &ACCOUNTS, &number.to_string());
        replica.get(&key, Some("shared")).await;
        let before = other.loads();
        other.get(&key, Some("not asked")).await.as_deref() == Some("shared") && other.loads() == before
    })
    .await;
}

/// A reader that begins after the first of the two times that an invalidation empties memory, and reaches Redis before it,
/// finds the old value there.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_that_pass_an_invalidation_on_its_way_to_redis_leave_nothing_behind() {
    let redis = Redis::start();
    let replica = Arc::new(Replica::new(Some(&redis)));
    let key = Arc::new(key(1, &ACCOUNTS, "passed"));
    let present = Arc::new(AtomicUsize::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let readers = (0..3).map(|_| {
        let (replica, key) = (Arc::clone(&replica), Arc::clone(&key));
        let (present, is_over) = (Arc::clone(&present), Arc::clone(&is_over));
        tokio::spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                let source = async { Ok::<_, Infallible>(Some(present.load(Ordering::SeqCst).to_string())) };
                replica.cache.get(&key, source).await.unwrap();
                // A value in memory is returned without a pause: on a small machine the readers would keep all of it.
                tokio::time::sleep(Duration::from_micros(100)).await;
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    for change in 1..=1_000 {
        present.store(change, Ordering::SeqCst);
        replica.cache.invalidate(Scope::One(&key)).await.unwrap();
        let read = replica.get(&key, Some(&change.to_string())).await;
        assert_eq!(read, Some(change.to_string()), "change {change}");
    }
    is_over.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
}

/// The read joins the reader that is under way, whose value is from before the invalidation.
#[tokio::test]
async fn a_read_after_an_invalidation_does_not_take_the_value_of_a_reader_from_before_it() {
    let replica = Replica::new(None);
    let (key, other) = (key(1, &ACCOUNTS, "joined"), key(1, &ACCOUNTS, "other"));
    let go_on = Notify::new();
    let mut early = pin!(replica.cache.get(&key, async {
        go_on.notified().await;
        Ok::<_, Infallible>(Some("old".to_owned()))
    }));
    assert!(poll!(early.as_mut()).is_pending());
    replica.cache.invalidate(Scope::One(&key)).await.unwrap();
    let mut late = pin!(replica.get(&key, Some("new")));
    assert!(poll!(late.as_mut()).is_pending(), "it waits for the one that reads");
    go_on.notify_one();
    let (early, late) = tokio::join!(early, late);
    assert_eq!((early.unwrap().as_deref(), late.as_deref()), (Some("old"), Some("new")));
    // Nor does an invalidation of one value cost another its place in memory.
    replica.get(&other, Some("kept")).await;
    replica.cache.invalidate(Scope::One(&key)).await.unwrap();
    assert_eq!(replica.get(&other, Some("not asked")).await.as_deref(), Some("kept"));
}

/// A value can be on its way into memory, after it was found current, while an invalidation empties memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_invalidation_also_ends_a_value_that_is_about_to_arrive_in_memory() {
    let replica = Arc::new(Replica::new(None));
    let key = Arc::new(key(1, &ACCOUNTS, "arriving"));
    let present = Arc::new(AtomicUsize::new(0));
    let is_over = Arc::new(AtomicBool::new(false));
    let readers = (0..3).map(|_| {
        let (replica, key) = (Arc::clone(&replica), Arc::clone(&key));
        let (present, is_over) = (Arc::clone(&present), Arc::clone(&is_over));
        tokio::spawn(async move {
            while !is_over.load(Ordering::SeqCst) {
                let source = async { Ok::<_, Infallible>(Some(present.load(Ordering::SeqCst).to_string())) };
                replica.cache.get(&key, source).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    });
    let readers: Vec<_> = readers.collect();
    let tenant = tenant(1);
    for change in 1..=20_000 {
        present.store(change, Ordering::SeqCst);
        let scope = if change % 2 == 0 { Scope::One(&key) } else { Scope::OfKind(&tenant, &ACCOUNTS) };
        replica.cache.invalidate(scope).await.unwrap();
        let read = replica.get(&key, Some(&change.to_string())).await;
        assert_eq!(read, Some(change.to_string()), "change {change}");
    }
    is_over.store(true, Ordering::SeqCst);
    for reader in readers {
        reader.await.unwrap();
    }
}

/// A slow moment of Redis ends the reads there for a second. An invalidation in that second has to arrive nevertheless.
#[tokio::test(flavor = "multi_thread")]
async fn an_invalidation_is_sent_while_reads_pause_and_one_that_fails_is_counted() {
    let mut redis = Redis::start();
    let (one, two) = (Replica::new(Some(&redis)), Replica::new(Some(&redis)));
    let (account, slow) = (key(1, &ACCOUNTS, "a"), key(1, &ACCOUNTS, "slow"));
    eventually_async("both replicas are subscribed", async || {
        redis.cli(&["PUBSUB", "NUMSUB", "cache:invalidations"]).trim().ends_with('2')
    })
    .await;
    eventually_async("the value is in Redis and with both", async || {
        let first = one.get(&account, Some("old")).await;
        let second = two.get(&account, Some("not from Redis")).await;
        first.as_deref() == Some("old") && second.as_deref() == Some("old")
    })
    .await;
    redis.process().signal(harness::Signal::Stop);
    assert_eq!(one.get(&slow, Some("of the source")).await.as_deref(), Some("of the source"));
    redis.process().signal(harness::Signal::Continue);
    one.cache.invalidate(Scope::One(&account)).await.unwrap();
    assert_eq!(one.counted("cache_invalidations_lost_total", "test"), 0);
    eventually_async("the other replica reads anew", async || {
        two.get(&account, Some("new")).await.as_deref() == Some("new")
    })
    .await;
    redis.process().signal(harness::Signal::Kill);
    redis.process().wait(Duration::from_secs(20));
    for lost in 1..=2 {
        one.cache.invalidate(Scope::One(&account)).await.unwrap();
        assert_eq!(one.counted("cache_invalidations_lost_total", "test"), lost);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_missed_messages_empties_its_memory() {
    let mut redis = Redis::start();
    let replica = Replica::new(Some(&redis));
    let account = key(1, &ACCOUNTS, "a");
    // The subscription begins soon after the replica, and empties memory as well.
    eventually_async("the replica is subscribed", async || {
        redis.cli(&["PUBSUB", "NUMSUB", "cache:invalidations"]).trim().ends_with('1')
    })
    .await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(replica.get(&account, Some("old")).await.as_deref(), Some("old"));
    redis.process().signal(harness::Signal::Kill);
    redis.process().wait(Duration::from_secs(20));
    assert_eq!(replica.get(&account, Some("new")).await.as_deref(), Some("old"), "no message came");
    redis.restart();
    eventually_async("what was in memory is read anew", async || {
        replica.get(&account, Some("new")).await.as_deref() == Some("new")
    })
    .await;
}

#[tokio::test]
async fn memory_is_bounded() {
    let replica = Replica::with(Bounds { values: 50, ..Bounds::default() }, None);
    for number in 0..500 {
        replica.get(&key(1, &ACCOUNTS, &number.to_string()), Some("value")).await;
    }
    assert!(replica.cache.len().await <= 50);
}

#[tokio::test]
async fn a_source_that_is_stuck_refuses_further_readers() {
    let bounds = Bounds { loads: 1, wait: Duration::from_millis(10), ..Bounds::default() };
    let replica = Arc::new(Replica::with(bounds, None));
    let (stuck, began) = (Arc::clone(&replica), Arc::new(Notify::new()));
    let begins = Arc::clone(&began);
    let reader = tokio::spawn(async move {
        let forever = async {
            begins.notify_one();
            std::future::pending::<Result<Option<String>, Infallible>>().await
        };
        stuck.cache.get(&key(1, &ACCOUNTS, "stuck"), forever).await
    });
    began.notified().await;
    let refused = replica.cache.get(&key(1, &ACCOUNTS, "other"), async { Ok::<_, Infallible>(None) }).await;
    assert!(matches!(*refused.unwrap_err(), LoadError::Busy));
    assert_eq!(replica.counted("pool_exhausted_total", "test"), 1);
    reader.abort();
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_held_for_too_long_is_counted() {
    let registry = Registry::new();
    let metrics = Metrics::new(&registry).unwrap();
    let pool = Pool::new("database", 2, Duration::from_secs(1), Duration::from_secs(5), metrics);
    let short = pool.checkout().await.unwrap();
    let long = pool.checkout().await.unwrap();
    let refused = pool.checkout().await;
    assert!(matches!(refused, Err(Exhausted { .. })), "{refused:?}");
    drop(short);
    tokio::time::sleep(Duration::from_secs(6)).await;
    let value = |name: &str| {
        let families = registry.gather();
        let found = families.iter().find(|family| family.name() == name).unwrap();
        found.get_metric()[0].get_counter().get_value()
    };
    assert_eq!((value("pool_overdue_total"), value("pool_exhausted_total")), (1.0, 1.0), "one of the two");
    drop(long);
}
