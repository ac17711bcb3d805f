//! Whose word about the client of a request counts.

use edge_config::edge::{Cidr, Http10, ProxyProtocol, TrustedProxies};

use super::super::found::{Aspects, Protection};

pub(super) fn http_10(noted: &mut Aspects, old: Http10, new: Http10) {
    match (old, new) {
        (Http10::Refuse | Http10::FromProxies, Http10::Accept) => {
            noted.note(Protection::Weaker, "accepts HTTP/1.0");
        }
        (Http10::Refuse, Http10::FromProxies) => {
            noted.note(Protection::Weaker, "accepts HTTP/1.0 from trusted proxies");
        }
        (Http10::Accept, Http10::FromProxies) => {
            noted.note(Protection::Stricter, "accepts HTTP/1.0 from trusted proxies alone");
        }
        (Http10::Accept | Http10::FromProxies, Http10::Refuse) => {
            noted.note(Protection::Stricter, "no longer accepts HTTP/1.0");
        }
        (Http10::Refuse, Http10::Refuse)
        | (Http10::Accept, Http10::Accept)
        | (Http10::FromProxies, Http10::FromProxies) => {}
    }
}

pub(super) fn proxies(noted: &mut Aspects, old: Option<&TrustedProxies>, new: Option<&TrustedProxies>) {
    match (old, new) {
        (None, Some(TrustedProxies { addresses, .. })) => {
            let listed = listed(addresses.iter());
            noted.note(
                Protection::Weaker,
                format!("proxies at {listed} name the client: check the addresses"),
            );
        }
        (Some(_), None) => {
            noted.note(Protection::Stricter, "no proxy names the client: it is the peer of the connection");
        }
        (Some(old), Some(new)) => {
            let TrustedProxies { addresses, header, hops, passes_host } = new;
            let more: Vec<&Cidr> = without(addresses, &old.addresses);
            if !more.is_empty() {
                noted.note(Protection::Weaker, format!("proxies at {}, too, name the client", listed(more)));
            }
            let fewer: Vec<&Cidr> = without(&old.addresses, addresses);
            if !fewer.is_empty() {
                noted.note(Protection::Stricter, format!("proxies at {} no longer name it", listed(fewer)));
            }
            if old.header != *header {
                let said = format!(
                    "the client is read from `{}` instead of `{}`",
                    header.header(),
                    old.header.header()
                );
                noted.note(Protection::Weaker, format!("{said}: every proxy must write it"));
            }
            if old.hops < *hops {
                noted.note(
                    Protection::Weaker,
                    format!("{hops} hops count as proxies instead of {}", old.hops),
                );
            } else if old.hops > *hops {
                noted.note(
                    Protection::Stricter,
                    format!("{hops} hops count as proxies instead of {}", old.hops),
                );
            }
            match (old.passes_host, *passes_host) {
                (false, true) => {
                    noted.note(Protection::Weaker, "backends receive the host that a proxy names")
                }
                (true, false) => {
                    noted
                        .note(Protection::Stricter, "backends no longer receive the host that a proxy names");
                }
                (true, true) | (false, false) => {}
            }
        }
        (None, None) => {}
    }
}

pub(super) fn proxy_protocol(noted: &mut Aspects, old: Option<ProxyProtocol>, new: Option<ProxyProtocol>) {
    match (old, new) {
        (None, Some(_)) => {
            noted.note(Protection::Weaker, "the PROXY protocol of trusted proxies names the client")
        }
        (Some(_), None) => noted.note(Protection::Stricter, "the PROXY protocol is no longer read"),
        (Some(ProxyProtocol::Required), Some(ProxyProtocol::Optional)) => {
            noted.note(Protection::Weaker, "connections without the PROXY protocol are accepted");
        }
        (Some(ProxyProtocol::Optional), Some(ProxyProtocol::Required)) => {
            noted.note(Protection::Stricter, "connections without the PROXY protocol are closed");
        }
        (None, None)
        | (Some(ProxyProtocol::Optional), Some(ProxyProtocol::Optional))
        | (Some(ProxyProtocol::Required), Some(ProxyProtocol::Required)) => {}
    }
}

/// The ranges of `these` that no range of `others` covers.
fn without<'a>(these: &'a [Cidr], others: &[Cidr]) -> Vec<&'a Cidr> {
    these.iter().filter(|this| !others.iter().any(|other| other.covers(this))).collect()
}

fn listed<'a>(ranges: impl IntoIterator<Item = &'a Cidr>) -> String {
    ranges.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::super::found::{Finding, Protection};

    const EDGE: &str = include_str!("../../../tests/files/edge.yaml");

    fn rows(old: &str, new: &str) -> Vec<String> {
        let edge = |more: &str| {
            let text = EDGE.replacen("exposure: public }", &format!("exposure: public, {more} }}"), 1);
            edge_config::parse("edge.yaml".as_ref(), &text, &|_| None).unwrap()
        };
        let plan = crate::plan::plan(&edge(old), &edge(new));
        let of_listener = plan.edge.into_iter().filter(|(subject, _)| subject == "listener `public`");
        let standing = |finding: &Finding| match finding.standing {
            Protection::Weaker => "weaker",
            Protection::Stricter => "stricter",
            Protection::Opened | Protection::Closed | Protection::Same => "same",
        };
        of_listener
            .map(|(_, finding)| format!("{}: {}", standing(&finding), finding.because.join("; ")))
            .collect()
    }

    #[test]
    fn each_setting_of_proxies_is_compared() {
        let list = |rest: &str| format!("trusted_proxies: {{ addresses: [10.0.0.0/8]{rest} }}");
        let wider = "trusted_proxies: [10.0.0.0/8, 192.0.2.0/24]".to_owned();
        let protocol = |word: &str| format!("{}, proxy_protocol: {word}", list(""));
        let old_version = |word: &str| format!("{}, http_1_0: {word}", list(""));
        for (old, new, there, back) in [
            (
                list(""),
                wider,
                "weaker: proxies at 192.0.2.0/24, too, name",
                "stricter: proxies at 192.0.2.0/24 no longer",
            ),
            (list(""), list(", hops: 2"), "weaker: 2 hops count", "stricter: 1 hops count"),
            (
                list(""),
                list(", host: pass"),
                "weaker: backends receive the host",
                "stricter: backends no longer receive",
            ),
            (
                list(""),
                list(", header: forwarded"),
                "weaker: the client is read from `forwarded` instead of `x-forwarded-for`",
                "weaker: the client is read from `x-forwarded-for` instead of `forwarded`",
            ),
            (
                protocol("required"),
                protocol("optional"),
                "weaker: connections without the PROXY protocol are accepted",
                "stricter: connections without the PROXY protocol are closed",
            ),
            (
                old_version("trusted"),
                old_version("accept"),
                "weaker: accepts HTTP/1.0",
                "stricter: accepts HTTP/1.0 from trusted proxies alone",
            ),
        ] {
            for (old, new, expected) in [(&old, &new, there), (&new, &old, back)] {
                let rows = rows(old, new);
                assert!(rows.iter().any(|row| row.contains(expected)), "{old} -> {new}: {rows:?}");
            }
        }
        assert_eq!(
            rows(&list(""), "trusted_proxies: [10.0.0.0/8]"),
            Vec::<String>::new(),
            "the same in other words"
        );
    }
}
