//! Operations on connections.

use std::sync::Arc;

use model::Arn;
use store::{Expect, StoreError};
use wire::{Checks, Context, Timestamp, paging};

use super::api::{
    ApiKeyShape, AuthInput, AuthShape, BasicShape, ClientShape, ConnectionInput,
    ConnectionResponse, ConnectionShape, HttpParameter, HttpParameters, ListConnectionsRequest,
    ListConnectionsResponse, NameRequest, OAuthShape,
};
use super::record::{Connection, Credentials, OAuth, Parameter, Parameters, State};
use super::tokens::ConnectionRef;
use crate::engine::{Engine, change, named};
use crate::fault::Fault;
use crate::names::{Names, Place, after, limit};

const KINDS: [&str; 3] = ["BASIC", "OAUTH_CLIENT_CREDENTIALS", "API_KEY"];
const METHODS: [&str; 3] = ["GET", "POST", "PUT"];
const STATES: [&str; 9] = [
    "CREATING",
    "UPDATING",
    "DELETING",
    "AUTHORIZED",
    "DEAUTHORIZED",
    "AUTHORIZING",
    "DEAUTHORIZING",
    "ACTIVE",
    "FAILED_CONNECTIVITY",
];
/// Parameters of one kind.  [EventBridge API: ConnectionHttpParameters]
const PARAMETERS_MAX: usize = 100;

fn no_connection(name: &str) -> Fault {
    Fault::NotFound(format!(
        "Failed to describe the connection(s). Connection '{name}' does not exist."
    ))
}

pub(crate) fn arn(at: &Place, connection: &Connection) -> String {
    let Connection { name, id, .. } = connection;
    at.arn(&format!("connection/{name}/{id}"))
}

/// The connection that an ARN names, and only that one.
pub(crate) async fn of_arn(engine: &Engine, arn: &Arn) -> Result<Option<Connection>, Fault> {
    let mut parts = arn.resource.split('/');
    let (Some("connection"), Some(name), Some(id)) = (parts.next(), parts.next(), parts.next())
    else {
        return Ok(None);
    };
    let at = Place {
        account: arn.account.clone(),
        region: arn.region.clone(),
    };
    let row = engine.connections.get(&named(&at, name)).await?;
    let found = row.map(|row| row.value);
    Ok(found.filter(|connection| connection.id == id))
}

fn check(input: &ConnectionInput) -> Result<(), Fault> {
    let mut checks = Checks::default();
    if let Some(kind) = &input.authorization_type {
        checks.choice(kind, "authorizationType", &KINDS);
    }
    if let Some(text) = &input.description {
        checks.length(text, "description", 0, 512);
    }
    checks.name(&input.name, "name", 64);
    let auth = input.auth_parameters.as_ref();
    if let Some(oauth) = auth.and_then(|auth| auth.oauth_parameters.as_ref()) {
        let member = |name: &str| format!("authParameters.oAuthParameters.{name}");
        if let Some(method) = &oauth.http_method {
            checks.choice(method, &member("httpMethod"), &METHODS);
        }
        if let Some(endpoint) = &oauth.authorization_endpoint {
            checks.length(endpoint, &member("authorizationEndpoint"), 1, 2_048);
        }
    }
    if let Some(auth) = auth {
        check_secrets(auth, &mut checks);
    }
    checks.done()?;
    let is_private = auth.is_some_and(|auth| auth.connectivity_parameters.is_some());
    if is_private || input.invocation_connectivity_parameters.is_some() {
        return Err(Fault::NotBuilt("connections to private APIs".to_owned()));
    }
    Ok(())
}

/// Values that go into headers; none of them is shown.
fn check_secrets(auth: &AuthInput, checks: &mut Checks) {
    let (basic, key) = (&auth.basic_auth_parameters, &auth.api_key_auth_parameters);
    let client = auth.oauth_parameters.as_ref();
    let client = client.and_then(|oauth| oauth.client_parameters.as_ref());
    let values = [
        (
            "basicAuthParameters.username",
            basic.as_ref().and_then(|b| b.username.as_ref()),
        ),
        (
            "basicAuthParameters.password",
            basic.as_ref().and_then(|b| b.password.as_ref()),
        ),
        (
            "apiKeyAuthParameters.apiKeyName",
            key.as_ref().and_then(|k| k.api_key_name.as_ref()),
        ),
        (
            "apiKeyAuthParameters.apiKeyValue",
            key.as_ref().and_then(|k| k.api_key_value.as_ref()),
        ),
        (
            "oAuthParameters.clientParameters.clientID",
            client.and_then(|c| c.client_id.as_ref()),
        ),
        (
            "oAuthParameters.clientParameters.clientSecret",
            client.and_then(|c| c.client_secret.as_ref()),
        ),
    ];
    for (name, value) in values {
        let Some(value) = value else { continue };
        let member = format!("authParameters.{name}");
        let letters = value.chars().count();
        checks.hides((1..=512).contains(&letters), &member, || {
            "have length between 1 and 512".to_owned()
        });
        let is_good = value
            .chars()
            .all(|c| c == '\t' || (c > '\x1f' && c != '\x7f'));
        checks.hides(is_good, &member, || {
            r"satisfy regular expression pattern: ^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$".to_owned()
        });
    }
}

