//! How large an edge file may be.

use std::fmt::Write as _;
use std::path::Path;

use edge_config::parse;

#[test]
fn twenty_thousand_routes_are_read_and_too_many_are_a_fault_with_a_fix() {
    let dev = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges/dev.yaml");
    let text = std::fs::read_to_string(dev).unwrap();
    // Thirteen values each.
    let many = |count: usize| {
        let route = |n| {
            format!(
                "  - {{ name: many-{n}, host: api, prefix: /svc/{n}, policy: signed-in, to: legacy, answers: auth }}\n"
            )
        };
        let routes: String = (0..count).map(route).collect();
        text.replacen("routes:\n", &format!("routes:\n{routes}"), 1)
    };
    let read = parse(Path::new("edge.yaml"), &many(20_000), &|_| None).unwrap();
    assert!(read.routes.len() > 20_000);

    // Few bytes with many values: each of seven lists has the one before ten times.
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..8 {
        let list = vec![format!("*a{}", n - 1); 10].join(", ");
        writeln!(bomb, "a{n}: &a{n} [{list}]").unwrap();
    }
    let message = parse(Path::new("edge.yaml"), &bomb, &|_| None).unwrap_err().to_string();
    assert!(message.contains("serve some of the hosts from an edge of their own"), "{message}");
}
