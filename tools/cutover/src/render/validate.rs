//! Asking Envoy itself.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Asks Envoy whether it would start with `bootstrap`.
///
/// # Errors
/// What Envoy said, or that it could not be started.
pub fn validated(envoy: &Path, bootstrap: &Path) -> Result<(), String> {
    let output = Command::new(envoy)
        .args(["--mode", "validate", "--log-level", "error"])
        .args(["--component-log-level", "dynamic_modules:warning", "-c"])
        .arg(bootstrap)
        .output()
        .map_err(|e| missing_envoy(envoy, &e))?;
    let said = String::from_utf8_lossy(&output.stderr);
    // Envoy loads a native guard that was written for another interface than its own, and warns. What a call then does is
    // anybody's guess.
    if let Some(line) = said.lines().find(|line| line.contains("ABI version") && line.contains("deprecated"))
    {
        return Err(format!(
            "the native guard was compiled for another version of Envoy than {}: use the one of the release that has it, or `make wasm`\n{line}",
            envoy.display()
        ));
    }
    if output.status.success() {
        return Ok(());
    }
    Err(format!("Envoy refuses {}:\n{}", PathBuf::from(bootstrap).display(), said.trim()))
}

/// The one message about an Envoy that is not there.
#[must_use]
pub fn missing_envoy(envoy: &Path, error: &io::Error) -> String {
    format!(
        "cannot start Envoy at {} ({error}); `make setup` installs it, or set ENVOY to one",
        envoy.display()
    )
}
