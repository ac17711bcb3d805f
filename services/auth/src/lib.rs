//! Login codes, sessions and their cookies.
//!
//! A session begins with a login code, which is sent to an e-mail address. It lives in two cookies: an access
//! token for four hours and a refresh token for seven days. Each refresh replaces it by a new session, and
//! logout ends it. The edge verifies access tokens by itself. Sessions that end early are written to the
//! revocation file, which the edge follows.
//!
//! * [`routes`]: every path on one page, with its answers. [`app`]: what its handlers share.
//! * [`code`]: login codes. [`mail`]: how they are delivered.
//! * [`token`]: the two tokens. [`cookie`]: the exact lines that carry them. [`presented`]: the tokens of a
//!   request.
//! * [`removal`]: what goes with a tenant that leaves.
//! * [`session`]: the stored session; refresh and logout. [`revocation`]: the file for the edge.
//! * [`passkey`]: passkeys, the other way to sign in.
//! * [`legacy`]: sessions of the legacy backend, which a refresh exchanges.
//! * [`service_token`]: tokens for services, in exchange for a signed assertion.
//! * [`people`]: account lookups at the users service.
//! * [`error`]: every refusal, with its status and text.

pub mod app;
mod body;
pub mod code;
pub mod cookie;
pub mod error;
mod escape;
mod exchange;
pub mod legacy;
pub mod mail;
pub mod migrations;
pub mod passkey;
pub mod people;
pub mod presented;
pub mod removal;
pub mod revocation;
pub mod routes;
pub mod service_token;
pub mod session;
pub mod settings;
pub mod token;

pub use settings::ABOUT;

use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, SystemClock};
use identity::assertion::Verifier;
use kit::Metrics;
use kit::caller::{Gate, Words};
use kit::peer::Peer;
use kit::startup::{HeaderCase, Service, StartError};
use tokio::time::MissedTickBehavior;

use crate::app::App;
use crate::code::Codes;
use crate::code::shared::SharedCodes;
use crate::cookie::CookieLines;
use crate::legacy::LegacySessions;
use crate::mail::Mailbox;
use crate::passkey::Passkeys;
use crate::passkey::ceremony::Ceremonies;
use crate::people::People;
use crate::removal::Removal;
use crate::revocation::Revocations;
use crate::service_token::{Files, ServiceTokens};
use crate::session::Sessions;
use crate::settings::{Legacy, LegacyWay, Settings};
use crate::token::Tokens;

/// The bodies of this service's refusals.
pub const WORDS: Words = Words { unauthenticated: "Unauthorized", not_found: "Not found" };

/// How often expired rows and revocations are deleted. They are harmless; an hour keeps them few.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(3_600);

/// How often Redis is tried again when it was unreachable at the start. A second, as the edge's own state is
/// at most that old.
const CATCH_UP_INTERVAL: Duration = Duration::from_secs(1);

/// Assembles the service from its environment.
///
/// # Errors
/// [`StartError`], which names the fix.
pub async fn assemble(reader: kit::settings::Reader) -> Result<Service, StartError> {
    let settings = Settings::read(reader)?;
    let address = settings.address;
    let app = app(&settings, Arc::new(SystemClock)).await?;
    tokio::spawn(keep_house(app.clone()));
    if let Some(news) = app.sessions.news() {
        tokio::spawn(session::follow::follow(app.sessions.clone(), news));
    }
    Ok(Service {
        router: routes::router(app),
        address,
        address_variable: settings::AUTH_ADDRESS.name,
        header_case: HeaderCase::Lower,
    })
}

