//! Every reason for which a credential is refused, with its stable code.

use api_keys::KeyFault;
use identity::assertion::Rejected;

/// Why an offered credential is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialFault {
    /// Two credentials that disagree: two `Cookie` lines, a cookie and a bearer token, or two kinds that
    /// prove different principals ([`accept`](super::accept)). Whichever the edge chose, a backend might
    /// choose the other.
    Ambiguous,
    /// More cookies than [`MAX_PAIRS`](super::cookie::MAX_PAIRS).
    TooManyCookies,
    /// Parts of a split cookie are missing, or more than there may be.
    CookieParts,
    /// More than one `Authorization` line.
    RepeatedAuthorization,
    /// The scheme is `Bearer`, but exactly one token does not follow it.
    MalformedBearer,
    /// The access token was refused.
    Token(TokenFault),
    /// The service's assertion was refused.
    Assertion(Rejected),
    /// The API key was refused.
    ApiKey(ApiKeyFault),
    /// The legacy session was refused.
    Legacy(LegacyFault),
    /// The service token was refused.
    ServiceToken(Rejected),
    /// The request's signature was refused.
    Signature(SignatureFault),
    /// The webhook's signature was refused.
    Webhook(WebhookFault),
    /// The client's certificate proves no caller.
    Certificate(CertificateFault),
}

impl CredentialFault {
    /// The stable code of this fault.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Ambiguous => "ambiguous_credential",
            Self::TooManyCookies => "too_many_cookies",
            Self::CookieParts => "cookie_parts_invalid",
            Self::RepeatedAuthorization => "repeated_authorization",
            Self::MalformedBearer => "malformed_bearer",
            Self::Token(fault) => fault.code(),
            Self::ApiKey(fault) => fault.code(),
            Self::Legacy(fault) => fault.code(),
            Self::Signature(fault) => fault.code(),
            Self::Webhook(fault) => fault.code(),
            Self::Certificate(CertificateFault::Unknown) => "certificate_unknown",
            Self::ServiceToken(rejected) => match rejected {
                Rejected::Malformed => "service_token_malformed",
                Rejected::UnknownKey => "service_token_unknown_key",
                Rejected::BadSignature => "service_token_bad_signature",
                Rejected::WrongAudience => "service_token_wrong_audience",
                Rejected::WrongTime => "service_token_wrong_time",
                Rejected::WrongClaims => "service_token_wrong_claims",
            },
            Self::Assertion(rejected) => match rejected {
                Rejected::Malformed => "assertion_malformed",
                Rejected::UnknownKey => "assertion_unknown_key",
                Rejected::BadSignature => "assertion_bad_signature",
                Rejected::WrongAudience => "assertion_wrong_audience",
                Rejected::WrongTime => "assertion_wrong_time",
                Rejected::WrongClaims => "assertion_wrong_claims",
            },
        }
    }
}

impl CredentialFault {
    /// The claim of a token at fault, when one is.
    #[must_use]
    pub const fn claim(self) -> Option<Claim> {
        match self {
            Self::Token(fault) => fault.claim(),
            Self::Ambiguous
            | Self::TooManyCookies
            | Self::CookieParts
            | Self::RepeatedAuthorization
            | Self::MalformedBearer
            | Self::Assertion(_)
            | Self::ApiKey(_)
            | Self::Legacy(_)
            | Self::ServiceToken(_)
            | Self::Signature(_)
            | Self::Webhook(_)
            | Self::Certificate(_) => None,
        }
    }
}

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// Longer than its issuer's limit.
    TooLong,
    /// Not a compact JWS with an accepted header.
    Malformed,
    /// The `typ` is that of another kind of token: a refresh token, a signed identity.
    WrongType,
    /// No loaded key has this `kid`.
    UnknownKey,
    /// The `alg` is not the one that the key is pinned to.
    WrongAlgorithm,
    /// The signature does not match.
    BadSignature,
    /// The claims are not a JSON object of distinct members.
    WrongClaims,
    /// A claim that the issuer's tokens need is absent.
    ClaimMissing(Claim),
    /// A claim has another type or form than it needs.
    ClaimInvalid(Claim),
    /// Issued by another issuer.
    WrongIssuer,
    /// Issued for another audience.
    WrongAudience,
    /// Past `exp` and the leeway.
    Expired,
    /// Before `nbf`, or issued in the future, by more than the leeway.
    NotYetValid(Claim),
    /// The issuer says of an opaque token that it is not active: unknown, expired or revoked (RFC 7662 §2.2).
    Inactive,
}

