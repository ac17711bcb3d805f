//! Tells a page that a person opens in a browser from every other request.
//!
//! A policy may send people without a session to a sign-in page. A program, a script of a page or a form must not be sent
//! there: it would take the page for its answer. Browsers of today say what a request is for (Fetch Metadata): `Sec-Fetch-Mode:
//! navigate` and `Sec-Fetch-Dest: document` is a page in a tab of its own, which no script can send. Without these headers
//! (older browsers, and any browser over a connection in the clear), a request counts as one for a page if it asks for HTML
//! before JSON, and no script library says that it sent it.

use crate::HeaderMap;

/// Whether a GET with `headers` is for a page in a tab of its own.
pub(crate) fn is_for_a_page(headers: HeaderMap<'_>) -> bool {
    let (mut mode, mut destination) = (Said::default(), Said::default());
    let (mut html, mut json, mut by_script) = (0, 0, false);
    for (name, value) in headers.pairs().flatten() {
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted.as_bytes());
        match name.len() {
            6 if is("accept") => {
                for range in value.split(|&byte| byte == b',') {
                    match read(range) {
                        Some((Kind::Html, quality)) => html = html.max(quality),
                        Some((Kind::Json, quality)) => json = json.max(quality),
                        Some((Kind::Other, _)) => {}
                        None => return false,
                    }
                }
            }
            14 if is("sec-fetch-mode") => mode.see(value, b"navigate"),
            14 if is("sec-fetch-dest") => destination.see(value, b"document"),
            16 if is("x-requested-with") => by_script = true,
            _ => {}
        }
    }
    match (mode, destination) {
        (Said::Other, _) | (_, Said::Other) => false,
        (Said::Wanted, Said::Wanted | Said::Nothing) => true,
        (Said::Nothing, Said::Nothing | Said::Wanted) => html > json && !by_script,
    }
}

/// What the lines of one header say.
#[derive(Clone, Copy, Debug, Default)]
enum Said {
    #[default]
    Nothing,
    Wanted,
    Other,
}

impl Said {
    fn see(&mut self, value: &[u8], wanted: &[u8]) {
        let is_wanted = value.trim_ascii().eq_ignore_ascii_case(wanted) && !matches!(self, Self::Other);
        *self = if is_wanted { Self::Wanted } else { Self::Other };
    }
}

/// The kind of a media range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Html,
    Json,
    Other,
}

/// Kind and quality, in thousandths, of a media range (RFC 9110 §12.5.1). `None` when it has no valid quality.
fn read(range: &[u8]) -> Option<(Kind, u16)> {
    let mut parts = range.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let media = parts.next().unwrap_or_default().to_ascii_lowercase();
    let kind = match media.as_slice() {
        b"text/html" | b"application/xhtml+xml" => Kind::Html,
        media if media.ends_with(b"/json") || media.ends_with(b"+json") => Kind::Json,
        _ => Kind::Other,
    };
    let mut quality = 1_000;
    for parameter in parts {
        if let Some(value) = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q=")) {
            quality = thousandths(value)?;
        }
    }
    Some((kind, quality))
}

/// `0.85` is 850.
fn thousandths(value: &[u8]) -> Option<u16> {
    let (whole, rest) = value.split_first()?;
    let digits = match rest.split_first() {
        None => &[],
        Some((b'.', digits)) if digits.len() <= 3 => digits,
        Some(_) => return None,
    };
    let digit = |byte: u8| byte.is_ascii_digit().then(|| u16::from(byte.saturating_sub(b'0')));
    let mut quality = digit(*whole)?;
    for place in 0..3 {
        let next = digits.get(place).map_or(Some(0), |byte| digit(*byte))?;
        quality = quality.checked_mul(10)?.checked_add(next)?;
    }
    (quality <= 1_000).then_some(quality)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header_map::tests::encode;

    fn page(headers: &[(&str, &str)]) -> bool {
        let pairs: Vec<(&[u8], &[u8])> = headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())).collect();
        is_for_a_page(HeaderMap::new(&encode(&pairs)))
    }

    const BROWSER: (&str, &str) =
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8");

    #[test]
    fn a_page_in_a_tab_of_its_own_is_one() {
        let navigate = ("Sec-Fetch-Mode", "navigate");
        for headers in [
            &[navigate, ("Sec-Fetch-Dest", "document"), BROWSER][..],
            &[navigate],
            &[navigate, ("sec-fetch-dest", "document"), ("accept", "*/*")],
            &[BROWSER],
            &[("accept", "text/html;q=0.9, application/json;q=0.5")],
            &[("accept", "application/xhtml+xml")],
        ] {
            assert!(page(headers), "{headers:?}");
        }
    }

    #[test]
    fn scripts_frames_forms_of_scripts_and_programs_are_none() {
        for headers in [
            &[][..],
            &[("accept", "*/*")],
            &[("accept", "application/json, text/plain, */*")],
            &[("accept", "text/html, application/json")],
            &[("accept", "text/html;q=0.2, application/problem+json;q=0.3")],
            &[("accept", "text/html;q=0")],
            &[("accept", "text/html;q=x")],
            &[("accept", "text/html;q=1.5")],
            &[("accept", "text/html;q=0.1234")],
            &[BROWSER, ("X-Requested-With", "XMLHttpRequest")],
            &[BROWSER, ("sec-fetch-mode", "cors")],
            &[BROWSER, ("sec-fetch-mode", "same-origin")],
            &[BROWSER, ("sec-fetch-mode", "websocket")],
            &[BROWSER, ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
            &[BROWSER, ("sec-fetch-dest", "empty")],
            &[("sec-fetch-mode", "navigate"), ("sec-fetch-mode", "cors")],
            &[("sec-fetch-mode", "cors"), ("sec-fetch-mode", "navigate")],
            &[("sec-fetch-mode", "navigate, cors")],
        ] {
            assert!(!page(headers), "{headers:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(accept: Vec<u8>, mode: Vec<u8>) {
            let buffer = encode(&[(b"accept", &accept), (b"sec-fetch-mode", &mode)]);
            let _ = is_for_a_page(HeaderMap::new(&buffer));
        }
    }
}
