//! The `comparator` program: connects the parts and stops them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use admin_host::{AdminHosts, BadName};
use clap::Parser;
use clock::{Clock as _, SystemClock};
use comparator::admin::Admin;
use comparator::edge_file::EdgeFile;
use comparator::intake::Intake;
use comparator::ledger::Ledger;
use comparator::redact::Redactor;
use comparator::worker::{self, QUEUE, Worker};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// Compares the answers of a new backend with the old one's (docs/shadow.md).
#[derive(Debug, Parser)]
#[command(
    name = "comparator",
    version,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong usage, 64 invalid edge file."
)]
struct Arguments {
    /// The edge file, with the addresses, the backends and the differences to ignore.
    #[arg(long, env = "EDGE_FILE", default_value = "envoy/edges/dev.yaml", value_name = "FILE")]
    edge: PathBuf,

    /// Further host names of the admin interface, besides `localhost` and its address, separated by commas.
    #[arg(long, env = "COMPARATOR_ADMIN_HOSTS", default_value = "", value_name = "NAMES")]
    admin_hosts: String,
}

/// Why the program did not start.
struct Failure {
    code: u8,
    message: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::try_from_default_env();
    tracing_subscriber::fmt()
        .json()
        .with_env_filter(filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info")))
        .with_writer(std::io::stderr)
        .init();
    match live(&arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("comparator: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

async fn live(arguments: &Arguments) -> Result<(), Failure> {
    let clock = Arc::new(SystemClock);
    let edge_file = EdgeFile::open(&arguments.edge)
        .map_err(|faults| Failure { code: 64, message: faults.to_string() })?;
    let edge = edge_file.current();
    let Some(places) = &edge.comparator else {
        let message = format!(
            "{} has no `comparator`, and no route in it has a `shadow`: there is nothing to compare",
            arguments.edge.display()
        );
        return Err(Failure { code: 64, message });
    };
    let hosts = AdminHosts::of(places.admin, "COMPARATOR_ADMIN_HOSTS").allowing(&arguments.admin_hosts);
    let hosts = hosts.map_err(|BadName(name)| Failure {
        code: 2,
        message: format!(
            "COMPARATOR_ADMIN_HOSTS: `{name}` is not a host name; separate names with commas, without ports"
        ),
    })?;
    let copies_come = listen(places.address, "address").await?;
    let admin_asks = listen(places.admin, "admin").await?;
    let stopped = stop_signal()?;

    let ledger = Arc::new(Ledger::default());
    let (queue, copies) = mpsc::channel(QUEUE);
    let admin = Admin {
        edge_file: edge_file.clone(),
        ledger: Arc::clone(&ledger),
        queue: queue.downgrade(),
        started: clock.now(),
        clock: clock.clone(),
    };
    let mut key = [0; 32];
    for (half, random) in key.chunks_mut(16).zip([uuid::Uuid::new_v4(), uuid::Uuid::new_v4()]) {
        half.copy_from_slice(random.as_bytes());
    }
    let worker = Worker {
        edge_file: edge_file.clone(),
        ledger: Arc::clone(&ledger),
        connector: backend_connection::Connector::default(),
        redactor: Redactor::new(key),
        clock: clock.clone(),
    };
    let intake =
        tokio::spawn(Intake { edge_file: edge_file.clone(), ledger, queue, clock }.serve(copies_come));
    let follower = tokio::spawn(edge_file.follow());
    let telling = tokio::spawn(async move { axum::serve(admin_asks, hosts.guard(admin.router())).await });
    tracing::info!(copies = %places.address, admin = %places.admin, edge = edge.name, "ready");

    let (stop, mut stopping) = watch::channel(false);
    let stops = async move {
        let _ = stopping.wait_for(|stop| *stop).await;
    };
    let working = tokio::spawn(worker::run(Arc::new(worker), copies, stops));
    stopped.await;
    // First the intake closes; the report stays readable until the end.
    intake.abort();
    let _ = stop.send(true);
    let _ = working.await;
    follower.abort();
    telling.abort();
    tracing::info!("stopped");
    Ok(())
}

async fn listen(address: SocketAddr, field: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| {
        let message = format!(
            "cannot listen on {address} ({error}); stop the program that listens there, or change `comparator.{field}` in the edge file"
        );
        Failure { code: 1, message }
    })
}

/// Ends when the process receives a signal to stop. The handlers are installed when this returns, before the ready line.
fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let handler = |kind| {
        signal(kind)
            .map_err(|error| Failure { code: 1, message: format!("cannot wait for signals: {error}") })
    };
    let (mut terminate, mut interrupt) =
        (handler(SignalKind::terminate())?, handler(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
