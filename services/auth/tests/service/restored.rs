//! The tables of the generation before, as a restored dump has them: its passkeys sign in, and what is new fits beside
//! them.

use harness::Authenticator;
use kit::testing::PrivatePostgres;

use crate::app::TestApp;
use crate::passkeys::{BOT, EMAIL, ORIGIN};

/// What that generation creates, with a code of somebody.
const DUMP: &str = "
    CREATE TABLE users (id uuid PRIMARY KEY, email varchar NOT NULL UNIQUE, role int2 NOT NULL DEFAULT 0);
    CREATE TABLE auth_codes (id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE, code varchar NOT NULL,
        expires_at timestamptz NOT NULL, used_at timestamptz, created_at timestamptz NOT NULL);
    CREATE INDEX idx_auth_codes_user_id ON auth_codes (user_id);
    CREATE TABLE passkeys (credential_id bytea PRIMARY KEY, user_id uuid NOT NULL REFERENCES users ON DELETE CASCADE,
        aaguid uuid NOT NULL, credential bytea NOT NULL, created_at timestamptz NOT NULL);
    CREATE INDEX idx_passkeys_user_id ON passkeys (user_id);
    CREATE TABLE outbox_events (id uuid PRIMARY KEY, kind varchar NOT NULL, payload jsonb NOT NULL,
        idempotency_key varchar NOT NULL UNIQUE, attempts int4 NOT NULL DEFAULT 0, last_error varchar,
        created_at timestamptz NOT NULL, next_attempt_at timestamptz NOT NULL, processed_at timestamptz, failed_at timestamptz);
    CREATE INDEX idx_outbox_events_next_attempt_at ON outbox_events (next_attempt_at);
    INSERT INTO users VALUES ('00000000-0000-7000-8000-0000000000a0', 'demo@example.com', 0);
    INSERT INTO auth_codes VALUES ('00000000-0000-4000-8000-000000000001', '00000000-0000-7000-8000-0000000000a0', 'abcd', now(),
        NULL, now())";

#[tokio::test]
async fn a_dump_of_the_generation_before_serves() {
    let postgres = PrivatePostgres::start();
    let before = TestApp::on(Some(postgres.url())).await;
    let mut device = Authenticator::new(ORIGIN);
    assert_eq!(before.register(&before.login(EMAIL).await, &mut device).await.status, 201);
    // Both generations store a passkey alike.
    let passkey = postgres.sql(
        "SELECT format('INSERT INTO passkeys VALUES (%L, %L, %L, %L, %L)', credential_id, user_id, aaguid, credential, created_at)
         FROM passkeys",
    );
    postgres.sql("CREATE DATABASE older");
    postgres.sql_in("older", DUMP);
    postgres.sql_in("older", &passkey);

    let app = TestApp::on(Some(format!("postgres://postgres@127.0.0.1:{}/older", postgres.port()))).await;
    let answer = app.sign_in(EMAIL, &mut device).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(app.passkeys(&answer.pair()).await.len(), 1);
    // The table of people is not this service's, and lacks people who sign in here.
    let bot = app.login(BOT).await;
    let mut another = Authenticator::new(ORIGIN);
    let registered = app.register(&bot, &mut another).await;
    assert_eq!(registered.status, 201, "{registered:?}");
    assert_eq!(app.sign_in(BOT, &mut another).await.status, 201);
    for (table, count) in
        [("older_auth_codes", "1"), ("users", "1"), ("outbox_events", "0"), ("passkeys", "2")]
    {
        assert_eq!(postgres.sql_in("older", &format!("SELECT count(*) FROM {table}")), count, "{table}");
    }
    // The service starts a second time.
    auth::app(&app.settings, std::sync::Arc::new(app.clock.clone())).await.unwrap();
}
