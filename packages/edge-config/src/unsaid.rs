//! Sections that an edge file may leave out, as if they were written in it.

use crate::fault::Place;
use crate::node::{Node, Value};

/// `admin`: the port of Envoy's own examples, on loopback. The variable moves it, so that two edges can run on one machine.
pub(crate) const ADMIN: &str = "${ENVOY_ADMIN_ADDRESS:-127.0.0.1:9901}";

/// `address` of `authorizer`: beside Envoy on the same machine, where messages need no encryption.
pub(crate) const AUTHORIZER: &str = "${AUTHZ_ADDRESS:-127.0.0.1:9191}";

fn text(place: Place, text: &str) -> Node {
    Node { value: Value::Text(text.to_owned()), place }
}

/// The section `admin` of a file without one.
pub(crate) fn admin(place: Place) -> Node {
    text(place, ADMIN)
}

/// The section `authorizer` of a file without one.
pub(crate) fn authorizer(place: Place) -> Node {
    let address = (text(place, "address"), text(place, AUTHORIZER));
    Node { value: Value::Map(vec![address]), place }
}
