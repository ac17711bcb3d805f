//! The sections that say where Envoy and the authorizer listen.

use std::net::SocketAddr;

use crate::declared::Declared;
use crate::edge::{Authorizer, Listener};
use crate::node::Node;
use crate::reader::{Context, Fields};
use crate::{sections, unsaid};

/// The addresses of the edge itself.
pub(super) struct Network {
    pub(super) listeners: Declared<Listener>,
    pub(super) admin: Option<SocketAddr>,
    pub(super) stats: Option<SocketAddr>,
    pub(super) authorizer: Option<Authorizer>,
}

impl Network {
    /// Reads the sections. `tree` is the whole file: a section that it leaves out stands at its beginning.
    pub(super) fn read(context: Context<'_>, fields: &mut Fields<'_>, tree: &Node) -> Self {
        let listeners = Declared::read(
            context,
            fields.required(
                "listeners",
                "give the addresses of Envoy: `listeners: { public: { address: 127.0.0.1:8080, exposure: public } }`",
            ),
            "`listeners`",
            |name, node| sections::listener(context, name, node),
        );
        let admin = match fields.optional("admin") {
            None => sections::admin(context.unnoted(), &unsaid::admin(tree.place)),
            Some(node) => sections::admin(context, node),
        };
        let stats = fields.optional("stats").and_then(|node| sections::stats(context, node));
        let authorizer = match fields.optional("authorizer") {
            None => sections::authorizer(context.unnoted(), &unsaid::authorizer(tree.place)),
            Some(node) => sections::authorizer(context, node),
        };
        Self { listeners, admin, stats, authorizer }
    }
}
