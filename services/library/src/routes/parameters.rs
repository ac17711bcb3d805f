//! The queries of the later surface, for the OpenAPI document: [`Query`](super::query::Query) reads them, because refusals are
//! worded as by the legacy backend.

#![expect(dead_code, reason = "these types describe queries")]

use utoipa::{IntoParams, ToSchema};

/// A part of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// The most entries of the answer. The default is 25; 3 for each tag of a list by tags; 100 for ids.
    #[param(rename = "per-page", minimum = 1, maximum = 100)]
    per_page: Option<u8>,
    /// The number of the part.
    #[param(minimum = 1)]
    page: Option<u32>,
}

/// Which books a list has. `ids[]` is answered first, then `tags[]`, then the rest.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Listing {
    /// Books by their ids, in this order, without the missing ones. No other parameter counts then.
    #[param(rename = "ids[]", style = Form, explode, min_items = 1, max_items = 100)]
    ids: Option<Vec<i32>>,
    /// Books by tags, as `kind-name` with dashes for spaces. The answer has a list for each tag.
    #[param(rename = "tags[]", style = Form, explode, min_items = 1, max_items = 100)]
    tags: Option<Vec<String>>,
    /// The order.
    #[param(rename = "sort-by", inline)]
    sort_by: Option<Order>,
    /// Only released books, or only the others.
    released: Option<bool>,
    /// Only books that others replace. Without it they are hidden.
    #[param(rename = "legacy-only")]
    legacy_only: Option<bool>,
    /// Of the books with one title and kind, only the newest. It does not count with `legacy-only`.
    deduplicate: Option<bool>,
    /// Without the books that the caller dislikes, and without those with a tag that the caller dislikes.
    #[param(rename = "exclude-dislikes")]
    exclude_dislikes: Option<bool>,
}

/// Which kinds of books are wanted.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Kinds {
    /// Only these kinds.
    #[param(rename = "kinds[]", style = Form, explode, inline)]
    kinds: Option<Vec<Kind>>,
    /// One kind more; `kinds[]` is the newer form.
    #[param(inline)]
    kind: Option<Kind>,
}

/// What is searched for.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Search {
    /// At most 64 words of titles and tags, `AND`, `OR`, `NOT` and parentheses. The last word is a beginning.
    #[param(example = "sample")]
    q: String,
    /// Words that the tags of the books have, in the same form, but whole.
    #[param(example = "misc-full-color")]
    filter: Option<String>,
    /// Whether the last word is a beginning. Without it, it is.
    completion: Option<bool>,
    /// The order.
    #[param(rename = "sort-by", inline)]
    sort_by: Option<Rank>,
    /// Without the books that the caller dislikes, and without those with a tag that the caller dislikes.
    #[param(rename = "exclude-dislikes")]
    exclude_dislikes: Option<bool>,
}

/// The id of a book.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
pub(super) struct Id {
    /// The id of the book.
    #[param(minimum = 1)]
    id: i32,
}

/// The order of a list.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
enum Order {
    IdDesc,
    IdAsc,
    Random,
    PublishedAtDesc,
    PublishedAtAsc,
    CheckedAtDesc,
    CheckedAtAsc,
    UpdatedAtDesc,
    UpdatedAtAsc,
}

/// The order of found books.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
enum Rank {
    /// The books with most of the wanted words first, and of those the newest.
    #[schema(rename = "rank-desc")]
    Best,
    IdDesc,
    IdAsc,
}

/// A kind of books.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
pub(super) enum Kind {
    Doujinshi,
    Manga,
    GameCg,
    ArtistCg,
    ImageSet,
}

/// Books to add or to replace.
#[derive(ToSchema)]
pub(super) struct Batch {
    #[schema(min_items = 1, max_items = 50)]
    books: Vec<BatchBook>,
}

/// A book of a batch.
#[derive(ToSchema)]
pub(super) struct BatchBook {
    #[serde(flatten)]
    book: NewBook,
    /// Releases the book with this batch. A released book keeps the time of its first release; without it, or with
    /// `false`, nothing about its release changes.
    released: Option<bool>,
}

/// A book to add, or the new content of one.
#[derive(ToSchema)]
pub(super) struct NewBook {
    /// The number that the source of the book gave it.
    #[schema(minimum = 1)]
    id: i32,
    #[schema(min_length = 1, max_length = 500, example = "A new book")]
    title: String,
    #[schema(inline)]
    kind: Kind,
    /// Pairs of kind and name, such as `["misc", "full color"]`, are accepted too.
    #[schema(min_items = 1, max_items = 200)]
    tags: Vec<NewTag>,
    /// The default is an empty text; a change without it keeps it.
    #[schema(min_length = 1, max_length = 100)]
    language: Option<String>,
    /// The number of pages; a change without it keeps it.
    #[schema(minimum = 1, maximum = 32767)]
    page: Option<u16>,
    /// When the book appeared at its source. The default is now.
    #[schema(value_type = Option<String>, format = DateTime, example = "2022-01-31T17:12:00.000Z")]
    created_at: Option<String>,
}

/// A tag of a book to add.
#[derive(ToSchema)]
pub(super) struct NewTag {
    #[schema(inline)]
    kind: TagKind,
    #[schema(min_length = 1, max_length = 200, example = "full color")]
    name: String,
}

/// The kind of a tag.
#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
enum TagKind {
    Artist,
    Group,
    Series,
    Character,
    Female,
    Male,
    Misc,
}
