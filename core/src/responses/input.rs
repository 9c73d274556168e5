//! What a request goes on from, and the items of a conversation.

use std::collections::HashMap;

use gatelet_wire::dialect::openai_responses::reference;
use gatelet_wire::json::string;
use gatelet_wire::{Fields, Json, Malformed};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::{Answer, Shelf};
use crate::domain::Timestamp;
use crate::refusal::Refusal;

/// What a request says of state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// The answer is to be kept: the vendor's default.
    pub store: bool,
    pub background: bool,
    pub stream: bool,
    pub previous: Option<String>,
}

impl Asked {
    /// # Errors
    /// A field of the wrong type, or a kind of state that is not kept here.
    pub fn read(fields: &Fields<'_>) -> Result<Self, Refusal> {
        for (name, problem) in [
            ("conversation", "conversations are not kept here: go on with `previous_response_id`"),
            ("prompt", "prompts are not kept here: send what it says"),
        ] {
            if fields.present(name).is_some() {
                return Err(invalid(name, problem));
            }
        }
        let flag = |name: &str, otherwise: bool| match fields.present(name).map(RawValue::get) {
            None => Ok(otherwise),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(_) => Err(Refusal::from(Malformed::field(name, "true or false"))),
        };
        let previous = match fields.present("previous_response_id") {
            None => None,
            Some(raw) => {
                let id = string(raw).ok_or_else(|| Malformed::field("previous_response_id", "a string"))?;
                Some(id.into_owned())
            }
        };
        let asked = Self {
            store: flag("store", true)?,
            background: flag("background", false)?,
            stream: flag("stream", false)?,
            previous,
        };
        if asked.background && !asked.store {
            return Err(invalid("store", "what is made in the background is kept, or nobody could read it"));
        }
        Ok(asked)
    }
}

fn invalid(param: &str, problem: &str) -> Refusal {
    Refusal::Invalid { param: param.to_owned(), problem: problem.to_owned() }
}

/// All that a model is to read, and the request that says it by itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    pub items: Vec<Json>,
    /// The request with all items in it; none where it has them already.
    pub body: Option<Vec<u8>>,
}

impl Conversation {
    /// Puts what the request refers to into it.
    ///
    /// # Errors
    /// It refers to what this key does not keep.
    pub async fn read(
        fields: &Fields<'_>,
        asked: &Asked,
        shelf: &Shelf,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let mut items = Vec::new();
        if let Some(id) = &asked.previous {
            let answer = shelf.get(id, now).await?.ok_or_else(|| {
                invalid("previous_response_id", "this key keeps no such response, or no longer")
            })?;
            let output = output(&answer);
            items.extend(answer.input);
            items.extend(output);
        }
        let before = items.len();
        items.extend(own_items(fields)?);
        let referred = resolve(&mut items, before, shelf, now).await?;
        let body = (asked.previous.is_some() || referred).then(|| {
            let input = Json::of(&items);
            let mut values = vec![("input", input.as_str())];
            if asked.previous.is_some() {
                values.push(("previous_response_id", "null"));
            }
            fields.splice(&values)
        });
        Ok(Self { items, body })
    }
}

/// The items of the request itself.
fn own_items(fields: &Fields<'_>) -> Result<Vec<Json>, Refusal> {
    let Some(raw) = fields.present("input") else { return Ok(Vec::new()) };
    if let Some(text) = string(raw) {
        let part = json!({ "type": "input_text", "text": text });
        return Ok(vec![Json::of(&json!({ "type": "message", "role": "user", "content": [part] }))]);
    }
    let expected = || Malformed::field("input", "text or a list of items");
    let items: Vec<&RawValue> = gatelet_wire::json::from_str(raw.get()).map_err(|_| expected())?;
    Ok(items.into_iter().map(Json::from).collect())
}

/// The items of an answer.
fn output(answer: &Answer) -> Vec<Json> {
    let items = || {
        let fields = Fields::of(answer.response.as_ref(), "response").ok()?;
        gatelet_wire::json::from_str::<Vec<Json>>(fields.present("output")?.get()).ok()
    };
    items().unwrap_or_default()
}

/// Replaces references by what they refer to. Those to what stands in the conversation already are taken out.
async fn resolve(
    items: &mut Vec<Json>,
    before: usize,
    shelf: &Shelf,
    now: Timestamp,
) -> Result<bool, Refusal> {
    if !items.iter().skip(before).any(|item| reference(item.as_ref()).is_some()) {
        return Ok(false);
    }
    let known: Vec<String> = items.iter().take(before).filter_map(id_of).collect();
    let mut answers: HashMap<String, Option<Answer>> = HashMap::new();
    let mut resolved: Vec<Json> = items.drain(..before).collect();
    for (nth, item) in items.drain(..).enumerate() {
        let Some(id) = reference(item.as_ref()) else {
            resolved.push(item);
            continue;
        };
        if known.contains(&id) {
            continue;
        }
        let mut found = None;
        // Our own ids name the answer that they stand in.
        if let Some(answer) = answer_of(&id) {
            if !answers.contains_key(&answer) {
                answers.insert(answer.clone(), shelf.get(&answer, now).await?);
            }
            let answer = answers.get(&answer).and_then(Option::as_ref);
            found = answer
                .and_then(|answer| output(answer).into_iter().find(|item| id_of(item).as_ref() == Some(&id)));
        }
        if found.is_none() {
            found = shelf.item(&id, now).await?;
        }
        resolved.push(
            found.ok_or_else(|| {
                invalid(&format!("input[{nth}]"), "this key keeps no such item, or no longer")
            })?,
        );
    }
    *items = resolved;
    Ok(true)
}

