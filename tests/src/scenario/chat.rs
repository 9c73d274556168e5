//! Text, tools and images through every pair of dialects, whole and streamed, with the vendors' own clients.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::Scenario;
use crate::check_eq;
use crate::host::Key;
use crate::upstream::{Dialect, Received, Reply};
use crate::world::{UPSTREAM_KEYS, World, cost, model};

/// Who asks, who answers, and how.
#[derive(Debug, Clone, Copy)]
struct Pair {
    caller: Dialect,
    upstream: Dialect,
    streamed: bool,
}

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for caller in [Dialect::OpenAi, Dialect::Anthropic] {
        for upstream in [Dialect::OpenAi, Dialect::Anthropic] {
            for streamed in [false, true] {
                let pair = Pair { caller, upstream, streamed };
                let name = pair.name();
                scenarios.push(Scenario::new(format!("{name}_gets_text"), move |world| {
                    Box::pin(text(world, pair))
                }));
                scenarios.push(Scenario::new(format!("{name}_calls_tools"), move |world| {
                    Box::pin(tools(world, pair))
                }));
                scenarios.push(Scenario::new(format!("{name}_shows_an_image"), move |world| {
                    Box::pin(image(world, pair))
                }));
            }
        }
    }
    scenarios
}

async fn text(world: Arc<World>, pair: Pair) -> Result<()> {
    let script = pair.script("text");
    world.upstream.script(&script, [Reply::text(["Grüße, ", "世界", " 👋🏽", "!"]).usage(11, 7).into()]);
    let key = budgeted(&world).await?;
    let arguments = pair.arguments(&script, &json!([{"role": "user", "content": "Say hello."}]));
    let said = pair.call(&world, &key, arguments).await?;
    check_eq!(said.text, "Grüße, 世界 👋🏽!");
    check_eq!((said.input, said.output), (11, 7));
    check_eq!(said.stop, pair.word("stop", "end_turn"));

    let received = world.upstream.only(&script)?;
    pair.is_addressed_well(&received, &key)?;
    let sent = received.json()?;
    check_eq!(sent["model"], json!(script));
    check_eq!(sent["messages"].as_array().map(Vec::len), Some(1));
    check_eq!(text_of(&sent["messages"][0]["content"]), "Say hello.");
    check_eq!(sent["stream"].as_bool().unwrap_or_default(), pair.streamed);

    let books = world.closed_books(&key).await?;
    check_eq!(books.spent, cost(11, 7));
    Ok(())
}

async fn tools(world: Arc<World>, pair: Pair) -> Result<()> {
    let script = pair.script("tools");
    let calls = Reply::text(["Let me look."])
        .and_tool("call_a1", "weather", &["", "{\"city\":", "\"Zü", "rich\"}"])
        .and_tool("call_b2", "weather", &["{\"city\": \"Oslo\"}"])
        .usage(40, 20);
    world.upstream.script(&script, [calls.into(), Reply::text(["3 and 4 degrees."]).usage(70, 9).into()]);
    let key = budgeted(&world).await?;

    let question = json!({"role": "user", "content": "How cold are Zürich and Oslo?"});
    let mut arguments = pair.arguments(&script, &json!([question]));
    arguments["tools"] = pair.tools();
    let said = pair.call(&world, &key, arguments.clone()).await?;
    check_eq!(said.text, "Let me look.");
    let wanted = [("Zürich", "call_a1"), ("Oslo", "call_b2")]
        .map(|(city, id)| (id.to_owned(), "weather".to_owned(), json!({"city": city})));
    check_eq!(said.tools, wanted);
    check_eq!(said.stop, pair.word("tool_calls", "tool_use"));

    arguments["messages"] = pair.history(&question, &said);
    let said = pair.call(&world, &key, arguments).await?;
    check_eq!(said.text, "3 and 4 degrees.");

    let received = world.upstream.arrived(&script, 2).await?;
    check_eq!(received.len(), 2);
    let first = received[0].json()?;
    let declared = match pair.upstream {
        Dialect::OpenAi => &first["tools"][0]["function"],
        Dialect::Anthropic => &first["tools"][0],
    };
    check_eq!(declared["name"], json!("weather"));
    let schema =
        if pair.upstream == Dialect::OpenAi { &declared["parameters"] } else { &declared["input_schema"] };
    check_eq!(schema["properties"]["city"]["type"], json!("string"));
    results_arrived(pair.upstream, &received[1].json()?)?;

    check_eq!(world.closed_books(&key).await?.spent, cost(40, 20) + cost(70, 9));
    Ok(())
}

