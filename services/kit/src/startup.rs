//! Runs a service, from `main` to a served socket and back.

use std::ffi::OsString;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use ::settings::Program;
use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use identity::keyset::KeyFileError;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};

use crate::answer::Chain;
use crate::settings::{Faults, RUST_LOG, Reader, Variable};
use crate::store::StoreError;
use crate::surface::REQUEST_TIMEOUT;
use crate::telemetry;
use crate::work::Work;

/// The largest number of open connections. Envoy opens at most 1,024 to a backend by default; more wait in
/// the kernel's backlog.
const MAX_CONNECTIONS: usize = 1_024;

/// How long a connection may be idle or take to send a request's head. Longer than Envoy's idle timeout for
/// connections to a backend (an hour), so that Envoy always closes first: a service that closes first races
/// with the next request on that connection, and the request is lost.
const IDLE_TIMEOUT: Duration = Duration::from_secs(65 * 60);

/// The longest request head in bytes. Envoy allows 60 KiB of headers and adds its own.
const MAX_HEAD_BYTES: usize = 128 * 1024;

/// The same for HTTP/2, which counts 32 bytes more for each field (RFC 9113, 10.5.1).
const MAX_FIELD_BYTES: u32 = 160 * 1024;

/// The most requests at once on one HTTP/2 connection. The edge has one or two connections to a service and lets further
/// requests wait; each of its workers has a few hundred under way at most.
const MAX_STREAMS: u32 = 512;

/// A peer that vanished silently is noticed after this and the library's own 20 s.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// How long running requests may finish after SIGTERM: as long as any request may take.
const DRAIN_TIMEOUT: Duration = REQUEST_TIMEOUT;

/// Name, purpose and variables of a service, for its `main`.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// The name of the binary, and the audience of identities made for the service.
    pub name: &'static str,
    /// One sentence for `--help`.
    pub purpose: &'static str,
    /// The variables that it reads from the environment.
    pub variables: &'static [Variable],
}

/// An assembled service, ready to listen.
#[derive(Debug)]
pub struct Service {
    /// The routes, with their layers ([`crate::surface`]).
    pub router: Router,
    /// The address to listen on.
    pub address: SocketAddr,
    /// The variable that sets the address, for the message about a port in use.
    pub address_variable: &'static str,
    /// How header names are written.
    pub header_case: HeaderCase,
}

/// How a service writes the names of its headers. Clients must ignore the case, but a byte comparison with the
/// legacy backend does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HeaderCase {
    /// `content-type`, as the legacy backend's Rust services.
    #[default]
    Lower,
    /// `Content-Type`, as its Node service.
    Title,
}

/// Why a service did not start. The operator sees only this message, so it names the fix.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Settings are invalid.
    #[error(transparent)]
    Settings(#[from] Faults),
    /// A key file cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A file of the service's own cannot be used. The text names the file and the fix.
    #[error("{0}")]
    File(String),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The metrics cannot be listed: two have one name.
    #[error("the metrics of the service cannot be listed: {0}")]
    Metrics(#[from] prometheus::Error),
    /// Another process listens on the address.
    #[error(
        "{address} is already in use; stop the program that listens there, or set {variable} to another address \
         (port 0 selects any free port)"
    )]
    PortInUse {
        /// The address.
        address: SocketAddr,
        /// The variable that sets it.
        variable: &'static str,
    },
    /// The system refuses to listen on the address.
    #[error("cannot listen on {address}: {source}; set {variable} to another address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The variable that sets it.
        variable: &'static str,
        /// The I/O error of the system.
        source: std::io::Error,
    },
    /// The system provides no signals.
    #[error("cannot wait for SIGTERM: {0}")]
    Signals(std::io::Error),
}

impl StartError {
    /// Returns 64 when the configuration is wrong, 1 when the environment is.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Settings(_) | Self::Key(_) | Self::File(_) => 64,
            Self::Store(_)
            | Self::Metrics(_)
            | Self::PortInUse { .. }
            | Self::Listen { .. }
            | Self::Signals(_) => 1,
        }
    }
}

