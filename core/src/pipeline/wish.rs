//! What a request asks of the cache, as far as the configuration lets it: `x-gatelet-cache: no-cache, ttl=600`, or, where a
//! model's answers are kept, `"cache": { "no-cache": true, "ttl": 600 }` in a body of JSON.

use std::borrow::Cow;
use std::time::Duration;

use gatelet_wire::Fields;
use gatelet_wire::json::string;
use http::HeaderName;

use super::receive::Arrived;
use crate::domain::Span;
use crate::policy::{Caching, Control};
use crate::refusal::Refusal;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// The cache is used at all.
    pub(super) uses: bool,
    /// An answer that is there may be given.
    pub(super) reads: bool,
    /// The answer may be kept.
    pub(super) writes: bool,
    pub(super) ttl: Duration,
    /// Older answers are not wanted.
    pub(super) max_age: Option<Duration>,
    pub(super) namespace: Option<String>,
}

static HEADER: HeaderName = HeaderName::from_static("x-gatelet-cache");
pub(super) const FIELD: &str = "cache";
const LONGEST_NAMESPACE: usize = 128;

impl Wish {
    pub(super) fn read(arrived: &Arrived, caching: &Caching) -> Result<Self, Refusal> {
        let mut wish = Self {
            uses: !caching.on_request,
            reads: true,
            writes: true,
            ttl: caching.ttl,
            max_age: None,
            namespace: None,
        };
        if let Some(field) = &arrived.cache {
            wish.field(field.as_ref(), caching)?;
        }
        for value in arrived.headers.get_all(&HEADER) {
            let text =
                value.to_str().map_err(|_| invalid(HEADER.as_str(), "expected visible ASCII characters"))?;
            for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
                let (word, value) = match word.split_once('=') {
                    Some((word, value)) => (word.trim(), Some(value.trim())),
                    None => (word, None),
                };
                wish.word(HEADER.as_str(), word, value, caching)?;
            }
        }
        Ok(wish)
    }

    /// As those write it who come from `LiteLLM`.
    fn field(&mut self, json: &serde_json::value::RawValue, caching: &Caching) -> Result<(), Refusal> {
        let fields = Fields::of(json, FIELD)?;
        for (word, value) in fields.iter() {
            match value.get() {
                "true" => self.word(FIELD, word, None, caching)?,
                "false" | "null" => {}
                other => {
                    let text = string(value).unwrap_or(Cow::Borrowed(other));
                    self.word(FIELD, word, Some(&text), caching)?;
                }
            }
        }
        Ok(())
    }

    fn word(
        &mut self,
        place: &str,
        word: &str,
        value: Option<&str>,
        caching: &Caching,
    ) -> Result<(), Refusal> {
        let allowed = |control: Control| {
            if caching.controls.contains(&control) {
                return Ok(());
            }
            Err(invalid(place, &format!("the model's configuration does not let callers say `{word}`")))
        };
        let time = || {
            let time = value.and_then(|text| match text.parse() {
                Ok(seconds) => Some(Duration::from_secs(seconds)),
                Err(_) => Span::parse(text).map(Span::duration),
            });
            time.ok_or_else(|| {
                invalid(place, &format!("expected seconds, or a time such as 10m, after `{word}=`"))
            })
        };
        match (word, value) {
            ("no-cache", None) => {
                allowed(Control::NoCache)?;
                self.reads = false;
            }
            ("max-age" | "s-maxage" | "s-max-age", Some(_)) => {
                allowed(Control::NoCache)?;
                self.max_age = Some(time()?);
            }
            ("no-store", None) => {
                allowed(Control::NoStore)?;
                self.writes = false;
            }
            ("ttl", Some(_)) => {
                allowed(Control::Ttl)?;
                let ttl = time()?;
                self.ttl = ttl.min(caching.max_ttl);
                self.writes &= !ttl.is_zero();
            }
            ("namespace", Some(name)) => {
                allowed(Control::Namespace)?;
                if name.is_empty() || name.len() > LONGEST_NAMESPACE {
                    return Err(invalid(place, "expected a namespace of 1 to 128 bytes"));
                }
                self.namespace = Some(name.to_owned());
            }
            ("use-cache", None) => self.uses = true,
            _ => {
                let expected = "expected no-cache, no-store, use-cache, max-age=…, ttl=… or namespace=…";
                return Err(invalid(place, expected));
            }
        }
        Ok(())
    }
}

fn invalid(param: &str, problem: &str) -> Refusal {
    Refusal::Invalid { param: param.to_owned(), problem: problem.to_owned() }
}
