//! What answers are, where no type of ours says it.

use serde_json::{Map, Value, json};

use crate::record::spend::COUNTERS;

/// A page of what `item` is, under `plural`.
pub(super) fn page_of(plural: &str, item: &Value) -> Value {
    json!({ "type": "object", "required": [plural, "next"], "additionalProperties": false, "properties": {
        plural: { "type": "array", "items": item },
        "next": { "type": ["string", "null"], "description": "Give it as `after` to go on; null: this was all." },
    } })
}

/// Something is no more.
pub(super) fn deleted() -> Value {
    json!({ "type": "object", "required": ["id", "deleted"], "additionalProperties": false,
        "properties": { "id": { "type": "string" }, "deleted": { "const": true } } })
}

pub(super) fn credential() -> Value {
    let (text, time) = (json!({ "type": "string" }), json!({ "type": "string", "format": "date-time" }));
    json!({ "type": "object", "additionalProperties": false,
        "required": ["id", "provider", "of", "hint", "sealing_key", "created", "updated", "version"], "properties": {
        "id": text, "provider": text,
        "of": { "type": ["string", "null"], "description": "Whose requests it is for, such as `team/search`; null: all." },
        "hint": { "type": "string", "maxLength": 4, "description": "Its last characters, if it has many." },
        "sealing_key": text, "created": time, "updated": time, "version": { "type": "integer", "minimum": 1 },
    } })
}

pub(super) fn report() -> Value {
    let sums = counted();
    json!({ "type": "object", "required": ["shard", "from", "to", "as_of", "by", "rows", "total", "reads"], "properties": {
        "shard": { "type": "string" }, "from": { "type": "string", "description": "A day, or the beginning of a minute or an hour." },
        "to": { "type": "string", "description": "The same." }, "as_of": { "type": "string", "format": "date-time" },
        "by": { "type": "array", "items": { "type": "string" } },
        "rows": { "type": "array", "items": sums }, "total": sums, "reads": { "type": "integer", "minimum": 0 },
    } })
}

/// What the words of a report mean.
fn counted() -> Value {
    let means = |name: &str| match name {
        "requests" => "What a known caller sent, once each, however it ended: refused ones too.",
        "refusals" => "Requests that the gateway refused before any provider was asked. They cost nothing.",
        "failures" => "Requests that a provider was asked for and that ended in an error.",
        "refunds" => "Failures for which nothing was charged: what had been held for them went back whole.",
        "cache_hits" => {
            "Requests that were answered without asking a provider. They have no attempts and no cost."
        }
        "attempts" => "Calls of providers. A request has none, one, or several where the first ones failed.",
        "cost" => "US dollars, exact to the nano-dollar.",
        "reasoning" => "Tokens: a part of `output`. All other kinds of tokens exclude one another.",
        "web_searches" => "Searches.",
        "total_ms" => "Milliseconds from the first byte to the end, of all of them.",
        "overhead_us" => "Microseconds up to the first content that were neither a provider's nor a limit's.",
        "answered" => "Requests with content in their answers.",
        "first_content_ms" => "Milliseconds until the first content, of all of those.",
        within if within.starts_with("first_within") => "Those whose first content came within that time.",
        "over_budget" => "Refusals because a budget was spent.",
        _ => "Tokens.",
    };
    let properties = COUNTERS.into_iter().map(|name| {
        let schema = match name {
            "cost" => json!({ "type": "string", "description": means(name) }),
            _ => json!({ "type": "integer", "minimum": 0, "description": means(name) }),
        };
        (name.to_owned(), schema)
    });
    json!({ "type": "object", "properties": properties.collect::<Map<_, _>>(), "required": COUNTERS })
}

/// A line of the archive.
pub(super) fn line(kind: &str) -> Value {
    let schema: Value = serde_json::from_str(crate::record::SCHEMA).unwrap_or_default();
    schema["$defs"][kind].clone()
}

pub(super) fn erasure() -> Value {
    json!({ "type": "object", "required": ["id", "of", "until", "done"], "additionalProperties": false, "properties": {
        "id": { "type": "string" }, "of": { "type": "string", "description": "Whose content, such as `customer/ann`." },
        "until": { "type": "string", "format": "date-time", "description": "What came until then." },
        "done": { "type": "boolean" } } })
}

pub(super) fn trail() -> Value {
    json!({ "type": "object", "required": ["head", "oldest", "next", "entries"], "properties": {
        "head": { "type": "object", "required": ["seq", "hash"], "properties": {
            "seq": { "type": "integer", "minimum": 0 }, "hash": { "type": "string" } } },
        "oldest": { "type": "integer", "minimum": 1, "description": "Entries before it are in the archive alone." },
        "next": { "type": ["integer", "null"] },
        "entries": { "type": "array", "items": { "type": "object" } },
        "content_from": { "type": "string", "format": "date-time", "description": "Content that came before has left the archive by its age." },
    } })
}

pub(super) fn problem() -> Value {
    json!({
        "type": "object",
        "description": "Problem details (RFC 9457).",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "code": { "type": "string", "description": "The stable word for it." },
            "param": { "type": "string", "description": "The field that is wrong." },
            "request_id": { "type": "string" },
            "expected_version": { "type": ["integer", "null"] },
            "keys": { "type": "integer", "description": "How many keys are open that belong to it." },
            "scopes": { "type": "integer" },
            "some": { "type": "array", "items": { "type": "string" }, "description": "Some of what belongs to it." },
            "current_version": { "type": ["integer", "null"], "description": "The version that stands." },
        },
    })
}
