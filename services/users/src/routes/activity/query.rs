//! The query string, with refusals worded as by the legacy backend.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use proto::catalogue::v1::Order;

use crate::activity::part::{Page, Sort, Way};
use crate::activity::tag::Tag;
use crate::activity::tastes::Kind;
use crate::catalogue::BooksOfTags;
use crate::error::Error;

/// The most ids or tags in one request.
const MAX_ITEMS: usize = 100;

/// The most entries of an answer.
const MAX_PER_PAGE: u64 = 100;

/// The orders of likes and tastes. The first of each list is the default.
pub(super) const TASTE_SORTS: &[(&str, Sort)] = &[
    ("created-at-desc", Sort::CreatedAt(Way::Desc)),
    ("created-at-asc", Sort::CreatedAt(Way::Asc)),
    ("random", Sort::Random),
];

/// The orders of histories.
pub(super) const HISTORY_SORTS: &[(&str, Sort)] = &[
    ("updated-at-desc", Sort::UpdatedAt(Way::Desc)),
    ("updated-at-asc", Sort::UpdatedAt(Way::Asc)),
    ("created-at-desc", Sort::CreatedAt(Way::Desc)),
    ("created-at-asc", Sort::CreatedAt(Way::Asc)),
    ("random", Sort::Random),
];

/// The orders of notifications.
pub(super) const NOTIFICATION_SORTS: &[(&str, Sort)] =
    &[("created-at-desc", Sort::CreatedAt(Way::Desc)), ("created-at-asc", Sort::CreatedAt(Way::Asc))];

/// The orders of the books of a tag.
const BOOK_SORTS: &[(&str, Order)] =
    &[("id-desc", Order::IdDesc), ("id-asc", Order::IdAsc), ("random", Order::Random)];

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
    fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Returns the kind of tastes. `book_tag` is a spelling of the later surface alone.
    pub(super) fn kind(&self, later: bool) -> Result<Option<Kind>, Error> {
        match self.value("kind") {
            None => Ok(None),
            Some("book") => Ok(Some(Kind::Book)),
            Some("book-tag") => Ok(Some(Kind::Tag)),
            Some("book_tag") if later => Ok(Some(Kind::Tag)),
            Some(other) => Err(unknown(other, &["book", "book-tag"])),
        }
    }

    /// Checks a `kind` whose only value is `book`.
    pub(super) fn only_books(&self) -> Result<(), Error> {
        match self.value("kind") {
            None | Some("book") => Ok(()),
            Some(other) => Err(unknown(other, &["book"])),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Error> {
        match self.value(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(_) => Err(unreadable("provided string was not `true` or `false`")),
        }
    }

    pub(super) fn page(&self) -> Result<Page, Error> {
        self.page_with(25)
    }

    /// As [`Self::page`], for a list of what the query itself names: without `per-page` it is there as a whole.
    pub(super) fn page_of_all(&self) -> Result<Page, Error> {
        self.page_with(MAX_PER_PAGE)
    }

    fn page_with(&self, default: u64) -> Result<Page, Error> {
        // Both are read before either is compared, as the legacy backend does it.
        let (per_page, page) = (self.number("per-page")?, self.number("page")?);
        let per_page = at_most(MAX_PER_PAGE, at_least_one(per_page, "per-page")?, "per-page")?;
        Ok(Page { per_page: or(per_page, default), page: or(at_least_one(page, "page")?, 1) })
    }

    /// Returns which books of each liked tag a list has.
    pub(super) fn books_of_tags(&self) -> Result<BooksOfTags, Error> {
        let (per_page, page) = (self.number("books-per-page")?, self.number("books-page")?);
        let per_page = at_most(MAX_PER_PAGE, at_least_one(per_page, "books-per-page")?, "books-per-page")?;
        let page = or(at_least_one(page, "books-page")?, 1);
        let order = self.one_of("books-sort-by", BOOK_SORTS)?;
        Ok(BooksOfTags { per_page: or(per_page, 3), page, order })
    }

    /// Returns the same as the legacy backend reads it: what is no number is the client's fault. The rest it passes on
    /// unchecked, and fails itself when the library refuses it.
    pub(super) fn books_of_tags_unchecked(&self) -> Result<BooksOfTags, Error> {
        for name in ["books-per-page", "books-page"] {
            self.number(name)?;
        }
        self.books_of_tags().map_err(|_| Error::Unanswered)
    }

    pub(super) fn sort(&self, sorts: &[(&str, Sort)]) -> Result<Sort, Error> {
        self.one_of("sort-by", sorts)
    }

    fn one_of<T: Copy>(&self, name: &str, all: &[(&str, T)]) -> Result<T, Error> {
        let wanted = self.value(name).filter(|value| !value.is_empty());
        let found = match wanted {
            None => all.first(),
            Some(wanted) => all.iter().find(|(known, _)| *known == wanted),
        };
        found.map(|(_, value)| *value).ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
            unknown(wanted.unwrap_or_default(), &names)
        })
    }

    /// Returns the ids of books under `name[]`, if there are any. A number that is too large is the id of no book.
    pub(super) fn books(&self, name: &str) -> Result<Option<Vec<i32>>, Error> {
        let key = format!("{name}[]");
        let mut ids = Vec::new();
        let mut is_there = false;
        for (_, value) in self.0.iter().filter(|(known, _)| *known == key) {
            is_there = true;
            if let Ok(id) = i32::try_from(digits(value)?.unwrap_or(i64::MAX)) {
                ids.push(id);
            }
        }
        limited(ids.len(), name)?;
        Ok(is_there.then_some(ids))
    }

    /// Returns the tags `tags[0][0]=misc&tags[0][1]=full color`, if there are any.
    pub(super) fn tags(&self) -> Result<Option<Vec<Tag>>, Error> {
        let mut tags: Vec<(String, Tag)> = Vec::new();
        for (key, value) in &self.0 {
            let place = key.strip_prefix("tags[").and_then(|rest| rest.strip_suffix(']'));
            let Some((place, part)) = place.and_then(|inner| inner.split_once("][")) else { continue };
            if !tags.iter().any(|(known, _)| known == place) {
                limited(tags.len() + 1, "tags")?;
                tags.push((place.to_owned(), Tag { kind: String::new(), name: String::new() }));
            }
            let found = tags.iter_mut().find(|(known, _)| known == place);
            match (part, found) {
                ("0", Some((_, tag))) => tag.kind = value.clone(),
                ("1", Some((_, tag))) => tag.name = value.clone(),
                _ => {}
            }
        }
        Ok((!tags.is_empty()).then(|| tags.into_iter().map(|(_, tag)| tag).collect()))
    }

    /// Returns the people under `user-ids[]`.
    pub(super) fn people(&self) -> Result<Vec<kit::SubjectId>, Error> {
        let ids = self.0.iter().filter(|(key, _)| key == "user-ids[]");
        let ids: Vec<kit::SubjectId> = ids
            .map(|(_, value)| {
                value.parse().map_err(|error| unreadable(format!("UUID parsing failed: {error}")))
            })
            .collect::<Result<_, Error>>()?;
        limited(ids.len(), "user-ids")?;
        Ok(ids)
    }

    fn number(&self, name: &str) -> Result<Option<Number>, Error> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = digits(value)?;
        Ok(Some(Number { number, is_negative: value.starts_with('-'), written: value.to_owned() }))
    }
}

