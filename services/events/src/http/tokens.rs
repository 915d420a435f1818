//! Tokens of connections with OAuth, and the loop that authorizes them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use model::ports::{Unanswered, WebRequest};
use schedules::{Agenda, Agent};
use serde::Deserialize;
use store::{Row, StoreError};
use tasks::{Time, WorkError};
use tokio::sync::OnceCell;

use super::call::{self, Call};
use super::record::{Connection, Credentials, OAuth, State};
use crate::engine::{Engine, change, lock, named};
use crate::fault::Fault;
use crate::names::Place;

/// How long an endpoint may take.  [EventBridge guide: API destinations]
pub(crate) const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);
/// Bytes of an answer with a token.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// A token without an end is taken for this long.
const LIFE_DEFAULT: Duration = Duration::from_secs(3_600);
/// Time before its end at which a token is not used any more.
const MARGIN: Duration = Duration::from_secs(10);
/// Time between two tries to authorize a connection, and from its change to the last.
const TRY_EVERY: Duration = Duration::from_secs(10);
const TRIED_MAX: Duration = Duration::from_secs(300);
/// Characters of a reason.  [EventBridge API: ConnectionStateReason]
const REASON_MAX: usize = 512;

#[derive(Clone)]
pub(crate) struct Token {
    pub(crate) header: String,
    until: Time,
}

/// Why there is no token.
pub(crate) enum NoToken {
    /// Asking again does not help.
    Refused(String),
    Later(String),
}

/// The tokens of connections, by their ids.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<HashMap<String, Arc<OnceCell<Token>>>>);

impl Tokens {
    pub(crate) fn forget(&self, id: &str) {
        lock(&self.0).remove(id);
    }

    /// The cell of a connection: one caller fills it, the others wait for that.
    fn cell(&self, id: &str, now: Time) -> Arc<OnceCell<Token>> {
        let mut all = lock(&self.0);
        let is_over = |cell: &Arc<OnceCell<Token>>| cell.get().is_some_and(|t| t.until <= now);
        if all.get(id).is_some_and(is_over) {
            all.remove(id);
        }
        all.entry(id.to_owned()).or_default().clone()
    }
}

/// A connection by its name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct ConnectionRef {
    at: Place,
    name: String,
}

impl ConnectionRef {
    pub(crate) fn of(at: &Place, name: &str) -> ConnectionRef {
        ConnectionRef {
            at: at.clone(),
            name: name.to_owned(),
        }
    }
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<u64>,
}

impl Engine {
    /// The header that a call of this connection has.
    pub(crate) async fn authorization(
        &self,
        connection: &Connection,
    ) -> Result<(String, String), NoToken> {
        let auth = connection.auth.as_ref();
        let auth =
            auth.ok_or_else(|| NoToken::Later("The connection is deauthorized.".to_owned()))?;
        if let Some(header) = call::header(auth) {
            return Ok(header);
        }
        let Credentials::OAuth(oauth) = auth else {
            return Err(NoToken::Refused(
                "The connection has no credentials.".to_owned(),
            ));
        };
        let cell = self.tokens.cell(&connection.id, self.now());
        let token = cell.get_or_try_init(|| self.ask(oauth)).await?;
        Ok(("authorization".to_owned(), token.header.clone()))
    }

