//! What every edge file in this repository has.

use std::fs;
use std::path::Path;

use edge_config::parse;

#[test]
fn every_shipped_edge_closes_what_services_show_to_operators() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy/edges");
    let mut edges = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        // `dev.run.yaml` and `dev.tenants.yaml` are other files beside an edge file.
        if name.matches('.').count() != 1 || !name.ends_with(".yaml") {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let edge = parse(&path, &text, &|_| None).unwrap();
        for shown in ["/healthz", "/readyz", "/metrics"] {
            assert!(edge.internal_paths.iter().any(|closed| closed.takes(shown)), "{name} lets {shown} pass");
        }
        edges += 1;
    }
    assert!(edges >= 6, "{edges}");
}
