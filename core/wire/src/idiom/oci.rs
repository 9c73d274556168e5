//! Oracle's chat: `{"compartmentId", "servingMode", "chatRequest"}`, words in capitals, and names like `maxTokens`.

use serde_json::{Map, Value};

use super::{chunk, completion, content, is_system, lost, pairs, renamed, role, stops, words};
use crate::Loss;

const PLAIN: &[(&str, &str)] = &[
    ("max_tokens", "maxTokens"),
    ("max_completion_tokens", "maxCompletionTokens"),
    ("temperature", "temperature"),
    ("top_p", "topP"),
    ("top_k", "topK"),
    ("frequency_penalty", "frequencyPenalty"),
    ("presence_penalty", "presencePenalty"),
    ("seed", "seed"),
    ("stream", "isStream"),
];
const GENERIC: &[(&str, &str)] = &[
    ("n", "numGenerations"),
    ("logit_bias", "logitBias"),
    ("top_logprobs", "logProbs"),
    ("metadata", "metadata"),
    ("parallel_tool_calls", "isParallelToolCalls"),
];
/// Choices by a word.
const CHOICES: &[(&str, &str)] =
    &[("reasoning_effort", "reasoningEffort"), ("verbosity", "verbosity"), ("service_tier", "serviceTier")];

pub(super) fn request(mut fields: Map<String, Value>, messages: Vec<Value>, loss: &mut Loss) -> Value {
    let mut chat = Map::new();
    chat.insert("apiFormat".to_owned(), "GENERIC".into());
    chat.insert("messages".to_owned(), messages.into_iter().map(|one| message(one, loss)).collect());
    renamed(&mut fields, &mut chat, PLAIN);
    renamed(&mut fields, &mut chat, GENERIC);
    let mut chosen = Map::new();
    renamed(&mut fields, &mut chosen, CHOICES);
    chat.extend(chosen.into_iter().map(|(name, word)| (name, capitals(&word))));
    if let Some(stops) = stops(&mut fields) {
        chat.insert("stop".to_owned(), stops.into());
    }
    if let Some(Value::Array(tools)) = fields.remove("tools") {
        let tools = tools.into_iter().filter_map(|tool| function(tool, loss));
        chat.insert("tools".to_owned(), tools.collect());
    }
    if let Some(choice) = fields.remove("tool_choice") {
        let choice = match choice.pointer("/function/name") {
            Some(name) => pairs([("type", "FUNCTION".into()), ("name", name.clone())]),
            None => pairs([("type", capitals(&choice))]),
        };
        chat.insert("toolChoice".to_owned(), choice);
    }
    if let Some(format) = fields.remove("response_format") {
        let mut said = Map::new();
        said.insert("type".to_owned(), capitals(format.get("type").unwrap_or(&Value::Null)));
        if let Some(Value::Object(mut schema)) = format.get("json_schema").cloned() {
            let mut own = Map::new();
            let names = [
                ("name", "name"),
                ("description", "description"),
                ("schema", "schema"),
                ("strict", "isStrict"),
            ];
            renamed(&mut schema, &mut own, &names);
            said.insert("jsonSchema".to_owned(), own.into());
        }
        chat.insert("responseFormat".to_owned(), said.into());
    }
    // That there are any is said by how many.
    fields.remove("logprobs");
    enclosed(fields, chat, loss)
}

/// What is around a request in either format.
fn enclosed(mut fields: Map<String, Value>, mut chat: Map<String, Value>, loss: &mut Loss) -> Value {
    if chat.get("isStream").and_then(Value::as_bool).unwrap_or_default() {
        chat.insert("streamOptions".to_owned(), pairs([("isIncludeUsage", true.into())]));
    }
    let compartment = fields.remove("compartmentId").unwrap_or_default();
    let model = fields.remove("model").unwrap_or_default();
    let dedicated = model.as_str().is_some_and(|model| model.starts_with("ocid1.generativeaiendpoint."));
    let (mode, name) = if dedicated { ("DEDICATED", "endpointId") } else { ("ON_DEMAND", "modelId") };
    lost(&fields, loss);
    pairs([
        ("compartmentId", compartment),
        ("servingMode", pairs([("servingType", mode.into()), (name, model)])),
        ("chatRequest", chat.into()),
    ])
}

fn capitals(word: &Value) -> Value {
    word.as_str().unwrap_or_default().to_ascii_uppercase().into()
}

