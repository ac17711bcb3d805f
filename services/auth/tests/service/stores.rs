//! The same behaviour on SQLite and on PostgreSQL, above all for simultaneous requests.

use std::sync::Arc;

use harness::eventually_async as eventually;
use kit::testing::PrivatePostgres;
use serde_json::json;

use crate::app::{Answer, TestApp};

const DEMO_EMAIL: &str = "demo@example.com";

async fn races_have_one_winner(app: TestApp) {
    let app = Arc::new(app);

    // Eight requests for a code: five succeed.
    let statuses = at_once(8, &app, async |app| app.request_code(DEMO_EMAIL).await).await;
    assert_eq!(count(&statuses, 201), 5, "{statuses:?}");
    assert_eq!(count(&statuses, 429), 3, "{statuses:?}");

    // Six logins with the same code: one succeeds.
    let code = app.last_code(DEMO_EMAIL);
    let answers = at_once(6, &app, async move |app| app.login_with(DEMO_EMAIL, &code).await).await;
    assert_eq!(count(&answers, 201), 1, "{answers:?}");
    assert_eq!(count(&answers, 404), 5, "{answers:?}");

    // Six refreshes of the same pair: one gets the new pair, the others are refused, and none fails.
    let won = answers.iter().find(|answer| answer.status == 201).unwrap();
    let old = won.pair();
    let pair = old.clone();
    let answers = at_once(6, &app, async move |app| app.refresh(&pair).await).await;
    assert_eq!(count(&answers, 201), 1, "{answers:?}");
    let losers = answers.iter().filter(|answer| **answer == Answer::text(401, "Unauthorized")).count();
    assert_eq!(losers, 5, "{answers:?}");
    assert_eq!(app.revoked().len(), 1, "one death, one line");

    // Six logouts: one more line for each session of the sign-in, including the old one in its grace.
    let new = answers.iter().find(|answer| answer.status == 201).unwrap().pair();
    let pair = new.clone();
    let answers = at_once(6, &app, async move |app| app.logout(&pair).await).await;
    assert_eq!(count(&answers, 204), 6, "{answers:?}");
    assert_eq!(app.revoked().len(), 3);
    assert_eq!(app.check(&new, "").await.status, 401);
    assert_eq!(app.check(&old, "").await.status, 401, "its grace ended too");
    assert_eq!(app.call("GET /readyz", &[], "").await.status, 200);

    a_restart_restores_and_shortens_the_file(&app, &old.claim("sid"), &new.claim("sid")).await;
}

async fn a_restart_restores_and_shortens_the_file(
    app: &TestApp,
    old: &serde_json::Value,
    new: &serde_json::Value,
) {
    let lines = app.revoked();
    // A crash tore the last line; another process's line has expired; the first line is lost.
    let file = app.home.path().join("sessions/revoked.jsonl");
    let over = json!({ "sid": "00000000-0000-4000-8000-000000000001", "from": 1, "until": app.now() - 1 });
    let foreign = json!({ "sid": "00000000-0000-4000-8000-000000000002", "from": 1, "until": app.now() });
    std::fs::write(&file, format!("{over}\n{foreign}\n{{\"sid\":\"0")).unwrap();
    let restart = || auth::app(&app.settings, Arc::new(app.clock.clone()));
    restart().await.unwrap();
    let now = json!(app.now());
    let of_now = |line: &&serde_json::Value| [old, new].contains(&&line["sid"]) && line["from"] == now;
    let mut expected: Vec<_> = lines.iter().filter(of_now).collect();
    assert_eq!(expected.len(), 2, "of two lines for one session the earlier end counts");
    expected.push(&foreign);
    expected.sort_by_key(|line| (line["from"].as_u64(), line["sid"].to_string()));
    assert_eq!(app.revoked().iter().collect::<Vec<_>>(), expected);

    app.clock.advance_seconds(14_400 + 121);
    restart().await.unwrap();
    assert_eq!(app.revoked(), Vec::<serde_json::Value>::new(), "all over");
}

/// Starts `number` calls at the same moment.
async fn at_once<F>(number: usize, app: &Arc<TestApp>, call: F) -> Vec<Answer>
where
    F: AsyncFn(Arc<TestApp>) -> Answer,
{
    let calls: Vec<_> = (0..number).map(|_| call(Arc::clone(app))).collect();
    futures(calls).await
}

/// Polls all of them on this task. They overlap in the database and the users service.
async fn futures<F: Future<Output = Answer>>(calls: Vec<F>) -> Vec<Answer> {
    let mut calls: Vec<_> = calls.into_iter().map(|call| (Box::pin(call), None)).collect();
    std::future::poll_fn(move |context| {
        for (call, answer) in &mut calls {
            if answer.is_none()
                && let std::task::Poll::Ready(ready) = call.as_mut().poll(context)
            {
                *answer = Some(ready);
            }
        }
        if calls.iter().all(|(_, answer)| answer.is_some()) {
            let answers = calls.iter_mut().map(|(_, answer)| answer.take().unwrap()).collect();
            return std::task::Poll::Ready(answers);
        }
        std::task::Poll::Pending
    })
    .await
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn sqlite() {
    races_have_one_winner(TestApp::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql() {
    let postgres = PrivatePostgres::start();
    races_have_one_winner(TestApp::on(Some(postgres.url())).await).await;
}

/// A killed database leads to 500, and so does a stuck one, within the time limit of a request. Both are used
/// again after they recover.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_or_stuck_is_500_and_is_used_again() {
    let postgres = PrivatePostgres::start();
    let app = TestApp::on(Some(postgres.url())).await;
    assert_eq!(app.request_code(DEMO_EMAIL).await.status, 201);
    postgres.kill();
    assert_eq!(app.request_code(DEMO_EMAIL).await.status, 500);
    postgres.restart();
    let back = async |what: &str| {
        let used = async || app.request_code(DEMO_EMAIL).await.status == 201;
        eventually(&format!("the database is used again after it was {what}"), used).await;
    };
    back("killed").await;
    postgres.freeze(true);
    let asked = std::time::Instant::now();
    let answer = tokio::time::timeout(std::time::Duration::from_secs(30), app.request_code(DEMO_EMAIL)).await;
    postgres.freeze(false);
    let answer = answer.expect("a request has an end");
    assert!(answer.status >= 500, "{answer:?}");
    assert!(asked.elapsed() < std::time::Duration::from_secs(12), "{:?}", asked.elapsed());
    back("frozen").await;
}
