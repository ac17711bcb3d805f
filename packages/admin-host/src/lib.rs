//! Which host names an admin interface answers to.
//!
//! An admin interface listens where only its operators reach it, mostly on loopback. A web page in an operator's browser
//! reaches it too: its own name can be made to resolve to 127.0.0.1 (DNS rebinding), and then the browser lets the page
//! read the answers. Such a request carries the page's name in `Host`. So the interface answers to its own names alone:
//!
//! * `localhost` and every loopback address;
//! * the address that it listens on; every literal address when it listens on all of them, because only a name can be
//!   rebound;
//! * the names that the operator lists ([`AdminHosts::allowing`]).
//!
//! Every other request is answered 421 (RFC 9110 §15.5.20), and the answer says how to add a name.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

/// The names of one admin interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminHosts {
    address: IpAddr,
    names: Vec<String>,
    variable: &'static str,
}

/// A name that cannot be a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadName(pub String);

impl AdminHosts {
    /// The names of an interface that listens on `address`. `variable` is where an operator lists more of them.
    #[must_use]
    pub fn of(address: SocketAddr, variable: &'static str) -> Self {
        Self { address: address.ip(), names: Vec::new(), variable }
    }

    /// The same with the names in `list`, between commas. Ports do not belong there.
    ///
    /// # Errors
    /// [`BadName`] with the first one that is not a host name.
    pub fn allowing(mut self, list: &str) -> Result<Self, BadName> {
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte);
            let authority = name.bytes().all(is_host).then(|| name.parse::<Authority>().ok()).flatten();
            match authority {
                Some(authority) if authority.port().is_none() => self.names.push(normal(authority.host())),
                Some(_) | None => return Err(BadName(name.to_owned())),
            }
        }
        Ok(self)
    }

    /// `router`, which answers to these names alone.
    pub fn guard(self, router: Router) -> Router {
        router.layer(middleware::from_fn_with_state(Arc::new(self), check))
    }

    /// Whether the interface answers to `host`, a name or an address without a port.
    #[must_use]
    pub fn answers_to(&self, host: &str) -> bool {
        let host = normal(host);
        let literal = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(&host);
        match literal.parse::<IpAddr>() {
            Ok(address) => {
                let (address, own) = (address.to_canonical(), self.address.to_canonical());
                address.is_loopback() || address == own || own.is_unspecified() || self.names.contains(&host)
            }
            Err(_) => host == "localhost" || self.names.contains(&host),
        }
    }
}

/// As names are compared: in lower case, without the dot of the root.
fn normal(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    host.strip_suffix('.').map(str::to_owned).unwrap_or(host)
}

/// The one host that a request names; `None` when it names none, several, or something else.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let mut lines = headers.get_all(HOST).iter();
    let line = match (lines.next(), lines.next()) {
        (None, _) => None,
        (Some(line), None) => Some(line.to_str().ok()?.parse::<Authority>().ok()?),
        (Some(_), Some(_)) => return None,
    };
    let named = match (uri.authority(), line) {
        (Some(target), Some(line)) if target.host() != line.host() => return None,
        (Some(target), _) => target.clone(),
        (None, line) => line?,
    };
    let has_user = named.as_str().contains('@');
    (!has_user).then(|| named.host().to_owned())
}

async fn check(State(hosts): State<Arc<AdminHosts>>, request: Request, next: Next) -> Response {
    let named = host(request.uri(), request.headers());
    if named.is_some_and(|named| hosts.answers_to(&named)) {
        return next.run(request).await;
    }
    let words = format!(
        "This admin interface does not answer to that host name. Ask it by localhost or by its address, or list the name \
         in {}.\n",
        hosts.variable
    );
    (StatusCode::MISDIRECTED_REQUEST, words).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt as _;

    fn hosts(address: &str, names: &str) -> AdminHosts {
        AdminHosts::of(address.parse().unwrap(), "ADMIN_HOSTS").allowing(names).unwrap()
    }

    #[test]
    fn it_answers_to_its_own_names_alone() {
        let (loopback, inner) =
            (hosts("127.0.0.1:9192", ""), hosts("10.0.0.5:9192", "authz.svc, Edge.Test."));
        let (all, all6) = (hosts("0.0.0.0:9192", ""), hosts("[::]:9192", ""));
        for (host, [on_loopback, on_inner, on_all]) in [
            ("localhost", [true, true, true]),
            ("LOCALHOST.", [true, true, true]),
            ("127.0.0.1", [true, true, true]),
            ("127.8.9.1", [true, true, true]),
            ("[::1]", [true, true, true]),
            ("[::ffff:127.0.0.1]", [true, true, true]),
            ("10.0.0.5", [false, true, true]),
            ("10.0.0.6", [false, false, true]),
            ("[2001:db8::1]", [false, false, true]),
            ("authz.svc", [false, true, false]),
            ("edge.test", [false, true, false]),
            ("evil.test", [false, false, false]),
            ("localhost.evil.test", [false, false, false]),
            ("127.0.0.1.evil.test", [false, false, false]),
            ("0x7f000001", [false, false, false]),
            ("", [false, false, false]),
        ] {
            let answers = [&loopback, &inner, &all].map(|hosts| hosts.answers_to(host));
            assert_eq!(answers, [on_loopback, on_inner, on_all], "{host}");
            assert_eq!(all6.answers_to(host), on_all, "{host}");
        }
    }

    #[test]
    fn a_name_in_the_list_is_a_host_without_a_port() {
        for bad in ["a:80", "http://a", "a/b", "user@a", "a b", "*.a\u{e9}"] {
            let hosts = AdminHosts::of(SocketAddr::from(([127, 0, 0, 1], 1)), "ADMIN_HOSTS");
            assert_eq!(hosts.allowing(bad), Err(BadName(bad.to_owned())));
        }
    }

    #[tokio::test]
    async fn a_request_for_another_host_name_is_421_and_says_how_to_add_it() {
        let router =
            hosts("127.0.0.1:9192", "authz.svc").guard(Router::new().route("/", get(|| async { "ok" })));
        for (target, lines, status) in [
            ("/", vec!["localhost:9192"], 200),
            ("/", vec!["127.0.0.1:1"], 200),
            ("/", vec!["authz.svc"], 200),
            ("/", vec!["evil.test:9192"], 421),
            ("/", vec![], 421),
            ("/", vec!["localhost", "localhost"], 421),
            ("/", vec!["evil.test@localhost"], 421),
            ("/nowhere", vec!["evil.test"], 421),
            ("http://localhost/", vec![], 200),
            ("http://localhost/", vec!["evil.test"], 421),
            ("http://evil.test/", vec!["localhost"], 421),
        ] {
            let mut request = Request::builder().uri(target);
            for line in &lines {
                request = request.header(HOST, *line);
            }
            let answer = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            assert_eq!(answer.status(), status, "{target} {lines:?}");
        }
    }
}
