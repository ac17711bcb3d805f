//! The message of a run that is up.

use std::fmt::Write as _;

use edge_config::Edge;
use edge_config::edge::TenantDirectory;

use super::Plan;
use crate::certs;

/// Where every program listens, and commands for a sign-in to paste.
pub(super) fn text(plan: &Plan) -> String {
    let mut text = format!("\nThe edge `{}` is up, revision {}.\n\n", plan.edge.name, plan.edge.revision);
    for address in plan.addresses.all() {
        // Writing to a String cannot fail.
        let scheme = if plan.is_encrypted() && address.who == "edge, public" { "https" } else { "http" };
        let _ = writeln!(text, "  {:<18} {scheme}://{}", address.who, address.address);
    }
    let home = plan.home.display();
    let tenants = match &plan.edge.tenants {
        Some(TenantDirectory::File(file)) => file.display().to_string(),
        Some(TenantDirectory::Service(service)) => service.url.clone(),
        None => String::new(),
    };
    let control = plan.venv.join("bin/supervisorctl").display().to_string();
    let control = format!(
        "{} -c {}",
        shell(&control),
        shell(&plan.home.join("supervisord.conf").display().to_string())
    );
    let _ = write!(
        text,
        r#"
  logs and mail      {home}
  tenants            {tenants}
  stop one part      {control} stop authz

{}
Ctrl-C stops all of it.
"#,
        sign_in(plan)
    );
    text
}

/// The commands to paste, if a person can sign in.
fn sign_in(plan: &Plan) -> String {
    let Some(public) = plan.addresses.public() else { return String::new() };
    if plan.addresses.service().is_none() {
        return "People cannot sign in here: this edge has no listener for services, which the auth service needs to find people.\n"
            .to_owned();
    }
    let mail = shell(&plan.home.join("mail/demo@example.com").display().to_string());
    let (edge, curl) = if plan.is_encrypted() {
        let certificate = shell(&plan.home.join("certs").join(certs::CERTIFICATE).display().to_string());
        let (host, port) = (host(&plan.edge), public.port());
        let trusting = format!("curl --cacert {certificate} --resolve {host}:{port}:{}", public.ip());
        (format!("https://{host}:{port}"), trusting)
    } else {
        (format!("http://localhost:{}", public.port()), "curl".to_owned())
    };
    format!(
        r#"Sign in (paste into another terminal):

  EDGE={edge}
  {curl} -fsS -X POST $EDGE/auth/code -d '{{"email":"demo@example.com"}}'
  CODE=$(sed -n 's/.*"authcode": *"\([^"]*\)".*/\1/p' "$(ls {mail}/*.json | tail -n 1)")
  TOKEN=$({curl} -fsS -D - -X POST $EDGE/auth/token -d "{{\"email\":\"demo@example.com\",\"code\":\"$CODE\"}}" | sed -n 's/^set-cookie: madome_access_token=\([^;]*\).*/\1/p')
  {curl} -i $EDGE/users/@me -H "Cookie: madome_access_token=$TOKEN"
"#
    )
}

/// The host name at which people sign in: the one with the routes of the auth service.
fn host(edge: &Edge) -> &str {
    let route = edge.routes.iter().find(|route| route.path.path().starts_with("/auth"));
    let names = route.and_then(|route| edge.hosts.get(&route.host)).map(|host| host.names.as_slice());
    names.into_iter().flatten().find(|name| *name != "*").map_or("localhost", String::as_str)
}

/// A path for a shell: unchanged when it has no special characters, quoted otherwise.
fn shell(path: &str) -> String {
    if path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/._-+@:,".contains(&b)) {
        path.to_owned()
    } else {
        format!("'{}'", path.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::shell;

    #[test]
    fn a_path_is_quoted_only_where_a_shell_needs_it() {
        assert_eq!(shell("/a/.run-2/mail/demo@example.com"), "/a/.run-2/mail/demo@example.com");
        assert_eq!(shell("/a b/it's"), r"'/a b/it'\''s'");
    }
}
