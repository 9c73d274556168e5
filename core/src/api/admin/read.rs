//! Bodies of ours, read strictly: every field once and known, objects by their names, and whatever is wrong said with the
//! path to it, such as `limits.rpm`.

use std::fmt;

use http::request::Parts;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::{Map, Number, Value};

use crate::pipeline;
use crate::port::Body;
use crate::refusal::Refusal;

/// The longest body that is read.
pub(super) const LONGEST: usize = 1 << 20;

/// Reads a whole body; none is an empty object.
pub(super) async fn read<T: DeserializeOwned>(parts: &Parts, body: Body) -> Result<T, Refusal> {
    named(&whole(parts, body).await?)
}

/// A body as it says itself, whatever it is to be.
async fn whole(parts: &Parts, body: Body) -> Result<Value, Refusal> {
    let bytes = pipeline::collect(body, &parts.headers, LONGEST).await?;
    let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
    let wrong = |problem: String| Refusal::Invalid { param: "body".to_owned(), problem };
    let text = std::str::from_utf8(bytes).map_err(|error| wrong(error.to_string()))?;
    let Once(value) = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    Ok(value)
}

/// What is said once of something that is made, out of what is said of it always.
pub(super) fn once<T: DeserializeOwned>(said: &mut Map<String, Value>, names: &[&str]) -> Result<T, Refusal> {
    let taken = names.iter().filter_map(|name| Some(((*name).to_owned(), said.shift_remove(*name)?)));
    named(&Value::Object(taken.collect()))
}

/// Reads a value.
pub(super) fn named<T: DeserializeOwned>(value: &Value) -> Result<T, Refusal> {
    T::deserialize(Strict(value)).map_err(|Wrong { path, problem }| Refusal::Invalid {
        param: if path.is_empty() { "body".to_owned() } else { path },
        problem,
    })
}

/// A value that has no field twice.
struct Once(Value);

impl<'de> Deserialize<'de> for Once {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("JSON")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
                Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
                Ok(value.into())
            }

            fn visit_unit<E: Error>(self) -> Result<Value, E> {
                Ok(Value::Null)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(Once(item)) = items.next_element()? {
                    list.push(item);
                }
                Ok(Value::Array(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
                let mut fields = Map::new();
                while let Some(name) = items.next_key::<String>()? {
                    if fields.contains_key(&name) {
                        return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
                    }
                    let Once(value) = items.next_value()?;
                    fields.insert(name, value);
                }
                Ok(Value::Object(fields))
            }
        }
        deserializer.deserialize_any(Any).map(Self)
    }
}

/// What is wrong, and where.
#[derive(Debug)]
struct Wrong {
    path: String,
    problem: String,
}

impl Wrong {
    fn instead(found: &str, expected: &dyn Expected) -> Self {
        Self::custom(format_args!("expected {expected}, not {found}"))
    }

    fn below(mut self, name: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = [name, dot, &self.path].concat();
        self
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Wrong {}

impl Error for Wrong {
    fn custom<T: fmt::Display>(problem: T) -> Self {
        Self { path: String::new(), problem: problem.to_string() }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::instead(kind(found), expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::instead(kind(found), expected)
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::custom(format_args!("expected one of `{}`", expected.join("`, `")))
    }
}

/// What kind of value something is. What it is itself is not said: it may be a secret in a wrong place.
fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "such a number",
        Unexpected::Char(_) | Unexpected::Str(_) => "such a text",
        Unexpected::Unit | Unexpected::Option => "null",
        Unexpected::Seq => "a list",
        Unexpected::Map => "an object",
        _ => "what is there",
    }
}

/// A value that is read. A list is not taken for an object whose fields it has in their order, as serde would; a number
/// without a fraction is whole, however it is written.
#[derive(Clone, Copy)]
struct Strict<'de>(&'de Value);

impl Strict<'_> {
    fn is_not(self, expected: &dyn Expected) -> Wrong {
        let found = match self.0 {
            Value::Null => Unexpected::Unit,
            Value::Array(_) => Unexpected::Seq,
            Value::Object(_) => Unexpected::Map,
            Value::Bool(value) => Unexpected::Bool(*value),
            Value::Number(number) => Unexpected::Float(number.as_f64().unwrap_or_default()),
            Value::String(text) => Unexpected::Str(text),
        };
        Wrong::instead(kind(found), expected)
    }
}

macro_rules! whole {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            self.deserialize_i128(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for Strict<'de> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::String(value) => visitor.visit_borrowed_str(value),
            Value::Array(list) => visitor.visit_seq(Items { place: 0, list }),
            Value::Object(fields) => visitor.visit_map(Fields { fields: fields.iter(), value: None }),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), _, _) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (_, _, number) => visitor.visit_f64(number.unwrap_or_default()),
            },
        }
    }

    whole! { deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_i64 }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is whole, and within what it becomes"
    )]
    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        const MOST: f64 = 18_446_744_073_709_551_616.0;
        const LEAST: f64 = -9_223_372_036_854_775_808.0;
        match self.0.as_f64().filter(|number| self.0.is_f64() && number.fract() == 0.0) {
            Some(number) if (0.0..MOST).contains(&number) => visitor.visit_u64(number as u64),
            Some(number) if (LEAST..0.0).contains(&number) => visitor.visit_i64(number as i64),
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        // Not by way of `deserialize_any`: a reader of lists would be made for every struct.
        match self.0 {
            Value::Object(fields) => visitor.visit_map(Fields { fields: fields.iter(), value: None }),
            _ => Err(self.is_not(&visitor)),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(name.as_str().into_deserializer()),
            Value::Object(fields) if fields.len() == 1 => {
                let fields = Fields { fields: fields.iter(), value: None };
                visitor.visit_enum(MapAccessDeserializer::new(fields))
            }
            _ => Err(self.is_not(&"a word, or an object with one field")),
        }
    }

    // The commonest not by way of `deserialize_any` either, which has an arm for everything that a value can be.
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::String(value) => visitor.visit_borrowed_str(value),
            _ => Err(self.is_not(&visitor)),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_string(visitor)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.0 {
            Value::Array(list) => visitor.visit_seq(Items { place: 0, list }),
            _ => Err(self.is_not(&visitor)),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 u128 f32 f64 char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

struct Items<'de> {
    place: usize,
    list: &'de [Value],
}

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Some(item) = self.list.get(self.place) else { return Ok(None) };
        let place = self.place;
        self.place += 1;
        seed.deserialize(Strict(item)).map(Some).map_err(|wrong| wrong.below(&format!("[{place}]")))
    }
}

struct Fields<'de> {
    fields: serde_json::map::Iter<'de>,
    value: Option<(&'de str, &'de Value)>,
}

impl<'de> MapAccess<'de> for Fields<'de> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        let Some((name, value)) = self.fields.next() else { return Ok(None) };
        self.value = Some((name, value));
        let key: StrDeserializer<'_, Wrong> = name.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|wrong| wrong.below(name))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let (name, value) = self.value.take().ok_or_else(|| Wrong::custom("a field without a value"))?;
        seed.deserialize(Strict(value)).map_err(|wrong| wrong.below(name))
    }
}
