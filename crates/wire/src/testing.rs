//! A client of the query protocol for the tests of services: forms out, XML in, no network.
//!
//! It asserts, and so it panics; it is behind the feature `testing` and in no binary.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use http::Request;
use http_body_util::BodyExt as _;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::{CallInfo, Router};

/// Calls one service of a router.
#[derive(Clone)]
pub struct QueryClient {
    router: Arc<Router>,
    service: &'static str,
    version: &'static str,
    account: Option<String>,
}

/// A refusal: status, code and message.
pub type Refusal<'a> = (u16, &'a str, &'a str);

impl QueryClient {
    /// `version` is the date in the service's API.
    pub fn new(router: Router, service: &'static str, version: &'static str) -> QueryClient {
        QueryClient {
            router: Arc::new(router),
            service,
            version,
            account: None,
        }
    }

    /// The same client with an access key of another account; without one its requests are not signed.
    #[must_use]
    pub fn of_account(&self, account: &str) -> QueryClient {
        QueryClient {
            account: Some(account.to_owned()),
            ..self.clone()
        }
    }

    pub async fn call(&self, action: &str, members: &[(&str, &str)]) -> Answer {
        self.call_with(action, members, &[]).await
    }

    /// A call with more headers.
    pub async fn call_with(
        &self,
        action: &str,
        members: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut form = format!("Action={action}&Version={}", self.version);
        for (name, value) in members {
            let value = utf8_percent_encode(value, NON_ALPHANUMERIC);
            form.push_str(&format!("&{name}={value}"));
        }
        let mut request = Request::post("/").header(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        );
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(account) = &self.account {
            let service = self.service;
            let scope = format!("{account}/20260101/us-east-1/{service}/aws4_request");
            let signed =
                format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
            request = request.header("authorization", signed);
        }
        let call = CallInfo {
            request_id: "00000000-0000-4000-8000-000000000001".to_owned(),
            now_unix_ms: 0,
            loopback: true,
        };
        let request = request.body(form).unwrap();
        let response = self.router.handle(request, call).await;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        Answer {
            status,
            xml: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// A call that must succeed.
    pub async fn ok(&self, action: &str, members: &[(&str, &str)]) -> Answer {
        let answer = self.call(action, members).await;
        assert_eq!(answer.status, 200, "{action}: {}", answer.xml);
        answer
    }

    /// A call that must be refused so.
    pub async fn refused(&self, action: &str, members: &[(&str, &str)], wanted: Refusal<'_>) {
        let answer = self.call(action, members).await;
        let (status, code, message) = wanted;
        assert_eq!(answer.status, status, "{action}: {}", answer.xml);
        let got = (answer.text("Code"), answer.text("Message"));
        assert_eq!(got, (code.to_owned(), message.to_owned()), "{action}");
    }
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub xml: String,
}

impl Answer {
    /// The texts of all elements of this name, in order.
    pub fn texts(&self, element: &str) -> Vec<String> {
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
    pub fn text(&self, element: &str) -> String {
        let found = self.texts(element);
        assert_eq!(found.len(), 1, "{element} in {}", self.xml);
        found.into_iter().next().unwrap()
    }

    /// The text of the one element, without its percent encoding.
    pub fn decoded(&self, element: &str) -> String {
        percent_decode_str(&self.text(element))
            .decode_utf8()
            .unwrap()
            .into_owned()
    }

    pub fn has(&self, element: &str) -> bool {
        self.xml.contains(&format!("<{element}>")) || self.xml.contains(&format!("<{element}/>"))
    }
}
