//! First stage: the request's own words, checked as far as they can be by themselves.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::StreamExt;
use gatelet_wire::dialect::{Addressed, Reading, ollama};
use gatelet_wire::multipart::Form;
use gatelet_wire::operation::{self, Operation, Outline};
use gatelet_wire::{DialectId, Draft, Fields, Json, Malformed, Measure};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::request::Parts;

use super::approach::{Approach, peer};
use super::attempt::within;
use super::authenticate;
use super::knobs::Knobs;
use super::native::Native;
use super::prompt::Said;
use super::signed::Signed;
use super::wish;
use crate::domain::Caller;
use crate::domain::{KeyToken, Proof, RequestId, Timestamp};
use crate::port::{Body, Uncollected};
use crate::refusal::Refusal;
use crate::shared::Core;

/// A request that has come whole, with a key that was one of ours when it was last read.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) id: RequestId,
    pub(super) started: Timestamp,
    pub(super) operation: Operation,
    pub(super) dialect: DialectId,
    pub(super) addressed: Addressed,
    pub(super) proof: Proof,
    /// The key's document, as it was before the body came.
    pub(super) caller: Arc<Caller>,
    /// [`Approach`], by its parts.
    door: &'static str,
    peer: Option<IpAddr>,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// What is sent on as it comes.
    pub(super) upload: Upload,
    /// A call of a provider's own interface.
    pub(super) native: Option<Native>,
    /// The caller asked with a prompt, of which a conversation was made.
    pub(super) prompt: bool,
    pub(super) knobs: Knobs,
    /// What its body asked of the cache.
    pub(super) cache: Option<Json>,
    /// The prompt that it was made of.
    pub(super) said: Option<Arc<Said>>,
}

/// A request that is well-formed. Its body was read once, and whoever looks for a field finds it here.
#[derive(Debug)]
pub(super) struct Received<'a> {
    pub(super) arrived: &'a Arrived,
    pub(super) fields: Fields<'a>,
    pub(super) asked: Asked,
    /// What a request says of itself that is no conversation.
    pub(super) outline: Option<Box<Outline>>,
}

/// What the request asks for, read without building a tree.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub model: String,
    pub stream: bool,
    pub max_output: Option<u64>,
    pub choices: u32,
    pub stream_usage: bool,
    pub service_tier: Option<String>,
}

/// A body that does not say its length may be as long as this.
const LENGTH_UNKNOWN: u64 = 1 << 30;

/// A body, or the rest of one, that nobody here reads; so it can be sent once.
#[derive(Debug, Default)]
pub(super) struct Upload {
    body: Mutex<Option<Body>>,
    spent: AtomicBool,
}

impl Upload {
    pub(super) fn of(body: Body) -> Self {
        Self { body: Mutex::new(Some(body)), spent: AtomicBool::new(false) }
    }

    pub(super) fn is_there(&self) -> bool {
        self.body.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(super) fn take(&self) -> Option<Body> {
        let body = self.body.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.spent.fetch_or(body.is_some(), Ordering::Relaxed);
        body
    }

    /// It was there, and has been sent.
    pub(super) fn is_spent(&self) -> bool {
        self.spent.load(Ordering::Relaxed)
    }
}

/// What the address of a request says: what is asked for, in which dialect, and what some say there of the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    pub operation: Operation,
    pub dialect: DialectId,
    pub addressed: Addressed,
}

