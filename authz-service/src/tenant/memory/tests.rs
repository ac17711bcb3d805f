use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::*;
use prometheus::IntCounter;
use tokio::time::{advance, sleep};
use uuid::Uuid;

/// A tenants service under a test's control.
#[derive(Debug, Default)]
struct Ruled {
    records: Mutex<HashMap<TenantId, Record>>,
    fault: Mutex<Option<SourceFault>>,
    takes: Mutex<Duration>,
    questions: AtomicU64,
}

impl Ruled {
    fn set(&self, tenant: TenantId, standing: Standing, version: u64) {
        self.records.lock().insert(tenant, Record { standing, version });
    }

    fn questions(&self) -> u64 {
        self.questions.load(Ordering::SeqCst)
    }
}

#[tonic::async_trait]
impl TenantSource for Ruled {
    async fn look_up(&self, tenant: &TenantId) -> Result<TenantReply, SourceFault> {
        self.questions.fetch_add(1, Ordering::SeqCst);
        let record = self.records.lock().get(tenant).copied();
        let takes = *self.takes.lock();
        sleep(takes).await;
        let fault = *self.fault.lock();
        fault.map_or(Ok(TenantReply { record, good_for: None }), Err)
    }
}

struct Fixture {
    source: Arc<Ruled>,
    channel: Arc<Channel>,
    memory: Arc<Memory>,
    ended: Arc<Ended>,
}

