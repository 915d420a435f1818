//! What is sent to an endpoint. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::record::{ApiDestination, Credentials, OAuth, Parameters, TargetParameters};

pub(crate) const USER_AGENT: &str = "Amazon/EventBridge/ApiDestinations";

/// A call before it is sent.
#[derive(PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Call {
    fn header(&mut self, name: &str, value: &str) {
        self.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }
}

/// The call that brings an event. Where target and connection name the same parameter, that of the
/// connection counts.  [EventBridge guide: API destinations]
pub(crate) fn delivery(
    destination: &ApiDestination,
    target: &TargetParameters,
    invocation: Option<&Parameters>,
    authorization: (&str, &str),
    body: &str,
) -> Call {
    let none = Parameters::default();
    let own = invocation.unwrap_or(&none);
    let mut query: Vec<(&str, &str)> = Vec::new();
    for (key, value) in &target.query {
        query.push((key, value));
    }
    for parameter in &own.query {
        query.retain(|(known, _)| *known != parameter.key);
        query.push((&parameter.key, &parameter.value));
    }
    let mut call = Call {
        method: destination.method.clone(),
        url: with_query(&with_path(&destination.endpoint, &target.path), &query),
        headers: Vec::new(),
        body: with_members(body, own),
    };
    call.header("user-agent", USER_AGENT);
    call.header("content-type", "application/json; charset=utf-8");
    call.header("range", "bytes=0-1048575");
    for (name, value) in &target.headers {
        call.header(name, value);
    }
    for parameter in &own.headers {
        call.header(&parameter.key, &parameter.value);
    }
    let (name, value) = authorization;
    call.header(name, value);
    call
}

/// The header that a connection without tokens sends.
pub(crate) fn header(auth: &Credentials) -> Option<(String, String)> {
    match auth {
        Credentials::Basic { username, password } => {
            let pair = STANDARD.encode(format!("{username}:{password}"));
            Some(("authorization".to_owned(), format!("Basic {pair}")))
        }
        Credentials::ApiKey { name, value } => Some((name.clone(), value.clone())),
        Credentials::OAuth(_) => None,
    }
}

/// The call that asks for a token.  [RFC 6749, section 4.4.2]
pub(crate) fn token(oauth: &OAuth) -> Call {
    let none = Parameters::default();
    let own = oauth.parameters.as_ref().unwrap_or(&none);
    let mut form: Vec<(&str, &str)> = vec![
        ("grant_type", "client_credentials"),
        ("client_id", &oauth.client_id),
        ("client_secret", &oauth.client_secret),
    ];
    for parameter in &own.body {
        form.retain(|(known, _)| *known != parameter.key);
        form.push((&parameter.key, &parameter.value));
    }
    let query = own.query.iter();
    let mut query: Vec<(&str, &str)> = query.map(|p| (p.key.as_str(), p.value.as_str())).collect();
    let is_get = oauth.method == "GET";
    if is_get {
        query.append(&mut form);
    }
    let mut call = Call {
        method: oauth.method.clone(),
        url: with_query(&oauth.endpoint, &query),
        headers: Vec::new(),
        body: encoded(&form),
    };
    call.header("user-agent", USER_AGENT);
    call.header("accept", "application/json");
    if !is_get {
        call.header("content-type", "application/x-www-form-urlencoded");
    }
    for parameter in &own.headers {
        call.header(&parameter.key, &parameter.value);
    }
    call
}

/// Puts values in place of `*`, one after the other.
fn with_path(endpoint: &str, values: &[String]) -> String {
    let mut values = values.iter();
    let mut url = String::with_capacity(endpoint.len());
    for c in endpoint.chars() {
        match (c, values.as_slice().first()) {
            ('*', Some(value)) => {
                url.push_str(&percent(value));
                values.next();
            }
            _ => url.push(c),
        }
    }
    url
}

fn with_query(url: &str, pairs: &[(&str, &str)]) -> String {
    if pairs.is_empty() {
        return url.to_owned();
    }
    let sign = if url.contains('?') { '&' } else { '?' };
    format!("{url}{sign}{}", encoded(pairs))
}

fn encoded(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs.iter();
    let pairs: Vec<String> = pairs
        .map(|(key, value)| format!("{}={}", percent(key), percent(value)))
        .collect();
    pairs.join("&")
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, b| {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(b));
        } else {
            use std::fmt::Write;
            let _ = write!(out, "%{b:02X}");
        }
        out
    })
}

