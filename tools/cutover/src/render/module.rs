//! A look at a compiled WebAssembly module before Envoy is told to load it.

/// What is wrong with a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidModule {
    /// It does not begin as a module does.
    #[error("it is not a WebAssembly module")]
    NotAModule,
    /// A section promises more bytes than there are.
    #[error("it is cut off: a section ends after the end of the file")]
    Truncated,
}

/// Walks the sections of a module (WebAssembly Core Specification §5.5.2): finds files that are something else
/// and files that were not written to their end. It does not validate code; Envoy does.
///
/// # Errors
/// [`InvalidModule`].
pub fn check(bytes: &[u8]) -> Result<(), InvalidModule> {
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

#[cfg(test)]
mod tests {
    use super::*;

    const MODULE: &[u8] = b"\0asm\x01\0\0\0\x00\x05\x04name\x01\x01\x00";

    #[test]
    fn a_whole_module_passes_and_every_cut_is_found() {
        assert_eq!(check(MODULE), Ok(()));
        for cut in 0..MODULE.len() {
            // A cut between two sections leaves a shorter module; only there.
            if cut != MODULE.len() - 3 {
                assert!(check(&MODULE[..cut]).is_err(), "cut at {cut} was not found");
            }
        }
        assert_eq!(check(b"#!/bin/sh"), Err(InvalidModule::NotAModule));
    }
}
