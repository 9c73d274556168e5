//! A body in which some texts are others.

use super::json::escape;

/// `body` with other texts in the places of some: strings that are such a text, and values whose JSON is. All else keeps its
/// bytes. None: it is no text.
///
/// Whether everything was found is for the caller to see, by reading the new body.
pub fn rewritten(body: &[u8], edits: &[(String, String)]) -> Option<Vec<u8>> {
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
        let is_key = after.trim_start().starts_with(':');
        let text = (!is_key).then(|| gatelet_wire::json::from_str::<String>(token).ok()).flatten();
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
