//! Verifies webhooks: requests that another product signs with a secret (HMAC, RFC 2104).
//!
//! The edge file describes each sender ([`Webhook`]): the header, the form of its value, what is signed, and how old a
//! signature may be. The checks are, in this order: the header and its form, the signature over the bytes that were sent,
//! the moment of signing, and last whether the signature was seen before. So a caller without the secret learns nothing
//! about the rest and uses up no memory.
//!
//! | what happens | then |
//! |---|---|
//! | no header, or the moment of signing is missing | 401 |
//! | two lines of one of the headers | 401: a backend might read the other |
//! | a form or an encoding that the format does not have, a digest that is too short | 401 |
//! | a signature whose moment is further from now than the tolerance | 401 |
//! | a signature that was accepted before, unless the webhook says `once: false` | 401 |
//! | no secret could be loaded, or the memory of signatures does not answer | 503 |

pub mod form;
pub mod secrets;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clock::UnixTime;
use edge_config::edge::{SignedPart, Webhook, WebhookTime};
use identity::ServiceName;

use self::form::Offered;
use self::secrets::Secrets;
use crate::check::CheckInput;
use crate::credential::fault::{CredentialFault, WebhookFault};
use crate::credential::presented::Presented;
use crate::credential::signed::nonces::{Nonces, Spent, Window};
use crate::failure::Failure;
use crate::source::Health;

/// In this header Envoy reports whether it sent only a part of the body. As configured it never does.
const PARTIAL_BODY: &str = "x-envoy-auth-partial-body";

/// The longest value of a header that is part of the signed text: ids of deliveries have about 40 characters.
const MAX_HEADER_BYTES: usize = 512;

/// How far the clocks of two replicas may differ: a signature is remembered for so much longer than it is accepted.
const REPLICAS_DIFFER: Duration = Duration::from_secs(5);

/// A sender whose signature was verified, for this one request. Only this module can make one.
#[derive(Clone, Debug)]
pub struct AuthenticatedSender {
    name: ServiceName,
}

impl AuthenticatedSender {
    /// The name of the webhook.
    #[must_use]
    pub const fn name(&self) -> &ServiceName {
        &self.name
    }
}

/// Everything needed to verify webhooks.
#[derive(Debug)]
pub struct Webhooks {
    secrets: HashMap<String, Arc<Secrets>>,
    seen: Arc<Nonces>,
}

impl Webhooks {
    /// Verifies webhooks with `secrets`, by their names. `seen` remembers the accepted signatures.
    #[must_use]
    pub const fn new(secrets: HashMap<String, Arc<Secrets>>, seen: Arc<Nonces>) -> Self {
        Self { secrets, seen }
    }

    /// The memory of accepted signatures.
    #[must_use]
    pub const fn seen(&self) -> &Arc<Nonces> {
        &self.seen
    }

    /// The state of all secrets, for `/readyz`. Other routes do not depend on them, so they make no replica unready.
    #[must_use]
    pub fn health(&self) -> Health {
        let mut troubles: Vec<String> = self
            .secrets
            .iter()
            .filter_map(|(name, secrets)| Some(format!("{name}: {}", secrets.trouble()?)))
            .collect();
        troubles.sort();
        let detail =
            if troubles.is_empty() { format!("{} loaded", self.secrets.len()) } else { troubles.join("; ") };
        Health { ready: true, detail }
    }

    /// The sender that `input`'s signature proves, by the rules of the webhook `name`.
    ///
    /// # Errors
    /// [`Failure::WebhookSecretsUnavailable`] or [`Failure::NoncesUnavailable`] when a signature was offered and cannot be
    /// judged.
    pub async fn present(
        &self,
        name: &str,
        rules: &Webhook,
        input: &CheckInput<'_>,
        now: UnixTime,
    ) -> Result<Presented<AuthenticatedSender>, Failure> {
        let failed = |fault| Ok(Presented::Failed(CredentialFault::Webhook(fault)));
        let message = match Message::read(rules, input) {
            Ok(message) => message,
            Err(fault) => return failed(fault),
        };
        let secrets = self.secrets.get(name).ok_or(Failure::WebhookSecretsUnavailable)?.current(now)?;
        let Some(first) = secrets.verify(&message.parts, &message.offered.digests) else {
            return failed(WebhookFault::Wrong);
        };
        if let Some((time, at)) = rules.time.as_ref().zip(message.at) {
            if let Err(fault) = within(at, time.tolerance, now) {
                return failed(fault);
            }
            if time.once {
                let remembered = self.remember(name, &first, at, time, now);
                match Box::pin(remembered).await? {
                    Spent::Replayed => return failed(WebhookFault::Replayed),
                    Spent::Fresh => {}
                }
            }
        }
        // `edge_config` names webhooks as services are named.
        let name = name.parse().map_err(|_| Failure::WebhookSecretsUnavailable)?;
        Ok(Presented::Verified(AuthenticatedSender { name }))
    }

    /// Remembers the signature `tag` until it is too old. The tolerance bounds a replay without this memory, too: so a
    /// memory that began after the moment of signing counts, unlike that of signed requests.
    async fn remember(
        &self,
        name: &str,
        tag: &[u8],
        at: UnixTime,
        time: &WebhookTime,
        now: UnixTime,
    ) -> Result<Spent, Failure> {
        let closes = at.plus(time.tolerance).plus(REPLICAS_DIFFER);
        let window = Window { created: now.plus(Duration::from_millis(1)), closes, skew: Duration::ZERO };
        // The name of a key of signed requests has no colon.
        let key = format!("webhook:{name}");
        self.seen.spend(&key, &URL_SAFE_NO_PAD.encode(tag), self.secrets.len(), window, now).await
    }
}

