//! A report restarts its counts on command, and when a backend has another address or reports another version.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use harness::{Backend, eventually};
use serde_json::json;

use super::{SECTION, Shadowed, http};

const OPEN: &str = "  - { name: open, host: api, prefix: /open, policy: public, to: legacy, shadow: users, answers: auth }\n";

/// A backend that answers with `title`, and with its own version.
fn versioned(title: &'static str, version: &Arc<AtomicU64>) -> Backend {
    let version = Arc::clone(version);
    Backend::with(move |_| {
        let version = version.load(Ordering::Relaxed);
        let head = format!("X-Version: {version}\r\nContent-Type: application/json\r\n");
        http(&head, &format!("{{\"title\":\"{title}\",\"kind\":\"{title}\"}}"))
    })
}

fn shadowed(users: Backend, version: &Arc<AtomicU64>) -> Shadowed {
    let legacy = versioned("Momo", version);
    let edge = Shadowed::edited(legacy, users, OPEN, &[harness::Part::Authz], |edge| {
        edge.replace(SECTION, &format!("{SECTION}  version_header: x-version\n"))
    });
    edge.comparator()
}

#[test]
fn equal_differences_are_shown_once_with_their_count() {
    let version = Arc::new(AtomicU64::new(1));
    let shadowed = shadowed(versioned("momo", &Arc::new(AtomicU64::new(7))), &version);
    for number in 0..10 {
        assert_eq!(shadowed.edge.get(format!("/open/{number}")).send().status, 200);
    }
    let route = shadowed.done("open", 10);
    assert_eq!(route["by_kind"], json!({ "body_value": 10 }), "versions are not compared: {route:#}");
    let groups = route["samples"].as_array().expect("samples");
    assert_eq!((groups.len(), &groups[0]["count"]), (1, &json!(10)), "{route:#}");
    assert_eq!(groups[0]["request_ids"].as_array().map(Vec::len), Some(5));
    assert!(groups[0]["first_ms"].as_u64() <= groups[0]["at_ms"].as_u64());
    let address = shadowed.admin.address().to_string();
    let text = shadowed.edge.cutover(&["shadow", "--address", &address]);
    assert_eq!(text.matches("body_value /title").count(), 1, "{text}");
    assert!(text.contains("10 times, "), "{text}");
}

#[test]
fn a_report_restarts_on_command_and_with_a_new_version() {
    let (old, new) = (Arc::new(AtomicU64::new(1)), Arc::new(AtomicU64::new(1)));
    let shadowed = shadowed(versioned("momo", &new), &old);
    let _ = shadowed.edge.get("/open/1").send();
    assert_eq!(shadowed.done("open", 1)["since"], "first_copy");

    let address = shadowed.admin.address().to_string();
    let said = shadowed.edge.cutover(&["shadow", "--address", &address, "--route", "open", "--reset"]);
    assert_eq!(said, "Counts restarted: open\n");
    let route = shadowed.report()["routes"]["open"].clone();
    assert_eq!(
        (&route["since"], &route["copies"], &route["different"]),
        (&json!("command"), &json!(0), &json!(0))
    );
    let _ = shadowed.edge.get("/open/2").send();
    assert_eq!(shadowed.done("open", 1)["different"], 1);

    new.store(2, Ordering::Relaxed);
    let _ = shadowed.edge.get("/open/3").send();
    let since = || shadowed.report()["routes"]["open"]["since"].clone();
    eventually("the report restarts with the version", || since() == "version");
    let route = shadowed.done("open", 1);
    assert_eq!((&route["compared"], &route["different"]), (&json!(1), &json!(1)), "{route:#}");
    assert_eq!(route["samples"][0]["target"], "/open/3");
}

#[test]
fn a_report_restarts_when_a_backend_has_another_address() {
    let version = Arc::new(AtomicU64::new(1));
    let shadowed = shadowed(versioned("momo", &version), &version);
    let _ = shadowed.edge.get("/open/1").send();
    assert_eq!(shadowed.done("open", 1)["different"], 1);
    let mended = versioned("Momo", &version);
    let text = std::fs::read_to_string(shadowed.edge.file()).expect("the edge file is readable");
    let at = "${USERS_ADDRESS:-127.0.0.1:3022}";
    assert!(text.contains(at));
    // The comparator follows the file; Envoy continues to copy to it.
    let text = text.replace(at, &mended.address().to_string());
    std::fs::write(shadowed.edge.file(), text).expect("the edge file can be written");
    eventually("the report restarts with the address", || {
        let _ = shadowed.edge.get("/open/2").send();
        shadowed.report()["routes"]["open"]["since"] == "address"
    });
    let route = shadowed.done("open", 1);
    assert_eq!((&route["different"], &route["samples"]), (&json!(0), &json!([])), "{route:#}");
}
