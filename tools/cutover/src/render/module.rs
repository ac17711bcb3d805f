//! Checks the compiled guard before Envoy loads it.

/// The compiled form of the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A proxy-wasm module, isolated from Envoy.
    Wasm,
    /// A dynamic Envoy module: a shared library for this machine.
    Native,
}

/// Why a module is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidModule {
    /// It begins neither as a WebAssembly module nor as a shared library.
    #[error("it is neither a WebAssembly module nor a shared library")]
    NotAModule,
    /// The file is truncated.
    #[error("it is truncated: a section ends after the end of the file")]
    Truncated,
    /// It is a library for another machine type.
    #[error("it is a library for another machine type; compile it on the machine where it will run")]
    OtherMachine,
    /// It is a library, but not an Envoy module.
    #[error("it is a library, but not a dynamic Envoy module: it has no `{HOOK}`")]
    NotForEnvoy,
}

/// The symbol that every dynamic module with an HTTP filter exports.
const HOOK: &str = "envoy_dynamic_module_on_http_filter_config_new";

impl Form {
    /// The file name extension of this form. A rendered configuration names the guard itself, so the extension there shows
    /// the form.
    #[must_use]
    pub const fn ending(self) -> &'static str {
        match self {
            Self::Wasm => "wasm",
            Self::Native => "so",
        }
    }
}

/// Finds the form of `bytes`, and rejects files of another kind and truncated files. It does not validate code; Envoy
/// does.
///
/// # Errors
/// [`InvalidModule`].
pub fn check(bytes: &[u8]) -> Result<Form, InvalidModule> {
    if bytes.starts_with(b"\x7fELF") {
        library(bytes).map(|()| Form::Native)
    } else {
        sections(bytes).map(|()| Form::Wasm)
    }
}

/// Walks the sections of a module (WebAssembly Core Specification §5.5.2).
fn sections(bytes: &[u8]) -> Result<(), InvalidModule> {
    let mut rest = bytes.strip_prefix(b"\0asm\x01\0\0\0").ok_or(InvalidModule::NotAModule)?;
    if rest.is_empty() {
        return Err(InvalidModule::Truncated);
    }
    while let Some((_id, after)) = rest.split_first() {
        let (size, body) = length(after).ok_or(InvalidModule::Truncated)?;
        rest = body.get(size..).ok_or(InvalidModule::Truncated)?;
    }
    Ok(())
}

/// An unsigned LEB128 number of at most 32 bits.
fn length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return Some((usize::try_from(value).ok()?, bytes.get(index + 1..)?));
        }
    }
    None
}

/// Reads the header of a 64-bit little-endian shared library (System V ABI, "Object Files"). The table of its sections is
/// at its end, so a truncated library ends before it.
fn library(bytes: &[u8]) -> Result<(), InvalidModule> {
    let number = |at: usize| {
        let bytes = bytes.get(at..)?.first_chunk::<2>()?;
        Some(u16::from_le_bytes(*bytes))
    };
    let (Some(class), Some(kind), Some(machine)) = (bytes.get(4..6), number(16), number(18)) else {
        return Err(InvalidModule::Truncated);
    };
    if class != [2, 1] || kind != 3 {
        return Err(InvalidModule::NotAModule);
    }
    let here = match std::env::consts::ARCH {
        "x86_64" => 62,
        "aarch64" => 183,
        // Envoy is built for these two; on any other, Envoy itself refuses the library.
        _ => machine,
    };
    if machine != here {
        return Err(InvalidModule::OtherMachine);
    }
    let table = bytes.get(40..).and_then(|rest| rest.first_chunk::<8>()).map(|at| u64::from_le_bytes(*at));
    let (Some(table), Some(size), Some(count)) = (table, number(58), number(60)) else {
        return Err(InvalidModule::Truncated);
    };
    let end = table.saturating_add(u64::from(size).saturating_mul(u64::from(count)));
    if usize::try_from(end).map_or(true, |end| end > bytes.len()) {
        return Err(InvalidModule::Truncated);
    }
    let exports = bytes.windows(HOOK.len()).any(|window| window == HOOK.as_bytes());
    if exports { Ok(()) } else { Err(InvalidModule::NotForEnvoy) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0\x00\x05\x04name\x01\x01\x00";

    #[test]
    fn a_whole_module_passes_and_every_cut_is_found() {
        assert_eq!(check(MODULE), Ok(Form::Wasm));
        for cut in 0..MODULE.len() {
            // Only a cut between two sections leaves a valid, shorter module.
            if cut != MODULE.len() - 3 {
                assert!(check(&MODULE[..cut]).is_err(), "cut at {cut} was not found");
            }
        }
        assert_eq!(check(b"#!/bin/sh"), Err(InvalidModule::NotAModule));
    }

    /// The header of a library with one section and the name of the hook before it.
    fn a_library() -> Vec<u8> {
        let machine: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
        let mut library = vec![0; 64];
        library[..6].copy_from_slice(b"\x7fELF\x02\x01");
        library[16] = 3;
        library[18..20].copy_from_slice(&machine.to_le_bytes());
        library.extend(HOOK.as_bytes());
        let table = u64::try_from(library.len()).unwrap();
        library[40..48].copy_from_slice(&table.to_le_bytes());
        library[58] = 64;
        library[60] = 1;
        library.extend([0; 64]);
        library
    }

    #[test]
    fn a_whole_library_passes_and_every_cut_is_found() {
        let whole = a_library();
        assert_eq!(check(&whole), Ok(Form::Native));
        for cut in 0..whole.len() {
            assert!(check(&whole[..cut]).is_err(), "cut at {cut} was not found");
        }
        let altered = |at: usize, byte: u8| {
            let mut altered = whole.clone();
            altered[at] = byte;
            check(&altered)
        };
        assert_eq!(altered(16, 2), Err(InvalidModule::NotAModule), "a program");
        assert_eq!(altered(4, 1), Err(InvalidModule::NotAModule), "32 bits");
        assert_eq!(altered(18, 40), Err(InvalidModule::OtherMachine));
        assert_eq!(altered(70, b'?'), Err(InvalidModule::NotForEnvoy));
    }
}
