//! The other clients that applications use: each asks, streams and is told of a tool call, unchanged but for its base URL.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::Scenario;
use crate::check_eq;
use crate::sdk::Vendor;
use crate::upstream::{Dialect, Reply};
use crate::world::{World, cost, model};

/// A client, and the words in which it asks.
#[derive(Debug, Clone, Copy)]
struct Client {
    name: &'static str,
    vendor: Vendor,
    /// What follows the gateway's own address in its base URL.
    base: &'static str,
    form: Form,
}

/// How a client takes its arguments and gives its answers.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// `chat.completions` of the openai packages.
    Chat,
    /// `messages` of the anthropic packages.
    Messages,
    /// `responses` of the openai packages.
    Responses,
    /// The AI SDK with one of its providers.
    AiSdk(&'static str),
    Langchain,
    /// Version 2 of the cohere package.
    Cohere,
    Ollama,
    /// `models` of the google-genai package.
    Google,
}

const CLIENTS: &[Client] = &[
    Client { name: "openai_node", vendor: Vendor::OpenAiNode, base: "/v1", form: Form::Chat },
    Client {
        name: "anthropic_node",
        vendor: Vendor::AnthropicNode,
        base: "/anthropic",
        form: Form::Messages,
    },
    Client { name: "ai_sdk_openai", vendor: Vendor::AiSdk, base: "/v1", form: Form::AiSdk("openai") },
    Client { name: "ai_sdk_anthropic", vendor: Vendor::AiSdk, base: "/v1", form: Form::AiSdk("anthropic") },
    Client {
        name: "ai_sdk_openai_compatible",
        vendor: Vendor::AiSdk,
        base: "/v1",
        form: Form::AiSdk("openai-compatible"),
    },
    Client {
        name: "ai_sdk_openai_responses",
        vendor: Vendor::AiSdk,
        base: "/v1",
        form: Form::AiSdk("openai-responses"),
    },
    Client {
        name: "ai_sdk_open_responses",
        vendor: Vendor::AiSdk,
        base: "/v1",
        form: Form::AiSdk("open-responses"),
    },
    Client { name: "ai_sdk_google", vendor: Vendor::AiSdk, base: "/v1beta", form: Form::AiSdk("google") },
    Client { name: "google", vendor: Vendor::Google, base: "", form: Form::Google },
    Client { name: "openai_node_responses", vendor: Vendor::OpenAiNode, base: "/v1", form: Form::Responses },
    Client { name: "langchain_openai", vendor: Vendor::Langchain, base: "/v1", form: Form::Langchain },
    Client { name: "cohere", vendor: Vendor::Cohere, base: "", form: Form::Cohere },
    Client { name: "ollama", vendor: Vendor::Ollama, base: "", form: Form::Ollama },
];

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut scenarios = Vec::new();
    for &client in CLIENTS {
        // Both kinds of upstream: one lane passes bytes on, the other writes them anew.
        for upstream in [Dialect::OpenAi, Dialect::Anthropic] {
            let behind = if upstream == Dialect::OpenAi { "openai" } else { "anthropic" };
            let name = |what: &str| format!("{}_{what}_an_{behind}_model", client.name);
            scenarios.push(Scenario::new(name("asks"), move |world| {
                Box::pin(text(world, client, upstream, false))
            }));
            scenarios.push(Scenario::new(name("streams"), move |world| {
                Box::pin(text(world, client, upstream, true))
            }));
            scenarios.push(Scenario::new(name("is_told_of_a_tool_by"), move |world| {
                Box::pin(tool(world, client, upstream))
            }));
        }
    }
    scenarios
}

async fn text(world: Arc<World>, client: Client, upstream: Dialect, streamed: bool) -> Result<()> {
    let script = client.script(if streamed { "stream" } else { "whole" });
    world.upstream.script(&script, [Reply::text(["Grüße, ", "世界", " 👋🏽", "!"]).usage(11, 7).into()]);
    let said = client.ask(&world, upstream, &script, streamed, None, cost(11, 7)).await?;
    check_eq!(said.text, "Grüße, 世界 👋🏽!");
    check_eq!((said.input, said.output), (11, 7));
    Ok(())
}

