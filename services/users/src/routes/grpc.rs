//! The calls of other services in gRPC (`cutover.users.v1`), with the checks and the effects of the routes for services.

use kit::grpc::{caller, platform_service, timestamp};
use kit::{Reach, ServiceCaller, SubjectId, grpc};
use proto::users::v1::accounts_server::{Accounts, AccountsServer};
use proto::users::v1::activity_server::{Activity, ActivityServer};
use proto::users::v1::get_account_request::Person;
use proto::users::v1::taste::Subject as About;
use proto::users::v1::{
    Account as AccountMessage, AnnounceBookRequest, AnnounceBookResponse, GetAccountRequest,
    History as HistoryMessage, ListDeviceTokensRequest, ListDeviceTokensResponse, ListDislikesRequest,
    ListDislikesResponse, ListHistoriesRequest, ListHistoriesResponse, ListTastesRequest, ListTastesResponse,
    RenewBookRequest, RenewBookResponse, Tag as TagMessage, Taste as TasteMessage,
};
use tonic::{Request, Response, Status};

use super::activity::internal::{DISLIKES, TASTES, check_announced, check_books};
use super::activity::query::{limited, unreadable};
use super::{App, by_email};
use crate::account::{Account, Key, Owner};
use crate::activity::histories::History;
use crate::activity::part::{Sort, Way};
use crate::activity::tag::Tag;
use crate::activity::tastes::{Subject, Taste, Wanted};
use crate::error::Error;

/// The order of tastes.
const NEWEST: Sort = Sort::CreatedAt(Way::Desc);

/// Returns the routes of the calls.
pub(super) fn routes(app: App) -> axum::Router {
    let calls = Calls(app.clone());
    let accounts = AccountsServer::new(calls.clone()).max_decoding_message_size(grpc::MAX_MESSAGE_BYTES);
    let activity = ActivityServer::new(calls).max_decoding_message_size(grpc::MAX_MESSAGE_BYTES);
    grpc::routes(app.gate.clone(), accounts).merge(grpc::routes(app.gate, activity))
}

/// Answers the calls.
#[derive(Clone, Debug)]
struct Calls(App);

impl Calls {
    async fn owner(&self, caller: &ServiceCaller, id: &str) -> Result<Owner, Error> {
        let id: SubjectId = id.parse().map_err(|_| Error::NotFound)?;
        self.0.accounts.owner_in(Reach::from(caller), id).await
    }
}

#[tonic::async_trait]
impl Accounts for Calls {
    async fn get_account(
        &self,
        request: Request<GetAccountRequest>,
    ) -> Result<Response<AccountMessage>, Status> {
        let caller = caller(&request)?;
        let key = match request.into_inner().person {
            Some(Person::Id(id)) => Key::Id(id.parse().map_err(|_| Error::NotFound)?),
            Some(Person::Email(email)) => by_email(email)?,
            None => return Err(Status::invalid_argument("give an id or an e-mail address")),
        };
        let account = self.0.accounts.look_up(Reach::from(&caller), &key).await?;
        Ok(Response::new(account.into()))
    }
}

#[tonic::async_trait]
impl Activity for Calls {
    async fn list_tastes(
        &self,
        request: Request<ListTastesRequest>,
    ) -> Result<Response<ListTastesResponse>, Status> {
        let caller = caller(&request)?;
        let ListTastesRequest { person_id, book_ids, tags, is_dislike } = request.into_inner();
        let owner = self.owner(&caller, &person_id).await?;
        limited(book_ids.len(), "ids")?;
        limited(tags.len(), "tags")?;
        let tags: Vec<Tag> = tags.into_iter().map(Tag::from).collect();
        let wanted = Wanted {
            kind: None,
            is_dislike,
            books: (!book_ids.is_empty()).then_some(book_ids),
            tags: (!tags.is_empty()).then_some(tags),
        };
        let found = self.0.activity.tastes(owner, &wanted, NEWEST, TASTES).await?;
        let tastes = found.into_iter().map(TasteMessage::from).collect();
        Ok(Response::new(ListTastesResponse { tastes }))
    }

