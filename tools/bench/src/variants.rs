//! The compared variants.

use crate::load::Protocol;

/// The compiled form of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A dynamic module in Envoy's process.
    Native,
    /// A proxy-wasm module, isolated from Envoy.
    Wasm,
}

impl Form {
    /// Its path.
    pub(crate) fn guard(self) -> std::path::PathBuf {
        match self {
            Self::Native => harness::native_guard(),
            Self::Wasm => harness::wasm_guard(),
        }
    }

    /// `name` of a variant with this guard.
    fn of(self, name: &str) -> String {
        match self {
            Self::Native => name.to_owned(),
            Self::Wasm => format!("{name}_wasm"),
        }
    }
}

/// One chain of filters in front of the same backend, after the same listener, with the same access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variant {
    /// Envoy, its access log, its router.
    Bare,
    /// The guard and nothing else.
    Guard(Form),
    /// Envoy's own JWT filter.
    Jwt,
    /// The same with its token cache.
    JwtCached,
    /// Headers stripped by Lua, then the cached JWT filter.
    LuaJwtCached,
    /// A naive authorizer.
    Naive,
    /// The edge without the leases of its file: a full check on every request.
    Cold(Form),
    /// The edge with leases, as in its file.
    Warm(Form),
    /// An edge with its configuration changed by a command of `--try`, counted from 0.
    Tried(u8),
}

impl Variant {
    /// The name of its Envoy and of its files.
    pub(crate) fn name(self) -> String {
        let name = match self {
            Self::Bare => "bare",
            Self::Guard(form) => return form.of("guard"),
            Self::Jwt => "jwt",
            Self::JwtCached => "jwt_cached",
            Self::LuaJwtCached => "lua_jwt_cached",
            Self::Naive => "naive",
            Self::Cold(form) => return form.of("cold"),
            Self::Warm(form) => return form.of("warm"),
            Self::Tried(number) => return format!("try_{}", number + 1),
        };
        name.to_owned()
    }
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// Its name in `--only` and in the figures.
    pub(crate) key: &'static str,
    /// Its title.
    pub(crate) title: &'static str,
    /// The measured variant.
    pub(crate) variant: Variant,
    /// The protocol of its load.
    pub(crate) protocol: Protocol,
    /// The number of sessions that send requests in turn.
    pub(crate) sessions: usize,
}

const fn row(
    key: &'static str,
    title: &'static str,
    variant: Variant,
    protocol: Protocol,
    sessions: usize,
) -> Row {
    Row { key, title, variant, protocol, sessions }
}

use Form::{Native, Wasm};

/// The rows that take turns, round by round. [`crate::crowd`] adds those with 100,000 sessions.
pub(crate) const ROWS: [Row; 18] = [
    row("bare", "bare Envoy", Variant::Bare, Protocol::H1, 1),
    row("guard", "the guard alone", Variant::Guard(Native), Protocol::H1, 1),
    row("guard_wasm", "the guard alone, WebAssembly", Variant::Guard(Wasm), Protocol::H1, 1),
    row("jwt", "jwt_authn", Variant::Jwt, Protocol::H1, 1),
    row("jwt_cached", "jwt_authn, token cache", Variant::JwtCached, Protocol::H1, 1),
    row(
        "lua_jwt_cached",
        "Lua header strip + jwt_authn, token cache",
        Variant::LuaJwtCached,
        Protocol::H1,
        1,
    ),
    row("naive", "naive tonic ext_authz", Variant::Naive, Protocol::H1, 1),
    row("cold", "the edge cold: a full check each time", Variant::Cold(Native), Protocol::H1, 1),
    row("warm", "the edge warm: leases", Variant::Warm(Native), Protocol::H1, 1),
    row("cold_wasm", "the edge cold, guard in WebAssembly", Variant::Cold(Wasm), Protocol::H1, 1),
    row("warm_wasm", "the edge warm, guard in WebAssembly", Variant::Warm(Wasm), Protocol::H1, 1),
    row("cold_1000", "the edge cold, 1,000 sessions", Variant::Cold(Native), Protocol::H1, 1_000),
    row("warm_1000", "the edge warm, 1,000 sessions", Variant::Warm(Native), Protocol::H1, 1_000),
    row("bare_h2", "bare Envoy, HTTP/2", Variant::Bare, Protocol::H2, 1),
    row("lua_jwt_cached_h2", "Lua + jwt_authn, token cache, HTTP/2", Variant::LuaJwtCached, Protocol::H2, 1),
    row("cold_h2", "the edge cold, HTTP/2", Variant::Cold(Native), Protocol::H2, 1),
    row("warm_h2", "the edge warm, HTTP/2", Variant::Warm(Native), Protocol::H2, 1),
    row("warm_1000_h2", "the edge warm, 1,000 sessions, HTTP/2", Variant::Warm(Native), Protocol::H2, 1_000),
];

impl Protocol {
    /// The row that others of this protocol are compared with.
    pub(crate) const fn bare(self) -> &'static str {
        match self {
            Self::H1 => "bare",
            Self::H2 => "bare_h2",
            // `networks` has its own.
            Self::Tls => "bare_tls",
        }
    }
}

/// The row of the command with this number.
pub(crate) fn tried(number: u8, edge: Variant, command: &str) -> Row {
    let variant = Variant::Tried(number);
    // A handful of them, and they live as long as the program.
    let key = Box::leak(variant.name().into_boxed_str());
    let title = Box::leak(format!("{}, {command:.36}", edge.name()).into_boxed_str());
    row(key, title, variant, Protocol::H1, 1)
}
