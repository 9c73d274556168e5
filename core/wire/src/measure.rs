//! How much input a request can be at most, before anybody has counted its tokens.

use std::borrow::Cow;
use std::fmt;

use memchr::{memchr, memmem};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::scan::Key;
use crate::{DialectId, Fields};

/// An upper bound of a request's input, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measure {
    /// No more text tokens than this, for a token is at least one byte; what providers add unseen is included.
    pub text_bytes: u64,
    pub images: u32,
    /// Documents, files and videos, whether sent along or named by a URL or an id.
    pub documents: u32,
    /// Those of them that are only named: nobody knows how long they are.
    pub named_documents: u32,
    /// The decoded bytes of those documents that were sent along.
    pub document_bytes: u64,
    /// Pieces of audio, whether sent along or named by a URL or an id.
    pub audios: u32,
    /// Those of them that are only named.
    pub named_audios: u32,
    /// The decoded bytes of the audio that was sent along.
    pub audio_bytes: u64,
}

/// What providers write around messages: more than the JSON around them only in a request that is nearly empty.
const UNSEEN: u64 = 64;

impl Measure {
    /// Measures a request in `dialect`.
    ///
    /// The bound holds because
    /// - a token is at least one byte of text, and a text is never longer than its JSON string (an escape is longer than
    ///   the character it means), so that all text tokens are at most the bytes of the body;
    /// - every object outside the declarations of tools and formats whose `type` or keys speak of an image, audio or a
    ///   file is counted, wherever it stands: rather one too many than one too few;
    /// - bytes are taken off the text only for strings that stand in such an object under the keys of payloads, where no
    ///   model reads them as text. A source whose type is `text` takes nothing off.
    ///
    /// What cannot be walked counts as text: it will be refused anyway.
    ///
    /// Not included is what a provider's own tools (web search) fetch during the call.
    pub fn of(dialect: DialectId, fields: &Fields<'_>) -> Self {
        let tools = ["tools", "functions", "toolConfig"].into_iter().any(|key| fields.present(key).is_some());
        let unseen = if tools { dialect.dialect().conventions().unseen_with_tools } else { 0 };
        let all = length(fields.as_str().len()) + UNSEEN + unseen;
        let words = dialect.dialect();
        let mut tally = Tally {
            bare_images: words.bare_images(),
            text_documents: words.text_documents(),
            ..Tally::default()
        };
        let blobs = words.media_in_blobs();
        if fields.may_have_media() {
            let text_documents = tally.text_documents;
            let is_text = |key: &str| text_documents && key == "documents";
            for (_, value) in fields.iter().filter(|(key, _)| !WITHOUT_MEDIA.contains(key) && !is_text(key)) {
                let mut reader = serde_json::Deserializer::from_str(value.get());
                let walked = Walk { tally: &mut tally, place: Place::Plain, blobs }.deserialize(&mut reader);
                if walked.is_err() {
                    return Self { text_bytes: all, ..Self::default() };
                }
            }
        }
        Self { text_bytes: all.saturating_sub(tally.payload), ..tally.measure }
    }
}

/// Fields whose values declare or configure; nothing in them is shown to a model as an image or a file.
const WITHOUT_MEDIA: &[&str] = &[
    "tools",
    "functions",
    "tool_choice",
    "response_format",
    "text",
    "reasoning",
    "output_config",
    "output_format",
    "metadata",
    "toolConfig",
    "outputConfig",
    "requestMetadata",
];

/// Whether a key may mean that the object around it is media, by itself or by its value, with which `rest` begins. Where
/// this says no, a walk would not find the object either.
pub(crate) fn may_mean_media(key: Key<'_>, rest: &str) -> bool {
    /// No word for a kind is longer.
    const LONGEST: usize = 64;
    let Key::Plain(key) = key else { return true };
    if key != "type" {
        return kind_of_key(key).is_some() || matches!(place_of_blobs(key), Place::Blob | Place::Named);
    }
    let Some(word) = rest.strip_prefix('"') else { return false };
    let head = word.as_bytes();
    let Some(end) = memchr(b'"', head.get(..LONGEST).unwrap_or(head)) else { return true };
    word.get(..end).is_none_or(|word| word.contains('\\') || kind_of_type(word).is_some())
}

