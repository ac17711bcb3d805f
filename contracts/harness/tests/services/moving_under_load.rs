//! A team moves check, sign-in, refresh and sign-out from the legacy backend to the new auth service, back, and forward again
//! by ramp, while people with sessions of both kinds work. No honest client gets an answer that the legacy backend alone
//! would not have given, and no session outlives its end, on either stack.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::indexing_slicing, reason = "the indexes are the test's own")]

mod client;
mod jar;
mod stage;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use client::{Client, Expected, Strangers, is_dead, is_dead_behind};
use harness::eventually;
use jar::Jar;
use stage::{ENDED, End, PEOPLE, Stage, id};

/// How many clients with a session of each kind work at the same time.
const CLIENTS: usize = 200;

/// How many sessions of each kind are ended by a sign-out in each of the two tests: a thousand in both.
const LEAVING: usize = 250;

/// How many threads work: the legacy sample answers 32 requests at once, and one request of a client needs three.
const THREADS: usize = 8;

/// How long a sign-out may take to count everywhere.
const WITHIN: Duration = Duration::from_secs(1);

/// The clients, and everything that ends while they work.
struct World {
    stage: Stage,
    expected: Expected,
    strangers: Strangers,
    clients: Mutex<VecDeque<Client>>,
    /// The cookies of ended sessions, and when they ended.
    ended: Mutex<VecDeque<(Jar, Instant)>>,
    /// Whether the clients only read.
    reading: AtomicBool,
    turns: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes `count` of something on all threads.
fn many<T: Send>(count: usize, make: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let (next, made) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(count)));
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    let one = make(number);
                    lock(&made).push(one);
                }
            });
        }
    });
    made.into_inner().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// Sessions of both kinds: sign-in has moved once already, and is back at the legacy backend.
    fn start() -> Self {
        let stage = Stage::start();
        let expected = Expected::from_legacy(&stage);
        let old = many(CLIENTS, |n| Client::new(n % PEOPLE, stage.sign_in(n % PEOPLE).1));
        assert!(old.iter().all(|client| client.jar.is_legacy()));
        let old_strangers = [stage.legacy_session(0), stage.legacy_session(0)];
        stage.set("auth-login", "auth=100");
        let new = many(CLIENTS, |n| Client::new(n % PEOPLE, stage.sign_in(n % PEOPLE).1));
        assert!(new.iter().all(|client| !client.jar.is_legacy()));
        let new_strangers = [stage.sign_in(1).1, stage.sign_in(1).1];
        let clients = old.into_iter().zip(new).flat_map(|(old, new)| [old, new]).collect();
        Self {
            strangers: Strangers::new(old_strangers, new_strangers),
            stage,
            expected,
            clients: Mutex::new(clients),
            ended: Mutex::default(),
            reading: AtomicBool::new(true),
            turns: AtomicUsize::new(0),
        }
    }

    /// Works as one thread until `done`: a panic ends the test when the scope joins it.
    fn work(&self, done: &AtomicBool) {
        while !done.load(Ordering::Relaxed) {
            self.look_at_an_ended_one();
            let Some(mut client) = lock(&self.clients).pop_front() else { return };
            if self.reading.load(Ordering::Relaxed) {
                client.read(&self.stage, &self.expected);
            } else if let Some(before) = client.work(&self.stage, &self.expected) {
                self.has_ended(before);
            }
            if self.turns.fetch_add(1, Ordering::Relaxed).is_multiple_of(50) {
                self.strangers.try_all(&self.stage);
            }
            lock(&self.clients).push_back(client);
        }
    }

    fn has_ended(&self, jar: Jar) {
        lock(&self.ended).push_back((jar, Instant::now()));
    }

    /// Looks at a session that ended a second ago. Returns false when there is none.
    fn look_at_an_ended_one(&self) -> bool {
        let due = |(_, at): &(Jar, Instant)| at.elapsed() >= WITHIN;
        let next = {
            let mut ended = lock(&self.ended);
            if ended.front().is_some_and(due) { ended.pop_front() } else { None }
        };
        let Some((jar, _)) = next else { return false };
        assert!(is_dead_behind(&self.stage, &jar), "a session is alive after its sign-out: {jar:?}");
        true
    }

    /// Has all clients work on [`THREADS`] threads until `moves` is through.
    fn under_load(&self, moves: impl FnOnce()) {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let working: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| self.work(&done))).collect();
            let moved = std::panic::catch_unwind(std::panic::AssertUnwindSafe(moves));
            done.store(true, Ordering::Relaxed);
            for one in working {
                one.join()
                    .expect("no honest client gets an answer that the legacy backend would not have given");
            }
            if let Err(panic) = moved {
                std::panic::resume_unwind(panic);
            }
        });
        eventually("every ended session was looked at", || {
            while self.look_at_an_ended_one() {}
            lock(&self.ended).is_empty()
        });
    }

    /// Lets `part` of the clients work once, about.
    fn a_round(&self, part: usize) {
        let until = self.turns.load(Ordering::Relaxed) + 2 * CLIENTS / part;
        eventually("clients work", || self.turns.load(Ordering::Relaxed) >= until);
    }

    /// Lets the clients only read, and asserts that the answers of both stacks are the same for each moved GET.
    fn compare(&self) {
        self.reading.store(true, Ordering::Relaxed);
        // Those that were at work are through.
        self.a_round(8);
        let before = ["auth-check", "users-me"].map(|route| self.stage.compared(route));
        eventually("a hundred copies of each moved GET are compared", || {
            let routes = ["auth-check", "users-me"].into_iter().zip(before);
            routes.into_iter().all(|(route, (compared, _))| self.stage.compared(route).0 >= compared + 100)
        });
        for (route, (_, different)) in ["auth-check", "users-me"].into_iter().zip(before) {
            assert_eq!(self.stage.compared(route).1, different, "the comparison of {route} is not silent");
        }
        self.reading.store(false, Ordering::Relaxed);
    }

    /// Signs out of many sessions of both kinds.
    fn sign_many_out(&self, leaving: Vec<Client>) {
        let leaving = Mutex::new(leaving);
        let count = lock(&leaving).len();
        many(count, |_| {
            let Some(mut client) = lock(&leaving).pop() else { return };
            let before = client.sign_out(&self.stage, &self.expected);
            self.has_ended(before);
        });
    }

    /// Ends all sessions of some people, who have one of each kind. Those that begin afterwards live.
    fn end_people(&self, sessions: &[(usize, Jar)]) -> Vec<(usize, Jar)> {
        for person in PEOPLE..PEOPLE + ENDED {
            let home = self.stage.edge.home().display().to_string();
            self.stage.edge.cutover(&["revoke", "subject", &id(person), "--home", &home]);
        }
        let at = Instant::now();
        eventually("a second is over", || at.elapsed() >= WITHIN);
        for (person, jar) in sessions {
            assert!(
                is_dead(&self.stage, jar),
                "a session of person {person} outlives the end of all: {jar:?}"
            );
        }
        // The call ended what began until the second in which it came. That second is over.
        let later: Vec<_> = (PEOPLE..PEOPLE + ENDED)
            .flat_map(|person| {
                [(person, self.stage.legacy_session(person)), (person, self.stage.sign_in(person).1)]
            })
            .collect();
        self.are_alive(&later);
        later
    }

    fn are_alive(&self, sessions: &[(usize, Jar)]) {
        for (person, jar) in sessions {
            for path in ["/users/@me", "/books", "/auth/token"] {
                let answer = self.stage.ask("GET", path, jar);
                assert_eq!(answer.status, 200, "a later session of person {person} at {path}: {answer:?}");
            }
        }
    }

    /// Everything that leads to the new stack, one route after the other.
    fn forward(&self, end: End) {
        self.stage.set("auth-check", "legacy-session=auth");
        self.stage.set("auth-code", "auth=100");
        self.stage.set("auth-login", "auth=100");
        self.stage.set("auth-refresh", "auth=100");
        if end == End::Exchange {
            self.stage.set("auth-refresh", "legacy-session=auth");
        }
        self.stage.set("auth-logout", "auth=100");
        self.stage.set("auth-logout", "legacy-session=auth");
        self.stage.set("users-me", "users=100");
    }

    fn back(&self) {
        for route in ["auth-check", "auth-refresh", "auth-logout"] {
            self.stage.set(route, "legacy-session=legacy");
        }
        for route in ["auth-code", "auth-login", "auth-refresh", "auth-logout", "users-me"] {
            self.stage.set(route, "legacy=100");
        }
    }

    fn forward_by_ramp(&self, end: End) {
        self.stage.set("auth-check", "legacy-session=auth");
        for route in ["auth-login", "auth-refresh", "auth-logout"] {
            self.stage.ramp(route, "auth", &[]);
        }
        self.stage.set("auth-code", "auth=100");
        if end == End::Exchange {
            self.stage.set("auth-refresh", "legacy-session=auth");
        }
        self.stage.set("auth-logout", "legacy-session=auth");
        self.stage.ramp("users-me", "users", &["--gate", "agreement"]);
    }
}

