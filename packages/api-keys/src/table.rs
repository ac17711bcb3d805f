//! Every key of a file, found by its id, or by its hash when another issuer wrote it.

use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use clock::UnixTime;

use crate::record::{Holder, Record};
use crate::text::{ApiKey, KeyHash, KeyId};

/// Why a key is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// The text cannot be a key: it has not the form of this product, and no key of another form is listed.
    Malformed,
    /// No key has this id.
    Unknown,
    /// The id is known, the secret is another.
    WrongSecret,
    /// The key was revoked.
    Revoked,
    /// The key is past its `expires`.
    Expired,
}

/// A key that was found.
#[derive(Clone, Copy, Debug)]
pub struct Found<'t> {
    /// The public half of the key, which logs may show.
    pub id: KeyId,
    /// Whom it speaks for.
    pub holder: &'t Arc<Holder>,
    /// The second in which it ends to count, if it does.
    pub expires: Option<u64>,
}

/// One key, found by its id. It fills one line of the processor's cache and begins at its beginning: in a table too large
/// for that cache a lookup waits for memory once.
#[derive(Debug)]
#[repr(align(64))]
struct Entry {
    id: KeyId,
    hash: KeyHash,
    /// The second in which it ends to count; the last one there is for a key without `expires`.
    expires: u64,
    revoked: bool,
    holder: Arc<Holder>,
}

const _: () = assert!(size_of::<Entry>() == 64, "more than a line of the cache");

impl Borrow<KeyId> for Entry {
    fn borrow(&self) -> &KeyId {
        &self.id
    }
}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Entry {}

/// The keys of a file. A lookup is one hash, one probe and one comparison, with ten keys and with a hundred
/// thousand; what the many cost more is the way to memory, once ([`Entry`]).
#[derive(Debug, Default)]
pub struct Table {
    entries: HashSet<Entry>,
    /// The ids of imported keys: their texts name none.
    imported: HashMap<KeyHash, KeyId>,
}

impl Table {
    /// Reads the content of a key file. An empty file has no keys; empty lines do not count.
    ///
    /// # Errors
    /// A sentence with the line and its fault; the whole content is refused then.
    pub fn parse(content: &[u8]) -> Result<Self, String> {
        let (mut entries, mut imported) = (HashSet::new(), HashMap::new());
        // Most clients have a key or two; equal holders share one value.
        let mut holders: HashMap<Holder, Arc<Holder>> = HashMap::new();
        for_each(content, |number, record| {
            if let Some(scope) = record.scopes.iter().find(|scope| !Record::is_scope(scope)) {
                return Err(format!("line {number}: {scope:?} is not a scope (RFC 6749 §3.3)"));
            }
            if let Some(plan) = record.plan.as_deref().filter(|plan| !Record::is_plan(plan)) {
                return Err(format!(
                    "line {number}: {plan:?} is not a valid plan: write 1 to 64 lower-case letters, digits and `-`"
                ));
            }
            let holder = record.holder();
            let holder = Arc::clone(holders.entry(holder.clone()).or_insert_with(|| Arc::new(holder)));
            let entry = Entry {
                id: record.id,
                hash: record.sha256,
                expires: record.expires.unwrap_or(u64::MAX),
                revoked: record.revoked.is_some(),
                holder,
            };
            if record.imported
                && let Some(other) = imported.insert(record.sha256, record.id)
            {
                return Err(format!("line {number}: key {} has the same text as key {other}", record.id));
            }
            if entries.insert(entry) {
                return Ok(());
            }
            Err(format!("line {number}: key {} is listed twice", record.id))
        })?;
        Ok(Self { entries, imported })
    }

