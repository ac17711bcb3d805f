//! What services say to each other over gRPC.
//!
//! The schemas are in `schema/`; `build.rs` generates the Rust from them with every build.

/// The books of the library.
pub mod catalogue {
    /// Version 1.
    pub mod v1 {
        #![expect(clippy::all, reason = "generated")]
        tonic::include_proto!("cutover.catalogue.v1");
    }
}

/// The tenants service.
pub mod tenants {
    /// Version 1.
    pub mod v1 {
        #![expect(clippy::all, reason = "generated")]
        tonic::include_proto!("cutover.tenants.v1");
    }
}

/// The users service.
pub mod users {
    /// Version 1.
    pub mod v1 {
        tonic::include_proto!("cutover.users.v1");
    }
}