/// Takes a request in. The key is judged before the body is read: a stranger, who can write keys of
/// the right form, does not fill our memory with bodies. What is waited for rarely is boxed, here and in the stages after
/// it: each request's state is as large as the largest of what it may wait for.
pub(super) async fn arrive(
    core: &Core,
    id: RequestId,
    started: Timestamp,
    asking: Asking,
    native: Option<Native>,
    parts: Parts,
    body: Body,
) -> Result<Arrived, Refusal> {
    let signed = Signed::read(&parts, asking.addressed.model.as_deref(), started)?;
    let approach = Approach::of(core, &parts, asking.operation.name());
    let (shown, caller) = if let Some(signed) = signed {
        let caller = Box::pin(signed.known(core, started, approach)).await?;
        (Shown::Signature(signed), caller)
    } else {
        let token = token(core, &parts)?;
        let caller = authenticate::known(core, &token, started, approach).await?;
        (Shown::Token(token), caller)
    };
    let knobs = Knobs::read(&parts.headers, parts.uri.query())?;
    let most = core.settings.deadline;
    let limit = knobs.timeout.map_or(most, |asked| asked.min(most));
    let Asking { operation, dialect, addressed } = asking;
    let streamed = operation == Operation::Native;
    // What is to be signed must be there whole.
    let signs = native.as_ref().is_some_and(|native| native.provider.signs());
    let forms = operation.takes_forms() && !signs;
    let boundary = forms.then(|| content_type(&parts.headers).and_then(Form::boundary)).flatten();
    let (proof, caller, body, upload) = match (shown, boundary) {
        (Shown::Token(token), _) if streamed && !signs => {
            (Proof::Token(token), caller, Bytes::new(), Upload::of(body))
        }
        (Shown::Token(token), Some(boundary)) => {
            let head = pin!(form_head(body, boundary, core.settings.body_limit));
            let (head, rest) = within(core, limit, head).await.ok_or(Refusal::Timeout)??;
            (Proof::Token(token), caller, head, rest)
        }
        (shown, _) => {
            let body = pin!(collect(body, &parts.headers, core.settings.body_limit));
            let body = within(core, limit, body).await.ok_or(Refusal::Timeout)??;
            // Only now is there something that a signature could be of.
            let (proof, caller) = match shown {
                Shown::Token(token) => (Proof::Token(token), caller),
                Shown::Signature(signed) => {
                    Box::pin(signed.verify(core, caller, &body, started, approach)).await?
                }
            };
            if streamed {
                (proof, caller, Bytes::new(), Upload::of(Body::Full(body)))
            } else {
                (proof, caller, body, Upload::default())
            }
        }
    };
    let asking = Asking { operation, dialect, addressed };
    Arrived::of(id, started, asking, Came { proof, caller, body, upload, native, knobs }, parts)
}

/// What was found out while a request came.
pub(super) struct Came {
    proof: Proof,
    caller: Arc<Caller>,
    body: Bytes,
    upload: Upload,
    native: Option<Native>,
    knobs: Knobs,
}

impl Came {
    /// A request that is there already.
    pub(super) fn whole(
        proof: Proof,
        caller: Arc<Caller>,
        parts: &Parts,
        body: Bytes,
    ) -> Result<Self, Refusal> {
        let knobs = Knobs::read(&parts.headers, parts.uri.query())?;
        Ok(Self { proof, caller, body, upload: Upload::default(), native: None, knobs })
    }

    /// The same, of a provider's own interface, or with more of the body to come.
    pub(super) fn with(self, native: Option<Native>, upload: Upload) -> Self {
        Self { upload, native, ..self }
    }
}

/// What a caller shows before the body is read.
enum Shown {
    Token(KeyToken),
    Signature(Signed),
}

/// A form as far as it must be read to know the model, and the rest of it. Where the file comes before that, the file is
/// read too, as far as bodies may be long.
async fn form_head(body: Body, boundary: &str, most: usize) -> Result<(Bytes, Upload), Refusal> {
    let mut stream = match body {
        Body::Empty => return Ok((Bytes::new(), Upload::default())),
        Body::Full(bytes) if bytes.len() > most => return Err(Refusal::BodyTooLarge { most }),
        Body::Full(bytes) => return Ok((bytes, Upload::default())),
        body @ (Body::Pieces(_) | Body::Stream(_)) => body.into_stream(),
    };
    let mut head = Vec::new();
    // A form is read again from its beginning when it has doubled: all readings together are no longer than two.
    let mut next = 0;
    loop {
        let Some(chunk) = stream.next().await.transpose().map_err(|_| Refusal::BodyBroken)? else {
            return Ok((head.into(), Upload::default()));
        };
        if chunk.len() > most - head.len() {
            return Err(Refusal::BodyTooLarge { most });
        }
        head.extend_from_slice(&chunk);
        if head.len() < next {
            continue;
        }
        next = head.len().saturating_mul(2).min(head.len() + (1 << 20));
        let form = Form::read(boundary, &head)?;
        if form.file && form.text(&head, "model").is_some() {
            return Ok((head.into(), Upload::of(Body::Stream(stream))));
        }
    }
}

