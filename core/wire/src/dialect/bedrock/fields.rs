//! `additionalModelRequestFields`: what a vendor's own models take beside the common words.

use crate::chat::{Reasoning, Request};
use crate::dialect::anthropic::limits::{Limits, Thinking};
use crate::dialect::turns::History;
use crate::object::{Object, ObjectWriter, object};
use crate::{Json, Loss, Malformed, TargetHints};

use super::HERE;
use super::family::Family;
use super::request::keep;

const FIELD: &str = "additionalModelRequestFields";

/// Reads those that other dialects have words for; the others are kept for this one.
pub(super) fn read_additional(object: &Object<'_>, request: &mut Request) -> Result<(), Malformed> {
    let Some(fields) = object.object(FIELD)? else { return Ok(()) };
    for (name, json) in fields.rest(&[], HERE).fields {
        let known = match name.as_str() {
            "thinking" | "reasoning_config" | "reasoningConfig" => read_thinking(&fields, &name, request)?,
            "reasoning_effort" => {
                let effort = fields.need(&name)?;
                request.reasoning.get_or_insert_default().effort = Some(effort);
                true
            }
            "top_k" | "topK" => {
                request.top_k = fields.count(&name)?;
                true
            }
            "inferenceConfig" => {
                // Nova's place for it.
                let config = fields.object(&name)?;
                let only =
                    config.as_ref().is_some_and(|config| config.rest(&["topK"], HERE).fields.is_empty());
                request.top_k = config.map(|config| config.count("topK")).transpose()?.flatten();
                only
            }
            "output_config" => {
                let config = fields.object(&name)?;
                let only =
                    config.as_ref().is_some_and(|config| config.rest(&["effort"], HERE).fields.is_empty());
                if let Some(effort) = config.map(|config| config.string("effort")).transpose()?.flatten()
                    && only
                {
                    let effort_only = request.reasoning.is_none();
                    let reasoning = request.reasoning.get_or_insert_default();
                    reasoning.effort_only = effort_only;
                    reasoning.effort.get_or_insert(effort);
                }
                only
            }
            _ => false,
        };
        if !known {
            keep(&mut request.extra, &format!("{FIELD}.{name}"), Some(json));
        }
    }
    Ok(())
}

/// Whether the mode of thinking is one that others know. Some models take a bare word for how hard they shall try.
fn read_thinking(fields: &Object<'_>, name: &str, request: &mut Request) -> Result<bool, Malformed> {
    match fields.raw(name).map(|raw| raw.get().as_bytes().first()) {
        Some(Some(b'"')) => {
            request.reasoning.get_or_insert_default().effort = fields.string(name)?;
            return Ok(true);
        }
        Some(Some(b'{')) | None => {}
        // Whatever it is, it is its model's own.
        Some(_) => return Ok(false),
    }
    let Some(thinking) = fields.object(name)? else { return Ok(true) };
    let mut reasoning = Reasoning { display: thinking.string("display")?, ..Reasoning::default() };
    match thinking.need("type")?.as_str() {
        "enabled" => {
            reasoning.budget_tokens = thinking.count("budget_tokens")?;
            reasoning.effort = thinking.string("maxReasoningEffort")?;
        }
        "adaptive" => reasoning.adaptive = true,
        "disabled" => reasoning.effort = Some("none".to_owned()),
        _ => return Ok(false),
    }
    let before = request.reasoning.take().and_then(|before| before.effort);
    reasoning.effort = reasoning.effort.or(before);
    request.reasoning = Some(reasoning);
    Ok(true)
}

/// How much may be generated and thought, and in which words.
#[derive(Debug, Default)]
pub(super) struct Additional {
    pub(super) max_tokens: Option<u64>,
    /// The common word for how hard a model tries.
    pub(super) effort: Option<String>,
    /// Whether the model will think, which excludes other wishes.
    pub(super) thinks: bool,
    /// It thinks by a budget, which forbids to force a tool.
    pub(super) budgeted: bool,
    fields: Vec<(String, Json)>,
}

