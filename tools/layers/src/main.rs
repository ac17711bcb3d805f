//! `layers DIRECTORY…`: refuses circles of imports, and imports against the declared layers.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let directories: Vec<String> = std::env::args().skip(1).collect();
    if directories.is_empty() {
        eprintln!("layers: name the directories of one or more crates: `layers authz-service tools/cutover`");
        return ExitCode::from(2);
    }
    let mut is_well = true;
    for directory in &directories {
        match layers::look(Path::new(directory)) {
            Ok(findings) => {
                for circle in &findings.circles {
                    eprintln!("{circle}");
                }
                for import in &findings.uphill {
                    eprintln!("{import}");
                }
                is_well &= findings.is_empty();
            }
            Err(error) => {
                eprintln!("{error}");
                is_well = false;
            }
        }
    }
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
