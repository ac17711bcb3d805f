//! Every operation of a service, tried from another tenant.
//!
//! The operations are those of the service's own OpenAPI documents, so a new one is tried as soon as it is documented:
//! a test has values for the parameters of paths, and fails when one is missing.

use std::fmt;

use axum::Router;
use axum::body::{Body, to_bytes};
use http::Request;
use identity::Person;
use tower::ServiceExt as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::path::Operation;

use super::documents::{each, operation};
use super::{TENANT, TestEdge};
use crate::caller::{IDENTITY, TENANT as HEADER};
use crate::openapi::Documents;

/// The other tenant. It may exist.
pub const OTHER: &str = "00000000-0000-7000-8000-000000000002";

/// What an operation is sent.
#[derive(Clone, Copy, Debug)]
pub struct Example<'c> {
    /// The operation as the documents have it: `POST /books/{id}`.
    pub operation: &'c str,
    /// The query, with its question mark, or nothing.
    pub query: &'c str,
    /// The body.
    pub body: &'c str,
}

/// The tries at one service.
pub struct Crossing<'c> {
    /// Its documents.
    pub documents: Documents,
    /// Its routes.
    pub router: &'c Router,
    /// The edge that it trusts.
    pub edge: &'c TestEdge,
    /// Its name.
    pub service: &'c str,
    /// A service that its internal operations admit.
    pub caller: &'c str,
    /// A person of [`TENANT`] whom its public operations admit. The stranger has the same id, session and role in
    /// [`OTHER`].
    pub person: Person,
    /// Values of the parameters of its paths, which exist in [`TENANT`].
    pub parameters: &'c [(&'c str, &'c str)],
    /// Operations that need a query, or a body other than `{}`, to get behind the first check.
    pub examples: &'c [Example<'c>],
    /// The body of its 401.
    pub unauthenticated: &'c str,
    /// Texts of [`TENANT`] that the other tenant must not read.
    pub secrets: &'c [&'c str],
}

impl fmt::Debug for Crossing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crossing").field("service", &self.service).finish_non_exhaustive()
    }
}

/// Who an operation serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Serves {
    /// A person, by a signed identity.
    People,
    /// A service, by a signed identity.
    Services,
    /// Any client: the operation reads no signed identity.
    Anyone,
}

impl Crossing<'_> {
    /// Tries every operation, and returns the number of those that need a signed identity.
    ///
    /// * Where the plain header names another tenant than the signed identity, or none, or two, the answer is 401.
    /// * A valid caller of the other tenant reads no secret. Compare what the tenant has before and after, too.
    ///
    /// # Panics
    /// When an operation lets a caller cross, and when a parameter or an example does not fit the documents.
    pub async fn try_every_operation(&self) -> usize {
        let mut examples: Vec<&str> = self.examples.iter().map(|example| example.operation).collect();
        let mut identified = 0;
        for document in [&self.documents.public, &self.documents.internal] {
            for (method, path) in each(document) {
                let line = format!("{method} {path}");
                examples.retain(|example| *example != line);
                let serves = serves(document, method, &path);
                identified += usize::from(serves != Serves::Anyone);
                self.refused_beside_another_tenant(method, &path, serves).await;
                self.shows_no_secret(method, &path, serves).await;
            }
        }
        assert!(examples.is_empty(), "no document has {examples:?}");
        identified
    }

    async fn refused_beside_another_tenant(&self, method: &str, path: &str, serves: Serves) {
        let [own, stranger] = self.identities(serves);
        let platform = self.edge.service(self.caller, self.service);
        let mut tries: Vec<(&str, Vec<&str>)> = vec![
            (&own, vec![]),
            (&own, vec![""]),
            (&own, vec![OTHER]),
            (&own, vec!["platform"]),
            (&own, vec![TENANT, OTHER]),
            (&stranger, vec![]),
            (&stranger, vec![TENANT]),
            (&stranger, vec![OTHER, TENANT]),
        ];
        if serves == Serves::Services {
            tries.extend([(platform.as_str(), vec![TENANT]), (platform.as_str(), vec![OTHER])]);
        }
        for (identity, tenants) in tries {
            let (status, body) = self.send(method, path, identity, &tenants).await;
            let what = format!("{method} {path} beside {tenants:?}: {status} {body}");
            match serves {
                Serves::Anyone => self.assert_no_secret(&what, status, &body),
                // The answer to HEAD has no body.
                _ if method == "HEAD" => assert_eq!(status, 401, "{what}"),
                Serves::People | Serves::Services => {
                    assert_eq!((status, body.as_str()), (401, self.unauthenticated), "{what}");
                }
            }
        }
    }

    async fn shows_no_secret(&self, method: &str, path: &str, serves: Serves) {
        let [_, stranger] = self.identities(serves);
        let (status, body) = self.send(method, path, &stranger, &[OTHER]).await;
        self.assert_no_secret(&format!("{method} {path}: {status} {body}"), status, &body);
    }

    fn assert_no_secret(&self, what: &str, status: u16, body: &str) {
        assert!(status < 500, "{what}");
        assert!(self.secrets.iter().all(|secret| !body.contains(secret)), "{what}");
    }

    /// The identities of the caller of [`TENANT`] and of the one of [`OTHER`].
    fn identities(&self, serves: Serves) -> [String; 2] {
        [TENANT, OTHER].map(|tenant| match serves {
            Serves::Services => self.edge.service_of(tenant, self.caller, self.service),
            Serves::People | Serves::Anyone => {
                let person = Person { tenant: Some(tenant.parse().unwrap()), ..self.person.clone() };
                self.edge.person(&person, self.service)
            }
        })
    }

    async fn send(&self, method: &str, path: &str, identity: &str, tenants: &[&str]) -> (u16, String) {
        let line = format!("{method} {path}");
        let example = self.examples.iter().find(|example| example.operation == line);
        let (query, body) = example.map_or(("", "{}"), |example| (example.query, example.body));
        let target = format!("{}{query}", self.with_values(path));
        let mut request = Request::builder().method(method).uri(target).header(IDENTITY, identity);
        for tenant in tenants {
            request = request.header(HEADER, *tenant);
        }
        let request = request.header("content-type", "application/json");
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// Returns `path` with a value for each parameter.
    fn with_values(&self, path: &str) -> String {
        let value = |segment: &str| match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            None => segment.to_owned(),
            Some(name) => {
                let known = self.parameters.iter().find(|(parameter, _)| *parameter == name);
                known.unwrap_or_else(|| panic!("no value for {{{name}}} of {path}")).1.to_owned()
            }
        };
        path.split('/').map(value).collect::<Vec<_>>().join("/")
    }
}

/// Returns whom an operation of `document` serves, by its security requirements.
fn serves(document: &OpenApi, method: &str, path: &str) -> Serves {
    let item = document.paths.paths.get(path);
    let operation: Option<&Operation> = item.and_then(|item| operation(item, method));
    let requirements = serde_json::to_value(operation.map(|operation| &operation.security)).unwrap();
    let schemes: Vec<&str> = requirements
        .as_array()
        .unwrap_or_else(|| panic!("{method} {path} says nothing of its callers"))
        .iter()
        .flat_map(|requirement| requirement.as_object().unwrap().keys().map(String::as_str))
        .collect();
    match schemes[..] {
        ["service"] => Serves::Services,
        ["session"] => Serves::People,
        // Refresh and sign-out read tokens of the client, whether they are valid or not.
        _ => Serves::Anyone,
    }
}
