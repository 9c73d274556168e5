//! What a caller may ask of the gateway beside its vendor's own words: headers that begin with `x-gatelet-`.

use std::time::Duration;

use gatelet_detect::Kinds;
use http::{HeaderMap, HeaderName};

use crate::domain::{Carried, Trace};
use crate::refusal::Refusal;

/// The knobs of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Knobs {
    /// `x-gatelet-tags: search, nightly`: more tags for this request and its record, beside the key's.
    pub(super) tags: Vec<String>,
    /// `x-gatelet-customer`: the end user that the request is for.
    pub(super) customer: Option<String>,
    /// `x-gatelet-session`: joins the records of one conversation.
    pub(super) session: Option<String>,
    /// `x-gatelet-timeout`: seconds that the whole request may take, if that is less than the model's own limit.
    pub(super) timeout: Option<Duration>,
    /// `x-gatelet-strict: loss`, or `?strict=loss`: a target that cannot carry everything is not asked.
    pub(super) strict: bool,
    /// `traceparent`: the trace that the request is part of. One that is not sound is as if it were not there.
    pub(super) trace: Option<Trace>,
    /// `tracestate`, which is nothing without the trace, and `baggage`; without what may be a secret.
    pub(super) carried: Option<Box<Carried>>,
    /// `x-gatelet-guards: pii, -injection`: guards that are wanted beside the usual ones, or not wanted.
    pub(super) guards: Option<Box<str>>,
}

// Names that are made once: to make one costs as much as to look for it.
static TAGS: HeaderName = HeaderName::from_static("x-gatelet-tags");
static CUSTOMER: HeaderName = HeaderName::from_static("x-gatelet-customer");
static SESSION: HeaderName = HeaderName::from_static("x-gatelet-session");
static TIMEOUT: HeaderName = HeaderName::from_static("x-gatelet-timeout");
static STRICT: HeaderName = HeaderName::from_static("x-gatelet-strict");
pub(super) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
pub(super) static BAGGAGE: HeaderName = HeaderName::from_static("baggage");
static GUARDS: HeaderName = HeaderName::from_static("x-gatelet-guards");

/// What their names begin with, but for those of a trace.
const OURS: &str = "x-gatelet-";
const MOST_TAGS: usize = 8;
const LONGEST: usize = 128;

impl Knobs {
    pub(super) fn read(headers: &HeaderMap, query: Option<&str>) -> Result<Self, Refusal> {
        // Most requests ask for nothing, and a look at all names costs less than the search for one.
        let ours =
            |name: &HeaderName| name.as_str().starts_with(OURS) || *name == TRACEPARENT || *name == BAGGAGE;
        if query.is_none() && !headers.keys().any(ours) {
            return Ok(Self::default());
        }
        let tags = match text(headers, &TAGS)? {
            None => Vec::new(),
            Some(tags) => {
                tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect()
            }
        };
        if tags.len() > MOST_TAGS || tags.iter().any(|tag| tag.len() > LONGEST) {
            return Err(invalid(
                "x-gatelet-tags",
                "expected at most 8 tags of at most 128 bytes, parted by commas",
            ));
        }
        let customer = match headers.get(&CUSTOMER) {
            None => None,
            // Names of people: any text.
            Some(value) => Some(
                std::str::from_utf8(value.as_bytes())
                    .map_err(|_| invalid("x-gatelet-customer", "expected UTF-8"))?
                    .trim()
                    .to_owned(),
            ),
        };
        let session = text(headers, &SESSION)?.filter(|session| !session.is_empty());
        if session.is_some_and(|session| session.len() > LONGEST) {
            return Err(invalid("x-gatelet-session", "expected at most 128 bytes"));
        }
        let timeout = match text(headers, &TIMEOUT)? {
            None => None,
            Some(seconds) => {
                let seconds = gatelet_wire::json::number(seconds)
                    .filter(|seconds| (0.001..=86_400.0).contains(seconds));
                let expected = || invalid("x-gatelet-timeout", "expected seconds, such as 30 or 2.5");
                Some(Duration::from_secs_f64(seconds.ok_or_else(expected)?))
            }
        };
        let asked = query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("strict=")));
        let strict = match (text(headers, &STRICT)?, asked) {
            (None, None) => false,
            (Some("loss") | None, Some("loss") | None) => true,
            (Some("loss") | None, Some(_)) => return Err(invalid("strict", "expected loss")),
            (Some(_), _) => return Err(invalid("x-gatelet-strict", "expected loss")),
        };
        let trace = headers.get(&TRACEPARENT).and_then(|value| Trace::parse(value.to_str().ok()?));
        let carried = carried(headers, trace.is_some()).map(Box::new);
        let guards = text(headers, &GUARDS)?.map(Into::into);
        Ok(Self {
            tags,
            customer,
            session: session.map(str::to_owned),
            timeout,
            strict,
            trace,
            carried,
            guards,
        })
    }
}

/// What comes with a trace. A member in which a secret is found goes nowhere.
fn carried(headers: &HeaderMap, traced: bool) -> Option<Carried> {
    let lines = |name: &HeaderName| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let mut carried = Carried::default();
    if traced {
        carried.read_state(lines(&TRACESTATE));
    }
    carried.read_baggage(lines(&BAGGAGE));
    let clean = |text: &str| gatelet_detect::scan(text, Kinds::SECRETS).is_empty();
    carried.baggage.retain(|member| clean(member));
    if !clean(&carried.state) {
        carried.state.clear();
    }
    Some(carried).filter(|carried| !carried.is_empty())
}

fn text<'a>(headers: &'a HeaderMap, name: &'static HeaderName) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value
        .to_str()
        .map(|text| Some(text.trim()))
        .map_err(|_| invalid(name.as_str(), "expected visible ASCII characters"))
}

fn invalid(param: &str, problem: &str) -> Refusal {
    Refusal::Invalid { param: param.to_owned(), problem: problem.to_owned() }
}