pub(super) fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok())
}

/// A body's announced length.
pub(super) fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl Received<'_> {
    /// The model that is asked for, by the name that is meant. A provider's own interface has the provider's names.
    pub(super) fn wanted<'a>(&'a self, caller: &'a Caller) -> &'a str {
        let said = &self.asked.model;
        if self.arrived.native.is_some() { said } else { caller.meant(said) }
    }
}

impl Arrived {
    pub(super) fn of(
        id: RequestId,
        started: Timestamp,
        asking: Asking,
        came: Came,
        mut parts: Parts,
    ) -> Result<Self, Refusal> {
        let Asking { operation, dialect, addressed } = asking;
        let Came { proof, caller, body, upload, native, knobs } = came;
        let (door, peer) = (operation.name(), peer(&parts));
        let prompt = operation == Operation::Completion && dialect == DialectId::Ollama;
        let (operation, body) = if prompt {
            (Operation::Chat, ollama::generate::to_chat(&body)?.into())
        } else {
            (operation, body)
        };
        let said = parts.extensions.remove();
        let headers = parts.headers;
        Ok(Self {
            id,
            started,
            operation,
            dialect,
            addressed,
            proof,
            caller,
            door,
            peer,
            headers,
            body,
            upload,
            native,
            prompt,
            knobs,
            cache: None,
            said,
        })
    }

    /// Without what only the gateway is told, in its body: no provider would take it. Looked for only where some model's
    /// answers are kept.
    pub(super) fn without_wishes(mut self, core: &Core) -> Self {
        if self.native.is_some()
            || !core.policy().caches()
            || memchr::memmem::find(&self.body, b"\"cache\"").is_none()
        {
            return self;
        }
        let Ok(fields) = Fields::read(&self.body) else { return self };
        let Some(wish) = fields.get(wish::FIELD).filter(|raw| raw.get().starts_with('{')) else {
            return self;
        };
        let wish = Json::from(wish);
        let mut draft = Draft::from(&fields);
        draft.remove(wish::FIELD);
        self.body = draft.write().into();
        self.cache = Some(wish);
        self
    }

    /// The same request with another body, which is there whole.
    pub(super) fn again(&self, body: Bytes) -> Self {
        Self {
            id: self.id.clone(),
            started: self.started,
            operation: self.operation,
            dialect: self.dialect,
            addressed: self.addressed.clone(),
            proof: self.proof.clone(),
            caller: self.caller.clone(),
            door: self.door,
            peer: self.peer,
            headers: self.headers.clone(),
            body,
            upload: Upload::default(),
            native: self.native.clone(),
            prompt: self.prompt,
            knobs: self.knobs.clone(),
            cache: self.cache.clone(),
            said: self.said.clone(),
        }
    }

    /// The same as a request of its own, for which nobody waits.
    pub(super) fn copy(&self, id: RequestId, started: Timestamp) -> Box<Self> {
        let mut copy = Self { id, started, ..self.again(self.body.clone()) };
        copy.knobs.timeout = None;
        Box::new(copy)
    }

    /// A request of its own that asks for the vector of what this one says.
    pub(super) fn embedding(&self, id: RequestId, started: Timestamp, body: Bytes) -> Box<Self> {
        let mut asking = Self {
            id,
            started,
            operation: Operation::Embedding,
            dialect: DialectId::Openai,
            addressed: Addressed::default(),
            native: None,
            prompt: false,
            cache: None,
            said: None,
            ..self.again(body)
        };
        asking.knobs.timeout = None;
        asking.knobs.strict = false;
        Box::new(asking)
    }

    /// How it came.
    pub(super) fn approach<'a>(&'a self, core: &'a Core) -> Approach<'a> {
        Approach::by(core, self.door, self.peer, &self.headers)
    }

    /// The form that the body begins with.
    pub(super) fn form(&self) -> Option<Result<Form, Malformed>> {
        Some(Form::read(self.boundary()?, &self.body))
    }

    /// What parts the form that the body is.
    pub(super) fn boundary(&self) -> Option<&str> {
        let forms = self.operation.takes_forms();
        forms.then(|| content_type(&self.headers).and_then(Form::boundary)).flatten()
    }

