//! The JSON bodies. The types of codes and sign-ins are called `Payload`, as in the legacy backend, because the parser's messages
//! name the type and clients compare them.

pub(crate) mod code {
    //! `POST /auth/code`.

    use serde::Deserialize;
    use utoipa::ToSchema;

    /// Who wants a login code.
    #[derive(Deserialize, ToSchema)]
    #[schema(as = LoginCodeRequest)]
    pub(crate) struct Payload {
        #[schema(format = Email, example = "demo@example.com")]
        pub(crate) email: String,
    }
}

pub(crate) mod sign_in {
    //! `POST /auth/token`.

    use serde::Deserialize;
    use utoipa::ToSchema;

    /// An address and a code that was sent to it.
    #[derive(Deserialize, ToSchema)]
    #[schema(as = SignIn)]
    pub(crate) struct Payload {
        #[schema(format = Email, example = "demo@example.com")]
        pub(crate) email: String,
        /// Letters, digits, `_` and `-`.
        #[schema(min_length = 12, max_length = 12, example = "A1b2C3d4E5f6")]
        pub(crate) code: String,
    }
}

pub(crate) mod passkey {
    //! `PATCH /auth/passkey/registration` and `PATCH /auth/passkey/authentication`: what a browser answers, as
    //! `PublicKeyCredential.toJSON()` writes it (WebAuthn level 3, §5.1). These types are for the document; the library reads
    //! the bodies. All values are base64url without padding.
    #![expect(dead_code, reason = "the document needs the fields, and nothing reads them")]

    use utoipa::ToSchema;

    /// Options for the browser.
    #[derive(ToSchema)]
    #[schema(as = PasskeyOptions)]
    pub(crate) struct Options {
        /// What `PublicKeyCredential.parseCreationOptionsFromJSON()` or `parseRequestOptionsFromJSON()` reads.
        #[schema(rename = "publicKey", value_type = Object)]
        public_key: (),
    }

    /// A new passkey.
    #[derive(ToSchema)]
    #[schema(as = NewPasskey)]
    pub(crate) struct Registration {
        /// The id of the passkey.
        #[schema(rename = "rawId", example = "AAECAwQFBgc")]
        raw_id: String,
        response: Attestation,
    }

    /// What the authenticator made.
    #[derive(ToSchema)]
    #[schema(as = PasskeyAttestation)]
    pub(crate) struct Attestation {
        #[schema(rename = "clientDataJSON", example = "e30")]
        client_data_json: String,
        #[schema(rename = "attestationObject", example = "oA")]
        attestation_object: String,
    }

    /// A signature of a passkey.
    #[derive(ToSchema)]
    #[schema(as = PasskeySignIn)]
    pub(crate) struct Authentication {
        /// The id of the passkey.
        #[schema(rename = "rawId", example = "AAECAwQFBgc")]
        raw_id: String,
        response: Assertion,
    }

    /// What the authenticator signed.
    #[derive(ToSchema)]
    #[schema(as = PasskeyAssertion)]
    pub(crate) struct Assertion {
        #[schema(rename = "clientDataJSON", example = "e30")]
        client_data_json: String,
        #[schema(rename = "authenticatorData", example = "AA")]
        authenticator_data: String,
        #[schema(example = "AA")]
        signature: String,
    }
}
