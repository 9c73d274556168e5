//! What values that are written as text look like, for the description of the admin API.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::account::Budget;
use super::{Money, ShardId, Span};

macro_rules! text {
    ($type:ty, $name:literal, $pattern:expr, $what:literal) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "description": $what })
            }
        }
    };
}

text!(ShardId, "Shard", "^[a-z0-9]{1,24}$", "Where accounts are kept together.");
text!(Money, "Money", r"^[0-9]{1,11}(\.[0-9]{1,9})?$", "US dollars.");
text!(
    Span,
    "Span",
    "^([0-9]{1,4}[smh]|([0-2]?[0-9]{1,3}|3[0-5][0-9]{2}|36[0-4][0-9]|365[0-3])d)$",
    "A length of time, such as 45s, 30m, 24h or 90d: at most ten years."
);
text!(
    Budget,
    "Budget",
    concat!(
        r"^[0-9]{1,9}(\.[0-9]{1,9})? USD / ",
        r"((hour|day|week|month|year)( in [+-](0[0-9]|1[0-3]):[0-5][0-9])?|total|rolling [1-9][0-9]?[mhd])$"
    ),
    "Money in a period: `5 USD / day`, `1 USD / week in +02:00`, `0.50 USD / rolling 6h`, `20 USD / total`."
);
