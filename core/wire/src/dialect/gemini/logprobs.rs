//! Log probabilities: this dialect's two lists, and the canonical one.

use serde_json::value::RawValue;

use crate::Json;
use crate::dialect::lax::Word;
use crate::object::{ObjectWriter, object};

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Said<'a> {
    #[serde(borrow)]
    chosen_candidates: Vec<Token<'a>>,
    #[serde(borrow)]
    top_candidates: Vec<Tops<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Tops<'a> {
    #[serde(borrow)]
    candidates: Vec<Token<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Token<'a> {
    #[serde(borrow)]
    token: Word<'a>,
    /// Kept with its digits.
    #[serde(borrow)]
    log_probability: Option<&'a RawValue>,
}

/// `logprobsResult` in the canonical form; none if it cannot be read.
pub(super) fn read(raw: &RawValue) -> Option<Json> {
    let said: Said<'_> = crate::json::from_str(raw.get()).ok()?;
    let mut out = Vec::new();
    object(&mut out, |object| {
        object.list("content", |list| {
            let mut tops = said.top_candidates.iter();
            for chosen in &said.chosen_candidates {
                let tops = tops.next();
                list.object(|object| {
                    fill(object, chosen);
                    object.list("top_logprobs", |list| {
                        for top in tops.into_iter().flat_map(|tops| &tops.candidates) {
                            list.object(|object| fill(object, top));
                        }
                    });
                });
            }
        });
        object.raw("refusal", "null");
    });
    Some(Json::written(&out))
}

fn fill(object: &mut ObjectWriter<'_>, token: &Token<'_>) {
    object.string("token", token.token.text().unwrap_or_default());
    object.raw("logprob", token.log_probability.map_or("0", RawValue::get));
    object.raw("bytes", "null");
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Canonical<'a> {
    #[serde(borrow)]
    content: Option<Vec<Place<'a>>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Place<'a> {
    #[serde(borrow)]
    token: Word<'a>,
    #[serde(borrow)]
    logprob: Option<&'a RawValue>,
    #[serde(borrow)]
    top_logprobs: Option<Vec<Place<'a>>>,
}

/// The canonical form as `logprobsResult`; none if it says nothing.
pub(super) fn write(json: &Json) -> Option<Json> {
    let said: Canonical<'_> = crate::json::from_str(json.as_str()).ok()?;
    let places = said.content.filter(|places| !places.is_empty())?;
    let token = |object: &mut ObjectWriter<'_>, place: &Place<'_>| {
        object.string("token", place.token.text().unwrap_or_default());
        object.raw("logProbability", place.logprob.map_or("0", RawValue::get));
    };
    let mut out = Vec::new();
    object(&mut out, |object| {
        object.list("topCandidates", |list| {
            for place in &places {
                list.object(|object| {
                    object.list("candidates", |list| {
                        for top in place.top_logprobs.iter().flatten() {
                            list.object(|object| token(object, top));
                        }
                    });
                });
            }
        });
        object.list("chosenCandidates", |list| {
            for place in &places {
                list.object(|object| token(object, place));
            }
        });
    });
    Some(Json::written(&out))
}