/// The moment must be within the tolerance, both ends included.
fn within(at: UnixTime, tolerance: Duration, now: UnixTime) -> Result<(), WebhookFault> {
    if now > at.plus(tolerance) {
        return Err(WebhookFault::TooOld);
    }
    if at > now.plus(tolerance) {
        return Err(WebhookFault::TooNew);
    }
    Ok(())
}

/// What a request offers, and the text that its signature covers.
struct Message<'a> {
    offered: Offered<'a>,
    parts: Vec<&'a [u8]>,
    at: Option<UnixTime>,
}

impl<'a> Message<'a> {
    fn read(rules: &'a Webhook, input: &CheckInput<'a>) -> Result<Self, WebhookFault> {
        let value = only(input, &rules.header)?.ok_or(WebhookFault::Missing)?;
        let offered = form::read(&rules.format, value)?;
        if input.values(PARTIAL_BODY).any(|value| value != b"false") {
            return Err(WebhookFault::Wrong);
        }
        let written = match rules.time.as_ref().map(|time| time.header.as_deref()) {
            None => None,
            Some(None) => offered.time,
            Some(Some(header)) => only(input, header)?,
        };
        if rules.time.is_some() && written.is_none() {
            return Err(WebhookFault::NoTimestamp);
        }
        let at = written.map(moment).transpose()?;
        let mut parts: Vec<&[u8]> = Vec::with_capacity(rules.signed.len());
        for (index, part) in rules.signed.iter().enumerate() {
            parts.push(match part {
                SignedPart::Text(text) => text.as_bytes(),
                SignedPart::Timestamp => written.ok_or(WebhookFault::NoTimestamp)?,
                SignedPart::Body => input.body,
                SignedPart::Method => input.method.as_bytes(),
                SignedPart::Target => input.target.as_bytes(),
                SignedPart::Header(name) => signed_header(input, name, rules.signed.get(index + 1))?,
            });
        }
        Ok(Self { offered, parts, at })
    }
}

/// The value of the only line of `name`; `None` when there is none.
fn only<'a>(input: &CheckInput<'a>, name: &str) -> Result<Option<&'a [u8]>, WebhookFault> {
    let mut lines = input.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some((_, value)), None) => Ok(Some(value)),
        (Some(_), Some(_)) => Err(WebhookFault::Repeated),
    }
}

/// The value of a header that is signed. It must not contain the text behind it: otherwise its end could be moved into
/// what follows, under the same signature.
fn signed_header<'a>(
    input: &CheckInput<'a>,
    name: &str,
    next: Option<&SignedPart>,
) -> Result<&'a [u8], WebhookFault> {
    let value = only(input, name)?.ok_or(WebhookFault::Incomplete)?;
    let ends = match next {
        Some(SignedPart::Text(text)) => text.as_bytes(),
        Some(
            SignedPart::Timestamp
            | SignedPart::Body
            | SignedPart::Header(_)
            | SignedPart::Method
            | SignedPart::Target,
        )
        | None => b"",
    };
    let contains_end = !ends.is_empty() && value.windows(ends.len()).any(|window| window == ends);
    if value.is_empty() || value.len() > MAX_HEADER_BYTES || contains_end {
        return Err(WebhookFault::Incomplete);
    }
    Ok(value)
}

/// Seconds since 1970, in digits without a leading zero: one spelling for each moment. Eleven digits last beyond the year
/// 5000, and thirteen would be milliseconds.
fn moment(text: &[u8]) -> Result<UnixTime, WebhookFault> {
    let plain =
        (1..=11).contains(&text.len()) && text.iter().all(u8::is_ascii_digit) && text.first() != Some(&b'0');
    let seconds = std::str::from_utf8(text).ok().filter(|_| plain).and_then(|text| text.parse().ok());
    seconds.map(UnixTime::from_seconds).ok_or(WebhookFault::MalformedTimestamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tolerance_is_exact_to_the_second_at_both_ends() {
        let at = UnixTime::from_seconds;
        let verdict = |signed: u64, now: u64| within(at(signed), Duration::from_secs(300), at(now)).err();
        for (now, expected) in [
            (9_700, None),
            (9_699, Some(WebhookFault::TooNew)),
            (10_000, None),
            (10_300, None),
            (10_301, Some(WebhookFault::TooOld)),
        ] {
            assert_eq!(verdict(10_000, now), expected, "{now}");
        }
        assert_eq!(verdict(u64::MAX / 2, 5), Some(WebhookFault::TooNew));
    }

    #[test]
    fn a_moment_has_one_spelling() {
        assert_eq!(moment(b"1800000000"), Ok(UnixTime::from_seconds(1_800_000_000)));
        for text in [
            &b""[..],
            b"0",
            b"01800000000",
            b"+1",
            b"-1",
            b"1.5",
            b" 1",
            b"1 ",
            b"1800000000000",
            b"1e9",
            b"\xd9\xa1",
        ] {
            assert_eq!(moment(text), Err(WebhookFault::MalformedTimestamp), "{text:?}");
        }
    }
}
