//! What authorizers get.

use proto::tenants::v1::tenants_client::TenantsClient;
use proto::tenants::v1::{GetTenantRequest, Status, Tenant};
use tonic::Code;

use crate::app::{ACME, TestApp, on_both};

async fn ask(app: &TestApp, id: &str) -> Result<Tenant, Code> {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{}", app.running.grpc)).unwrap();
    let mut client = TenantsClient::new(endpoint.connect().await.unwrap());
    let answer = client.get_tenant(GetTenantRequest { id: id.to_owned() }).await;
    answer.map(tonic::Response::into_inner).map_err(|status| status.code())
}

async fn an_authorizer_gets_each_state(app: TestApp) {
    assert_eq!(ask(&app, ACME).await, Err(Code::NotFound));
    app.create(ACME, "Acme").await;
    let state = |status: Status, version| Ok(Tenant { id: ACME.to_owned(), status: status.into(), version });
    assert_eq!(ask(&app, ACME).await, state(Status::Active, 1));
    app.manage(&format!("POST /_/tenants/{ACME}/suspend"), "").await;
    assert_eq!(ask(&app, ACME).await, state(Status::Suspended, 2));
    app.services.hold_after(Some(0));
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    assert_eq!(ask(&app, ACME).await, state(Status::Suspended, 3), "while its data is being removed");
    for id in ["", "acme", "\0", &ACME.to_uppercase(), &ACME.replace('-', ""), &"x".repeat(3_000)] {
        assert_eq!(ask(&app, id).await, Err(Code::NotFound), "{id:?}");
    }
}

#[tokio::test]
async fn an_authorizer_gets_each_state_on_both() {
    on_both(an_authorizer_gets_each_state).await;
}

#[tokio::test]
async fn a_deleted_tenant_stays_known_as_deleted() {
    let app = TestApp::new().await;
    app.create(ACME, "Acme").await;
    app.manage(&format!("DELETE /_/tenants/{ACME}"), "").await;
    harness::eventually_async("it is deleted", async || {
        ask(&app, ACME).await.is_ok_and(|tenant| tenant.status == i32::from(Status::Deleted))
    })
    .await;
}

#[tokio::test]
async fn a_database_that_fails_is_no_unknown_tenant() {
    use sea_orm::ConnectionTrait as _;
    let app = TestApp::new().await;
    app.create(ACME, "Acme").await;
    app.database().await.execute_unprepared("ALTER TABLE tenants RENAME TO gone").await.unwrap();
    assert_eq!(ask(&app, ACME).await, Err(Code::Unavailable));
}
