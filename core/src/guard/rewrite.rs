//! A body in which some texts are others.

use super::json::escape;

/// Keys whose values name and order things.
const STRUCTURE: [&str; 18] = [
    "role",
    "type",
    "model",
    "id",
    "name",
    "tool_call_id",
    "tool_use_id",
    "call_id",
    "toolUseId",
    "stop",
    "stop_sequences",
    "stopSequences",
    "service_tier",
    "media_type",
    "mimeType",
    "tool_choice",
    "effort",
    "format",
];

/// `body` with other texts in the places of some: strings that are such a text, and values whose JSON is. All else keeps its
/// bytes. None: it is no text.
///
/// Whether everything was found, and nothing else, is for the caller to see, by reading the new body. `spares`: what stands
/// under keys whose values are no text stays, though it is spelt so.
pub fn rewritten(body: &[u8], edits: &[(String, String)], spares: bool) -> Option<Vec<u8>> {
    let mut key = None;
    let mut rest = std::str::from_utf8(body).ok()?;
    let mut out = String::with_capacity(rest.len() + 64);
    while let Some(at) = rest.find(['"', '{', '[']) {
        let (before, here) = rest.split_at_checked(at)?;
        out.push_str(before);
        if !here.starts_with('"') {
            let whole =
                edits.iter().find(|(before, _)| before.len() > 2 && here.starts_with(before.as_str()));
            let (length, after) = whole.map_or((1, here.get(..1)?), |(before, after)| (before.len(), after));
            out.push_str(after);
            rest = here.get(length..)?;
            continue;
        }
        let length = string_length(here);
        let (token, after) = here.split_at_checked(length)?;
        let text = if after.trim_start().starts_with(':') {
            key = token.get(1..token.len().saturating_sub(1));
            None
        } else if spares && key.is_some_and(|key| STRUCTURE.contains(&key)) {
            None
        } else {
            gatelet_wire::json::from_str::<String>(token).ok()
        };
        match text.and_then(|text| edits.iter().find(|(before, _)| *before == text)) {
            Some((_, after)) => {
                out.push('"');
                escape(after, &mut out);
                out.push('"');
            }
            None => out.push_str(token),
        }
        rest = after;
    }
    out.push_str(rest);
    Some(out.into_bytes())
}

/// How long the string is that `json` begins with, its quotes included.
fn string_length(json: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            b'"' if !escaped => return at + 1,
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    json.len()
}