/// Assembles the service without a socket, at the time of `clock`.
///
/// # Errors
/// [`StartError`], which names the fix.
pub async fn app(settings: &Settings, clock: Arc<dyn Clock>) -> Result<App, StartError> {
    let home = &settings.home;
    let verifier = Verifier::new(ABOUT.name).trust_file(&settings.edge, &home.key("identity.jwks.json"))?;
    let tokens = Tokens::from_files(
        &home.key("session.pem"),
        &home.key("session.jwks.json"),
        &settings.issuer,
        &settings.audience,
        Arc::clone(&clock),
    )?;
    let peer = Peer::new(home, &settings.edge, ABOUT.name, &settings.service_edge_url, Arc::clone(&clock))?;
    let people = People::new(&peer);
    let database = kit::store::open(settings.database_url.as_deref(), &home.database(ABOUT.name)).await?;
    migrations::run(&database).await?;
    let metrics = Metrics::new(ABOUT.name)?;
    metrics.show_database(&database)?;
    let file = home.path().join("sessions").join("revoked.jsonl");
    let revocations = Revocations::open_at(settings.redis_url.as_deref(), &file).await.map_err(|e| {
        StartError::File(match settings.redis_url {
            Some(_) => e.to_string(),
            None => format!("cannot write {}: {e}; make its directory writable", file.display()),
        })
    })?;
    let legacy = settings.legacy.as_ref().map(LegacySessions::new).transpose().map_err(StartError::File)?;
    let sessions = Sessions::new(database.clone(), revocations, settings.session_max_age, Arc::clone(&clock))
        .bounded(settings.bounds)
        .beside(legacy.as_ref().and_then(LegacySessions::store).cloned());
    // This restores a line that was lost between the database and the file.
    if let Err(error) = sessions.throw_away_expired().await {
        match settings.redis_url {
            // Redis may start after this service does. Until then no session is refreshed or signed out, and
            // the edge accepts no session either.
            Some(_) => {
                let error = kit::answer::Chain(&error);
                tracing::error!(%error, "the revocations in Redis are not up to date yet; retrying");
                tokio::spawn(catch_up(sessions.clone()));
            }
            None => {
                let error = kit::answer::Chain(&error);
                return Err(StartError::File(format!(
                    "cannot rewrite {}: {error}; make its directory writable",
                    file.display()
                )));
            }
        }
    }
    let service_tokens = match &settings.edge_file {
        None => None,
        Some(file) => {
            let files = Files {
                edge: file.clone(),
                home: home.path().to_owned(),
                signing_key: home.key("service-token.pem"),
            };
            ServiceTokens::new(files, database.clone(), Arc::clone(&clock))
                .map_err(|error| StartError::File(error.to_string()))?
        }
    };
    let ceremonies = Ceremonies::new(database.clone(), settings.redis_url.as_deref(), Arc::clone(&clock))
        .map_err(|error| StartError::File(error.to_string()))?;
    let passkeys = Passkeys::new(&settings.passkeys, database.clone(), ceremonies, Arc::clone(&clock));
    let codes = Codes::new(
        database.clone(),
        shared_codes(settings)?,
        settings.bounds.codes_per_hour,
        Arc::clone(&clock),
    );
    let removal = Removal {
        database,
        passkeys: passkeys.clone(),
        codes: codes.clone(),
        sessions: sessions.clone(),
        clock: Arc::clone(&clock),
    };
    Ok(App {
        service_tokens,
        passkeys,
        removal,
        legacy,
        clock: Arc::clone(&clock),
        codes,
        sessions,
        tokens: Arc::new(tokens),
        people,
        mailbox: Mailbox::new(settings.mail.as_ref(), home.path().join("mail"), Arc::clone(&clock))
            .map_err(StartError::File)?,
        cookies: CookieLines::new(settings.cookies, &settings.root_domain)
            .map_err(|error| StartError::File(error.to_string()))?,
        surface: settings.surface,
        form: settings.sessions,
        root_domain: settings.root_domain.clone(),
        gate: Gate::new(verifier, clock, WORDS),
        metrics,
    })
}

/// The login codes that are shared with the legacy backend, if the settings say so.
fn shared_codes(settings: &Settings) -> Result<Option<SharedCodes>, StartError> {
    match (&settings.shared_codes, &settings.legacy) {
        (Some(prefix), Some(Legacy { way: LegacyWay::Redis { url, .. }, timeout })) => {
            SharedCodes::new(url, prefix, *timeout).map(Some).map_err(StartError::File)
        }
        (Some(_), Some(Legacy { way: LegacyWay::Endpoint { .. }, .. }) | None) | (None, _) => Ok(None),
    }
}

/// Brings the revocations in Redis up to date as soon as Redis answers.
async fn catch_up(sessions: Sessions) {
    loop {
        tokio::time::sleep(CATCH_UP_INTERVAL).await;
        match sessions.throw_away_expired().await {
            Ok(()) => return tracing::info!("the revocations in Redis are up to date"),
            Err(error) => {
                tracing::warn!(error = %kit::answer::Chain(&error), "cannot update the revocations in Redis yet; retrying")
            }
        }
    }
}

async fn keep_house(app: App) {
    let mut interval = tokio::time::interval(HOUSEKEEPING_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once, but startup has already done this work.
    interval.tick().await;
    loop {
        interval.tick().await;
        if let Err(error) = app.sessions.throw_away_expired().await {
            tracing::warn!(error = %kit::answer::Chain(&error), "cannot delete expired sessions");
        }
        if let Some(tokens) = &app.service_tokens
            && let Err(error) = tokens.throw_away_expired().await
        {
            tracing::warn!(error = %kit::answer::Chain(&error), "cannot delete expired assertions");
        }
        if let Err(error) = app.passkeys.throw_away_expired().await {
            tracing::warn!(error = %kit::answer::Chain(&error), "cannot delete expired ceremonies of passkeys");
        }
        if let Err(error) = app.codes.throw_away_expired().await {
            tracing::warn!(error = %kit::answer::Chain(&error), "cannot delete expired codes");
        }
    }
}