fn function(mut tool: Value, loss: &mut Loss) -> Option<Value> {
    let Some(Value::Object(mut function)) = tool.get_mut("function").map(Value::take) else {
        loss.note("tools.*");
        return None;
    };
    if function.remove("strict").is_some_and(|strict| strict == true) {
        loss.note("tools.*.function.strict");
    }
    function.insert("type".to_owned(), "FUNCTION".into());
    Some(function.into())
}

fn message(mut message: Value, loss: &mut Loss) -> Value {
    let mut out = Map::new();
    out.insert("role".to_owned(), role(&message).to_ascii_uppercase().into());
    match message.get_mut("content").map(Value::take) {
        Some(Value::String(text)) => {
            out.insert("content".to_owned(), vec![text_part(text.into())].into());
        }
        Some(Value::Array(parts)) => {
            out.insert("content".to_owned(), parts.into_iter().filter_map(|one| part(one, loss)).collect());
        }
        _ => {}
    }
    if let Some(Value::Array(calls)) = message.get_mut("tool_calls").map(Value::take) {
        let calls = calls.into_iter().map(|mut call| {
            let mut at = |place: &str| call.pointer_mut(place).map(Value::take).unwrap_or_default();
            let (id, name, arguments) = (at("/id"), at("/function/name"), at("/function/arguments"));
            pairs([("id", id), ("type", "FUNCTION".into()), ("name", name), ("arguments", arguments)])
        });
        out.insert("toolCalls".to_owned(), calls.collect());
    }
    if let Value::Object(rest) = &mut message {
        let names = [
            ("tool_call_id", "toolCallId"),
            ("name", "name"),
            ("refusal", "refusal"),
            ("reasoning_content", "reasoningContent"),
        ];
        renamed(rest, &mut out, &names);
    }
    out.into()
}

fn text_part(text: Value) -> Value {
    pairs([("type", "TEXT".into()), ("text", text)])
}

fn part(mut part: Value, loss: &mut Loss) -> Option<Value> {
    if let Some(text) = part.get_mut("text") {
        return Some(text_part(text.take()));
    }
    let url = part.pointer_mut("/image_url/url").map(Value::take);
    let Some(url) = url else {
        loss.note("messages.*.content");
        return None;
    };
    let mut image = Map::new();
    image.insert("url".to_owned(), url);
    if let Some(detail) = part.pointer("/image_url/detail") {
        image.insert("detail".to_owned(), capitals(detail));
    }
    Some(pairs([("type", "IMAGE".into()), ("imageUrl", image.into())]))
}

pub(super) fn answer(answer: &Value) -> Value {
    let Some(said) = answer.get("chatResponse") else { return answer.clone() };
    let choices = said.get("choices").and_then(Value::as_array);
    let choices = choices.into_iter().flatten().map(|choice| self::choice(choice, "message"));
    let mut out = Map::new();
    out.insert("object".to_owned(), "chat.completion".into());
    out.insert("choices".to_owned(), choices.collect());
    out.extend(answer.get("modelId").map(|model| ("model".to_owned(), model.clone())));
    out.extend(usage(said));
    out.into()
}

/// An event is a choice.
pub(super) fn event(event: &Value, out: &mut Vec<Value>) {
    let mut chunk = Map::new();
    chunk.insert("object".to_owned(), "chat.completion.chunk".into());
    let says = event.get("message").or(event.get("finishReason")).is_some();
    chunk.insert("choices".to_owned(), says.then(|| choice(event, "delta")).into_iter().collect());
    chunk.extend(usage(event));
    out.push(chunk.into());
}

fn choice(choice: &Value, key: &str) -> Value {
    let mut said = Map::new();
    said.insert("role".to_owned(), "assistant".into());
    let message = choice.get("message").unwrap_or(&Value::Null);
    let parts = message.get("content").and_then(Value::as_array).into_iter().flatten();
    let text: String = parts.filter_map(|part| part.get("text")?.as_str()).collect();
    said.insert("content".to_owned(), if text.is_empty() { Value::Null } else { text.into() });
    let reasoning = message.get("reasoningContent").filter(|text| !text.is_null());
    said.extend(reasoning.map(|text| ("reasoning_content".to_owned(), text.clone())));
    if let Some(calls) = message.get("toolCalls").and_then(Value::as_array).filter(|calls| !calls.is_empty())
    {
        let calls = calls.iter().enumerate().map(|(nth, call)| {
            let at = |name: &str| call.get(name).cloned().unwrap_or_default();
            let function = pairs([("name", at("name")), ("arguments", at("arguments"))]);
            pairs([
                ("index", nth.into()),
                ("id", at("id")),
                ("type", "function".into()),
                ("function", function),
            ])
        });
        said.insert("tool_calls".to_owned(), calls.collect());
    }
    let finish = choice.get("finishReason").and_then(Value::as_str).map(finish);
    pairs([
        ("index", choice.get("index").cloned().unwrap_or(0.into())),
        (key, said.into()),
        ("finish_reason", finish.map_or(Value::Null, Into::into)),
    ])
}

