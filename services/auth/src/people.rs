//! Looks up accounts at the users service, through the edge's listener for services.

use identity::Role;
use kit::peer::{CallFailed, Channel, Peer, answered};
use kit::{SubjectId, TenantId};
use proto::users::v1::accounts_client::AccountsClient;
use proto::users::v1::get_account_request::Person;
use proto::users::v1::{Account, GetAccountRequest};

use crate::token::Holder;

/// The longest answer in bytes. An account is under 1 KiB.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// A client of the users service, with only the lookups that this service needs.
#[derive(Clone, Debug)]
pub struct People(AccountsClient<Channel>);

/// How an account is shown to its owner, by an authenticator that asks which account to use.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The e-mail address.
    pub email: String,
    /// The displayed name.
    pub name: String,
}

impl People {
    /// Looks people up as `peer`. It needs a tokio runtime.
    #[must_use]
    pub fn new(peer: &Peer) -> Self {
        Self(AccountsClient::new(peer.channel()).max_decoding_message_size(MAX_ANSWER_BYTES))
    }

    /// Finds the account with this e-mail address. `None` when there is none, or when it has no tenant and so
    /// cannot sign in.
    ///
    /// # Errors
    /// [`CallFailed`]. This does not mean that the account does not exist.
    pub async fn by_email(&self, email: &str) -> Result<Option<Holder>, CallFailed> {
        self.holder(Person::Email(email.to_owned())).await
    }

    /// Finds the account with this id.
    ///
    /// # Errors
    /// [`CallFailed`], as for [`by_email`](Self::by_email).
    pub async fn by_id(&self, id: SubjectId) -> Result<Option<Holder>, CallFailed> {
        self.holder(Person::Id(id.to_string())).await
    }

    /// Finds how the account with this id is shown.
    ///
    /// # Errors
    /// [`CallFailed`], as for [`by_email`](Self::by_email).
    pub async fn profile(&self, id: SubjectId) -> Result<Option<Profile>, CallFailed> {
        let account = self.account(Person::Id(id.to_string())).await?;
        Ok(account.map(|Account { email, name, .. }| Profile { email, name }))
    }

    async fn holder(&self, person: Person) -> Result<Option<Holder>, CallFailed> {
        let Some(account) = self.account(person).await? else { return Ok(None) };
        let subject: SubjectId = account.id.parse().map_err(|_| invalid("id"))?;
        let role = u8::try_from(account.role).map(Role).map_err(|_| invalid("role"))?;
        let Some(tenant) = account.tenant_id else { return Ok(None) };
        let tenant: TenantId = tenant.parse().map_err(|_| invalid("tenant"))?;
        Ok(Some(Holder { subject, tenant, role }))
    }

    async fn account(&self, person: Person) -> Result<Option<Account>, CallFailed> {
        let request = GetAccountRequest { person: Some(person) };
        match answered(self.0.clone().get_account(request)).await {
            Ok(account) => Ok(Some(account)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn invalid(field: &str) -> CallFailed {
    CallFailed::Answer(format!("the {field} of the account is not valid"))
}
