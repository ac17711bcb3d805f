//! authz-service