/// Body parameters become members of a body that is a JSON object.
fn with_members(body: &str, own: &Parameters) -> String {
    if own.body.is_empty() {
        return body.to_owned();
    }
    let Ok(mut members) = serde_json::from_str::<Map<String, Value>>(body) else {
        return body.to_owned();
    };
    for parameter in &own.body {
        members.insert(parameter.key.clone(), Value::from(parameter.value.clone()));
    }
    Value::Object(members).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::record::Parameter;
    use super::*;

    fn parameters(all: &[(&str, &str)]) -> Vec<Parameter> {
        let all = all.iter().map(|(key, value)| Parameter {
            key: (*key).to_owned(),
            value: (*value).to_owned(),
            is_secret: false,
        });
        all.collect()
    }

    fn invocation() -> Parameters {
        Parameters {
            headers: parameters(&[("X-Own", "o"), ("X-Both", "connection")]),
            query: parameters(&[("own", "1 2"), ("both", "connection")]),
            body: parameters(&[("member", "m")]),
        }
    }

    fn destination(endpoint: &str) -> ApiDestination {
        ApiDestination {
            name: "d".to_owned(),
            id: "i".to_owned(),
            description: None,
            connection: String::new(),
            endpoint: endpoint.to_owned(),
            method: "PUT".to_owned(),
            per_second: 300,
            created_ms: 0,
            modified_ms: 0,
        }
    }

    fn sent<'c>(call: &'c Call, name: &str) -> Vec<&'c str> {
        let same = |(known, _): &&(String, String)| known.eq_ignore_ascii_case(name);
        let found = call.headers.iter().filter(same);
        found.map(|(_, value)| value.as_str()).collect()
    }

    #[test]
    fn what_the_connection_says_counts_before_what_the_target_says() {
        let target = TargetParameters {
            path: vec!["a/b".to_owned(), "c".to_owned()],
            headers: [("X-Target", "t"), ("x-both", "target")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
            query: [("target", "t"), ("both", "target")]
                .map(|(k, v)| (k.to_owned(), v.to_owned()))
                .into(),
        };
        let invocation = invocation();
        let authorization = ("authorization", "Bearer x");
        let destination = destination("https://h/x/*/y/*/z/*?q=1");
        let call = delivery(
            &destination,
            &target,
            Some(&invocation),
            authorization,
            "{\"n\": 1}",
        );
        assert_eq!(
            call.url,
            "https://h/x/a%2Fb/y/c/z/*?q=1&target=t&own=1%202&both=connection"
        );
        assert_eq!(call.method, "PUT");
        for (name, values) in [
            ("x-own", vec!["o"]),
            ("x-target", vec!["t"]),
            ("x-both", vec!["connection"]),
            ("authorization", vec!["Bearer x"]),
            ("content-type", vec!["application/json; charset=utf-8"]),
            ("user-agent", vec![USER_AGENT]),
        ] {
            assert_eq!(sent(&call, name), values, "{name}");
        }
        assert_eq!(call.body, r#"{"n":1,"member":"m"}"#);
    }

    #[test]
    fn a_body_that_is_no_object_is_sent_as_it_is() {
        for body in ["[1]", "\"x\"", "no json"] {
            assert_eq!(with_members(body, &invocation()), body);
        }
    }

    #[test]
    fn a_token_is_asked_for_with_a_form() {
        let mut oauth = OAuth {
            endpoint: "https://h/token".to_owned(),
            method: "POST".to_owned(),
            client_id: "me".to_owned(),
            client_secret: "a&b".to_owned(),
            parameters: Some(Parameters {
                headers: parameters(&[("X-H", "h")]),
                query: parameters(&[("q", "1")]),
                body: parameters(&[("audience", "api")]),
            }),
        };
        let call = token(&oauth);
        assert_eq!(call.url, "https://h/token?q=1");
        assert_eq!(
            call.body,
            "grant_type=client_credentials&client_id=me&client_secret=a%26b&audience=api"
        );
        assert_eq!(sent(&call, "x-h"), ["h"]);
        oauth.method = "GET".to_owned();
        let call = token(&oauth);
        assert!(call.url.ends_with("client_secret=a%26b&audience=api"));
        assert_eq!(call.body, "");
    }

    #[test]
    fn a_connection_without_tokens_has_one_header() {
        let basic = Credentials::Basic {
            username: "user".to_owned(),
            password: "pass".to_owned(),
        };
        let expected = ("authorization".to_owned(), "Basic dXNlcjpwYXNz".to_owned());
        assert_eq!(header(&basic), Some(expected));
        let key = Credentials::ApiKey {
            name: "X-Key".to_owned(),
            value: "v".to_owned(),
        };
        assert_eq!(header(&key), Some(("X-Key".to_owned(), "v".to_owned())));
    }
}
