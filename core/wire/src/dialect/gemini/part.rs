//! Parts, as they stand in requests; [`media`] also in answers.

use serde_json::value::RawValue;

use crate::chat::{Content, Extra, Part, Source, ToolCall, ToolKind, ToolResult};
use crate::object::Object;
use crate::source::standard_base64;
use crate::{DialectId, Json, Malformed};

use super::calls::Ids;
use super::proof::{self, Proof};

const HERE: DialectId = DialectId::Gemini;

const KNOWN: &[&str] =
    &["text", "thought", "thoughtSignature", "inlineData", "fileData", "functionCall", "functionResponse"];

/// Reads one part, which may be two: what proves a part stands as a thought before a call and after all else.
pub(super) fn read(raw: &RawValue, path: &str, ids: &mut Ids, out: &mut Vec<Part>) -> Result<(), Malformed> {
    let part = Object::of(raw, path)?.either_case();
    let thought = part.flag("thought")?.unwrap_or(false);
    let signature = part.string("thoughtSignature")?.filter(|signature| !signature.is_empty());
    let proof = signature.as_deref().map(proof::read);
    let mut extra = part.rest(KNOWN, HERE);
    let content = if let Some(text) = part.string("text")? {
        if thought {
            out.push(thinking(text, proof));
            return Ok(());
        }
        Content::Text { text, citations: Vec::new() }
    } else if thought {
        Content::Foreign { dialect: HERE, json: raw.into() }
    } else if let Some(data) = part.object("inlineData")? {
        let media_type = data.string("mimeType")?.unwrap_or_default();
        let bytes = standard_base64(&data.need("data")?);
        let bytes = bytes.ok_or_else(|| Malformed::field(data.path("data"), "base64"))?;
        media(
            Source::Base64 { media_type: media_type.clone(), data: bytes },
            &media_type,
            data.string("displayName")?,
        )
    } else if let Some(file) = part.object("fileData")? {
        let uri = file.need("fileUri")?;
        let media_type = file.string("mimeType")?;
        let source = if is_provided(&uri) { Source::File(uri.clone()) } else { Source::of_url(&uri) };
        let said = media_type.as_deref().or(media_type_of(&uri)).unwrap_or_default();
        if media_type.is_some() && media_type_of(&uri) != media_type.as_deref() {
            extra.dialect = Some(HERE);
            extra.fields.push(("fileData.mimeType".to_owned(), Json::of(&said)));
        }
        media(source, said, file.string("displayName")?)
    } else if let Some(call) = part.object("functionCall")? {
        sign(proof, out);
        out.push(Part { content: read_call(&call, ids)?, cache: None, extra });
        return Ok(());
    } else if let Some(result) = part.object("functionResponse")? {
        for (name, json) in result.rest(&["id", "name", "response", "parts"], HERE).fields {
            extra.dialect = Some(HERE);
            extra.fields.push((format!("functionResponse.{name}"), json));
        }
        Content::ToolResult(read_result(&result, ids)?)
    } else {
        Content::Foreign { dialect: HERE, json: raw.into() }
    };
    let foreign = matches!(content, Content::Foreign { .. });
    let empty = matches!(&content, Content::Text { text, .. } if text.is_empty());
    if !(empty && proof.is_some()) {
        out.push(Part { content, cache: None, extra: if foreign { Extra::default() } else { extra } });
    }
    if !foreign && let Some(proof) = proof {
        out.push(thinking(String::new(), Some(proof)));
    }
    Ok(())
}

fn thinking(text: String, proof: Option<Proof>) -> Part {
    Part::from(match proof {
        Some(Proof::Redacted(data)) => Content::RedactedThinking { data },
        Some(Proof::Signature(signature)) => Content::Thinking { text, signature: Some(signature) },
        None => Content::Thinking { text, signature: None },
    })
}

/// Proves the thought before a call, or stands for one.
fn sign(proof: Option<Proof>, out: &mut Vec<Part>) {
    let Some(proof) = proof else { return };
    if let (
        Proof::Signature(signature),
        Some(Part { content: Content::Thinking { signature: open @ None, .. }, .. }),
    ) = (&proof, out.last_mut())
    {
        *open = Some(signature.clone());
        return;
    }
    out.push(thinking(String::new(), Some(proof)));
}

fn read_call(call: &Object<'_>, ids: &mut Ids) -> Result<Content, Malformed> {
    let name = call.need("name")?;
    let arguments = match call.raw("args") {
        None => "{}".to_owned(),
        Some(args) if args.get().starts_with('{') => args.get().to_owned(),
        Some(_) => return Err(Malformed::field(call.path("args"), "an object")),
    };
    let id = ids.call(&name, call.string("id")?);
    Ok(Content::ToolCall(ToolCall { id, name, arguments, kind: ToolKind::Function }))
}

