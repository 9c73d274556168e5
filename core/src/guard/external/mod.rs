//! Services that judge: what each is asked, and how its answer is read. One file each.

mod aporia;
mod azure;
mod bedrock;
mod guardrails;
mod judge;
mod lakera;
mod model_armor;
mod moderation;
mod presidio;
#[cfg(test)]
mod tests;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gatelet_wire::Malformed;
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, Method, Request, Response, Uri};
use serde_json::Value;

use super::note::Direction;
use super::scan::{Finding, Kind, Span};
use crate::domain::{Secret, Timestamp};
use crate::exchange::Exchange;
use crate::port::{Fault, Ports, Reach};
use crate::registry::{Credential, Scheme};
use crate::together::together;

/// A service, where it is, and what opens it.
#[derive(Clone, Debug)]
pub struct External {
    pub service: Service,
    /// Where it answers; what follows is the service's own path.
    pub base: Box<str>,
    pub key: Option<Credential>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The host is of the admin's own network.
    pub private: bool,
    /// Where it judges; none: nobody knows.
    pub region: Option<Box<str>>,
}

/// What is spoken there.
#[derive(Clone, Debug)]
pub enum Service {
    /// The contract that many guards speak: texts in, an action and other texts out.
    Webhook,
    /// The same, at Pillar's.
    Pillar,
    Presidio(presidio::Settings),
    /// With a project, whose policy says what is looked for.
    Lakera(Option<String>),
    Aporia,
    Bedrock(bedrock::Settings),
    /// With the name of its model.
    Moderation(String),
    /// Attacks on prompts.
    AzureShield,
    /// Harmful content of at least this severity, 0 to 7.
    AzureText(u64),
    /// What no source says, in this domain.
    AzureGrounded(String),
    /// With the full name of its template.
    ModelArmor(String),
    /// With the name of its guard.
    Guardrails(String),
    Judge(judge::Settings),
}

/// What a service is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    pub texts: Vec<String>,
    pub direction: Direction,
    /// What an answer can stand on, where it is an answer and a guard asks for that.
    pub grounds: Option<Arc<Grounds>>,
}

/// What a request gave its model to answer by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grounds {
    /// Documents and results of tools; without any, the instructions.
    pub sources: Vec<String>,
    /// What was said last.
    pub asked: String,
}

impl Grounds {
    /// Letters of all sources together.
    pub const MOST: usize = azure::SOURCES;
}

/// What it said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Of the texts as a whole.
    pub found: Vec<Kind>,
    /// In one of the texts, by its number.
    pub spans: Vec<(usize, Vec<Finding>)>,
    /// All of the texts, as they should be said.
    pub replaced: Option<Vec<String>>,
}

/// Services by the word of the configuration, and the settings that are theirs alone.
pub const SERVICES: &[(&str, &[&str])] = &[
    ("webhook", &[]),
    ("pillar", &[]),
    ("presidio", &["language", "entities", "score"]),
    ("lakera", &["project"]),
    ("aporia", &[]),
    ("bedrock-guardrail", &["guardrail", "revision", "region"]),
    ("openai-moderation", &["model"]),
    ("azure-prompt-shield", &[]),
    ("azure-content-safety", &["severity"]),
    ("azure-groundedness", &["domain"]),
    ("model-armor", &["guardrail"]),
    ("guardrails-ai", &["guardrail"]),
    ("judge", &["model", "instruction"]),
];

/// Settings of a service as they are written.
struct Settings<'a>(&'a [(&'a str, Value)]);

impl Settings<'_> {
    fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    fn needed(&self, name: &str, what: &str) -> Result<String, String> {
        self.text(name).ok_or_else(|| format!("expected `{name}`: {what}"))
    }

    /// A number, or a text that is one.
    fn number(&self, name: &str) -> Option<f64> {
        let value = self.get(name)?;
        value.as_f64().or_else(|| gatelet_wire::json::number(value.as_str()?.trim_end_matches('%')))
    }

    fn list(&self, name: &str) -> Vec<String> {
        match self.get(name) {
            Some(Value::Array(items)) => {
                items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
            }
            Some(Value::String(text)) => vec![text.clone()],
            _ => Vec::new(),
        }
    }
}

/// A question on its way.
struct Asked<'a> {
    service: &'a Service,
    question: &'a Question,
    request: Request<Bytes>,
}

