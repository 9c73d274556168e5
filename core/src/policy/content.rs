//! `content`: of whose requests prompts and answers are kept, and how.

use super::read::{At, Reader};
use super::residency::region;
use super::sink::share;
use crate::domain::{Key, RequestId, Scope};

/// Of whose requests what is kept. Nobody's, unless the configuration says so.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    usual: Keep,
    of: Vec<(Whose, Box<str>, Keep)>,
    /// Where the archive is; none: nobody knows.
    region: Option<Box<str>>,
}

/// How prompts and answers are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Keep {
    /// None: they are not.
    mode: Option<Mode>,
    /// Of ten thousand requests so many.
    sample: u16,
    /// Bytes of the prompt at the most, and of the answer as many again; longer texts are cut.
    most: usize,
}

impl Default for Keep {
    fn default() -> Self {
        Self { mode: None, sample: 10_000, most: 64 << 10 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As guards left them, without personal data and secrets.
    Masked,
    /// As the caller wrote and read them.
    Full,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Masked => "masked",
            Self::Full => "full",
        }
    }
}

/// The narrower one counts: a key's before its team's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Key,
    User,
    Project,
    Team,
    Org,
}

impl Whose {
    const ALL: [(&'static str, Self); 5] = [
        ("key", Self::Key),
        ("user", Self::User),
        ("project", Self::Project),
        ("team", Self::Team),
        ("org", Self::Org),
    ];

    fn is(self, id: &str, key: &Key) -> bool {
        match self {
            Self::Key => *key.id == *id || key.alias.as_deref() == Some(id),
            Self::User => key.user.as_deref() == Some(id),
            Self::Project => key.project.as_deref() == Some(id),
            Self::Team => key.team.as_deref() == Some(id),
            Self::Org => key.org.as_deref().unwrap_or(Scope::DEFAULT_ORG) == id,
        }
    }
}

impl Contents {
    /// How this request's is kept; none: it is not.
    pub fn of(&self, key: &Key, request: &RequestId) -> Option<(Mode, usize)> {
        let own = self.of.iter().find(|(whose, id, _)| whose.is(id, key)).map(|(_, _, keep)| keep);
        let Keep { mode, sample, most } = own.unwrap_or(&self.usual);
        // Of one request the same is decided everywhere; sinks that are told of a part of all decide by the same number.
        let sampled = *sample == 10_000 || request.bits() % 10_000 < u128::from(*sample);
        mode.filter(|_| sampled).map(|mode| (mode, *most))
    }

    /// Where it is kept; none: nobody knows.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }
}

pub(super) const CONTENT: [&str; 5] = ["keep", "sample", "most", "of", "region"];
const SMALLEST: usize = 1 << 10;
const LARGEST: usize = 256 << 10;
const MOST: usize = 256;

/// The section `content`: a word, or keys and values.
pub(super) fn contents(reader: &mut Reader<'_>, at: &At<'_>) -> Contents {
    if at.is_scalar() {
        return Contents { usual: keep(reader, at, Keep::default()), ..Contents::default() };
    }
    let Some(fields) = reader.fields(at, &CONTENT, &[]) else { return Contents::default() };
    let usual = settings(reader, &fields, Keep::default());
    let mut of = Vec::new();
    let entries = fields.get("of").and_then(|at| reader.entries(at)).unwrap_or_default();
    if entries.len() > MOST {
        reader.note(&fields.spot, format!("expected at most {MOST} entries in `of`"));
    }
    for (name, at) in &entries {
        let whose = name.split_once('/').and_then(|(kind, id)| {
            let (_, whose) = Whose::ALL.into_iter().find(|(known, _)| *known == kind)?;
            (!id.is_empty()).then_some((whose, id))
        });
        let Some((whose, id)) = whose else {
            let kinds = Whose::ALL.map(|(kind, _)| kind).join(", ");
            reader.note(&at.spot, format!("expected whose it is, such as team/search: one of {kinds}"));
            continue;
        };
        of.push((whose, id.into(), keep(reader, at, usual)));
    }
    gatelet_wire::sort::sort_by(&mut of, |(one, _, _), (other, _, _)| one.cmp(other));
    let region = region(reader, fields.get("region"));
    Contents { usual, of, region }
}

/// `masked`, or keys and values; what is not said is as `usual`.
fn keep(reader: &mut Reader<'_>, at: &At<'_>, usual: Keep) -> Keep {
    if at.is_scalar() {
        return Keep { mode: mode(reader, at, usual.mode), ..usual };
    }
    let Some(fields) = reader.fields(at, &CONTENT[..3], &[]) else { return usual };
    settings(reader, &fields, usual)
}

fn settings(reader: &mut Reader<'_>, fields: &super::read::Fields<'_>, usual: Keep) -> Keep {
    let mode = fields.get("keep").map_or(usual.mode, |at| mode(reader, at, usual.mode));
    let sample = fields.get("sample").and_then(|at| share(reader, at));
    let most = fields.get("most").and_then(|at| {
        let size = |text: &str| usize::try_from(super::cache::bytes(text)?).ok();
        let read = |text: &str| size(text).filter(|size| (SMALLEST..=LARGEST).contains(size));
        reader.parsed(at, "a size from 1KB to 256KB, such as 64KB", read)
    });
    Keep { mode, sample: sample.unwrap_or(usual.sample), most: most.unwrap_or(usual.most) }
}

fn mode(reader: &mut Reader<'_>, at: &At<'_>, usual: Option<Mode>) -> Option<Mode> {
    let read = |text: &str| match text {
        "none" => Some((None,)),
        "masked" => Some((Some(Mode::Masked),)),
        "full" => Some((Some(Mode::Full),)),
        _ => None,
    };
    reader.parsed(at, "none, masked or full", read).map_or(usual, |(mode,)| mode)
}