impl TokenFault {
    /// The stable code of this fault.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::TooLong => "token_too_long",
            Self::Malformed => "token_malformed",
            Self::WrongType => "token_wrong_type",
            Self::UnknownKey => "token_unknown_key",
            Self::WrongAlgorithm => "token_wrong_algorithm",
            Self::BadSignature => "token_bad_signature",
            Self::WrongClaims => "token_wrong_claims",
            Self::ClaimMissing(_) => "token_claim_missing",
            Self::ClaimInvalid(_) => "token_claim_invalid",
            Self::WrongIssuer => "token_wrong_issuer",
            Self::WrongAudience => "token_wrong_audience",
            Self::Expired => "token_expired",
            Self::NotYetValid(_) => "token_not_yet_valid",
            Self::Inactive => "token_inactive",
        }
    }

    /// The claim at fault, when one is.
    #[must_use]
    pub const fn claim(self) -> Option<Claim> {
        match self {
            Self::ClaimMissing(claim) | Self::ClaimInvalid(claim) | Self::NotYetValid(claim) => Some(claim),
            Self::WrongAudience => Some(Claim::Audience),
            Self::WrongIssuer => Some(Claim::Issuer),
            Self::Expired => Some(Claim::Expires),
            Self::TooLong
            | Self::Malformed
            | Self::WrongType
            | Self::UnknownKey
            | Self::WrongAlgorithm
            | Self::BadSignature
            | Self::WrongClaims
            | Self::Inactive => None,
        }
    }
}

/// What a claim says. The edge file decides the claim's name for each issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The issuer (`iss`).
    Issuer,
    /// The audience (`aud`, or the `audience_claim` of the issuer).
    Audience,
    /// The person.
    Subject,
    /// The session.
    Session,
    /// The tenant.
    Tenant,
    /// The level.
    Role,
    /// The names of the roles.
    Roles,
    /// The scopes.
    Scopes,
    /// The moment of issue (`iat`).
    Issued,
    /// The end (`exp`).
    Expires,
    /// The beginning (`nbf`).
    NotBefore,
}

impl Claim {
    /// The name in decision records and explanations.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Subject => "subject",
            Self::Session => "session",
            Self::Tenant => "tenant",
            Self::Role => "role",
            Self::Roles => "roles",
            Self::Scopes => "scopes",
            Self::Issued => "iat",
            Self::Expires => "exp",
            Self::NotBefore => "nbf",
        }
    }
}

/// Why an API key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiKeyFault {
    /// More than one line with a key.
    Repeated,
    /// The key itself is refused.
    Key(KeyFault),
}

impl ApiKeyFault {
    /// The stable code of this fault.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Repeated => "api_key_repeated",
            Self::Key(KeyFault::Malformed) => "api_key_malformed",
            Self::Key(KeyFault::Unknown) => "api_key_unknown",
            Self::Key(KeyFault::WrongSecret) => "api_key_wrong_secret",
            Self::Key(KeyFault::Revoked) => "api_key_revoked",
            Self::Key(KeyFault::Expired) => "api_key_expired",
        }
    }
}