    /// Whom `key` speaks for at `now`. `expires` is exact, without leeway: both clocks are the edge's own.
    ///
    /// # Errors
    /// [`KeyFault`]. A key is reported as revoked or expired only when its secret is right.
    pub fn holder(&self, key: &ApiKey<'_>, now: UnixTime) -> Result<Found<'_>, KeyFault> {
        if key.id().is_none() && self.imported.is_empty() {
            return Err(KeyFault::Malformed);
        }
        // In this order the memory is on its way while the hash is computed. An unknown id costs a hash all the same:
        // the time of a refusal does not reveal which ids exist.
        let named = key.id().and_then(|id| self.entries.get(&id));
        let hash = key.hash();
        // Another issuer's text may have this form by chance.
        let entry = match named {
            Some(entry) => entry,
            None => {
                let id = self.imported.get(&hash).ok_or(KeyFault::Unknown)?;
                self.entries.get(id).ok_or(KeyFault::Unknown)?
            }
        };
        if !entry.hash.is(&hash) {
            return Err(KeyFault::WrongSecret);
        }
        if entry.revoked {
            return Err(KeyFault::Revoked);
        }
        if now.seconds() >= entry.expires {
            return Err(KeyFault::Expired);
        }
        let expires = (entry.expires != u64::MAX).then_some(entry.expires);
        Ok(Found { id: entry.id, holder: &entry.holder, expires })
    }

    /// Whether the key that was found as `id` still counts at `now`. Its text is not needed again: one text has one id.
    ///
    /// # Errors
    /// [`KeyFault`]: unknown, revoked or expired.
    pub fn still(&self, id: KeyId, now: UnixTime) -> Result<(), KeyFault> {
        let entry = self.entries.get(&id).ok_or(KeyFault::Unknown)?;
        if entry.revoked {
            return Err(KeyFault::Revoked);
        }
        if now.seconds() >= entry.expires { Err(KeyFault::Expired) } else { Ok(()) }
    }

    /// How many keys there are, the dead ones included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the table is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Hands every record of `content` to `one`, with the number of its line.
pub(crate) fn for_each(
    content: &[u8],
    mut one: impl FnMut(usize, Record) -> Result<(), String>,
) -> Result<(), String> {
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let number = index + 1;
        // The library's message can quote the line; the place is enough, and a hash must not be shown.
        let record = serde_json::from_slice(line)
            .map_err(|e| format!("line {number} is not the record of a key (column {})", e.column()))?;
        one(number, record)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::{Prefix, generate};

    const TENANT: &str = "00000000-0000-7000-8000-000000000001";

    fn line(id: KeyId, hash: KeyHash, more: &str) -> String {
        let (id, hash) = (serde_json::to_string(&id).unwrap(), serde_json::to_string(&hash).unwrap());
        format!(
            "{{\"id\":{id},\"sha256\":{hash},\"client\":\"ci\",\"tenant\":\"{TENANT}\",\"created\":1{more}}}\n"
        )
    }

    #[test]
    fn only_the_live_key_with_its_own_secret() {
        let (id, text, hash) = generate(&Prefix::default()).unwrap();
        let (_, other, _) = generate(&Prefix::default()).unwrap();
        let at = UnixTime::from_seconds;
        let ask = |more: &str, text: &str, now| {
            let table = Table::parse(line(id, hash, more).as_bytes()).unwrap();
            table
                .holder(&ApiKey::read(text.as_bytes()).unwrap(), now)
                .map(|found| found.holder.client.name.to_string())
        };
        assert_eq!(ask("", &text, at(5)), Ok("ci".to_owned()));
        assert_eq!(ask("", &other, at(5)), Err(KeyFault::Unknown));
        let borrowed = format!("{}{}", &text[..20], &other[20..]);
        assert_eq!(ask("", &borrowed, at(5)), Err(KeyFault::WrongSecret));
        assert_eq!(ask(",\"expires\":10", &text, at(9)), Ok("ci".to_owned()));
        assert_eq!(ask(",\"expires\":10", &text, at(10)), Err(KeyFault::Expired));
        assert_eq!(ask(",\"revoked\":99", &text, at(5)), Err(KeyFault::Revoked));
        assert_eq!(ask(",\"revoked\":99", &borrowed, at(5)), Err(KeyFault::WrongSecret));
        let still =
            |more: &str, id, now| Table::parse(line(id, hash, more).as_bytes()).unwrap().still(id, at(now));
        assert_eq!(still("", id, 5), Ok(()));
        assert_eq!(still(",\"expires\":10", id, 9), Ok(()));
        assert_eq!(still(",\"expires\":10", id, 10), Err(KeyFault::Expired));
        assert_eq!(still(",\"revoked\":99", id, 5), Err(KeyFault::Revoked));
        assert_eq!(Table::default().still(id, at(5)), Err(KeyFault::Unknown));
    }

    #[test]
    fn an_imported_key_is_found_by_its_hash_and_by_no_other_text() {
        let (id, own, hash) = generate(&Prefix::default()).unwrap();
        let foreign = "sk_live_51H8x+/=";
        let other = KeyId::generate().unwrap();
        let imported = |more: &str| {
            line(other, KeyHash::of(foreign.as_bytes()), &format!(",\"imported\":true{more}"))
                + &line(id, hash, "")
        };
        let ask = |content: &str, text: &str| {
            let table = Table::parse(content.as_bytes()).unwrap();
            table.holder(&ApiKey::read(text.as_bytes()).unwrap(), UnixTime::from_seconds(5)).map(drop)
        };
        assert_eq!(ask(&imported(""), foreign), Ok(()));
        assert_eq!(ask(&imported(""), &own), Ok(()));
        assert_eq!(ask(&imported(",\"revoked\":1"), foreign), Err(KeyFault::Revoked));
        for wrong in ["sk_live_51H8x+/", "SK_LIVE_51H8X+/=", "x"] {
            assert_eq!(ask(&imported(""), wrong), Err(KeyFault::Unknown), "{wrong}");
        }
        // The id of an imported key is public, and no key of this product's form has it.
        let guess = format!("ck_{other}{}", &own[19..]);
        assert_eq!(ask(&imported(""), &guess), Err(KeyFault::WrongSecret));
        // Without imported keys another form cannot be a key.
        assert_eq!(ask(&line(id, hash, ""), foreign), Err(KeyFault::Malformed));
        // And a record of this product's form is found by its id alone.
        assert_eq!(ask(&line(id, KeyHash::of(foreign.as_bytes()), ""), foreign), Err(KeyFault::Malformed));
        let twice = imported("")
            + &line(KeyId::generate().unwrap(), KeyHash::of(foreign.as_bytes()), ",\"imported\":true");
        assert!(Table::parse(twice.as_bytes()).unwrap_err().contains("line 3: key"), "one text, two keys");
    }

    #[test]
    fn a_hash_does_not_fit_under_another_id() {
        let (_, text, hash) = generate(&Prefix::default()).unwrap();
        let (other, ..) = generate(&Prefix::default()).unwrap();
        let table = Table::parse(line(other, hash, "").as_bytes()).unwrap();
        let moved = format!("ck_{other}{}", &text[19..]);
        assert_eq!(
            table.holder(&ApiKey::read(moved.as_bytes()).unwrap(), UnixTime::from_seconds(5)).map(drop),
            Err(KeyFault::WrongSecret)
        );
    }

    #[test]
    fn a_faulty_file_is_refused_whole_and_the_line_is_named() {
        let (id, _, hash) = generate(&Prefix::default()).unwrap();
        let good = line(id, hash, "");
        for (content, needle) in [
            (format!("{good}{good}"), "line 2"),
            (format!("{good}\n\nnonsense\n"), "line 4"),
            (line(id, hash, ",\"scopes\":[\"a b\"]"), "not a scope"),
            (line(id, hash, ",\"more\":1"), "line 1"),
            (good.replace("\"ci\"", "\"C I\""), "line 1"),
            (good.replace("\"ci\"", &format!("\"{TENANT}\"")), "line 1"),
            (good.replace(TENANT, ""), "line 1"),
        ] {
            let fault = Table::parse(content.as_bytes()).unwrap_err();
            assert!(fault.contains(needle), "{content:?} says {fault:?}");
        }
        assert!(Table::parse(b"").unwrap().is_empty());
        assert_eq!(Table::parse(good.as_bytes()).unwrap().len(), 1);
    }
}