impl Additional {
    pub(super) fn of(
        request: &Request,
        hints: &TargetHints,
        family: Family,
        history: History,
        loss: &mut Loss,
    ) -> Result<Self, Malformed> {
        let mut additional = Self { max_tokens: request.max_output_tokens, ..Self::default() };
        if let (Some(asked), Some(most)) = (request.max_output_tokens, hints.max_output_tokens)
            && asked > most
        {
            additional.max_tokens = Some(most);
            if family != Family::Claude {
                loss.note("max_tokens");
            }
        }
        let own = |name: &str| {
            let path = format!("{FIELD}.{name}");
            request.extra.of(HERE).iter().any(|(known, _)| *known == path)
        };
        match family {
            Family::Claude => {
                let own = own("thinking") || own("reasoning_config");
                let limits = Limits::of(request, hints, history, own, loss)?;
                additional.thinks = limits.thinks();
                additional.budgeted = matches!(limits.thinking, Thinking::Enabled { .. });
                // The room for thoughts is the only reason to say a cap that nobody asked for.
                if additional.max_tokens.is_some() || additional.budgeted {
                    additional.max_tokens = Some(limits.max_tokens);
                }
                let mut out = Vec::new();
                object(&mut out, |object| limits.write(object));
                additional.effort = limits.effort;
                if let Some(thinking) = written(&out).and_then(|json| field_of(&json, "thinking")) {
                    additional.fields.push(("thinking".to_owned(), thinking));
                }
            }
            Family::Nova
            | Family::GptOss
            | Family::Mistral
            | Family::Llama
            | Family::Qwen
            | Family::Other => {
                if let Some(reasoning) = &request.reasoning {
                    additional.think(reasoning, family, loss);
                }
            }
        }
        additional.top_k(request, hints, family, loss);
        Ok(additional)
    }

    fn think(&mut self, reasoning: &Reasoning, family: Family, loss: &mut Loss) {
        let effort = match (reasoning.effort.as_deref(), reasoning.budget_tokens) {
            (Some("none"), _) => return,
            (Some("minimal"), _) | (None, Some(0..=1024)) => "low",
            (Some("xhigh" | "max"), _) => "high",
            (Some(effort), _) => effort,
            (None, Some(1025..=2048)) => "medium",
            (None, _) => "high",
        };
        if reasoning.budget_tokens.is_some() {
            loss.note("reasoning.budget_tokens");
        }
        match family {
            Family::Nova => {
                self.thinks = true;
                let config = serde_json::json!({"type": "enabled", "maxReasoningEffort": effort});
                self.fields.push(("reasoningConfig".to_owned(), Json::of(&config)));
            }
            Family::GptOss => self.fields.push(("reasoning_effort".to_owned(), Json::of(&effort))),
            Family::Qwen => self.fields.push(("reasoning_config".to_owned(), Json::of(&effort))),
            // Behind a name that tells nothing the common word is the only one.
            Family::Other => self.effort = Some(effort.to_owned()),
            Family::Claude | Family::Mistral | Family::Llama => loss.note("reasoning"),
        }
    }

    fn top_k(&mut self, request: &Request, hints: &TargetHints, family: Family, loss: &mut Loss) {
        let Some(top_k) = request.top_k else { return };
        match family {
            Family::Claude | Family::Mistral if hints.sampling && !self.thinks => {
                self.fields.push(("top_k".to_owned(), Json::of(&top_k)));
            }
            Family::Nova => {
                let config = serde_json::json!({"topK": top_k});
                self.fields.push(("inferenceConfig".to_owned(), Json::of(&config)));
            }
            Family::Claude
            | Family::Mistral
            | Family::Llama
            | Family::Qwen
            | Family::GptOss
            | Family::Other => loss.note("top_k"),
        }
    }

    /// Writes them all, and what the caller said in this dialect's own words.
    pub(super) fn write(&self, object: &mut ObjectWriter<'_>, request: &Request) {
        let prefix = format!("{FIELD}.");
        let own = request.extra.of(HERE).iter();
        let own: Vec<_> = own
            .filter_map(|(name, json)| name.strip_prefix(&prefix).map(|name| (name, json)))
            .filter(|(name, _)| !self.fields.iter().any(|(known, _)| known == name))
            .collect();
        if self.fields.is_empty() && own.is_empty() {
            return;
        }
        object.object(FIELD, |object| {
            for (name, json) in &self.fields {
                object.json(name, json);
            }
            for (name, json) in own {
                object.json(name, json);
            }
        });
    }
}

/// JSON that a writer of ours made.
pub(super) fn written(bytes: &[u8]) -> Option<Json> {
    Json::parse(std::str::from_utf8(bytes).ok()?).ok()
}

fn field_of(json: &Json, name: &str) -> Option<Json> {
    crate::Fields::of(json.as_ref(), "").ok()?.present(name).map(Json::from)
}
