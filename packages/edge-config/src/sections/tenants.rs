//! The section `tenants`.

use std::time::Duration;

use crate::edge::{Reach, TenantDirectory, TenantService};
use crate::node::Node;
use crate::reader::{self, Context, Fields};

use crate::reader::path;

/// A suspension is pushed, so an answer expires only in case a push was lost on the way to Redis: twice in the time for
/// which a broken directory file is tolerated.
const MEMORY: (u64, u64, u64) = (60, 120, 300);
/// A new replica finds answers in Redis for this long. It also bounds the delay of changes by a tenants service that never
/// pushes.
const SHARED: (u64, u64, u64) = (300, 900, 3_600);
/// A new tenant waits at most this long. With a shorter time, a flood of unknown tenants would reach the service.
const NEGATIVE: (u64, u64, u64) = (1, 10, 60);
/// The channel sends a heartbeat each second: five missing ones are not chance.
const UNTRUSTED_AFTER: (u64, u64, u64) = (2, 5, 60);

pub(crate) fn tenants(context: Context<'_>, node: &Node) -> Option<TenantDirectory> {
    let mut fields = Fields::of(context, node, "`tenants`");
    let file = fields.optional("file");
    let grpc = fields.optional("grpc");
    let place = fields.place;
    match (file, grpc) {
        (Some(file), None) => {
            fields.finish();
            path(context, file, "`file`").map(TenantDirectory::File)
        }
        (None, Some(grpc)) => service(context, fields, grpc).map(TenantDirectory::Service),
        (Some(_), Some(_)) | (None, None) => {
            let mend = "give the directory of tenants: `file: tenants.yaml` or `grpc: http://127.0.0.1:3036`";
            context.faults.report(place, "`tenants` needs either a `file` or a `grpc`", mend);
            None
        }
    }
}

fn service(context: Context<'_>, mut fields: Fields<'_>, grpc: &Node) -> Option<TenantService> {
    let url = url(context, grpc);
    let redis = fields.optional("redis").map_or(Some(false), |n| reader::boolean(context, n, "`redis`"));
    let mut seconds = |name: &'static str, (least, default, most)| {
        let seconds = match fields.optional(name) {
            None => Some(default),
            Some(n) => reader::number(context, n, &format!("`{name}`"), least, most),
        };
        seconds.map(Duration::from_secs)
    };
    let memory = seconds("memory_seconds", MEMORY);
    let shared = seconds("redis_seconds", SHARED);
    let negative = seconds("negative_seconds", NEGATIVE);
    let untrusted_after = seconds("untrusted_after_seconds", UNTRUSTED_AFTER);
    fields.finish();
    Some(TenantService {
        url: url?,
        redis: redis?,
        memory: memory?,
        shared: shared?,
        negative: negative?,
        untrusted_after: untrusted_after?,
    })
}

fn url(context: Context<'_>, node: &Node) -> Option<String> {
    let mend = "write an address such as http://127.0.0.1:3036";
    let text: String = reader::parsed(context, node, "`grpc`", mend)?;
    let authority = text.strip_prefix("http://").map(|rest| rest.trim_end_matches('/'));
    let usable = authority.is_some_and(|authority| {
        let port = authority
            .rsplit_once(':')
            .and_then(|(host, port)| (!host.is_empty()).then(|| port.parse::<u16>().ok()).flatten());
        port.is_some_and(|port| port > 0) && !authority.contains(['/', '?', '#', '@', ' '])
    });
    if usable {
        let host = authority.and_then(|authority| authority.rsplit_once(':')).map_or("", |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        if Reach::of_host(&host) > Reach::Machine {
            context.faults.warn(
                node.place,
                format!("the tenants service is queried without encryption at {host}: a machine on the way can answer for it"),
                "keep it on this machine, or on a network that is private to the platform",
            );
        }
        return Some(text.trim_end_matches('/').to_owned());
    }
    context.faults.report(node.place, format!("`grpc` is {text:?}"), mend);
    None
}
