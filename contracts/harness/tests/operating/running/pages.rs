//! The pages of the web application in a run of the development edge, before and after they are built.

use harness::wire::Request;
use harness::{eventually, repository};

use super::{all_gone, command, copied, ports, signal, up};

#[test]
fn a_run_without_built_pages_says_how_to_build_them_and_serves_them_once_they_are_there() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let (ports, pages) = (ports(), home.path().join("pages"));
    copied(&repository().join("envoy/edges"), "dev", home.path());
    let beside = home.path().join("edge.run.yaml");
    let text = std::fs::read_to_string(&beside).expect("it is readable");
    let elsewhere =
        text.replace("WEB_ROOT: apps/web/dist", &format!("WEB_ROOT: {:?}", pages.display().to_string()));
    assert_ne!(elsewhere, text);
    std::fs::write(&beside, elsewhere).expect("it is writable");
    let mut command = command(home.path(), &ports);
    command.env("EDGE_FILE", home.path().join("edge.yaml"));
    let mut up = up(&mut command);
    let edge = ports.first().expect("the edge has a port").address();
    let page = || Request::new(edge, "GET", "/books/7").host("dev-domain.test").send();
    let unbuilt = page();
    assert_eq!(unbuilt.status, 503);
    assert!(unbuilt.text().contains("`make pages` builds it"), "{}", unbuilt.text());
    assert_eq!(Request::new(edge, "GET", "/users/@me").send().status, 401, "the API needs no pages");
    let document = Request::new(edge, "GET", "/openapi/public.yaml").send();
    assert_eq!(document.status, 200, "the document needs no pages");

    // As `make pages` leaves them: the entry document is there before what describes the build.
    std::fs::create_dir(&pages).expect("the home is writable");
    for name in ["index.html", "site.json"] {
        let built = repository().join("apps/web/dist").join(name);
        assert!(built.exists(), "{} is missing: `make pages` builds it", built.display());
        std::fs::copy(&built, pages.join(name)).expect("the home is writable");
    }
    eventually("the pages are served without a restart", || page().status == 200);
    assert!(page().text().contains("<div id=\"app\">"));
    signal(up.child.id(), "-INT");
    assert!(up.child.wait().expect("it ends").success());
    all_gone(&ports);
}
