//! A lease as bytes, as a slot stores it.
//!
//! ```text
//! class u32 │ kind u8 │ granted, wall u64 │ granted, monotonic u64 │ lifetime u32 │ uses u32 │
//! credential │ count u8 × tag u64 │ request id, reason, subject, session, tenant │ count u8 × (name, value)
//! ```
//!
//! Numbers are little-endian; everything else is its length (u16) and its bytes. A slot is our own
//! shared memory, yet it is read as untrusted input: bytes that do not fit are not a lease.

use crate::Now;
use crate::grant::{Grant, LogFields};
use crate::offer::Offer;
use crate::tag::Tag;

/// The longest record that is kept: the largest grant and a credential of 2 KiB.
pub(crate) const MAX_BYTES: usize = 8_192;

/// The offset of the uses.
const USES_AT: usize = 25;

/// Writes a lease. `None` when a part is too long.
pub(crate) fn write(
    class: u32,
    offer: Offer<'_>,
    grant: &Grant,
    lifetime_ms: u32,
    uses: u32,
    now: Now,
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(2_048);
    out.extend(class.to_le_bytes());
    out.push(offer.kind());
    out.extend(now.wall_ms.to_le_bytes());
    out.extend(now.monotonic_ms.to_le_bytes());
    out.extend(lifetime_ms.to_le_bytes());
    out.extend(uses.to_le_bytes());
    put(&mut out, offer.bytes())?;
    out.push(u8::try_from(grant.tags.len()).ok()?);
    for tag in &grant.tags {
        out.extend(tag.0.to_le_bytes());
    }
    let LogFields { reason, subject, session, tenant } = &grant.log;
    for text in [&grant.request_id, reason, subject, session, tenant] {
        put(&mut out, text.as_bytes())?;
    }
    out.push(u8::try_from(grant.headers.len()).ok()?);
    for (name, value) in &grant.headers {
        put(&mut out, name.as_bytes())?;
        put(&mut out, value.as_bytes())?;
    }
    (out.len() <= MAX_BYTES).then_some(out)
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.extend(u16::try_from(bytes.len()).ok()?.to_le_bytes());
    out.extend(bytes);
    Some(())
}

/// The beginning of a record: its credential, life, uses and tags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    class: u32,
    kind: u8,
    wall_ms: u64,
    monotonic_ms: u64,
    lifetime_ms: u32,
    pub(crate) uses: u32,
    credential: &'a [u8],
    tags: &'a [[u8; 8]],
    rest: &'a [u8],
}

impl<'a> Record<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor(bytes);
        let class = u32::from_le_bytes(cursor.array()?);
        let [kind] = cursor.array()?;
        let wall_ms = u64::from_le_bytes(cursor.array()?);
        let monotonic_ms = u64::from_le_bytes(cursor.array()?);
        let lifetime_ms = u32::from_le_bytes(cursor.array()?);
        let uses = u32::from_le_bytes(cursor.array()?);
        let credential = cursor.text()?;
        let [count] = cursor.array()?;
        let (tags, _) = cursor.take(usize::from(count).checked_mul(8)?)?.as_chunks::<8>();
        Some(Self { class, kind, wall_ms, monotonic_ms, lifetime_ms, uses, credential, tags, rest: cursor.0 })
    }

    #[inline]
    pub(crate) fn is_of(&self, class: u32, offer: Offer<'_>) -> bool {
        self.class == class && self.kind == offer.kind() && self.credential == offer.bytes()
    }

    /// Whether the lease is alive by both clocks. A clock that shows a time before the grant was set back, so the age of
    /// the lease is unknown.
    #[inline]
    pub(crate) const fn lives(&self, now: Now) -> bool {
        let lifetime = self.lifetime_ms as u64;
        matches!(now.wall_ms.checked_sub(self.wall_ms), Some(age) if age < lifetime)
            && matches!(now.monotonic_ms.checked_sub(self.monotonic_ms), Some(age) if age < lifetime)
    }

    /// When it was granted, by the monotonic clock.
    pub(crate) const fn granted(&self) -> u64 {
        self.monotonic_ms
    }

    /// When the lease expires, by the monotonic clock.
    pub(crate) const fn end(&self) -> u64 {
        self.monotonic_ms.saturating_add(self.lifetime_ms as u64)
    }

    pub(crate) fn tags(&self) -> impl Iterator<Item = Tag> + use<'a> {
        self.tags.iter().map(|bytes| Tag(u64::from_le_bytes(*bytes)))
    }

    /// What the lease gives to a request.
    pub(crate) fn hit(&self) -> Option<Hit<'a>> {
        let mut cursor = Cursor(self.rest);
        let request_id = cursor.text()?;
        let (reason, subject) = (cursor.text()?, cursor.text()?);
        let (session, tenant) = (cursor.text()?, cursor.text()?);
        let [count] = cursor.array()?;
        let headers = Headers { left: count, cursor };
        // A part of the headers would describe another caller.
        let mut whole = headers.clone();
        let mut read = 0;
        while whole.next().is_some() {
            read += 1;
        }
        (read == count && whole.cursor.0.is_empty()).then_some(Hit {
            request_id,
            reason,
            subject,
            session,
            tenant,
            headers,
        })
    }
}

/// Sets the remaining uses. `None` when `bytes` is not a record.
pub(crate) fn set_uses(bytes: &mut [u8], uses: u32) -> Option<()> {
    bytes.get_mut(USES_AT..USES_AT + 4)?.copy_from_slice(&uses.to_le_bytes());
    Some(())
}

/// A request that a lease serves.
#[derive(Clone, Debug)]
pub struct Hit<'a> {
    /// The id of the request that was checked.
    pub request_id: &'a [u8],
    /// The reason for the allow.
    pub reason: &'a [u8],
    /// The person.
    pub subject: &'a [u8],
    /// Their session.
    pub session: &'a [u8],
    /// Their tenant.
    pub tenant: &'a [u8],
    /// The identity headers for the backend, in order.
    pub headers: Headers<'a>,
}

/// The headers of a [`Hit`]: names and values.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    left: u8,
    cursor: Cursor<'a>,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        Some((self.cursor.text()?, self.cursor.text()?))
    }
}

#[derive(Clone, Debug)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_le_bytes(self.array()?);
        self.take(usize::from(length))
    }
}
