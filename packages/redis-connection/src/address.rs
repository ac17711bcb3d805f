//! The address of a Redis, as a setting gives it.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use redis::{ConnectionAddr, IntoConnectionInfo as _, RedisConnectionInfo};

use crate::access::{Access, Login, Password, TlsFiles};
use crate::fault::UnusableAddress;
use crate::hosts::{self, Host};

/// The port of a sentinel, by Redis's own default.
const SENTINEL_PORT: u16 = 26379;
/// The port of a server, by Redis's own default.
const SERVER_PORT: u16 = 6379;

/// Where a Redis is, and how it is entered. `Debug` shows no password and no host.
#[derive(Clone)]
pub struct Address {
    pub(crate) form: Form,
    pub(crate) access: Access,
}

/// How the servers are found.
#[derive(Clone)]
pub(crate) enum Form {
    /// One server.
    One(ConnectionAddr),
    /// The primary that the sentinels name.
    Sentinels { sentinels: Vec<Host>, primary: String },
    /// A cluster, by some of its nodes.
    Cluster(Vec<Host>),
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let form = match &self.form {
            Form::One(_) => "one server",
            Form::Sentinels { .. } => "behind sentinels",
            Form::Cluster(_) => "cluster",
        };
        f.debug_struct("Address").field("form", &form).finish_non_exhaustive()
    }
}

impl Address {
    /// Reads an address. Its files must be there and usable, so that a mistake is found at the start.
    ///
    /// # Errors
    /// [`UnusableAddress`]
    pub fn parse(text: &str) -> Result<Self, UnusableAddress> {
        let address = Self::read(text)?;
        address.access.load().map_err(|fault| UnusableAddress::File(fault.to_string()))?;
        Ok(address)
    }

    /// Whether it names a cluster, in which keys that a script needs together must have one hash tag.
    #[must_use]
    pub const fn is_cluster(&self) -> bool {
        matches!(self.form, Form::Cluster(_))
    }

    fn read(text: &str) -> Result<Self, UnusableAddress> {
        if text.contains('#') {
            return Err(UnusableAddress::Unverified);
        }
        let (rest, query) = text.split_once('?').map_or((text, ""), |(rest, query)| (rest, query));
        let (scheme, place) = rest.split_once("://").ok_or(UnusableAddress::Form)?;
        let encrypted = scheme == "valkeys" || scheme.starts_with("rediss");
        let mut parameters = Parameters::read(query)?;
        let (form, settings) = match scheme {
            "redis+sentinel" | "rediss+sentinel" => {
                let Several { hosts, path, settings } = several(place, SENTINEL_PORT)?;
                let (name, database) = path.split_once('/').map_or((path, ""), |(name, rest)| (name, rest));
                let primary = decoded(name)?;
                if primary.is_empty() {
                    return Err(UnusableAddress::NoPrimary);
                }
                let settings = settings.set_db(number(database)?);
                (Form::Sentinels { sentinels: hosts, primary }, settings)
            }
            "redis+cluster" | "rediss+cluster" => {
                let Several { hosts, path, settings } = several(place, SERVER_PORT)?;
                if number(path)? != 0 {
                    return Err(UnusableAddress::Database);
                }
                (Form::Cluster(hosts), settings)
            }
            // Other forms of one server are those of the `redis` crate, with its own parameters.
            _ => {
                let others = parameters.others.join("&");
                let one = if others.is_empty() { rest.to_owned() } else { format!("{rest}?{others}") };
                parameters.others.clear();
                let info = one.into_connection_info().map_err(|_| UnusableAddress::Form)?;
                (Form::One(info.addr().clone()), info.redis_settings().clone())
            }
        };
        if let Some(other) = parameters.others.first() {
            return Err(UnusableAddress::Parameter(name_of(other)));
        }
        let is_sentinel = matches!(form, Form::Sentinels { .. });
        Ok(Self { form, access: parameters.access(encrypted, is_sentinel, settings)? })
    }
}

/// What stands behind the scheme of an address with several hosts.
struct Several<'a> {
    hosts: Vec<Host>,
    path: &'a str,
    settings: RedisConnectionInfo,
}