impl External {
    /// `service` is one of [`SERVICES`].
    ///
    /// # Errors
    /// What is missing, in a sentence.
    pub fn read(
        service: &str,
        url: Option<String>,
        key: Option<Secret>,
        headers: Vec<(HeaderName, HeaderValue)>,
        private: bool,
        settings: &[(&str, Value)],
    ) -> Result<Self, String> {
        let settings = Settings(settings);
        let header = |name: &str| Scheme::Header(name.to_owned());
        let (service, usual, scheme) = match service {
            "webhook" => (Service::Webhook, None, Scheme::Bearer),
            "pillar" => (Service::Pillar, Some(webhook::PILLAR.to_owned()), header("x-api-key")),
            "presidio" => (Service::Presidio(presidio::Settings::read(&settings)), None, Scheme::Bearer),
            "lakera" => {
                (Service::Lakera(settings.text("project")), Some(lakera::BASE.to_owned()), Scheme::Bearer)
            }
            "aporia" => (Service::Aporia, None, header("x-aporia-api-key")),
            "bedrock-guardrail" => {
                let settings = bedrock::Settings::read(&settings)?;
                let base = settings.base();
                (Service::Bedrock(settings), Some(base), Scheme::Sigv4("bedrock".to_owned()))
            }
            "openai-moderation" => {
                let model = settings.text("model").unwrap_or_else(|| moderation::MODEL.to_owned());
                (Service::Moderation(model), Some(moderation::BASE.to_owned()), Scheme::Bearer)
            }
            "azure-prompt-shield" => (Service::AzureShield, None, header(azure::KEY)),
            "azure-content-safety" => {
                let least = settings.number("severity").unwrap_or(2.0);
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
                let least = least.clamp(0.0, 7.0) as u64;
                (Service::AzureText(least), None, header(azure::KEY))
            }
            "azure-groundedness" => {
                let domain = settings.text("domain").unwrap_or_else(|| "Generic".to_owned());
                if !["Generic", "Medical"].contains(&domain.as_str()) {
                    return Err("expected `domain`: Generic or Medical".to_owned());
                }
                (Service::AzureGrounded(domain), None, header(azure::KEY))
            }
            "model-armor" => {
                let what = "its template, as projects/../locations/../templates/..";
                let template = settings.needed("guardrail", what)?;
                let base =
                    model_armor::base(&template).ok_or_else(|| format!("expected `guardrail`: {what}"))?;
                (Service::ModelArmor(template), Some(base), Scheme::Google)
            }
            "guardrails-ai" => {
                (Service::Guardrails(settings.needed("guardrail", "its guard's name")?), None, Scheme::Bearer)
            }
            "judge" => (Service::Judge(judge::Settings::read(&settings)?), None, Scheme::Bearer),
            other => return Err(format!("there is no service `{other}`")),
        };
        let base = url.or(usual).ok_or("expected `url`: where the service answers")?;
        let key = key.map(|key| Credential::new(&scheme, &key)).transpose();
        let key = key.map_err(|problem| format!("`key`: {problem}"))?;
        Ok(Self { service, base: base.into(), key, headers, private, region: None })
    }

    /// Asks it.
    ///
    /// # Errors
    /// It cannot be reached, takes too long, or says what is no verdict.
    pub async fn judge(&self, ports: &Ports, question: &Question, limit: Duration) -> Result<Verdict, Fault> {
        /// So many texts at a time, of services that read one.
        const BESIDE: usize = 8;
        // Where there is nothing to judge, nobody is asked.
        if question.texts.iter().all(String::is_empty) {
            return Ok(Verdict::default());
        }
        if !self.service.reads_one() {
            return self.ask(ports, question, limit).await;
        }
        if self.is_of_grounds() {
            return self.grounded(ports, question, limit).await;
        }
        let mut verdict = Verdict::default();
        let mut replaced = question.texts.clone();
        let texts: Vec<(usize, Question)> = (question.texts.iter().enumerate())
            .filter(|(_, text)| !text.is_empty())
            .map(|(nth, text)| (nth, question.with(text.clone())))
            .collect();
        for some in texts.chunks(BESIDE) {
            let answers = together(some.iter().map(|(_, one)| self.ask(ports, one, limit))).await;
            for ((nth, _), answer) in some.iter().zip(answers) {
                let answer = answer?;
                verdict.found.extend(answer.found);
                verdict.spans.extend(answer.spans.into_iter().map(|(_, found)| (*nth, found)));
                if let (Some(text), Some(place)) =
                    (answer.replaced.and_then(|mut texts| texts.pop()), replaced.get_mut(*nth))
                {
                    *place = text;
                }
            }
        }
        verdict.replaced = (replaced != question.texts).then_some(replaced);
        Ok(verdict)
    }

    /// Whether it holds answers to what the request gave its model to answer by.
    pub fn is_of_grounds(&self) -> bool {
        matches!(self.service, Service::AzureGrounded(_))
    }

    /// Piece by piece: what it reads at a time has a most. Where there is nothing to stand on, nobody is asked.
    async fn grounded(&self, ports: &Ports, question: &Question, limit: Duration) -> Result<Verdict, Fault> {
        let has_sources = question.grounds.as_ref().is_some_and(|grounds| !grounds.sources.is_empty());
        for text in question.texts.iter().filter(|_| has_sources) {
            let mut letters = text.chars();
            loop {
                let piece: String = letters.by_ref().take(azure::LONGEST).collect();
                if piece.is_empty() {
                    break;
                }
                let verdict = self.ask(ports, &question.with(piece), limit).await?;
                if !verdict.found.is_empty() {
                    return Ok(verdict);
                }
            }
        }
        Ok(Verdict::default())
    }

