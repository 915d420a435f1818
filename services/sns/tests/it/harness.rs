use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::Request;
use http_body_util::BodyExt;
use model::ports::{NotPosted, Outbox, Posting, Unanswered, Web, WebAnswer, WebRequest};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use store::simulated::{self, Disk};
use wire::{Access, CallInfo, Router};

/// Keeps what was posted.
#[derive(Default)]
pub(crate) struct Kept(Mutex<Vec<Posting>>);

#[async_trait]
impl Outbox for Kept {
    async fn post(&self, postings: Vec<Posting>) -> Result<(), NotPosted> {
        self.0.lock().unwrap().extend(postings);
        Ok(())
    }
}

/// Lets every URL pass but those of `internal.example`, and sends nothing.
struct Checked;

#[async_trait]
impl Web for Checked {
    fn check(&self, url: &str) -> Result<(), Unanswered> {
        match url.contains("internal.example") {
            true => Err(Unanswered::Forbidden("it is internal".to_owned())),
            false => Ok(()),
        }
    }

    async fn send(&self, _: WebRequest<'_>) -> Result<WebAnswer, Unanswered> {
        Err(Unanswered::Failed("nothing is sent".to_owned()))
    }
}

/// SNS on a simulated disk.
pub(crate) struct Sns {
    router: Router,
    outbox: Arc<Kept>,
    _disk: Disk,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) xml: String,
}

impl Answer {
    /// The text of the first element of this name.
    pub(crate) fn text(&self, element: &str) -> String {
        let (open, close) = (format!("<{element}>"), format!("</{element}>"));
        let rest = self
            .xml
            .split(&open)
            .nth(1)
            .unwrap_or_else(|| panic!("{element} in {}", self.xml));
        let text = rest.split(&close).next().unwrap();
        text.replace("&quot;", "\"")
            .replace("&apos;", "'")
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&amp;", "&")
    }
}

impl Sns {
    pub(crate) async fn new() -> Sns {
        let (store, disk, _) = simulated::open(7);
        let outbox = Arc::new(Kept::default());
        let settings = sns::Settings {
            base: "http://127.0.0.1:4566".to_owned(),
        };
        let engine = sns::open(
            &store,
            disk.tasks(),
            outbox.clone(),
            Arc::new(Checked),
            settings,
        )
        .await
        .unwrap();
        let router = Router::new(Access::off()).with(sns::service(engine));
        Sns {
            router,
            outbox,
            _disk: disk,
        }
    }

    /// What was posted since the last time.
    pub(crate) fn posted(&self) -> Vec<Posting> {
        std::mem::take(&mut *self.outbox.0.lock().unwrap())
    }

    pub(crate) async fn call(&self, action: &str, members: &[(&str, &str)]) -> Answer {
        self.call_with(action, members, &[]).await
    }

    pub(crate) async fn call_with(
        &self,
        action: &str,
        members: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut form = format!("Action={action}&Version=2010-03-31");
        for (name, value) in members {
            form.push_str(&format!(
                "&{name}={}",
                utf8_percent_encode(value, NON_ALPHANUMERIC)
            ));
        }
        let mut request =
            Request::post("/").header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(form).unwrap();
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
        wanted: (u16, &str, &str),
    ) {
        let answer = self.call(action, members).await;
        let got = (answer.status, answer.text("Code"), answer.text("Message"));
        assert_eq!(
            got,
            (wanted.0, wanted.1.to_owned(), wanted.2.to_owned()),
            "{action}"
        );
    }
}
