use std::collections::BTreeMap;

use serde::de::value::{SeqDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, VariantAccess, Visitor,
};
use serde_json::{Number, Value};

use super::{InputError, Tree};
use crate::time::TIMESTAMP;

/// Gives a shape its members. Text takes the type that the shape asks for; JSON must have it already,
/// and is refused in AWS's words. A `null` is a member that was not sent.
pub(super) struct Reader(pub(super) Tree);

type Result<T> = std::result::Result<T, InputError>;

const LIST_UNEXPECTED: &str = "Start of list found where not expected";
const MAP_UNEXPECTED: &str = "Start of structure or map found where not expected.";

impl Reader {
    /// The single text of this node, if it has one.
    fn text(self) -> std::result::Result<String, Tree> {
        match self.0 {
            Tree::Text(text) => Ok(text),
            // The first one counts where the model has one value and the client sent several.
            Tree::Many(list) if !list.is_empty() => Ok(list.into_iter().next().unwrap_or_default()),
            other => Err(other),
        }
    }
}

/// Why `tree` is not `wanted`, for example `an Integer`.
fn unlike(tree: &Tree, wanted: &str) -> InputError {
    let found = match tree {
        Tree::Text(_) | Tree::Json(Value::String(_)) => "STRING_VALUE",
        Tree::Json(Value::Number(n)) if n.is_f64() => "DECIMAL_VALUE",
        Tree::Json(Value::Number(_)) => "NUMBER_VALUE",
        Tree::Json(Value::Bool(true)) => "TRUE_VALUE",
        Tree::Json(Value::Bool(false)) => "FALSE_VALUE",
        Tree::Json(Value::Null) => "NULL_VALUE",
        Tree::Json(Value::Array(_)) | Tree::Many(_) => return InputError::wrong(LIST_UNEXPECTED),
        Tree::Json(Value::Object(_)) | Tree::Names(_) => return InputError::wrong(MAP_UNEXPECTED),
    };
    InputError::wrong(format!("{found} can not be converted to {wanted}"))
}

