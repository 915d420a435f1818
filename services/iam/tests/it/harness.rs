use std::ops::Deref;
use std::sync::Arc;

use store::simulated::{self, Disk, Image};
use wire::testing::{Answer, QueryClient};
use wire::{Access, Router};

pub(crate) const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
pub(crate) const ALLOW: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
pub(crate) const BASIC: &str = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";

/// IAM on one simulated disk, and who calls it.
pub(crate) struct Iam {
    pub(crate) engine: Arc<iam::Engine>,
    client: QueryClient,
    disk: Disk,
}

impl Iam {
    pub(crate) async fn new() -> Iam {
        let (store, disk, _) = simulated::open(7);
        Iam::on(store, disk).await
    }

    pub(crate) async fn after(image: Image) -> Iam {
        let (store, disk, _) = simulated::reopen(image).unwrap();
        Iam::on(store, disk).await
    }

    async fn on(store: store::Store, disk: Disk) -> Iam {
        let engine = iam::open(&store, disk.tasks()).await.unwrap();
        let router = Router::new(Access::off()).with(iam::service(engine.clone()));
        Iam {
            engine,
            client: QueryClient::new(router, "iam", "2010-05-08"),
            disk,
        }
    }

    pub(crate) fn crash(&self) -> Image {
        self.disk.crash()
    }

    pub(crate) async fn role(&self, name: &str) -> Answer {
        self.ok(
            "CreateRole",
            &[("RoleName", name), ("AssumeRolePolicyDocument", TRUST)],
        )
        .await
    }

    /// Creates a policy and gives its ARN.
    pub(crate) async fn policy(&self, name: &str) -> String {
        self.ok(
            "CreatePolicy",
            &[("PolicyName", name), ("PolicyDocument", ALLOW)],
        )
        .await
        .text("Arn")
    }
}

impl Deref for Iam {
    type Target = QueryClient;

    fn deref(&self) -> &QueryClient {
        &self.client
    }
}