fn count() -> IntCounter {
    IntCounter::new("x", "x").unwrap()
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Fixture {
    fn new() -> Self {
        let source = Arc::new(Ruled::default());
        let channel = Arc::new(Channel::default());
        let lifetimes = Lifetimes { memory: seconds(60), negative: seconds(10), untrusted_after: seconds(5) };
        let counts = LookupCounts { hit: count(), miss: count(), failed: count() };
        let from = Arc::clone(&source) as Arc<dyn TenantSource>;
        let ended = Arc::new(Ended::default());
        let memory = Memory::new(from, Arc::clone(&channel), lifetimes, counts).with_pushed_changes(&ended);
        Self { source, channel, memory: Arc::new(memory), ended }
    }

    fn subscribed() -> Self {
        let f = Self::new();
        f.channel.begin();
        f.channel.received(Instant::now());
        f
    }

    /// Time passes, with a sign of life each second.
    async fn live(&self, duration: u64) {
        for _ in 0..duration {
            advance(seconds(1)).await;
            self.channel.received(Instant::now());
        }
    }

    async fn standing(&self, number: u128) -> Result<Option<Standing>, Failure> {
        self.memory.standing(&tenant(number)).await
    }

    async fn push(&self, number: u128, status: Standing, version: u64) {
        self.memory.change(&Change { tenant: tenant(number), status, version }).await;
    }
}

fn tenant(number: u128) -> TenantId {
    TenantId::from(Uuid::from_u128(number))
}

const ACTIVE: Result<Option<Standing>, Failure> = Ok(Some(Standing::Active));
const SUSPENDED: Result<Option<Standing>, Failure> = Ok(Some(Standing::Suspended));

#[tokio::test(start_paused = true)]
async fn a_state_is_looked_up_once_until_its_end() {
    let f = Fixture::subscribed();
    f.source.set(tenant(1), Standing::Active, 1);
    assert_eq!(f.standing(1).await, ACTIVE);
    f.live(59).await;
    assert_eq!(f.standing(1).await, ACTIVE);
    assert_eq!(f.source.questions(), 1);
    f.live(1).await;
    f.source.set(tenant(1), Standing::Suspended, 2);
    assert_eq!(f.standing(1).await, SUSPENDED, "asked again at its end");
    assert_eq!(f.source.questions(), 2);
}

#[tokio::test(start_paused = true)]
async fn without_a_word_from_the_channel_a_state_counts_for_a_while_only() {
    let f = Fixture::subscribed();
    f.source.set(tenant(1), Standing::Active, 1);
    assert_eq!(f.standing(1).await, ACTIVE);
    f.live(20).await;
    f.source.set(tenant(1), Standing::Suspended, 2);
    advance(Duration::from_millis(4_900)).await;
    assert_eq!(f.standing(1).await, ACTIVE, "the last sign of life was 4.9 s ago");
    advance(Duration::from_millis(200)).await;
    assert_eq!(f.standing(1).await, SUSPENDED, "the source is asked");
    advance(seconds(4)).await;
    assert_eq!(f.standing(1).await, SUSPENDED);
    assert_eq!(f.source.questions(), 2, "not with every request");
    advance(seconds(2)).await;
    assert_eq!(f.standing(1).await, SUSPENDED);
    assert_eq!(f.source.questions(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_gap_in_the_subscription_causes_a_new_lookup() {
    let f = Fixture::subscribed();
    f.source.set(tenant(1), Standing::Active, 1);
    assert_eq!(f.standing(1).await, ACTIVE);
    f.live(10).await;
    f.source.set(tenant(1), Standing::Suspended, 2);
    f.channel.begin();
    f.channel.received(Instant::now());
    assert_eq!(f.standing(1).await, SUSPENDED);
}

#[tokio::test(start_paused = true)]
async fn a_pushed_state_holds_at_once_and_never_goes_back() {
    let f = Fixture::subscribed();
    let began = Instant::now();
    f.source.set(tenant(1), Standing::Active, 1);
    assert_eq!(f.standing(1).await, ACTIVE);
    assert_eq!(f.ended.lately(began).tags, []);
    f.push(1, Standing::Suspended, 3).await;
    assert_eq!(f.ended.lately(Instant::now()).tags, [tenant_tag(&tenant(1))], "leases on it end");
    assert_eq!(f.standing(1).await, SUSPENDED);
    f.push(1, Standing::Active, 2).await;
    assert_eq!(f.standing(1).await, SUSPENDED, "an older change that comes late");
    f.push(1, Standing::Active, 4).await;
    assert_eq!(f.standing(1).await, ACTIVE);
    f.push(1, Standing::Deleted, 5).await;
    assert_eq!(f.standing(1).await, Ok(Some(Standing::Deleted)));
    assert_eq!(f.source.questions(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_change_wins_over_the_question_that_was_under_way() {
    let f = Fixture::subscribed();
    f.source.set(tenant(1), Standing::Active, 1);
    *f.source.takes.lock() = seconds(1);
    let asking = tokio::spawn({
        let memory = Arc::clone(&f.memory);
        async move { memory.standing(&tenant(1)).await }
    });
    sleep(Duration::from_millis(500)).await;
    f.push(1, Standing::Suspended, 2).await;
    assert_eq!(asking.await.unwrap(), SUSPENDED);
    assert_eq!(f.standing(1).await, SUSPENDED, "nor is the old answer remembered as the newer");
}

#[tokio::test(start_paused = true)]
async fn concurrent_requests_share_one_lookup_and_a_fault_is_not_remembered() {
    let f = Fixture::subscribed();
    f.source.set(tenant(1), Standing::Active, 1);
    *f.source.takes.lock() = Duration::from_millis(50);
    let crowd = async || {
        let asking: Vec<_> = (0..500)
            .map(|_| {
                let memory = Arc::clone(&f.memory);
                tokio::spawn(async move { memory.standing(&tenant(1)).await })
            })
            .collect();
        let mut answers = Vec::new();
        for asking in asking {
            answers.push(asking.await.unwrap());
        }
        answers
    };
    *f.source.fault.lock() = Some(SourceFault::Down);
    assert!(crowd().await.iter().all(|answer| *answer == Err(Failure::TenantsUnavailable)));
    assert_eq!(f.source.questions(), 1, "one question for all, and one fault");
    *f.source.fault.lock() = None;
    assert!(crowd().await.iter().all(|answer| *answer == ACTIVE), "the fault was not remembered");
    assert_eq!(f.source.questions(), 2);
    // The same when the cached entry has just expired.
    f.live(61).await;
    assert!(crowd().await.iter().all(|answer| *answer == ACTIVE));
    assert_eq!(f.source.questions(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_dead_source_is_bridged_until_the_stated_end_and_then_every_caller_is_refused() {
    let f = Fixture::subscribed();
    f.source.set(tenant(1), Standing::Active, 1);
    assert_eq!(f.standing(1).await, ACTIVE);
    *f.source.fault.lock() = Some(SourceFault::Down);
    f.live(59).await;
    assert_eq!(f.standing(1).await, ACTIVE);
    assert_eq!(f.standing(2).await, Err(Failure::TenantsUnavailable));
    f.live(2).await;
    assert_eq!(f.standing(1).await, Err(Failure::TenantsUnavailable));
}

#[tokio::test(start_paused = true)]
async fn unknown_ids_are_remembered_for_a_short_while_and_evict_no_known_one() {
    let f = Fixture::subscribed();
    f.source.set(tenant(1), Standing::Active, 1);
    assert_eq!(f.standing(1).await, ACTIVE);
    for number in 1_000..13_000 {
        assert_eq!(f.standing(number).await, Ok(None));
    }
    let (known, unknown) = f.memory.sizes().await;
    assert_eq!(known, 1);
    assert!(unknown <= MAX_UNKNOWN, "{unknown} unknown ids are remembered");
    let before = f.source.questions();
    assert_eq!(f.standing(1).await, ACTIVE);
    assert_eq!(f.source.questions(), before, "the flood did not push it out");

    assert_eq!(f.standing(2).await, Ok(None));
    assert_eq!(f.standing(2).await, Ok(None));
    assert_eq!(f.source.questions(), before + 1);
    f.push(2, Standing::Active, 1).await;
    assert_eq!(f.standing(2).await, ACTIVE, "created: no request waits for the end of the short while");
    assert_eq!(f.standing(3).await, Ok(None));
    f.source.set(tenant(3), Standing::Active, 1);
    f.live(10).await;
    assert_eq!(f.standing(3).await, ACTIVE, "created without a push");
}

#[tokio::test(start_paused = true)]
async fn open_questions_are_bounded() {
    let f = Fixture::subscribed();
    *f.source.takes.lock() = seconds(1);
    let asking: Vec<_> = (0..1_000)
        .map(|number| {
            let memory = Arc::clone(&f.memory);
            tokio::spawn(async move { memory.standing(&tenant(number)).await })
        })
        .collect();
    let mut refused = 0;
    for asking in asking {
        refused += usize::from(asking.await.unwrap() == Err(Failure::TenantsUnavailable));
    }
    assert_eq!(refused, 1_000 - MAX_OPEN);
    assert_eq!(f.source.questions(), u64::try_from(MAX_OPEN).unwrap());
}

#[tokio::test(start_paused = true)]
async fn lookups_of_invented_tenants_take_no_room_from_known_ones() {
    let f = Fixture::subscribed();
    for number in 1..=100 {
        f.source.set(tenant(number), Standing::Active, 1);
        assert_eq!(f.standing(number).await, ACTIVE);
    }
    f.live(60).await;
    *f.source.takes.lock() = seconds(1);
    let ask = |number| {
        let memory = Arc::clone(&f.memory);
        tokio::spawn(async move { memory.standing(&tenant(number)).await })
    };
    let invented: Vec<_> = (1_000..2_000).map(ask).collect();
    tokio::task::yield_now().await;
    let there: Vec<_> = (1..=100).map(ask).collect();
    for asking in there {
        assert_eq!(asking.await.unwrap(), ACTIVE, "its state had to be asked for again, amid the flood");
    }
    for asking in invented {
        asking.await.unwrap().ok();
    }
}
