//! The sign-in page of a session policy.

use std::path::Path;

use edge_config::edge::SignInRedirect;
use edge_config::{Edge, Faults};

fn read(policy: &str, more: &str) -> Result<(Edge, Faults), Faults> {
    let text = format!(
        "
edge: shop
listeners: {{ public: {{ address: 127.0.0.1:8080, exposure: public }} }}
backends: {{ shop: {{ address: 127.0.0.1:3000 }} }}
sessions: {{ cookie: sid, refresh_cookie: rt, issuer: 'https://login.example.com', audience: shop }}
api_keys: {{ file: keys.jsonl, header: x-api-key }}
policies:
  public: {{ kind: public }}
  ended: {{ kind: public, ended: refuse }}
  plain: {{ kind: session }}
  pages: {{ kind: session{policy} }}
hosts:
  api: {{ names: [api.example.com] }}
  app: {{ names: [app.example.com, '*.app.example.com'] }}
routes:
  - {{ name: orders, host: api, prefix: /orders, policy: pages, to: shop }}
  - {{ name: open, host: api, prefix: /open, methods: [GET], policy: public, to: shop }}
  - {{ name: mine, host: api, prefix: /mine, policy: plain, to: shop }}
  - {{ name: login, host: app, prefix: /login, methods: [GET], policy: public, to: shop }}
  - {{ name: old-login, host: app, prefix: /old-login, methods: [GET], policy: ended, to: shop }}
  - {{ name: app, host: app, prefix: /, policy: pages, to: shop }}
{more}"
    );
    edge_config::inspect_text(Path::new("edge.yaml"), &text, &|_| None)
}

fn sign_in(redirect: &str) -> String {
    format!(", sign_in: {{ redirect: \"{redirect}\", return: next }}")
}

#[test]
fn a_policy_names_a_page_of_this_edge_or_of_another() {
    for page in [
        "https://app.example.com/login",
        "https://a.app.example.com/login/now",
        "https://login.example.org/authorize?client_id=shop",
        "https://login.example.org",
    ] {
        let (edge, warnings) = read(&sign_in(page), "").unwrap();
        let expected = SignInRedirect { page: page.to_owned(), return_parameter: Some("next".to_owned()) };
        assert_eq!(edge.sign_in_of(&edge.routes[0]), Some(&expected));
        assert_eq!(edge.sign_in_of(&edge.routes[2]), None);
        assert!(!warnings.to_string().contains("help"), "{page}: {warnings}");
    }
    let (edge, _) = read(", sign_in: { redirect: \"https://login.example.org\" }", "").unwrap();
    assert_eq!(edge.sign_in_of(&edge.routes[0]).unwrap().return_parameter, None);
}

#[test]
fn a_page_that_needs_a_session_itself_would_be_opened_for_ever() {
    for (page, part) in [
        ("https://app.example.com/", "is on route `app`, whose policy `pages` is not public"),
        ("https://app.example.com/login-now", "whose policy `pages` is not public"),
        ("https://api.example.com/mine", "is on route `mine`, whose policy `plain` is not public"),
        ("https://api.example.com/nothing", "has no route on api.example.com"),
        ("/orders/login", "is on route `orders`, whose policy `pages` is not public"),
        // A path is one of each host whose routes have the policy: one of them has no such page.
        ("/open", "is on route `app`"),
    ] {
        let faults = read(&sign_in(page), "").unwrap_err().to_string();
        assert!(faults.contains(part), "{page}: {faults}");
        assert!(faults.contains("edge.yaml:11:"), "the place is that of the policy: {faults}");
    }
    let (_, warnings) = read(&sign_in("https://app.example.com/old-login"), "").unwrap();
    assert!(warnings.to_string().contains("which refuses ended sessions"), "{warnings}");
}

#[test]
fn each_of_these_is_a_fault() {
    for (policy, part) in [
        (sign_in("login"), "write a URL such as"),
        (sign_in("//evil.example/login"), "write a URL such as"),
        (sign_in("ftp://a.example/login"), "write a URL such as"),
        (sign_in("https://user@a.example/login"), "write a URL such as"),
        (sign_in("https:///login"), "write a URL such as"),
        (sign_in("https://a.example:x/login"), "write a URL such as"),
        (sign_in("https://a.example/login#top"), "write a URL such as"),
        (sign_in("https://a.example/log in"), "write a URL such as"),
        (sign_in("https://a.example/\\u00e9"), "write a URL such as"),
        (sign_in("https://a.example/login?next=/"), "has the parameter `next` already"),
        (", sign_in: { return: next }".to_owned(), "has no `redirect`"),
        (
            ", sign_in: { redirect: \"https://a.example\", return: \"a b\" }".to_owned(),
            "name a query parameter",
        ),
        (", sign_in: { redirect: \"https://a.example\", to: x }".to_owned(), "has no field `to`"),
        (", sign_in: /login".to_owned(), "write a mapping"),
        (
            format!(", accept: [api-key]{}", sign_in("https://a.example/login")),
            "no sign-in page gives a program a key",
        ),
    ] {
        let faults = read(&policy, "").unwrap_err().to_string();
        assert!(faults.contains(part), "{policy}: {faults}");
    }
    let (_, warnings) = read(&sign_in("http://login.example.org/"), "").unwrap();
    assert!(warnings.to_string().contains("people type their passwords there"), "{warnings}");
    let public =
        read("", "  - { name: x, host: api, exact: /x, policy: open-pages, to: shop }\n").unwrap_err();
    assert!(public.to_string().contains("open-pages"), "{public}");
}
