//! What a subscription asks for. Pure.
//! [Lambda guide: Telemetry API reference, Logs API reference]

use std::time::Duration;

use serde_json::Value;

const ITEMS: (u64, u64, u64) = (1_000, 10_000, 10_000);
const BYTES: (u64, u64, u64) = (262_144, 1_048_576, 262_144);
const TIMEOUT_MS: (u64, u64, u64) = (25, 30_000, 1_000);
/// The port of the Runtime API, which no subscriber can have.
const RESERVED_PORT: u16 = 9_001;
/// Longest path of a destination.
const PATH_BYTES_MAX: usize = 2_048;

/// Which of the two interfaces a subscriber speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    Telemetry,
    Logs,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Category {
    Platform,
    Function,
    Extension,
}

/// Where events go, inside the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// One request per batch, a JSON list.
    Http {
        port: u16,
        path: String,
        /// `POST`; the Logs API also allows `PUT`.
        method: &'static str,
    },
    /// One line of JSON per event.
    Tcp { port: u16 },
}

/// When a batch is sent: at the first of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffering {
    pub items_max: usize,
    pub bytes_max: usize,
    pub timeout: Duration,
}

/// A subscription as asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    pub api: Api,
    pub schema: String,
    pub categories: Vec<Category>,
    pub destination: Destination,
    pub buffering: Buffering,
}

impl Category {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Category::Platform => "platform",
            Category::Function => "function",
            Category::Extension => "extension",
        }
    }
}

impl Destination {
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Destination::Http { port, .. } | Destination::Tcp { port } => *port,
        }
    }
}

/// Reads a subscription; the error is the text that the extension gets.
pub(crate) fn parse(api: Api, body: &[u8]) -> Result<Subscription, String> {
    let body: Value = serde_json::from_slice(body).map_err(|e| format!("Invalid JSON: {e}"))?;
    let schemas: &[&str] = match api {
        Api::Telemetry => &["2022-07-01", "2022-12-13", "2025-01-29"],
        Api::Logs => &["2020-08-15", "2021-03-18"],
    };
    let schema = match (api, body.get("schemaVersion")) {
        (Api::Logs, None | Some(Value::Null)) => "2020-08-15",
        (_, given) => given.and_then(Value::as_str).unwrap_or_default(),
    };
    if !schemas.contains(&schema) {
        return Err(format!(
            "schemaVersion must be one of {}",
            schemas.join(", ")
        ));
    }
    Ok(Subscription {
        api,
        schema: schema.to_owned(),
        categories: categories(&body)?,
        destination: destination(api, &body)?,
        buffering: buffering(&body)?,
    })
}

fn categories(body: &Value) -> Result<Vec<Category>, String> {
    const WRONG: &str = "types must list some of platform, function, extension";
    let listed = body.get("types").and_then(Value::as_array).ok_or(WRONG)?;
    let all = [Category::Platform, Category::Function, Category::Extension];
    let mut found = Vec::new();
    for name in listed {
        let category = all.into_iter().find(|c| Some(c.name()) == name.as_str());
        let category = category.ok_or(WRONG)?;
        if !found.contains(&category) {
            found.push(category);
        }
    }
    if found.is_empty() {
        Err(WRONG.to_owned())
    } else {
        Ok(found)
    }
}

fn destination(api: Api, body: &Value) -> Result<Destination, String> {
    let given = body.get("destination").ok_or("destination is missing")?;
    let destination = match given.get("protocol").and_then(Value::as_str) {
        Some("HTTP") => {
            let uri = given.get("URI").and_then(Value::as_str).unwrap_or_default();
            let (port, path) = uri_parts(uri)?;
            let method = match given.get("method").and_then(Value::as_str) {
                None | Some("POST") => "POST",
                Some("PUT") if api == Api::Logs => "PUT",
                Some(_) => return Err("destination.method is not supported".to_owned()),
            };
            Destination::Http { port, path, method }
        }
        Some("TCP") => {
            let port = given
                .get("port")
                .and_then(Value::as_u64)
                .unwrap_or_default();
            let port = u16::try_from(port).ok().filter(|port| *port > 0);
            let port = port.ok_or("destination.port must be between 1 and 65535")?;
            Destination::Tcp { port }
        }
        _ => return Err("destination.protocol must be HTTP or TCP".to_owned()),
    };
    if destination.port() == RESERVED_PORT {
        return Err(format!("port {RESERVED_PORT} is reserved"));
    }
    Ok(destination)
}

