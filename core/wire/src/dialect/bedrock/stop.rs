//! Reasons to stop.

use crate::Loss;
use crate::chat::Stop;

/// The words that this dialect has for it.
const WORDS: &[&str] = &[
    "end_turn",
    "tool_use",
    "max_tokens",
    "stop_sequence",
    "guardrail_intervened",
    "content_filtered",
    "malformed_model_output",
    "malformed_tool_use",
    "model_context_window_exceeded",
];

/// What `reason` means; `sequence` is the one that matched, where the model's own fields say it.
pub(super) fn read(reason: &str, sequence: Option<String>) -> Stop {
    match reason {
        "end_turn" => Stop::EndTurn,
        "stop_sequence" => Stop::Sequence(sequence),
        "max_tokens" => Stop::MaxTokens,
        "model_context_window_exceeded" => Stop::ContextWindow,
        "tool_use" => Stop::ToolUse,
        "guardrail_intervened" | "content_filtered" => Stop::Refusal,
        other => Stop::Other(other.to_owned()),
    }
}

/// The word for `stop`.
pub(super) fn word(stop: &Stop, loss: &mut Loss) -> &'static str {
    match stop {
        Stop::EndTurn => "end_turn",
        Stop::Sequence(_) => "stop_sequence",
        Stop::MaxTokens => "max_tokens",
        Stop::ContextWindow => "model_context_window_exceeded",
        Stop::ToolUse => "tool_use",
        Stop::Refusal => "content_filtered",
        // The answer is not complete, and `end_turn` would say that it is.
        Stop::Pause => {
            loss.note("stop_reason");
            "max_tokens"
        }
        Stop::Other(word) => {
            let known = WORDS.iter().find(|known| *known == word);
            known.copied().unwrap_or_else(|| {
                loss.note("stop_reason");
                "end_turn"
            })
        }
    }
}
