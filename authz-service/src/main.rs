//! Starts the authorizer: reads the settings and the edge file, assembles, serves.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use authz_service::reload::Environment;
use authz_service::server::{self, CannotListen, Listeners, Patience};
use authz_service::settings::{Settings, SettingsError};
use authz_service::startup::needs::Needs;
use authz_service::startup::{self, Assembled};
use authz_service::tls::Tls;
use authz_service::{shutdown, telemetry};
use clock::{Clock, SystemClock};
use edge_config::Edge;
use edge_config::edge::Socket;

/// A decision allocates some dozens of small values on every core at once.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The configuration is unusable: every tool of this project exits with this code then.
const INVALID_CONFIGURATION: u8 = 64;

/// How long checks are answered after health reports NOT_SERVING, where another replica can answer them:
/// Envoy notices after 0.25 s and the time of an answer, and a busy machine gets four times as long.
const NOTICE: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            eprintln!("{}", failed.message);
            ExitCode::from(failed.code)
        }
    }
}

struct Failed {
    message: String,
    code: u8,
}

fn failed(code: u8) -> impl FnOnce(&dyn std::fmt::Display) -> Failed {
    move |what| Failed { message: format!("authz-service: {what}"), code }
}

fn run() -> Result<(), Failed> {
    secret_file::restrict_new_files();
    let environment = |name: &str| std::env::var(name).ok();
    let settings = match Settings::read(std::env::args_os(), &environment) {
        Ok(settings) => settings,
        // Prints help and versions on standard output, usage errors on standard error, and exits with 0 or 2.
        Err(SettingsError::CommandLine(error)) => error.exit(),
        Err(SettingsError::Values(faults)) => return Err(failed(2)(&faults)),
    };
    let home = settings.home.display().to_string();
    // An edge file may name variables of its own, so they are looked up whenever it is read.
    let overlaid: Environment =
        Arc::new(
            move |name: &str| {
                if name == "CUTOVER_HOME" { Some(home.clone()) } else { std::env::var(name).ok() }
            },
        );
    let edge = edge_config::load(&settings.edge_file, &*overlaid)
        .map_err(|faults| Failed { message: faults.to_string(), code: INVALID_CONFIGURATION })?;

    let checks = settings.listen.clone().or_else(|| edge.authorizer.listens()).ok_or_else(|| {
        failed(2)(&"the edge file names the authorizer by host name; set --listen or AUTHZ_ADDRESS")
    })?;

    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let dropped = startup::dropped_log_lines().map_err(|e| failed(1)(&e))?;
    let (outlet, _flush) =
        telemetry::outlet::open(std::io::stdout(), dropped.clone()).map_err(|e| failed(1)(&e))?;
    let subscriber = telemetry::subscriber(&settings.log, outlet).map_err(|e| failed(2)(&e))?;
    tracing::subscriber::set_global_default(subscriber).map_err(|e| failed(1)(&e))?;
    telemetry::log_panics();

    let needs = Needs {
        identity_key: settings.identity_key.clone(),
        token_cache: settings.token_cache,
        identity_cache: settings.identity_cache,
        revocations: settings.revocations,
        introspection: authz_service::credential::opaque::Queries::Made,
        leases: settings.leases,
        dropped_log_lines: dropped,
        redis: settings.redis.clone(),
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| failed(1)(&e))?;
    // Connections to stores are opened when they are needed, on this runtime.
    let entered = runtime.enter();
    let mut assembled =
        startup::assemble(&edge, &needs, &clock).map_err(|e| failed(INVALID_CONFIGURATION)(&e))?;
    // The same collector as Envoy's, unless the variable names another.
    let of_edge = || edge.tracing.as_ref().map(|tracing| format!("http://{}", tracing.collector));
    let collector = settings.collector.clone().or_else(of_edge);
    let exporting = collector.map(|endpoint| assembled.open_spans(&endpoint)).transpose();
    let exporting = exporting.map_err(|e| failed(2)(&e))?;
    drop(entered);
    let audit = settings.home.join("logs/audit.jsonl");
    let sinks = assembled.open_audit(&audit, settings.broker.clone()).map_err(|e| failed(1)(&e))?;
    let observers = Arc::clone(&assembled.admin.observers);
    let announce = |action| {
        if let Some(audit) = observers.audit() {
            audit.admin(action, format!("edge {} at revision {}", edge.name, edge.revision));
        }
    };
    announce("started");
    assembled.follow(&settings.edge_file, overlaid, &edge).map_err(|e| failed(1)(&e))?;
    let tls = match &settings.tls {
        None => None,
        Some(files) => {
            let (tls, source) = Tls::open(files, assembled.admin.observers.metrics.parts.reloads("tls"))
                .map_err(|e| failed(2)(&e))?;
            assembled.watch(source).map_err(|e| failed(1)(&e))?;
            Some(tls)
        }
    };
    let served = runtime.block_on(serve(&settings, &edge, (checks, tls), assembled));
    announce("stopped");
    if let Some(exporting) = exporting {
        runtime.block_on(exporting.finish());
    }
    drop(sinks);
    served
}

async fn serve(
    settings: &Settings,
    edge: &Edge,
    (checks, tls): (Socket, Option<Arc<Tls>>),
    assembled: Assembled,
) -> Result<(), Failed> {
    let asked = shutdown::asked().map_err(|e| failed(1)(&e))?;
    let encrypted = tls.is_some();
    let listeners = Listeners::bind(checks.clone(), settings.admin, tls).await.map_err(|e| match e {
        CannotListen::Address { .. } => failed(1)(&e),
        // Not a system error: the settings contradict each other.
        CannotListen::Door(_) => failed(2)(&e),
    })?;
    let listeners = listeners.answering_to(&settings.admin_hosts).map_err(|e| failed(2)(&e))?;
    tracing::info!(
        edge = edge.name,
        revision = edge.revision.0,
        routes = edge.routes.len(),
        checks = %listeners.checks.local_addr().map_or(checks, Socket::from),
        encrypted,
        admin = %listeners.admin.local_addr().unwrap_or(settings.admin),
        "listening"
    );
    let end = async {
        let signal = asked.await;
        tracing::info!(signal, "draining");
    };
    let notice =
        settings.notice.unwrap_or(if edge.authorizer.replicas > 1 { NOTICE } else { Duration::ZERO });
    let patience = Patience { notice, drain: settings.drain };
    server::serve(assembled, listeners, patience, end).await.map_err(|e| failed(1)(&e))?;
    tracing::info!("stopped");
    Ok(())
}
