//! Looks tenants up in the tenants service over gRPC.

use std::time::Duration;

use identity::TenantId;
use proto::tenants::v1::tenants_client::TenantsClient;
use proto::tenants::v1::{GetTenantRequest, Status, Tenant};
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use validity::tenant::{Record, Standing};

use crate::tenant::source::{SourceFault, TenantReply, TenantSource};

/// Envoy waits 200 ms for a decision and Redis may have taken 50 of them. A service that answers one key from its
/// memory or an index needs a few.
pub const PATIENCE: Duration = Duration::from_millis(100);

/// An answer has about 50 bytes.
const MAX_ANSWER_BYTES: usize = 4_096;

/// The tenants service.
#[derive(Clone, Debug)]
pub struct TenantService {
    client: TenantsClient<Channel>,
}

/// An invalid address of the tenants service.
#[derive(Debug, thiserror::Error)]
#[error("tenants.grpc is {url:?}, which is not a valid address ({source})")]
pub struct UnusableAddress {
    url: String,
    source: tonic::transport::Error,
}

impl TenantService {
    /// The service at `url`. Connects with the first lookup, and again whenever the connection is lost. Needs
    /// a tokio runtime.
    ///
    /// # Errors
    /// When `url` is not a valid address.
    pub fn new(url: &str) -> Result<Self, UnusableAddress> {
        let endpoint = Endpoint::from_shared(url.to_owned())
            .map_err(|source| UnusableAddress { url: url.to_owned(), source })?
            .connect_timeout(PATIENCE)
            .tcp_nodelay(true)
            // Finds a connection whose peer vanished silently, and opens a new one.
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
    async fn look_up(&self, tenant: &TenantId) -> Result<TenantReply, SourceFault> {
        let question = GetTenantRequest { id: tenant.to_string() };
        let mut client = self.client.clone();
        let answer = tokio::time::timeout(PATIENCE, client.get_tenant(question));
        match answer.await.map_err(|_| SourceFault::Slow)? {
            Ok(answer) => {
                let record = read(tenant, answer.into_inner()).ok_or(SourceFault::Wrong)?;
                Ok(TenantReply { record: Some(record), good_for: None })
            }
            Err(status) if status.code() == Code::NotFound => {
                Ok(TenantReply { record: None, good_for: None })
            }
            Err(status) => {
                tracing::debug!(code = ?status.code(), "the tenants service refused a lookup");
                // A response that cannot be decoded or is too long has one of these codes.
                let wrong = matches!(status.code(), Code::Internal | Code::OutOfRange | Code::DataLoss);
                Err(if wrong { SourceFault::Wrong } else { SourceFault::Down })
            }
        }
    }
}

fn read(asked: &TenantId, answer: Tenant) -> Option<Record> {
    let Tenant { id, status, version } = answer;
    let standing = match Status::try_from(status).ok()? {
        Status::Unspecified => return None,
        Status::Active => Standing::Active,
        Status::Suspended => Standing::Suspended,
        Status::Deleted => Standing::Deleted,
    };
    // Otherwise it names another tenant, or a version that cannot be compared with pushed changes.
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
            read(&asked, Tenant { id: id.to_owned(), status, version }).map(|record| record.standing)
        };
        assert_eq!(answer(id, 1, 1), Some(Standing::Active));
        assert_eq!(answer(id, 2, 1), Some(Standing::Suspended));
        assert_eq!(answer(id, 3, 1), Some(Standing::Deleted));
        assert_eq!(answer(id, 0, 1), None, "unspecified is not an answer");
        assert_eq!(answer(id, 4, 1), None);
        assert_eq!(answer(id, 1, 0), None);
        assert_eq!(answer(id, 1, 1 << 53), None);
        assert_eq!(answer("00000000-0000-7000-8000-000000000002", 1, 1), None, "another tenant");
    }
}
