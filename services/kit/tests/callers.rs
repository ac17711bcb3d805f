//! The extractors: each accepts a person, a service or a client, and no caller in another's place.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::FromRef;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::ManualClock;
use identity::assertion::{Signer, Verifier};
use identity::{Caller as Proved, Role, Service};
use kit::caller::{SessionExpiry, Words};
use kit::testing::{START, TENANT, TestHome, person};
use kit::{Caller, Client, Gate, Person, PlatformService, ServiceCaller, TenantService};
use tower::ServiceExt as _;

const SUBJECT: &str = "0192d3c0-0000-7000-8000-0000000000aa";
const SESSION: &str = "0192d3c0-0000-7000-8000-0000000000bb";
const REFUSED: (u16, &str) = (401, "Unauthorized");

#[derive(Clone)]
struct App(Gate);

impl FromRef<App> for Gate {
    fn from_ref(app: &App) -> Self {
        app.0.clone()
    }
}

struct Fixture {
    home: TestHome,
    clock: ManualClock,
    router: Router,
}

impl Fixture {
    fn new() -> Self {
        let (home, clock) = (TestHome::new(), ManualClock::at(START));
        let verifier = Verifier::new("here").trust_file("dev", &home.key("identity.jwks.json")).unwrap();
        let words = Words { unauthenticated: "Unauthorized", not_found: "Not found" };
        let gate = Gate::new(verifier, Arc::new(clock.clone()), words);
        let router = Router::new()
            .route("/person", get(|Person(person): Person| async move { person.subject.to_string() }))
            .route("/expiry", get(|expiry: SessionExpiry| async move { format!("{:?}", expiry.0) }))
            .route("/service", get(|service: ServiceCaller| async move { called(service) }))
            .route("/platform", get(|service: PlatformService| async move { service.name.to_string() }))
            .route(
                "/tenant",
                get(|service: TenantService| async move { format!("{} {}", service.name, service.tenant) }),
            )
            .route(
                "/client",
                get(|Client(client): Client| async move {
                    let tenant = client.tenant.as_ref().map_or("no tenant".to_owned(), ToString::to_string);
                    format!("{} of {tenant} may {}", client.name, client.scopes.join(" "))
                }),
            )
            .route(
                "/anyone",
                get(|Caller(caller): Caller| async move {
                    match caller {
                        Proved::Person(person) => person.subject.to_string(),
                        Proved::Service(service) => said(&service),
                        Proved::Client(client) => client.name.to_string(),
                    }
                }),
            )
            .with_state(App(gate));
        Self { home, clock, router }
    }

    fn sign(&self, caller: &Proved, audience: &str) -> String {
        use clock::Clock as _;
        let signer =
            Signer::from_file("dev", &self.home.key("identity.pem")).unwrap().in_form(kit::caller::form());
        signer.sign(caller, audience, self.clock.now()).unwrap()
    }

    async fn ask(&self, path: &str, identities: &[&str]) -> (u16, String) {
        let tenant = identities.first().and_then(|identity| kit::testing::tenant_in(identity));
        let tenants: Vec<_> = tenant.iter().map(String::as_str).collect();
        self.ask_for(path, identities, &tenants).await
    }

    /// With `x-tenant-id` for each of `tenants`.
    async fn ask_for(&self, path: &str, identities: &[&str], tenants: &[&str]) -> (u16, String) {
        let mut request = http::Request::get(path);
        for tenant in tenants {
            request = request.header("x-tenant-id", *tenant);
        }
        for identity in identities {
            request = request.header("x-madome-identity", *identity);
        }
        // The plain headers have no effect.
        let request = request.header("x-madome-auth-sub", "somebody-else").body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 1_024).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }
}

fn called(service: ServiceCaller) -> String {
    match service {
        ServiceCaller::Platform(PlatformService { name, .. }) => format!("{name} for the platform"),
        ServiceCaller::Tenant(TenantService { name, tenant }) => format!("{name} for {tenant}"),
    }
}

fn said(service: &Service) -> String {
    match &service.tenant {
        Some(tenant) => format!("{service} for {tenant}"),
        None => format!("{service} for the platform"),
    }
}

