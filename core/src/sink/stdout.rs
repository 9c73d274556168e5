//! Lines that the process itself says, for those who collect its output.

use serde_json::Value;

use super::post::Batch;
use super::story::Story;
use super::webhook::record;
use crate::policy::SinkWay;

/// JSON; or the same as messages of syslog (RFC 5424), facility `user`.
pub(super) fn lines(batch: &Batch<'_>) -> Vec<String> {
    batch.stories.iter().map(|story| line(story, batch.sink.way == SinkWay::Syslog)).collect()
}

fn line(story: &Story, syslog: bool) -> String {
    let json = record(story).to_string();
    if !syslog {
        return json;
    }
    // user.info, or user.warning where it was not done.
    let priority = if story.done() || story.is_score() { 14 } else { 12 };
    let at = story.word("at").unwrap_or("-");
    let of = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    format!(
        "<{priority}>1 {at} - gatelet - {} [gatelet@0 id=\"{}\" model=\"{}\"] {json}",
        of(&story.line["kind"]),
        story.id(),
        of(&story.line["model"]).replace(['"', '\\', ']'], "_"),
    )
}