/// Both formats' words for how an answer ended.
fn finish(word: &str) -> String {
    match word.to_ascii_uppercase().as_str() {
        "COMPLETE" | "STOP" | "STOP_SEQUENCE" => "stop".to_owned(),
        "MAX_TOKENS" | "LENGTH" | "ERROR_LIMIT" => "length".to_owned(),
        "ERROR_TOXIC" | "CONTENT_FILTER" => "content_filter".to_owned(),
        other => other.to_ascii_lowercase(),
    }
}

/// `usage` in `OpenAI`'s words.
fn usage(said: &Value) -> Option<(String, Value)> {
    let usage = said.get("usage")?;
    let count = |place: &str| usage.pointer(place).and_then(Value::as_u64);
    let (input, output) = (count("/promptTokens")?, count("/completionTokens")?);
    let detail = |name: &str, place: &str| pairs([(name, count(place).unwrap_or(0).into())]);
    let usage = pairs([
        ("prompt_tokens", input.into()),
        ("completion_tokens", output.into()),
        ("total_tokens", input.saturating_add(output).into()),
        ("prompt_tokens_details", detail("cached_tokens", "/promptTokensDetails/cachedTokens")),
        ("completion_tokens_details", detail("reasoning_tokens", "/completionTokensDetails/reasoningTokens")),
    ]);
    Some(("usage".to_owned(), usage))
}

pub(super) fn cohere_request(mut fields: Map<String, Value>, messages: &[Value], loss: &mut Loss) -> Value {
    let mut chat = Map::new();
    chat.insert("apiFormat".to_owned(), "COHERE".into());
    let (system, spoken): (Vec<&Value>, Vec<&Value>) =
        messages.iter().partition(|message| is_system(message));
    if !system.is_empty() {
        let said: Vec<String> = system.into_iter().map(|message| words(message, loss)).collect();
        chat.insert("preambleOverride".to_owned(), said.join("\n\n").into());
    }
    let mut turns: Vec<(&str, String)> = Vec::new();
    for message in spoken {
        if message.get("tool_calls").is_some_and(|calls| !calls.is_null()) || role(message) == "tool" {
            loss.note("messages.*.tool_calls");
        }
        turns.push((if role(message) == "assistant" { "CHATBOT" } else { "USER" }, words(message, loss)));
    }
    let last = turns.pop().unwrap_or_default();
    chat.insert("message".to_owned(), last.1.into());
    if !turns.is_empty() {
        let turns =
            turns.into_iter().map(|(role, said)| pairs([("role", role.into()), ("message", said.into())]));
        chat.insert("chatHistory".to_owned(), turns.collect());
    }
    if let Some(cap) = fields.remove("max_completion_tokens") {
        fields.entry("max_tokens").or_insert(cap);
    }
    renamed(&mut fields, &mut chat, PLAIN);
    if let Some(stops) = stops(&mut fields) {
        chat.insert("stopSequences".to_owned(), stops.into());
    }
    enclosed(fields, chat, loss)
}

pub(super) fn cohere_answer(answer: &Value) -> Value {
    let Some(said) = answer.get("chatResponse") else { return answer.clone() };
    let text = said.get("text").and_then(Value::as_str).unwrap_or_default();
    let ended = said.get("finishReason").and_then(Value::as_str).unwrap_or("COMPLETE");
    if let Some(wrong) = said.get("errorMessage").and_then(Value::as_str).filter(|_| ended == "ERROR") {
        return super::error(wrong, "api_error");
    }
    let mut out = completion(text, &finish(ended));
    if let Value::Object(out) = &mut out {
        out.extend(usage(said));
    }
    out
}

/// The last event says all once more, and how it ended.
pub(super) fn cohere_event(event: &Value, out: &mut Vec<Value>) {
    let Some(ended) = event.get("finishReason").and_then(Value::as_str) else {
        let text = event.get("text").and_then(Value::as_str);
        out.extend(text.map(|text| chunk(content(text), None)));
        return;
    };
    if let Some(wrong) = event.get("errorMessage").and_then(Value::as_str).filter(|_| ended == "ERROR") {
        out.push(super::error(wrong, "api_error"));
        return;
    }
    let mut last = chunk(pairs([]), Some(&finish(ended)));
    if let Value::Object(last) = &mut last {
        last.extend(usage(event));
    }
    out.push(last);
}
