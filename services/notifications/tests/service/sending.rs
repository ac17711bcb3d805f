//! What the providers get, and what becomes of their answers.

use kit::testing::PrivatePostgres;
use sea_orm::ConnectionTrait as _;
use serde_json::json;

use crate::app::{TestApp, mail, push};

const FCM: &str = "messages:send";
const SES: &str = "/v2/email/outbound-emails";

async fn messages_have_the_shape_that_providers_read(app: &TestApp) {
    assert_eq!(app.queue("p", "push", &push("device-1")).await, 202);
    assert_eq!(app.queue("p", "push", &push("device-1")).await, 200, "the same key is one message");
    assert_eq!(app.queue("m", "mail", &mail("a@example.com")).await, 202);
    app.delivered(2).await;
    let pushed = &app.providers.seen(FCM)[0];
    let message = &pushed.json()["message"];
    let id = message["data"]["notificationId"].as_str().unwrap();
    assert_eq!(id.len(), 32);
    assert_eq!(
        *message,
        json!({
            "token": "device-1", "notification": { "title": "A book", "body": "It is here" },
            "data": { "book": "7", "notificationId": id },
            "android": { "collapse_key": id, "notification": { "tag": id } },
            "apns": { "headers": { "apns-collapse-id": id } },
            "webpush": { "headers": { "Topic": id }, "notification": { "tag": id } },
        })
    );
    assert!(pushed.headers["authorization"].starts_with("Bearer access-"), "{:?}", pushed.headers);
    let granting = &app.providers.seen("/token")[0];
    assert!(
        granting
            .body
            .starts_with("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=ey")
    );
    let sent = &app.providers.seen(SES)[0];
    let body = sent.json();
    assert_eq!(
        body,
        json!({
            "FromEmailAddress": "noreply@example.com", "Destination": { "ToAddresses": ["a@example.com"] },
            "Content": { "Simple": {
                "Subject": { "Data": "Your code", "Charset": "UTF-8" },
                "Body": { "Text": { "Data": "123456", "Charset": "UTF-8" } },
            } },
            "EmailTags": [{ "Name": "message", "Value": body["EmailTags"][0]["Value"] }],
        })
    );
    let authorization = &sent.headers["authorization"];
    let scope = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261120/eu-central-1/ses/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date, Signature=";
    assert!(authorization.starts_with(scope), "{authorization}");
    assert_eq!(sent.headers["x-amz-date"], "20261120T000000Z");
    // The access token is used again until it ends, and then replaced.
    app.queue("p2", "push", &push("device-1")).await;
    app.delivered(3).await;
    assert_eq!(app.providers.seen("/token").len(), 1);
    app.clock.advance_seconds(3_599);
    app.queue("p3", "push", &push("device-1")).await;
    app.delivered(4).await;
    assert_eq!(app.providers.seen("/token").len(), 2);
    assert_eq!(app.providers.seen(FCM).len(), 3);
}

async fn answers_decide_what_becomes_of_a_message(app: &TestApp) {
    // Later, when the provider says.
    app.providers.answer_next(
        429,
        &[("retry-after", "90")],
        &json!({ "error": { "status": "RESOURCE_EXHAUSTED" } }),
    );
    app.queue("busy", "push", &push("device")).await;
    app.waits_again(1).await;
    app.clock.advance_seconds(89);
    harness::pause_async(
        std::time::Duration::from_millis(1_500),
        "a worker looks twice and finds nothing due",
    )
    .await;
    assert_eq!(app.providers.seen(FCM).len(), 1);
    app.clock.advance_seconds(2);
    app.delivered(1).await;
    // A token that was withdrawn is replaced.
    app.providers.answer_next(401, &[], &json!({ "error": { "status": "UNAUTHENTICATED" } }));
    app.queue("withdrawn", "push", &push("device")).await;
    app.waits_again(1).await;
    app.clock.advance_seconds(2);
    app.delivered(2).await;
    assert_eq!(app.providers.seen("/token").len(), 2);
    // Never.
    app.providers.answer_next(400, &[], &json!({ "error": { "status": "INVALID_ARGUMENT" } }));
    app.queue("wrong", "push", &push("device")).await;
    let letters = app.dead(1).await;
    assert_eq!((letters[0]["kind"].as_str(), letters[0]["attempts"].as_i64()), (Some("push"), Some(1)));
    assert!(
        letters[0]["lastError"].as_str().unwrap().contains("400 ") && letters[0].get("payload").is_none()
    );
    // An operator tries it again.
    let id = letters[0]["id"].as_str().unwrap();
    assert_eq!(app.call(&format!("POST /_/notifications/dead/{id}/retry"), "").await.0, 204);
    app.delivered(3).await;
    assert_eq!(app.call(&format!("POST /_/notifications/dead/{id}/retry"), "").await.0, 404);
    app.providers.answer_next(400, &[("x-amzn-errortype", "MessageRejected")], &json!({ "message": "no" }));
    app.queue("rejected", "mail", &mail("a@example.com")).await;
    assert_eq!(app.dead(1).await[0]["idempotencyKey"], "rejected");
    let (status, metrics) = app.call_as("", "GET /metrics", "").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("notifications_outbox_rows{kind=\"mail\",state=\"dead\"} 1"), "{metrics}");
    assert!(
        metrics.contains("notifications_attempts_total{kind=\"push\",result=\"delivered\"} 3"),
        "{metrics}"
    );
}

