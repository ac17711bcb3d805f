//! Parts for the tests of services: a home with fresh keys, an edge that signs, a private PostgreSQL, a raw socket.
//!
//! Compiled only with the feature `testing`, which only `[dev-dependencies]` enable.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed"
)]

mod crossing;
mod direct;
mod documents;
mod listener;
mod plain;
mod postgres;
mod process;
mod wire;

use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair};
use base64::Engine as _;
use clock::{Clock, ManualClock, UnixTime};
use identity::assertion::{Signer, key_id};
use identity::{Caller, Person, Role, Service, ServiceName};
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, EncodingKey};

use crate::settings::Home;

pub use crossing::{Crossing, Example, OTHER};
pub use direct::Direct;
pub use documents::{assert_documented, assert_written, operations};
pub use listener::ServiceListener;
pub use plain::{as_the_edge, tenant_in};
pub use postgres::PrivatePostgres;
pub use process::{Binary, Refusal, Running};
pub use wire::Wire;

/// The tenant of the development people.
pub const TENANT: &str = "00000000-0000-7000-8000-000000000001";

/// The services with keys of their own.
const SERVICES: [&str; 3] = ["auth", "library", "users"];

/// The time at which manual clocks start: 2026-11-20T00:00:00Z.
pub const START: UnixTime = UnixTime::from_seconds(1_795_132_800);

/// A directory for `CUTOVER_HOME`, with every key that the services need. Removed when dropped.
#[derive(Debug)]
pub struct TestHome {
    directory: tempfile::TempDir,
}

impl Default for TestHome {
    fn default() -> Self {
        Self::new()
    }
}

impl TestHome {
    /// Creates a new directory with new keys.
    #[must_use]
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let keys = directory.path().join("keys");
        std::fs::create_dir(&keys).unwrap();
        write_ed25519(&keys, "identity");
        for service in SERVICES {
            write_ed25519(&keys, service);
        }
        write_ed25519(&keys, "service-token");
        write_ed25519(&keys, "tenants");
        write_p256(&keys, "session");
        Self { directory }
    }

    /// Returns the directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Returns the directory in the form that services take.
    #[must_use]
    pub fn home(&self) -> Home {
        Home(self.path().to_owned())
    }

    /// Returns an edge called `dev` that signs with the key of this home.
    #[must_use]
    pub fn edge(&self, clock: &ManualClock) -> TestEdge {
        let signer = Signer::from_file("dev", &self.home().key("identity.pem"))
            .unwrap()
            .in_form(crate::caller::form());
        TestEdge { signer, clock: clock.clone() }
    }

    /// Returns the path of the private key `name`.
    #[must_use]
    pub fn key(&self, name: &str) -> PathBuf {
        self.home().key(name)
    }
}

/// Signs identities as the edge does.
#[derive(Debug)]
pub struct TestEdge {
    signer: Signer,
    clock: ManualClock,
}

impl TestEdge {
    /// Returns the value of `x-madome-identity` for a person, for the backend `audience`.
    #[must_use]
    pub fn person(&self, person: &Person, audience: &str) -> String {
        self.signer.sign(&Caller::Person(person.clone()), audience, self.clock.now()).unwrap()
    }

    /// Returns the value of `x-madome-identity` for a service that acts for `tenant`, for the backend
    /// `audience`.
    #[must_use]
    pub fn service_of(&self, tenant: &str, name: &str, audience: &str) -> String {
        let service = Service { name: name.parse().unwrap(), tenant: Some(tenant.parse().unwrap()) };
        self.signer.sign(&Caller::Service(service), audience, self.clock.now()).unwrap()
    }

    /// Returns the value of `x-madome-identity` for a service that acts for the platform, for the backend
    /// `audience`.
    #[must_use]
    pub fn service(&self, name: &str, audience: &str) -> String {
        let name: ServiceName = name.parse().unwrap();
        self.signer.sign(&Caller::Service(name.into()), audience, self.clock.now()).unwrap()
    }
}

/// Returns the service `name` of the platform, as if the edge had signed it.
#[must_use]
pub fn platform_service(name: &str) -> crate::PlatformService {
    crate::PlatformService::proved(name.parse().unwrap())
}

/// Returns the proof of `tenant`, as if the edge had signed it.
#[must_use]
pub fn verified(tenant: &str) -> crate::VerifiedTenant {
    crate::VerifiedTenant::proved(tenant.parse().unwrap())
}

/// Returns a person of the development tenant, in the session `session`.
#[must_use]
pub fn person(subject: &str, session: &str, role: Role) -> Person {
    Person {
        subject: subject.parse().unwrap(),
        tenant: Some(TENANT.parse().unwrap()),
        roles: Vec::new(),
        session: Some(session.parse().unwrap()),
        role: Some(role),
        scopes: Vec::new(),
    }
}

fn write_ed25519(keys: &Path, name: &str) {
    let pair = Ed25519KeyPair::generate().unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    write_pair(keys, name, der.as_ref(), Algorithm::EdDSA);
}

fn write_p256(keys: &Path, name: &str) {
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    write_pair(keys, name, pair.to_pkcs8v1().unwrap().as_ref(), Algorithm::ES256);
}

fn write_pair(keys: &Path, name: &str, pkcs8: &[u8], algorithm: Algorithm) {
    let body = base64::engine::general_purpose::STANDARD.encode(pkcs8);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let key = if algorithm == Algorithm::EdDSA {
        EncodingKey::from_ed_pem(pem.as_bytes())
    } else {
        EncodingKey::from_ec_pem(pem.as_bytes())
    };
    let mut jwk = Jwk::from_encoding_key(&key.unwrap(), algorithm).unwrap();
    jwk.common.key_id = Some(key_id(&jwk).unwrap());
    let set = serde_json::to_vec(&JwkSet { keys: vec![jwk] }).unwrap();
    secret_file::write(&keys.join(format!("{name}.pem")), pem.as_bytes()).unwrap();
    std::fs::write(keys.join(format!("{name}.jwks.json")), set).unwrap();
}
