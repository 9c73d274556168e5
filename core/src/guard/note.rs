//! What guards said, for records and headers. Never what they found itself.

use super::scan::Kind;

/// Whether a request or its answer was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    In,
    Out,
}

/// What a guard said of one direction; the gravest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was not asked, by chance: it judges a share of the requests.
    Unsampled,
    /// It has read all and found nothing.
    Passed,
    /// There was something that it cannot read, and it went on all the same.
    Unread,
    /// It could not judge, and it went on all the same.
    Failed,
    Shadowed,
    Flagged,
    Masked,
    Blocked,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Self::Unsampled => "unsampled",
            Self::Passed => "passed",
            Self::Unread => "unread",
            Self::Failed => "failed",
            Self::Shadowed => "shadowed",
            Self::Flagged => "flagged",
            Self::Masked => "masked",
            Self::Blocked => "blocked",
        }
    }
}

/// One guard's words about one direction of one request.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Note {
    pub guard: Kind,
    pub version: Kind,
    #[serde(rename = "on")]
    pub direction: Direction,
    pub outcome: Outcome,
    /// What was found, and how often.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "counts")]
    pub found: Vec<(Kind, u32)>,
    /// What it could not read: `image`, `audio`, `document`, `body`; or why it could not judge.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<&'static str>,
    /// How long it took, where it was a service that judged; milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ms: Option<f64>,
}

fn counts<S: serde::Serializer>(found: &[(Kind, u32)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(found.iter().map(|(kind, count)| (&**kind, count)))
}

impl std::fmt::Display for Note {
    /// `pii=masked(email:2,phone:1)`, as headers say it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.guard, self.outcome.name())?;
        for (nth, (kind, count)) in self.found.iter().enumerate() {
            write!(f, "{}{kind}:{count}", if nth == 0 { "(" } else { ";" })?;
        }
        f.write_str(if self.found.is_empty() { "" } else { ")" })
    }
}
