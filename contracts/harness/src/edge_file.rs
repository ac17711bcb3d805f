//! The edge file of a running edge: read, replaced as a deployment would, and followed until it is in force.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use crate::wire::Request;
use crate::{Edge, Process, eventually, eventually_logged, parts};

impl Edge {
    /// The text of the edge file.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn text(&self) -> String {
        std::fs::read_to_string(self.file()).expect("the edge file is readable")
    }

    /// Replaces the edge file by one with `text`, at once.
    ///
    /// # Panics
    /// When the home is not writable.
    pub fn replace(&self, text: &str) {
        let next = self.file().with_extension("next");
        std::fs::write(&next, text).expect("the home is writable");
        std::fs::rename(&next, self.file()).expect("the home is writable");
    }

    /// Replaces `old` by `new` in the edge file, once.
    ///
    /// # Panics
    /// When `old` is not in it.
    pub fn edit(&self, old: &str, new: &str) {
        let before = self.text();
        let after = before.replacen(old, new, 1);
        assert_ne!(after, before, "{old:?} is not in the edge file");
        self.replace(&after);
    }

    /// The directory of the current rendered configuration.
    ///
    /// # Panics
    /// When nothing is rendered.
    #[must_use]
    pub fn rendered(&self) -> PathBuf {
        std::fs::read_link(self.home().join("envoy/current")).expect("the link is there")
    }

    /// Waits until `watch` has brought the edge file as it is now into force.
    pub fn in_force(&self, watch: &Process) {
        let revision = edge_config::revision(&self.text()).0;
        eventually_logged(
            "the edge file is in force",
            || watch.log(),
            || watch.log().contains(&format!("revision {revision} is in force")),
        );
    }

    /// Runs `cutover set` for `route`, and waits until `watch` has brought it into force.
    pub fn set(&self, watch: &Process, route: &str, to: &str) {
        let file = self.file().display().to_string();
        self.cutover(&["set", &file, route, "--to", to]);
        self.in_force(watch);
    }

    /// Starts the comparator, whose own interface is at `admin`, and waits until it is ready.
    #[must_use]
    pub fn comparator(&self, admin: SocketAddr) -> Process {
        let mut command = Command::new(parts::program("comparator"));
        for (name, value) in self.cutover_program().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let comparator = Process::start("comparator", &mut command, &self.home().join("logs/comparator.log"));
        let healthz = Request::new(admin, "GET", "/healthz");
        eventually("the comparator is ready", || healthz.try_send().is_ok_and(|answer| answer.status == 200));
        comparator
    }
}
