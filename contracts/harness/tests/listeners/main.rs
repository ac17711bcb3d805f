//! Where a client arrives: addresses, TLS, proxies in front, redirects to https, and what attackers send there.

mod addresses;
mod balancer;
mod certificates;
mod headers;
mod hsts;
mod listeners;
mod names;
mod prod_attacks;
mod prod_load;
mod proxied_redirects;
mod proxy_protocol;
mod redirects;
mod tls;
mod trusted_proxies;
