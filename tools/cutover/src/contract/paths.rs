//! `cutover contract paths`: sends paths in every spelling through an edge.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use contract::origin::Origin;
use contract::probe::echo::Echo;
use contract::probe::paths::{Paths, paths};
use edge_config::edge::Exposure;
use edge_config::{Edge, Environment, closed_paths};

use super::spoof::{print, public_routes};
use super::{Sending, progress, refused};
use crate::render;

/// `cutover contract paths`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The edge file: it says which paths are internal.
    #[arg(value_name = "EDGE_FILE")]
    pub file: PathBuf,
    /// The running edge.
    #[arg(long, value_name = "URL")]
    pub against: String,
    /// Listen here for what arrives: the address of a backend of the edge, which must not run.
    #[arg(long, value_name = "ADDRESS")]
    pub echo: SocketAddr,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
    /// How requests are sent.
    #[command(flatten)]
    pub sending: Sending,
}

/// Sends and prints.
pub(super) async fn main(arguments: &Arguments, environment: Environment<'_>) -> u8 {
    let edge = match render::load(&arguments.file, environment) {
        Ok(edge) => edge,
        Err(message) => return refused("paths", &message),
    };
    let token = uuid::Uuid::new_v4().simple().to_string();
    let plan = match plan(arguments, &edge, &token) {
        Ok(plan) => plan,
        Err(message) => return refused("paths", &message),
    };
    let echo = match Echo::listen(arguments.echo, &token).await {
        Ok(echo) => echo,
        Err(message) => return refused("paths", &message),
    };
    let findings = paths(&plan, progress).await;
    drop(echo);
    print("paths", &findings, arguments.json, findings.arrived > 0)
}

fn plan(arguments: &Arguments, edge: &Edge, token: &str) -> Result<Paths, String> {
    let Arguments { against, sending, .. } = arguments;
    let mut public: Vec<(String, String)> =
        public_routes(edge).into_iter().map(|(host, path, _)| (host, path)).collect();
    public.sort();
    public.dedup();
    let mut hosts: Vec<String> = public.iter().map(|(host, _)| host.clone()).collect();
    hosts.dedup();
    if let Some(host) = &sending.host {
        hosts = vec![host.clone()];
        public.retain(|(own, _)| own == host);
    }
    let internal = closed_paths(edge, Exposure::Public);
    Ok(Paths {
        edge: Origin::read(against, sending.ca.as_deref())?,
        lines: sending.principals()?.into_iter().flatten().flat_map(|principal| principal.lines).collect(),
        internal: internal.iter().map(|path| path.with_parameters("x")).collect(),
        public,
        hosts,
        token: token.to_owned(),
        pace: sending.pace(),
    })
}
