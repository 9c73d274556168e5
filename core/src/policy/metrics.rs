//! `metrics`: who may read `/metrics`, and by what its series are told apart.

use super::read::{At, Reader};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    /// Whoever reaches the gateway may read them; else keys that may see what is spent.
    pub open: bool,
    /// The labels, as reports name them; the first stay longest where there are too many series.
    pub by: Vec<&'static str>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self { open: false, by: vec!["provider", "model"] }
    }
}

pub(super) const METRICS: [&str; 2] = ["open", "by"];
/// What has a bounded number of values.
const LABELS: [&str; 7] = ["provider", "model", "org", "team", "project", "user", "key"];
const MOST: usize = 4;

/// The section `metrics`.
pub(super) fn metrics(reader: &mut Reader<'_>, at: &At<'_>) -> Metrics {
    let usual = Metrics::default();
    let Some(fields) = reader.fields(at, &METRICS, &[]) else { return usual };
    let open = fields.get("open").and_then(|at| reader.parsed(at, "true or false", |text| text.parse().ok()));
    let by = fields.get("by").map(|at| {
        let list = at.list();
        if list.len() > MOST {
            reader.note(&at.spot, format!("expected at most {MOST} labels"));
        }
        let known = |text: &str| LABELS.into_iter().find(|label| *label == text);
        let words = format!("one of {}", LABELS.join(", "));
        let mut by: Vec<&'static str> = Vec::new();
        for at in &list {
            match reader.parsed(at, &words, known) {
                Some(label) if by.contains(&label) => {
                    reader.note(&at.spot, format!("`{label}` is there twice"));
                }
                Some(label) => by.push(label),
                None => {}
            }
        }
        by
    });
    Metrics { open: open.unwrap_or(usual.open), by: by.unwrap_or(usual.by) }
}
