//! contract-suite
