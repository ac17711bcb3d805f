//! What can be wrong with an address.

/// Why an address cannot be used. The message follows the name of the setting, and shows no part of the address, which may
/// hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnusableAddress {
    /// It is not the address of a Redis.
    #[error(
        "is not a valid Redis address; write redis://HOST:PORT, redis+sentinel://HOST:PORT,HOST:PORT/NAME or \
         redis+cluster://HOST:PORT,HOST:PORT (rediss with TLS), with USER:PASSWORD@ before the hosts"
    )]
    Form,
    /// A host or a port is invalid.
    #[error(
        "names an invalid host or port; write HOST:PORT, separated by commas, and an IPv6 address in brackets"
    )]
    Host,
    /// It names too many hosts.
    #[error("names more than {0} hosts; a few of them are enough")]
    TooManyHosts(usize),
    /// Sentinels are asked for a primary by its name.
    #[error(
        "names no primary; write the name that the sentinels give it behind the hosts, as in \
         redis+sentinel://HOST:26379/mymaster"
    )]
    NoPrimary,
    /// The database is not a number, or the cluster has no others.
    #[error("names an invalid database; write a number such as /0 (a cluster has only 0)")]
    Database,
    /// A parameter is unknown, repeated or empty.
    #[error(
        "has the parameter {0:?}, which is unknown, repeated, empty or out of place; there are ca, certificate, key, \
         password_file and, for sentinels, sentinel_user, sentinel_password, sentinel_password_file"
    )]
    Parameter(String),
    /// Certificates without TLS.
    #[error("names certificates without TLS; write rediss instead of redis")]
    Unencrypted,
    /// One of two files is missing.
    #[error("names only one of `certificate` and `key`; they belong together")]
    Half,
    /// The certificate is to be verified.
    #[error("has a part behind `#`, which would turn verification off; name the CA with `?ca=FILE` instead")]
    Unverified,
    /// A file cannot be used.
    #[error("names a file that cannot be used: {0}")]
    File(String),
}