fn parameter(input: HttpParameter) -> Parameter {
    Parameter {
        key: input.key.unwrap_or_default(),
        value: input.value.unwrap_or_default(),
        is_secret: input.is_value_secret.unwrap_or_default(),
    }
}

fn parameters(input: HttpParameters) -> Result<Parameters, Fault> {
    let read = |all: Option<Vec<HttpParameter>>| {
        let all: Vec<Parameter> = all.unwrap_or_default().into_iter().map(parameter).collect();
        (all.len() <= PARAMETERS_MAX)
            .then_some(all)
            .ok_or(Fault::Limit)
    };
    Ok(Parameters {
        headers: read(input.header_parameters)?,
        query: read(input.query_string_parameters)?,
        body: read(input.body_parameters)?,
    })
}

/// The credentials that a request gives, with what `before` says where it is silent. None: the request
/// has none of its kind.
fn auth(
    kind: &str,
    input: AuthInput,
    before: Option<&Credentials>,
) -> Result<Option<Credentials>, Fault> {
    let missing = || {
        Fault::Validation(format!(
            "AuthParameters are not valid for the authorization type {kind}."
        ))
    };
    let or = |given: Option<String>, known: Option<&String>| {
        given.or_else(|| known.cloned()).ok_or_else(missing)
    };
    match (
        kind,
        input.basic_auth_parameters,
        input.api_key_auth_parameters,
        input.oauth_parameters,
    ) {
        ("BASIC", Some(basic), ..) => {
            let known = match before {
                Some(Credentials::Basic { username, password }) => (Some(username), Some(password)),
                _ => (None, None),
            };
            Ok(Some(Credentials::Basic {
                username: or(basic.username, known.0)?,
                password: or(basic.password, known.1)?,
            }))
        }
        ("API_KEY", _, Some(key), _) => {
            let known = match before {
                Some(Credentials::ApiKey { name, value }) => (Some(name), Some(value)),
                _ => (None, None),
            };
            Ok(Some(Credentials::ApiKey {
                name: or(key.api_key_name, known.0)?,
                value: or(key.api_key_value, known.1)?,
            }))
        }
        ("OAUTH_CLIENT_CREDENTIALS", _, _, Some(oauth)) => {
            let known = match before {
                Some(Credentials::OAuth(known)) => Some(known),
                _ => None,
            };
            let client = oauth.client_parameters;
            let (id, secret) = client.map_or((None, None), |c| (c.client_id, c.client_secret));
            let own = oauth.oauth_http_parameters.map(parameters).transpose()?;
            Ok(Some(Credentials::OAuth(Box::new(OAuth {
                endpoint: or(oauth.authorization_endpoint, known.map(|k| &k.endpoint))?,
                method: or(oauth.http_method, known.map(|k| &k.method))?,
                client_id: or(id, known.map(|k| &k.client_id))?,
                client_secret: or(secret, known.map(|k| &k.client_secret))?,
                parameters: own.or_else(|| known.and_then(|k| k.parameters.clone())),
            }))))
        }
        _ => Ok(None),
    }
}

/// Tokens must be asked for; the rest is known.
fn first_state(auth: &Credentials) -> State {
    match auth {
        Credentials::OAuth(_) => State::Authorizing,
        _ => State::Authorized,
    }
}

fn check_endpoint(engine: &Engine, auth: &Credentials) -> Result<(), Fault> {
    match auth {
        Credentials::OAuth(oauth) => {
            super::check_endpoint(engine, "AuthorizationEndpoint", &oauth.endpoint)
        }
        _ => Ok(()),
    }
}

fn response(at: &Place, connection: &Connection, state: State) -> ConnectionResponse {
    ConnectionResponse {
        connection_arn: arn(at, connection),
        connection_state: state,
        creation_time: Timestamp(connection.created_ms),
        last_modified_time: Timestamp(connection.modified_ms),
        last_authorized_time: Some(Timestamp(connection.authorized_ms)),
    }
}

