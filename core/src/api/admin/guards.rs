//! Trying guards.

use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::Call;
use super::documents::unfit;
use super::reply;
use crate::api::Route;
use crate::api::route::Responses;
use crate::guard::{Direction, Found, Note, Site};
use crate::pipeline::{self, Asking, Said, Tried};
use crate::port::Body;
use crate::refusal::Refusal;
use gatelet_wire::dialect::Addressed;
use gatelet_wire::{DialectId, Operation};

/// What is to be judged: exactly one of `text` and `request`.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "GuardTrial"))]
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wish {
    /// A text.
    text: Option<String>,
    /// Where the text stands. None: the caller said it.
    on: Option<Site>,
    /// The tool that is called, where the text is what it is called with (JSON).
    tool: Option<String>,
    /// The body of a request.
    request: Option<Map<String, Value>>,
    /// Where that would be sent. None: `/v1/chat/completions`.
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "^/[!-~]{0,1000}$")))]
    path: Option<String>,
}

/// What became of it.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "GuardVerdicts"))]
#[derive(Serialize)]
pub(super) struct View {
    /// The guard that blocks it, and what the caller would read.
    blocked: Option<Blocked>,
    /// What each guard says.
    verdicts: Vec<Verdict>,
    /// What was found, and where; never the thing itself.
    findings: Vec<Finding>,
    /// What would go on: the text, or the request's body; none where it is blocked.
    sent: Option<Value>,
}

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "GuardBlock"))]
#[derive(Serialize)]
struct Blocked {
    guard: String,
    message: String,
}

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "GuardVerdict"))]
#[derive(Serialize)]
struct Verdict {
    guard: String,
    version: String,
    /// `in` (a request) or `out` (an answer).
    on: &'static str,
    outcome: &'static str,
    /// What it could not read, or why it could not judge.
    unread: Vec<&'static str>,
}

#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "GuardFinding"))]
#[derive(Serialize)]
struct Finding {
    guard: String,
    kind: String,
    /// What follows: `block`, `mask`, `flag` or `shadow`.
    action: &'static str,
    /// Where the text stands; none: it is of the whole.
    on: Option<&'static str>,
    /// Number of the text, from 0.
    text: Option<usize>,
    /// First byte in the text, or in the string where the text is JSON.
    start: Option<usize>,
    /// Byte after the last.
    end: Option<usize>,
}

/// `POST /admin/v1/guards/{name}/test`: lets a guard, or all of a group, judge; changes nothing and sends nothing on.
pub(super) async fn test(call: &Call<'_>, name: &str, wish: Wish) -> Result<Response<Body>, Refusal> {
    let policy = call.core.policy();
    let guards = policy.guards().named(name).ok_or(Refusal::NotFound { what: "guard" })?;
    let is_request = wish.request.is_some();
    let tried = Box::pin(pipeline::trial(call.core, &guards, said(wish)?)).await?;
    Ok(reply(StatusCode::OK, &view(tried, is_request)))
}

fn said(wish: Wish) -> Result<Said, Refusal> {
    match wish {
        Wish { text: Some(text), on, tool, request: None, path: None } => {
            let site = on.unwrap_or(Site::Input);
            Ok(Said::Text { text, site, tool: tool.unwrap_or_default() })
        }
        Wish { text: None, on: None, tool: None, request: Some(body), path } => {
            let asking = asking(&head(path.as_deref().unwrap_or("/v1/chat/completions"))?)?;
            Ok(Said::Request { asking, body: Value::Object(body).to_string().into_bytes() })
        }
        _ => Err(unfit("text", "expected a `text` with its `on` and `tool`, or a `request` with its `path`")),
    }
}

/// The head of a request to a path.
pub(super) fn head(path: &str) -> Result<Parts, Refusal> {
    let request = Request::builder().method(Method::POST).uri(path).body(());
    request.map(|request| request.into_parts().0).map_err(|_| wrong_path())
}

/// What a head asks for.
pub(super) fn asking(head: &Parts) -> Result<Asking, Refusal> {
    match Route::of(head.uri.path(), head.uri.query(), &head.headers) {
        Route::Ask(asking) => Ok(asking),
        Route::Responses(Responses::Create) => Ok(Asking {
            operation: Operation::Chat,
            dialect: DialectId::OpenaiResponses,
            addressed: Addressed::default(),
        }),
        _ => Err(wrong_path()),
    }
}

fn wrong_path() -> Refusal {
    unfit("path", "expected the path of an operation, such as `/v1/chat/completions`")
}

fn view(tried: Tried, is_request: bool) -> View {
    let Tried { blocked, notes, found, sent } = tried;
    let sent = sent.map(|sent| {
        let body = if is_request { gatelet_wire::json::from_str(&sent).ok() } else { None };
        body.unwrap_or(Value::String(sent))
    });
    View {
        blocked: blocked.map(|(guard, message)| Blocked { guard: guard.to_string(), message }),
        verdicts: notes.into_iter().map(verdict).collect(),
        findings: found.iter().map(finding).collect(),
        sent,
    }
}

fn verdict(note: Note) -> Verdict {
    Verdict {
        guard: note.guard.to_string(),
        version: note.version.to_string(),
        on: match note.direction {
            Direction::In => "in",
            Direction::Out => "out",
        },
        outcome: note.outcome.name(),
        unread: note.unread,
    }
}

fn finding(found: &Found) -> Finding {
    Finding {
        guard: found.guard.to_string(),
        kind: found.kind.to_string(),
        action: found.action.name(),
        on: found.text.map(|(_, site)| site.name()),
        text: found.text.map(|(number, _)| number),
        start: found.span.map(|span| span.start),
        end: found.span.map(|span| span.end),
    }
}
