//! Vectors, in the two ways in which they travel.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::RawValue;

use crate::json::string;
use crate::{Json, Malformed};

/// One vector, as its upstream wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Vector {
    /// A list of numbers, digit by digit.
    Numbers(Json),
    /// Base64 of little-endian 32-bit floats.
    Packed(String),
}

impl Vector {
    pub(crate) fn read(raw: &RawValue, path: &str) -> Result<Self, Malformed> {
        match string(raw) {
            Some(packed) => Ok(Self::Packed(packed.into_owned())),
            None if raw.get().starts_with('[') => Ok(Self::Numbers(Json::from(raw))),
            None => Err(Malformed::field(path, "a list of numbers, or base64")),
        }
    }

    /// As numbers.
    ///
    /// # Errors
    /// The list has something else than numbers in it, or the base64 is none, or none of whole floats.
    pub fn floats(&self) -> Result<Vec<f32>, Malformed> {
        match self {
            Self::Numbers(json) => {
                crate::json::from_str(json.as_str()).map_err(|_| wrong("a list of numbers"))
            }
            Self::Packed(packed) => {
                let bytes = STANDARD.decode(packed).map_err(|_| wrong("base64"))?;
                let (floats, rest) = bytes.as_chunks::<4>();
                if !rest.is_empty() {
                    return Err(wrong("base64 of 32-bit floats"));
                }
                Ok(floats.iter().map(|float| f32::from_le_bytes(*float)).collect())
            }
        }
    }

    /// As a list of numbers in JSON.
    ///
    /// # Errors
    /// The base64 is none, or none of whole floats.
    pub fn numbers(&self) -> Result<Json, Malformed> {
        match self {
            Self::Numbers(json) => Ok(json.clone()),
            Self::Packed(_) => Ok(Json::of(&self.floats()?)),
        }
    }

    /// As base64.
    ///
    /// # Errors
    /// The list has something else than numbers in it.
    pub fn packed(&self) -> Result<String, Malformed> {
        match self {
            Self::Packed(packed) => Ok(packed.clone()),
            Self::Numbers(_) => {
                let bytes: Vec<u8> = self.floats()?.iter().flat_map(|float| float.to_le_bytes()).collect();
                Ok(STANDARD.encode(bytes))
            }
        }
    }
}

fn wrong(expected: &'static str) -> Malformed {
    Malformed::field("embedding", expected)
}
