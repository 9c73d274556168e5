//! Guards that judge what questions are about, as admins write them.

use super::guard::{Chain, needed};
use super::model::ModelName;
use super::read::{At, Reader, Spot};
use super::{Policy, Resolution};
use crate::guard::{Topic, Topics};

/// What a guard of topics says, and where its model is named, which need not be known.
pub(super) fn topics(reader: &mut Reader<'_>, chain: &Chain<'_>) -> Option<(Topics, (ModelName, Spot))> {
    let at = needed(reader, chain, "model", "the name of a model that embeds texts")?;
    let model = reader.parsed(at, "the name of a model", |text| ModelName::try_from(text).ok())?;
    let spot = at.spot.clone();
    let threshold = chain.get("threshold").and_then(|at| {
        #[expect(clippy::cast_possible_truncation, reason = "a cosine of so many digits means nothing")]
        let cosine = |text: &str| Some(gatelet_wire::json::number(text)? as f32);
        reader.parsed(at, "a number from 0 to 1, such as 0.5", |text| {
            cosine(text).filter(|cosine| (0.0..=1.0).contains(cosine))
        })
    });
    let billed = chain.get("billed");
    let billed = billed.and_then(|at| reader.parsed(at, "true or false", |text| text.parse().ok()));
    let (allow, deny) = (named(reader, chain.get("allow"))?, named(reader, chain.get("deny"))?);
    let count: usize = allow.iter().chain(&deny).map(|topic| topic.examples.len()).sum();
    if count == 0 || count > Topics::MOST_EXAMPLES {
        let expected = format!("expected from 1 to {} examples in `allow` and `deny`", Topics::MOST_EXAMPLES);
        reader.note(&chain.spot, expected);
        return None;
    }
    let topics = Topics {
        model: model.as_str().into(),
        threshold: threshold.unwrap_or(Topics::USUAL),
        billed: billed.unwrap_or_default(),
        allow,
        deny,
    };
    Some((topics, (model, spot)))
}

/// Topics by their names, each with its examples.
fn named(reader: &mut Reader<'_>, at: Option<&At<'_>>) -> Option<Vec<Topic>> {
    let Some(at) = at else { return Some(Vec::new()) };
    let entries = reader.entries(at)?;
    let mut topics = Vec::new();
    for (name, at) in entries {
        // Headers and records tell the name.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if name.is_empty() || name.len() > 48 || !name.chars().all(plain) {
            reader.note(&at.spot, "expected a topic's name of letters, digits, -, _ and .");
        }
        let expected = format!("a sentence of at most {} bytes", Topics::LONGEST);
        let short = |text: &str| {
            let fits = !text.trim().is_empty() && text.len() <= Topics::LONGEST;
            fits.then(|| text.to_owned())
        };
        let examples = at.list().iter().filter_map(|at| reader.parsed(at, &expected, short)).collect();
        topics.push(Topic { name: name.into(), examples });
    }
    Some(topics)
}

/// Notes models that nobody answers to.
pub(super) fn known(reader: &mut Reader<'_>, policy: &Policy, models: &[(ModelName, Spot)]) {
    for (name, spot) in models {
        if !matches!(policy.resolve(name.as_str()), Resolution::Found(_)) {
            reader.note(spot, format!("no model `{name}` in `models`"));
        }
    }
}
