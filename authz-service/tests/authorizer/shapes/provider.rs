//! A token of each of six providers, and what a backend is to read from it.

use serde_json::{Value, json};

use crate::kit::NOW;

/// One provider: what the edge file says about it, and a token as it issues them.
pub(super) struct Provider {
    pub(super) name: &'static str,
    pub(super) issuer: &'static str,
    /// The lines of `sessions` after `keys`.
    pub(super) settings: &'static str,
    pub(super) audience: &'static str,
    pub(super) header: Value,
    pub(super) claims: Value,
    pub(super) subject: &'static str,
    pub(super) tenant: Option<&'static str>,
    pub(super) session: Option<&'static str>,
    pub(super) roles: &'static [&'static str],
    pub(super) scopes: &'static [&'static str],
}

/// Keycloak 26, an access token of a realm.
pub(super) fn keycloak() -> Provider {
    Provider {
        name: "Keycloak",
        issuer: "https://login.acme.test/realms/acme",
        settings: "claims: { roles: realm_access.roles, tenant: organization, session: sid, scopes: scope }",
        audience: "acme-api",
        header: json!({ "alg": "RS256", "typ": "JWT", "kid": "key-1" }),
        claims: json!({
            "exp": NOW + 300, "iat": NOW - 1, "auth_time": NOW - 9, "jti": "onrtac:2a51", "aud": ["acme-api", "account"],
            "iss": "https://login.acme.test/realms/acme", "sub": "f3c1d5a2-8b1e-4f60-9f2f-0c6b1e0f7a11", "typ": "Bearer",
            "azp": "acme-web", "sid": "c1d7a0de-55c5-4c1a-8f4e-1f0a5b1f2e3d", "acr": "1",
            "allowed-origins": ["https://app.acme.test"], "organization": "acme-corp",
            "realm_access": { "roles": ["offline_access", "admin", "default-roles-acme"] },
            "resource_access": { "account": { "roles": ["view-profile"] } },
            "scope": "openid email profile", "email_verified": true, "preferred_username": "zoe",
        }),
        subject: "f3c1d5a2-8b1e-4f60-9f2f-0c6b1e0f7a11",
        tenant: Some("acme-corp"),
        session: Some("c1d7a0de-55c5-4c1a-8f4e-1f0a5b1f2e3d"),
        roles: &["offline_access", "admin", "default-roles-acme"],
        scopes: &["openid", "email", "profile"],
    }
}

/// Auth0, an access token for an API, with the permissions of role-based access control.
pub(super) fn auth0() -> Provider {
    Provider {
        name: "Auth0",
        issuer: "https://acme.eu.auth0.test/",
        settings: "claims: { roles: permissions, tenant: org_id }\n  required: [tenant]",
        audience: "https://api.acme.test",
        header: json!({ "alg": "RS256", "typ": "JWT", "kid": "key-1", "x5t": "NjVBRjY5MDlCMUIw" }),
        claims: json!({
            "iss": "https://acme.eu.auth0.test/", "sub": "auth0|5f7c8ec7c33c6c004bbafe82",
            "aud": ["https://api.acme.test", "https://acme.eu.auth0.test/userinfo"], "iat": NOW - 1, "exp": NOW + 86_400,
            "azp": "my_client_id", "scope": "openid profile email", "org_id": "org_9ybsU1dN2dKfDkBi",
            "permissions": ["read:orders", "write:orders"],
        }),
        subject: "auth0|5f7c8ec7c33c6c004bbafe82",
        tenant: Some("org_9ybsU1dN2dKfDkBi"),
        session: None,
        roles: &["read:orders", "write:orders"],
        scopes: &["openid", "profile", "email"],
    }
}