    async fn list_dislikes(
        &self,
        request: Request<ListDislikesRequest>,
    ) -> Result<Response<ListDislikesResponse>, Status> {
        let caller = caller(&request)?;
        let owner = self.owner(&caller, &request.into_inner().person_id).await?;
        let wanted = Wanted { is_dislike: Some(true), ..Wanted::default() };
        let mut answer = ListDislikesResponse::default();
        for taste in self.0.activity.tastes(owner, &wanted, NEWEST, DISLIKES).await? {
            match taste.subject {
                Subject::Book(id) => answer.book_ids.push(id),
                Subject::Tag(tag) => answer.tags.push(tag.into()),
            }
        }
        Ok(Response::new(answer))
    }

    async fn list_histories(
        &self,
        request: Request<ListHistoriesRequest>,
    ) -> Result<Response<ListHistoriesResponse>, Status> {
        let caller = caller(&request)?;
        let ListHistoriesRequest { person_id, book_ids } = request.into_inner();
        let owner = self.owner(&caller, &person_id).await?;
        limited(book_ids.len(), "ids")?;
        let found = self.0.activity.histories_of(owner, &book_ids).await?;
        let histories = found.into_iter().map(HistoryMessage::from).collect();
        Ok(Response::new(ListHistoriesResponse { histories }))
    }

    async fn list_device_tokens(
        &self,
        request: Request<ListDeviceTokensRequest>,
    ) -> Result<Response<ListDeviceTokensResponse>, Status> {
        let caller = caller(&request)?;
        let people = request.into_inner().person_ids;
        limited(people.len(), "user-ids")?;
        let parsed = people.iter().map(|id| id.parse());
        let people: Vec<SubjectId> = parsed
            .collect::<Result<_, _>>()
            .map_err(|error| unreadable(format!("UUID parsing failed: {error}")))?;
        let owners = self.0.accounts.owners_in(Reach::from(&caller), &people).await?;
        let tokens = self.0.activity.tokens(&owners).await?;
        Ok(Response::new(ListDeviceTokensResponse { tokens }))
    }

    async fn announce_book(
        &self,
        request: Request<AnnounceBookRequest>,
    ) -> Result<Response<AnnounceBookResponse>, Status> {
        let service = platform_service(&request)?;
        let AnnounceBookRequest { book_id, tags } = request.into_inner();
        let tags: Vec<Tag> = tags.into_iter().map(Tag::from).collect();
        check_announced(book_id, &tags)?;
        self.0.activity.announce(&service, book_id, &tags).await?;
        Ok(Response::new(AnnounceBookResponse {}))
    }

    async fn renew_book(
        &self,
        request: Request<RenewBookRequest>,
    ) -> Result<Response<RenewBookResponse>, Status> {
        let service = platform_service(&request)?;
        let RenewBookRequest { old_id, new_id } = request.into_inner();
        check_books(&[old_id, new_id])?;
        self.0.activity.renew(&service, old_id, new_id).await?;
        Ok(Response::new(RenewBookResponse {}))
    }
}

impl From<Account> for AccountMessage {
    fn from(account: Account) -> Self {
        let Account { id, tenant, profile, role, created_at, updated_at } = account;
        Self {
            id: id.to_string(),
            name: profile.name,
            handle: profile.handle,
            email: profile.email,
            role: role.0.into(),
            created_at: Some(timestamp(created_at)),
            updated_at: Some(timestamp(updated_at)),
            tenant_id: tenant.map(|tenant| tenant.to_string()),
        }
    }
}

impl From<Taste> for TasteMessage {
    fn from(Taste { subject, is_dislike, created_at }: Taste) -> Self {
        let subject = match subject {
            Subject::Book(id) => About::BookId(id),
            Subject::Tag(tag) => About::Tag(tag.into()),
        };
        Self { subject: Some(subject), is_dislike, created_at: Some(timestamp(created_at)) }
    }
}

impl From<History> for HistoryMessage {
    fn from(History { book, page, created_at, updated_at }: History) -> Self {
        let (created_at, updated_at) = (Some(timestamp(created_at)), Some(timestamp(updated_at)));
        Self { book_id: book, page, created_at, updated_at }
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
