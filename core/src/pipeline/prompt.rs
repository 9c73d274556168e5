//! A request that names a prompt: read as what the prompt says with its values, before anybody judges it.
//!
//! Named in the body of any dialect (`prompt_id`, `prompt_version`, `prompt_variables`), by `prompt` of Responses, or, by clients
//! that know no such fields, by two headers.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use gatelet_wire::json::{is_null, string};
use gatelet_wire::{DialectId, Draft, Fields, Loss, Malformed, Operation};
use http::{HeaderMap, HeaderName};
use memchr::memmem;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::receive::{Arrived, Asking};
use crate::domain::{Caller, Scope};
use crate::prompt::{self, LATEST, NOBODY, Prompt, Wrong};
use crate::refusal::Refusal;
use crate::registry::near_names;
use crate::shared::Core;

static HEADER: HeaderName = HeaderName::from_static("x-gatelet-prompt");
static VARIABLES: HeaderName = HeaderName::from_static("x-gatelet-prompt-variables");

/// The fields of a body that are told the gateway alone.
const ID: &str = "prompt_id";
const VERSION: &str = "prompt_version";
const VALUES: &str = "prompt_variables";
/// Responses' own word for all of it.
const OBJECT: &str = "prompt";

/// The prompt that a request was made of.
#[derive(Clone, Debug)]
pub struct Said {
    pub(super) name: Box<str>,
    pub(super) version: u64,
    /// What of the prompt the caller's dialect has no words for.
    pub(super) loss: Loss,
}

/// What a request says of a prompt.
struct Named {
    name: String,
    version: Option<String>,
    values: Map<String, Value>,
}

/// The body of a request that names a prompt, with what the prompt says in it; none: it names none.
///
/// # Errors
/// There is no such prompt or version, or it does not take what it is given.
pub async fn said(
    core: &Core,
    caller: &Caller,
    asking: &mut Asking,
    headers: &HeaderMap,
    body: &Bytes,
) -> Result<Option<(Bytes, Said)>, Refusal> {
    let dialect = asking.dialect;
    if !may_name(dialect, headers, body) {
        return Ok(None);
    }
    let fields = Fields::read(body)?;
    let Some(named) = named(&fields, dialect, headers)? else { return Ok(None) };
    let (version, prompt) = find(core, caller, &named).await?;
    let mut draft = Draft::from(&fields);
    for name in [ID, VERSION, VALUES] {
        draft.remove(name);
    }
    if dialect == DialectId::OpenaiResponses {
        draft.remove(OBJECT);
    }
    let mut loss = Loss::default();
    let most = core.settings.body_limit;
    let spoken = prompt.say(&named.values, dialect, most, &mut loss).map_err(refused)?;
    let nobody = |model: &str| model.is_empty() || model == NOBODY;
    let mut model = None;
    if let Some(path) = &mut asking.addressed.model {
        if let Some(usual) = prompt.model().filter(|_| nobody(path)) {
            usual.clone_into(path);
        }
    } else if draft.get("model").and_then(string).is_none_or(|model| nobody(&model)) {
        model = prompt.model();
    }
    let body = prompt::join(dialect, &spoken, &draft, model)?;
    if body.len() > most {
        return Err(Refusal::BodyTooLarge { most });
    }
    Ok(Some((body.into(), Said { name: named.name.into(), version, loss })))
}

/// Whether a request may name a prompt: what most do not is found out without reading them.
fn may_name(dialect: DialectId, headers: &HeaderMap, body: &[u8]) -> bool {
    let has = |word: &str| memmem::find(body, word.as_bytes()).is_some();
    headers.contains_key(&HEADER)
        || has("\"prompt_id\"")
        || (dialect == DialectId::OpenaiResponses && has("\"prompt\""))
}

impl Arrived {
    /// Whether it may name a prompt. Whoever came through the state of Responses has said what it says already.
    pub(super) fn may_name_a_prompt(&self) -> bool {
        let speaks = self.operation == Operation::Chat && self.native.is_none();
        let body: &[u8] = if speaks { &self.body } else { &[] };
        self.said.is_none() && may_name(self.dialect, &self.headers, body)
    }

    /// The request that is meant by one that names a prompt.
    pub(super) async fn said(mut self, core: &Core) -> Result<Self, Refusal> {
        if self.operation != Operation::Chat || self.native.is_some() {
            return Err(invalid(HEADER.as_str(), "prompts are for conversations"));
        }
        let addressed = std::mem::take(&mut self.addressed);
        let mut asking = Asking { operation: self.operation, dialect: self.dialect, addressed };
        let said = said(core, &self.caller, &mut asking, &self.headers, &self.body).await?;
        self.addressed = asking.addressed;
        if let Some((body, said)) = said {
            self.body = body;
            self.said = Some(Arc::new(said));
        }
        Ok(self)
    }
}

