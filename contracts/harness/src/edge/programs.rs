//! The programs of an edge, with their environment.

use std::process::Command;

use super::{Edge, Part};
use crate::parts;

impl Edge {
    /// The name of a part and the command that starts it.
    pub(super) fn command(&self, part: Part) -> (&'static str, Command) {
        let (name, mut command) = match part {
            Part::Legacy => {
                let mut command = Command::new(parts::present(
                    parts::venv().join("bin/gunicorn"),
                    "`make setup` installs it",
                ));
                command.args(["--config", "contracts/legacy/gunicorn.conf.py", "legacy.app:application"]);
                command.env("PYTHONPATH", "contracts").env("PYTHONDONTWRITEBYTECODE", "1");
                command.env("AUTH_URL", format!("http://{}", self.public())).env("LEGACY_WIRE", "1");
                ("legacy", command)
            }
            Part::Users => {
                let mut command = Command::new(parts::program("users"));
                command.env("USERS_SEED", "services/users/seed/dev.yaml");
                // As `cutover run` starts it.
                command.env("USERS_ACTIVITY_SURFACE", "older");
                command.env("SERVICE_EDGE_URL", format!("http://{}", self.address("EDGE_SERVICE_ADDRESS")));
                ("users", command)
            }
            Part::Auth => {
                let mut command = Command::new(parts::program("auth"));
                command.env("SERVICE_EDGE_URL", format!("http://{}", self.address("EDGE_SERVICE_ADDRESS")));
                ("auth", command)
            }
            Part::Library => {
                let mut command = Command::new(parts::program("library"));
                command.env("LIBRARY_SEED", "services/library/seed/dev.yaml");
                // As `cutover run` starts it.
                command.env("LIBRARY_SURFACE", "older");
                command.env("SERVICE_EDGE_URL", format!("http://{}", self.address("EDGE_SERVICE_ADDRESS")));
                ("library", command)
            }
            Part::Image => {
                let mut command = Command::new(parts::program("image"));
                // As `cutover run` starts it.
                command.env("IMAGE_STUB", "dev");
                ("image", command)
            }
            Part::Web => {
                let mut command = Command::new(parts::program("web"));
                // As `cutover run` starts it. A test of pages needs the build, and the other tests do not.
                command.env("WEB_ROOT", "apps/web/dist").env("WEB_BUILD", "awaited");
                ("web", command)
            }
            Part::Authz => ("authz", Command::new(parts::program("authz-service"))),
            Part::SecondAuthz => ("authz-2", Command::new(parts::program("authz-service"))),
            Part::Envoy => {
                let mut command = Command::new(parts::envoy());
                command.arg("-c").arg(self.home().join("envoy/current/bootstrap.json"));
                // Usually one worker: tests check answers, and several run at once.
                match self.epoch {
                    // The public port is leased, so no other test uses its number.
                    Some(epoch) => command
                        .args(["--base-id", &self.public().port().to_string()])
                        .args(["--restart-epoch", &epoch.to_string()])
                        .args(["--drain-time-s", "3", "--parent-shutdown-time-s", "6"]),
                    None => command
                        .arg("--disable-hot-restart")
                        .args(["--drain-time-s", &self.drain_seconds.to_string()]),
                };
                command.args([
                    "--concurrency",
                    &self.workers.to_string(),
                    "--log-level",
                    "warning",
                    "--file-flush-interval-msec",
                    "50",
                ]);
                ("envoy", command)
            }
        };
        self.surround(&mut command);
        if part == Part::SecondAuthz {
            command.env("AUTHZ_ADDRESS", self.address("AUTHZ_2_ADDRESS").to_string());
            command.env("AUTHZ_ADMIN_ADDRESS", self.address("AUTHZ_2_ADMIN_ADDRESS").to_string());
        }
        (name, command)
    }

    /// Gives `command` the environment of this edge.
    pub(super) fn surround(&self, command: &mut Command) {
        command.env("CUTOVER_HOME", self.home()).env("EDGE_FILE", &self.file);
        for (name, address) in &self.addresses {
            command.env(name, address.to_string());
        }
        for store in ["REDIS_URL", "DATABASE_URL", "AMQP_URL"] {
            command.env_remove(store);
        }
        for (name, value) in &self.environment {
            command.env(name, value);
        }
    }
}