async fn a_device_that_is_gone_is_forgotten_and_announced(app: &TestApp) {
    let unsettled = "SELECT count(*) FROM outbox_events WHERE processed_at IS NULL AND failed_at IS NULL";
    let gone = json!({ "error": { "code": 404, "status": "NOT_FOUND", "details": [{
        "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": "UNREGISTERED",
    }] } });
    app.providers.answer_next(404, &[], &gone);
    app.queue("gone", "push", &push("old-device")).await;
    app.delivered(1).await;
    app.queue("again", "push", &push("old-device")).await;
    app.delivered(2).await;
    assert_eq!(app.providers.seen(FCM).len(), 1, "the second message is not even sent");
    let announced = "SELECT count(*) FROM outbox_events WHERE kind = 'event' AND processed_at IS NOT NULL";
    harness::eventually_async("it is announced", async || app.number(announced).await == 1).await;
    // A token that FCM finds wrong will never be right, unlike another field of a message.
    for (announcements, (field, device)) in
        [(2, ("message.token", "no-token")), (2, ("message.notification.title", "a-device"))]
    {
        let wrong = json!({ "error": { "status": "INVALID_ARGUMENT", "details": [
            { "errorCode": "INVALID_ARGUMENT" },
            { "@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [{ "field": field }] },
        ] } });
        app.providers.answer_next(400, &[], &wrong);
        app.queue(field, "push", &push(device)).await;
        harness::eventually_async("it is settled", async || app.number(unsettled).await == 0).await;
        assert_eq!(app.number("SELECT count(*) FROM gone_devices").await, announcements, "{field}");
    }
    app.dead(1).await;
    assert_eq!(app.number("SELECT count(*) FROM sendings").await, 1, "only the dead one has a mark");
    let metrics = app.call_as("", "GET /metrics", "").await.1;
    assert!(metrics.contains("notifications_device_gone_total 3"), "{metrics}");
    // That another project's device was named is about this device, but it is not gone.
    let other = json!({ "error": { "status": "PERMISSION_DENIED", "details": [{ "errorCode": "SENDER_ID_MISMATCH" }] } });
    app.providers.answer_next(403, &[], &other);
    app.queue("other", "push", &push("other-device")).await;
    app.dead(2).await;
    app.queue("other2", "push", &push("other-device")).await;
    app.delivered(4).await;
}

async fn what_is_not_about_a_message_does_not_kill_it(app: &TestApp) {
    let mut sent = 0;
    for (status, reason) in [(403, "PERMISSION_DENIED"), (404, "NOT_FOUND"), (409, "ABORTED")] {
        app.providers.answer_next(status, &[], &json!({ "error": { "status": reason } }));
        app.queue(reason, "push", &push("device")).await;
        app.waits_again(1).await;
        app.clock.advance_seconds(2);
        sent += 1;
        app.delivered(sent).await;
    }
    let answers: [(u16, &'static [(&str, &str)]); 4] = [
        (400, &[("x-amzn-errortype", "SendingPausedException")]),
        (400, &[("x-amzn-errortype", "AccountSuspendedException:http://amazonaws.com/")]),
        (403, &[("x-amzn-errortype", "InvalidSignatureException")]),
        (404, &[("x-amzn-errortype", "NotFoundException")]),
    ];
    for (number, (status, headers)) in answers.into_iter().enumerate() {
        app.providers.answer_next(status, headers, &json!({ "message": "no" }));
        app.queue(&format!("letter {number}"), "mail", &mail("a@example.com")).await;
        app.waits_again(1).await;
        app.clock.advance_seconds(2);
        sent += 1;
        app.delivered(sent).await;
    }
    assert_eq!(app.dead(0).await.len(), 0);
}

/// The database refuses the mark of a message that was not sent, as one that is away does.
async fn refuse_marks(database: &sea_orm::DatabaseConnection, refuse: bool) {
    let is_postgres = database.get_database_backend() == sea_orm::DbBackend::Postgres;
    let text = match (is_postgres, refuse) {
        (true, true) => "ALTER TABLE sendings ADD CONSTRAINT away CHECK (state <> 'waiting') NOT VALID",
        (true, false) => "ALTER TABLE sendings DROP CONSTRAINT away",
        (false, true) => {
            "CREATE TRIGGER away BEFORE UPDATE ON sendings WHEN NEW.state = 'waiting' BEGIN SELECT RAISE(ABORT, 'away'); END"
        }
        (false, false) => "DROP TRIGGER away",
    };
    database.execute_unprepared(text).await.unwrap();
}

async fn a_letter_that_was_refused_for_now_waits_also_when_the_database_is_away(app: &TestApp) {
    let database = app.database().await;
    refuse_marks(&database, true).await;
    app.providers.answer_next(503, &[], &json!({}));
    app.queue("letter", "mail", &mail("a@example.com")).await;
    harness::eventually_async("SES refuses it for now", async || app.providers.seen(SES).len() == 1).await;
    let why = "the mark is tried at least once without success";
    harness::pause_async(std::time::Duration::from_millis(500), why).await;
    refuse_marks(&database, false).await;
    app.waits_again(1).await;
    app.clock.advance_seconds(2);
    app.delivered(1).await;
    assert_eq!(app.providers.seen(SES).len(), 2);
    // The mark of an attempt that did not count has the number of the next one: nothing was sent. That of an attempt that
    // ended without a result has another.
    for (key, attempt, is_sent) in [("same", 2, true), ("other", 1, false)] {
        app.providers.answer_next(503, &[], &json!({}));
        app.queue(key, "mail", &mail("a@example.com")).await;
        app.waits_again(1).await;
        let mark =
            format!("UPDATE sendings SET state = 'sending', attempt = {attempt} WHERE state = 'waiting'");
        database.execute_unprepared(&mark).await.unwrap();
        app.clock.advance_seconds(2);
        match is_sent {
            true => app.delivered(2).await,
            false => drop(app.dead(1).await),
        }
    }
    assert_eq!(app.providers.seen(SES).len(), 5, "the last letter is not sent again");
}

async fn a_dead_letter_is_removed(app: &TestApp) {
    app.providers.answer_next(400, &[("x-amzn-errortype", "MessageRejected")], &json!({ "message": "no" }));
    app.queue("rejected", "mail", &mail("a@example.com")).await;
    let id = app.dead(1).await[0]["id"].as_str().unwrap().to_owned();
    let remove = format!("DELETE /_/notifications/dead/{id}");
    assert_eq!(app.call(&remove, "").await.0, 204);
    app.dead(0).await;
    assert_eq!(app.call(&remove, "").await.0, 404, "it is gone");
    assert_eq!(app.number("SELECT count(*) FROM sendings").await, 0, "and its mark with it");
    assert_eq!(app.queue("rejected", "mail", &mail("b@example.com")).await, 202, "the key is free again");
    app.delivered(1).await;
    // What is not dead cannot be removed.
    let queued = app.database().await;
    let row = queued.query_one_raw(events::statement::sql(&queued, "SELECT id FROM outbox_events", [])).await;
    let id: uuid::Uuid = row.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(app.call(&format!("DELETE /_/notifications/dead/{id}"), "").await.0, 404);
}

async fn one_provider_without_answers_does_not_hold_up_the_other(app: &TestApp) {
    app.providers.hold_pushes(true);
    for number in 0..40 {
        assert_eq!(app.queue(&format!("push {number}"), "push", &push("device")).await, 202);
    }
    harness::eventually_async("FCM holds a message", async || !app.providers.seen(FCM).is_empty()).await;
    assert_eq!(app.queue("letter", "mail", &mail("a@example.com")).await, 202);
    app.delivered(1).await;
    let ended = "SELECT count(*) FROM outbox_events WHERE kind = 'push' AND last_error IS NOT NULL";
    assert_eq!(app.number(ended).await, 0, "the letter waited until the attempts of push messages ended");
    let (_, metrics) = app.call_as("", "GET /metrics", "").await;
    assert!(metrics.contains("notifications_outbox_oldest_seconds{kind=\"push\"} 0"), "{metrics}");
    app.clock.advance_seconds(7);
    let (_, metrics) = app.call_as("", "GET /metrics", "").await;
    assert!(metrics.contains("notifications_outbox_oldest_seconds{kind=\"push\"} 7"), "{metrics}");
    assert!(metrics.contains("notifications_outbox_oldest_seconds{kind=\"mail\"} 0"), "{metrics}");
    assert!(metrics.contains("notifications_job_failures{job=\"remove-handled\"} 0"), "{metrics}");
    let succeeded = "notifications_job_last_success_timestamp_seconds{job=\"remove-handled\"} 1";
    harness::eventually_async("a job succeeds", async || {
        app.call_as("", "GET /metrics", "").await.1.contains(succeeded)
    })
    .await;
    app.providers.hold_pushes(false);
    app.delivered(41).await;
}

async fn a_letter_without_an_answer_is_not_sent_twice(app: &TestApp) {
    // As a process that ended between the two marks leaves it.
    let database = app.database().await;
    app.providers.answer_next(503, &[], &json!({}));
    app.queue("letter", "mail", &mail("a@example.com")).await;
    app.waits_again(1).await;
    database.execute_unprepared("UPDATE sendings SET state = 'sending'").await.unwrap();
    app.clock.advance_seconds(2);
    let letters = app.dead(1).await;
    assert!(letters[0]["lastError"].as_str().unwrap().contains("not known whether"), "{letters:?}");
    assert_eq!(app.providers.seen(SES).len(), 1);
    let id = letters[0]["id"].as_str().unwrap();
    assert_eq!(
        app.call(&format!("POST /_/notifications/dead/{id}/retry"), "").await.0,
        204,
        "an operator decides"
    );
    app.delivered(1).await;
    assert_eq!(app.providers.seen(SES).len(), 2);
    // A push message is sent again, under the same id.
    app.providers.answer_next(503, &[], &json!({}));
    app.queue("push", "push", &push("device")).await;
    app.waits_again(1).await;
    let unsure = "UPDATE sendings SET state = 'sending' WHERE state = 'waiting'";
    database.execute_unprepared(unsure).await.unwrap();
    app.clock.advance_seconds(2);
    app.delivered(2).await;
    let ids: Vec<_> = app
        .providers
        .seen(FCM)
        .iter()
        .map(|seen| seen.json()["message"]["android"]["collapse_key"].clone())
        .collect();
    assert!(ids.len() == 2 && ids[0] == ids[1], "{ids:?}");
    // A row whose message was sent is only finished.
    let back = "UPDATE outbox_events SET processed_at = NULL, next_attempt_at = created_at WHERE kind IN ('push', 'mail')";
    database.execute_unprepared(back).await.unwrap();
    app.delivered(2).await;
    assert_eq!((app.providers.seen(FCM).len(), app.providers.seen(SES).len()), (2, 2));
}

async fn a_key_belongs_to_one_service_and_one_tenant(app: &TestApp) {
    let queue = async |caller: &str, tenant: &str, text: &str| {
        let message =
            json!({ "tenantId": tenant, "mail": { "to": "a@example.com", "subject": "S", "text": text } });
        let body = json!({ "idempotencyKey": "login-code", "message": message }).to_string();
        let identity = app.edge.service(caller, "notifications");
        app.call_as(&identity, "POST /_/notifications/messages", &body).await.0
    };
    assert_eq!(queue("auth", "t-1", "one").await, 202);
    assert_eq!(queue("auth", "t-1", "one").await, 200, "the same message again");
    assert_eq!(queue("auth", "t-1", "another").await, 409, "another message under the same key");
    assert_eq!(queue("users", "t-1", "one").await, 202, "another service's key");
    assert_eq!(queue("auth", "t-2", "one").await, 202, "another tenant's key");
    // The key and the tenant are too long to be stored as they are.
    let long = "t".repeat(255);
    assert_eq!(queue("auth", &long, "one").await, 202);
    assert_eq!(queue("auth", &long, "one").await, 200);
    assert_eq!(queue("auth", &long, "another").await, 409);
    app.delivered(4).await;
    assert_eq!(queue("auth", "t-1", "one").await, 200, "also after it is sent");
    assert_eq!(queue("auth", "t-1", "another").await, 409);
    assert_eq!(app.providers.seen(SES).len(), 4);
}

async fn hostile_requests_get_an_answer(app: &TestApp) {
    let long = format!(r#"{{"idempotencyKey":"{}","message":{{}}}}"#, "x".repeat(300));
    for body in ["", "{", "[]", "null", "{\"idempotencyKey\":7}", &long, &"[".repeat(20_000)] {
        let (status, text) = app.call("POST /_/notifications/messages", body).await;
        assert_eq!(status, 400, "{text}");
    }
    for key in ["", "a\u{0}b", &"x".repeat(256)] {
        assert_eq!(app.queue(key, "push", &push("d")).await, 400, "{key:?}");
    }
    for text in ["\0", "a\0b"] {
        for place in ["device", "title", "body"] {
            let mut message = push("d");
            message[place] = text.into();
            assert_eq!(app.queue("nul", "push", &message).await, 400, "{place}");
        }
        for place in ["to", "subject", "text"] {
            let mut message = mail("a@example.com");
            message[place] = text.into();
            assert_eq!(app.queue("nul", "mail", &message).await, 400, "{place}");
        }
        for data in [json!({ "a": text }), json!({ text: "a" })] {
            let mut message = push("d");
            message["data"] = data;
            assert_eq!(app.queue("nul", "push", &message).await, 400, "{message}");
        }
    }
    for line in [
        "GET /_/notifications/dead?after=x",
        "GET /_/notifications/dead?most=-1",
        "GET /_/notifications/dead?most=99999999",
    ] {
        assert_eq!(app.call(line, "").await.0, 400, "{line}");
    }
    let id = uuid::Uuid::nil();
    for line in [
        "POST /_/notifications/dead/x/retry".to_owned(),
        format!("POST /_/notifications/dead/{id}/retry"),
        "DELETE /_/notifications/dead/x".to_owned(),
        format!("DELETE /_/notifications/dead/{id}"),
        "GET /nothing".to_owned(),
    ] {
        assert_eq!(app.call(&line, "").await.0, 404, "{line}");
    }
    let large = "x".repeat(70_000);
    assert_eq!(app.call("POST /_/notifications/messages", &large).await.0, 413);
    // Only a service of the platform reaches a route.
    let person = kit::testing::person(
        "00000000-0000-7000-8000-0000000000a0",
        "00000000-0000-7000-8000-00000000005e",
        identity::Role::BOT,
    );
    let person = app.edge.person(&person, "notifications");
    let tenant = app.edge.service_of(kit::testing::TENANT, "auth", "notifications");
    for (who, status) in [("", 401), ("forged", 401), (person.as_str(), 404), (tenant.as_str(), 404)] {
        for line in
            ["POST /_/notifications/messages", "GET /_/notifications/dead", "GET /_/notifications/jobs"]
        {
            assert_eq!(app.call_as(who, line, "").await.0, status, "{line}");
        }
    }
    assert_eq!(app.call_as("", "GET /readyz", "").await.0, 200);
}

macro_rules! on_both {
    ($($name:ident)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                let app = super::TestApp::on(None).await;
                super::$name(&app).await;
                app.work.stop().await;
            })*
        }

        #[tokio::test(flavor = "multi_thread")]
        async fn postgresql() {
            $({
                let postgres = PrivatePostgres::start();
                let app = TestApp::on(Some(postgres.url())).await;
                $name(&app).await;
                app.work.stop().await;
            })*
        }
    };
}

on_both! {
    messages_have_the_shape_that_providers_read
    answers_decide_what_becomes_of_a_message
    a_device_that_is_gone_is_forgotten_and_announced
    a_letter_without_an_answer_is_not_sent_twice
    a_key_belongs_to_one_service_and_one_tenant
    what_is_not_about_a_message_does_not_kill_it
    a_letter_that_was_refused_for_now_waits_also_when_the_database_is_away
    a_dead_letter_is_removed
    one_provider_without_answers_does_not_hold_up_the_other
    hostile_requests_get_an_answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_waits_for_its_provider() {
    let app =
        TestApp::with(None, |settings| notifications::settings::Settings { ses: None, ..settings }).await;
    app.queue("letter", "mail", &mail("a@example.com")).await;
    app.queue("push", "push", &push("device")).await;
    app.delivered(1).await;
    assert_eq!(
        app.number("SELECT count(*) FROM outbox_events WHERE kind = 'mail' AND attempts = 0").await,
        1
    );
    app.work.stop().await;
}