async fn tool(world: Arc<World>, client: Client, upstream: Dialect) -> Result<()> {
    let script = client.script("tool");
    let reply =
        Reply::text(["Let me look."]).and_tool("call_a1", "weather", &["", "{\"city\":", "\"Zü", "rich\"}"]);
    world.upstream.script(&script, [reply.usage(40, 20).into()]);
    let schema = json!({
        "type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false,
    });
    let said = client.ask(&world, upstream, &script, true, Some(&schema), cost(40, 20)).await?;
    check_eq!(said.text, "Let me look.");
    check_eq!(said.tool, Some(("weather".to_owned(), json!({"city": "Zürich"}))));
    Ok(())
}

/// What a client made of an answer.
#[derive(Debug)]
struct Said {
    text: String,
    tool: Option<(String, Value)>,
    input: u64,
    output: u64,
}

impl Client {
    fn script(self, what: &str) -> String {
        format!("{}-{what}", self.name.replace('_', "-"))
    }

    /// Asks with a key of its own, whose books must then say `cost`.
    async fn ask(
        self,
        world: &World,
        upstream: Dialect,
        script: &str,
        streamed: bool,
        tool: Option<&Value>,
        cost: u64,
    ) -> Result<Said> {
        let key = world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await?;
        let base = format!("{}{}", world.host.base(), self.base);
        let (method, arguments) = self.form.arguments(&model(upstream, script), streamed, tool);
        let answer = world.sdk.call(self.vendor, &base, &key.secret, &method, arguments).await?;
        ensure!(answer["error"].is_null(), "the client threw: {}", answer["error"]);
        let said = self.form.read(&answer).with_context(|| answer.to_string())?;
        check_eq!(world.closed_books(&key).await?.spent, cost);
        Ok(said)
    }
}

impl Form {
    /// The method to call, and its arguments.
    fn arguments(self, model: &str, streamed: bool, schema: Option<&Value>) -> (String, Value) {
        let about = "The temperature in a city.";
        let messages = json!([{"role": "user", "content": "How cold is Zürich?"}]);
        let verb = if streamed { "stream" } else { "create" };
        match self {
            Self::Chat => {
                let mut arguments =
                    json!({"model": model, "messages": messages, "max_completion_tokens": 100});
                if streamed {
                    arguments["stream_options"] = json!({"include_usage": true});
                }
                if let Some(schema) = schema {
                    let function = json!({"name": "weather", "description": about, "parameters": schema});
                    arguments["tools"] = json!([{"type": "function", "function": function}]);
                }
                (format!("chat.completions.{verb}"), arguments)
            }
            Self::Messages => {
                let mut arguments = json!({"model": model, "messages": messages, "max_tokens": 100});
                if let Some(schema) = schema {
                    arguments["tools"] =
                        json!([{"name": "weather", "description": about, "input_schema": schema}]);
                }
                (format!("messages.{verb}"), arguments)
            }
            Self::Responses => {
                let mut arguments = json!({"model": model, "input": "How cold is Zürich?", "max_output_tokens": 100, "store": false});
                if let Some(schema) = schema {
                    let declared = json!({"type": "function", "name": "weather", "description": about, "parameters": schema});
                    arguments["tools"] = json!([declared]);
                }
                (format!("responses.{verb}"), arguments)
            }
            Self::AiSdk(provider) => {
                let mut arguments = json!({"provider": provider, "model": model, "messages": messages, "maxOutputTokens": 100});
                if let Some(schema) = schema {
                    arguments["tools"] = json!({"weather": {"description": about, "schema": schema}});
                }
                (if streamed { "streamText" } else { "generateText" }.to_owned(), arguments)
            }
            Self::Langchain => {
                let mut arguments =
                    json!({"model": {"model": model, "stream_usage": true}, "input": "How cold is Zürich?"});
                if let Some(schema) = schema {
                    let function = json!({"name": "weather", "description": about, "parameters": schema});
                    arguments["tools"] = json!([{"type": "function", "function": function}]);
                }
                (if streamed { "stream" } else { "invoke" }.to_owned(), arguments)
            }
            Self::Cohere => {
                let mut arguments = json!({"model": model, "messages": messages, "max_tokens": 100});
                if let Some(schema) = schema {
                    let function = json!({"name": "weather", "description": about, "parameters": schema});
                    arguments["tools"] = json!([{"type": "function", "function": function}]);
                }
                (if streamed { "chat_stream" } else { "chat" }.to_owned(), arguments)
            }
            Self::Ollama => {
                let mut arguments = json!({"model": model, "messages": messages, "stream": streamed, "options": {"num_predict": 100}});
                if schema.is_some() {
                    // Its own types know no `additionalProperties`.
                    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
                    let function = json!({"name": "weather", "description": about, "parameters": schema});
                    arguments["tools"] = json!([{"type": "function", "function": function}]);
                }
                ("chat".to_owned(), arguments)
            }
            Self::Google => {
                let mut config = json!({"max_output_tokens": 100});
                if let Some(schema) = schema {
                    let declared =
                        json!({"name": "weather", "description": about, "parameters_json_schema": schema});
                    config["tools"] = json!([{"function_declarations": [declared]}]);
                }
                let arguments = json!({"model": model, "contents": "How cold is Zürich?", "config": config});
                let method = if streamed { "generate_content_stream" } else { "generate_content" };
                (method.to_owned(), arguments)
            }
        }
    }

