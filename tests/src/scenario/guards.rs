//! Guards: one table of what may go in and come out, held to by every dialect that callers speak, whole and in streams that are
//! cut anywhere.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::try_join_all;
use gatelet_wire::chat::{Content, Extra, Part, Request, Role, Tool, ToolCall, ToolKind, ToolResult};
use gatelet_wire::{DialectId, Json};
use http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Scenario;
use crate::check_eq;
use crate::client::Whole;
use crate::spoken::{self, say, text};
use crate::upstream::{Dialect, Play, Reply, Upstream};
use crate::world::{OUTPUT, World, model};

mod table;

use table::{ORDERS, ROWS, Row};

/// What a caller says, and where in the conversation it stands.
#[derive(Clone, Copy)]
pub(super) enum Asks {
    User(&'static str),
    System(&'static str),
    /// A tool has answered this.
    Result(&'static str),
    /// A tool was called with this.
    Called(&'static str),
}

/// What the model says.
#[derive(Clone, Copy)]
pub(super) enum Says {
    Text(&'static str),
    /// It calls a tool of this name with these arguments.
    Call(&'static str, &'static str),
    Nothing,
}

/// What becomes of it.
#[derive(Clone, Copy)]
pub(super) enum Ends {
    /// The caller reads this text.
    Text(&'static str),
    /// The caller's tool is called with this.
    Call(&'static str),
    /// No tool is called, and the text holds this.
    NoCall(&'static str),
    /// 400 with a message that holds this, and nobody is asked.
    Refused(&'static str),
    /// The answer ends before this, with words of refusal, and what was generated is charged.
    Stopped { before: &'static str, words: &'static str },
}

pub(super) fn scenarios() -> Vec<Scenario> {
    let rows = ROWS.iter().map(|row| {
        Scenario::new(format!("guards_{}", row.name), move |world| {
            Box::pin(async move { every_dialect(&world, row).await })
        })
    });
    let others = [
        Scenario::new("guards_leave_no_value_in_records", |world| Box::pin(no_value(world))),
        Scenario::new("guards_demanded_by_keys_teams_and_organisations", |world| Box::pin(demanded(world))),
    ];
    rows.chain(others).collect()
}

/// The guards of every host under test: they judge who asks for them.
pub(crate) fn config(upstream: &Upstream) -> String {
    let (base, refusing) = (upstream.base(), upstream.refusing_base());
    // What a service of guards says does not hang on who asks.
    for (script, verdict) in [
        ("guard-blocks", json!({"action": "BLOCKED"})),
        ("guard-passes", json!({"action": "NONE"})),
        ("guard-replaces", json!({"action": "GUARDRAIL_INTERVENED", "texts": ["a bird"]})),
        ("guard-babbles", json!({"verdict": "fine"})),
    ] {
        upstream.script(script, [Play::json(200, &verdict)]);
    }
    format!(
        r#"guards:
  pii: {{ kind: pii, mask: [email, phone, card, iban, ssn, ip] }}
  pii-blocks: {{ kind: pii, block: [card] }}
  pii-for-good: {{ like: pii, restore: false }}
  staff: {{ kind: regex, mode: mask, patterns: {{ staff: 'EMP-\d{{5}}' }} }}
  quoted: {{ kind: regex, mode: mask, patterns: {{ nick: '<[^>]*>' }} }}
  pseudonym: {{ like: staff, replace: pseudonym }}
  partial: {{ like: staff, replace: partial }}
  fake: {{ like: staff, replace: fake }}
  hash: {{ like: staff, replace: hash }}
  words: {{ kind: words, words: [falcon, 'red kite'] }}
  words-mask: {{ like: words, mode: mask }}
  words-flag: {{ like: words, mode: flag }}
  words-shadow: {{ like: words, mode: shadow }}
  words-out: {{ like: words, on: output, message: 'No birds of prey.' }}
  both: {{ guards: [staff, words] }}
  regex-out: {{ kind: regex, on: output, patterns: {{ code: 'X-\d{{3}}-\d{{3}}' }} }}
  shape: {{ kind: schema, schema: '{{"type":"object","required":["city"]}}' }}
  secrets: {{ kind: secrets }}
  orders: {{ kind: injection }}
  short: {{ kind: length, most: 40, on: input }}
  tools-block: {{ kind: tools, rules: [ {{ tool: 'delete_*', permit: deny }} ] }}
  tools-mask: {{ kind: tools, mode: mask, rules: [ {{ tool: 'delete_*', permit: deny }}, {{ tool: send, arguments: {{ to: '@rival\.com$' }}, permit: ask }}, {{ tool: search, set: {{ limit: 5 }} }} ] }}
  arguments: {{ like: words-mask, on: tools }}
  service-blocks: {{ kind: webhook, url: '{base}/tokens/guard-blocks', on: input, timeout: 20s }}
  service-passes: {{ like: service-blocks, url: '{base}/tokens/guard-passes' }}
  service-replaces: {{ like: service-blocks, mode: mask, url: '{base}/tokens/guard-replaces' }}
  service-babbles: {{ like: service-blocks, url: '{base}/tokens/guard-babbles' }}
  service-beside: {{ like: service-blocks, when: beside }}
  service-out: {{ like: service-blocks, on: output }}
  service-gone: {{ like: service-blocks, url: '{refusing}' }}
  service-gone-open: {{ like: service-gone, fail: open }}
"#
    )
}

async fn every_dialect(world: &World, row: &'static Row) -> Result<()> {
    let key = world.host.key(json!({"limits": {"budget": ["1 USD / day"]}})).await?;
    let asked = DialectId::ALL.iter().enumerate().flat_map(|(nth, dialect)| {
        [false, true].map(|stream| {
            // Both providers answer, in turns.
            let provider = if nth % 2 == usize::from(stream) { Dialect::OpenAi } else { Dialect::Anthropic };
            (*dialect, provider, stream)
        })
    });
    let key = &key;
    try_join_all(asked.map(|(dialect, provider, stream)| async move {
        let what = format!("{} of {provider:?}, streamed: {stream}", dialect.name());
        one(world, &key.secret, row, dialect, provider, stream).await.context(what)
    }))
    .await?;
    if matches!(row.ends, Ends::Stopped { .. }) {
        // What was generated is paid for, in every dialect.
        let books = world.closed_books(key).await?;
        let asked = 2 * DialectId::ALL.len() as u64;
        ensure!(books.spent >= asked * OUTPUT, "{} nano-dollars for {asked} answers", books.spent);
    }
    Ok(())
}

async fn one(
    world: &World,
    key: &str,
    row: &Row,
    dialect: DialectId,
    provider: Dialect,
    stream: bool,
) -> Result<()> {
    let script = format!("guard-{}-{}-{stream}", row.name, dialect.name());
    world.upstream.script(&script, [Play::from(reply(row.says))]);
    let request = request(&model(provider, &script), row.asks, stream);
    let call =
        spoken::call(world.host.address(), dialect, key, &request)?.header("x-gatelet-guards", row.guards);
    let answer = call.whole().await?;
    let received = world.upstream.received(&script);
    if let Ends::Refused(words) = row.ends {
        check_eq!(answer.status, 400, "{}", answer.text());
        let error = dialect.dialect().read_error(400, &answer.body);
        ensure!(error.message.contains(words), "{}", answer.text());
        // A service that is asked beside the call may hear of it late.
        ensure!(received.is_empty() || row.guards.contains("beside"), "the model was asked");
        return Ok(());
    }
    check_eq!(answer.status, 200, "{}", answer.text());
    let said = answer.header("x-gatelet-guards").unwrap_or_default();
    let fits = match row.header {
        "none" => said.is_empty(),
        header => said.starts_with(header),
    };
    ensure!(fits, "`{said}`, not `{}`", row.header);
    check_eq!(received.len(), 1);
    let sent = String::from_utf8_lossy(&received[0].body).into_owned();
    for there in row.sent {
        ensure!(sent.contains(there), "`{there}` was not sent: {sent}");
    }
    for hidden in row.hidden {
        ensure!(!sent.contains(hidden), "`{hidden}` was sent: {sent}");
    }
    let (text, calls) = read(dialect, &answer, stream)?;
    match row.ends {
        Ends::Text(wanted) => check_eq!(text.as_str(), wanted),
        Ends::Call(wanted) => {
            check_eq!(calls.len(), 1, "{}", answer.text());
            let [said, wanted] = [&calls[0], wanted].map(serde_json::from_str::<Value>);
            check_eq!(said?, wanted?);
        }
        Ends::NoCall(wanted) => {
            check_eq!(calls.len(), 0, "{}", answer.text());
            ensure!(text.contains(wanted), "`{wanted}` is not in {}", answer.text());
        }
        Ends::Stopped { before, words } => {
            ensure!(!text.contains(before), "`{before}` came: {text}");
            ensure!(text.ends_with(words), "{}", answer.text());
        }
        Ends::Refused(_) => {}
    }
    Ok(())
}

/// A text in pieces, cut wherever chance will have it.
fn pieces(text: &str) -> Vec<String> {
    let mut pieces = vec![String::new()];
    for letter in text.chars() {
        if fastrand::u8(..3) == 0 {
            pieces.push(String::new());
        }
        if let Some(last) = pieces.last_mut() {
            last.push(letter);
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

fn reply(says: Says) -> Reply {
    let reply = match says {
        Says::Text(text) => Reply::text(pieces(text)),
        Says::Call(name, arguments) => {
            let pieces = pieces(arguments);
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            Reply::default().and_tool("call_1", name, &pieces)
        }
        Says::Nothing => Reply::text(["fine"]),
    };
    reply.usage(11, 7).in_writes_of(fastrand::usize(1..60))
}

fn request(model: &str, asks: Asks, stream: bool) -> Request {
    let called = |arguments: &str| {
        let (id, name) = ("call_0".to_owned(), "find".to_owned());
        let arguments = arguments.to_owned();
        say(Role::Assistant, Content::ToolCall(ToolCall { id, name, arguments, kind: ToolKind::Function }))
    };
    let answered = |said: &str| {
        let parts = vec![Part::from(text(said))];
        say(
            Role::User,
            Content::ToolResult(ToolResult { call_id: "call_0".to_owned(), parts, is_error: false }),
        )
    };
    let hello = || say(Role::User, text("Please find it."));
    let messages = match asks {
        Asks::User(said) => vec![say(Role::User, text(said))],
        Asks::System(said) => vec![say(Role::System, text(said)), hello()],
        Asks::Result(said) => vec![hello(), called("{\"who\":\"her\"}"), answered(said)],
        Asks::Called(arguments) => vec![hello(), called(arguments), answered("nobody")],
    };
    let tools = ["find", "send", "search", "delete_all"].map(|name| Tool::Function {
        name: name.to_owned(),
        description: None,
        parameters: Json::parse(r#"{"type":"object","properties":{}}"#).ok(),
        strict: None,
        cache: None,
        extra: Extra::default(),
    });
    Request { messages, tools: tools.into(), ..spoken::question(model, "", stream) }
}

/// The text of an answer, and what its calls are called with.
fn read(dialect: DialectId, answer: &Whole, stream: bool) -> Result<(String, Vec<String>)> {
    let response = spoken::read(dialect, answer, stream)?;
    let mut text = String::new();
    let mut calls = Vec::new();
    for part in response.choices.into_iter().flat_map(|choice| choice.parts) {
        match part.content {
            Content::Text { text: said, .. } | Content::Refusal { text: said } => text.push_str(&said),
            Content::ToolCall(call) => calls.push(call.arguments),
            _ => {}
        }
    }
    Ok((text, calls))
}

/// What was masked, and what was blocked for, stands in no record and no log.
async fn no_value(world: Arc<World>) -> Result<()> {
    let key = world.host.open_key().await?;
    let script = "guard-recorded";
    world.upstream.script(script, [Play::from(Reply::text(["a falcon"]).usage(3, 3))]);
    let name = model(Dialect::OpenAi, script);
    let mut ids = Vec::new();
    for (guards, says) in [
        ("pii-blocks", "my card is 4111 1111 1111 1111"),
        ("pii", "write to hidden.person@example.com"),
        ("words-out", "what bird is it?"),
    ] {
        let request = request(&name, Asks::User(says), false);
        let call = spoken::call(world.host.address(), DialectId::Openai, &key.secret, &request)?;
        let answer = call.header("x-gatelet-guards", guards).whole().await?;
        ids.push(answer.header("x-gatelet-request-id").context("no request id")?.to_owned());
    }
    let end = Instant::now() + Duration::from_mins(2);
    let records = loop {
        world.host.tick().await?;
        let mut records = Vec::new();
        for object in world.host.archive().await? {
            records.extend(object.records()?);
        }
        let request = |id: &String| {
            records.iter().find(|record| record["kind"] == "request" && record["id"] == **id).cloned()
        };
        match ids.iter().map(request).collect::<Option<Vec<Value>>>() {
            Some(found) => break found,
            None if Instant::now() < end => sleep(Duration::from_millis(500)).await,
            None => anyhow::bail!("the records never came"),
        }
    };
    let notes: Vec<&Value> = records.iter().map(|record| &record["guards"]).collect();
    check_eq!(notes[0][0]["found"]["card"], json!(1), "{notes:?}");
    check_eq!(notes[0][0]["outcome"], json!("blocked"), "{notes:?}");
    check_eq!(notes[1][0]["outcome"], json!("masked"), "{notes:?}");
    ensure!(notes[2].to_string().contains("blocked"), "{notes:?}");
    check_eq!(records[0]["outcome"], json!("guard_blocked"));
    let (all, log) = (Value::Array(records.clone()).to_string(), world.host.log());
    for value in ["4111", "1111", "hidden.person", "falcon"] {
        ensure!(!all.contains(value), "a record says `{value}`: {all}");
    }
    for value in ["4111 1111", "hidden.person"] {
        ensure!(!log.contains(value), "the log says `{value}`");
    }
    Ok(())
}

/// What a key and those that it belongs to demand judges its requests, in every dialect, until they demand it no more.
async fn demanded(world: Arc<World>) -> Result<()> {
    let admin =
        |method, path: &str, body: &Value, status| world.host.admin(method, path).json(body).expect(status);
    let org = json!({ "id": "guarded-org", "guards": ["staff"] });
    admin(Method::POST, "/admin/v1/orgs", &org, 201).await?;
    let team = json!({ "id": "guarded-team", "org": "guarded-org", "guards": ["words-out"] });
    admin(Method::POST, "/admin/v1/teams", &team, 201).await?;
    let key = json!({ "org": "guarded-org", "team": "guarded-team", "guards": ["orders"] });
    let key = world.host.key(key).await?;
    let script = "guard-demanded";
    world.upstream.script(script, [Play::from(Reply::text(["a falcon here"]).usage(3, 3))]);
    let name = model(Dialect::OpenAi, script);
    let ask = async |dialect, says, guards: &str| {
        let call = spoken::call(
            world.host.address(),
            dialect,
            &key.secret,
            &request(&name, Asks::User(says), false),
        )?;
        let call = if guards.is_empty() { call } else { call.header("x-gatelet-guards", guards) };
        call.whole().await
    };
    for dialect in [DialectId::Openai, DialectId::Anthropic, DialectId::Gemini] {
        let answer = ask(dialect, "I am EMP-11111", "").await?;
        check_eq!(answer.status, 200, "{}", answer.text());
        let (text, _) = read(dialect, &answer, false)?;
        ensure!(text.ends_with("No birds of prey.") && !text.contains("falcon"), "{text}");
        let received = world.upstream.received(script);
        let sent = String::from_utf8_lossy(&received.last().context("nobody was asked")?.body).into_owned();
        ensure!(sent.contains("[STAFF_1]") && !sent.contains("EMP-"), "{sent}");
        check_eq!(ask(dialect, ORDERS, "").await?.status, 400);
        // Nobody below takes away what is demanded above.
        check_eq!(ask(dialect, "hi", "-words-out").await?.status, 400);
    }
    admin(Method::PATCH, "/admin/v1/teams/guarded-team", &json!({ "guards": [] }), 200).await?;
    let answer = ask(DialectId::Openai, "I am EMP-11111", "").await?;
    let (text, _) = read(DialectId::Openai, &answer, false)?;
    check_eq!(text.as_str(), "a falcon here");
    Ok(())
}
