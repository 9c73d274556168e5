//! Words for kinds of media, and where their bytes are.

use crate::chat::Source;
use crate::object::{Object, ObjectWriter};
use crate::source::{decoded, sniffed, standard_base64};
use crate::{Json, Malformed};

use super::HERE;
use crate::chat::Extra;

const IMAGES: &[(&str, &str)] =
    &[("png", "image/png"), ("jpeg", "image/jpeg"), ("gif", "image/gif"), ("webp", "image/webp")];

const DOCUMENTS: &[(&str, &str)] = &[
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
];

const AUDIO: &[(&str, &str)] = &[
    ("mp3", "audio/mpeg"),
    ("mp3", "audio/mp3"),
    ("wav", "audio/wav"),
    ("wav", "audio/x-wav"),
    ("opus", "audio/opus"),
    ("aac", "audio/aac"),
    ("x-aac", "audio/x-aac"),
    ("flac", "audio/flac"),
    ("mp4", "audio/mp4"),
    ("m4a", "audio/m4a"),
    ("ogg", "audio/ogg"),
    ("mkv", "audio/x-matroska"),
    ("mka", "audio/mka"),
    ("mpeg", "audio/mpeg"),
    ("mpga", "audio/mpga"),
    ("pcm", "audio/pcm"),
    ("pcm", "audio/L16"),
    ("webm", "audio/webm"),
];

/// What sort of media a block holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Image,
    Document,
    Audio,
}

impl Kind {
    fn table(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Image => IMAGES,
            Self::Document => DOCUMENTS,
            Self::Audio => AUDIO,
        }
    }

    /// The media type of a format.
    pub(super) fn media_type(self, format: &str) -> String {
        let known = self.table().iter().find(|(known, _)| *known == format).map(|(_, media)| *media);
        known.map_or_else(|| format!("application/{format}"), str::to_owned)
    }

    /// A format by the word that somebody has for it, if it is one of this dialect's.
    pub(super) fn known(self, format: &str) -> Option<&'static str> {
        self.table().iter().find(|(known, _)| *known == format).map(|(known, _)| *known)
    }

    /// The format of a media type, without its parameters.
    pub(super) fn format(self, media_type: &str) -> Option<&'static str> {
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let media_type = if media_type == "image/jpg" { "image/jpeg" } else { media_type };
        self.table().iter().find(|(_, known)| *known == media_type).map(|(format, _)| *format)
    }
}

/// Reads the `source` of a block, and what of it only this dialect knows; none for a kind of source that is not known.
pub(super) fn read_source(
    block: &Object<'_>,
    kind: Kind,
    format: Option<&str>,
) -> Result<Option<(Source, Extra)>, Malformed> {
    let source =
        block.object("source")?.ok_or_else(|| Malformed::field(block.path("source"), "an object"))?;
    let media_type = format.map(|format| kind.media_type(format));
    if let Some(data) = source.string("bytes")? {
        let data = standard_base64(&data).filter(|data| !data.is_empty());
        let data = data.ok_or_else(|| Malformed::field(source.path("bytes"), "base64"))?;
        let media_type = media_type.or_else(|| sniffed(&data).map(str::to_owned));
        let media_type = media_type.unwrap_or_else(|| "application/octet-stream".to_owned());
        return Ok(Some((Source::Base64 { media_type, data }, Extra::default())));
    }
    if let Some(place) = source.object("s3Location")? {
        let mut extra = Extra::default();
        if let Some(owner) = place.json("bucketOwner") {
            extra = Extra { dialect: Some(HERE), fields: vec![(OWNER.to_owned(), owner)] };
        }
        return Ok(Some((Source::Url(place.need("uri")?), extra)));
    }
    let media_type = media_type.unwrap_or_else(|| "text/plain".to_owned());
    if let Some(text) = source.string("text")? {
        return Ok(Some((Source::Text { media_type, text }, Extra::default())));
    }
    let Some(pieces) = source.items("content")? else { return Ok(None) };
    let mut texts = Vec::with_capacity(pieces.len());
    for (at, piece) in pieces.into_iter().enumerate() {
        texts.push(Object::of(piece, format!("{}[{at}]", source.path("content")))?.need("text")?);
    }
    Ok(Some((Source::Text { media_type, text: texts.join("\n\n") }, Extra::default())))
}

/// The name of the field that says whose bucket it is.
pub(super) const OWNER: &str = "s3Location.bucketOwner";

/// Where the bytes of media are, in this dialect's words.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Place {
    /// In base64.
    Bytes(String),
    S3 {
        uri: String,
        owner: Option<Json>,
    },
    Text(String),
}

impl Place {
    /// Bytes in base64, as this vendor's clients take them: what is none is refused here, with its place.
    pub(super) fn bytes(data: &str, path: &str) -> Result<Self, Malformed> {
        let data = standard_base64(data).filter(|data| !data.is_empty());
        data.map(Self::Bytes).ok_or_else(|| Malformed::field(path, "base64"))
    }

    pub(super) fn s3(uri: &str, extra: &Extra) -> Option<Self> {
        let owner = extra.of(HERE).iter().find(|(name, _)| name == OWNER).map(|(_, json)| json.clone());
        uri.starts_with("s3://").then(|| Self::S3 { uri: uri.to_owned(), owner })
    }

    pub(super) fn write(&self, object: &mut ObjectWriter<'_>) {
        object.object("source", |object| match self {
            Self::Bytes(data) => object.string("bytes", data),
            Self::Text(text) => object.string("text", text),
            Self::S3 { uri, owner } => object.object("s3Location", |object| {
                object.string("uri", uri);
                if let Some(owner) = owner {
                    object.json("bucketOwner", owner);
                }
            }),
        });
    }
}

/// What the bytes are, which beats what they are called.
pub(super) fn true_type<'a>(media_type: &'a str, data: &str) -> &'a str {
    sniffed(data).unwrap_or(media_type)
}

/// The text that base64 `data` of a readable type is.
pub(super) fn text_of(media_type: &str, data: &str) -> Option<String> {
    let readable = media_type.starts_with("text/") || media_type == "application/json";
    readable.then(|| decoded(data).and_then(|bytes| String::from_utf8(bytes).ok())).flatten()
}

/// Base64 of whatever `data` is: itself, if it is that already.
pub(super) fn base64(data: &str) -> String {
    use base64::Engine as _;
    standard_base64(data).unwrap_or_else(|| base64::engine::general_purpose::STANDARD.encode(data))
}

/// A format that an S3 address ends in.
pub(super) fn format_of_name(kind: Kind, name: &str) -> Option<&'static str> {
    let (_, ending) = name.rsplit_once('.')?;
    let ending = ending.to_ascii_lowercase();
    let ending = if ending == "jpg" { "jpeg" } else { ending.as_str() };
    kind.table().iter().find(|(format, _)| *format == ending).map(|(format, _)| *format)
}
