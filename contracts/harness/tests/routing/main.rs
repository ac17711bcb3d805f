//! Which backend gets a request, and how the edge reaches it.

mod backends;
mod coder;
mod judging;
mod many_routes;
mod path_agreement;
mod paths;
mod route_forms;
mod routing;
mod session_kinds;
mod text_ids;
mod upstream_tls;