    async fn ask(&self, ports: &Ports, question: &Question, limit: Duration) -> Result<Verdict, Fault> {
        let reach = if self.private { Reach::Private } else { Reach::Public };
        let mut request = self.request(question);
        if let Some(key) = &self.key {
            let region = match &self.service {
                Service::Bedrock(settings) => Some(settings.region.as_ref()),
                _ => None,
            };
            key.put_on(&mut request, region, ports, reach, "guard").await?;
        }
        ports.exchange(&Asked { service: &self.service, question, request }, reach, limit).await
    }

    /// What is asked, but for what proves who asks.
    fn request(&self, question: &Question) -> Request<Bytes> {
        let (path, body) = match &self.service {
            Service::Webhook | Service::Pillar => (String::new(), webhook::ask(question)),
            Service::Presidio(settings) => ("/analyze".to_owned(), presidio::ask(settings, question)),
            Service::Lakera(project) => ("/v2/guard".to_owned(), lakera::ask(project.as_deref(), question)),
            Service::Aporia => ("/validate".to_owned(), aporia::ask(question)),
            Service::Bedrock(settings) => (settings.path(), bedrock::ask(question)),
            Service::Moderation(model) => ("/moderations".to_owned(), moderation::ask(model, question)),
            Service::AzureShield => (azure::SHIELD.to_owned(), azure::ask_shield(question)),
            Service::AzureText(_) => (azure::TEXT.to_owned(), azure::ask_text(question)),
            Service::AzureGrounded(domain) => {
                (azure::GROUNDED.to_owned(), azure::ask_grounded(domain, question))
            }
            Service::ModelArmor(template) => {
                (model_armor::path(template, question.direction), model_armor::ask(question))
            }
            Service::Guardrails(guard) => (guardrails::path(guard), guardrails::ask(question)),
            Service::Judge(settings) => ("/chat/completions".to_owned(), judge::ask(settings, question)),
        };
        let mut request = Request::new(Bytes::from(body.to_string()));
        *request.method_mut() = Method::POST;
        if let Ok(uri) = Uri::try_from(format!("{}{path}", self.base)) {
            *request.uri_mut() = uri;
        }
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        request
    }
}

impl Service {
    /// Whether a question has one text.
    fn reads_one(&self) -> bool {
        match self {
            Self::Presidio(_)
            | Self::Bedrock(_)
            | Self::AzureShield
            | Self::AzureText(_)
            | Self::AzureGrounded(_)
            | Self::ModelArmor(_)
            | Self::Guardrails(_) => true,
            Self::Webhook
            | Self::Pillar
            | Self::Lakera(_)
            | Self::Aporia
            | Self::Moderation(_)
            | Self::Judge(_) => false,
        }
    }

    fn read(&self, question: &Question, body: &Value) -> Result<Verdict, Malformed> {
        match self {
            Self::Webhook | Self::Pillar => webhook::read(body),
            Self::Presidio(_) => presidio::read(question, body),
            Self::Lakera(_) => lakera::read(question, body),
            Self::Aporia => aporia::read(body),
            Self::Bedrock(_) => bedrock::read(body),
            Self::Moderation(_) => moderation::read(question, body),
            Self::AzureShield => azure::read_shield(body),
            Self::AzureText(least) => azure::read_text(*least, body),
            Self::AzureGrounded(_) => azure::read_grounded(body),
            Self::ModelArmor(_) => model_armor::read(body),
            Self::Guardrails(_) => guardrails::read(body),
            Self::Judge(_) => judge::read(body),
        }
    }
}

impl Question {
    /// The same of one other text.
    fn with(&self, text: String) -> Self {
        Self { texts: vec![text], direction: self.direction, grounds: self.grounds.clone() }
    }
}

impl Exchange for Asked<'_> {
    type Answer = Verdict;

    fn ask(&self, _now: Timestamp) -> Request<Bytes> {
        self.request.clone()
    }

    fn read(&self, reply: Response<Bytes>) -> Result<Verdict, Malformed> {
        if !reply.status().is_success() {
            return Err(Malformed::field("status", "an answer of success"));
        }
        let body =
            std::str::from_utf8(reply.body()).ok().and_then(|text| gatelet_wire::json::from_str(text).ok());
        let body: Value = body.ok_or_else(|| Malformed::field("body", "JSON"))?;
        self.service.read(self.question, &body)
    }
}

impl Verdict {
    fn of(found: impl IntoIterator<Item = Kind>) -> Self {
        Self { found: found.into_iter().collect(), ..Self::default() }
    }
}

/// A service's word for what it found, as records and headers may carry it: `EMAIL_ADDRESS` is `email-address`.
fn kind(word: &str) -> Kind {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
    let word: String = word.chars().take(48).map(plain).collect();
    if word.is_empty() { "found".into() } else { word.into() }
}

/// The one text of a question.
fn only(question: &Question) -> &str {
    question.texts.first().map(String::as_str).unwrap_or_default()
}

/// A place that is told in characters; none where it is outside of the text.
fn place(text: &str, start: &Value, end: &Value) -> Option<Span> {
    let byte = |letters: &Value| {
        let letters = usize::try_from(letters.as_u64()?).ok()?;
        let mut places = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        places.nth(letters)
    };
    Some(Span { start: byte(start)?, end: byte(end)? })
}