    pub(super) fn read(&self) -> Result<Received<'_>, Refusal> {
        let mut received = self.read_body()?;
        // The names that callers use for models are not those of a provider.
        if let Some(native) = &self.native {
            received.asked.model = format!("{}/{}", native.provider.id, received.asked.model);
        }
        Ok(received)
    }

    fn read_body(&self) -> Result<Received<'_>, Refusal> {
        if self.operation == Operation::Native {
            let outline =
                Outline { model: "*".to_owned(), measure: Some(Measure::default()), ..Outline::default() };
            let asked = Asked::of(&outline);
            let outline = Some(Box::new(outline));
            return Ok(Received { arrived: self, fields: Fields::default(), asked, outline });
        }
        if let Some(form) = self.form() {
            let length = if self.upload.is_there() {
                announced(&self.headers).unwrap_or(LENGTH_UNKNOWN)
            } else {
                self.body.len() as u64
            };
            let outline = operation::outline_form(self.operation, &form?, &self.body, length)?;
            let asked = Asked::of(&outline);
            let outline = Some(Box::new(outline));
            return Ok(Received { arrived: self, fields: Fields::default(), asked, outline });
        }
        let fields = Fields::read(&self.body)?;
        if self.operation != Operation::Chat {
            let outline = operation::outline(self.operation, self.dialect, &fields, &self.addressed)?;
            let asked = Asked::of(&outline);
            return Ok(Received { arrived: self, fields, asked, outline: Some(Box::new(outline)) });
        }
        let peek = self.dialect.dialect().peek(&fields, &self.addressed)?;
        let service_tier = ["service_tier", "serviceTier"].into_iter().find_map(|key| fields.present(key));
        let service_tier =
            service_tier.and_then(|raw| gatelet_wire::json::from_str::<String>(raw.get()).ok());
        let asked = Asked {
            model: peek.model.into_owned(),
            stream: peek.stream,
            max_output: peek.max_output,
            choices: peek.choices.max(1),
            stream_usage: peek.stream_usage,
            service_tier,
        };
        Ok(Received { arrived: self, fields, asked, outline: None })
    }
}

impl Received<'_> {
    /// How the answer of a provider's own interface is read.
    pub(super) fn native_reading(&self) -> Reading {
        self.arrived.native.as_ref().map(|native| native.provider.reading()).unwrap_or_default()
    }
}

impl Asked {
    /// What is asked for where there are no turns and choices.
    fn of(outline: &Outline) -> Self {
        Self {
            model: outline.model.clone(),
            stream: outline.stream,
            max_output: Some(outline.most_output),
            choices: 1,
            stream_usage: true,
            service_tier: None,
        }
    }
}

/// The caller's key, from wherever a vendor's SDK puts it.
pub fn token(core: &Core, parts: &Parts) -> Result<KeyToken, Refusal> {
    let text = shown_key(parts).ok_or(Refusal::NoKey)?;
    let imported = || {
        let imports = core.policy().imports_keys();
        imports.then(|| KeyToken::imported(&core.settings.shard, text)).flatten()
    };
    KeyToken::parse(text).or_else(imported).ok_or(Refusal::KeyMalformed)
}

pub fn key_text(parts: &Parts) -> Option<String> {
    shown_key(parts).map(str::to_owned)
}

fn shown_key(parts: &Parts) -> Option<&str> {
    fn text(value: &HeaderValue) -> Option<&str> {
        value.to_str().ok().map(str::trim)
    }
    let header = |name: &str| parts.headers.get(name).and_then(text);
    let bearer = parts.headers.get(AUTHORIZATION).and_then(text).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    let query = || {
        let query = parts.uri.query()?;
        query.split('&').find_map(|pair| pair.strip_prefix("key="))
    };
    bearer
        .or_else(|| header("x-api-key"))
        .or_else(|| header("api-key"))
        .or_else(|| header("x-goog-api-key"))
        .or_else(query)
        .filter(|key| !key.is_empty())
}

/// Reads a whole body of at most `most` bytes, or refuses it.
pub async fn collect(body: Body, headers: &HeaderMap, most: usize) -> Result<Bytes, Refusal> {
    body.collect(headers, most).await.map_err(|uncollected| match uncollected {
        Uncollected::TooLarge => Refusal::BodyTooLarge { most },
        Uncollected::Broken(_) => Refusal::BodyBroken,
    })
}