    fn read(self, answer: &Value) -> Result<Said> {
        let whole = if answer["final"].is_null() { &answer["result"] } else { &answer["final"] };
        match self {
            Self::Chat => {
                let message = &whole["choices"][0]["message"];
                let call = &message["tool_calls"][0]["function"];
                Said::new(
                    message["content"].as_str(),
                    call["name"].as_str().zip(call["arguments"].as_str()),
                    &whole["usage"],
                    ["prompt_tokens", "completion_tokens"],
                )
            }
            Self::Messages => {
                let block = |kind: &str| {
                    whole["content"].as_array().into_iter().flatten().find(|block| block["type"] == kind)
                };
                let input = block("tool_use").map(|call| call["input"].to_string());
                let name = block("tool_use").and_then(|call| call["name"].as_str());
                Said::new(
                    block("text").and_then(|block| block["text"].as_str()),
                    name.zip(input.as_deref()),
                    &whole["usage"],
                    ["input_tokens", "output_tokens"],
                )
            }
            Self::Responses => {
                let item = |kind: &str| {
                    whole["output"].as_array().into_iter().flatten().find(|item| item["type"] == kind)
                };
                let call = item("function_call");
                let name = call.and_then(|call| call["name"].as_str());
                Said::new(
                    item("message").and_then(|message| message["content"][0]["text"].as_str()),
                    name.zip(call.and_then(|call| call["arguments"].as_str())),
                    &whole["usage"],
                    ["input_tokens", "output_tokens"],
                )
            }
            Self::AiSdk(_) => {
                let call = &whole["tool_calls"][0];
                let input = call["input"].to_string();
                Said::new(
                    whole["text"].as_str(),
                    call["name"].as_str().map(|name| (name, input.as_str())),
                    &whole["usage"],
                    ["inputTokens", "outputTokens"],
                )
            }
            Self::Langchain => Self::read_langchain(answer),
            Self::Cohere => Self::read_cohere(answer),
            Self::Ollama => Self::read_ollama(answer),
            Self::Google => Self::read_google(answer),
        }
    }

