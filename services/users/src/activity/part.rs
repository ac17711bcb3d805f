//! Parts of lists, and their orders.

use sea_orm::sea_query::{Expr, Func, SelectStatement, SimpleExpr};
use sea_orm::{DbBackend, Order};

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The most entries, from 1 to 100.
    pub per_page: u64,
    /// The number of the part, from 1.
    pub page: u64,
}

/// The order of a list. Each list allows some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// By the time at which the entry was made.
    CreatedAt(Way),
    /// By the time at which the entry was last changed.
    UpdatedAt(Way),
    /// By chance, different at each request.
    Random,
}

/// Upwards or downwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The oldest first.
    Asc,
    /// The newest first.
    Desc,
}

impl Page {
    fn offset(self) -> u64 {
        // At most i64::MAX, the largest offset that databases take.
        const MAX: u64 = i64::MAX.unsigned_abs();
        Ord::min(self.page.saturating_sub(1).saturating_mul(self.per_page), MAX)
    }
}

/// Orders `query`, whose rows have an `id`, and limits it to a part. Rows of the same moment keep one order.
pub(super) fn of(query: &mut SelectStatement, backend: DbBackend, sort: Sort, page: Page) {
    let by = |column: &'static str, way: Way| {
        (moment(backend, column), if way == Way::Asc { Order::Asc } else { Order::Desc })
    };
    let (expression, order) = match sort {
        Sort::CreatedAt(way) => by("created_at", way),
        Sort::UpdatedAt(way) => by("updated_at", way),
        Sort::Random => (Expr::expr(Func::random()), Order::Asc),
    };
    query.order_by_expr(expression, order).order_by("id", Order::Asc);
    query.limit(page.per_page).offset(page.offset());
}

/// Returns a column with times in a form whose order is that of the times. SQLite has them as text, whose fraction of a
/// second has no trailing zeros: without the `Z` at its end, a shorter text is the earlier time.
fn moment(backend: DbBackend, column: &'static str) -> SimpleExpr {
    if backend == DbBackend::Sqlite {
        Func::cust("rtrim").args([Expr::col(column), Expr::val("Z")]).into()
    } else {
        Expr::col(column)
    }
}