#[tokio::test]
async fn an_identity_that_was_verified_a_moment_ago_is_still_judged() {
    let f = Fixture::new();
    let good = f.sign(&Proved::Person(person(SUBJECT, SESSION, Role::NORMAL)), "here");
    let accepted = (200, SUBJECT.to_owned());
    let refused = (REFUSED.0, REFUSED.1.to_owned());
    for _ in 0..3 {
        assert_eq!(f.ask("/person", &[&good]).await, accepted);
    }
    // As another kind, beside another tenant, twice, and with one byte of the claims or of the signature changed.
    assert_eq!(f.ask("/service", &[&good]).await.0, 404);
    assert_eq!(f.ask_for("/person", &[&good], &[]).await, refused);
    assert_eq!(f.ask("/person", &[&good, &good]).await, refused);
    for at in [good.find('.').unwrap() + 20, good.rfind('.').unwrap() + 20] {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(bytes).unwrap();
        assert_eq!(f.ask_for("/person", &[&altered], &[TENANT]).await, refused);
    }
    // For another service, and from an edge with another key.
    let elsewhere = f.sign(&Proved::Person(person(SUBJECT, SESSION, Role::NORMAL)), "there");
    assert_eq!(f.ask("/person", &[&elsewhere]).await, refused);
    let stranger = Fixture::new().sign(&Proved::Person(person(SUBJECT, SESSION, Role::NORMAL)), "here");
    assert_eq!(f.ask("/person", &[&stranger]).await, refused);
    // It ends with its minute and the leeway for clocks, to the second, however often it was used.
    f.clock.advance_seconds(65);
    assert_eq!(f.ask("/person", &[&good]).await, accepted);
    f.clock.advance_seconds(1);
    assert_eq!(f.ask("/person", &[&good]).await, refused);
    // A clock that was set back does not make it count before it was signed.
    f.clock.set(START);
    assert_eq!(f.ask("/person", &[&good]).await, accepted);
    f.clock.set(clock::UnixTime::from_seconds(START.seconds() - 6));
    assert_eq!(f.ask("/person", &[&good]).await, refused);
}

#[tokio::test]
async fn each_extractor_accepts_its_own_kind_of_caller_and_no_other() {
    let f = Fixture::new();
    let a_person = f.sign(&Proved::Person(person(SUBJECT, SESSION, Role::NORMAL)), "here");
    let service = f.sign(&Proved::Service("reports".parse().unwrap()), "here");
    let tenant = Some(TENANT.parse().unwrap());
    let acting = Service { name: "reports".parse().unwrap(), tenant: tenant.clone() };
    let acting = f.sign(&Proved::Service(acting), "here");
    let client = identity::Client {
        name: "nightly".parse().unwrap(),
        tenant,
        role: None,
        roles: Vec::new(),
        scopes: vec!["books.read".to_owned(), "books.write".to_owned()],
    };
    let client = f.sign(&Proved::Client(client), "here");
    let mut stranger = person(SUBJECT, SESSION, Role::NORMAL);
    stranger.tenant = None;
    let without_a_tenant = f.sign(&Proved::Person(stranger), "here");
    let of_another_issuer = f.sign(&Proved::Person(person("auth0|5f7c", SESSION, Role::NORMAL)), "here");
    let platform = "reports for the platform".to_owned();
    let for_tenant = format!("reports for {TENANT}");
    let may = format!("nightly of {TENANT} may books.read books.write");
    let refused = || (REFUSED.0, REFUSED.1.to_owned());
    let not_there = || (404, "Not found".to_owned());
    for (path, identity, expected) in [
        ("/person", &a_person, (200, SUBJECT.to_owned())),
        ("/person", &without_a_tenant, refused()),
        ("/person", &of_another_issuer, refused()),
        ("/person", &service, refused()),
        ("/person", &client, refused()),
        ("/service", &a_person, not_there()),
        ("/service", &service, (200, platform.clone())),
        ("/service", &acting, (200, for_tenant.clone())),
        ("/service", &client, not_there()),
        ("/platform", &service, (200, "reports".to_owned())),
        ("/platform", &acting, not_there()),
        ("/platform", &a_person, not_there()),
        ("/platform", &client, not_there()),
        ("/tenant", &acting, (200, format!("reports {TENANT}"))),
        ("/tenant", &service, not_there()),
        ("/tenant", &a_person, not_there()),
        ("/tenant", &client, not_there()),
        ("/client", &a_person, refused()),
        ("/client", &service, refused()),
        ("/client", &client, (200, may)),
        ("/anyone", &a_person, (200, SUBJECT.to_owned())),
        ("/anyone", &service, (200, platform)),
        ("/anyone", &acting, (200, for_tenant)),
        ("/anyone", &client, refused()),
    ] {
        assert_eq!(f.ask(path, &[identity]).await, expected, "{path}");
    }
}

