//! The calls of other services in gRPC (`cutover.catalogue.v1`), with the checks and the effects of the routes for services.

use kit::grpc;
use kit::grpc::{platform_service, timestamp};
use proto::catalogue::v1::catalogue_server::{Catalogue, CatalogueServer};
use proto::catalogue::v1::{
    Book as BookMessage, BooksOfTag, HasBookRequest, HasBookResponse, HasTagRequest, HasTagResponse,
    ListBooksByTagsRequest, ListBooksByTagsResponse, ListBooksRequest, ListBooksResponse, Order,
    RenewBookRequest, RenewBookResponse, Tag as TagMessage,
};
use tonic::{Request, Response, Status};

use super::App;
use super::internal::Part;
use super::query::{check_ids, invalid};
use crate::book::{Book, Tag};
use crate::books::{Sort, Way};
use crate::renewal;

/// Returns the routes of the calls.
pub(super) fn routes(app: App) -> axum::Router {
    let gate = app.gate.clone();
    let server = CatalogueServer::new(Calls(app)).max_decoding_message_size(grpc::MAX_MESSAGE_BYTES);
    grpc::routes(gate, server)
}

/// Answers the calls.
#[derive(Clone)]
struct Calls(App);

#[tonic::async_trait]
impl Catalogue for Calls {
    async fn list_books(
        &self,
        request: Request<ListBooksRequest>,
    ) -> Result<Response<ListBooksResponse>, Status> {
        platform_service(&request)?;
        let ids = request.into_inner().ids;
        check_ids(&ids.iter().copied().map(i64::from).collect::<Vec<i64>>())?;
        let books = self.0.books.by_ids(&ids).await?;
        Ok(Response::new(ListBooksResponse { books: all(books) }))
    }

    async fn list_books_by_tags(
        &self,
        request: Request<ListBooksByTagsRequest>,
    ) -> Result<Response<ListBooksByTagsResponse>, Status> {
        platform_service(&request)?;
        let request = request.into_inner();
        let order = request.order();
        let ListBooksByTagsRequest { tags, per_page, page, .. } = request;
        let tags = tags.into_iter().map(Tag::from).collect();
        let part = Part { per_page: per_page.into(), page: page.into(), sort: order.into() };
        let found = part.of(&self.0.books, tags).await?;
        let of_tag = |(tag, books): (Tag, Vec<Book>)| BooksOfTag { tag: Some(tag.into()), books: all(books) };
        Ok(Response::new(ListBooksByTagsResponse { tags: found.into_iter().map(of_tag).collect() }))
    }

    async fn has_book(&self, request: Request<HasBookRequest>) -> Result<Response<HasBookResponse>, Status> {
        platform_service(&request)?;
        let found = self.0.books.by_ids(&[request.into_inner().book_id]).await?;
        Ok(Response::new(HasBookResponse { has: !found.is_empty() }))
    }

    async fn has_tag(&self, request: Request<HasTagRequest>) -> Result<Response<HasTagResponse>, Status> {
        platform_service(&request)?;
        let tag = request.into_inner().tag.ok_or_else(|| invalid("give a tag"))?;
        Ok(Response::new(HasTagResponse { has: self.0.books.has_tag(&tag.into()).await? }))
    }

    async fn renew_book(
        &self,
        request: Request<RenewBookRequest>,
    ) -> Result<Response<RenewBookResponse>, Status> {
        platform_service(&request)?;
        let RenewBookRequest { old_id, new_id } = request.into_inner();
        if old_id < 1 || new_id < 1 {
            return Err(invalid("\"bookId\" must be greater than or equal to 1").into());
        }
        renewal::renew(&self.0.books, &self.0.people, old_id, new_id).await?;
        Ok(Response::new(RenewBookResponse {}))
    }
}

fn all(books: Vec<Book>) -> Vec<BookMessage> {
    books.into_iter().map(BookMessage::from).collect()
}

impl From<Order> for Sort {
    fn from(order: Order) -> Self {
        match order {
            Order::Unspecified | Order::IdDesc => Self::Id(Way::Desc),
            Order::IdAsc => Self::Id(Way::Asc),
            Order::Random => Self::Random,
        }
    }
}

impl From<Book> for BookMessage {
    fn from(book: Book) -> Self {
        let Book { id, title, kind, language, page, tags, created_at, updated_at, published_at, renewed_as } =
            book;
        Self {
            id,
            title,
            kind: kind.replace('_', "-"),
            tags: tags.into_iter().map(TagMessage::from).collect(),
            language,
            pages: page.into(),
            legacy: renewed_as.is_some(),
            published_at: published_at.map(timestamp),
            created_at: Some(timestamp(created_at)),
            updated_at: Some(timestamp(updated_at)),
        }
    }
}

impl From<TagMessage> for Tag {
    fn from(TagMessage { kind, name }: TagMessage) -> Self {
        Self { kind, name }
    }
}

impl From<Tag> for TagMessage {
    fn from(Tag { kind, name }: Tag) -> Self {
        Self { kind, name }
    }
}
