//! The item of a stream that is open, and what it has come to so far.

use crate::Json;
use crate::chat::ToolKind;
use crate::object::{ListWriter, ObjectWriter, object};

/// The item that is open.
#[derive(Debug, Default)]
pub(super) enum Open {
    #[default]
    Nothing,
    Message(Message),
    Thought(Thought),
    Call(Call),
}

#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: String,
    /// The parts that are done, as the inside of a list.
    pub(super) parts: Vec<u8>,
    pub(super) count: u64,
    pub(super) part: Option<TextPart>,
    pub(super) phase: Option<Json>,
}

#[derive(Debug)]
pub(super) struct TextPart {
    pub(super) refusal: bool,
    pub(super) text: String,
    pub(super) annotations: Vec<Json>,
    /// The beginning of each delta, after its number.
    pub(super) place: String,
}

#[derive(Debug)]
pub(super) struct Thought {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) proof: String,
    pub(super) redacted: bool,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    /// The id that the tool's result names.
    pub(super) called: String,
    pub(super) name: String,
    pub(super) kind: ToolKind,
    pub(super) text: String,
    pub(super) namespace: Option<Json>,
}

impl Message {
    pub(super) fn fill(&self, item: &mut ObjectWriter<'_>, status: &str) {
        item.string("type", "message");
        item.string("id", &self.id);
        item.string("status", status);
        item.string("role", "assistant");
        if let Some(phase) = &self.phase {
            item.json("phase", phase);
        }
        item.bytes("content", |out| {
            out.push(b'[');
            out.extend_from_slice(&self.parts);
            out.push(b']');
        });
    }
}

impl TextPart {
    pub(super) fn write(&self, out: &mut Vec<u8>, logprobs: &[Json]) {
        let jsons = |list: &mut ListWriter<'_>, jsons: &[Json]| jsons.iter().for_each(|json| list.json(json));
        object(out, |part| {
            if self.refusal {
                part.string("type", "refusal");
                part.string("refusal", &self.text);
            } else {
                part.string("type", "output_text");
                part.list("annotations", |list| jsons(list, &self.annotations));
                part.list("logprobs", |list| jsons(list, logprobs));
                part.string("text", &self.text);
            }
        });
    }
}

impl Call {
    /// The events of its growth and its end, and the key of what it says.
    pub(super) fn events(&self) -> (&'static str, &'static str, &'static str) {
        match self.kind {
            ToolKind::Function => (
                "response.function_call_arguments.delta",
                "response.function_call_arguments.done",
                "arguments",
            ),
            ToolKind::Custom => {
                ("response.custom_tool_call_input.delta", "response.custom_tool_call_input.done", "input")
            }
        }
    }

    pub(super) fn fill(&self, item: &mut ObjectWriter<'_>, status: &str) {
        item.string(
            "type",
            match self.kind {
                ToolKind::Function => "function_call",
                ToolKind::Custom => "custom_tool_call",
            },
        );
        item.string("id", &self.id);
        item.string("call_id", &self.called);
        item.string("name", &self.name);
        if let Some(namespace) = &self.namespace {
            item.json("namespace", namespace);
        }
        item.string(self.events().2, &self.text);
        item.string("status", status);
    }
}
