//! Where Envoy listens, and where the authorizer answers.

use std::net::SocketAddr;
use std::time::Duration;

use crate::edge::{Authorizer, Exposure, Listener};
use crate::node::Node;
use crate::reader::{self, Context, Fields};

use super::choice;

/// A warm decision takes well under a millisecond; Envoy's own default for an authorizer is the same 200 ms.
const AUTHORIZER_TIMEOUT: Duration = Duration::from_millis(200);

const ADDRESS_MEND: &str = "write an address with a port, such as 127.0.0.1:8080";

pub(crate) fn listener(context: Context<'_>, name: &str, node: &Node) -> Option<Listener> {
    let mut fields = Fields::of(context, node, format!("listener `{name}`"));
    let address = fields
        .required("address", ADDRESS_MEND)
        .and_then(|n| reader::parsed(context, n, &format!("the address of listener `{name}`"), ADDRESS_MEND));
    let exposure =
        fields.required("exposure", "say who can reach it: `public` or `internal`").and_then(|n| {
            choice(
                context,
                n,
                "the exposure",
                &[("public", Exposure::Public), ("internal", Exposure::Internal)],
            )
        });
    fields.finish();
    Some(Listener { address: address?, exposure: exposure? })
}

pub(crate) fn admin(context: Context<'_>, node: &Node) -> Option<SocketAddr> {
    let address: SocketAddr = reader::parsed(context, node, "`admin`", ADDRESS_MEND)?;
    if !address.ip().is_loopback() {
        let problem =
            format!("`admin` is {address}: whoever reaches it can stop the edge and read its configuration");
        context.faults.report(node.place, problem, "give it a loopback address, such as 127.0.0.1:9901");
    }
    Some(address)
}

pub(crate) fn authorizer(context: Context<'_>, node: &Node) -> Option<Authorizer> {
    let mut fields = Fields::of(context, node, "`authorizer`");
    let address = fields
        .required("address", ADDRESS_MEND)
        .and_then(|n| reader::parsed(context, n, "the authorizer's address", ADDRESS_MEND));
    let timeout = fields
        .optional("timeout_ms")
        .map_or(Some(AUTHORIZER_TIMEOUT), |n| reader::millis(context, n, "`timeout_ms`", 1, 10_000));
    let replicas = fields.optional("replicas").map_or(Some(1), |n| {
        reader::number(context, n, "`replicas`", 1, 1_000).and_then(|count| u32::try_from(count).ok())
    });
    fields.finish();
    Some(Authorizer { address: address?, timeout: timeout?, replicas: replicas? })
}