/// `http://sandbox.localdomain:8080/path` → the port and the path.
fn uri_parts(uri: &str) -> Result<(u16, String), String> {
    const WRONG: &str = "destination.URI must be http://sandbox.localdomain:<port>/<path>";
    let rest = uri.strip_prefix("http://").ok_or(WRONG)?;
    let at = rest.find('/').unwrap_or(rest.len());
    let (authority, path) = rest.split_at(at);
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| WRONG)?),
        None => (authority, 80),
    };
    let is_path = path.len() <= PATH_BYTES_MAX && path.bytes().all(|b| b.is_ascii_graphic());
    if !matches!(host, "sandbox.localdomain" | "sandbox") || port == 0 || !is_path {
        return Err(WRONG.to_owned());
    }
    let path = if path.is_empty() { "/" } else { path };
    Ok((port, path.to_owned()))
}

fn buffering(body: &Value) -> Result<Buffering, String> {
    let given = body.get("buffering").filter(|given| !given.is_null());
    let number = |name: &str, (least, most, usual): (u64, u64, u64)| {
        let Some(value) = given.and_then(|given| given.get(name)) else {
            return Ok(usual);
        };
        let fits = value.as_u64().filter(|n| (least..=most).contains(n));
        fits.ok_or(format!(
            "buffering.{name} must be between {least} and {most}"
        ))
    };
    let size = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    Ok(Buffering {
        items_max: size(number("maxItems", ITEMS)?),
        bytes_max: size(number("maxBytes", BYTES)?),
        timeout: Duration::from_millis(number("timeoutMs", TIMEOUT_MS)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body() -> Value {
        json!({
            "schemaVersion": "2022-12-13",
            "types": ["platform", "function", "platform"],
            "buffering": {"maxItems": 1000, "timeoutMs": 100},
            "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/a?b"},
        })
    }

    fn with(path: &str, value: Value) -> Value {
        let mut body = body();
        let (parent, name) = path.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[name] = value;
        body
    }

    fn read(api: Api, body: &Value) -> Result<Subscription, String> {
        parse(api, body.to_string().as_bytes())
    }

    #[test]
    fn a_subscription_is_read_with_its_defaults() {
        let got = read(Api::Telemetry, &body()).unwrap();
        assert_eq!(got.categories, [Category::Platform, Category::Function]);
        assert_eq!(
            got.destination,
            Destination::Http {
                port: 8080,
                path: "/a?b".to_owned(),
                method: "POST"
            }
        );
        assert_eq!(got.buffering.items_max, 1_000);
        assert_eq!(got.buffering.bytes_max, 262_144);
        assert_eq!(got.buffering.timeout, Duration::from_millis(100));
    }

    #[test]
    fn what_the_schema_forbids_is_refused() {
        let tcp = |port: u32| json!({"protocol": "TCP", "port": port});
        for (path, value, fits) in [
            ("/schemaVersion", json!("2025-01-29"), true),
            ("/schemaVersion", json!("2020-08-15"), false),
            ("/schemaVersion", json!(null), false),
            ("/types", json!(["extension"]), true),
            ("/types", json!([]), false),
            ("/types", json!(["other"]), false),
            ("/types", json!("platform"), false),
            ("/buffering", json!(null), true),
            ("/buffering/maxItems", json!(999), false),
            ("/buffering/maxItems", json!(10_000), true),
            ("/buffering/maxItems", json!(10_001), false),
            ("/buffering/maxBytes", json!(262_143), false),
            ("/buffering/maxBytes", json!(1_048_576), true),
            ("/buffering/timeoutMs", json!(24), false),
            ("/buffering/timeoutMs", json!(30_000), true),
            ("/buffering/timeoutMs", json!("100"), false),
            ("/destination", tcp(8080), true),
            ("/destination", tcp(0), false),
            ("/destination", tcp(65_536), false),
            ("/destination", tcp(9_001), false),
            ("/destination/URI", json!("http://sandbox:1"), true),
            (
                "/destination/URI",
                json!("http://sandbox.localdomain:9001/"),
                false,
            ),
            ("/destination/URI", json!("http://example.com:80/"), false),
            ("/destination/URI", json!("https://sandbox:80/"), false),
            ("/destination/URI", json!("http://sandbox:80/a b"), false),
            (
                "/destination/URI",
                json!("http://sandbox:80/\r\nX: y"),
                false,
            ),
            ("/destination/method", json!("PUT"), false),
            ("/destination/protocol", json!("UDP"), false),
        ] {
            let got = read(Api::Telemetry, &with(path, value.clone()));
            assert_eq!(got.is_ok(), fits, "{path} {value}: {got:?}");
        }
    }

    #[test]
    fn the_logs_api_has_schemas_of_its_own() {
        for (schema, fits) in [
            ("2020-08-15", true),
            ("2021-03-18", true),
            ("2022-07-01", false),
        ] {
            let got = read(Api::Logs, &with("/schemaVersion", json!(schema)));
            assert_eq!(got.is_ok(), fits, "{schema}: {got:?}");
        }
        assert!(read(Api::Logs, &with("/schemaVersion", json!(null))).is_ok());
    }
}
