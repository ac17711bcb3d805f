//! What services say to each other over gRPC.
//!
//! The schemas are in `schema/`; the Rust beside this file was generated from them and is checked in, so that no
//! build needs `protoc`. `PROTO_WRITE=1 cargo test -p proto` writes it again; without the variable the same test
//! fails when schema and Rust have drifted apart.

/// The tenants service.
pub mod tenants {
    /// Version 1.
    pub mod v1 {
        #![expect(clippy::all, reason = "generated")]
        include!("generated/cutover.tenants.v1.rs");
    }
}

/// The users service.
pub mod users {
    /// Version 1.
    pub mod v1 {
        include!("generated/cutover.users.v1.rs");
    }
}

/// The library.
pub mod library {
    /// Version 1.
    pub mod v1 {
        #![expect(clippy::all, reason = "generated")]
        include!("generated/cutover.library.v1.rs");
    }
}
