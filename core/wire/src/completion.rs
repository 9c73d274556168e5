//! The continuation of a text, as the `OpenAI` dialect had it before conversations, over models that hold conversations alone:
//! the text is a user's one message, and the answer is written as a continuation.

use std::borrow::Cow;

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::chat::{Request, Response};
use crate::dialect::openai::Openai;
use crate::json::string;
use crate::object::object;
use crate::{Dialect, Encoder, EncoderOptions, Event, Fields, Loss, Malformed, PublicError};

/// The length of a continuation whose request does not say it, by the vendor's documentation.
const USUAL_LENGTH: u64 = 16;

/// Reads a request as a conversation of one message. What it asks for beside the text is said as conversations say it.
///
/// # Errors
/// [`Malformed::Field`]: several texts, tokens in place of a text, or a text that is to follow the continuation.
pub fn read_request(fields: &Fields<'_>, loss: &mut Loss) -> Result<Request, Malformed> {
    let prompt = prompt(fields)?;
    if fields.present("suffix").and_then(string).is_some_and(|suffix| !suffix.is_empty()) {
        let expected = "nothing: the model is asked as in a conversation, where no text follows its answer";
        return Err(Malformed::field("suffix", expected));
    }
    // Probabilities have another form here, and of several answers the best is chosen by nobody.
    if fields.present("logprobs").is_some() {
        loss.note("logprobs");
    }
    if fields.present("best_of").is_some_and(|count| count.get() != "1") {
        loss.note("best_of");
    }
    let mut body = Vec::with_capacity(fields.as_str().len() + 64);
    object(&mut body, |body| {
        for (name, value) in fields.iter() {
            if !["prompt", "suffix", "logprobs", "best_of", "echo"].contains(&name) {
                body.raw(name, value.get());
            }
        }
        if fields.present("max_tokens").is_none() {
            body.count("max_completion_tokens", USUAL_LENGTH);
        }
        body.list("messages", |list| {
            list.object(|message| {
                message.string("role", "user");
                message.string("content", &prompt);
            });
        });
    });
    Openai.read_request(&body)
}

/// The one text that is to be continued.
fn prompt<'a>(fields: &Fields<'a>) -> Result<Cow<'a, str>, Malformed> {
    let wrong = || Malformed::field("prompt", "one text: the model is asked as in a conversation");
    let raw = fields.present("prompt").ok_or_else(wrong)?;
    if let Some(text) = string(raw) {
        return Ok(text);
    }
    let list: Vec<&RawValue> = crate::json::from_str(raw.get()).map_err(|_| wrong())?;
    match list[..] {
        [one] => string(one).ok_or_else(wrong),
        _ => Err(wrong()),
    }
}

/// The text with which every answer begins, where the request asks for that.
pub fn echo(fields: &Fields<'_>) -> Option<String> {
    let asked = fields.present("echo").is_some_and(|echo| echo.get() == "true");
    asked.then(|| prompt(fields).ok().map(Cow::into_owned)).flatten()
}

/// Writes a whole answer.
pub fn write_response(
    response: &Response,
    echo: Option<&str>,
    options: &EncoderOptions,
    loss: &mut Loss,
) -> Vec<u8> {
    let said = Openai.write_answer(response, options, loss);
    let mut answer: Value = crate::json::read(&said).unwrap_or_default();
    answer["object"] = json!("text_completion");
    for choice in answer["choices"].as_array_mut().into_iter().flatten() {
        if choice["message"]["reasoning_content"].is_string() {
            loss.note("choices.reasoning_content");
        }
        *choice = continued(choice, "message", echo.unwrap_or_default());
    }
    answer.to_string().into_bytes()
}

/// A choice as it was before conversations: its text under one key, and nothing else that it says.
fn continued(choice: &Value, key: &str, echo: &str) -> Value {
    let said = &choice[key];
    let text = said["content"].as_str().or_else(|| said["refusal"].as_str()).unwrap_or_default();
    json!({ "text": format!("{echo}{text}"), "index": choice["index"], "logprobs": null,
        "finish_reason": choice["finish_reason"] })
}

