//! What an answer leans on: grounding and recitation, whose offsets count bytes, and citations, which count characters.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::chat::Citation;
use crate::dialect::lax::{Count, Word};
use crate::object::object;
use crate::{Json, SmallMap};

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Grounding<'a> {
    #[serde(borrow, rename = "groundingChunks")]
    chunks: Vec<Chunk<'a>>,
    #[serde(rename = "groundingSupports")]
    supports: Vec<Support>,
    web_search_queries: Vec<IgnoredAny>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Chunk<'a> {
    #[serde(borrow)]
    web: Option<Place<'a>>,
    #[serde(borrow)]
    retrieved_context: Option<Place<'a>>,
    #[serde(borrow)]
    maps: Option<Place<'a>>,
    #[serde(borrow)]
    image: Option<Place<'a>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Place<'a> {
    #[serde(borrow, alias = "sourceUri")]
    uri: Word<'a>,
    #[serde(borrow)]
    title: Word<'a>,
    /// The text that was found there.
    #[serde(borrow)]
    text: Word<'a>,
    start_index: Count,
    end_index: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Support {
    segment: Option<Segment>,
    grounding_chunk_indices: Vec<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Segment {
    #[serde(rename = "startIndex")]
    start: Count,
    #[serde(rename = "endIndex")]
    end: Count,
    #[serde(rename = "partIndex")]
    part: Count,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Recitation<'a> {
    #[serde(borrow, alias = "citationSources")]
    citations: Vec<Place<'a>>,
}

/// The text of a candidate, and where in it the provider's own parts begin, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spoken<'a> {
    pub(super) text: &'a str,
    pub(super) parts: &'a [usize],
}

/// More than this many citations of one answer are not read.
const MOST: usize = 1_024;

/// The citations in grounding metadata.
pub(super) fn grounded(raw: &RawValue, spoken: Spoken<'_>) -> Vec<Citation> {
    let Ok(said) = crate::json::from_str::<Grounding<'_>>(raw.get()) else { return Vec::new() };
    let place = |chunk: &Chunk<'_>, span: Option<(u64, u64)>| {
        let place = [&chunk.web, &chunk.retrieved_context, &chunk.maps, &chunk.image];
        let place = place.into_iter().flatten().next()?;
        Some(citation(place, span))
    };
    let supported = said.supports.iter().flat_map(|support| {
        let segment = support.segment.as_ref();
        let base = |segment: &Segment| {
            let part = segment.part.0.and_then(|part| usize::try_from(part).ok()).unwrap_or(0);
            spoken.parts.get(part).copied().unwrap_or(0)
        };
        let span = segment.map(|segment| bytes(segment.start, segment.end, base(segment)));
        support.grounding_chunk_indices.iter().map(move |chunk| (*chunk, span))
    });
    let found: Vec<_> = supported.take(MOST).collect();
    if found.is_empty() {
        return said.chunks.iter().take(MOST).filter_map(|chunk| place(chunk, None)).collect();
    }
    let offsets = Offsets::of(spoken.text, found.iter().filter_map(|(_, span)| *span));
    found
        .into_iter()
        .filter_map(|(chunk, span)| place(said.chunks.get(chunk)?, span.map(|span| offsets.characters(span))))
        .collect()
}

/// The citations in citation metadata: text that stands elsewhere too.
pub(super) fn recited(raw: &RawValue, spoken: Spoken<'_>) -> Vec<Citation> {
    let Ok(said) = crate::json::from_str::<Recitation<'_>>(raw.get()) else { return Vec::new() };
    let span = |place: &Place<'_>| place.end_index.0.map(|_| bytes(place.start_index, place.end_index, 0));
    let offsets = Offsets::of(spoken.text, said.citations.iter().filter_map(span));
    let cited = said.citations.iter().take(MOST);
    cited.map(|place| citation(place, span(place).map(|span| offsets.characters(span)))).collect()
}

