//! Addresses as Google's clients write them: a resource's name, a colon, and what is asked of it.

use std::borrow::Cow;

use gatelet_wire::dialect::Addressed;
use gatelet_wire::{DialectId, Operation};

use crate::pipeline::Asking;

/// What a path asks of a model: `/v1beta/models/{model}:generateContent`, with `/gemini` before it or not, or as Vertex AI
/// has it, with a project, a location and a publisher.
pub(super) fn ask(segments: &[&str], query: Option<&str>) -> Option<Asking> {
    let segments = segments.strip_prefix(&["gemini"]).unwrap_or(segments);
    let (version, rest) = segments.split_first()?;
    if !matches!(*version, "v1" | "v1beta" | "v1beta1" | "v1alpha") {
        return None;
    }
    let rest = if let ["projects", _, "locations", _, rest @ ..] = rest { rest } else { rest };
    let (publisher, rest) = match rest {
        ["publishers", publisher, rest @ ..] => (Some(*publisher), rest),
        rest => (None, rest),
    };
    let (collection, name) = rest.split_first()?;
    let (name, method) =
        name.join("/").rsplit_once(':').map(|(name, method)| (name.to_owned(), method.to_owned()))?;
    let name = decoded(&name);
    let model = match (*collection, publisher) {
        ("models", None | Some("google")) => name.into_owned(),
        ("models", Some(publisher)) => format!("{publisher}/{name}"),
        ("tunedModels", None) => format!("tunedModels/{name}"),
        // A client that takes a name with a slash for a resource's whole name: `provider/model`.
        (collection, None) if !collection.is_empty() => format!("{}/{name}", decoded(collection)),
        _ => return None,
    };
    let (operation, stream) = match method.as_str() {
        "generateContent" => (Operation::Chat, false),
        "streamGenerateContent" => (Operation::Chat, true),
        "embedContent" | "batchEmbedContents" => (Operation::Embedding, false),
        "countTokens" => (Operation::TokenCount, false),
        _ => return None,
    };
    // Without this word the stream is one list.
    let events = query.is_some_and(|query| query.split('&').any(|pair| pair == "alt=sse"));
    let addressed = Addressed { model: Some(model), stream: Some(stream), list: stream && !events };
    Some(Asking { operation, dialect: DialectId::Gemini, addressed })
}

/// A name as it was before its path was written.
fn decoded(name: &str) -> Cow<'_, str> {
    if !name.contains('%') {
        return Cow::Borrowed(name);
    }
    // Forms write a space as a plus; paths do not.
    let pairs = format!("n={}", name.replace('+', "%2B").replace('&', "%26"));
    let decoded = form_urlencoded::parse(pairs.as_bytes()).next().map(|(_, value)| value.into_owned());
    decoded.map_or(Cow::Borrowed(name), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(path: &str, query: Option<&str>) -> Option<(String, bool, bool)> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let addressed = ask(&segments, query)?.addressed;
        Some((addressed.model?, addressed.stream?, addressed.list))
    }

    #[test]
    fn a_model_is_named_by_the_path_whatever_stands_in_its_name() {
        for (path, model) in [
            ("/v1beta/models/gemini-2.5-flash:generateContent", "gemini-2.5-flash"),
            ("/v1/models/openai/gpt-4o:generateContent", "openai/gpt-4o"),
            ("/gemini/v1beta/models/openai%2Fgpt-4o:generateContent", "openai/gpt-4o"),
            ("/v1beta/models/ollama/llama3:8b:generateContent", "ollama/llama3:8b"),
            ("/v1beta/models/a+b%2Bc%20d:generateContent", "a+b+c d"),
            ("/v1beta/tunedModels/mine:generateContent", "tunedModels/mine"),
            ("/v1beta/openai/gpt-4o:generateContent", "openai/gpt-4o"),
            (
                "/v1beta1/projects/p/locations/l/publishers/google/models/gemini-3-pro:generateContent",
                "gemini-3-pro",
            ),
            ("/v1beta1/publishers/openai/models/gpt-4o:generateContent", "openai/gpt-4o"),
        ] {
            assert_eq!(asked(path, None), Some((model.to_owned(), false, false)), "{path}");
        }
        assert_eq!(asked("/v1/models/gpt-4o", None), None);
        assert_eq!(asked("/v1beta/models/x:dance", None), None);
        assert_eq!(asked("/v1beta/files/x:download", None), None);
        assert_eq!(asked("/v1beta/publishers/google/endpoints/x:generateContent", None), None);
    }

    #[test]
    fn a_stream_is_a_list_unless_events_are_asked_for() {
        let path = "/v1beta/models/m:streamGenerateContent";
        assert_eq!(asked(path, Some("key=k&alt=sse")), Some(("m".to_owned(), true, false)));
        assert_eq!(asked(path, Some("alt=json")), Some(("m".to_owned(), true, true)));
        assert_eq!(asked(path, None), Some(("m".to_owned(), true, true)));
    }
}