/// Both results stand in the history, each beside the id of its call, in the provider's own form.
fn results_arrived(upstream: Dialect, sent: &Value) -> Result<()> {
    let messages = sent["messages"].as_array().context("no messages")?;
    let mut results = Vec::new();
    match upstream {
        Dialect::OpenAi => {
            check_eq!(messages.len(), 4, "question, calls, and a message for each result: {sent}");
            check_eq!(messages[1]["tool_calls"].as_array().map(Vec::len), Some(2));
            for message in &messages[2..] {
                check_eq!(message["role"], json!("tool"));
                results.push((message["tool_call_id"].clone(), text_of(&message["content"])));
            }
        }
        Dialect::Anthropic => {
            check_eq!(messages.len(), 3, "question, calls, and one message with all results: {sent}");
            let uses = |block: &&Value| block["type"] == "tool_use";
            check_eq!(
                messages[1]["content"].as_array().map(|blocks| blocks.iter().filter(uses).count()),
                Some(2)
            );
            check_eq!(messages[2]["role"], json!("user"));
            for block in messages[2]["content"].as_array().context("no blocks")? {
                check_eq!(block["type"], json!("tool_result"));
                results.push((block["tool_use_id"].clone(), text_of(&block["content"])));
            }
        }
    }
    let wanted = [("call_a1", "3 °C"), ("call_b2", "4 °C")].map(|(id, text)| (json!(id), text.to_owned()));
    check_eq!(results, wanted);
    Ok(())
}

async fn image(world: Arc<World>, pair: Pair) -> Result<()> {
    // One red pixel.
    const PNG: &str =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
    let script = pair.script("image");
    world.upstream.script(&script, [Reply::text(["A red dot."]).usage(90, 5).into()]);
    let key = budgeted(&world).await?;
    let url = format!("data:image/png;base64,{PNG}");
    let picture = match pair.caller {
        Dialect::OpenAi => json!({"type": "image_url", "image_url": {"url": url}}),
        Dialect::Anthropic => {
            json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}})
        }
    };
    let content = json!([{"type": "text", "text": "What is this?"}, picture]);
    let said = pair
        .call(&world, &key, pair.arguments(&script, &json!([{"role": "user", "content": content}])))
        .await?;
    check_eq!(said.text, "A red dot.");

    let sent = world.upstream.only(&script)?.json()?;
    let parts = &sent["messages"][0]["content"];
    check_eq!(parts[0]["text"], json!("What is this?"));
    match pair.upstream {
        Dialect::OpenAi => check_eq!(parts[1]["image_url"]["url"], json!(url)),
        Dialect::Anthropic => {
            let wanted = json!({"type": "base64", "media_type": "image/png", "data": PNG});
            check_eq!(parts[1]["source"], wanted);
        }
    }
    check_eq!(world.closed_books(&key).await?.spent, cost(90, 5));
    Ok(())
}

async fn budgeted(world: &World) -> Result<Key> {
    world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await
}

/// What a client made of an answer, in one form for both vendors.
#[derive(Debug)]
struct Said {
    text: String,
    tools: Vec<(String, String, Value)>,
    stop: String,
    input: u64,
    output: u64,
}

impl Pair {
    fn name(self) -> String {
        let name = |dialect| if dialect == Dialect::OpenAi { "openai" } else { "anthropic" };
        let way = if self.streamed { "streaming" } else { "asking" };
        format!("an_{}_client_{way}_an_{}_model", name(self.caller), name(self.upstream))
    }

    fn script(self, what: &str) -> String {
        format!("{}-{what}", self.name().replace('_', "-"))
    }