/// A new encoder for one stream.
pub fn encoder(options: EncoderOptions, echo: Option<String>) -> Box<dyn Encoder> {
    Box::new(Continuation {
        inner: Openai.encoder(options),
        said: Vec::new(),
        echo: echo.unwrap_or_default(),
        echoed: Vec::new(),
    })
}

/// Writes a conversation's chunks anew.
#[derive(Debug)]
struct Continuation {
    inner: Box<dyn Encoder>,
    said: Vec<u8>,
    echo: String,
    /// The choices that have begun.
    echoed: Vec<u64>,
}

impl Encoder for Continuation {
    fn push(&mut self, event: &Event, out: &mut Vec<u8>, loss: &mut Loss) {
        self.said.clear();
        self.inner.push(event, &mut self.said, loss);
        let said = std::mem::take(&mut self.said);
        for frame in std::str::from_utf8(&said).unwrap_or_default().split_inclusive("\n\n") {
            match frame.strip_prefix("data: ").and_then(|data| crate::json::from_str(data).ok()) {
                Some(chunk) => self.chunk(chunk, out),
                None => out.extend_from_slice(frame.as_bytes()),
            }
        }
        self.said = said;
    }

    fn error(&mut self, error: &PublicError, out: &mut Vec<u8>) {
        self.inner.error(error, out);
    }
}

