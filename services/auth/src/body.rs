//! The JSON bodies. Both types are called `Payload`, as in the legacy backend, because the parser's messages
//! name the type and clients compare them.

pub(crate) mod code {
    //! `POST /auth/code`.

    use serde::Deserialize;

    #[derive(Deserialize)]
    pub(crate) struct Payload {
        pub(crate) email: String,
    }
}

pub(crate) mod sign_in {
    //! `POST /auth/token`.

    use serde::Deserialize;

    #[derive(Deserialize)]
    pub(crate) struct Payload {
        pub(crate) email: String,
        pub(crate) code: String,
    }
}
