//! The queries of the later surface, for the OpenAPI document: [`super::activity`] reads them, because refusals are worded
//! as by the legacy backend.

#![expect(dead_code, reason = "these types describe queries")]

use utoipa::{IntoParams, ToSchema};

/// A part of a list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Part {
    /// The most entries of the answer. The default is 25.
    #[param(rename = "per-page", minimum = 1, maximum = 100)]
    per_page: Option<u8>,
    /// The number of the part.
    #[param(minimum = 1)]
    page: Option<u32>,
}

/// Which tastes a list has, in which order.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct TasteList {
    /// Only those about books, or about tags.
    #[param(inline)]
    kind: Option<TasteKind>,
    /// Only dislikes, or only likes.
    #[param(rename = "is-dislike")]
    is_dislike: Option<bool>,
    /// Only those about these books. The default of `per-page` is 100 then.
    #[param(rename = "book-ids[]", style = Form, explode, max_items = 100)]
    book_ids: Option<Vec<i32>>,
    /// The order.
    #[param(rename = "sort-by", inline)]
    sort_by: Option<TasteSort>,
}

/// Which books of each tag the answer has.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct BooksOfTags {
    /// The most books of each tag. The default is 3.
    #[param(rename = "books-per-page", minimum = 1, maximum = 100)]
    books_per_page: Option<u8>,
    /// The number of the part.
    #[param(rename = "books-page", minimum = 1)]
    books_page: Option<u32>,
    /// The order of the books.
    #[param(rename = "books-sort-by", inline)]
    books_sort_by: Option<BookSort>,
}

/// The order of histories.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryOrder {
    /// The order.
    #[param(rename = "sort-by", inline)]
    sort_by: Option<HistorySort>,
}

/// The order of notifications.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct NotificationOrder {
    /// The order.
    #[param(rename = "sort-by", inline)]
    sort_by: Option<NotificationSort>,
}

#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
enum TasteKind {
    Book,
    BookTag,
}

#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
enum TasteSort {
    CreatedAtDesc,
    CreatedAtAsc,
    Random,
}

#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
enum BookSort {
    IdDesc,
    IdAsc,
    Random,
}

#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
enum HistorySort {
    UpdatedAtDesc,
    UpdatedAtAsc,
    CreatedAtDesc,
    CreatedAtAsc,
    Random,
}

#[derive(ToSchema)]
#[schema(rename_all = "kebab-case")]
enum NotificationSort {
    CreatedAtDesc,
    CreatedAtAsc,
}
