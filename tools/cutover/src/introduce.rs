//! `cutover introduce` prints the header with which a service introduces itself on the edge's listener for services.
//!
//! Services sign for themselves. An operator who calls one by hand, or a script, uses the key of a service that the edge file
//! lists, such as `admin`.

use std::process::ExitCode;

use clap::Args;
use clock::{Clock, SystemClock};
use identity::assertion::Signer;
use identity::{Caller, ServiceName};

use crate::exit::{DONE, FOUND, exit};
use crate::home::Home;
use crate::out;

/// `cutover introduce`
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    #[expect(missing_docs, reason = "documented at the type")]
    pub home: Home,
    /// The name of the edge (`edge` in its file): another edge refuses the introduction.
    #[arg(long, env = "EDGE_NAME", default_value = "dev", value_name = "NAME")]
    pub edge: String,
    /// Print one JSON object instead of a header line.
    #[arg(long)]
    pub json: bool,
    /// The service, as `services` of the edge file lists it. Its key is `keys/NAME.pem` of the home.
    pub service: ServiceName,
}

/// Signs and prints. `curl -H @FILE` reads the line. It is valid for a minute, and names the service alone: what the service
/// may call is decided by the edge file.
pub fn main(arguments: &Arguments) -> ExitCode {
    let key = arguments.home.home.join("keys").join(format!("{}.pem", arguments.service));
    let signed = Signer::from_file(arguments.service.as_str(), &key)
        .map_err(|error| error.to_string())
        .and_then(|signer| {
            let caller = Caller::Service(arguments.service.clone().into());
            signer.sign(&caller, &arguments.edge, SystemClock.now()).map_err(|error| error.to_string())
        });
    match signed {
        Ok(assertion) if arguments.json => {
            out::line!("{:#}", serde_json::json!({ "authorization": format!("Bearer {assertion}") }));
            exit(DONE)
        }
        Ok(assertion) => {
            out::line!("authorization: Bearer {assertion}");
            exit(DONE)
        }
        Err(message) => {
            out::error!("{message}");
            exit(FOUND)
        }
    }
}
