//! edge-guard
