//! Usage: counts that exclude each other. `totalTokens` is not trusted as their sum, and written anew.

use crate::object::{Object, ObjectWriter};
use crate::{Malformed, Usage};

pub(super) fn read(usage: &Object<'_>) -> Result<Usage, Malformed> {
    let count = |key: &str| usage.count(key).map(Option::unwrap_or_default);
    let written = count("cacheWriteInputTokens")?;
    let (mut short, mut long) = (0_u64, 0_u64);
    for (at, detail) in usage.items("cacheDetails")?.unwrap_or_default().into_iter().enumerate() {
        let detail = Object::of(detail, format!("{}[{at}]", usage.path("cacheDetails")))?;
        let tokens = detail.count("inputTokens")?.unwrap_or_default();
        match detail.string("ttl")?.as_deref() {
            Some("1h") => long = long.saturating_add(tokens),
            _ => short = short.saturating_add(tokens),
        }
    }
    // The details may be missing, or say less than the sum: what they leave open lives five minutes.
    let open = written.saturating_sub(short.saturating_add(long));
    Ok(Usage {
        input: count("inputTokens")?,
        cache_read: count("cacheReadInputTokens")?,
        cache_write_5m: short.saturating_add(open),
        cache_write_1h: long,
        output: count("outputTokens")?,
        ..Usage::default()
    })
}

pub(super) fn write(object: &mut ObjectWriter<'_>, usage: &Usage) {
    // Audio and images have no count of their own here: they are input like any other.
    let input = usage.input.saturating_add(usage.audio_input).saturating_add(usage.image_input);
    object.count("inputTokens", input);
    object.count("outputTokens", usage.output_total());
    object.count("totalTokens", usage.total());
    if usage.cache_read > 0 {
        object.count("cacheReadInputTokens", usage.cache_read);
    }
    if usage.cache_write() == 0 {
        return;
    }
    object.count("cacheWriteInputTokens", usage.cache_write());
    let long = usage.cache_write_1h.saturating_add(usage.cache_write_12h);
    object.list("cacheDetails", |list| {
        for (ttl, tokens) in [("5m", usage.cache_write_5m), ("1h", long)] {
            if tokens > 0 {
                list.object(|object| {
                    object.string("ttl", ttl);
                    object.count("inputTokens", tokens);
                });
            }
        }
    });
}