/// A number of a query, with its text for the refusal.
struct Number {
    /// `None` for one that does not fit.
    number: Option<i64>,
    is_negative: bool,
    written: String,
}

impl Number {
    /// Returns the number as the refusal shows it.
    fn shown(&self) -> String {
        self.number.map_or_else(|| self.written.clone(), |number| number.to_string())
    }
}

fn at_least_one(number: Option<Number>, name: &str) -> Result<Option<Number>, Error> {
    if number.as_ref().is_some_and(|n| n.number.map_or(n.is_negative, |value| value < 1)) {
        let shown = number.map(|number| number.shown()).unwrap_or_default();
        return Err(Error::Invalid(format!("{name}: {shown} less than 1")));
    }
    Ok(number)
}

fn at_most(most: u64, number: Option<Number>, name: &str) -> Result<Option<Number>, Error> {
    if number.as_ref().is_some_and(|n| n.number.is_none_or(|value| value.unsigned_abs() > most)) {
        let shown = number.map(|number| number.shown()).unwrap_or_default();
        return Err(Error::Invalid(format!("{name}: {shown} more than {most}")));
    }
    Ok(number)
}

/// Returns a checked number. One that does not fit is past the end of every list.
fn or(number: Option<Number>, default: u64) -> u64 {
    number.map_or(default, |number| number.number.map_or(u64::MAX, i64::unsigned_abs))
}

/// Reads whole numbers. One that does not fit is `None`.
fn digits(text: &str) -> Result<Option<i64>, Error> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(unreadable("invalid digit found in string"));
    }
    Ok(text.parse().ok())
}

/// Checks the number of ids or tags.
pub(in crate::routes) fn limited(count: usize, name: &str) -> Result<(), Error> {
    if count > MAX_ITEMS {
        return Err(Error::Invalid(format!("{name}: length of {count} more than {MAX_ITEMS}")));
    }
    Ok(())
}

/// Words what cannot be read as the legacy backend does.
pub(in crate::routes) fn unreadable(why: impl std::fmt::Display) -> Error {
    Error::Invalid(format!("Querystring deserialize: {why}"))
}

/// Words an unknown variant as the legacy backend's parser does.
fn unknown(value: &str, known: &[&str]) -> Error {
    let quoted: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
    let expected = match quoted.as_slice() {
        [one] => one.clone(),
        [one, other] => format!("{one} or {other}"),
        all => format!("one of {}", all.join(", ")),
    };
    unreadable(format!("unknown variant `{value}`, expected {expected}"))
}
