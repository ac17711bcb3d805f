//! `cutover contract spoof`: sends reserved headers in every spelling through an edge.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use contract::origin::Origin;
use contract::probe::Findings;
use contract::probe::echo::Echo;
use contract::probe::spoof::{Spoof, spoof};
use edge_config::edge::{Exposure, Policy};
use edge_config::{Edge, Environment};

use super::{Sending, progress, refused};
use crate::exit::{DONE, FOUND};
use crate::{out, render};

/// `cutover contract spoof`
#[derive(Debug, Args)]
pub struct Arguments {
    /// The edge file: it says which headers are reserved.
    #[arg(value_name = "EDGE_FILE")]
    pub file: PathBuf,
    /// The running edge.
    #[arg(long, value_name = "URL")]
    pub against: String,
    /// Listen here for what arrives: the address of a backend of the edge, which must not run.
    #[arg(long, value_name = "ADDRESS")]
    pub echo: SocketAddr,
    /// Send this many requests.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub n: u32,
    /// The path of a route to that backend [default: the first public one].
    #[arg(long, value_name = "PATH")]
    pub path: Option<String>,
    /// Choose other spellings.
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
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
        Err(message) => return refused("spoof", &message),
    };
    let token = uuid::Uuid::new_v4().simple().to_string();
    let plan = match plan(arguments, &edge, &token) {
        Ok(plan) => plan,
        Err(message) => return refused("spoof", &message),
    };
    let echo = match Echo::listen(arguments.echo, &token).await {
        Ok(echo) => echo,
        Err(message) => return refused("spoof", &message),
    };
    let number = usize::try_from(arguments.n).unwrap_or(usize::MAX);
    let findings = spoof(&plan, number, progress).await;
    drop(echo);
    print("reserved headers", &findings, arguments.json, findings.arrived > 0)
}

fn plan(arguments: &Arguments, edge: &Edge, token: &str) -> Result<Spoof, String> {
    let Arguments { against, path, seed, sending, .. } = arguments;
    let origin = Origin::read(against, sending.ca.as_deref())?;
    let (named, target) = match path {
        Some(path) => (None, path.clone()),
        None => {
            let found = public_path(edge).ok_or("the edge file has no public route that takes GET; name a path with --path, and a session with --as")?;
            (Some(found.0), found.1)
        }
    };
    let host = sending.host.clone().or(named).unwrap_or_else(|| origin.authority().to_owned());
    let lines = sending.principals()?.into_iter().flatten().flat_map(|principal| principal.lines).collect();
    let reserved = edge.reserved.clone();
    let (seed, token, pace) = (*seed, token.to_owned(), sending.pace());
    Ok(Spoof { edge: origin, host, target, lines, reserved, seed, token, pace })
}

/// Host and path of the first public route that takes GET.
fn public_path(edge: &Edge) -> Option<(String, String)> {
    public_routes(edge).into_iter().find_map(|(host, path, is_public)| is_public.then_some((host, path)))
}

/// The host, the path and whether every caller may pass, for each route of a public listener that takes GET.
pub(super) fn public_routes(edge: &Edge) -> Vec<(String, String, bool)> {
    let mut found = Vec::new();
    for route in edge.routes.iter().filter(|route| route.takes_method("GET")) {
        let Some(host) = edge.hosts.get(&route.host) else { continue };
        let exposed = |name: &String| {
            edge.listeners.get(name).is_some_and(|listener| listener.exposure == Exposure::Public)
        };
        let is_public = host.listeners.iter().any(exposed);
        if is_public {
            let name = host.names.iter().find(|name| !name.contains('*')).map_or("localhost", String::as_str);
            let open = matches!(edge.policies.get(&route.policy), Some(Policy::Public(_)));
            found.push((name.to_owned(), route.path.with_parameters("x"), open));
        }
    }
    found
}

/// Prints what the probes found. Probes of which none arrives prove nothing.
pub(super) fn print(what: &str, findings: &Findings, json: bool, proves: bool) -> u8 {
    let Findings { sent, arrived, refused, closed, violations, violated } = findings;
    let is_well = *violated == 0 && proves;
    if json {
        out::line!(
            "{:#}",
            serde_json::json!({ "well": is_well, "sent": sent, "arrived": arrived, "refused": refused, "closed": closed,
                "violated": violated, "violations": violations })
        );
    } else {
        for one in violations {
            out::line!("{one}");
        }
        let by_status: Vec<String> =
            refused.iter().map(|(status, count)| format!("{count} with {status}")).collect();
        let by_status =
            if by_status.is_empty() { String::new() } else { format!(" ({})", by_status.join(", ")) };
        let refusals: usize = refused.values().sum();
        out::line!(
            "{what}: {sent} sent, {arrived} arrived, {refusals} refused{by_status}, {closed} closed, {violated} violations"
        );
        if !proves {
            out::line!("none arrived at the echo, which proves nothing: check --echo, --path and --as");
        }
    }
    if is_well { DONE } else { FOUND }
}
