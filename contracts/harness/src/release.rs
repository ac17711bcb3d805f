//! A release as docs/your-own-product.md describes it, and a run of it: no repository, no Python environment.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::parts::{envoy, program, wasm_guard};

/// Puts the programs of an edge into `at`: `bin`, `lib`, and Envoy in `path`, a directory for `PATH`.
///
/// # Panics
/// When a part is missing, or `at` is not writable.
pub fn release(at: &Path) {
    for directory in ["bin", "lib", "path"] {
        std::fs::create_dir_all(at.join(directory)).expect("it is writable");
    }
    let link = |from: &Path, to: &str| {
        let to = at.join(to);
        std::fs::hard_link(from, &to)
            .or_else(|_| std::fs::copy(from, &to).map(|_| ()))
            .expect("it is writable");
    };
    for name in ["cutover", "authz-service", "comparator"] {
        link(&program(name), &format!("bin/{name}"));
    }
    link(&wasm_guard(), "lib/edge_guard.wasm");
    std::os::unix::fs::symlink(envoy(), at.join("path/envoy")).expect("it is writable");
}

/// A `cutover run` that ends with the test.
#[derive(Debug)]
pub struct Run(Child);

impl Run {
    /// Starts `command` and waits until it prints that everything is up.
    ///
    /// # Panics
    /// When it ends before.
    pub fn up(command: &mut Command) -> Self {
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it can be started");
        let mut run = Self(child);
        let stdout = run.0.stdout.take().expect("it is piped");
        let mut printed = String::new();
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            printed.push_str(&line);
            printed.push('\n');
            if line.contains("Ctrl-C stops all of it.") {
                return run;
            }
        }
        let mut complaints = String::new();
        if let Some(mut stderr) = run.0.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut stderr, &mut complaints);
        }
        panic!("the run did not come up:\n{printed}\n{complaints}");
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-INT", &self.0.id().to_string()]).status();
        let _ = self.0.wait();
    }
}