/// Microsoft Entra ID, a version 2 access token; its keys have no `alg`.
pub(super) fn entra() -> Provider {
    Provider {
        name: "Entra",
        issuer: "https://login.microsoftonline.test/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
        settings: "claims: { tenant: tid, session: sid, scopes: scp, roles: roles }\n  algorithms: [RS256]",
        audience: "6e74172b-be56-4843-9ff4-e66a39bb12e3",
        header: json!({ "typ": "JWT", "alg": "RS256", "kid": "key-1", "x5t": "i6lGk3FZzxRcUb2C3nEQ7syHJlY" }),
        claims: json!({
            "aud": "6e74172b-be56-4843-9ff4-e66a39bb12e3",
            "iss": "https://login.microsoftonline.test/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
            "iat": NOW - 1, "nbf": NOW - 1, "exp": NOW + 3_600, "aio": "AXQAi/8IAAAA", "azpacr": "0", "name": "Zoë",
            "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "preferred_username": "zoe@acme.test", "rh": "I",
            "scp": "access_as_user", "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
            "tid": "72f988bf-86f1-41af-91ab-2d7cd011db47", "uti": "fqiBqXLPj0eQa82S-IYFAA", "ver": "2.0",
            "roles": ["Orders.Read.All"],
        }),
        subject: "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ",
        tenant: Some("72f988bf-86f1-41af-91ab-2d7cd011db47"),
        session: None,
        roles: &["Orders.Read.All"],
        scopes: &["access_as_user"],
    }
}

/// Okta, an access token of a custom authorization server: scopes as a list, groups as a claim, and no `typ`.
pub(super) fn okta() -> Provider {
    Provider {
        name: "Okta",
        issuer: "https://acme.okta.test/oauth2/default",
        settings: "claims: { subject: uid, scopes: scp, roles: groups, tenant: { constant: acme } }",
        audience: "api://default",
        header: json!({ "kid": "key-1", "alg": "RS256" }),
        claims: json!({
            "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "iss": "https://acme.okta.test/oauth2/default",
            "aud": "api://default", "iat": NOW - 1, "exp": NOW + 3_600, "cid": "nmdP1fcyvdVO11AL7ECm",
            "uid": "00ulthapbErVUwVJy4x6", "scp": ["openid", "orders.write"], "sub": "zoë@acme.test",
            "groups": ["Everyone", "Power Users"],
        }),
        subject: "00ulthapbErVUwVJy4x6",
        tenant: Some("acme"),
        session: None,
        roles: &["Everyone", "Power Users"],
        scopes: &["openid", "orders.write"],
    }
}

/// Amazon Cognito, an access token of a user pool: no `aud`.
pub(super) fn cognito() -> Provider {
    Provider {
        name: "Cognito",
        issuer: "https://cognito-idp.eu-central-1.amazonaws.test/eu-central-1_Ab12Cd34E",
        settings: "audience_claim: client_id\n  claims: { session: origin_jti, roles: \"cognito:groups\" }\n  required: [roles]",
        audience: "xxxxxxxxxxxxexample",
        header: json!({ "kid": "key-1", "alg": "RS256" }),
        claims: json!({
            "sub": "aaaaaaaa-bbbb-4ccc-dddd-eeeeeeeeeeee", "device_key": "eu-central-1_x", "cognito:groups": ["admin"],
            "token_use": "access", "scope": "aws.cognito.signin.user.admin", "auth_time": NOW - 9,
            "iss": "https://cognito-idp.eu-central-1.amazonaws.test/eu-central-1_Ab12Cd34E", "exp": NOW + 3_600,
            "iat": NOW - 1, "version": 2, "jti": "j", "origin_jti": "o-1:2", "client_id": "xxxxxxxxxxxxexample",
            "username": "zoe",
        }),
        subject: "aaaaaaaa-bbbb-4ccc-dddd-eeeeeeeeeeee",
        tenant: None,
        session: Some("o-1:2"),
        roles: &["admin"],
        scopes: &["aws.cognito.signin.user.admin"],
    }
}

/// Google, an ID token for a client: a numeric subject, the hosted domain as tenant.
pub(super) fn google() -> Provider {
    Provider {
        name: "Google",
        issuer: "https://accounts.google.test",
        settings: "claims: { tenant: hd }",
        audience: "1234987819200.apps.googleusercontent.test",
        header: json!({ "alg": "RS256", "kid": "key-1", "typ": "JWT" }),
        claims: json!({
            "iss": "https://accounts.google.test", "azp": "1234987819200.apps.googleusercontent.test",
            "aud": "1234987819200.apps.googleusercontent.test", "sub": "110169484474386276334",
            "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "hd": "acme.test", "email": "zoe@acme.test", "email_verified": true,
            "iat": NOW - 1, "exp": NOW + 3_600, "nonce": "0394852-3190485-2490358",
        }),
        subject: "110169484474386276334",
        tenant: Some("acme.test"),
        session: None,
        roles: &[],
        scopes: &[],
    }
}