fn several(place: &str, port: u16) -> Result<Several<'_>, UnusableAddress> {
    let (authority, path) = place.split_once('/').map_or((place, ""), |(authority, path)| (authority, path));
    let mut settings = RedisConnectionInfo::default();
    let listed = match authority.rsplit_once('@') {
        None => authority,
        Some((login, listed)) => {
            let (user, password) = login.split_once(':').map_or((login, ""), |(user, word)| (user, word));
            let (user, password) = (decoded(user)?, decoded(password)?);
            if !user.is_empty() {
                settings = settings.set_username(&user);
            }
            if !password.is_empty() {
                settings = settings.set_password(&password);
            }
            listed
        }
    };
    Ok(Several { hosts: hosts::read(listed, port)?, path, settings })
}

fn decoded(text: &str) -> Result<String, UnusableAddress> {
    let text = percent_decode_str(text).decode_utf8().map_err(|_| UnusableAddress::Form)?;
    Ok(text.into_owned())
}

fn number(text: &str) -> Result<i64, UnusableAddress> {
    match text.trim_end_matches('/') {
        "" => Ok(0),
        text => text.parse::<u16>().map(i64::from).map_err(|_| UnusableAddress::Database),
    }
}

fn name_of(parameter: &str) -> String {
    parameter.split('=').next().unwrap_or_default().to_owned()
}

/// What stands behind `?`.
#[derive(Default)]
struct Parameters<'a> {
    ca: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    password_file: Option<PathBuf>,
    sentinel_user: Option<String>,
    sentinel_password: Option<String>,
    sentinel_password_file: Option<PathBuf>,
    others: Vec<&'a str>,
}

impl<'a> Parameters<'a> {
    fn read(query: &'a str) -> Result<Self, UnusableAddress> {
        let mut read = Self::default();
        for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
            let (name, value) =
                parameter.split_once('=').map_or((parameter, ""), |(name, value)| (name, value));
            let value = decoded(value)?;
            let file = || PathBuf::from(&value);
            let is_repeated = match name {
                "ca" => read.ca.replace(file()).is_some(),
                "certificate" => read.certificate.replace(file()).is_some(),
                "key" => read.key.replace(file()).is_some(),
                "password_file" => read.password_file.replace(file()).is_some(),
                "sentinel_user" => read.sentinel_user.replace(value.clone()).is_some(),
                "sentinel_password" => read.sentinel_password.replace(value.clone()).is_some(),
                "sentinel_password_file" => read.sentinel_password_file.replace(file()).is_some(),
                _ => {
                    read.others.push(parameter);
                    continue;
                }
            };
            if is_repeated || value.is_empty() {
                return Err(UnusableAddress::Parameter(name.to_owned()));
            }
        }
        Ok(read)
    }

    fn access(
        self,
        encrypted: bool,
        is_sentinel: bool,
        settings: RedisConnectionInfo,
    ) -> Result<Access, UnusableAddress> {
        let out_of_place = |name: &str| Err(UnusableAddress::Parameter(name.to_owned()));
        let identity = match (self.certificate, self.key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(UnusableAddress::Half),
        };
        if !encrypted && (self.ca.is_some() || identity.is_some()) {
            return Err(UnusableAddress::Unencrypted);
        }
        if self.password_file.is_some() && settings.password().is_some() {
            return out_of_place("password_file");
        }
        if self.sentinel_password_file.is_some() && self.sentinel_password.is_some() {
            return out_of_place("sentinel_password_file");
        }
        let sentinel_password = self.sentinel_password.map(Password::Text);
        let sentinel = Login {
            user: self.sentinel_user,
            password: sentinel_password.or(self.sentinel_password_file.map(Password::File)),
        };
        if !is_sentinel && (sentinel.user.is_some() || sentinel.password.is_some()) {
            return out_of_place("sentinel_…");
        }
        let tls = encrypted.then_some(TlsFiles { ca: self.ca, identity });
        Ok(Access { tls, settings, password_file: self.password_file, sentinel })
    }
}

#[cfg(test)]
mod tests;
