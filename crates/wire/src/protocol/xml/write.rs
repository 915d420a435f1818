use std::fmt::{self, Display, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use quick_xml::escape::{escape, partial_escape};
use serde::Serialize;
use serde::ser::{
    Impossible, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
    SerializeTuple, SerializeTupleStruct, Serializer,
};

use crate::Timestamp;
use crate::time::TIMESTAMP;

/// `<NameSuffix xmlns="…">`, with `prefix` before the name.
pub(in crate::protocol) fn open(
    out: &mut String,
    prefix: &str,
    name: &str,
    suffix: &str,
    xmlns: &str,
) {
    let _ = write!(out, "<{prefix}{name}{suffix} xmlns=\"{}\">", escape(xmlns));
}

pub(in crate::protocol) fn tag(out: &mut String, name: &str, suffix: &str) {
    let _ = write!(out, "<{name}{suffix}>");
}

pub(in crate::protocol) fn end(out: &mut String, name: &str, suffix: &str) {
    let _ = write!(out, "</{name}{suffix}>");
}

/// Character data. What XML 1.0 cannot hold becomes U+FFFD, and a carriage return a reference, as
/// readers would make it a line feed.  [XML 1.0: 2.2 Characters, 2.11 End-of-Line Handling]
pub(in crate::protocol) fn text(out: &mut String, text: &str) {
    let is_odd =
        |c: char| (c < ' ' && c != '\t' && c != '\n') || matches!(c, '\u{fffe}' | '\u{ffff}');
    for piece in text.split_inclusive(is_odd) {
        let mut letters = piece.chars();
        match letters.next_back() {
            Some(odd) if is_odd(odd) => {
                out.push_str(&partial_escape(letters.as_str()));
                out.push_str(if odd == '\r' { "&#13;" } else { "\u{fffd}" });
            }
            _ => out.push_str(&partial_escape(piece)),
        }
    }
}

/// Writes the content of one element. `Ok(false)` means that there is no value, so that the element
/// around it must go.
pub(super) struct Content<'a>(pub(super) &'a mut String);

#[derive(Debug)]
pub(super) struct Error(String);

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl serde::ser::Error for Error {
    fn custom<T: Display>(message: T) -> Error {
        Error(message.to_string())
    }
}

type Result<T> = std::result::Result<T, Error>;

impl<'a> Content<'a> {
    fn show(self, value: impl Display) -> Result<bool> {
        let _ = write!(self.0, "{value}");
        Ok(true)
    }
}

fn element<T: Serialize + ?Sized>(out: &mut String, name: &str, value: &T) -> Result<()> {
    let before = out.len();
    tag(out, name, "");
    if value.serialize(Content(out))? {
        end(out, name, "");
    } else {
        out.truncate(before);
    }
    Ok(())
}

macro_rules! shown {
    ($($method:ident $type:ty;)*) => {$(
        fn $method(self, value: $type) -> Result<bool> {
            self.show(value)
        }
    )*};
}

impl<'a> Serializer for Content<'a> {
    type Ok = bool;
    type Error = Error;
    type SerializeSeq = Inside<'a>;
    type SerializeTuple = Inside<'a>;
    type SerializeTupleStruct = Inside<'a>;
    type SerializeTupleVariant = Impossible<bool, Error>;
    type SerializeMap = Inside<'a>;
    type SerializeStruct = Inside<'a>;
    type SerializeStructVariant = Variant<'a>;

    shown! {
        serialize_bool bool;
        serialize_i8 i8;
        serialize_i16 i16;
        serialize_i32 i32;
        serialize_i64 i64;
        serialize_u8 u8;
        serialize_u16 u16;
        serialize_u32 u32;
        serialize_u64 u64;
        serialize_f32 f32;
        serialize_f64 f64;
    }

    fn serialize_char(self, value: char) -> Result<bool> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<bool> {
        text(self.0, value);
        Ok(true)
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<bool> {
        STANDARD.encode_string(value, self.0);
        Ok(true)
    }

    fn serialize_none(self) -> Result<bool> {
        Ok(false)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<bool> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<bool> {
        Ok(false)
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<bool> {
        Ok(false)
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<bool> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<bool> {
        if name != TIMESTAMP {
            return value.serialize(self);
        }
        let time = serde_json::to_value(value)
            .and_then(serde_json::from_value::<Timestamp>)
            .map_err(|e| Error(e.to_string()))?;
        self.show(time.iso8601())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<bool> {
        element(self.0, variant, value)?;
        Ok(true)
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<Inside<'a>> {
        Ok(Inside(self.0))
    }

    fn serialize_tuple(self, _len: usize) -> Result<Inside<'a>> {
        Ok(Inside(self.0))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<Inside<'a>> {
        Ok(Inside(self.0))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        Err(Error(format!("the variant {variant} has no names")))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Inside<'a>> {
        Ok(Inside(self.0))
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<Inside<'a>> {
        Ok(Inside(self.0))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<Variant<'a>> {
        tag(self.0, variant, "");
        Ok(Variant(self.0, variant))
    }
}

/// The elements of a list, map or structure.
pub(super) struct Inside<'a>(&'a mut String);

impl SerializeSeq for Inside<'_> {
    type Ok = bool;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        element(self.0, "member", value)
    }

    fn end(self) -> Result<bool> {
        Ok(true)
    }
}

impl SerializeTuple for Inside<'_> {
    type Ok = bool;
    type Error = Error;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        element(self.0, "member", value)
    }

    fn end(self) -> Result<bool> {
        Ok(true)
    }
}

impl SerializeTupleStruct for Inside<'_> {
    type Ok = bool;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        element(self.0, "member", value)
    }

    fn end(self) -> Result<bool> {
        Ok(true)
    }
}

impl SerializeMap for Inside<'_> {
    type Ok = bool;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        self.0.push_str("<entry>");
        element(self.0, "key", key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        element(self.0, "value", value)?;
        self.0.push_str("</entry>");
        Ok(())
    }

    fn end(self) -> Result<bool> {
        Ok(true)
    }
}

impl SerializeStruct for Inside<'_> {
    type Ok = bool;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        element(self.0, name, value)
    }

    fn end(self) -> Result<bool> {
        Ok(true)
    }
}

/// A variant with named members, whose own element is open.
pub(super) struct Variant<'a>(&'a mut String, &'static str);

impl SerializeStructVariant for Variant<'_> {
    type Ok = bool;
    type Error = Error;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        element(self.0, name, value)
    }

    fn end(self) -> Result<bool> {
        end(self.0, self.1, "");
        Ok(true)
    }
}
