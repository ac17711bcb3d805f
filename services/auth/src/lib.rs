//! Login codes, sessions and their cookies.
//!
//! A session begins with a login code that went to somebody's e-mail address, lives in two cookies (an access token
//! for four hours, a refresh token for seven days), is replaced by a new one at each refresh, and ends at logout. The
//! edge verifies access tokens by itself; what ends before its time is written to the revocation file that the
//! edge follows.
//!
//! * [`routes`]: every path on one page, and what it answers.
//! * [`code`]: login codes. [`mail`]: how they get to people.
//! * [`token`]: the two tokens. [`cookie`]: the exact lines that carry them.
//! * [`session`]: what is stored of a session; refresh and logout. [`revocation`]: the file for the edge.
//! * [`service_token`]: tokens for services, for their own signed assertion.
//! * [`people`]: asking the users service who somebody is.
//! * [`error`]: every way to refuse, with its status and text.

pub mod code;
pub mod cookie;
pub mod error;
mod escape;
pub mod mail;
pub mod migrations;
pub mod people;
pub mod revocation;
pub mod routes;
pub mod service_token;
pub mod session;
pub mod settings;
pub mod token;

use std::sync::Arc;
use std::time::Duration;

use clock::{Clock, SystemClock};
use identity::assertion::{Signer, Verifier};
use identity::principal::InvalidServiceName;
use kit::caller::{Gate, Words};
use kit::startup::{About, Service, StartError};
use tokio::time::MissedTickBehavior;

use crate::code::Codes;
use crate::cookie::CookieLines;
use crate::mail::Mailbox;
use crate::people::People;
use crate::revocation::Revocations;
use crate::routes::App;
use crate::service_token::{Files, ServiceTokens};
use crate::session::Sessions;
use crate::settings::Settings;
use crate::token::Tokens;

/// The service as its `main` names it.
pub const ABOUT: About = About {
    name: "auth",
    purpose: "Login codes, sessions and their cookies.",
    variables: settings::VARIABLES,
};

/// The words in which this service refuses.
pub const WORDS: Words = Words { unauthenticated: "Unauthorized", not_found: "Not found" };

/// How often expired rows and revocations are thrown away. They are harmless; an hour keeps them few.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(3_600);

/// How often Redis is tried when it was not there at the start: a second is what the edge's own word is worth.
const CATCH_UP_INTERVAL: Duration = Duration::from_secs(1);

/// Puts the service together from its environment.
///
/// # Errors
/// [`StartError`], naming what to mend.
pub async fn assemble(reader: kit::settings::Reader) -> Result<Service, StartError> {
    let settings = Settings::read(reader)?;
    let address = settings.address;
    let app = app(&settings, Arc::new(SystemClock)).await?;
    tokio::spawn(keep_house(app.clone()));
    Ok(Service { router: routes::router(app), address, address_variable: settings::AUTH_ADDRESS.name })
}

/// The service without a socket, at the time of `clock`.
///
/// # Errors
/// [`StartError`], naming what to mend.
pub async fn app(settings: &Settings, clock: Arc<dyn Clock>) -> Result<App, StartError> {
    let home = &settings.home;
    let verifier = Verifier::new(ABOUT.name).trust_file(&settings.edge, &home.key("identity.jwks.json"))?;
    let signer = Signer::from_file(ABOUT.name, &home.key("auth.pem"))?;
    let tokens = Tokens::from_files(
        &home.key("session.pem"),
        &home.key("session.jwks.json"),
        &settings.issuer,
        &settings.audience,
        Arc::clone(&clock),
    )?;
    let me = ABOUT.name.parse().map_err(|e: InvalidServiceName| StartError::File(e.to_string()))?;
    let people = People::new(&settings.service_edge_url, &settings.edge, me, signer, Arc::clone(&clock))
        .map_err(|e| {
            StartError::File(format!("the client for {} cannot start: {e}", settings.service_edge_url))
        })?;
    let database = kit::store::open(settings.database_url.as_deref(), &home.database(ABOUT.name)).await?;
    migrations::run(&database).await?;
    let file = home.path().join("sessions").join("revoked.jsonl");
    let revocations = Revocations::open_at(settings.redis_url.as_deref(), &file).await.map_err(|e| {
        StartError::File(match settings.redis_url {
            Some(_) => e.to_string(),
            None => format!("cannot write {}: {e}; make its directory writable", file.display()),
        })
    })?;
    let sessions = Sessions::new(database.clone(), revocations, settings.session_max_age, Arc::clone(&clock));
    // A line that got lost between the database and the file comes back here.
    if let Err(error) = sessions.throw_away_expired().await {
        match settings.redis_url {
            // Redis may come up after this service does. Until it is there nobody is refreshed or signed out, and
            // the edge lets no session pass either.
            Some(_) => {
                let error = kit::answer::Chain(&error);
                tracing::error!(%error, "the revocations in Redis are not up to date yet; trying again");
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
    Ok(App {
        service_tokens,
        codes: Codes::new(database, Arc::clone(&clock)),
        sessions,
        tokens: Arc::new(tokens),
        people,
        mailbox: Mailbox::new(home.path().join("mail"), Arc::clone(&clock)),
        cookies: CookieLines::new(&settings.root_domain),
        gate: Gate::new(verifier, clock, WORDS),
    })
}

/// Brings the revocations up to date as soon as that can be done.
async fn catch_up(sessions: Sessions) {
    loop {
        tokio::time::sleep(CATCH_UP_INTERVAL).await;
        match sessions.throw_away_expired().await {
            Ok(()) => return tracing::info!("the revocations in Redis are up to date"),
            Err(error) => tracing::warn!(error = %kit::answer::Chain(&error), "Redis is not there yet"),
        }
    }
}

async fn keep_house(app: App) {
    let mut interval = tokio::time::interval(HOUSEKEEPING_INTERVAL);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first tick comes at once, and starting has done its work.
    interval.tick().await;
    loop {
        interval.tick().await;
        if let Err(error) = app.sessions.throw_away_expired().await {
            tracing::warn!(error = %kit::answer::Chain(&error), "expired sessions are not thrown away");
        }
        if let Some(tokens) = &app.service_tokens
            && let Err(error) = tokens.throw_away_expired().await
        {
            tracing::warn!(error = %kit::answer::Chain(&error), "expired assertions are not thrown away");
        }
        if let Err(error) = app.codes.throw_away_expired().await {
            tracing::warn!(error = %kit::answer::Chain(&error), "expired codes are not thrown away");
        }
    }
}
