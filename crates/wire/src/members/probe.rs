//! What a shape would read, found out by letting it read.
//!
//! Serde tells no type what it consists of, but a shape that is deserialised asks for each of its
//! fields by name and type. Here somebody listens. Used by `Service::describe` alone, so that our
//! shapes can be compared with AWS's models.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use serde_json::{Map, Value, json};

use crate::blob::BLOB;
use crate::time::TIMESTAMP;

/// Deepest nesting that is followed; shapes that hold themselves end here.
const DEPTH_MAX: usize = 10;

/// Most fields that may refuse what they are given before the rest is left unknown.
const REFUSALS_MAX: usize = 64;

/// The shape as JSON: `{"type": "structure", "members": {…}}`, `{"type": "list", "of": …}`,
/// `{"type": "string", "enum": […]}` … A field that refuses made-up values keeps the type it asked for.
pub(crate) fn shape<I: DeserializeOwned>() -> Value {
    let mut refused = BTreeMap::new();
    for _ in 0..REFUSALS_MAX {
        let mut found = Value::Null;
        let probe = Probe {
            found: &mut found,
            path: String::new(),
            refused: &refused,
            depth: 0,
        };
        match I::deserialize(probe) {
            Err(why) if !why.path.is_empty() => refused.insert(why.path, why.found),
            Ok(_) | Err(_) => return found,
        };
    }
    json!({ "type": "unknown" })
}

struct Probe<'a> {
    found: &'a mut Value,
    path: String,
    /// Fields that refused a made-up value before, and what they had asked for: they are left out.
    refused: &'a BTreeMap<String, Value>,
    depth: usize,
}

/// A field does not take what it was given.
#[derive(Debug)]
struct Refusal {
    path: String,
    found: Value,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refuses a made-up value", self.path)
    }
}

impl std::error::Error for Refusal {}

impl serde::de::Error for Refusal {
    fn custom<T: fmt::Display>(_message: T) -> Refusal {
        Refusal {
            path: String::new(),
            found: Value::Null,
        }
    }
}

type Result<T> = std::result::Result<T, Refusal>;

impl Probe<'_> {
    fn saw(&mut self, kind: &str) {
        *self.found = json!({ "type": kind });
    }
}

macro_rules! plain {
    ($($method:ident $visit:ident $value:expr, $kind:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
            self.saw($kind);
            visitor.$visit($value)
        }
    )*};
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Refusal;

    plain! {
        deserialize_bool visit_bool true, "boolean";
        deserialize_i8 visit_i8 1, "integer";
        deserialize_i16 visit_i16 1, "integer";
        deserialize_i32 visit_i32 1, "integer";
        deserialize_i64 visit_i64 1, "long";
        deserialize_u8 visit_u8 1, "integer";
        deserialize_u16 visit_u16 1, "integer";
        deserialize_u32 visit_u32 1, "integer";
        deserialize_u64 visit_u64 1, "long";
        deserialize_f32 visit_f32 1.0, "float";
        deserialize_f64 visit_f64 1.0, "double";
        deserialize_char visit_char 'x', "string";
        deserialize_str visit_str "", "string";
        deserialize_string visit_str "", "string";
        deserialize_bytes visit_bytes b"", "blob";
        deserialize_byte_buf visit_bytes b"", "blob";
        deserialize_identifier visit_str "", "string";
    }

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value> {
        self.saw("any");
        visitor.visit_unit()
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if self.depth > DEPTH_MAX {
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        *self.found = json!({ "type": "structure", "members": {} });
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        match name {
            TIMESTAMP => {
                self.saw("timestamp");
                visitor.visit_i64(0)
            }
            BLOB => {
                self.saw("blob");
                visitor.visit_str("")
            }
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        *self.found = json!({ "type": "list", "of": null });
        visitor.visit_seq(One(Some(self)))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        *self.found = json!({ "type": "map", "of": null });
        visitor.visit_map(Fields {
            probe: self,
            names: [""].iter(),
            slot: "of",
            current: "",
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let known = |name: &&str| {
            let before = self.refused.get(&format!("{}/{name}", self.path));
            let before = before.filter(|found| !found.is_null()).cloned();
            let before = before.unwrap_or_else(|| json!({ "type": "unknown" }));
            ((*name).to_owned(), before)
        };
        let members: Map<String, Value> = fields.iter().map(known).collect();
        *self.found = json!({ "type": "structure", "members": members });
        visitor.visit_map(Fields {
            probe: self,
            names: fields.iter(),
            slot: "members",
            current: "",
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        *self.found = json!({ "type": "string", "enum": variants });
        visitor.visit_enum(First(variants.first().copied().unwrap_or_default()))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }
}

/// The single element of a list.
struct One<'a>(Option<Probe<'a>>);

impl<'de> SeqAccess<'de> for One<'_> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(probe) = self.0.take() else {
            return Ok(None);
        };
        if probe.depth > DEPTH_MAX {
            return Ok(None);
        }
        let Some(found) = probe.found.get_mut("of") else {
            return Ok(None);
        };
        let inner = Probe {
            found,
            path: probe.path,
            refused: probe.refused,
            depth: probe.depth + 1,
        };
        seed.deserialize(inner).map(Some)
    }
}

/// The fields of a structure, or the one entry of a map.
struct Fields<'a, 'n> {
    probe: Probe<'a>,
    names: std::slice::Iter<'n, &'static str>,
    slot: &'static str,
    current: &'static str,
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let (path, refused) = (&self.probe.path, self.probe.refused);
        let is_taken = |name: &&&'static str| !refused.contains_key(&format!("{path}/{name}"));
        let Some(name) = self
            .names
            .find(is_taken)
            .filter(|_| self.probe.depth <= DEPTH_MAX)
        else {
            return Ok(None);
        };
        self.current = name;
        let name: StrDeserializer<'_, Refusal> = name.into_deserializer();
        seed.deserialize(name).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let path = format!("{}/{}", self.probe.path, self.current);
        let mut found = Value::Null;
        let inner = Probe {
            found: &mut found,
            path: path.clone(),
            refused: self.probe.refused,
            depth: self.probe.depth + 1,
        };
        let value = seed.deserialize(inner);
        // The innermost field that refuses is the one to leave out.
        let value = value.map_err(|why| match why.path.is_empty() {
            true => Refusal {
                path,
                found: found.clone(),
            },
            false => why,
        });
        if found.is_null() {
            return value;
        }
        let members = self.probe.found.pointer_mut("/members");
        match members.filter(|_| self.slot == "members") {
            Some(Value::Object(members)) => {
                members.insert(self.current.to_owned(), found);
            }
            _ => *self.probe.found = json!({ "type": "map", "of": found }),
        }
        value
    }
}