/// Runs a service: read settings, start logging, `assemble`, serve until SIGTERM or SIGINT, drain.
pub async fn run<F, A>(about: About, assemble: A) -> ExitCode
where
    A: FnOnce(Reader) -> F,
    F: Future<Output = Result<Service, StartError>>,
{
    // Databases, mail and revocations name people, so only the service's user may read its files.
    secret_file::restrict_new_files();
    let environment = |name: &str| std::env::var(name).ok();
    let arguments = std::env::args_os().collect::<Vec<OsString>>();
    let program = Program { name: about.name, about: about.purpose, variables: about.variables, flags: &[] };
    let reader = Reader::from_command_line(program, arguments, environment);
    let reader = match reader {
        Ok(reader) => reader,
        // This includes `--help` and `--version`, which print themselves and exit with 0. A wrong flag exits
        // with 2.
        Err(usage) => usage.exit(),
    };
    match live(about, reader, assemble).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {}", about.name, Chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

/// Runs a service with work beside its routes, as [`run`] does. The work ends after the routes: see [`Work::stop`].
pub async fn run_with_work<F, A>(about: About, assemble: A) -> ExitCode
where
    A: FnOnce(Reader, Work) -> F,
    F: Future<Output = Result<Service, StartError>>,
{
    let work = Work::default();
    let code = run(about, |reader| assemble(reader, work.clone())).await;
    work.stop().await;
    code
}

async fn live<F, A>(about: About, mut reader: Reader, assemble: A) -> Result<(), StartError>
where
    A: FnOnce(Reader) -> F,
    F: Future<Output = Result<Service, StartError>>,
{
    let directives = reader.checked(&RUST_LOG, telemetry::check);
    // A fault in RUST_LOG is reported together with all others, in `assemble`.
    telemetry::start(&directives);
    let service = assemble(reader).await?;
    let stop = stop_signal()?;
    let listener = listen(&service).await?;
    let address = listener.local_addr().unwrap_or(service.address);
    tracing::info!(service = about.name, %address, "ready");
    serve(listener, service.router, service.header_case, stop).await;
    tracing::info!(service = about.name, "stopped");
    Ok(())
}

async fn listen(service: &Service) -> Result<TcpListener, StartError> {
    let (address, variable) = (service.address, service.address_variable);
    TcpListener::bind(address).await.map_err(|source| {
        if source.kind() == std::io::ErrorKind::AddrInUse {
            StartError::PortInUse { address, variable }
        } else {
            StartError::Listen { address, variable, source }
        }
    })
}

/// Returns a future that completes at SIGTERM or SIGINT. The handlers are installed when this returns, before
/// the ready line.
fn stop_signal() -> Result<impl Future<Output = ()>, StartError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// Serves `router` on `listener` until `stop`, then lets running requests finish, for at most ten seconds. A connection speaks
/// HTTP/1.1, or HTTP/2 from its first byte (RFC 9113, 3.3), as calls in gRPC do.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    header_case: HeaderCase,
    stop: impl Future<Output = ()>,
) {
    let connections = GracefulShutdown::new();
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let builder = Arc::new(builder(header_case));
    // Its end tells connections that have not begun to speak.
    let (serving, _) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        // A slot first: a connection that cannot be served is not accepted.
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await.ok()?;
            Some((slot, listener.accept().await))
        };
        let accepted = tokio::select! {
            accepted = next => accepted,
            () = &mut stop => break,
        };
        let Some((slot, accepted)) = accepted else { break };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Usually the process is out of file descriptors. Without the pause the loop would spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
        let service = TowerToHyperService::new(router.clone());
        let (builder, watcher, mut serving) =
            (Arc::clone(&builder), connections.watcher(), serving.subscribe());
        tokio::spawn(async move {
            let _slot = slot;
            // The library waits without a limit for the bytes that tell one protocol from the other.
            let begun = tokio::select! {
                begun = tokio::time::timeout(IDLE_TIMEOUT, stream.readable()) => matches!(begun, Ok(Ok(()))),
                _ = serving.changed() => false,
            };
            if !begun {
                return;
            }
            let connection = builder.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(%error, "a connection ended early");
            }
        });
    }
    drop((listener, serving));
    if tokio::time::timeout(DRAIN_TIMEOUT, connections.shutdown()).await.is_err() {
        tracing::warn!("requests were still running {DRAIN_TIMEOUT:?} after the stop signal; closing them");
    }
}

fn builder(header_case: HeaderCase) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(IDLE_TIMEOUT)
        .max_buf_size(MAX_HEAD_BYTES)
        .title_case_headers(header_case == HeaderCase::Title);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_FIELD_BYTES)
        .keep_alive_interval(KEEPALIVE);
    builder
}
