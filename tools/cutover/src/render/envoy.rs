//! Checks that the Envoy program is the one with which this repository is tested.
//!
//! The Python package is installed by hash (tools/python/requirements.txt), but the installed files may change afterwards.
//! So its program is checked again before it runs.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use crate::out;

/// The version of the package.
const VERSION: &str = "1.40.0";

/// SHA-256 of `envoy/_bin/envoy` in the package, by platform.
const CHECKSUMS: [(&str, &str); 3] = [
    ("linux x86_64", "8aa137a7d00994ce43f613556f5a120709229f63bedb86eedde5ccbc402c2b80"),
    ("linux aarch64", "03cacc952561635c0b7d2a829291f341dadbebc32050475efbe7321b1bbe18c2"),
    ("macos aarch64", "1a03e0e6c6cdd723787baac24fc069874a455b566c43aee491caf94d87f76110"),
];

/// The path of the package's program, below `site-packages`.
const PACKAGED: &str = "envoy/_bin/envoy";

/// Refuses a packaged Envoy that was changed. Another Envoy is its owner's choice, and only a note names it.
///
/// # Errors
/// A sentence, when the packaged program was changed or cannot be read.
pub fn check(program: &Path) -> Result<(), String> {
    let Some(packaged) = packaged(program) else {
        out::error!(
            "note: {} is not the packaged Envoy {VERSION}, and its checksum is not known here",
            program.display()
        );
        return Ok(());
    };
    let found =
        checksum(&packaged).map_err(|error| format!("cannot read {}: {error}", packaged.display()))?;
    if CHECKSUMS.iter().any(|(_, known)| *known == found) {
        return Ok(());
    }
    Err(format!(
        "{} has the checksum {found}, which is not that of Envoy {VERSION}: it was changed after its installation; remove \
         .tools and run `make setup`, or set ENVOY to an Envoy of your own",
        packaged.display()
    ))
}

/// The program that the package's script starts, or `envoy` itself when it is that program.
fn packaged(program: &Path) -> Option<PathBuf> {
    let real = fs::canonicalize(program).ok()?;
    if real.ends_with(PACKAGED) {
        return Some(real);
    }
    // The script has a few hundred bytes; a program of another kind is not read as a whole.
    let mut script = String::new();
    File::open(&real).ok()?.take(4_096).read_to_string(&mut script).ok()?;
    if !script.starts_with("#!") || !script.contains("envoy._main") {
        return None;
    }
    // VENV/bin/envoy, VENV/lib/python3.*/site-packages.
    let libraries = real.parent()?.parent()?.join("lib");
    let found = fs::read_dir(libraries).ok()?.flatten();
    found.map(|entry| entry.path().join("site-packages").join(PACKAGED)).find(|path| path.exists())
}

fn checksum(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut context = Context::new(&SHA256);
    let mut piece = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut piece)?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        context.update(bytes);
    }
    Ok(context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packaged_envoy_that_was_changed_is_refused_and_another_one_is_its_owners_choice() {
        let venv = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = venv.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            path
        };
        let script = write("bin/envoy", "#!/usr/bin/python\nfrom envoy._main import main\n");
        let program = write("lib/python3.11/site-packages/envoy/_bin/envoy", "something else");
        for named in [&script, &program] {
            let why = check(named).unwrap_err();
            assert!(why.contains("_bin/envoy") && why.contains("make setup"), "{why}");
        }
        let own = write("own/envoy", "\u{7f}ELF");
        assert_eq!(check(&own), Ok(()));
    }
}
