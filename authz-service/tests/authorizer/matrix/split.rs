//! The rows for sessions in a cookie that is split into parts.

use std::fmt::Write as _;

use super::cell;
use crate::kit::{Authz, COOKIE, Home};

pub(super) async fn decisions(text: &mut String) {
    let edit = |edge: String| {
        edge.replacen(
            &format!("cookie: {COOKIE}\n"),
            &format!("cookie: {{ name: {COOKIE}, split: true }}\n"),
            1,
        )
    };
    let authz = Authz::start_with(Home::new(), edit).await;
    let token = authz.token();
    let (one, two) = token.split_at(100);
    let part = |number: u8, text: &str| format!("{COOKIE}.{number}={text}");
    let _ = writeln!(text, "\nme, with a session in parts");
    for (name, line) in [
        ("whole", format!("{COOKIE}={token}")),
        ("in two parts", format!("{}; {}", part(1, two), part(0, one))),
        ("without the first part", part(1, two)),
        ("with a gap", format!("{}; {}", part(0, one), part(2, two))),
        ("in more parts than there may be", format!("{}; {}; {}", part(0, one), part(1, two), part(16, ""))),
        ("whole and in parts", format!("{COOKIE}={token}; {}", part(0, &token))),
    ] {
        let answer = authz.ask(authz.check("me").cookie_line(line)).await;
        let _ = writeln!(text, "  {name:<31}  {}", cell(&answer));
    }
}
