//! The command line of `cutover render`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use clap::Args;
use edge_config::Environment;

use super::{paths, store, validated};
use crate::exit::{DONE, FOUND, INVALID, exit};
use crate::home::{DEFAULT_VENV, Home, Programs, usual_edge_file};
use crate::out;
use crate::watch::{Outcome, Watch};

/// `cutover render`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The edge file.
    #[arg(value_name = "EDGE_FILE", default_value = usual_edge_file())]
    pub file: PathBuf,
    /// The directory for the configuration; its link `current` points to the newest one. [default: HOME/envoy]
    #[arg(long, value_name = "DIRECTORY")]
    pub out: Option<PathBuf>,
    /// The file for Envoy's access log. [default: HOME/logs/access.json]
    #[arg(long, value_name = "FILE")]
    pub access_log: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub programs: Programs,
    /// Let Envoy validate the configuration (`--mode validate`) before it becomes current.
    #[arg(long)]
    pub validate: bool,
    /// Keep running, and render after every change: when Envoy has validated it and the authorizers know it, it becomes
    /// current. If Envoy refuses it after all, the previous configuration becomes current again.
    #[arg(long)]
    pub watch: bool,
    /// With --watch: the admin interfaces of all authorizer replicas that read the same file.
    #[arg(
        long,
        env = "AUTHZ_ADMIN_ADDRESS",
        default_value = "127.0.0.1:9192",
        value_name = "ADDRESS:PORT,…",
        value_delimiter = ','
    )]
    pub authorizer_admin: Vec<std::net::SocketAddr>,
}

/// Renders an edge file and makes the result current; with `--watch` after every change of it.
pub fn main(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    if arguments.watch {
        return watch(arguments, environment);
    }
    let edge = match super::load(&arguments.file, environment) {
        Ok(edge) => edge,
        Err(message) => {
            out::error!("{message}");
            return exit(INVALID);
        }
    };
    let out = arguments.out.clone().unwrap_or_else(|| arguments.home.home.join("envoy"));
    let log = arguments.access_log.clone().unwrap_or_else(|| arguments.home.home.join("logs/access.json"));
    let rendered =
        paths(&out, &arguments.programs.guard(), &log).map_err(|e| e.to_string()).and_then(|paths| {
            let validate = arguments.validate.then(|| arguments.programs.envoy(DEFAULT_VENV.as_ref()));
            store(&edge, &paths, &|bootstrap| {
                validate.as_ref().map_or(Ok(()), |envoy| validated(envoy, bootstrap))
            })
            .map_err(|e| e.to_string())
        });
    match rendered {
        Ok(rendered) => {
            out::line!("{}", rendered.bootstrap.display());
            exit(DONE)
        }
        Err(message) => {
            out::error!("{message}");
            exit(FOUND)
        }
    }
}

/// Runs until the program is stopped. It needs no cleanup then, because every step is complete by itself.
fn watch(arguments: &Arguments, environment: Environment<'_>) -> ExitCode {
    let out = arguments.out.clone().unwrap_or_else(|| arguments.home.home.join("envoy"));
    let log = arguments.access_log.clone().unwrap_or_else(|| arguments.home.home.join("logs/access.json"));
    let paths = match paths(&out, &arguments.programs.guard(), &log) {
        Ok(paths) => paths,
        Err(error) => {
            out::error!("{error}");
            return exit(FOUND);
        }
    };
    let watch = Watch {
        file: arguments.file.clone(),
        paths,
        envoy: arguments.programs.envoy(DEFAULT_VENV.as_ref()),
        authorizers: arguments.authorizer_admin.clone(),
        prepare: Box::new(|_| Ok(())),
    };
    let report = |outcome: &Outcome| {
        out::line!("{}: {outcome}", arguments.file.display());
    };
    watch.run(environment, None, &AtomicBool::new(false), &report);
    exit(DONE)
}
