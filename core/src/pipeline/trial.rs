//! Guards that are tried: what they would say of something that nobody sends.

use std::sync::Arc;

use gatelet_wire::chat::{
    self, Choice, Content, Extra, Message, Part, Response, Role, Source, ToolCall, ToolKind, ToolResult,
};

use super::guard::{Guarding, Texts};
use super::receive::Asking;
use crate::guard::{Case, Duty, Found, Guard, Note, Site};
use crate::refusal::Refusal;
use crate::shared::Core;

/// What is judged.
#[derive(Clone, Debug)]
pub enum Said {
    /// A text by itself, that stands there; `tool` is called, where it is what a tool is called with.
    Text { text: String, site: Site, tool: String },
    /// The body of a request.
    Request { asking: Asking, body: Vec<u8> },
}

/// What became of it.
#[derive(Clone, Debug)]
pub struct Tried {
    /// The guard that blocks, and the caller's words for it.
    pub blocked: Option<(Arc<str>, String)>,
    pub notes: Vec<Note>,
    pub found: Vec<Found>,
    /// The text or the body that would go on; none: it is blocked.
    pub sent: Option<String>,
}

/// Lets guards judge, all of them and now, whatever share they usually judge.
///
/// # Errors
/// What is judged is no request that guards can read.
pub async fn trial(core: &Core, guards: &[Arc<Guard>], said: Said) -> Result<Tried, Refusal> {
    let mut case = Case::new(guards, |_| Duty::Judges);
    case.trace();
    let sent = match said {
        Said::Request { asking: Asking { operation, dialect, .. }, body } => {
            let wrong = || Refusal::Invalid {
                param: "request".to_owned(),
                problem: "expected a request that guards can read".to_owned(),
            };
            let mut texts = Texts::of(dialect, operation, &body).ok_or_else(wrong)?;
            let changed = texts.judge(core, &mut case, true, None).await;
            let body = if changed && case.blocked().is_none() {
                texts.write(dialect, &body, &mut case)?
            } else {
                body
            };
            String::from_utf8(body).map_err(|_| wrong())?
        }
        Said::Text { text, site: site @ (Site::Output | Site::ToolArguments), tool } => {
            let content = if site == Site::Output {
                Content::Text { text, citations: Vec::new() }
            } else {
                let kind = ToolKind::Function;
                Content::ToolCall(ToolCall { id: "call".to_owned(), name: tool, arguments: text, kind })
            };
            let choice = Choice { parts: vec![Part::from(content)], ..Choice::default() };
            let mut response = Response { choices: vec![choice], ..Response::default() };
            case.turn();
            let mut guarding = Guarding { case, json: false };
            guarding.answer(core, &mut response).await;
            case = guarding.case;
            let choice = response.choices.pop().unwrap_or_default();
            choice.parts.into_iter().next().and_then(|part| words(part.content)).unwrap_or_default()
        }
        Said::Text { text, site, .. } => {
            let (role, content) = asked(text, site);
            let message =
                Message { role, parts: vec![Part::from(content)], name: None, extra: Extra::default() };
            let request = chat::Request { messages: vec![message], ..chat::Request::default() };
            let mut texts = Texts::Chat(Box::new(request));
            texts.judge(core, &mut case, true, None).await;
            let Texts::Chat(mut request) = texts else { return Err(Refusal::Timeout) };
            let message = request.messages.pop();
            message.and_then(|message| words(message.parts.into_iter().next()?.content)).unwrap_or_default()
        }
    };
    let blocked = case.blocked();
    Ok(Tried {
        sent: blocked.is_none().then_some(sent),
        blocked: blocked.map(|blocked| (blocked.guard.clone(), blocked.words())),
        notes: case.notes().to_vec(),
        found: case.traced().to_vec(),
    })
}

/// A text in its place in a request.
fn asked(text: String, site: Site) -> (Role, Content) {
    let said = |text| Content::Text { text, citations: Vec::new() };
    match site {
        Site::Instructions => (Role::System, said(text)),
        Site::Document => {
            let source = Source::Text { media_type: "text/plain".to_owned(), text };
            let (title, context) = (None, None);
            (Role::User, Content::Document { source, title, context, citations: false })
        }
        Site::ToolResults => {
            let parts = vec![Part::from(said(text))];
            let call_id = "call".to_owned();
            (Role::User, Content::ToolResult(ToolResult { call_id, parts, is_error: false }))
        }
        Site::Input | Site::Output | Site::ToolArguments => (Role::User, said(text)),
    }
}

/// The text that was put there.
fn words(content: Content) -> Option<String> {
    match content {
        Content::Text { text, .. }
        | Content::Refusal { text }
        | Content::Document { source: Source::Text { text, .. }, .. } => Some(text),
        Content::ToolCall(call) => Some(call.arguments),
        Content::ToolResult(result) => words(result.parts.into_iter().next()?.content),
        Content::Image { .. }
        | Content::Audio { .. }
        | Content::Document { .. }
        | Content::Thinking { .. }
        | Content::RedactedThinking { .. }
        | Content::Foreign { .. } => None,
    }
}
