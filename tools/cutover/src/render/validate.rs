//! Lets Envoy validate a configuration before it becomes current.

use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// The time between two checks of an Envoy that validates; validation takes some tenths of a second.
const LOOK: Duration = Duration::from_millis(10);

/// The result of a validation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validation {
    /// Envoy would start with the configuration.
    Good,
    /// Envoy would not start with it, or could not be run; with the reason.
    Bad(String),
    /// The validation was ended early.
    GivenUp,
}

/// Checks whether Envoy would start with `bootstrap`.
///
/// # Errors
/// Envoy's reason, or that Envoy could not be run.
pub fn validated(envoy: &Path, bootstrap: &Path) -> Result<(), String> {
    match validated_unless(envoy, bootstrap, &|| false) {
        Validation::Good => Ok(()),
        Validation::Bad(why) => Err(why),
        Validation::GivenUp => Err(format!("the validation by {} was ended early", envoy.display())),
    }
}

/// Checks whether Envoy would start with `bootstrap`, and gives up as soon as `superseded` returns true.
#[must_use]
pub fn validated_unless(envoy: &Path, bootstrap: &Path, superseded: &dyn Fn() -> bool) -> Validation {
    let child = Command::new(envoy)
        .args(["--mode", "validate", "--log-level", "error"])
        .args(["--component-log-level", "dynamic_modules:warning", "-c"])
        .arg(bootstrap)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Validation::Bad(missing_envoy(envoy, &error)),
    };
    match ended(&mut child, superseded) {
        Ok(Some((status, said))) => judged(envoy, bootstrap, status, &said),
        Ok(None) => Validation::GivenUp,
        Err(error) => Validation::Bad(format!("{} cannot be waited for: {error}", envoy.display())),
    }
}

/// Waits until `child` ends by itself, and returns its output; nothing when it was ended because of `superseded`.
fn ended(child: &mut Child, superseded: &dyn Fn() -> bool) -> io::Result<Option<(ExitStatus, String)>> {
    // On a thread of its own: an Envoy whose pipe is full would not end.
    let printed = child.stderr.take().map(|mut pipe| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = pipe.read_to_end(&mut bytes);
            String::from_utf8_lossy(&bytes).into_owned()
        })
    });
    loop {
        if let Some(status) = child.try_wait()? {
            let said = printed.and_then(|thread| thread.join().ok()).unwrap_or_default();
            return Ok(Some((status, said)));
        }
        if superseded() {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(LOOK);
    }
}

fn judged(envoy: &Path, bootstrap: &Path, status: ExitStatus, said: &str) -> Validation {
    // Envoy loads a native guard that was compiled for another interface version and only warns. The calls of such a guard
    // are undefined.
    if let Some(line) = said.lines().find(|line| line.contains("ABI version") && line.contains("deprecated"))
    {
        return Validation::Bad(format!(
            "the native guard was compiled for another version of Envoy than {}: use the guard of the release with this Envoy, or `make wasm`\n{line}",
            envoy.display()
        ));
    }
    if status.success() {
        return Validation::Good;
    }
    Validation::Bad(format!("Envoy refuses {}:\n{}", bootstrap.display(), said.trim()))
}

/// The one message about a missing Envoy.
#[must_use]
pub fn missing_envoy(envoy: &Path, error: &io::Error) -> String {
    format!(
        "cannot start Envoy at {} ({error}); `make setup` installs it, or set ENVOY to one, or put one into PATH",
        envoy.display()
    )
}