fn named(fields: &Fields<'_>, dialect: DialectId, headers: &HeaderMap) -> Result<Option<Named>, Refusal> {
    let header = match headers.get(&HEADER) {
        None => None,
        Some(value) => {
            Some(value.to_str().map_err(|_| invalid(HEADER.as_str(), "expected a prompt's name"))?.trim())
        }
    };
    let object = match fields.present(OBJECT).filter(|_| dialect == DialectId::OpenaiResponses) {
        None => None,
        Some(raw) => Some(Fields::of(raw, OBJECT)?),
    };
    let id = |raw: &RawValue, path: &str| match string(raw) {
        Some(id) => Ok(id.into_owned()),
        None => Err(Refusal::from(Malformed::field(path, "the name of a prompt"))),
    };
    let (version, values, name) = match (header, fields.present(ID), &object) {
        (None, None, None) => return Ok(None),
        (Some(name), None, None) => (fields.get(VERSION), fields.get(VALUES), name.to_owned()),
        (None, Some(raw), None) => (fields.get(VERSION), fields.get(VALUES), id(raw, ID)?),
        (None, None, Some(object)) => {
            let missing = || Malformed::field("prompt.id", "the name of a prompt");
            let raw = object.present("id").ok_or_else(missing)?;
            (object.get("version"), object.get("variables"), id(raw, "prompt.id")?)
        }
        _ => return Err(invalid(ID, "expected a prompt to be named once")),
    };
    // A number, as some clients send it, is as good as its text.
    let text = |raw: &RawValue| string(raw).map_or_else(|| raw.get().to_owned(), Cow::into_owned);
    let version = version.filter(|raw| !is_null(raw)).map(text);
    let (name, version) = match (name.split_once('@'), version) {
        (Some((name, version)), None) => (name.to_owned(), Some(version.to_owned())),
        (_, version) => (name, version),
    };
    let expected = |path: &str| invalid(path, "expected an object of values by their names");
    let said = match (headers.get(&VARIABLES), values.filter(|raw| !is_null(raw))) {
        (Some(_), Some(_)) => return Err(invalid(VARIABLES.as_str(), "expected variables to be given once")),
        (None, None) => None,
        (Some(header), None) => {
            let text = header.to_str().map_err(|_| expected(VARIABLES.as_str()))?;
            Some((text, VARIABLES.as_str()))
        }
        (None, Some(raw)) => Some((raw.get(), VALUES)),
    };
    let values = match said {
        None => Map::new(),
        Some((text, path)) => gatelet_wire::json::from_str(text).map_err(|_| expected(path))?,
    };
    Ok(Some(Named { name, version, values }))
}

/// The organisation's own prompt of that name, or the configuration's.
async fn find(core: &Core, caller: &Caller, named: &Named) -> Result<(u64, Arc<Prompt>), Refusal> {
    let (ports, key) = (&core.ports, &caller.key);
    let (shard, org) = (&key.shard, key.org.as_deref().unwrap_or(Scope::DEFAULT_ORG));
    let (name, asked) = (named.name.as_str(), named.version.as_deref());
    let binder = core.prompts.of(ports, shard, org).await?;
    let policy = core.policy();
    if let Some(listed) = binder.get(name) {
        let read = match listed.edition(asked) {
            Some(edition) => {
                let prompt = core.prompts.read(ports, shard, org, listed, edition).await?;
                prompt.map(|prompt| (edition.version, prompt))
            }
            None => None,
        };
        return read.ok_or_else(|| {
            let versions = listed.versions.iter().rev().take(8).map(|edition| edition.version.to_string());
            let versions: Vec<String> = listed.labels.keys().take(8).cloned().chain(versions).collect();
            unknown(named, format!("; it has {}", versions.join(", ")))
        });
    }
    if let Some((version, prompt)) = policy.prompt(name) {
        let fits = asked.is_none_or(|asked| asked == LATEST || asked == version.to_string());
        return if fits {
            Ok((version, prompt.clone()))
        } else {
            Err(unknown(named, format!("; it has {version}")))
        };
    }
    let own = binder.prompts.iter().filter(|listed| listed.is_there()).map(|listed| listed.name.as_str());
    let near = near_names(name, own.chain(policy.prompts()));
    let hint =
        if near.is_empty() { String::new() } else { format!(". Did you mean `{}`?", near.join("`, `")) };
    Err(unknown(named, hint))
}

fn unknown(named: &Named, hint: String) -> Refusal {
    let whole = named.version.iter().fold(named.name.clone(), |name, version| format!("{name}@{version}"));
    Refusal::PromptUnknown { prompt: whole.chars().take(128).collect(), hint }
}

fn refused(Wrong { param, problem }: Wrong) -> Refusal {
    Refusal::Invalid { param, problem }
}

fn invalid(param: &str, problem: &str) -> Refusal {
    Refusal::Invalid { param: param.to_owned(), problem: problem.to_owned() }
}
