//! Where records go besides the archive: other people's tools.

use http::{HeaderName, HeaderValue};

use super::alert::address;
use super::read::{At, Fields, Reader};
use super::residency::region;
use crate::domain::Secret;
use crate::port::Reach;

/// One of `sinks`. `Debug` shows no secret and no address, which is often one.
#[derive(Clone)]
pub struct Sink {
    /// By which is kept how far it has come.
    pub name: Box<str>,
    pub way: SinkWay,
    /// Without a slash at its end; empty for those that need none.
    pub url: Box<str>,
    pub reach: Reach,
    /// Its own secret: a key, `user:password`, or what a webhook is signed with.
    pub key: Option<Secret>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Only records of this one: the record's field, and its value.
    pub of: Option<(Box<str>, Box<str>)>,
    /// Of ten thousand requests so many, with their attempts.
    pub sample: u16,
    /// Prompts and answers go there too, where they are kept.
    pub content: bool,
    /// The index, table or service that it is there.
    pub place: Box<str>,
    /// Where it keeps what it hears; none: nobody knows.
    pub region: Option<Box<str>>,
}

impl Sink {
    /// By which a record names it, and where it is.
    pub fn whereabouts(&self) -> String {
        crate::domain::Residency::place(&format!("sinks/{}", self.name), self.region.as_deref())
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").field("name", &self.name).field("way", &self.way).finish_non_exhaustive()
    }
}

/// In whose words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkWay {
    Webhook,
    Otlp,
    Datadog,
    Langfuse,
    Arize,
    Splunk,
    Elastic,
    Clickhouse,
    Stdout,
    Syslog,
}

impl SinkWay {
    pub const ALL: [Self; 10] = [
        Self::Webhook,
        Self::Otlp,
        Self::Datadog,
        Self::Langfuse,
        Self::Arize,
        Self::Splunk,
        Self::Elastic,
        Self::Clickhouse,
        Self::Stdout,
        Self::Syslog,
    ];

    /// As the document names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Otlp => "otlp",
            Self::Datadog => "datadog",
            Self::Langfuse => "langfuse",
            Self::Arize => "arize",
            Self::Splunk => "splunk",
            Self::Elastic => "elastic",
            Self::Clickhouse => "clickhouse",
            Self::Stdout => "stdout",
            Self::Syslog => "syslog",
        }
    }

    /// The usual address; none: there is no usual one. Datadog's is made of its site.
    fn url(self) -> Option<&'static str> {
        match self {
            Self::Datadog => Some(""),
            Self::Langfuse => Some("https://cloud.langfuse.com"),
            Self::Arize => Some("https://otlp.arize.com"),
            Self::Stdout | Self::Syslog => Some("stdout"),
            Self::Webhook | Self::Otlp | Self::Splunk | Self::Elastic | Self::Clickhouse => None,
        }
    }

    /// Whether it tells nobody over the network.
    pub fn is_local(self) -> bool {
        matches!(self, Self::Stdout | Self::Syslog)
    }

    /// The usual index, table or service.
    fn place(self) -> &'static str {
        match self {
            Self::Elastic => "gatelet-records",
            Self::Clickhouse => "gatelet_records",
            _ => "gatelet",
        }
    }
}

const SINK: [&str; 10] =
    ["kind", "url", "site", "key", "headers", "of", "sample", "content", "place", "region"];
/// So that a tick ends.
const MOST: usize = 16;

/// `sinks`, by their names.
pub(super) fn sinks(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<Sink> {
    let entries = reader.entries(at).unwrap_or_default();
    if entries.len() > MOST {
        reader.note(&at.spot, format!("expected at most {MOST} sinks"));
    }
    entries.iter().filter_map(|(name, at)| sink(reader, name, at)).collect()
}

fn sink(reader: &mut Reader<'_>, name: &str, at: &At<'_>) -> Option<Sink> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        reader.note(&at.spot, "expected a sink's name of lower-case letters, digits, - and _");
        return None;
    }
    let fields = reader.fields(at, &SINK, &[])?;
    let kinds = format!("one of {}", SinkWay::ALL.map(SinkWay::name).join(", "));
    let Some(kind) = fields.get("kind") else {
        reader.note(&fields.spot, format!("expected `kind`: {kinds}"));
        return None;
    };
    let named = |text: &str| SinkWay::ALL.into_iter().find(|way| way.name() == text);
    let way = reader.parsed(kind, &kinds, named)?;
    let (url, reach) = place(reader, &fields, way)?;
    let mut text = |name: &str| fields.get(name).and_then(|at| reader.text(at, "a word"));
    let (key, word) = (text("key").filter(|key| !key.is_empty()), text("place"));
    let sample = match fields.get("sample") {
        None => 10_000,
        Some(at) => share(reader, at)?,
    };
    let of = |text: &str| {
        let (kind, id) = text.split_once('/')?;
        (["org", "team", "project", "user", "key", "customer"].contains(&kind) && !id.is_empty())
            .then(|| (kind.into(), id.into()))
    };
    let of = match fields.get("of") {
        None => None,
        Some(at) => Some(reader.parsed(at, "whose records, such as team/search or org/acme", of)?),
    };
    let yes = |text: &str| text.parse().ok();
    let content = fields.get("content").and_then(|at| reader.parsed(at, "true or false", yes));
    Some(Sink {
        name: name.into(),
        way,
        url: url.into(),
        reach,
        key: key.map(Secret::new),
        headers: fields.get("headers").map(|at| super::document::headers(reader, at)).unwrap_or_default(),
        of,
        sample,
        content: content.unwrap_or(false),
        place: word.as_deref().filter(|word| is_plain(word)).unwrap_or(way.place()).into(),
        region: region(reader, fields.get("region")),
    })
}

/// `10%`, as parts of ten thousand.
pub(super) fn share(reader: &mut Reader<'_>, at: &At<'_>) -> Option<u16> {
    reader.parsed(at, "a share such as 10%, at least 0.01%", |text| {
        let percent: f64 = gatelet_wire::json::number(text.trim_end().strip_suffix('%')?.trim_end())?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most ten thousand")]
        (0.01..=100.0).contains(&percent).then(|| (percent * 100.0).round() as u16)
    })
}

/// The address of a sink, and how it may be reached.
fn place(reader: &mut Reader<'_>, fields: &Fields<'_>, way: SinkWay) -> Option<(String, Reach)> {
    let site = fields.get("site").and_then(|at| {
        let known = |text: &str| (way == SinkWay::Datadog && is_plain(text)).then(|| text.to_owned());
        reader.parsed(at, "a site of Datadog, such as datadoghq.eu", known)
    });
    let Some(at) = fields.get("url") else {
        let usual = way.url().map(str::to_owned);
        let url = match way {
            SinkWay::Datadog => Some(format!("https://api.{}", site.as_deref().unwrap_or("datadoghq.com"))),
            _ => usual,
        };
        if url.is_none() {
            reader.note(&fields.spot, "expected a `url` with https, or one of a private host");
        }
        return Some((url?, Reach::Public));
    };
    let text = reader.text(at, "an address")?;
    let found = address(&text).filter(|(uri, _)| {
        uri.query().is_none() && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
    });
    if found.is_none() {
        reader
            .note(&at.spot, "expected a `url` with https, or one of a private host, without user and query");
    }
    found.map(|(_, reach)| (text.trim_end_matches('/').to_owned(), reach))
}

/// What can stand in an address or a statement as it is.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 128
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_' || c == '-')
}
