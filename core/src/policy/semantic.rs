//! Answers to questions that were asked in other words: by which model questions are compared, and how alike they must be.

use std::sync::Arc;
use std::time::Duration;

use super::model::ModelName;
use super::read::{At, Reader, Spot};
use crate::domain::Secret;
use crate::registry::{Credential, Scheme};

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
    /// Where vectors are. None: here, and at the host.
    pub index: Option<Arc<Index>>,
}

/// An index of vectors elsewhere.
#[derive(Clone, Debug)]
pub struct Index {
    pub kind: IndexKind,
    /// Where it answers; what follows is the index's own path.
    pub base: Box<str>,
    pub key: Option<Credential>,
    /// The host is of the admin's own network.
    pub private: bool,
}

/// What is spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexKind {
    Qdrant { collection: String },
    Vectorize,
    S3Vectors { bucket: String, index: String, region: String },
}

const SEMANTIC: [&str; 6] = ["model", "threshold", "turns", "billed", "wait", "index"];
const INDEX: [&str; 9] =
    ["kind", "url", "key", "private", "collection", "account", "index", "bucket", "region"];
const KINDS: &str = "one of qdrant, vectorize, s3-vectors";
const USUAL_THRESHOLD: f32 = 0.95;
const USUAL_WAIT: Duration = Duration::from_secs(2);

/// Every key of it, for the test that the reference explains it.
#[cfg(test)]
pub(super) fn known_keys() -> Vec<&'static str> {
    [&SEMANTIC[..], &INDEX].concat()
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
    let index = fields.get("index").and_then(|at| index(reader, at));
    let semantic = Semantic {
        model,
        threshold: threshold.unwrap_or(USUAL_THRESHOLD),
        turns: turns.unwrap_or(1),
        billed: billed.unwrap_or_default(),
        wait: wait.unwrap_or(USUAL_WAIT),
        index: index.map(Arc::new),
    };
    Some((Arc::new(semantic), spot))
}

/// `semantic.index`: an index of vectors elsewhere.
fn index(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Index> {
    let fields = reader.fields(at, &INDEX, &[])?;
    let Some(kind) = fields.get("kind") else {
        reader.note(&fields.spot, format!("expected `kind`: {KINDS}"));
        return None;
    };
    // What each of them is told by, beside `key`.
    let own: &[&str] = match reader.text(kind, KINDS)?.as_str() {
        "qdrant" => &["url", "collection", "private"],
        "vectorize" => &["account", "index"],
        "s3-vectors" => &["region", "bucket", "index"],
        _ => {
            reader.unexpected(kind, KINDS);
            return None;
        }
    };
    let foreign = INDEX.iter().filter(|name| !["kind", "key"].contains(*name) && !own.contains(*name));
    for (name, at) in foreign.filter_map(|name| Some((name, fields.get(name)?))) {
        reader.note(&at.spot, format!("`{name}` means nothing to this kind: expected {}", own.join(", ")));
    }
    // These stand in addresses and in JSON.
    let mut word = |name: &str| {
        let Some(at) = fields.get(name) else {
            reader.note(&fields.spot, format!("expected `{name}`"));
            return None;
        };
        let plain = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
            (!text.is_empty() && text.len() <= 255 && text.chars().all(plain)).then(|| text.to_owned())
        };
        reader.parsed(at, "1 to 255 letters, digits, dots, dashes and underscores", plain)
    };
    let (kind, base, scheme) = if own.contains(&"collection") {
        let collection = word("collection");
        (IndexKind::Qdrant { collection: collection? }, None, Scheme::Header("api-key".to_owned()))
    } else if own.contains(&"account") {
        let (account, index) = (word("account"), word("index"));
        let base = "https://api.cloudflare.com/client/v4/accounts";
        let base = format!("{base}/{}/vectorize/v2/indexes/{}", account?, index?);
        (IndexKind::Vectorize, Some(base), Scheme::Bearer)
    } else {
        let (region, bucket, index) = (word("region"), word("bucket"), word("index"));
        let region = region?;
        let base = format!("https://s3vectors.{region}.api.aws");
        let kind = IndexKind::S3Vectors { bucket: bucket?, index: index?, region };
        (kind, Some(base), Scheme::Sigv4("s3vectors".to_owned()))
    };
    let private = fields.get("private");
    let private = private.and_then(|at| reader.parsed(at, "true or false", |text| text.parse().ok()));
    let private = private.unwrap_or_default();
    let base = match (base, fields.get("url")) {
        (Some(base), _) => base,
        (None, Some(at)) => {
            let expected = "an address that begins with https://, or with http:// where it is private";
            reader.parsed(at, expected, |text| {
                let sound = text.starts_with("https://") || (private && text.starts_with("http://"));
                let host =
                    text.parse::<http::Uri>().is_ok_and(|uri| uri.host().is_some() && uri.query().is_none());
                (sound && host).then(|| text.trim_end_matches('/').to_owned())
            })?
        }
        (None, None) => {
            reader.note(&fields.spot, "expected `url`: where it answers");
            return None;
        }
    };
    let key = match fields.get("key") {
        Some(at) => {
            let key = Secret::new(reader.text(at, "its key")?);
            let made = Credential::new(&scheme, &key);
            Some(made.map_err(|problem| reader.note(&at.spot, problem.to_string())).ok()?)
        }
        None if own.contains(&"collection") => None,
        None => {
            reader.note(&fields.spot, "expected `key`: what opens it");
            return None;
        }
    };
    Some(Index { kind, base: base.into(), key, private })
}
