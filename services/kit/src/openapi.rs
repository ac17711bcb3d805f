//! The OpenAPI documents of a service, made from its routes.
//!
//! A service builds its router from handlers with `#[utoipa::path]` and `routes!`, so a route without a description
//! does not compile. The public document has the routes for clients on the later surface
//! ([`Surface`](crate::generation::Surface)); the internal one has the routes for services, below `/_/`. Both are in the
//! service's directory `openapi/`, where a test compares them with the code, and each service prints them
//! ([`command`]). The older surface has no document: its clients know the legacy backend's bytes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use utoipa::IntoResponses;
use utoipa::openapi::info::InfoBuilder;
use utoipa::openapi::response::{Response, ResponseBuilder};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, License, OpenApi, RefOr, Server};

use crate::caller::ACCESS_COOKIE;

/// The name of the cookie that holds a refresh token.
const REFRESH_COOKIE: &str = "madome_refresh_token";

/// The security scheme of a person: the cookie with the access token.
pub const SESSION: &str = "session";
/// The security scheme of a refresh: the cookie with the refresh token.
pub const REFRESH: &str = "refresh";
/// The security scheme of a service: its signed assertion or a service token.
pub const SERVICE: &str = "service";

/// The documents of one service.
#[derive(Clone)]
pub struct Documents {
    /// The routes for clients.
    pub public: OpenApi,
    /// The routes for services, which no client reaches.
    pub internal: OpenApi,
}

impl Documents {
    /// Completes the documents of the routes of the service `name`: title, purpose and security schemes.
    #[must_use]
    pub fn of(name: &str, purpose: &str, public: OpenApi, internal: OpenApi) -> Self {
        let session = (SESSION, cookie(ACCESS_COOKIE, "The access token. It lives for four hours."));
        let refresh = (REFRESH, cookie(REFRESH_COOKIE, "The refresh token. It lives for seven days."));
        let service = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The service's signed assertion, or a service token."))
            .build();
        let service = (SERVICE, SecurityScheme::Http(service));
        Self {
            public: completed(public, name, purpose, "The API host of the edge.", &[session, refresh]),
            internal: completed(internal, name, purpose, "The service listener of the edge.", &[service]),
        }
    }
}

/// Returns `document` as YAML.
///
/// # Errors
/// Never, for a document that this module made.
pub fn yaml(document: &OpenApi) -> Result<String, serde_saphyr::SerializeError> {
    serde_saphyr::to_string(document)
}

/// Serves the command `PROGRAM openapi public|internal`, which prints a document. Returns `None` for every other command
/// line.
pub fn command(arguments: &[OsString], documents: fn() -> Documents) -> Option<ExitCode> {
    let (first, second) = (arguments.get(1)?, arguments.get(2));
    if first != "openapi" {
        return None;
    }
    let document = match second.and_then(|audience| audience.to_str()) {
        Some("public") => documents().public,
        Some("internal") => documents().internal,
        _ => {
            eprintln!("name a document: `openapi public` (for clients) or `openapi internal` (for services)");
            return Some(ExitCode::from(2));
        }
    };
    Some(match yaml(&document).map(|text| std::io::stdout().write_all(text.as_bytes())) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            eprintln!("the document cannot be printed: {error}");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("the document cannot be written as YAML: {error}");
            ExitCode::FAILURE
        }
    })
}

fn cookie(name: &str, description: &str) -> SecurityScheme {
    SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(name, description)))
}

fn completed(
    mut document: OpenApi,
    name: &str,
    purpose: &str,
    server: &str,
    schemes: &[(&str, SecurityScheme)],
) -> OpenApi {
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    document.info =
        InfoBuilder::new().title(name).description(Some(purpose)).version("1").license(Some(license)).build();
    let mut here = Server::new("/");
    here.description = Some(server.to_owned());
    document.servers = Some(vec![here]);
    document.tags = Some(vec![TagBuilder::new().name(name).description(Some(purpose)).build()]);
    let components = document.components.get_or_insert_with(Components::default);
    for (scheme, described) in schemes {
        components.add_security_scheme(*scheme, described.clone());
    }
    document
}

/// A refusal for the documents: its status and description. It has no content type in the answer, so it has none in
/// the document.
fn refusal(status: u16, description: &str) -> BTreeMap<String, RefOr<Response>> {
    let response = ResponseBuilder::new().description(description).build();
    BTreeMap::from([(status.to_string(), RefOr::T(response))])
}

/// Declares a documented refusal.
macro_rules! refusals {
    ($($(#[doc = $doc:literal])+ $name:ident = $status:literal, $description:literal;)+) => {
        $(
            $(#[doc = $doc])+
            #[derive(Debug)]
            pub struct $name;

            impl IntoResponses for $name {
                fn responses() -> BTreeMap<String, RefOr<Response>> {
                    refusal($status, $description)
                }
            }
        )+
    };
}

refusals! {
    /// 400.
    Invalid = 400, "The path, the query or the body is not valid; the text says why.";
    /// 401.
    Unauthenticated = 401, "The caller is not signed in.";
    /// 403.
    Forbidden = 403, "The caller's role is too low, or the tenant is suspended.";
    /// 404.
    NotFound = 404, "The resource does not exist.";
    /// 409.
    Taken = 409, "The name belongs to another thing already.";
    /// 413.
    TooLarge = 413, "The body is longer than 64 KiB.";
    /// 429.
    TooMany = 429, "Too many requests; `retry-after` can say when the next one may come.";
    /// 500.
    Failed = 500, "The service failed; the log has the reason.";
    /// 503.
    Unavailable = 503, "The service or the edge cannot answer at the moment.";
}