/// [EventBridge API: CreateConnection]
pub(crate) async fn create(
    engine: Arc<Engine>,
    cx: Context,
    input: ConnectionInput,
) -> Result<ConnectionResponse, wire::Fault> {
    check(&input)?;
    let at = Place::of(&cx);
    let kind = input.authorization_type.unwrap_or_default();
    let mut given = input.auth_parameters.unwrap_or_default();
    let invocation = given.invocation_http_parameters.take();
    let invocation = invocation.map(parameters).transpose()?;
    let auth = auth(&kind, given, None)?.ok_or_else(|| {
        Fault::Validation(format!(
            "AuthParameters are not valid for the authorization type {kind}."
        ))
    })?;
    check_endpoint(&engine, &auth)?;
    let (now, ids) = (engine.now_ms(), engine.tasks.ids());
    let connection = Connection {
        name: input.name,
        id: ids.uuid(),
        secret: format!("{}-{}", ids.uuid(), ids.hex(3)),
        description: input.description,
        kms_key: input.kms_key_identifier,
        kind,
        state: first_state(&auth),
        auth: Some(auth),
        invocation,
        reason: None,
        created_ms: now,
        modified_ms: now,
        authorized_ms: now,
    };
    let parts = named(&at, &connection.name);
    match engine
        .connections
        .put(&parts, &connection, Expect::Absent)
        .await
    {
        Ok(_) => {}
        Err(StoreError::Conflict(_)) => {
            let name = &connection.name;
            return Err(Fault::Exists(format!("Connection {name} already exists.")).into());
        }
        Err(other) => return Err(Fault::from(other).into()),
    }
    engine.authorize_soon(&at, &connection);
    Ok(ConnectionResponse {
        last_authorized_time: None,
        ..response(&at, &connection, connection.state)
    })
}

/// [EventBridge API: UpdateConnection]
pub(crate) async fn update(
    engine: Arc<Engine>,
    cx: Context,
    input: ConnectionInput,
) -> Result<ConnectionResponse, wire::Fault> {
    check(&input)?;
    let at = Place::of(&cx);
    let now = engine.now_ms();
    let before = find(&engine, &at, &input.name).await?;
    let kind = input
        .authorization_type
        .unwrap_or_else(|| before.kind.clone());
    let mut given = input.auth_parameters.unwrap_or_default();
    let invocation = given.invocation_http_parameters.take();
    let invocation = invocation.map(parameters).transpose()?;
    let auth = auth(&kind, given, before.auth.as_ref())?;
    if let Some(auth) = &auth {
        check_endpoint(&engine, auth)?;
    } else if kind != before.kind {
        let text = format!("AuthParameters are not valid for the authorization type {kind}.");
        return Err(Fault::Validation(text).into());
    }
    let edit = |connection: &mut Connection| {
        if let Some(auth) = &auth {
            connection.state = first_state(auth);
            connection.reason = None;
            connection.authorized_ms = now;
            connection.auth = Some(auth.clone());
            connection.kind.clone_from(&kind);
        }
        if let Some(invocation) = &invocation {
            connection.invocation = Some(invocation.clone());
        }
        let keep = |new: &Option<String>, old: &Option<String>| new.clone().or(old.clone());
        connection.description = keep(&input.description, &connection.description);
        connection.kms_key = keep(&input.kms_key_identifier, &connection.kms_key);
        connection.modified_ms = now;
        Ok(connection.clone())
    };
    let changed = change(&engine.connections, &named(&at, &input.name), edit).await?;
    let connection = changed.ok_or_else(|| no_connection(&input.name))?;
    engine.tokens.forget(&connection.id);
    engine.authorize_soon(&at, &connection);
    Ok(response(&at, &connection, connection.state))
}

async fn find(engine: &Engine, at: &Place, name: &str) -> Result<Connection, Fault> {
    let row = engine.connections.get(&named(at, name)).await?;
    row.map(|row| row.value).ok_or_else(|| no_connection(name))
}

/// [EventBridge API: DeleteConnection]
pub(crate) async fn delete(
    engine: Arc<Engine>,
    cx: Context,
    input: NameRequest,
) -> Result<ConnectionResponse, wire::Fault> {
    let at = Place::of(&cx);
    let connection = find(&engine, &at, &input.name).await?;
    let parts = named(&at, &input.name);
    let gone = engine.connections.delete(&parts, Expect::Any).await;
    gone.map_err(Fault::from)?;
    engine.forget_connection(&ConnectionRef::of(&at, &input.name), &connection.id);
    Ok(response(&at, &connection, State::Deleting))
}

/// Forgets the credentials; an update gives new ones.  [EventBridge API: DeauthorizeConnection]
pub(crate) async fn deauthorize(
    engine: Arc<Engine>,
    cx: Context,
    input: NameRequest,
) -> Result<ConnectionResponse, wire::Fault> {
    let at = Place::of(&cx);
    let now = engine.now_ms();
    let edit = |connection: &mut Connection| {
        connection.auth = None;
        connection.state = State::Deauthorized;
        connection.reason = None;
        connection.modified_ms = now;
        Ok(connection.clone())
    };
    let changed = change(&engine.connections, &named(&at, &input.name), edit).await?;
    let connection = changed.ok_or_else(|| no_connection(&input.name))?;
    engine.forget_connection(&ConnectionRef::of(&at, &input.name), &connection.id);
    Ok(response(&at, &connection, State::Deauthorizing))
}

