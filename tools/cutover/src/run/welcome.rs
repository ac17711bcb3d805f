//! The message of a run that is up.

use std::fmt::Write as _;

use edge_config::Edge;
use edge_config::edge::TenantDirectory;

use super::{Plan, programs, supervisor};
use crate::certs;

/// Where every program listens, and what to try.
pub(super) fn text(plan: &Plan) -> Result<String, String> {
    let mut text = format!("\nThe edge `{}` is up, revision {}.\n\n", plan.edge.name, plan.edge.revision);
    for address in plan.addresses.all() {
        let encrypted = plan.edge.listeners.iter().any(|(name, listener)| {
            listener.tls.is_some() && address.who.strip_prefix("edge, ") == Some(name.as_str())
        });
        let scheme = if encrypted { "https" } else { "http" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {:<18} {scheme}://{}", address.who, address.address);
    }
    let contents = if plan.beside.is_empty() { "logs" } else { "logs and mail" };
    let _ = write!(text, "\n  {contents:<18} {}\n", plan.home.display());
    match &plan.edge.tenants {
        Some(TenantDirectory::File(file)) => {
            let _ = writeln!(text, "  {:<18} {}", "tenants", file.display());
        }
        Some(TenantDirectory::Service(service)) => {
            let _ = writeln!(text, "  {:<18} {}", "tenants", service.url);
        }
        None => {}
    }
    if supervisor::has_daemon(&plan.venv) {
        let control = shell(&plan.venv.join("bin/supervisorctl").display().to_string());
        let file = shell(&plan.home.join("supervisord.conf").display().to_string());
        let _ = writeln!(text, "  {:<18} {control} -c {file} stop authz", "stop one part");
    }
    let _ = write!(text, "\n{}\nCtrl-C stops all of it.\n", to_try(plan)?);
    Ok(text)
}

/// What to try: as the file beside the edge file says, or else one request.
fn to_try(plan: &Plan) -> Result<String, String> {
    let Some((_, listener)) = programs::public(&plan.edge) else { return Ok(String::new()) };
    let mut values = plan.values.clone();
    let address = listener.address;
    let (url, curl) = if let Some(tls) = &listener.tls {
        let first = tls.certificates.first().map(|files| files.certificate.clone()).unwrap_or_default();
        let certificate = shell(&first.display().to_string());
        let (host, port) = (host(plan), address.port());
        let trusting = if first.ends_with(certs::CERTIFICATE) {
            format!("curl --cacert {certificate} --resolve {host}:{port}:{}", address.ip())
        } else {
            format!("curl --resolve {host}:{port}:{}", address.ip())
        };
        (format!("https://{host}:{port}"), trusting)
    } else {
        (format!("http://localhost:{}", address.port()), "curl".to_owned())
    };
    values.insert("SHELL_HOME".to_owned(), shell(&plan.home.display().to_string()));
    let one = format!("Try it (in another terminal):\n\n  {curl} -i {url}/\n");
    values.extend([("EDGE_URL".to_owned(), url), ("CURL".to_owned(), curl)]);
    Ok(plan.beside.greeting(&values)?.unwrap_or(one))
}

/// The host name to show: of the host group that the file beside the edge file names, or of the first one.
fn host(plan: &Plan) -> &str {
    let Edge { hosts, .. } = &plan.edge;
    let named = plan.beside.host.as_ref().and_then(|name| hosts.get(name));
    let names = named.into_iter().chain(hosts.values()).flat_map(|host| &host.names);
    names.map(String::as_str).find(|name| !name.starts_with('*')).unwrap_or("localhost")
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
