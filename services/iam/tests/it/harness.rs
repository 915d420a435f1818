use std::sync::Arc;

use http::Request;
use http_body_util::BodyExt;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use store::simulated::{self, Disk, Image};
use wire::{Access, CallInfo, Router};

pub(crate) const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
pub(crate) const ALLOW: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}]}"#;
pub(crate) const BASIC: &str = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole";

/// IAM on one simulated disk.
pub(crate) struct Iam {
    pub(crate) engine: Arc<iam::Engine>,
    router: Router,
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
            router,
            disk,
        }
    }

    pub(crate) fn crash(&self) -> Image {
        self.disk.crash()
    }

    pub(crate) async fn call(&self, action: &str, members: &[(&str, &str)]) -> Answer {
        let mut form = format!("Action={action}&Version=2010-05-08");
        for (name, value) in members {
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            form.push_str(&format!("&{name}={value}"));
        }
        let request = Request::post("/")
            .header(
                "content-type",
                "application/x-www-form-urlencoded; charset=utf-8",
            )
            .body(form)
            .unwrap();
        let call = CallInfo {
            request_id: "00000000-0000-4000-8000-000000000001".to_owned(),
            now_unix_ms: 0,
            loopback: true,
        };
        let response = self.router.handle(request, call).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            xml: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// A call that must succeed.
    pub(crate) async fn ok(&self, action: &str, members: &[(&str, &str)]) -> Answer {
        let answer = self.call(action, members).await;
        assert_eq!(answer.status, 200, "{action}: {}", answer.xml);
        answer
    }

    /// A call that must be refused with this status, code and message.
    pub(crate) async fn refused(
        &self,
        action: &str,
        members: &[(&str, &str)],
        (status, code, message): (u16, &str, &str),
    ) {
        let answer = self.call(action, members).await;
        let got = (answer.status, answer.text("Code"), answer.text("Message"));
        assert_eq!(
            got,
            (status, code.to_owned(), message.to_owned()),
            "{action}: {}",
            answer.xml
        );
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

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) xml: String,
}

impl Answer {
    /// The texts of all elements of this name, in order.
    pub(crate) fn texts(&self, element: &str) -> Vec<String> {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        self.xml
            .split(&open)
            .skip(1)
            .filter_map(|rest| rest.split(&close).next())
            .map(|text| {
                text.replace("&quot;", "\"")
                    .replace("&apos;", "'")
                    .replace("&lt;", "<")
                    .replace("&gt;", ">")
                    .replace("&amp;", "&")
            })
            .collect()
    }

    /// The text of the one element of this name.
    pub(crate) fn text(&self, element: &str) -> String {
        let found = self.texts(element);
        assert_eq!(found.len(), 1, "{element} in {}", self.xml);
        found[0].clone()
    }

    pub(crate) fn has(&self, element: &str) -> bool {
        self.xml.contains(&format!("<{element}>")) || self.xml.contains(&format!("<{element}/>"))
    }

    /// The text of the one element, without its percent encoding.
    pub(crate) fn decoded(&self, element: &str) -> String {
        percent_decode_str(&self.text(element))
            .decode_utf8()
            .unwrap()
            .into_owned()
    }
}
