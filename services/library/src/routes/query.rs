//! The query string, with refusals worded as by the legacy backend.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::convert::Infallible;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use crate::book::{LATER_KINDS, OLDER_KINDS, TAG_KINDS, Tag};
use crate::books::{Page, Scope, Sort, Way};
use crate::error::Error;

/// The most ids or tags in one request.
pub(super) const MAX_ITEMS: usize = 100;

/// The most books in one answer.
const MAX_PER_PAGE: i64 = 100;

/// The decoded query string. Unknown keys are ignored; of equal keys the first counts.
pub(super) struct Query(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Every text is valid; what is not UTF-8 is replaced.
        Ok(Self(serde_urlencoded::from_str(parts.uri.query().unwrap_or_default()).unwrap_or_default()))
    }
}

impl Query {
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    fn all<'a>(&'a self, names: &'a [&'a str]) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(|(key, _)| names.contains(&key.as_str())).map(|(_, value)| value.as_str())
    }

    fn integer(&self, name: &str, shown: &str) -> Result<Option<i64>, Error> {
        self.value(name).map(|value| integer(shown, value)).transpose()
    }

    /// Returns the ids, if there are any.
    pub(super) fn ids(&self) -> Result<Option<Vec<i32>>, Error> {
        let numbers = self
            .all(&["ids", "ids[]"])
            .enumerate()
            .map(|(place, value)| integer(&format!("bookIds[{place}]"), value))
            .collect::<Result<Vec<i64>, Error>>()?;
        if numbers.is_empty() {
            return Ok(None);
        }
        check_ids(&numbers)?;
        // A larger number is the id of no book.
        Ok(Some(numbers.into_iter().filter_map(|number| i32::try_from(number).ok()).collect()))
    }

    /// Returns the tags: the flat ones, `tags[]=misc-full-color`, then `tags[0][0]=misc&tags[0][1]=full color`.
    pub(super) fn tags(&self) -> Result<Vec<Tag>, Error> {
        let mut tags: Vec<Tag> = self.all(&["tags[]"]).map(Tag::from_flat).collect();
        let mut nested: BTreeMap<u16, Tag> = BTreeMap::new();
        for (key, value) in &self.0 {
            let Some((place, part)) = nested_key(key) else { continue };
            let tag = nested.entry(place).or_insert_with(|| Tag { kind: String::new(), name: String::new() });
            *(if part == Part::Kind { &mut tag.kind } else { &mut tag.name }) = value.clone();
        }
        tags.extend(nested.into_values());
        if tags.iter().any(|tag| !TAG_KINDS.contains(&tag.kind.as_str())) {
            return Err(invalid("\"bookTags\" does not match any of the allowed types"));
        }
        if tags.len() > MAX_ITEMS {
            return Err(invalid("\"bookTags\" must contain less than or equal to 100 items"));
        }
        Ok(tags)
    }

    pub(super) fn page(&self, default: i64) -> Result<Page, Error> {
        let per_page = self.integer("per-page", "perPage")?.unwrap_or(default);
        let page = self.integer("page", "page")?.unwrap_or(1);
        if per_page < 1 {
            return Err(invalid("\"perPage\" must be greater than or equal to 1"));
        }
        if per_page > MAX_PER_PAGE {
            return Err(invalid("\"perPage\" must be less than or equal to 100"));
        }
        if page < 1 {
            return Err(invalid("\"page\" must be greater than or equal to 1"));
        }
        Ok(Page { per_page: per_page.unsigned_abs(), page: page.unsigned_abs() })
    }

    /// Returns the order on the older surface, if one is given.
    pub(super) fn older_sort(&self) -> Result<Option<Sort>, Error> {
        match self.value("sort-by").filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some("id-desc") => Ok(Some(Sort::Id(Way::Desc))),
            Some("id-asc") => Ok(Some(Sort::Id(Way::Asc))),
            Some("random") => Ok(Some(Sort::Random)),
            Some(_) => Err(invalid("\"sortBy\" must be one of [id-desc, id-asc, random]")),
        }
    }

    /// Returns the order of a list on the later surface.
    pub(super) fn later_sort(&self) -> Result<Sort, Error> {
        Ok(match self.value("sort-by").unwrap_or("id-desc") {
            "id-desc" => Sort::Id(Way::Desc),
            "id-asc" => Sort::Id(Way::Asc),
            "random" => Sort::Random,
            "published-at-desc" => Sort::PublishedAt(Way::Desc),
            "published-at-asc" => Sort::PublishedAt(Way::Asc),
            "checked-at-desc" => Sort::CheckedAt(Way::Desc),
            "checked-at-asc" => Sort::CheckedAt(Way::Asc),
            "updated-at-desc" => Sort::UpdatedAt(Way::Desc),
            "updated-at-asc" => Sort::UpdatedAt(Way::Asc),
            _ => {
                return Err(invalid(
                    "\"sortBy\" must be one of [id-desc, id-asc, random, published-at-desc, published-at-asc, \
                     checked-at-desc, checked-at-asc, updated-at-desc, updated-at-asc]",
                ));
            }
        })
    }

    /// Returns the order of a search on the later surface: `None` by rank.
    pub(super) fn later_rank(&self) -> Result<Option<Sort>, Error> {
        match self.value("sort-by").unwrap_or("rank-desc") {
            "rank-desc" => Ok(None),
            "id-desc" => Ok(Some(Sort::Id(Way::Desc))),
            "id-asc" => Ok(Some(Sort::Id(Way::Asc))),
            _ => Err(invalid("\"sortBy\" must be one of [rank-desc, id-desc, id-asc]")),
        }
    }

    /// Returns the exclusive bounds of ids (above, below).
    pub(super) fn window(&self) -> Result<(Option<i64>, Option<i64>), Error> {
        if self.value("less-than").is_some() && self.value("more-than").is_some() {
            return Err(invalid("must be only one of less-than or more-than"));
        }
        Ok((self.integer("more-than", "more-than")?, self.integer("less-than", "less-than")?))
    }

    /// Returns the one kind of the older surface, from the key `name` (`shown` in the refusal).
    pub(super) fn older_kind(&self, name: &str, shown: &str) -> Result<Vec<&'static str>, Error> {
        let Some(value) = self.value(name) else { return Ok(Vec::new()) };
        let stored = value.replace('-', "_");
        let known = OLDER_KINDS.into_iter().find(|kind| *kind == stored);
        known.map(|kind| vec![kind]).ok_or_else(|| {
            invalid(format!("\"{shown}\" must be one of [doujinshi, manga, artist-cg, game-cg]"))
        })
    }

    /// Returns the kinds of the later surface: `kinds[]`, and the older `kind`.
    pub(super) fn later_kinds(&self) -> Result<Vec<&'static str>, Error> {
        let known = |value: &str| LATER_KINDS.into_iter().find(|kind| kind.replace('_', "-") == value);
        let kinds = self.all(&["kinds[]", "kind"]).map(|value| {
            known(value).ok_or_else(|| {
                invalid("\"kinds\" must be one of [doujinshi, manga, game-cg, artist-cg, image-set]")
            })
        });
        // Each once: a query can repeat them as often as it likes.
        let kinds: BTreeSet<&'static str> = kinds.collect::<Result<_, Error>>()?;
        Ok(kinds.into_iter().collect())
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Error> {
        match self.value(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(invalid(format!("\"{name}\" must be a boolean"))),
        }
    }

    pub(super) fn scope(&self) -> Result<Scope, Error> {
        match self.value("search-kind") {
            Some("title") => Ok(Scope::Title),
            Some("tag") => Ok(Scope::Tag),
            _ => Err(invalid("\"searchKind\" must be one of [title, tag]")),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Kind,
    Name,
}

/// Reads `tags[PLACE][PART]`, with a place of one to three digits.
fn nested_key(key: &str) -> Option<(u16, Part)> {
    let (place, part) = key.strip_prefix("tags[")?.strip_suffix(']')?.split_once("][")?;
    let part = match part {
        "0" => Part::Kind,
        "1" => Part::Name,
        _ => return None,
    };
    let digits = (1..=3).contains(&place.len()) && place.bytes().all(|byte| byte.is_ascii_digit());
    if digits { place.parse().ok().map(|place| (place, part)) } else { None }
}

fn integer(shown: &str, value: &str) -> Result<i64, Error> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    let whole = (1..=10).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = if whole { value.parse().ok() } else { None };
    number.ok_or_else(|| invalid(format!("\"{shown}\" must be a number")))
}

