use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The marker by which our readers know a blob.
pub(crate) const BLOB: &str = "$wire::Blob";

/// Bytes that travel as a base64 string in JSON, XML and forms.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Blob(pub Bytes);

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Blob, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = Blob;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a base64 string")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                deserializer: D,
            ) -> Result<Blob, D::Error> {
                deserializer.deserialize_string(self)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Blob, E> {
                STANDARD
                    .decode(text)
                    .map(|bytes| Blob(Bytes::from(bytes)))
                    .map_err(|_| E::custom("Invalid base64 value"))
            }
        }

        deserializer.deserialize_newtype_struct(BLOB, Text)
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Blob {
        Blob(Bytes::from(bytes))
    }
}

impl From<Bytes> for Blob {
    fn from(bytes: Bytes) -> Blob {
        Blob(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_is_a_base64_string() {
        let blob = Blob::from(b"zip\0".to_vec());
        let text = serde_json::to_string(&blob).unwrap();
        assert_eq!(text, r#""emlwAA==""#);
        assert_eq!(serde_json::from_str::<Blob>(&text).unwrap(), blob);
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        assert!(serde_json::from_str::<Blob>(r#""a b""#).is_err());
        assert!(serde_json::from_str::<Blob>("7").is_err());
    }
}