/// The first variant of an enumeration, without content.
struct First(&'static str);

impl<'de> EnumAccess<'de> for First {
    type Error = Refusal;
    type Variant = Bare;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Bare)> {
        let name: StrDeserializer<'_, Refusal> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, Bare))
    }
}

struct Bare;

impl<'de> VariantAccess<'de> for Bare {
    type Error = Refusal;

    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value> {
        Err(serde::de::Error::custom("not a bare variant"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value> {
        Err(serde::de::Error::custom("not a bare variant"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value> {
        Err(serde::de::Error::custom("not a bare variant"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;
    use crate::{Blob, Timestamp};

    /// A text that takes no empty one.
    #[derive(Debug)]
    #[allow(dead_code)]
    struct Fussy(String);

    impl<'de> Deserialize<'de> for Fussy {
        fn deserialize<D: Deserializer<'de>>(
            deserializer: D,
        ) -> std::result::Result<Fussy, D::Error> {
            let text = String::deserialize(deserializer)?;
            match text.is_empty() {
                true => Err(serde::de::Error::custom("empty")),
                false => Ok(Fussy(text)),
            }
        }
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        fussy: Option<Fussy>,
        count: Option<i32>,
        code: Option<Blob>,
        when: Option<Timestamp>,
        kind: Option<Kind>,
        list: Vec<Inner>,
        #[serde(default)]
        map: BTreeMap<String, Vec<i64>>,
        any: Option<Value>,
        again: Option<Box<Outer>>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    #[allow(dead_code)]
    struct Inner {
        deep: Option<Fussy>,
        is_on: bool,
    }

    #[derive(Deserialize)]
    #[allow(dead_code)]
    enum Kind {
        Zip,
        Image,
    }

    #[test]
    fn a_shape_tells_its_members_and_their_types() {
        let found = shape::<Outer>();
        let members = &found["members"];
        for (name, expected) in [
            ("Name", json!({"type": "string"})),
            ("Fussy", json!({"type": "string"})),
            ("Count", json!({"type": "integer"})),
            ("Code", json!({"type": "blob"})),
            ("When", json!({"type": "timestamp"})),
            ("Kind", json!({"type": "string", "enum": ["Zip", "Image"]})),
            (
                "List",
                json!({"type": "list", "of": {"type": "structure", "members": {
                    "Deep": {"type": "string"}, "IsOn": {"type": "boolean"},
                }}}),
            ),
            (
                "Map",
                json!({"type": "map", "of": {"type": "list", "of": {"type": "long"}}}),
            ),
            ("Any", json!({"type": "any"})),
        ] {
            assert_eq!(members[name], expected, "{name}");
        }
        assert_eq!(members["Again"]["type"], "structure");
        assert_eq!(shape::<()>(), json!({"type": "structure", "members": {}}));
        assert_eq!(shape::<Value>(), json!({"type": "any"}));
    }
}