fn read_result(result: &Object<'_>, ids: &mut Ids) -> Result<ToolResult, Malformed> {
    let name = result.need("name")?;
    let call_id = ids.result(&name, result.string("id")?);
    let mut parts = Vec::new();
    let mut is_error = false;
    if let Some(response) = result.object("response")? {
        let only =
            |key: &str| response.rest(&[key], HERE).fields.is_empty().then(|| response.raw(key)).flatten();
        let error = only("error");
        is_error = error.is_some();
        let inner = error.or_else(|| ["result", "output", "content"].into_iter().find_map(only));
        let text = match inner {
            Some(inner) => match crate::json::string(inner) {
                Some(text) => text.into_owned(),
                None if is_error => inner.get().to_owned(),
                None => raw_text(result),
            },
            None => raw_text(result),
        };
        if !text.is_empty() {
            parts.push(Content::Text { text, citations: Vec::new() }.into());
        }
    }
    for (at, raw) in result.items("parts")?.unwrap_or_default().into_iter().enumerate() {
        let path = format!("{}[{at}]", result.path("parts"));
        read(raw, &path, &mut Ids::default(), &mut parts)?;
    }
    Ok(ToolResult { call_id, parts, is_error })
}

fn raw_text(result: &Object<'_>) -> String {
    result
        .raw("response")
        .map(RawValue::get)
        .filter(|text| !is_empty_object(text))
        .unwrap_or_default()
        .to_owned()
}

fn is_empty_object(json: &str) -> bool {
    let inner = json.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    inner.is_some_and(|inner| inner.trim().is_empty())
}

/// Whether the provider itself holds the file.
pub(super) fn is_provided(uri: &str) -> bool {
    uri.starts_with("https://generativelanguage.googleapis.com/") || uri.starts_with("files/")
}

/// A film that is told by its page.
pub(super) fn is_film(uri: &str) -> bool {
    ["https://www.youtube.com/", "https://youtube.com/", "https://youtu.be/"]
        .iter()
        .any(|place| uri.starts_with(place))
}

/// Media as what their type says.
pub(super) fn media(source: Source, media_type: &str, title: Option<String>) -> Content {
    let kind = media_type.split('/').next().unwrap_or_default();
    match kind {
        "image" => Content::Image { source, detail: None },
        "audio" => {
            // `audio/L16;rate=24000` and the like keep all that they say.
            let format = media_type.split_once('/').map(|(_, format)| format.to_owned());
            Content::Audio { source, format }
        }
        _ => Content::Document { source, title, context: None, citations: false },
    }
}

/// The type that the end of an address speaks of.
pub(super) fn media_type_of(uri: &str) -> Option<&'static str> {
    const ENDINGS: &[(&str, &str)] = &[
        ("png", "image/png"),
        ("jpg", "image/jpeg"),
        ("jpeg", "image/jpeg"),
        ("webp", "image/webp"),
        ("gif", "image/gif"),
        ("heic", "image/heic"),
        ("pdf", "application/pdf"),
        ("txt", "text/plain"),
        ("mp3", "audio/mp3"),
        ("wav", "audio/wav"),
        ("flac", "audio/flac"),
        ("ogg", "audio/ogg"),
        ("mp4", "video/mp4"),
        ("mov", "video/mov"),
        ("webm", "video/webm"),
    ];
    let path = uri.split(['?', '#']).next().unwrap_or(uri);
    let (_, ending) = path.rsplit_once('.')?;
    ENDINGS.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known)).map(|(_, media_type)| *media_type)
}

/// Media as a part; none for bytes that are no base64, which a reader would refuse.
pub(super) fn write_media(source: &Source, media_type: Option<&str>) -> Option<Json> {
    let digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    if matches!(source, Source::Base64 { data, .. } if !data.bytes().all(digit)) {
        return None;
    }
    let mut out = Vec::new();
    crate::object::object(&mut out, |part| match source {
        Source::Base64 { media_type, data } => inline(part, media_type, data),
        Source::Text { media_type, text } => {
            use base64::Engine;
            let data = base64::engine::general_purpose::STANDARD.encode(text);
            inline(part, media_type, &data);
        }
        Source::Url(uri) | Source::File(uri) => part.object("fileData", |file| {
            if let Some(media_type) = media_type.or(media_type_of(uri)) {
                file.string("mimeType", media_type);
            }
            file.string("fileUri", uri);
        }),
    });
    Some(Json::written(&out))
}

fn inline(part: &mut crate::object::ObjectWriter<'_>, media_type: &str, data: &str) {
    part.object("inlineData", |blob| {
        blob.string("mimeType", media_type);
        blob.string("data", data);
    });
}