    /// The word of the caller's dialect.
    fn word(self, openai: &'static str, anthropic: &'static str) -> &'static str {
        if self.caller == Dialect::OpenAi { openai } else { anthropic }
    }

    fn arguments(self, script: &str, messages: &Value) -> Value {
        let mut arguments = json!({"model": model(self.upstream, script), "messages": messages});
        match self.caller {
            Dialect::OpenAi => {
                arguments["max_completion_tokens"] = json!(100);
                if self.streamed {
                    arguments["stream_options"] = json!({"include_usage": true});
                }
            }
            Dialect::Anthropic => arguments["max_tokens"] = json!(100),
        }
        arguments
    }

    fn tools(self) -> Value {
        let schema = json!({
            "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
            "additionalProperties": false,
        });
        let about = "The temperature in a city.";
        match self.caller {
            Dialect::OpenAi => {
                let function =
                    json!({"name": "weather", "description": about, "strict": true, "parameters": schema});
                json!([{"type": "function", "function": function}])
            }
            Dialect::Anthropic => json!([{"name": "weather", "description": about, "input_schema": schema}]),
        }
    }

    /// The conversation after both tools have answered.
    fn history(self, question: &Value, said: &Said) -> Value {
        let results = ["3 °C", "4 °C"];
        let answered = said.tools.iter().zip(results);
        match self.caller {
            Dialect::OpenAi => {
                let calls: Vec<Value> = said
                    .tools
                    .iter()
                    .map(|(id, name, input)| {
                        let function = json!({"name": name, "arguments": input.to_string()});
                        json!({"id": id, "type": "function", "function": function})
                    })
                    .collect();
                let mut messages = vec![
                    question.clone(),
                    json!({"role": "assistant", "content": said.text, "tool_calls": calls}),
                ];
                messages.extend(answered.map(
                    |((id, ..), result)| json!({"role": "tool", "tool_call_id": id, "content": result}),
                ));
                json!(messages)
            }
            Dialect::Anthropic => {
                let mut blocks = vec![json!({"type": "text", "text": said.text})];
                blocks.extend(said.tools.iter().map(
                    |(id, name, input)| json!({"type": "tool_use", "id": id, "name": name, "input": input}),
                ));
                let results: Vec<Value> = answered
                    .map(|((id, ..), result)| json!({"type": "tool_result", "tool_use_id": id, "content": result}))
                    .collect();
                json!([question, {"role": "assistant", "content": blocks}, {"role": "user", "content": results}])
            }
        }
    }

    async fn call(self, world: &World, key: &Key, arguments: Value) -> Result<Said> {
        let method = if self.streamed { "stream" } else { "create" };
        let answer = world.sdk_call(self.caller, key, method, arguments).await?;
        ensure!(answer["error"].is_null(), "the client threw: {}", answer["error"]);
        let message = if self.streamed { &answer["final"] } else { &answer["result"] };
        match self.caller {
            Dialect::OpenAi => Said::by_openai(message),
            Dialect::Anthropic => Said::by_anthropic(message),
        }
    }

    /// The provider got its own key at its own path, and nothing of the caller's.
    fn is_addressed_well(self, received: &Received, key: &Key) -> Result<()> {
        let (_, own) = UPSTREAM_KEYS[usize::from(self.upstream == Dialect::Anthropic)];
        match self.upstream {
            Dialect::OpenAi => {
                check_eq!(received.path, "/v1/chat/completions");
                check_eq!(received.header("authorization"), Some(format!("Bearer {own}").as_str()));
            }
            Dialect::Anthropic => {
                check_eq!(received.path, "/v1/messages");
                check_eq!(received.header("x-api-key"), Some(own));
                ensure!(received.header("anthropic-version").is_some(), "no anthropic-version was sent");
            }
        }
        for (name, value) in &received.headers {
            let value = String::from_utf8_lossy(value.as_bytes());
            ensure!(!value.contains(&key.secret), "the caller's key was sent on in `{name}`");
        }
        Ok(())
    }
}

impl Said {
    fn by_openai(message: &Value) -> Result<Self> {
        let choice = &message["choices"][0];
        let mut tools = Vec::new();
        for call in choice["message"]["tool_calls"].as_array().into_iter().flatten() {
            let function = &call["function"];
            let arguments = serde_json::from_str(string(&function["arguments"])?)?;
            tools.push((string(&call["id"])?.to_owned(), string(&function["name"])?.to_owned(), arguments));
        }
        Ok(Self {
            text: choice["message"]["content"].as_str().unwrap_or_default().to_owned(),
            tools,
            stop: string(&choice["finish_reason"])?.to_owned(),
            input: message["usage"]["prompt_tokens"].as_u64().context("no prompt_tokens")?,
            output: message["usage"]["completion_tokens"].as_u64().context("no completion_tokens")?,
        })
    }

    fn by_anthropic(message: &Value) -> Result<Self> {
        let mut said = Self {
            text: String::new(),
            tools: Vec::new(),
            stop: string(&message["stop_reason"])?.to_owned(),
            input: message["usage"]["input_tokens"].as_u64().context("no input_tokens")?,
            output: message["usage"]["output_tokens"].as_u64().context("no output_tokens")?,
        };
        for block in message["content"].as_array().context("no content")? {
            match string(&block["type"])? {
                "text" => said.text.push_str(string(&block["text"])?),
                "tool_use" => {
                    let (id, name) = (string(&block["id"])?, string(&block["name"])?);
                    said.tools.push((id.to_owned(), name.to_owned(), block["input"].clone()));
                }
                other => bail!("an unexpected block: {other}"),
            }
        }
        Ok(said)
    }
}

fn string(value: &Value) -> Result<&str> {
    value.as_str().with_context(|| format!("not a string: {value}"))
}

/// The text of a content that is a string, or a list of parts.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => String::new(),
    }
}
