//! The contract command, and every document that promises something.

mod contract_command;
mod contract_coverage;
mod contract_page;
mod documented;
mod moving_auth_page;
mod strangers;
mod written_down;
