//! Lines of the archive, as sinks tell them: a request with its attempts, or a score.

use gatelet_wire::json::from_str;
use serde_json::Value;

use crate::domain::trace::{span_of, trace_of};
use crate::domain::{Money, RequestId, Timestamp};
use crate::policy::Sink;

/// One thing to tell.
#[derive(Clone, Debug)]
pub(super) struct Story {
    /// The record, or the score.
    pub(super) line: Value,
    pub(super) attempts: Vec<Value>,
    /// Prompt and answer, where they are kept and wanted.
    pub(super) content: Option<Value>,
    id: RequestId,
}

impl Story {
    /// What an object of the archive tells from this line on, as far as this sink is to hear it, with the number of each; at
    /// most so many, and of some size. Whether that is all.
    pub(super) fn read(
        text: &str,
        sink: &Sink,
        from: usize,
        most: usize,
        bytes: usize,
    ) -> (Vec<(usize, Self)>, bool) {
        let (mut stories, mut attempts) = (Vec::new(), Vec::new());
        let mut size = 0;
        for (number, line) in text.lines().enumerate().skip(from) {
            let Ok(line) = from_str::<Value>(line) else { continue };
            match line["kind"].as_str() {
                Some("attempt") => attempts.push(line),
                Some("request" | "score") => {
                    let id = RequestId::new(line["id"].as_str().unwrap_or_default());
                    let mine = std::mem::take(&mut attempts);
                    let mine = mine.into_iter().filter(|attempt| attempt["id"] == line["id"]).collect();
                    let story = Self { line, attempts: mine, content: None, id };
                    if story.is_for(sink) {
                        size += story.size();
                        if stories.len() >= most || (!stories.is_empty() && size > bytes) {
                            return (stories, false);
                        }
                        stories.push((number, story));
                    }
                }
                _ => {}
            }
        }
        (stories, true)
    }

    /// About as many bytes as it is told in.
    fn size(&self) -> usize {
        const A_LINE: usize = 1_500;
        A_LINE * (1 + self.attempts.len())
    }

    /// Bytes of what it said and was answered.
    pub(super) fn said(&self) -> usize {
        self.content.as_ref().map_or(0, |content| content.to_string().len()) + 1
    }

    fn is_for(&self, sink: &Sink) -> bool {
        let of = sink.of.as_ref().is_none_or(|(field, value)| {
            let mine =
                self.word(field).or_else(|| (**field == *"org").then_some(crate::domain::Scope::DEFAULT_ORG));
            mine == Some(&**value)
        });
        // What is pinned says itself who may hear of it, and where that was then.
        let pinned = self.line["residency"].is_array();
        let listed = |list: &Vec<Value>| {
            let place = sink.whereabouts();
            list.iter().any(|known| *known == *place)
        };
        let inside = !pinned || self.line["kept_in"].as_array().is_some_and(listed);
        // Of one request the same is decided everywhere, at every try.
        of && inside && self.id.bits() % 10_000 < u128::from(sink.sample)
    }

    pub(super) fn is_score(&self) -> bool {
        self.line["kind"] == "score"
    }

    pub(super) fn id(&self) -> &str {
        self.id.as_str()
    }

    pub(super) fn word(&self, field: &str) -> Option<&str> {
        self.line[field].as_str()
    }

    pub(super) fn number(&self, field: &str) -> f64 {
        self.line[field].as_f64().unwrap_or(0.0)
    }

    pub(super) fn trace_id(&self) -> u128 {
        let said = self.word("trace_id").and_then(|text| u128::from_str_radix(text, 16).ok());
        said.unwrap_or_else(|| trace_of(&self.id))
    }

    pub(super) fn trace_text(&self) -> String {
        format!("{:032x}", self.trace_id())
    }

    /// The span of the request itself, or of one of its attempts.
    pub(super) fn span(&self, attempt: u32) -> u64 {
        span_of(&self.id, attempt)
    }

    pub(super) fn parent(&self) -> Option<u64> {
        u64::from_str_radix(self.word("parent_span_id")?, 16).ok()
    }

    pub(super) fn done(&self) -> bool {
        self.line["outcome"] == "done"
    }

    pub(super) fn provider(&self) -> &str {
        self.word("target").and_then(|target| target.split('/').next()).unwrap_or("none")
    }

    /// The provider's own name for the model.
    pub(super) fn served(&self) -> &str {
        self.word("target").and_then(|target| Some(target.split_once('/')?.1)).unwrap_or("none")
    }

    /// US dollars, for those who have no exact numbers.
    pub(super) fn cost(&self) -> f64 {
        self.word("cost").and_then(gatelet_wire::json::number).unwrap_or(0.0)
    }

    pub(super) fn nano_dollars(&self) -> u64 {
        self.word("cost").and_then(|cost| cost.parse::<Money>().ok()).map_or(0, Money::nanos)
    }

    pub(super) fn tokens(&self, kind: &str) -> u64 {
        self.line["usage"][kind].as_u64().unwrap_or(0)
    }

    pub(super) fn cache_writes(&self) -> u64 {
        ["cache_write_5m", "cache_write_1h", "cache_write_12h"].iter().map(|kind| self.tokens(kind)).sum()
    }

    /// All input, cached or not.
    pub(super) fn input(&self) -> u64 {
        let kinds = ["input", "cache_read", "audio_input", "image_input"];
        kinds.iter().map(|kind| self.tokens(kind)).sum::<u64>() + self.cache_writes()
    }

    /// All output, reasoning among it.
    pub(super) fn output(&self) -> u64 {
        ["output", "audio_output", "image_output"].iter().map(|kind| self.tokens(kind)).sum()
    }
}

/// When a line's request or attempt began, and when it ended, in nanoseconds since 1970.
pub(super) fn times(line: &Value) -> (u64, u64) {
    let begin = line["at"].as_str().and_then(Timestamp::parse).map_or(0, Timestamp::micros);
    let begin = u64::try_from(begin).unwrap_or(0) * 1_000;
    (begin, begin + nanos(line["total_ms"].as_f64().unwrap_or(0.0)))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floats are clamped")]
pub(super) fn nanos(millis: f64) -> u64 {
    (millis * 1e6) as u64
}

/// RFC 3339 with its nanoseconds as whole microseconds, as records have it.
pub(super) fn shown(nanos: u64) -> String {
    Timestamp::from_micros(i64::try_from(nanos / 1_000).unwrap_or(0)).to_string()
}
