//! The tenants service, asked over gRPC.

use std::time::Duration;

use identity::TenantId;
use proto::tenants::v1::tenants_client::TenantsClient;
use proto::tenants::v1::{GetTenantRequest, Status, Tenant};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use validity::tenant::{Record, Standing};

use crate::tenant::source::{Answer, SourceFault, TenantSource};

/// Envoy waits 200 ms for a decision and Redis may have taken 50 of them. A service that answers one key from its
/// memory or an index needs a few.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// An answer has some 50 bytes.
const MAX_ANSWER_BYTES: usize = 4_096;

/// The tenants service.
#[derive(Clone, Debug)]
pub struct TenantService {
    client: TenantsClient<Channel>,
}

/// An address that nothing can be asked at.
#[derive(Debug, thiserror::Error)]
#[error("tenants.grpc is {url:?}, which is no address ({source})")]
pub struct UnusableAddress {
    url: String,
    source: tonic::transport::Error,
}

impl TenantService {
    /// The service at `url`, connected to when it is first asked and again whenever the connection is lost. Needs a
    /// tokio runtime.
    ///
    /// # Errors
    /// When `url` is no address.
    pub fn new(url: &str) -> Result<Self, UnusableAddress> {
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|source| UnusableAddress { url: url.to_owned(), source })?
            .connect_timeout(PATIENCE)
            .tcp_nodelay(true)
            // A connection whose other end is gone without a word is found within these and opened anew.
            .http2_keep_alive_interval(Duration::from_secs(5))
            .keep_alive_timeout(Duration::from_secs(2))
            .keep_alive_while_idle(true);
        let client = TenantsClient::new(endpoint.connect_lazy())
            .max_decoding_message_size(MAX_ANSWER_BYTES)
            .max_encoding_message_size(MAX_ANSWER_BYTES);
        Ok(Self { client })
    }
}

#[tonic::async_trait]
impl TenantSource for TenantService {
    async fn look_up(&self, tenant: TenantId) -> Result<Answer, SourceFault> {
        let question = GetTenantRequest { id: tenant.to_string() };
        let mut client = self.client.clone();
        let answer = tokio::time::timeout(PATIENCE, client.get_tenant(question));
        match answer.await.map_err(|_| SourceFault::Slow)? {
            Ok(answer) => {
                let record = read(tenant, answer.into_inner()).ok_or(SourceFault::Wrong)?;
                Ok(Answer { record: Some(record), good_for: None })
            }
            Err(status) if status.code() == Code::NotFound => Ok(Answer { record: None, good_for: None }),
            Err(status) => {
                tracing::debug!(code = ?status.code(), "the tenants service refuses");
                // What could not be decoded or is too long comes as one of these.
                let wrong = matches!(status.code(), Code::Internal | Code::OutOfRange | Code::DataLoss);
                Err(if wrong { SourceFault::Wrong } else { SourceFault::Down })
            }
        }
    }
}

fn read(asked: TenantId, answer: Tenant) -> Option<Record> {
    let Tenant { id, status, version } = answer;
    let standing = match Status::try_from(status).ok()? {
        Status::Unspecified => return None,
        Status::Active => Standing::Active,
        Status::Suspended => Standing::Suspended,
        Status::Deleted => Standing::Deleted,
    };
    // Of some other tenant, or a state that cannot be compared with what is pushed.
    let usable = id == asked.to_string() && version > 0 && version < (1 << 53);
    usable.then_some(Record { standing, version })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_answer_about_the_tenant_counts() {
        let id = "00000000-0000-7000-8000-000000000001";
        let asked: TenantId = id.parse().unwrap();
        let answer = |id: &str, status: i32, version| {
            read(asked, Tenant { id: id.to_owned(), status, version }).map(|record| record.standing)
        };
        assert_eq!(answer(id, 1, 1), Some(Standing::Active));
        assert_eq!(answer(id, 2, 1), Some(Standing::Suspended));
        assert_eq!(answer(id, 3, 1), Some(Standing::Deleted));
        assert_eq!(answer(id, 0, 1), None, "unspecified is an answer that nobody gave");
        assert_eq!(answer(id, 4, 1), None);
        assert_eq!(answer(id, 1, 0), None);
        assert_eq!(answer(id, 1, 1 << 53), None);
        assert_eq!(answer("00000000-0000-7000-8000-000000000002", 1, 1), None, "somebody else");
    }
}
