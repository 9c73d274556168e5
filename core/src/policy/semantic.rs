//! Answers to questions that were asked in other words: by which model questions are compared, and how alike they must be.

use std::sync::Arc;
use std::time::Duration;

use super::model::ModelName;
use super::read::{At, Reader, Spot};

/// How questions that are not equal are compared.
#[derive(Clone, Debug)]
pub struct Semantic {
    /// A model that the policy knows, which makes vectors of texts.
    pub model: ModelName,
    /// The cosine from which on two questions are taken for one.
    pub threshold: f32,
    /// So many of the last turns are compared by what they mean; whatever is before them must be equal.
    pub turns: usize,
    /// The model is asked at its caller's expense.
    pub billed: bool,
    /// How long a request waits for a vector.
    pub wait: Duration,
}

const SEMANTIC: [&str; 5] = ["model", "threshold", "turns", "billed", "wait"];
const USUAL_THRESHOLD: f32 = 0.95;
const USUAL_WAIT: Duration = Duration::from_secs(2);

/// Every key of it, for the test that the reference explains it.
#[cfg(test)]
pub(super) fn known_keys() -> Vec<&'static str> {
    SEMANTIC.to_vec()
}

/// A model's `cache.semantic`, and where its model is named, which need not be known.
pub(super) fn semantic(reader: &mut Reader<'_>, at: &At<'_>) -> Option<(Arc<Semantic>, Spot)> {
    let fields = reader.fields(at, &SEMANTIC, &[])?;
    let Some(model) = fields.get("model") else {
        reader.note(&fields.spot, "expected `model`: the name of a model that embeds texts");
        return None;
    };
    let spot = model.spot.clone();
    let model = reader.parsed(model, "the name of a model", |text| ModelName::try_from(text).ok())?;
    let threshold = fields.get("threshold").and_then(|at| {
        #[expect(clippy::cast_possible_truncation, reason = "a cosine of so many digits means nothing")]
        let cosine = |text: &str| Some(gatelet_wire::json::number(text)? as f32);
        reader.parsed(at, "a number from 0.5 to 1, such as 0.95", |text| {
            cosine(text).filter(|cosine| (0.5..=1.0).contains(cosine))
        })
    });
    let turns = fields.get("turns").and_then(|at| {
        let count = |text: &str| text.parse().ok().filter(|count| (1..=10).contains(count));
        reader.parsed(at, "a whole number from 1 to 10", count)
    });
    let billed = fields.get("billed");
    let billed = billed.and_then(|at| reader.parsed(at, "true or false", |text| text.parse().ok()));
    let wait = fields.get("wait").and_then(|at| {
        let within = |wait: &Duration| (1..=30_000).contains(&wait.as_millis());
        reader.parsed(at, "a duration from 1ms to 30s, such as 2s", |text| {
            super::document::duration(text).filter(within)
        })
    });
    let semantic = Semantic {
        model,
        threshold: threshold.unwrap_or(USUAL_THRESHOLD),
        turns: turns.unwrap_or(1),
        billed: billed.unwrap_or_default(),
        wait: wait.unwrap_or(USUAL_WAIT),
    };
    Some((Arc::new(semantic), spot))
}