impl Continuation {
    fn chunk(&mut self, mut chunk: Value, out: &mut Vec<u8>) {
        chunk["object"] = json!("text_completion");
        for choice in chunk["choices"].as_array_mut().into_iter().flatten() {
            let index = choice["index"].as_u64().unwrap_or_default();
            let first = !self.echoed.contains(&index);
            *choice = continued(choice, "delta", if first { &self.echo } else { "" });
            if first {
                self.echoed.push(index);
            }
        }
        // A chunk that only gave a role, or a thought, says nothing here.
        let silent = |choice: &Value| choice["text"] == "" && choice["finish_reason"].is_null();
        let choices = chunk["choices"].as_array();
        let nothing =
            choices.is_some_and(|choices| choices.iter().all(silent)) && !chunk["usage"].is_object();
        if !nothing {
            out.extend_from_slice(format!("data: {chunk}\n\n").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Choice, Content, Stop};
    use crate::event::{Delta, PartKind};
    use crate::{TargetHints, Usage};

    fn read(body: &str) -> Result<(Request, Vec<String>), Malformed> {
        let mut loss = Loss::default();
        let request = read_request(&Fields::read(body.as_bytes()).unwrap(), &mut loss)?;
        Ok((request, loss.items().map(str::to_owned).collect()))
    }

    #[test]
    fn a_text_becomes_a_users_message_and_the_rest_stays_what_it_is() {
        let body = r#"{"model":"m","prompt":"Once","max_tokens":20,"temperature":0.5,"stop":["."],"n":1,"seed":7,"user":"u","logit_bias":{"1":2},"echo":true,"best_of":1}"#;
        let (request, lost) = read(body).unwrap();
        assert_eq!(lost, Vec::<String>::new());
        let written =
            Openai.write_request(&request, &TargetHints::unknown("m"), &mut Loss::default()).unwrap();
        assert_eq!(
            String::from_utf8(written.body).unwrap(),
            r#"{"model":"m","messages":[{"role":"user","content":"Once"}],"max_completion_tokens":20,"temperature":0.5,"stop":["."],"seed":7,"n":1,"user":"u","logit_bias":{"1":2}}"#
        );
        assert_eq!(echo(&Fields::read(body.as_bytes()).unwrap()).as_deref(), Some("Once"));
    }

    #[test]
    fn a_list_of_one_is_a_text_and_the_usual_length_is_the_vendors() {
        let (request, lost) = read(r#"{"model":"m","prompt":["Once"],"logprobs":3,"best_of":4}"#).unwrap();
        assert_eq!(request.max_output_tokens, Some(16));
        assert_eq!(lost, ["logprobs", "best_of"]);
    }

    #[test]
    fn what_no_conversation_can_be_is_refused_by_name() {
        for (body, field) in [
            (r#"{"model":"m"}"#, "prompt"),
            (r#"{"model":"m","prompt":["a","b"]}"#, "prompt"),
            (r#"{"model":"m","prompt":[1,2]}"#, "prompt"),
            (r#"{"model":"m","prompt":[[1,2]]}"#, "prompt"),
            (r#"{"model":"m","prompt":[]}"#, "prompt"),
            (r#"{"model":"m","prompt":7}"#, "prompt"),
            (r#"{"model":"m","prompt":"a","suffix":"b"}"#, "suffix"),
        ] {
            let refused = read(body);
            assert!(
                matches!(&refused, Err(Malformed::Field { path, .. }) if path == field),
                "{body} {refused:?}"
            );
        }
        assert!(read(r#"{"model":"m","prompt":"a","suffix":""}"#).is_ok());
    }

    #[test]
    fn a_whole_answer_is_a_continuation() {
        let choice = Choice {
            parts: vec![
                Content::Thinking { text: "hm".to_owned(), signature: None }.into(),
                Content::Text { text: " upon".to_owned(), citations: Vec::new() }.into(),
            ],
            stop: Some(Stop::MaxTokens),
            logprobs: None,
        };
        let response = Response {
            id: "i".to_owned(),
            model: "m".to_owned(),
            created: Some(5),
            choices: vec![choice],
            usage: Usage { input: 3, output: 2, ..Usage::default() },
            ..Response::default()
        };
        let mut loss = Loss::default();
        let written = write_response(&response, Some("Once"), &EncoderOptions::default(), &mut loss);
        assert_eq!(
            String::from_utf8(written).unwrap(),
            r#"{"id":"i","object":"text_completion","created":5,"model":"m","choices":[{"text":"Once upon","index":0,"logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0}}}"#
        );
        assert_eq!(loss.items().collect::<Vec<_>>(), ["choices.reasoning_content"]);
    }

    #[test]
    fn a_stream_is_chunks_of_text_and_ends_only_where_the_upstream_does() {
        let part =
            |part, kind| Event::PartStart { choice: 0, part, kind, extra: crate::chat::Extra::default() };
        let delta = |part, delta| Event::Delta { choice: 0, part, delta };
        let events = [
            Event::Start { id: "i".to_owned(), model: "m".to_owned(), created: Some(5) },
            part(0, PartKind::Thinking),
            delta(0, Delta::Thinking("hm".to_owned())),
            Event::PartStop { choice: 0, part: 0 },
            part(1, PartKind::Text),
            delta(1, Delta::Text(" up".to_owned())),
            delta(1, Delta::Text("on\n\n".to_owned())),
            Event::PartStop { choice: 0, part: 1 },
            Event::Stop { choice: 0, stop: Stop::EndTurn },
            Event::Usage(Usage { input: 3, output: 2, ..Usage::default() }),
            Event::End,
        ];
        let options = EncoderOptions { usage: true, created: 5, ..EncoderOptions::default() };
        let mut encoder = encoder(options, Some("Once".to_owned()));
        let (mut out, mut loss) = (Vec::new(), Loss::default());
        for event in &events {
            encoder.push(event, &mut out, &mut loss);
        }
        let head = r#"data: {"id":"i","object":"text_completion","created":5,"model":"m","choices":"#;
        let chunk = |text: &str, stop: &str| {
            format!(
                r#"{head}[{{"text":{text},"index":0,"logprobs":null,"finish_reason":{stop}}}],"usage":null}}"#
            )
        };
        let expected = [
            chunk(r#""Once""#, "null"),
            chunk(r#"" up""#, "null"),
            chunk(r#""on\n\n""#, "null"),
            chunk(r#""""#, r#""stop""#),
            format!(
                r#"{head}[],"usage":{{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5,"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":0,"audio_tokens":0}}}}}}"#
            ),
            "data: [DONE]".to_owned(),
        ];
        assert_eq!(String::from_utf8(out).unwrap().trim_end().split("\n\n").collect::<Vec<_>>(), expected);
    }
}