    async fn ask(&self, oauth: &OAuth) -> Result<Token, NoToken> {
        let Call {
            method,
            url,
            headers,
            body,
        } = call::token(oauth);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        let request = WebRequest {
            method: &method,
            url: &url,
            headers: &headers,
            body: body.into(),
            wait_max: ANSWER_WAIT_MAX,
            answer_bytes_max: ANSWER_BYTES_MAX,
        };
        let answer = match self.web.send(request).await {
            Ok(answer) => answer,
            Err(Unanswered::Forbidden(text)) => return Err(NoToken::Refused(text)),
            Err(Unanswered::Failed(text)) => return Err(NoToken::Later(text)),
        };
        let status = answer.status;
        match status {
            200..=299 => {}
            429 | 500.. => {
                let text = format!("The authorization endpoint answered {status}.");
                return Err(NoToken::Later(text));
            }
            _ => {
                let text = format!("The authorization endpoint answered {status}.");
                return Err(NoToken::Refused(text));
            }
        }
        let token: Answer = serde_json::from_slice(&answer.body).map_err(|_| {
            NoToken::Refused("The authorization endpoint gave no access token.".to_owned())
        })?;
        let life = token.expires_in.map_or(LIFE_DEFAULT, Duration::from_secs);
        let kind = token
            .token_type
            .filter(|kind| !kind.eq_ignore_ascii_case("bearer"));
        let kind = kind.unwrap_or_else(|| "Bearer".to_owned());
        Ok(Token {
            header: format!("{kind} {}", token.access_token),
            until: self.now() + life.saturating_sub(MARGIN),
        })
    }

    /// Finds the connections that wait, at the start.
    pub(crate) async fn load_authorizing(&self) -> Result<(), StoreError> {
        self.connections.seal_all().await?;
        for row in self.connections.all(&[]).await? {
            if let Some(at) = place_of(&row) {
                self.authorize_soon(&at, &row.value);
            }
        }
        Ok(())
    }

    pub(crate) fn authorize_soon(&self, at: &Place, connection: &Connection) {
        let is_waiting = connection.state == State::Authorizing;
        let next = is_waiting.then(|| self.now());
        self.authorizing
            .set(&ConnectionRef::of(at, &connection.name), next);
    }

    pub(crate) fn forget_connection(&self, connection: &ConnectionRef, id: &str) {
        self.tokens.forget(id);
        self.authorizing.set(connection, None);
    }

    async fn authorize(&self, to: &ConnectionRef) -> Result<(), Fault> {
        let parts = named(&to.at, &to.name);
        let found = self.connections.get(&parts).await?.map(|row| row.value);
        let Some(connection) = found.filter(|found| found.state == State::Authorizing) else {
            self.authorizing.set(to, None);
            return Ok(());
        };
        let now = self.now();
        let tried = now.since(Time::from_unix_millis(connection.modified_ms));
        let reason = match self.authorization(&connection).await {
            Ok(_) => None,
            Err(NoToken::Later(_)) if tried < TRIED_MAX => {
                self.authorizing.set(to, Some(now + TRY_EVERY));
                return Ok(());
            }
            Err(NoToken::Later(text) | NoToken::Refused(text)) => Some(text),
        };
        let edit = |stored: &mut Connection| {
            // Somebody may have changed it meanwhile.
            if stored.state != State::Authorizing || stored.modified_ms != connection.modified_ms {
                return Ok(false);
            }
            stored.state = match reason {
                None => State::Authorized,
                Some(_) => State::Deauthorized,
            };
            let short = |text: &String| text.chars().take(REASON_MAX).collect();
            stored.reason = reason.as_ref().map(short);
            stored.authorized_ms = self.now_ms();
            Ok(true)
        };
        if change(&self.connections, &parts, edit).await? != Some(false) {
            self.authorizing.set(to, None);
        }
        Ok(())
    }
}

fn place_of(row: &Row<Connection>) -> Option<Place> {
    let mut parts = row.key.as_str().split('/').skip(1);
    Some(Place {
        account: parts.next()?.to_owned(),
        region: parts.next()?.to_owned(),
    })
}

/// Asks for the first token of connections.
pub(crate) struct Authorizer(pub(crate) Arc<Engine>);

#[async_trait]
impl Agent for Authorizer {
    type Key = ConnectionRef;

    fn agenda(&self) -> &Agenda<ConnectionRef> {
        &self.0.authorizing
    }

    async fn tick(&self, key: &ConnectionRef) -> Result<(), WorkError> {
        Ok(self.0.authorize(key).await?)
    }
}