#[derive(Default)]
struct Tally {
    measure: Measure,
    /// Bytes of the body that are payloads and no text.
    payload: u64,
    /// See [`Dialect::bare_images`](crate::Dialect::bare_images).
    bare_images: bool,
    /// See [`Dialect::text_documents`](crate::Dialect::text_documents).
    text_documents: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Image,
    Document,
    Audio,
}

/// The kind that the `type` of a part means.
fn kind_of_type(word: &str) -> Option<Kind> {
    if word.contains("image") {
        Some(Kind::Image)
    } else if word.contains("audio") {
        Some(Kind::Audio)
    } else if ["file", "document", "video", "pdf", "container_upload"].iter().any(|kind| word.contains(kind))
    {
        Some(Kind::Document)
    } else {
        None
    }
}

/// The kind that a key means, for readers that guess what a part without a type is.
fn kind_of_key(key: &str) -> Option<Kind> {
    match key {
        "image" | "image_url" | "input_image" | "images" => Some(Kind::Image),
        "input_audio" | "audio_url" | "audio" => Some(Kind::Audio),
        "document" | "video" | "video_url" | "file_data" | "file_id" | "file_url" => Some(Kind::Document),
        _ => None,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Plain,
    /// Under a key that holds payloads.
    Payload,
    /// Under `source`: the object around it is the part.
    Source,
    /// In a list of bare images.
    Images,
    /// Bytes beside their media type.
    Blob,
    /// An address beside its media type.
    Named,
    /// Under what a model reads as text, whatever it looks like.
    Words,
}

/// As [`place_of`], where media stand in blobs.
fn place_of_blobs(key: &str) -> Place {
    match key {
        "inlineData" | "inline_data" => Place::Blob,
        "fileData" | "file_data" => Place::Named,
        "args" | "response" => Place::Words,
        _ => Place::Plain,
    }
}

fn kind_of_media_type(media_type: &str) -> Kind {
    match media_type.split('/').next() {
        Some("image") => Kind::Image,
        Some("audio") => Kind::Audio,
        _ => Kind::Document,
    }
}

fn place_of(key: &str) -> Place {
    match key {
        "url" | "uri" | "data" | "bytes" | "file_data" | "file_url" | "image_url" | "audio_url"
        | "video_url" => Place::Payload,
        "source" => Place::Source,
        _ => Place::Plain,
    }
}

/// What was found in a value.
#[derive(Clone, Copy, Default)]
struct Found {
    /// Bytes of payloads that no part has claimed yet.
    unclaimed: u64,
    /// Those of them that are the thing itself, and not its address.
    inline: u64,
    /// Kinds that were counted: the object around a file need not count it again.
    counted: [bool; 3],
}

/// Walks one value.
struct Walk<'a> {
    tally: &'a mut Tally,
    place: Place,
    /// Media are told by the keys of blobs, and by nothing else.
    blobs: bool,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = Found;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = Found;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_str<E>(self, text: &str) -> Result<Found, E> {
        if self.place == Place::Images {
            self.tally.measure.images = self.tally.measure.images.saturating_add(1);
            self.tally.payload += length(text.len());
            return Ok(Found::default());
        }
        if self.place != Place::Payload {
            return Ok(Found::default());
        }
        let unclaimed = length(text.len());
        let inline = if is_address(text) { 0 } else { unclaimed };
        Ok(Found { unclaimed, inline, ..Found::default() })
    }

    fn visit_bool<E>(self, _: bool) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_i64<E>(self, _: i64) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_unit<E>(self) -> Result<Found, E> {
        Ok(Found::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Found, A::Error> {
        let place = if self.place == Place::Images { Place::Images } else { Place::Plain };
        let mut found = Found::default();
        let (place, blobs) = (self.inner(place), self.blobs);
        while let Some(more) = list.next_element_seed(Walk { tally: &mut *self.tally, place, blobs })? {
            found.add(more);
        }
        Ok(found)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        if matches!(self.place, Place::Blob | Place::Named) {
            return self.blob(map);
        }
        if self.blobs {
            let mut found = Found::default();
            while let Some(Text(key)) = map.next_key()? {
                let place = self.inner(place_of_blobs(&key));
                let walk = Walk { tally: &mut *self.tally, place, blobs: true };
                found.add(map.next_value_seed(walk)?);
            }
            return Ok(found);
        }
        let (mut by_type, mut by_key, mut is_text, mut found) = (None, None, false, Found::default());
        let Tally { text_documents, bare_images, .. } = *self.tally;
        while let Some(Text(key)) = map.next_key()? {
            if key == "type" {
                let Word(word) = map.next_value()?;
                is_text |= word == "text";
                let kind = || kind_of_type(&word).filter(|_| !(text_documents && word == "document"));
                by_type = by_type.or_else(kind);
                continue;
            }
            if text_documents && key == "document" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            if bare_images && key == "images" {
                let walk = Walk { tally: &mut *self.tally, place: Place::Images, blobs: false };
                found.add(map.next_value_seed(walk)?);
                continue;
            }
            by_key = by_key.or_else(|| kind_of_key(&key));
            let walk = Walk { tally: &mut *self.tally, place: place_of(&key), blobs: false };
            found.add(map.next_value_seed(walk)?);
        }
        if is_text {
            (found.unclaimed, found.inline) = (0, 0);
        }
        match by_type.or(by_key) {
            Some(kind) if self.place != Place::Source => Ok(self.tally.claim(kind, found)),
            _ => Ok(found),
        }
    }
}

impl Walk<'_> {
    /// What is inside of words are words.
    fn inner(&self, place: Place) -> Place {
        if self.place == Place::Words { Place::Words } else { place }
    }

    /// Bytes or an address, with their media type.
    fn blob<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
        let (mut kind, mut payload) = (Kind::Document, 0);
        while let Some(Text(key)) = map.next_key()? {
            match &*key {
                "mimeType" | "mime_type" => {
                    let Word(word) = map.next_value()?;
                    kind = kind_of_media_type(&word);
                }
                "data" | "fileUri" | "file_uri" => {
                    let Word(word) = map.next_value()?;
                    payload += length(word.len());
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        if self.place == Place::Blob {
            let found = Found { unclaimed: payload, inline: payload, ..Found::default() };
            self.tally.claim(kind, found);
        } else {
            self.tally.payload += payload;
            let measure = &mut self.tally.measure;
            if kind == Kind::Image {
                measure.images = measure.images.saturating_add(1);
            } else {
                // Hours of video or audio fill the largest context: twice as much as the longest of documents.
                measure.documents = measure.documents.saturating_add(2);
                measure.named_documents = measure.named_documents.saturating_add(2);
            }
        }
        Ok(Found::default())
    }
}

impl Found {
    fn add(&mut self, more: Self) {
        self.unclaimed += more.unclaimed;
        self.inline += more.inline;
        for (counted, also) in self.counted.iter_mut().zip(more.counted) {
            *counted |= also;
        }
    }
}

impl Tally {
    /// Takes what was found in a part of `kind` off the text, and counts the part unless one inside it was.
    fn claim(&mut self, kind: Kind, mut found: Found) -> Found {
        let payload = std::mem::take(&mut found.unclaimed);
        let inline = std::mem::take(&mut found.inline);
        self.payload += payload;
        // Four characters of base64 are three bytes; a rest counts whole.
        let decoded = inline.div_ceil(4) * 3;
        let measure = &mut self.measure;
        let (slot, count, named) = match kind {
            Kind::Image => (0, &mut measure.images, None),
            Kind::Document => {
                measure.document_bytes += decoded;
                (1, &mut measure.documents, Some(&mut measure.named_documents))
            }
            Kind::Audio => {
                measure.audio_bytes += decoded;
                (2, &mut measure.audios, Some(&mut measure.named_audios))
            }
        };
        if let Some(counted) = found.counted.get_mut(slot)
            && !std::mem::replace(counted, true)
        {
            *count = count.saturating_add(1);
            if let Some(named) = named.filter(|_| inline == 0) {
                *named = named.saturating_add(1);
            }
        }
        found
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// A string, or nothing for any other value.
struct Word<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Word<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Maybe<'a> {
            Text(#[serde(borrow)] Cow<'a, str>),
            Other(IgnoredAny),
        }
        Ok(match Maybe::deserialize(deserializer)? {
            Maybe::Text(text) => Self(text),
            Maybe::Other(IgnoredAny) => Self(Cow::Borrowed("")),
        })
    }
}

/// Whether a payload is where the thing lies (`https://…`) and not the thing.
fn is_address(text: &str) -> bool {
    const LONGEST_SCHEME: usize = 12;
    let head = text.as_bytes();
    memmem::find(head.get(..LONGEST_SCHEME).unwrap_or(head), b"://").is_some()
}

fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "measure_tests.rs"]
mod tests;