    fn read_cohere(answer: &Value) -> Result<Said> {
        let mut text = String::new();
        let (mut name, mut arguments) = (None, String::new());
        let mut usage = &answer["result"]["usage"];
        let message = &answer["result"]["message"];
        let items = message["content"].as_array().into_iter().flatten();
        text.extend(items.filter_map(|item| item["text"].as_str()));
        if let Some(call) = message["tool_calls"].get(0) {
            name = call["function"]["name"].as_str();
            arguments.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
        }
        for event in answer["events"].as_array().into_iter().flatten() {
            let message = &event["delta"]["message"];
            match event["type"].as_str().unwrap_or_default() {
                "content-delta" => text.push_str(message["content"]["text"].as_str().unwrap_or_default()),
                "tool-call-start" => name = message["tool_calls"]["function"]["name"].as_str(),
                "tool-call-delta" => {
                    let more = message["tool_calls"]["function"]["arguments"].as_str();
                    arguments.push_str(more.unwrap_or_default());
                }
                "message-end" => usage = &event["delta"]["usage"],
                _ => {}
            }
        }
        // Its types hold counts as floats.
        let billed = |name: &str| usage["billed_units"][name].as_f64().map(|count| count.to_string());
        let count = |name: &str| billed(name).and_then(|count| count.parse::<u64>().ok());
        let usage = json!({"input": count("input_tokens"), "output": count("output_tokens")});
        Said::new(Some(&text), name.map(|name| (name, arguments.as_str())), &usage, ["input", "output"])
    }

    fn read_ollama(answer: &Value) -> Result<Said> {
        let result = std::slice::from_ref(&answer["result"]);
        let lines = answer["events"].as_array().map_or(result, Vec::as_slice);
        let text: String = lines.iter().filter_map(|line| line["message"]["content"].as_str()).collect();
        let call =
            lines.iter().find_map(|line| line["message"]["tool_calls"].get(0)).map(|call| &call["function"]);
        let arguments = call.map(|call| call["arguments"].to_string());
        let name = call.and_then(|call| call["name"].as_str());
        let last = lines.last().context("no lines")?;
        Said::new(Some(&text), name.zip(arguments.as_deref()), last, ["prompt_eval_count", "eval_count"])
    }

    /// The same object, whole or in pieces; the last one has the usage.
    fn read_google(answer: &Value) -> Result<Said> {
        let result = std::slice::from_ref(&answer["result"]);
        let chunks = answer["events"].as_array().map_or(result, Vec::as_slice);
        let parts = || {
            chunks.iter().filter_map(|chunk| chunk["candidates"][0]["content"]["parts"].as_array()).flatten()
        };
        let text: String = parts().filter_map(|part| part["text"].as_str()).collect();
        let call = parts().map(|part| &part["function_call"]).find(|call| !call.is_null());
        let arguments = call.map(|call| call["args"].to_string());
        let name = call.and_then(|call| call["name"].as_str());
        let usage = chunks.last().map_or(&Value::Null, |chunk| &chunk["usage_metadata"]);
        Said::new(
            Some(&text),
            name.zip(arguments.as_deref()),
            usage,
            ["prompt_token_count", "candidates_token_count"],
        )
    }

    /// A stream is chunks, which its users add up.
    fn read_langchain(answer: &Value) -> Result<Said> {
        let result = std::slice::from_ref(&answer["result"]);
        let chunks = answer["events"].as_array().map_or(result, Vec::as_slice);
        let text: String = chunks.iter().filter_map(|chunk| chunk["content"].as_str()).collect();
        let calls =
            || chunks.iter().flat_map(|chunk| chunk["tool_call_chunks"].as_array().into_iter().flatten());
        let arguments: String = calls().filter_map(|call| call["args"].as_str()).collect();
        let name = calls().find_map(|call| call["name"].as_str());
        let usage = chunks.iter().map(|chunk| &chunk["usage_metadata"]).find(|usage| !usage.is_null());
        Said::new(
            Some(&text),
            name.map(|name| (name, arguments.as_str())),
            usage.unwrap_or(&Value::Null),
            ["input_tokens", "output_tokens"],
        )
    }
}

impl Said {
    fn new(text: Option<&str>, call: Option<(&str, &str)>, usage: &Value, names: [&str; 2]) -> Result<Self> {
        let [input, output] = names.map(|name| usage[name].as_u64().with_context(|| format!("no `{name}`")));
        let tool =
            call.map(|(name, arguments)| anyhow::Ok((name.to_owned(), serde_json::from_str(arguments)?)));
        Ok(Self {
            text: text.context("no text")?.to_owned(),
            tool: tool.transpose()?,
            input: input?,
            output: output?,
        })
    }
}
