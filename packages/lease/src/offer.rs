//! Which credential a request offers, if it offers exactly one.
//!
//! The authorizer has richer rules for lines, kinds and names that disagree. Here only the plain case can have a lease;
//! every other request is checked in full.

/// The credentials that a listener knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The cookie with the access token.
    pub cookie: Vec<u8>,
    /// Whether `Authorization: Bearer` counts too.
    pub bearer: bool,
    /// Headers with other credentials (API keys), in lower case: a request with one of them has no lease.
    pub other_headers: Vec<Vec<u8>>,
    /// Cookies with other credentials (legacy sessions): a request with one of them has no lease.
    pub other_cookies: Vec<Vec<u8>>,
}

/// One credential, as it stands in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer<'a> {
    /// The value of the session cookie, untouched.
    Cookie(&'a [u8]),
    /// The whole value of `authorization`.
    Bearer(&'a [u8]),
}

impl<'a> Offer<'a> {
    pub(crate) const fn kind(self) -> u8 {
        match self {
            Self::Cookie(_) => 1,
            Self::Bearer(_) => 2,
        }
    }

    pub(crate) const fn bytes(self) -> &'a [u8] {
        match self {
            Self::Cookie(bytes) | Self::Bearer(bytes) => bytes,
        }
    }
}

/// What one pass over the headers of a request finds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gathered<'a> {
    cookie: Option<&'a [u8]>,
    authorization: Option<&'a [u8]>,
    odd: bool,
}

impl Names {
    /// Looks at one header.
    #[inline]
    pub fn see<'a>(&self, gathered: &mut Gathered<'a>, name: &[u8], value: &'a [u8]) {
        let place = match name.len() {
            6 if name.eq_ignore_ascii_case(b"cookie") => &mut gathered.cookie,
            13 if name.eq_ignore_ascii_case(b"authorization") => &mut gathered.authorization,
            _ => {
                gathered.odd |= self.other_headers.iter().any(|other| name.eq_ignore_ascii_case(other));
                return;
            }
        };
        gathered.odd |= place.replace(value).is_some();
    }

    /// The one credential, once all headers have been read.
    #[must_use]
    pub fn offer<'a>(&self, gathered: &Gathered<'a>) -> Option<Offer<'a>> {
        if gathered.odd {
            return None;
        }
        let cookie = match gathered.cookie {
            Some(line) => self.in_cookies(line)?,
            None => None,
        };
        match (cookie, gathered.authorization) {
            (Some(value), None) if !value.is_empty() => Some(Offer::Cookie(value)),
            (None, Some(line)) if self.bearer && is_bearer(line) => Some(Offer::Bearer(line)),
            (Some(_) | None, Some(_) | None) => None,
        }
    }

    /// The session cookie's value; the outer `None` when the line is not plain.
    fn in_cookies<'a>(&self, line: &'a [u8]) -> Option<Option<&'a [u8]>> {
        let mut found = None;
        for pair in line.split(|&byte| byte == b';') {
            let Some(equals) = pair.iter().position(|&byte| byte == b'=') else { continue };
            let (name, value) = pair.split_at_checked(equals)?;
            let name = name.trim_ascii();
            if name == self.cookie.as_slice() {
                if found.is_some() {
                    return None;
                }
                found = value.get(1..);
            } else if self.other_cookies.iter().any(|other| name == other.as_slice()) {
                return None;
            }
        }
        Some(found)
    }
}

/// `Bearer`, one space and something without spaces: the form that every client writes.
fn is_bearer(line: &[u8]) -> bool {
    line.strip_prefix(b"Bearer ").is_some_and(|token| {
        !token.is_empty() && token.iter().all(|&byte| byte.is_ascii_graphic() && byte != b',')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer<'a>(headers: &[(&str, &'a str)]) -> Option<Offer<'a>> {
        let names = Names {
            cookie: b"token".to_vec(),
            bearer: true,
            other_headers: vec![b"x-api-key".to_vec()],
            other_cookies: vec![b"old".to_vec()],
        };
        let mut gathered = Gathered::default();
        for (name, value) in headers {
            names.see(&mut gathered, name.as_bytes(), value.as_bytes());
        }
        names.offer(&gathered)
    }

    #[test]
    fn one_plain_credential_is_an_offer() {
        assert_eq!(offer(&[("cookie", "token=a")]), Some(Offer::Cookie(b"a")));
        assert_eq!(offer(&[("cookie", "x=1; token=a=b ;y")]), Some(Offer::Cookie(b"a=b ")));
        assert_eq!(
            offer(&[("authorization", "Bearer a"), ("cookie", "x=1")]),
            Some(Offer::Bearer(b"Bearer a"))
        );
    }

    #[test]
    fn an_odd_credential_makes_no_offer() {
        let odd: [&[(&str, &str)]; 13] = [
            &[],
            &[("cookie", "token=")],
            &[("cookie", "token=a; token=a")],
            &[("cookie", "token=a"), ("cookie", "x=1")],
            &[("cookie", "token=a"), ("authorization", "Basic a")],
            &[("cookie", "token=a"), ("authorization", "Bearer a")],
            &[("authorization", "Bearer a"), ("authorization", "Bearer a")],
            &[("authorization", "bearer a")],
            &[("authorization", "Bearer  a")],
            &[("authorization", "Bearer a, Basic b")],
            &[("cookie", "token=a"), ("X-Api-Key", "")],
            &[("cookie", "token=a; old=b")],
            &[("cookie", "Token=a")],
        ];
        for headers in odd {
            assert_eq!(offer(headers), None, "{headers:?}");
        }
    }
}
