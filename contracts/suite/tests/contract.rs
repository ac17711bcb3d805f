//! The contract, file by file: one test for each hurl file, so that a failing file is a failing test.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use contract_suite::{STEPS, all_scripts, check_syntax};

/// One test for each script, and `SCRIPTS`, the list of them. `$target` starts what the scripts are run against.
macro_rules! scripts {
    ($target:expr; $($name:ident => $script:literal,)+) => {
        /// The files that the tests of this module run.
        pub(crate) const SCRIPTS: &[&str] = &[$($script),+];

        $(
            #[test]
            fn $name() {
                let stand = $target;
                if let Err(failure) = stand.run($script) {
                    panic!("\n{failure}");
                }
            }
        )+
    };
}

#[path = "contract/edge.rs"]
mod edge;
#[path = "contract/legacy.rs"]
mod legacy;

#[test]
fn every_file_parses() {
    let faults: Vec<String> = all_scripts()
        .unwrap()
        .iter()
        .filter_map(|script| check_syntax(script).err())
        .map(|fault| fault.to_string())
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_file_is_run_with_leases_too() {
    assert_eq!(edge::SCRIPTS, edge::leased::SCRIPTS);
}

#[test]
fn every_file_is_run_by_a_test() {
    let mut run: Vec<&str> = [edge::SCRIPTS, edge::later::SCRIPTS, legacy::SCRIPTS, &STEPS].concat();
    run.sort_unstable();
    assert_eq!(
        all_scripts().unwrap(),
        run,
        "left: the files below contracts/, right: the lists in contracts/suite/tests/contract/"
    );
}
