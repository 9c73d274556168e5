//! Tools in the shape of functions, for dialects that know no others.

use crate::chat::{Tool, ToolKind};
use crate::object::{ListWriter, Object};
use crate::{DialectId, Loss, Malformed, Restore};

use super::names::sent_name;

/// What a tool of free text takes instead.
const FREE_TEXT_SCHEMA: &str =
    r#"{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}"#;

/// A tool of free text takes it under a key.
pub(super) fn key_of(kind: ToolKind) -> Option<&'static str> {
    match kind {
        ToolKind::Function => None,
        ToolKind::Custom => Some(Restore::FREE_TEXT),
    }
}

/// The functions in `tools`.
pub(super) fn read(
    whole: &Object<'_>,
    strict: Option<bool>,
    here: DialectId,
) -> Result<Vec<Tool>, Malformed> {
    let tools = whole.items("tools")?.unwrap_or_default().into_iter().enumerate();
    tools
        .map(|(nth, raw)| {
            let tool = Object::of(raw, format!("tools[{nth}]"))?;
            let function = tool.object("function")?;
            let function =
                function.ok_or_else(|| Malformed::field(tool.path("function"), "an object with a name"))?;
            Ok(Tool::Function {
                name: function.name()?,
                description: function.string("description")?,
                parameters: function.object("parameters")?.and_then(|_| function.json("parameters")),
                strict,
                cache: None,
                extra: function.rest(&["name", "description", "parameters"], here),
            })
        })
        .collect()
}

/// One tool as a function. Strictness is for the caller to say, or to note.
pub(super) fn write(
    list: &mut ListWriter<'_>,
    tool: &Tool,
    here: DialectId,
    loss: &mut Loss,
    restore: &mut Restore,
) {
    let (name, kind, description) = match tool {
        Tool::Function { name, description, cache, extra, .. } => {
            loss.note_extra(extra, here, "tools.*");
            if cache.is_some() {
                loss.note("cache_control");
            }
            (name, ToolKind::Function, description)
        }
        Tool::Custom { name, description, format } => {
            if format.is_some() {
                loss.note("tools.*.format");
            }
            (name, ToolKind::Custom, description)
        }
        Tool::Foreign { .. } => return,
    };
    let sent = sent_name(name, kind, key_of(kind), restore);
    list.object(|object| {
        object.string("type", "function");
        object.object("function", |function| {
            function.string("name", &sent);
            if let Some(description) = description {
                function.string("description", description);
            }
            match tool {
                Tool::Function { parameters: Some(schema), .. } => function.json("parameters", schema),
                Tool::Custom { .. } => function.raw("parameters", FREE_TEXT_SCHEMA),
                Tool::Function { .. } | Tool::Foreign { .. } => {
                    function.raw("parameters", r#"{"type":"object","properties":{}}"#);
                }
            }
            if let Tool::Function { extra, .. } = tool {
                function.extra(extra, here);
            }
        });
    });
}