#[tokio::test]
async fn an_identity_that_is_missing_doubled_old_or_for_another_service_is_refused() {
    let f = Fixture::new();
    let client = Proved::Client(identity::Client {
        name: "nightly".parse().unwrap(),
        tenant: Some(TENANT.parse().unwrap()),
        role: None,
        roles: Vec::new(),
        scopes: Vec::new(),
    });
    let (good, elsewhere) = (f.sign(&client, "here"), f.sign(&client, "there"));
    let refused = (REFUSED.0, REFUSED.1.to_owned());
    for identities in [&[][..], &[good.as_str(), good.as_str()], &[elsewhere.as_str()], &["nightly"]] {
        assert_eq!(f.ask("/client", identities).await, refused, "{} identities", identities.len());
    }
    assert_eq!(f.ask("/client", &[&good]).await.0, 200);
    f.clock.advance_seconds(66);
    assert_eq!(f.ask("/client", &[&good]).await, refused, "old");
}

#[tokio::test]
async fn the_plain_tenant_has_to_be_the_signed_one() {
    const OTHER: &str = "0192d3c0-0000-7000-8000-0000000000cc";
    let f = Fixture::new();
    let a_person = f.sign(&Proved::Person(person(SUBJECT, SESSION, Role::NORMAL)), "here");
    let platform = f.sign(&Proved::Service("reports".parse().unwrap()), "here");
    let acting = Service { name: "reports".parse().unwrap(), tenant: Some(TENANT.parse().unwrap()) };
    let acting = f.sign(&Proved::Service(acting), "here");
    let client = identity::Client {
        name: "nightly".parse().unwrap(),
        tenant: Some(TENANT.parse().unwrap()),
        role: None,
        roles: Vec::new(),
        scopes: Vec::new(),
    };
    let client = f.sign(&Proved::Client(client), "here");
    let upper = TENANT.replace("7000", "7000 ");
    let wrong: [&[&str]; 6] = [&[], &[OTHER], &[""], &[TENANT, TENANT], &[TENANT, OTHER], &[upper.as_str()]];
    for (path, identity) in [
        ("/person", &a_person),
        ("/tenant", &acting),
        ("/service", &acting),
        ("/client", &client),
        ("/anyone", &a_person),
    ] {
        assert_eq!(f.ask_for(path, &[identity], &[TENANT]).await.0, 200, "{path}");
        for tenants in wrong {
            let refused = (REFUSED.0, REFUSED.1.to_owned());
            assert_eq!(f.ask_for(path, &[identity], tenants).await, refused, "{path} {tenants:?}");
        }
    }
    // A service of the platform acts for no tenant, so none may stand beside its identity.
    assert_eq!(f.ask_for("/platform", &[&platform], &[]).await.0, 200);
    for tenants in [&[TENANT][..], &[""], &[TENANT, TENANT]] {
        let refused = (REFUSED.0, REFUSED.1.to_owned());
        assert_eq!(f.ask_for("/platform", &[&platform], tenants).await, refused, "{tenants:?}");
    }
}

/// A token of the legacy backend names its session `id`, one of the platform `sid`.
#[tokio::test]
async fn the_expiry_is_that_of_the_token_of_the_verified_session() {
    const OTHER: &str = "0192d3c0-0000-7000-8000-0000000000cc";
    let f = Fixture::new();
    let identity = f.sign(&Proved::Person(person(SUBJECT, SESSION, Role::NORMAL)), "here");
    for (claims, expected) in [
        (format!(r#"{{"sid":"{SESSION}","exp":7}}"#), Some(7)),
        (format!(r#"{{"id":"{SESSION}","exp":7}}"#), Some(7)),
        (format!(r#"{{"id":"{OTHER}","sid":"{SESSION}","exp":7}}"#), Some(7)),
        (format!(r#"{{"sid":"{SESSION}","id":17,"exp":7}}"#), Some(7)),
        (format!(r#"{{"sid":"{OTHER}","id":"{SESSION}","exp":7}}"#), None),
        (format!(r#"{{"id":"{OTHER}","exp":7}}"#), None),
        (r#"{"id":["x"],"exp":7}"#.to_owned(), None),
        (r#"{"exp":7}"#.to_owned(), None),
        (format!(r#"{{"id":"{SESSION}"}}"#), None),
    ] {
        let token = format!("x.{}.x", URL_SAFE_NO_PAD.encode(&claims));
        let request = http::Request::get("/expiry")
            .header("x-madome-identity", &identity)
            .header("x-tenant-id", TENANT)
            .header("cookie", format!("madome_access_token={token}"));
        let response = f.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let body = to_bytes(response.into_body(), 1_024).await.unwrap();
        assert_eq!(String::from_utf8(body.to_vec()).unwrap(), format!("{expected:?}"), "{claims}");
    }
}
