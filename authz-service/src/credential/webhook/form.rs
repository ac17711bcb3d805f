//! Reads the value of a signature's header by the form that the edge file gives.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use edge_config::edge::{DigestEncoding, SignatureFormat};

use crate::credential::fault::WebhookFault;

/// A sender writes one signature for each secret that it has in use; each costs a comparison.
const MAX_SIGNATURES: usize = 8;

/// A longer value has no reason: eight digests of SHA-512 in hexadecimal digits.
const MAX_BYTES: usize = 1_536;

/// What a header's value offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered<'v> {
    /// The digests: at least one, at most [`MAX_SIGNATURES`].
    pub digests: Vec<Vec<u8>>,
    /// The moment of signing, as written, where the format has one.
    pub time: Option<&'v [u8]>,
}

/// Reads `value` by `format`.
///
/// # Errors
/// [`WebhookFault::Malformed`], or [`WebhookFault::NoTimestamp`].
pub fn read<'v>(format: &SignatureFormat, value: &'v [u8]) -> Result<Offered<'v>, WebhookFault> {
    let SignatureFormat { before, behind, digest, time, separator } = format;
    if value.len() > MAX_BYTES {
        return Err(WebhookFault::Malformed);
    }
    let one = |item: &[u8]| -> Option<Result<Vec<u8>, WebhookFault>> {
        let text = item.strip_prefix(before.as_bytes())?;
        let text = text.strip_suffix(behind.as_bytes());
        Some(text.and_then(|text| decode(*digest, text)).ok_or(WebhookFault::Malformed))
    };
    let Some(separator) = separator else {
        let digest = one(value).unwrap_or(Err(WebhookFault::Malformed))?;
        return Ok(Offered { digests: vec![digest], time: None });
    };
    let mut offered = Offered { digests: Vec::new(), time: None };
    // The edge file allows ASCII separators only.
    for item in value.split(|byte| char::from(*byte) == *separator) {
        let item = item.trim_ascii();
        if let Some(written) = time.as_ref().and_then(|time| item.strip_prefix(time.as_bytes())) {
            // Two moments: the sender's text and this check might use different ones.
            if offered.time.replace(written).is_some() {
                return Err(WebhookFault::Malformed);
            }
        } else if let Some(digest) = one(item) {
            offered.digests.push(digest?);
        }
        if offered.digests.len() > MAX_SIGNATURES {
            return Err(WebhookFault::Malformed);
        }
    }
    if offered.digests.is_empty() {
        return Err(WebhookFault::Malformed);
    }
    if time.is_some() && offered.time.is_none() {
        return Err(WebhookFault::NoTimestamp);
    }
    Ok(offered)
}

/// The digest in `text`, in the one spelling of `encoding`.
fn decode(encoding: DigestEncoding, text: &[u8]) -> Option<Vec<u8>> {
    match encoding {
        DigestEncoding::Hex => hex(text, u8::is_ascii_lowercase),
        DigestEncoding::UpperHex => hex(text, u8::is_ascii_uppercase),
        DigestEncoding::Base64 => STANDARD.decode(text).ok(),
        DigestEncoding::Base64Url => URL_SAFE_NO_PAD.decode(text).ok(),
    }
    .filter(|digest| !digest.is_empty())
}

fn hex(text: &[u8], letter: fn(&u8) -> bool) -> Option<Vec<u8>> {
    let digit = |byte: &u8| -> Option<u8> {
        let value = char::from(*byte).to_digit(16)?;
        (byte.is_ascii_digit() || letter(byte)).then(|| u8::try_from(value).ok()).flatten()
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(digit(high)? << 4 | digit(low)?),
        _ => None,
    };
    text.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(
        format: &str,
        separator: Option<char>,
        value: &str,
    ) -> Result<(usize, Option<String>), WebhookFault> {
        let format = SignatureFormat::read(format, separator).unwrap();
        let offered = read(&format, value.as_bytes())?;
        let time = offered.time.map(|time| String::from_utf8(time.to_vec()).unwrap());
        Ok((offered.digests.len(), time))
    }

    #[test]
    fn each_form_takes_its_own_spelling_and_no_other() {
        for (format, separator, good, bad) in [
            (
                "sha256={hex}",
                None,
                &["sha256=00ff", "sha256=0a"][..],
                &[
                    "sha256=00FF",
                    "sha256=00fF",
                    "SHA256=00ff",
                    "sha1=00ff",
                    "sha256=00f",
                    "sha256=",
                    "00ff",
                    " sha256=00ff",
                    "sha256= 00ff",
                    "sha256=00ff ",
                    "sha256=00ff,sha256=00ff",
                    "sha256=0x00",
                    "sha256=AP8=",
                    "",
                ][..],
            ),
            ("{HEX}", None, &["00FF", "09"], &["00ff", "00fF"]),
            ("{base64}", None, &["AP8="], &["AP8", "AP9=", "AP8==", "AP-_", "00ff ", "AP8=\n", " AP8=", "="]),
            ("{base64url}", None, &["AP8", "-_8"], &["AP8=", "+/8"]),
            ("<{hex}>", None, &["<00>"], &["<00", "00>", "<>"]),
            (
                "t={timestamp},v1={hex}",
                None,
                &["t=5,v1=00", "v1=00,t=5", "t=5,v0=zz,v1=00", "t=5, v1=00, v1=01", "t=5,v1=00,", "t=,v1=00"],
                &[
                    "t=5",
                    "v1=00",
                    "t=5,t=6,v1=00",
                    "t=5,v1=0",
                    "t=5,v1=zz",
                    "t=5,v1=00,v1=",
                    "t=5;v1=00",
                    "t=5,v1:00",
                ],
            ),
            (
                "v1,{base64}",
                Some(' '),
                &["v1,AP8=", "v1,AP8= v1,AAE=", "v1a,zz v1,AP8=", "v1,AP8= x"],
                &["v1,AP8", "v1a,AP8=", "", "v1,", "v1,AP8=,v1,AP8="],
            ),
        ] {
            for value in good {
                assert!(offered(format, separator, value).is_ok(), "{format} {value}");
            }
            for value in bad {
                assert!(offered(format, separator, value).is_err(), "{format} {value:?}");
            }
        }
        let many = ["v1=00"; 9].join(",");
        let of = |value: &str| offered("t={timestamp},v1={hex}", None, value);
        assert_eq!(of(&format!("t=5,{many}")), Err(WebhookFault::Malformed));
        assert_eq!(of("t=5,v1=00,v1=01"), Ok((2, Some("5".to_owned()))));
        assert_eq!(of("v1=00"), Err(WebhookFault::NoTimestamp));
    }
}