/// How many searches of the web are billed: each query for models that bill so, else one for the answer.
pub(super) fn searches(raw: &RawValue, each: bool) -> u64 {
    let Ok(said) = crate::json::from_str::<Grounding<'_>>(raw.get()) else { return 0 };
    let queries = u64::try_from(said.web_search_queries.len()).unwrap_or(u64::MAX);
    if each { queries } else { queries.min(1) }
}

fn bytes(start: Count, end: Count, base: usize) -> (usize, usize) {
    // A start that is zero is left out on the wire.
    let at = |count: Count| usize::try_from(count.0.unwrap_or(0)).unwrap_or(usize::MAX).saturating_add(base);
    (at(start), at(end))
}

fn citation(place: &Place<'_>, span: Option<(u64, u64)>) -> Citation {
    Citation {
        url: place.uri.text().map(str::to_owned),
        title: place.title.text().map(str::to_owned),
        cited_text: place.text.text().map(str::to_owned),
        start: span.map(|(start, _)| start),
        end: span.map(|(_, end)| end),
        raw: None,
    }
}

/// Characters before some places of a text, counted in one pass.
struct Offsets(SmallMap<usize, u64>);

impl Offsets {
    fn of(text: &str, spans: impl Iterator<Item = (usize, usize)>) -> Self {
        let mut places: SmallMap<usize, u64> =
            spans.flat_map(|(start, end)| [(start, 0), (end, 0)]).collect();
        let mut characters = text.char_indices().map(|(at, _)| at).peekable();
        let mut count = 0;
        for (place, characters_before) in &mut places {
            while characters.next_if(|at| at < place).is_some() {
                count += 1;
            }
            *characters_before = count;
        }
        Self(places)
    }

    fn characters(&self, (start, end): (usize, usize)) -> (u64, u64) {
        let at = |byte: usize| self.0.get(&byte).copied().unwrap_or(0);
        (at(start), at(end))
    }
}

/// Citations as grounding metadata, with the texts of the parts they stand in; none where none has an address.
pub(super) fn write(parts: &[(usize, &str, &[Citation])]) -> Option<Json> {
    let mut places: Vec<(&str, Option<&str>)> = Vec::new();
    let mut supports: Vec<(usize, usize, usize, usize)> = Vec::new();
    for (index, text, citations) in parts {
        for citation in *citations {
            let Some(url) = citation.url.as_deref() else { continue };
            let place = (url, citation.title.as_deref());
            let chunk = places.iter().position(|known| *known == place).unwrap_or_else(|| {
                places.push(place);
                places.len() - 1
            });
            if let (Some(start), Some(end)) = (citation.start, citation.end) {
                supports.push((*index, byte_of(text, start), byte_of(text, end), chunk));
            }
        }
    }
    if places.is_empty() {
        return None;
    }
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let mut out = Vec::new();
    object(&mut out, |object| {
        object.list("groundingChunks", |list| {
            for (url, title) in &places {
                list.object(|chunk| {
                    chunk.object("web", |web| {
                        web.string("uri", url);
                        if let Some(title) = title {
                            web.string("title", title);
                        }
                    });
                });
            }
        });
        if supports.is_empty() {
            return;
        }
        object.list("groundingSupports", |list| {
            for (part, start, end, chunk) in &supports {
                let text = parts.iter().find(|(index, ..)| index == part).map_or("", |(_, text, _)| text);
                list.object(|support| {
                    support.object("segment", |segment| {
                        if *part > 0 {
                            segment.count("partIndex", count(*part));
                        }
                        segment.count("startIndex", count(*start));
                        segment.count("endIndex", count(*end));
                        segment.string("text", text.get(*start..*end).unwrap_or_default());
                    });
                    support.list("groundingChunkIndices", |list| list.json(&Json::of(chunk)));
                });
            }
        });
    });
    Some(Json::written(&out))
}

fn byte_of(text: &str, character: u64) -> usize {
    let nth = usize::try_from(character).unwrap_or(usize::MAX);
    text.char_indices().nth(nth).map_or(text.len(), |(at, _)| at)
}