/// A whole number; a decimal without a fraction counts as one.
fn whole(number: &Number) -> Option<i128> {
    if let Some(n) = number.as_i64() {
        return Some(n.into());
    }
    if let Some(n) = number.as_u64() {
        return Some(n.into());
    }
    let n = number.as_f64()?;
    // Beyond 2^53 a decimal does not say which whole number it is.
    if n.fract() != 0.0 || n.abs() > 9_007_199_254_740_992.0 {
        return None;
    }
    #[allow(clippy::cast_possible_truncation)] // whole and bounded
    Some(n as i128)
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty, $name:literal;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            let number = match &self.0 {
                Tree::Text(text) => text.trim().parse::<$type>().ok(),
                Tree::Many(list) => list.first().and_then(|text| text.trim().parse().ok()),
                Tree::Json(Value::Number(n)) => whole(n).and_then(|n| <$type>::try_from(n).ok()),
                _ => None,
            };
            match number {
                Some(number) => visitor.$visit(number),
                None => Err(unlike(&self.0, $name)),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader {
    type Error = InputError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Tree::Text(text) => visitor.visit_string(text),
            Tree::Many(list) => visitor.visit_seq(SeqDeserializer::new(list.into_iter())),
            Tree::Json(Value::Null) => visitor.visit_unit(),
            Tree::Json(Value::Bool(b)) => visitor.visit_bool(b),
            Tree::Json(Value::String(text)) => visitor.visit_string(text),
            Tree::Json(Value::Number(n)) => match (n.as_i64(), n.as_u64(), n.as_f64()) {
                (Some(n), _, _) => visitor.visit_i64(n),
                (_, Some(n), _) => visitor.visit_u64(n),
                (_, _, Some(n)) => visitor.visit_f64(n),
                _ => Err(InputError::wrong("Unexpected number")),
            },
            Tree::Json(Value::Array(list)) => visit_list(list.into_iter().map(Tree::Json), visitor),
            Tree::Json(Value::Object(map)) => {
                visitor.visit_map(Pairs::new(map.into_iter().map(|(k, v)| (k, Tree::Json(v)))))
            }
            Tree::Names(names) => visitor.visit_map(Pairs::new(names.into_iter())),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        if let Tree::Json(Value::Bool(b)) = self.0 {
            return visitor.visit_bool(b);
        }
        match self.text() {
            Ok(text) if text.eq_ignore_ascii_case("true") => visitor.visit_bool(true),
            Ok(text) if text.eq_ignore_ascii_case("false") => visitor.visit_bool(false),
            Ok(text) => Err(unlike(&Tree::Text(text), "a Boolean")),
            Err(tree) => Err(unlike(&tree, "a Boolean")),
        }
    }

    integers! {
        deserialize_i8 visit_i8 i8, "an Integer";
        deserialize_i16 visit_i16 i16, "an Integer";
        deserialize_i32 visit_i32 i32, "an Integer";
        deserialize_i64 visit_i64 i64, "a Long";
        deserialize_u8 visit_u8 u8, "an Integer";
        deserialize_u16 visit_u16 u16, "an Integer";
        deserialize_u32 visit_u32 u32, "an Integer";
        deserialize_u64 visit_u64 u64, "a Long";
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let number = match &self.0 {
            Tree::Json(Value::Number(n)) => n.as_f64(),
            Tree::Text(text) => text.trim().parse().ok(),
            _ => None,
        };
        match number.filter(|n: &f64| n.is_finite()) {
            Some(number) => visitor.visit_f64(number),
            None => Err(unlike(&self.0, "a Double")),
        }
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_string(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_string(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.text() {
            Ok(text) | Err(Tree::Json(Value::String(text))) => visitor.visit_string(text),
            Err(tree) => Err(unlike(&tree, "a String")),
        }
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_string(visitor)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_string(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Tree::Json(Value::Null) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        if name == TIMESTAMP {
            if let Tree::Json(Value::Bool(_)) = self.0 {
                return Err(unlike(&self.0, "milliseconds since epoch"));
            }
            return self.deserialize_any(visitor);
        }
        // serde_json's raw and arbitrary values announce themselves with names of their own.
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Tree::Json(Value::Array(list)) => visit_list(list.into_iter().map(Tree::Json), visitor),
            Tree::Many(list) => visit_list(list.into_iter().map(Tree::Text), visitor),
            // `Tags=` is how a form spells a list of nothing.
            Tree::Text(text) if text.is_empty() => visit_list(std::iter::empty(), visitor),
            Tree::Text(text) => visit_list(std::iter::once(Tree::Text(text)), visitor),
            Tree::Names(names) => visit_list(numbered(names)?.into_iter(), visitor),
            Tree::Json(Value::Object(_)) => Err(InputError::wrong(MAP_UNEXPECTED)),
            Tree::Json(_) => Err(InputError::wrong("Expected list or null")),
        }
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
        match self.0 {
            Tree::Json(Value::Object(map)) => visitor.visit_map(Pairs::present(
                map.into_iter().map(|(k, v)| (k, Tree::Json(v))),
            )),
            Tree::Names(names) => visitor.visit_map(Pairs::present(entries(names)?.into_iter())),
            Tree::Text(text) if text.is_empty() => {
                visitor.visit_map(Pairs::new(std::iter::empty()))
            }
            Tree::Json(Value::Array(_)) | Tree::Many(_) => Err(InputError::wrong(LIST_UNEXPECTED)),
            _ => Err(InputError::wrong("Expected map or null")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.0 {
            Tree::Names(names) => visitor.visit_map(Pairs::present(names.into_iter())),
            Tree::Json(Value::Object(_)) => self.deserialize_map(visitor),
            Tree::Text(text) if text.is_empty() => {
                visitor.visit_map(Pairs::new(std::iter::empty()))
            }
            Tree::Json(Value::Array(_)) | Tree::Many(_) => Err(InputError::wrong(LIST_UNEXPECTED)),
            _ => Err(InputError::wrong("Unexpected value type in payload")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.text() {
            Ok(text) | Err(Tree::Json(Value::String(text))) => visitor.visit_enum(Named(text)),
            Err(Tree::Json(Value::Object(map))) => {
                let present = map.into_iter().filter(|(_, v)| !v.is_null());
                visitor.visit_enum(serde::de::value::MapAccessDeserializer::new(Pairs::new(
                    present.map(|(k, v)| (k, Tree::Json(v))),
                )))
            }
            Err(tree) => Err(unlike(&tree, "a String")),
        }
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.deserialize_string(visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }
}

impl IntoDeserializer<'_, InputError> for Reader {
    type Deserializer = Reader;
    fn into_deserializer(self) -> Reader {
        self
    }
}

fn visit_list<'de, V: Visitor<'de>>(
    items: impl Iterator<Item = Tree>,
    visitor: V,
) -> Result<V::Value> {
    visitor.visit_seq(SeqDeserializer::new(items.map(Reader)))
}

/// The items of a flattened list: `member.1`, `member.2` …, or `1`, `2` … without `member`.
fn numbered(mut names: BTreeMap<String, Tree>) -> Result<Vec<Tree>> {
    if names.len() == 1 {
        match names.remove("member") {
            Some(Tree::Names(inner)) => names = inner,
            Some(Tree::Text(text)) if text.is_empty() => {}
            Some(other) => return Ok(vec![other]),
            None => {}
        }
    }
    let mut items = Vec::with_capacity(names.len());
    for (name, tree) in names {
        let number = name
            .parse::<u32>()
            .map_err(|_| InputError::wrong("Unexpected complex element termination"))?;
        items.push((number, tree));
    }
    items.sort_by_key(|(number, _)| *number);
    Ok(items.into_iter().map(|(_, tree)| tree).collect())
}

/// The entries of a flattened map: `entry.1.key`, `entry.1.value` …, also spelled `Name`, `Value`
/// and without `entry`; or a plain structure read as a map.
fn entries(mut names: BTreeMap<String, Tree>) -> Result<Vec<(String, Tree)>> {
    if names.len() == 1
        && let Some(Tree::Names(inner)) = names.get_mut("entry")
    {
        names = std::mem::take(inner);
    }
    if names.keys().any(|name| name.parse::<u32>().is_err()) {
        return Ok(names.into_iter().collect());
    }
    numbered(names)?
        .into_iter()
        .map(|entry| {
            let Tree::Names(mut pair) = entry else {
                return Err(InputError::wrong("Expected map or null"));
            };
            let mut key = pair.remove("key").or_else(|| pair.remove("Name"));
            key = key.or_else(|| pair.remove("Key"));
            let value = pair.remove("value").or_else(|| pair.remove("Value"));
            match (key, value) {
                (Some(Tree::Text(key)), Some(value)) => Ok((key, value)),
                _ => Err(InputError::wrong("Expected map or null")),
            }
        })
        .collect()
}

/// Names and values of a structure or map. An error learns the name it happened under.
struct Pairs<I> {
    pairs: I,
    current: Option<(String, Tree)>,
    keeps_null: bool,
}

impl<I: Iterator<Item = (String, Tree)>> Pairs<I> {
    /// Every pair, also those whose value is `null`.
    fn new(pairs: I) -> Pairs<I> {
        Pairs {
            pairs,
            current: None,
            keeps_null: true,
        }
    }

    /// Only the pairs that have a value.
    fn present(pairs: I) -> Pairs<I> {
        Pairs {
            keeps_null: false,
            ..Pairs::new(pairs)
        }
    }
}

impl<'de, I: Iterator<Item = (String, Tree)>> MapAccess<'de> for Pairs<I> {
    type Error = InputError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        let keeps_null = self.keeps_null;
        self.current = self
            .pairs
            .find(|(_, value)| keeps_null || *value != Tree::Json(Value::Null));
        match &self.current {
            Some((name, _)) => {
                let name: StrDeserializer<'_, InputError> = name.as_str().into_deserializer();
                seed.deserialize(name).map(Some)
            }
            None => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        match self.current.take() {
            Some((name, tree)) => seed.deserialize(Reader(tree)).map_err(|e| e.below(&name)),
            None => Err(InputError::wrong("Expected map or null")),
        }
    }
}

/// A unit variant.
struct Named(String);

impl<'de> EnumAccess<'de> for Named {
    type Error = InputError;
    type Variant = Unit;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Unit)> {
        let name: serde::de::value::StringDeserializer<InputError> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, Unit))
    }
}

struct Unit;

impl<'de> VariantAccess<'de> for Unit {
    type Error = InputError;

    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value> {
        Err(InputError::wrong("Expected map or null"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value> {
        Err(InputError::wrong("Expected list or null"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value> {
        Err(InputError::wrong("Expected map or null"))
    }
}