/// Why a legacy session is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegacyFault {
    /// Longer than [`MAX_BYTES`](super::legacy::MAX_BYTES), or not a token as the legacy backend writes it.
    Malformed,
    /// The header names another algorithm than HS256.
    WrongAlgorithm,
    /// No such session: it has ended, or it never existed.
    UnknownSession,
    /// The signature does not match the session's key.
    BadSignature,
    /// A claim is missing or of the wrong type; a refresh token.
    WrongClaims,
    /// Past `exp` and the leeway.
    Expired,
    /// The legacy backend refused the session.
    Refused,
}

impl LegacyFault {
    /// The stable code of this fault.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "legacy_malformed",
            Self::WrongAlgorithm => "legacy_wrong_algorithm",
            Self::UnknownSession => "legacy_unknown_session",
            Self::BadSignature => "legacy_bad_signature",
            Self::WrongClaims => "legacy_wrong_claims",
            Self::Expired => "legacy_expired",
            Self::Refused => "legacy_refused",
        }
    }
}

/// Why an offered signature is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureFault {
    /// The signature itself is invalid.
    Signature(signed_request::Fault),
    /// No loaded key has this name.
    UnknownKey,
    /// Made in the future: a clock is wrong, or the time is in milliseconds.
    NotYetValid,
    /// Its window is closed.
    Expired,
    /// Its nonce was used before.
    Replayed,
}

impl SignatureFault {
    /// The stable code of this fault.
    #[must_use]
    pub const fn code(self) -> &'static str {
        use signed_request::Fault;
        match self {
            Self::Signature(Fault::Malformed) => "signature_malformed",
            Self::Signature(Fault::Ambiguous) => "signature_ambiguous",
            Self::Signature(Fault::Incomplete) => "signature_incomplete",
            Self::Signature(Fault::UnknownComponent) => "signature_unknown_component",
            Self::Signature(Fault::Unsignable) => "signature_unsignable",
            Self::Signature(Fault::WrongTag) => "signature_wrong_tag",
            Self::Signature(Fault::WrongAlgorithm) => "signature_wrong_algorithm",
            Self::Signature(Fault::BadSignature) => "signature_bad",
            Self::Signature(Fault::WrongDigest) => "signature_wrong_digest",
            Self::UnknownKey => "signature_unknown_key",
            Self::NotYetValid => "signature_not_yet_valid",
            Self::Expired => "signature_expired",
            Self::Replayed => "signature_replayed",
        }
    }
}

impl From<signed_request::Fault> for SignatureFault {
    fn from(fault: signed_request::Fault) -> Self {
        Self::Signature(fault)
    }
}

/// Why a client's certificate is refused, after Envoy has verified it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateFault {
    /// The edge file lists no caller with its name.
    Unknown,
}

/// Why a webhook is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookFault {
    /// No line of the signature's header.
    Missing,
    /// Several lines of a header that counts.
    Repeated,
    /// The value has not the form that the edge file gives, or the digest not its encoding.
    Malformed,
    /// No secret makes this digest of what was sent.
    Wrong,
    /// A header that is part of the signed text is missing, too long, or contains the text behind it.
    Incomplete,
    /// Nothing says when it was signed.
    NoTimestamp,
    /// The moment of signing is not a number of seconds.
    MalformedTimestamp,
    /// Signed longer ago than the tolerance.
    TooOld,
    /// Signed further in the future than the tolerance: a clock is wrong.
    TooNew,
    /// Accepted before.
    Replayed,
}

impl WebhookFault {
    /// The stable code of this fault.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "webhook_signature_missing",
            Self::Repeated => "webhook_signature_repeated",
            Self::Malformed => "webhook_signature_malformed",
            Self::Wrong => "webhook_signature_wrong",
            Self::Incomplete => "webhook_signature_incomplete",
            Self::NoTimestamp => "webhook_timestamp_missing",
            Self::MalformedTimestamp => "webhook_timestamp_malformed",
            Self::TooOld => "webhook_signature_too_old",
            Self::TooNew => "webhook_signature_too_new",
            Self::Replayed => "webhook_signature_replayed",
        }
    }
}
