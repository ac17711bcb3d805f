//! The JSON bodies. Both types are called `Payload`, as in the legacy backend, because the parser's messages
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