fn id_of(item: &Json) -> Option<String> {
    let fields = Fields::of(item.as_ref(), "item").ok()?;
    fields.present("id").and_then(string).map(String::from)
}

/// The answer that an item's id names, if it is one of ours: `msg_<answer>_<nth>`.
fn answer_of(item: &str) -> Option<String> {
    let (_, rest) = item.split_once('_')?;
    let (stem, nth) = rest.rsplit_once('_')?;
    let counts = !nth.is_empty() && nth.bytes().all(|byte| byte.is_ascii_digit());
    (counts && !stem.is_empty()).then(|| format!("resp_{stem}"))
}

/// The items of an answer whose ids do not name it.
pub fn foreign_items(response: &Json, id: &str) -> Vec<(String, Json)> {
    let fields = Fields::of(response.as_ref(), "response").ok();
    let output = fields
        .and_then(|fields| gatelet_wire::json::from_str::<Vec<Json>>(fields.present("output")?.get()).ok());
    let named = |item: Json| id_of(&item).map(|own| (own, item));
    let items = output.unwrap_or_default().into_iter().filter_map(named);
    items.filter(|(own, _)| answer_of(own).as_deref() != Some(id)).collect()
}

/// A page of a conversation's items, as they are listed: each with an id, messages with parts.
pub fn listed(answer: &Answer, id: &str, after: Option<&str>, descending: bool, limit: usize) -> Value {
    let stem = id.strip_prefix("resp_").unwrap_or(id);
    let mut items: Vec<Map<String, Value>> =
        answer.input.iter().enumerate().map(|(nth, item)| whole(item, stem, nth)).collect();
    if descending {
        items.reverse();
    }
    let start = after.map_or(0, |after| {
        items.iter().position(|item| item["id"].as_str() == Some(after)).map_or(items.len(), |at| at + 1)
    });
    let page: Vec<_> = items.iter().skip(start).take(limit).cloned().collect();
    let end = |item: Option<&Map<String, Value>>| item.map_or(Value::from(""), |item| item["id"].clone());
    json!({
        "object": "list",
        "first_id": end(page.first()),
        "last_id": end(page.last()),
        "has_more": items.len() > start + page.len(),
        "data": page,
    })
}

fn whole(item: &Json, stem: &str, nth: usize) -> Map<String, Value> {
    let mut item = match item.to_value() {
        Value::Object(item) => item,
        other => Map::from_iter([("content".to_owned(), other)]),
    };
    let kind = item.get("type").and_then(Value::as_str).unwrap_or("message").to_owned();
    item.insert("type".to_owned(), kind.clone().into());
    let prefix = match kind.as_str() {
        "message" => "msg",
        "function_call" => "fc",
        "function_call_output" => "fco",
        "custom_tool_call" => "ctc",
        "custom_tool_call_output" => "ctco",
        "reasoning" => "rs",
        _ => "item",
    };
    item.entry("id").or_insert_with(|| format!("{prefix}_{stem}_in{nth}").into());
    if kind == "message" {
        let spoken = item.get("role").and_then(Value::as_str) == Some("assistant");
        if let Some(Value::String(text)) = item.get("content").cloned() {
            let part = if spoken {
                json!({ "type": "output_text", "text": text, "annotations": [] })
            } else {
                json!({ "type": "input_text", "text": text })
            };
            item.insert("content".to_owned(), json!([part]));
        }
    }
    if matches!(kind.as_str(), "message" | "function_call" | "function_call_output") {
        item.entry("status").or_insert_with(|| "completed".into());
    }
    item
}

/// What a model is told to make a conversation short.
pub const SUMMARY: &str = "Summarise the conversation above for yourself, so that you can go on from the summary alone. \
     Keep every instruction, decision, fact, name, number, file, open question and result that may matter later; \
     leave out what will not. Write nothing but the summary.";

/// The item that stands for a conversation that was made short.
pub fn summary_of(text: &str, stem: &str) -> Value {
    json!({
        "type": "compaction",
        "id": format!("cmp_{stem}_0"),
        "encrypted_content": gatelet_wire::dialect::openai_responses::compacted(text),
    })
}
