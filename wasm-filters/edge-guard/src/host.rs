//! The calls between the guard and Envoy: one set of functions with two implementations.
//!
//! ```text
//! wasm     proxy-wasm (ABI 0.2.1): a machine of its own for each worker, isolated from Envoy's memory
//! native   Envoy's dynamic modules: a shared library in Envoy's own process
//! ```
//!
//! Both implementations have the same functions with the same names and the same meaning. They contain all `unsafe` code.

use std::fmt;

#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod wasm;

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::{
    Shelf, Tally, add, answer, body_limit, choose_route_anew, counter, decided, declared_length, is_http_1_0,
    keep_order, log, note, peer, remove_request_header, request_headers, set_request_header,
};
#[cfg(target_family = "wasm")]
pub(crate) use wasm::{
    Shelf, Tally, add, answer, body_limit, choose_route_anew, counter, decided, declared_length, is_http_1_0,
    log, note, peer, remove_request_header, request_headers, set_request_header,
};

/// A failed call into Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostError {
    call: &'static str,
    status: u32,
}

impl HostError {
    /// A value that Envoy passed on and that cannot be read.
    pub(crate) const fn unreadable(what: &'static str) -> Self {
        Self { call: what, status: u32::MAX }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "host call {} failed with status {}", self.call, self.status)
    }
}

/// The number in `text`, such as a length.
fn number(call: &'static str, text: &[u8]) -> Result<u64, HostError> {
    let number = std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok());
    number.ok_or(HostError { call, status: u32::MAX })
}

/// `N` random bytes from the system, which for a proxy-wasm module is Envoy.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], HostError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| HostError { call: "getrandom", status: 0 })?;
    Ok(bytes)
}

/// Headers in the form of proxy-wasm, which the rules read.
fn serialised<'a, P: Iterator<Item = (&'a [u8], &'a [u8])>>(count: usize, pairs: impl Fn() -> P) -> Vec<u8> {
    let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    let size = pairs().map(|(name, value)| 10 + name.len() + value.len()).sum::<usize>();
    let mut out = Vec::with_capacity(4 + size);
    out.extend(number(count));
    for (name, value) in pairs() {
        out.extend(number(name.len()));
        out.extend(number(value.len()));
    }
    for text in pairs().flat_map(|(name, value)| [name, value]) {
        out.extend_from_slice(text);
        out.push(0);
    }
    out
}

/// The level of a log line. The numbers are those of dynamic modules in Envoy.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(crate) enum Level {
    Debug = 1,
    Info = 2,
    Error = 4,
}

/// Envoy's next action. The numbers are those of dynamic modules in Envoy.
#[derive(Clone, Copy, Debug)]
#[repr(u32)]
pub(crate) enum Action {
    Continue = 0,
    Pause = 1,
}