/// The path of one element.
pub(super) type One = Result<Path<String>, PathRejection>;

/// The id of the element.
pub(super) fn one_id(path: One) -> Result<i32, Error> {
    let Path(id) = path.map_err(|_| Error::NoSuchPath)?;
    book_id(&id)
}

/// Reads the id of a path.
pub(super) fn book_id(text: &str) -> Result<i32, Error> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || text.bytes().all(|byte| byte == b'0') {
        return Err(invalid("\"bookId\" must be a number"));
    }
    // A larger number is the id of no book.
    text.parse().map_err(|_| Error::NotFound("Not found book"))
}

/// Checks the ids of one question.
pub(super) fn check_ids(numbers: &[i64]) -> Result<(), Error> {
    let mut seen = HashSet::new();
    for (place, number) in numbers.iter().enumerate() {
        if *number < 1 {
            return Err(invalid(format!("\"bookIds[{place}]\" must be greater than or equal to 1")));
        }
        if !seen.insert(number) {
            return Err(invalid(format!("\"bookIds[{place}]\" contains a duplicate value")));
        }
    }
    if numbers.len() > MAX_ITEMS {
        return Err(invalid("\"bookIds\" must contain less than or equal to 100 items"));
    }
    Ok(())
}

pub(super) fn invalid(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::Invalid(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query(serde_urlencoded::from_str(text).unwrap())
    }

    #[test]
    fn tags_come_flat_and_nested() {
        let tags =
            query("tags[1][1]=b&tags[1][0]=misc&tags[0][0]=artist&tags[0][1]=a+c&tags[]=misc-full-color");
        let names: Vec<String> =
            tags.tags().unwrap().into_iter().map(|tag| format!("{}/{}", tag.kind, tag.name)).collect();
        assert_eq!(names, ["misc/full color", "artist/a c", "misc/b"]);
        assert!(query("tags[1000][0]=misc&tags[0][2]=x&tags[x][0]=y").tags().unwrap().is_empty());
        assert!(query("tags[0][1]=x").tags().is_err(), "a name without a kind");
    }

    #[test]
    fn numbers_have_at_most_ten_digits() {
        for bad in ["", "-", "+1", "1.0", "12345678901", "\u{661}", " 1"] {
            assert!(integer("page", bad).is_err(), "{bad:?}");
        }
        assert_eq!(integer("page", "-9999999999").ok(), Some(-9_999_999_999));
        assert_eq!(book_id("007").ok(), Some(7));
        assert!(matches!(book_id("00"), Err(Error::Invalid(_))));
        assert!(matches!(book_id(&"9".repeat(5000)), Err(Error::NotFound(_))));
    }
}