/// The whole move.
fn moves_there_and_back_and_there(end: End) {
    let world = World::start();
    let stage = &world.stage;
    let leaving: Vec<Client> = [
        many(LEAVING, |n| Client::new(n % PEOPLE, stage.legacy_session(n % PEOPLE))),
        many(LEAVING, |n| Client::new(n % PEOPLE, stage.sign_in(n % PEOPLE).1)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let ending: Vec<_> = (PEOPLE..PEOPLE + ENDED)
        .flat_map(|person| [(person, stage.legacy_session(person)), (person, stage.sign_in(person).1)])
        .collect();
    stage.set("auth-login", "legacy=100");
    let mut later = Vec::new();
    world.under_load(|| {
        world.compare();
        world.forward(end);
        world.a_round(2);
        world.back();
        world.compare();
        // In the middle of it, with sessions of both kinds at work: some leave, and some are made to.
        world.sign_many_out(leaving);
        world.forward_by_ramp(end);
        later = world.end_people(&ending);
        world.a_round(8);
    });
    world.are_alive(&later);
    world.strangers.are_alive(stage);
}

#[test]
fn side_by_side_no_client_is_signed_out_and_no_session_outlives_its_end() {
    moves_there_and_back_and_there(End::SideBySide);
}

#[test]
fn by_exchange_no_client_is_signed_out_and_no_session_outlives_its_end() {
    moves_there_and_back_and_there(End::Exchange);
}