/// Secret values stay here.
fn shown(parameters: &Parameters) -> HttpParameters {
    let list = |all: &[Parameter]| {
        let shown = all.iter().map(|parameter| HttpParameter {
            key: Some(parameter.key.clone()),
            value: (!parameter.is_secret).then(|| parameter.value.clone()),
            is_value_secret: Some(parameter.is_secret),
        });
        (!all.is_empty()).then(|| shown.collect())
    };
    HttpParameters {
        header_parameters: list(&parameters.headers),
        query_string_parameters: list(&parameters.query),
        body_parameters: list(&parameters.body),
    }
}

fn auth_shape(connection: &Connection) -> Option<AuthShape> {
    let mut shape = AuthShape::default();
    match connection.auth.as_ref()? {
        Credentials::Basic { username, .. } => {
            let username = username.clone();
            shape.basic_auth_parameters = Some(BasicShape { username });
        }
        Credentials::ApiKey { name, .. } => {
            let api_key_name = name.clone();
            shape.api_key_auth_parameters = Some(ApiKeyShape { api_key_name });
        }
        Credentials::OAuth(oauth) => {
            shape.oauth_parameters = Some(OAuthShape {
                client_parameters: ClientShape {
                    client_id: oauth.client_id.clone(),
                },
                authorization_endpoint: oauth.endpoint.clone(),
                http_method: oauth.method.clone(),
                oauth_http_parameters: oauth.parameters.as_ref().map(shown),
            });
        }
    }
    shape.invocation_http_parameters = connection.invocation.as_ref().map(shown);
    Some(shape)
}

fn item(at: &Place, connection: &Connection) -> ConnectionShape {
    ConnectionShape {
        connection_arn: arn(at, connection),
        name: connection.name.clone(),
        description: None,
        connection_state: connection.state,
        state_reason: connection.reason.clone(),
        authorization_type: connection.kind.clone(),
        secret_arn: None,
        kms_key_identifier: None,
        auth_parameters: None,
        creation_time: Timestamp(connection.created_ms),
        last_modified_time: Timestamp(connection.modified_ms),
        last_authorized_time: Timestamp(connection.authorized_ms),
    }
}

/// [EventBridge API: DescribeConnection]
///
/// Differs: the ARN of the secret is told, and no Secrets Manager has it.
pub(crate) async fn describe(
    engine: Arc<Engine>,
    cx: Context,
    input: NameRequest,
) -> Result<ConnectionShape, wire::Fault> {
    let at = Place::of(&cx);
    let connection = find(&engine, &at, &input.name).await?;
    let Connection { name, secret, .. } = &connection;
    let secret = format!(
        "arn:aws:secretsmanager:{}:{}:secret:events!connection/{name}/{secret}",
        at.region, at.account
    );
    Ok(ConnectionShape {
        description: connection.description.clone(),
        secret_arn: connection.auth.is_some().then_some(secret),
        kms_key_identifier: connection.kms_key.clone(),
        auth_parameters: auth_shape(&connection),
        ..item(&at, &connection)
    })
}

/// [EventBridge API: ListConnections]
pub(crate) async fn list(
    engine: Arc<Engine>,
    cx: Context,
    input: ListConnectionsRequest,
) -> Result<ListConnectionsResponse, wire::Fault> {
    let at = Place::of(&cx);
    let limit = limit(input.limit)?;
    let after = after(input.next_token.as_deref())?;
    if let Some(state) = &input.connection_state {
        let mut checks = Checks::default();
        checks.choice(state, "connectionState", &STATES);
        checks.done()?;
    }
    let rows = engine.connections.all(&[&at.account, &at.region]).await;
    let rows = rows.map_err(Fault::from)?.into_iter();
    let mut found: Vec<Connection> = rows.map(|row| row.value).collect();
    let prefix = input.name_prefix.unwrap_or_default();
    let is_in = |state: State| {
        let asked = input.connection_state.as_deref();
        asked.is_none_or(|asked| serde_json::to_value(state).is_ok_and(|s| s == asked))
    };
    found.retain(|connection| {
        connection.name.starts_with(&prefix)
            && is_in(connection.state)
            && after.as_ref().is_none_or(|after| connection.name > *after)
    });
    found.sort_by(|a, b| a.name.cmp(&b.name));
    let (found, next_token) = paging::page(found, limit, |c| c.name.clone());
    Ok(ListConnectionsResponse {
        connections: found
            .iter()
            .map(|connection| item(&at, connection))
            .collect(),
        next_token,
    })
}
