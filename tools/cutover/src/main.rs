//! The `cutover` program: parses the command line and calls the command.
#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::process::ExitCode;

use clap::Parser as _;
use cutover::cli::{Cli, Command};
use cutover::{
    agreement, answers, apikey, certs, contract, explain, import, init, introduce, keys, lint, new_service,
    out, plan, ramp, render, revoke, run, schema, set, shadow, sign, status,
};

fn main() -> ExitCode {
    let environment = |name: &str| std::env::var(name).ok();
    let command = Cli::parse().command;
    // The rendered configuration holds no secret, and an Envoy that runs as another user has to read it. An edge file and
    // recorded exchanges are for all who work on them, and so is a new crate.
    if !matches!(
        command,
        Command::Render(_)
            | Command::Init(_)
            | Command::Import(_)
            | Command::Contract(_)
            | Command::NewService(_)
    ) {
        secret_file::restrict_new_files();
    }
    let code = match command {
        Command::Lint(arguments) => lint::main(&arguments, &environment),
        Command::Render(arguments) => render::command::main(&arguments, &environment),
        Command::Explain(arguments) => explain::main(&arguments, &environment),
        Command::Answers(arguments) => answers::main(&arguments, &environment),
        Command::Agreement(arguments) => agreement::main(&arguments),
        Command::Certs(arguments) => certs::main(&arguments),
        Command::Contract(arguments) => contract::main(&arguments, &environment),
        Command::Shadow(arguments) => shadow::main(&arguments),
        Command::Keys(arguments) => keys::main(&arguments),
        Command::Revoke(arguments) => revoke::main(&arguments, &environment),
        Command::Apikey(arguments) => apikey::main(&arguments, &clock::SystemClock),
        Command::Run(arguments) => run::main(&arguments, &environment),
        Command::Plan(arguments) => plan::main(&arguments, &environment),
        Command::Set(arguments) => set::main(&arguments, &environment),
        Command::Status(arguments) => status::main(&arguments, &environment),
        Command::Ramp(arguments) => ramp::main(&arguments, &environment),
        Command::Sign(arguments) => sign::main(&arguments),
        Command::Introduce(arguments) => introduce::main(&arguments),
        Command::Schema(arguments) => schema::main(&arguments),
        Command::NewService(arguments) => new_service::main(&arguments),
        Command::Init(arguments) => init::main(&arguments, &environment),
        Command::Import(arguments) => import::main(&arguments, &environment),
    };
    out::ended(code)
}
