//! Datadog's own test agent: it takes what Datadog's tracers and OpenTelemetry send, reads it with their libraries, and tells what it has read.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Call;
use crate::host::process::{Process, free_address};
use crate::sdk::installed;
use crate::world::nanos;

/// A running agent. It is stopped when dropped.
#[derive(Debug)]
pub struct Agent {
    datadog: SocketAddr,
    otlp: SocketAddr,
    process: Process,
    _folder: TempDir,
}

/// What a receiver was told of one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub input: u64,
    pub output: u64,
    /// Nano-dollars.
    pub cost: u64,
}

impl Agent {
    pub async fn start() -> Result<Self> {
        let (datadog, otlp, grpc) = (free_address()?, free_address()?, free_address()?);
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(installed(".tools/venv-sinks/bin/ddapm-test-agent")?);
        command
            .args(["--host", "127.0.0.1", "--log-level", "ERROR", "--disable-llmobs-data-forwarding"])
            .args(["--port", &datadog.port().to_string()])
            .args(["--otlp-http-port", &otlp.port().to_string()])
            .args(["--otlp-grpc-port", &grpc.port().to_string()])
            .current_dir(folder.path());
        let mut process = Process::start(&mut command, &folder.path().join("log"))?;
        for address in [datadog, otlp] {
            process.until_ready(address, "/test/session/requests", Duration::from_mins(1)).await?;
        }
        Ok(Self { datadog, otlp, process, _folder: folder })
    }

    /// Sinks that tell it all: of the kind `otlp` and of the kind `datadog`.
    pub fn sinks(&self) -> String {
        format!(
            "  otel: {{ kind: otlp, url: \"http://{}\" }}\n  dd: {{ kind: datadog, url: \"http://{}/evp_proxy/v4\", key: none }}\n",
            self.otlp, self.datadog
        )
    }

    /// What OpenTelemetry was told of each request, by its id; where it was told twice, the same both times.
    pub async fn traced(&self) -> Result<BTreeMap<String, Vec<Told>>> {
        let traces = Call::new(self.otlp, Method::GET, "/test/session/traces").expect(200).await?;
        let mut told: BTreeMap<String, Vec<Told>> = BTreeMap::new();
        let exports = list(&traces).flat_map(|export| list(&export["resource_spans"]));
        let scopes = exports.flat_map(|of_resource| list(&of_resource["scope_spans"]));
        for span in scopes.flat_map(|of_scope| list(&of_scope["spans"])) {
            // Attempts have no cost: nobody is to count it twice.
            let Some(cost) = attribute(span, "gatelet.cost") else { continue };
            let number = |name: &str| attribute(span, name).unwrap_or_default().parse();
            let id = attribute(span, "gatelet.id").with_context(|| format!("no id in {span}"))?;
            told.entry(id.to_owned()).or_default().push(Told {
                input: number("gen_ai.usage.input_tokens")?,
                output: number("gen_ai.usage.output_tokens")?,
                cost: nanos(cost)?,
            });
        }
        Ok(told)
    }

    /// What LLM Observability was told of each request, by its id.
    pub async fn observed(&self) -> Result<BTreeMap<String, Vec<Told>>> {
        let requests = Call::new(self.datadog, Method::GET, "/test/session/requests").expect(200).await?;
        let mut told: BTreeMap<String, Vec<Told>> = BTreeMap::new();
        for request in requests.as_array().context("no list")? {
            if !request["url"].as_str().is_some_and(|url| url.ends_with("/api/v2/llmobs")) {
                continue;
            }
            let body = STANDARD.decode(request["body"].as_str().unwrap_or_default())?;
            let events: Value = serde_json::from_slice(&body)?;
            let spans =
                events.as_array().context("no events")?.iter().filter_map(|event| event["spans"].as_array());
            for span in spans.flatten() {
                let id = span["meta"]["metadata"]["gatelet_id"].as_str().context("no id")?;
                let number = |name: &str| {
                    span["metrics"][name].as_u64().with_context(|| format!("`{name}` of {span}"))
                };
                told.entry(id.to_owned()).or_default().push(Told {
                    input: number("input_tokens")?,
                    output: number("output_tokens")?,
                    cost: number("total_cost")?,
                });
            }
        }
        Ok(told)
    }

    /// What it has read of OpenTelemetry's `logs` or `metrics`.
    pub async fn otlp(&self, signal: &str) -> Result<Value> {
        Call::new(self.otlp, Method::GET, &format!("/test/session/{signal}")).expect(200).await
    }

    pub fn log(&self) -> String {
        self.process.tail()
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// An attribute's text or number, as protocol buffers are in JSON.
fn attribute<'s>(span: &'s Value, name: &str) -> Option<&'s str> {
    let all = span["attributes"].as_array()?;
    let value = &all.iter().find(|pair| pair["key"] == name)?["value"];
    value["string_value"].as_str().or_else(|| value["int_value"].as_str())
}
