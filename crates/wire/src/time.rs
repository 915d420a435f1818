use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The marker by which the XML encoder knows a timestamp.
pub(crate) const TIMESTAMP: &str = "$wire::Timestamp";

/// A modelled timestamp in Unix milliseconds: a number of seconds in JSON, ISO 8601 in XML.
///
/// Services whose model has a plain number of milliseconds (CloudWatch Logs) use `i64` instead.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Debug)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// `2026-11-20T21:10:00Z`, with milliseconds if there are any.
    pub fn iso8601(self) -> String {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) if self.0 % 1000 == 0 => time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
            Err(_) => String::new(),
        }
    }

    /// `2026-11-20T21:10:00.000+0000`, the spelling of Lambda's `LastModified` and `CreatedDate`.
    pub fn lambda_date(self) -> String {
        jiff::Timestamp::from_millisecond(self.0)
            .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string())
            .unwrap_or_default()
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 1000 == 0 {
            serializer.serialize_newtype_struct(TIMESTAMP, &(self.0 / 1000))
        } else {
            // Exact to the millisecond: 2^53 ms are more than 280,000 years.
            #[allow(clippy::cast_precision_loss)]
            serializer.serialize_newtype_struct(TIMESTAMP, &(self.0 as f64 / 1000.0))
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        struct Seconds;

        impl<'de> Visitor<'de> for Seconds {
            type Value = Timestamp;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a timestamp")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Timestamp, D::Error> {
                deserializer.deserialize_any(self)
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<Timestamp, E> {
                seconds
                    .checked_mul(1000)
                    .map(Timestamp)
                    .ok_or_else(|| E::custom("Invalid timestamp"))
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<Timestamp, E> {
                i64::try_from(seconds)
                    .map_err(|_| E::custom("Invalid timestamp"))
                    .and_then(|s| self.visit_i64(s))
            }

            fn visit_f64<E: Error>(self, seconds: f64) -> Result<Timestamp, E> {
                let ms = (seconds * 1000.0).round();
                if !ms.is_finite() || ms.abs() > 1e15 {
                    return Err(E::custom("Invalid timestamp"));
                }
                #[allow(clippy::cast_possible_truncation)] // bounded just above
                Ok(Timestamp(ms as i64))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Timestamp, E> {
                if let Ok(time) = text.parse::<jiff::Timestamp>() {
                    return Ok(Timestamp(time.as_millisecond()));
                }
                match text.parse::<f64>() {
                    Ok(seconds) => self.visit_f64(seconds),
                    Err(_) => Err(E::custom(
                        "STRING_VALUE can not be converted to milliseconds since epoch",
                    )),
                }
            }
        }

        deserializer.deserialize_newtype_struct(TIMESTAMP, Seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_seconds_and_xml_has_iso_8601() {
        for (ms, json, iso) in [
            (0, "0", "1970-01-01T00:00:00Z"),
            (1_795_000_000_000, "1795000000", "2026-11-18T11:06:40Z"),
            (
                1_795_000_000_123,
                "1795000000.123",
                "2026-11-18T11:06:40.123Z",
            ),
        ] {
            let time = Timestamp(ms);
            assert_eq!(serde_json::to_string(&time).unwrap(), json);
            assert_eq!(serde_json::from_str::<Timestamp>(json).unwrap(), time);
            assert_eq!(time.iso8601(), iso);
            let quoted = format!("\"{iso}\"");
            assert_eq!(serde_json::from_str::<Timestamp>(&quoted).unwrap(), time);
        }
    }

    #[test]
    fn lambda_writes_an_offset_without_a_colon() {
        assert_eq!(
            Timestamp(1_795_000_000_123).lambda_date(),
            "2026-11-18T11:06:40.123+0000"
        );
    }

    #[test]
    fn a_time_beyond_all_bounds_is_refused() {
        for json in ["1e300", "9223372036854775807", "\"soon\"", "true"] {
            assert!(serde_json::from_str::<Timestamp>(json).is_err(), "{json}");
        }
    }
}
