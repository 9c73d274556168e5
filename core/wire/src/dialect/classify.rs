//! What providers mean by their errors, where only their sentences tell.

use crate::{ErrorKind, UpstreamError};

/// The longest text that is taken over from a body that is no error object.
pub(super) const MOST_TEXT: usize = 500;
/// No hint is taken from a provider to come back later than in a day.
const MOST_SECONDS: u64 = 86_400;

impl UpstreamError {
    /// An error with what its words mean besides. An empty message: the provider said nothing.
    pub(crate) fn of(kind: ErrorKind, status: u16, code: Option<String>, message: String) -> Self {
        let message = if message.is_empty() {
            format!("the provider answered {status} and said nothing more")
        } else {
            message
        };
        Self {
            kind,
            status,
            context_window: is_context_window(code.as_deref(), &message),
            content_policy: is_content_policy(code.as_deref(), &message),
            code,
            message,
            param: None,
            retry_after: None,
        }
    }
}

/// The words of a body that is no error object: the start of its text. A page for browsers is no words.
pub(super) fn plain_text(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text == "{}" || text.starts_with('<') {
        return String::new();
    }
    text.chars().take(MOST_TEXT).collect()
}

/// Whole seconds of `34.074824224s`, rounded up.
pub(super) fn retry_delay(text: &str) -> Option<u64> {
    let text = text.strip_suffix('s')?;
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let more = part.bytes().any(|digit| digit != b'0');
    let seconds = whole.parse::<u64>().ok()?.saturating_add(u64::from(more));
    (seconds <= MOST_SECONDS).then_some(seconds)
}

/// What a status means where the body says nothing.
pub(super) fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        401 => ErrorKind::Authentication,
        402 => ErrorKind::Billing,
        403 => ErrorKind::Permission,
        404 => ErrorKind::NotFound,
        408 | 504 => ErrorKind::Timeout,
        409 => ErrorKind::Conflict,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::RateLimit,
        503 | 529 => ErrorKind::Overloaded,
        400..=499 => ErrorKind::InvalidRequest,
        _ => ErrorKind::Api,
    }
}

/// Whether an error says that the input is longer than the model takes.
///
/// Only the provider's own sentence counts: a prompt that is echoed in quotes or after a line break does not.
pub(super) fn is_context_window(code: Option<&str>, message: &str) -> bool {
    const SPELLINGS: &[&str] = &[
        "maximum context length is",
        "maximum context length of",
        "context_length_exceeded",
        "exceed context limit",
        "prompt is too long",
        "input is too long",
        "requested token count exceeds the model's maximum context length",
        "exceeds the maximum number of tokens allowed",
        "is longer than the model's context length",
        "input tokens exceed the configured limit",
        "exceeds the available context size",
        "`inputs` tokens + `max_new_tokens` must be",
        "exceeds the context window",
        "context window exceeded",
        "too many input tokens",
        "too many tokens",
    ];
    const PAIRS: &[(&str, &str)] = &[
        ("current length is", "while limit is"),
        ("maximum input length is", "tokens"),
        ("input too long:", "limit is"),
        ("prompt tokens (", "exceed model maximum"),
    ];
    if code == Some("context_length_exceeded") {
        return true;
    }
    let message = said(message);
    if code == Some("string_above_max_length")
        || (message.contains("invalid 'user'") && message.contains("string too long"))
    {
        return false;
    }
    SPELLINGS.iter().any(|spelling| message.contains(spelling))
        || PAIRS
            .iter()
            .any(|(first, then)| message.split_once(first).is_some_and(|(_, rest)| rest.contains(then)))
}

/// Whether an error says that the provider's content policy refused the request or the answer.
pub(super) fn is_content_policy(code: Option<&str>, message: &str) -> bool {
    const CODES: &[&str] = &[
        "content_policy_violation",
        "content_filter",
        "ResponsibleAIPolicyViolation",
        "invalid_prompt",
        "bio_policy",
        "misalignment_policy_violation",
        "image_content_policy_violation",
    ];
    const SPELLINGS: &[&str] = &[
        "the response was filtered due to the prompt triggering",
        "rejected as a result of our safety system",
        "task failed as a result of our safety system",
        "the model produced invalid content",
        "content_filter_policy",
        "content filtering policy",
    ];
    let message = said(message);
    code.is_some_and(|code| CODES.contains(&code))
        || SPELLINGS.iter().any(|spelling| message.contains(spelling))
}

/// The first line in lower case, without what stands in double quotes.
fn said(message: &str) -> String {
    let line = message.trim().lines().next().unwrap_or_default();
    line.split('"').step_by(2).collect::<Vec<_>>().join("\"").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dozen_spellings_of_a_full_context_window_are_known() {
        for message in [
            "This model's maximum context length is 8192 tokens. However, you requested 9000 tokens.",
            "prompt is too long: 210000 tokens > 200000 maximum",
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
            "Input is too long for requested model.",
            "The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).",
            "The prompt is longer than the model's context length",
            "Input tokens exceed the configured limit of 272000 tokens.",
            "the request exceeds the available context size, try increasing it",
            "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096.",
            "Please reduce the length of the messages. Current length is 9000 while limit is 8192",
            "maximum input length is 8191 tokens",
            "Input too long: 9000 input tokens, limit is 8000",
            "prompt tokens (9001) exceed model maximum (8000)",
            "Too many input tokens",
        ] {
            assert!(is_context_window(None, message), "{message}");
        }
        assert!(is_context_window(Some("context_length_exceeded"), ""));
    }

    #[test]
    fn other_long_strings_and_echoed_prompts_are_no_full_context_window() {
        assert!(!is_context_window(Some("string_above_max_length"), "too many tokens"));
        assert!(!is_context_window(None, "Invalid 'user': string too long. Too many tokens"));
        assert!(!is_context_window(None, "Invalid value: \"prompt is too long\" is no role"));
        assert!(!is_context_window(None, "Invalid message:\nuser said prompt is too long"));
        assert!(!is_context_window(None, "Rate limit reached: 30000 tokens per minute"));
    }

    #[test]
    fn refusals_by_policy_are_known_by_code_and_by_words() {
        assert!(is_content_policy(Some("content_filter"), ""));
        assert!(is_content_policy(None, "Your request was rejected as a result of our safety system."));
        assert!(is_content_policy(None, "Output blocked by content filtering policy"));
        assert!(!is_content_policy(Some("invalid_request_error"), "unknown parameter"));
    }
}
