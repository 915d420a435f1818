use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use wire::Fault;

use crate::fault::invalid_parameter;
use crate::rules::ENVIRONMENT_NAME;
use crate::violations::Violations;

/// Longest environment, as compact JSON, in bytes.  [Lambda quotas: environment variables]
const JSON_BYTES_MAX: usize = 4_096;

/// Names that the platform sets itself.  [Lambda guide: reserved environment variables]
const RESERVED: &[&str] = &[
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_INITIALIZATION_TYPE",
    "AWS_LAMBDA_LOG_GROUP_NAME",
    "AWS_LAMBDA_LOG_STREAM_NAME",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_METADATA_API",
    "AWS_LAMBDA_METADATA_TOKEN",
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "LAMBDA_TASK_ROOT",
    "LAMBDA_RUNTIME_DIR",
];

/// The environment variables of a request, in its order.
#[derive(Default, Clone)]
pub(crate) struct Variables(pub(crate) Vec<(String, String)>);

impl<'de> Deserialize<'de> for Variables {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Variables, D::Error> {
        struct Pairs;

        impl<'de> Visitor<'de> for Pairs {
            type Value = Variables;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Variables, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Variables(pairs))
            }
        }

        deserializer.deserialize_map(Pairs)
    }
}

impl Variables {
    /// Adds names that break the model. Values are never shown.
    pub(crate) fn check_names(&self, v: &mut Violations) {
        if self
            .0
            .iter()
            .any(|(name, _)| !(ENVIRONMENT_NAME.matches)(name))
        {
            v.other(format!(
                "Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: [Member must satisfy regular expression pattern: {}]",
                ENVIRONMENT_NAME.text
            ));
        }
    }

    /// Refuses reserved names and too long environments.
    pub(crate) fn accept(self) -> Result<BTreeMap<String, String>, Fault> {
        let reserved: Vec<&str> = self
            .0
            .iter()
            .map(|(name, _)| name.as_str())
            .filter(|name| RESERVED.contains(name))
            .collect();
        if !reserved.is_empty() {
            return Err(invalid_parameter(format!(
                "Lambda was unable to configure your environment variables because the environment variables you have provided contains reserved keys that are currently not supported for modification. Reserved keys used in this request: {}",
                reserved.join(", ")
            )));
        }
        let json = self.json();
        if json.len() > JSON_BYTES_MAX {
            return Err(invalid_parameter(format!(
                "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded the 4KB limit. String measured: {json}"
            )));
        }
        Ok(self.0.into_iter().collect())
    }

    fn json(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        let pairs: Vec<String> = self
            .0
            .iter()
            .map(|(name, value)| format!("{}:{}", quoted(name), quoted(value)))
            .collect();
        format!("{{{}}}", pairs.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Variables {
        Variables(
            pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn exactly_four_kibibytes_of_json_are_accepted() {
        let fits = "x".repeat(4_096 - r#"{"LARGE_VAR":""}"#.len());
        assert!(of(&[("LARGE_VAR", &fits)]).accept().is_ok());
        let fault = of(&[("LARGE_VAR", &format!("{fits}x"))])
            .accept()
            .unwrap_err();
        assert!(
            fault
                .message()
                .contains(r#"String measured: {"LARGE_VAR":"xxx"#),
            "{}",
            fault.message()
        );
    }

    #[test]
    fn reserved_names_are_told() {
        let fault = of(&[("AWS_REGION", "x"), ("OK", "y")])
            .accept()
            .unwrap_err();
        assert!(
            fault
                .message()
                .ends_with("used in this request: AWS_REGION")
        );
        assert!(of(&[("TZ", "UTC")]).accept().is_ok());
    }

    #[test]
    fn a_bad_name_is_told_without_values() {
        let mut v = Violations::new();
        of(&[("1A", "secret")]).check_names(&mut v);
        let fault = v.check().unwrap_err();
        assert!(!fault.message().contains("secret"), "{}", fault.message());
    }
}
