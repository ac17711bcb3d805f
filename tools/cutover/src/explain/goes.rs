//! Where a request goes, in words.

use edge_config::edge::{AcceptedCredential, Canary, Condition, Route};

/// Where a request of `route` goes whose client chose the canary `chosen`, and whose credential has this kind on a public
/// route or another, and why. Without a decision the kind is not known.
pub(super) fn destination(
    route: &Route,
    chosen: Option<&Canary>,
    decided: Option<(Option<AcceptedCredential>, bool)>,
) -> String {
    let to = &route.destination;
    match chosen.map(|canary| (&canary.backend, &canary.when)) {
        Some((backend, Condition::ClientCookie { name, .. })) => {
            return format!("{backend} (the client chose it by the cookie `{name}`)");
        }
        Some((backend, Condition::ClientHeader { name, .. })) => {
            return format!("{backend} (the client chose it by the header `{name}`)");
        }
        Some((backend, Condition::ClientQuery { name, .. })) => {
            return format!("{backend} (the client chose it by the parameter `{name}`)");
        }
        Some((_, Condition::Tenant(_) | Condition::Header { .. })) | None => {}
    }
    let Some((kind, is_public)) = decided.filter(|_| !to.kinds.is_empty()) else { return to.to_string() };
    let how = if is_public { "recognised" } else { "verified" };
    match kind.map(|kind| (kind.as_str(), to.of_kind(kind))) {
        Some((kind, Some(backend))) => format!("{backend} (a {kind} was {how})"),
        Some((kind, None)) => {
            format!("{} (a {kind} was {how}, which the route does not name)", to.of_others())
        }
        None => format!("{} (no kind of session was {how})", to.of_others()),
    }
}
