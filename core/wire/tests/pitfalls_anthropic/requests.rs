//! What is sent.

use gatelet_wire::chat::{
    CacheMark, Content, Message, Part, Reasoning, Request, Role, Source, Tool, ToolChoice,
};
use gatelet_wire::{Dialect, TargetHints, dialect::anthropic::Anthropic};
use serde_json::{Value, json};

use crate::say::*;

// 27
#[test]
fn arguments_become_an_object_and_several_objects_in_a_row_are_refused() {
    let input = |arguments: &str| {
        let request =
            asking(vec![user("Go."), assistant(vec![call("a", "f", arguments)]), result("a", "ok")]);
        write_for(&request, &hints())
    };
    assert_eq!(input(r#"{"x":1}"#).0["messages"][1]["content"][0]["input"], json!({"x": 1}));
    assert_eq!(input(r#""{\"x\":1}""#).0["messages"][1]["content"][0]["input"], json!({"x": 1}));
    let (body, loss) = input(r#"{"x": "cut"#);
    assert_eq!(body["messages"][1]["content"][0]["input"], json!({"arguments": r#"{"x": "cut"#}));
    assert_eq!(loss, ["messages[1].content[0].arguments"]);
    let several =
        asking(vec![user("Go."), assistant(vec![call("a", "f", r#"{"x":1}{"x":2}"#)]), result("a", "ok")]);
    assert_eq!(
        refused(&several),
        "`messages[1].content[0]`: expected one JSON object as arguments, not several in a row"
    );
}

#[test]
fn numbers_in_arguments_keep_their_digits() {
    let arguments = r#"{"a": 1.10, "b": 12345678901234567890123}"#;
    let request = asking(vec![user("Go."), assistant(vec![call("a", "f", arguments)]), result("a", "ok")]);
    let (_, written, _) = try_write(&request, &hints()).unwrap();
    assert!(String::from_utf8(written.body).unwrap().contains(arguments));
}

// 31, 34
#[test]
fn results_of_parallel_calls_are_merged_into_one_turn_before_any_text() {
    let request = asking(vec![
        user("Go."),
        assistant(vec![call("a", "f", "{}"), call("b", "f", "{}")]),
        result("a", "1"),
        user("By the way."),
        result("b", "2"),
    ]);
    let body = written(&request);
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(3));
    let kinds: Vec<_> =
        body["messages"][2]["content"].as_array().into_iter().flatten().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["tool_result", "tool_result", "text"]);
}

// 33
#[test]
fn a_call_without_its_result_directly_after_is_refused_with_its_place() {
    let expected = "`messages[1]`: expected a result of its tool call `b` in the message after it";
    let calls = || assistant(vec![call("a", "f", "{}"), call("b", "f", "{}")]);
    assert_eq!(refused(&asking(vec![user("Go."), calls(), result("a", "1")])), expected);
    let later = vec![user("Go."), calls(), result("a", "1"), assistant(vec![text("Well")]), result("b", "2")];
    assert_eq!(refused(&asking(later)), expected);
    let orphan = vec![user("Go."), result("z", "1")];
    assert_eq!(
        refused(&asking(orphan)),
        "`messages[1].content[0]`: expected a tool call `z` in the message before, answered once"
    );
    let twice = vec![user("Go."), assistant(vec![call("a", "f", "{}")]), result("a", "1"), result("a", "2")];
    assert!(refused(&asking(twice)).contains("answered once"));
}

// 35
#[test]
fn ids_of_other_providers_are_mapped_stably_without_collisions() {
    let turn = |id: &str| vec![assistant(vec![call(id, "f", "{}")]), result(id, "1")];
    let messages =
        [vec![user("Go.")], turn("functions.f:0"), turn("functions.f_0"), turn("functions.f:0"), turn("")]
            .concat();
    let body = written(&asking(messages.clone()));
    let id = |body: &Value, at: usize| body["messages"][at]["content"][0]["id"].clone();
    let ids: Vec<_> = [1, 3, 5, 7].map(|at| id(&body, at)).to_vec();
    for (at, sent) in [1, 3, 5, 7].into_iter().zip(&ids) {
        let sent = sent.as_str().unwrap();
        assert!(
            sent.chars().all(|each| each.is_ascii_alphanumeric() || "_-".contains(each)) && !sent.is_empty(),
            "{sent}"
        );
        assert_eq!(body["messages"][at + 1]["content"][0]["tool_use_id"], sent);
        assert_eq!(ids.iter().filter(|other| *other == sent).count(), 1, "{ids:?}");
    }
    let shorter = written(&asking(messages[..3].to_vec()));
    assert_eq!(id(&shorter, 1), ids[0], "a longer conversation keeps its prefix");
    let own = written(&asking([vec![user("Go.")], turn("toolu_01A")].concat()));
    assert_eq!(id(&own, 1), "toolu_01A");
}

// 41
#[test]
fn a_failed_result_stays_failed() {
    let body = json!({"model": "c", "max_tokens": 9, "messages": [
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "is_error": true, "content": "no"}]},
    ]});
    let request = Anthropic.read_request(body.to_string().as_bytes()).unwrap();
    let Content::ToolResult(result) = &request.messages[2].parts[0].content else { panic!("{request:?}") };
    assert!(result.is_error);
    assert_eq!(written(&request)["messages"][2]["content"][0]["is_error"], true);
}

// 42
#[test]
fn the_type_of_a_tool_never_gets_into_its_parameters() {
    let body = json!({"model": "c", "max_tokens": 9, "messages": [{"role": "user", "content": "Go."}],
        "tools": [{"type": "custom", "name": "f", "input_schema": {"properties": {}}}]});
    let request = Anthropic.read_request(body.to_string().as_bytes()).unwrap();
    let Tool::Function { parameters: Some(parameters), .. } = &request.tools[0] else {
        panic!("{request:?}")
    };
    assert_eq!(parameters.to_value(), json!({"properties": {}}));
    assert_eq!(
        written(&request)["tools"][0],
        json!({"name": "f", "input_schema": {"properties": {}, "type": "object"}})
    );
}

// 43, 44
#[test]
fn a_choice_of_tools_is_kept_where_it_may_be_and_loosened_with_a_note_where_not() {
    let request = |choice| Request {
        tools: vec![tool("f", None)],
        tool_choice: Some(choice),
        ..asking(vec![user("Go.")])
    };
    assert_eq!(written(&request(ToolChoice::None))["tool_choice"], json!({"type": "none"}));
    assert_eq!(written(&request(ToolChoice::Required))["tool_choice"], json!({"type": "any"}));
    let unforced = TargetHints { forced_tool: false, ..hints() };
    let (body, loss) = write_for(&request(ToolChoice::Required), &unforced);
    assert_eq!(
        (body["tool_choice"].clone(), loss),
        (json!({"type": "auto"}), vec!["tool_choice".to_owned()])
    );
    let thinking = Request {
        reasoning: Some(Reasoning { budget_tokens: Some(1024), ..Reasoning::default() }),
        ..request(ToolChoice::Named("f".to_owned()))
    };
    assert_eq!(write_for(&thinking, &hints()).0["tool_choice"], json!({"type": "auto"}));
    let no_tools = Request { tools: Vec::new(), ..request(ToolChoice::Required) };
    assert_eq!(written(&no_tools)["tool_choice"], Value::Null);
}

#[test]
fn a_history_of_calls_without_tools_gets_tools_that_may_not_be_called() {
    let body = written(&asking(vec![user("Go."), assistant(vec![call("a", "f", "{}")]), result("a", "1")]));
    assert_eq!(body["tools"], json!([{"name": "f", "input_schema": {"type": "object", "properties": {}}}]));
    assert_eq!(body["tool_choice"], json!({"type": "none"}));
}

// 46
#[test]
fn thinking_in_a_loop_of_tools_goes_on_only_with_its_thoughts() {
    let ask = |parts: Vec<Part>, before: Vec<Message>| Request {
        reasoning: Some(Reasoning { budget_tokens: Some(1024), ..Reasoning::default() }),
        tools: vec![tool("f", None)],
        ..asking([before, vec![user("Go."), assistant(parts), result("a", "1")]].concat())
    };
    let shown = ask(vec![thinking("Hm.", Some("sig")), call("a", "f", "{}")], vec![]);
    assert_eq!(written(&shown)["thinking"], json!({"type": "enabled", "budget_tokens": 1024}));
    let (body, loss) = write_for(&ask(vec![call("a", "f", "{}")], vec![]), &hints());
    assert_eq!(body["thinking"], Value::Null);
    assert_eq!(loss, ["reasoning"]);
    let earlier = vec![user("One."), assistant(vec![thinking("Hm.", Some("sig")), text("1")])];
    assert!(refused(&ask(vec![call("a", "f", "{}")], earlier)).contains("thinking block"));
}

// 47
#[test]
fn unsigned_thoughts_are_left_out_and_a_message_of_nothing_else_with_them() {
    let request = asking(vec![user("One."), assistant(vec![thinking("Hm.", None)]), user("Two.")]);
    let (body, loss) = write_for(&request, &hints());
    assert_eq!(body["messages"].as_array().map(Vec::len), Some(1));
    assert_eq!(loss, ["messages[1].thinking"]);
    let request =
        asking(vec![user("One."), assistant(vec![thinking("Hm.", Some("")), text("1")]), user("Two.")]);
    assert_eq!(written(&request)["messages"][1]["content"], "1");
}

// 49
#[test]
fn blocks_keep_their_order() {
    let content = json!([
        {"type": "thinking", "thinking": "1", "signature": "s1"},
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}},
        {"type": "thinking", "thinking": "2", "signature": "s2"},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "text", "text": "Done."},
    ]);
    let body = json!({"model": "c", "max_tokens": 9, "messages": [
        {"role": "user", "content": "Go."}, {"role": "assistant", "content": content}, {"role": "user", "content": "More."}]});
    let request = Anthropic.read_request(body.to_string().as_bytes()).unwrap();
    assert_eq!(written(&request)["messages"][1]["content"], content);
}

// 55
#[test]
fn a_budget_is_at_least_1024_and_below_a_cap_that_is_never_raised() {
    let ask = |budget, cap| Request {
        reasoning: Some(Reasoning { budget_tokens: Some(budget), ..Reasoning::default() }),
        max_output_tokens: cap,
        ..asking(vec![user("Think.")])
    };
    let seen = |budget, cap| {
        let (body, loss) = write_for(&ask(budget, cap), &TargetHints::unknown("claude"));
        (body["max_tokens"].as_u64(), body["thinking"]["budget_tokens"].as_u64(), loss.len())
    };
    assert_eq!(seen(100, Some(4000)), (Some(4000), Some(1024), 0));
    assert_eq!(seen(9000, Some(4000)), (Some(4000), Some(3999), 1));
    assert_eq!(seen(9000, Some(1024)), (Some(1024), None, 1));
    assert_eq!(seen(9000, None), (Some(13096), Some(9000), 0));
}

// 57
#[test]
fn adaptive_thinking_that_was_asked_for_by_effort_is_shown() {
    let adaptive = TargetHints { adaptive_thinking: true, ..hints() };
    let ask = |reasoning| Request { reasoning: Some(reasoning), ..asking(vec![user("Think.")]) };
    let effort = Reasoning { effort: Some("minimal".to_owned()), ..Reasoning::default() };
    let (body, _) = write_for(&ask(effort), &adaptive);
    assert_eq!(body["thinking"], json!({"type": "adaptive", "display": "summarized"}));
    assert_eq!(body["output_config"], json!({"effort": "low"}));
    let own = Reasoning { adaptive: true, ..Reasoning::default() };
    assert_eq!(write_for(&ask(own), &adaptive).0["thinking"], json!({"type": "adaptive"}));
}

// 58
#[test]
fn max_tokens_is_always_there_and_never_above_what_the_model_can() {
    let ask = |cap| Request { max_output_tokens: cap, ..asking(vec![user("Hi")]) };
    assert_eq!(written(&ask(None))["max_tokens"], 8192);
    assert_eq!(write_for(&ask(None), &TargetHints::unknown("c")).0["max_tokens"], 4096);
    let (body, loss) = write_for(&ask(Some(100_000)), &hints());
    assert_eq!((body["max_tokens"].clone(), loss), (json!(8192), vec!["max_tokens".to_owned()]));
}

// 59, 63
#[test]
fn empty_text_is_dropped_and_a_prefill_ends_without_space() {
    let calls = vec![text(""), call("a", "f", "{}")];
    let request =
        asking(vec![user("Go."), assistant(calls), result("a", ""), assistant(vec![text("1. \n")])]);
    let body = written(&request);
    assert_eq!(body["messages"][1]["content"].as_array().map(Vec::len), Some(1));
    assert_eq!(body["messages"][2]["content"], json!([{"type": "tool_result", "tool_use_id": "a"}]));
    assert_eq!(body["messages"][3]["content"], "1.");
}

// 59, 78
#[test]
fn blank_stop_sequences_are_dropped_with_a_note() {
    let request = Request { stop: vec!["END".to_owned(), " \n".to_owned()], ..asking(vec![user("Hi")]) };
    let (body, loss) = write_for(&request, &hints());
    assert_eq!((body["stop_sequences"].clone(), loss), (json!(["END"]), vec!["stop".to_owned()]));
}

// 60
#[test]
fn a_system_message_in_the_middle_stays_in_its_place() {
    let system = |said: &str| message(Role::System, vec![text(said)]);
    let request = asking(vec![
        system("A"),
        message(Role::Developer, vec![text("B")]),
        user("One."),
        assistant(vec![text("1")]),
        system("C"),
        user("Two."),
    ]);
    let body = written(&request);
    assert_eq!(body["system"], json!([{"type": "text", "text": "A"}, {"type": "text", "text": "B"}]));
    assert_eq!(
        body["messages"][2],
        json!({"role": "user", "content": [{"type": "text", "text": "C"}, {"type": "text", "text": "Two."}]})
    );
    let (native, _) = write_for(&request, &TargetHints { mid_system: true, ..hints() });
    assert_eq!(native["messages"][2], json!({"role": "system", "content": "C"}));
}

// 61
#[test]
fn a_conversation_without_a_user_gets_one() {
    let (body, loss) = write_for(&asking(vec![message(Role::System, vec![text("Write.")])]), &hints());
    assert_eq!(body["messages"], json!([{"role": "user", "content": "."}]));
    assert_eq!(loss, ["messages[0].role"]);
    assert_eq!(
        written(&asking(vec![assistant(vec![text("Hello.")]), user("Hi")]))["messages"][0]["role"],
        "user"
    );
}

// 62
#[test]
fn neighbours_of_one_role_are_merged() {
    let request =
        asking(vec![user("A"), user("B"), assistant(vec![text("C")]), assistant(vec![text("D")]), user("E")]);
    let body = written(&request);
    let roles: Vec<_> =
        body["messages"].as_array().into_iter().flatten().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
}

// 66
#[test]
fn an_image_is_what_its_bytes_are() {
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ";
    let image = |source| {
        let part = Content::Image { source, detail: None };
        asking(vec![message(Role::User, vec![part.into()])])
    };
    let wrong = Source::of_url(&format!("DATA:image/JPG;x=y;base64,{png}"));
    assert_eq!(
        written(&image(wrong))["messages"][0]["content"][0]["source"],
        json!({"type": "base64", "media_type": "image/png", "data": png})
    );
    let tiff = Source::Base64 { media_type: "image/tiff".to_owned(), data: "SUkqAA==".to_owned() };
    assert!(refused(&image(tiff)).contains("JPEG, PNG, GIF or WebP"));
    assert!(refused(&image(Source::Url("data:image/png,abc".to_owned()))).contains("data URI"));
}

// 67
#[test]
fn documents_are_told_by_their_bytes() {
    let document = |media_type: &str, data: &str| {
        let source = Source::Base64 { media_type: media_type.to_owned(), data: data.to_owned() };
        let part =
            Content::Document { source, title: Some("a.pdf".to_owned()), context: None, citations: false };
        asking(vec![message(Role::User, vec![part.into()])])
    };
    let pdf = written(&document("application/octet-stream", "JVBERi0xLjQK"));
    assert_eq!(pdf["messages"][0]["content"][0]["source"]["media_type"], "application/pdf");
    assert_eq!(pdf["messages"][0]["content"][0]["title"], "a.pdf");
    let plain = written(&document("text/markdown", "IyBIaQ=="));
    assert_eq!(
        plain["messages"][0]["content"][0]["source"],
        json!({"type": "text", "media_type": "text/plain", "data": "# Hi"})
    );
    assert!(refused(&document("application/msword", "0M8R4A==")).contains("PDF or text"));
}

#[test]
fn audio_is_refused_rather_than_left_out() {
    let source = Source::Base64 { media_type: "audio/wav".to_owned(), data: "UklGRg==".to_owned() };
    let part = Content::Audio { source, format: None };
    assert!(
        refused(&asking(vec![message(Role::User, vec![text("Hear."), part.into()])])).contains("no audio")
    );
}

// 71
#[test]
fn at_most_four_marks_are_sent_none_of_them_on_empty_text_or_thoughts() {
    let marked = |mut part: Part| {
        part.cache = Some(CacheMark::default());
        part
    };
    let messages = (0..6).flat_map(|_| {
        [
            message(Role::User, vec![marked(text("A")), marked(text(" "))]),
            assistant(vec![marked(thinking("Hm.", Some("sig"))), text("B")]),
        ]
    });
    let (body, loss) = write_for(&asking(messages.collect()), &hints());
    assert_eq!(body.to_string().matches("cache_control").count(), 4);
    assert_eq!(loss, ["cache_control"]);
    let last_user = &body["messages"][10]["content"][0];
    assert_eq!(last_user, &json!({"type": "text", "text": "A", "cache_control": {"type": "ephemeral"}}));
    assert!(!body["messages"][11]["content"][0].to_string().contains("cache_control"));
}

#[test]
fn a_longer_lifetime_never_stands_after_a_shorter_one() {
    let marked = |said: &str, lifetime: &str| {
        let mut part = text(said);
        part.cache = Some(CacheMark { lifetime: Some(lifetime.to_owned()) });
        part
    };
    let request =
        asking(vec![message(Role::User, vec![marked("A", "12h"), marked("B", "5m"), marked("C", "1h")])]);
    let (body, loss) = write_for(&request, &hints());
    let lifetimes: Vec<_> = body["messages"][0]["content"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|block| block["cache_control"]["ttl"].clone())
        .collect();
    assert_eq!(lifetimes, [json!("1h"), json!("5m"), Value::Null]);
    assert_eq!(loss, ["cache_control.ttl"]);
}

// 72
#[test]
fn temperature_is_clamped_stands_alone_and_is_left_out_where_it_is_refused() {
    let ask = |temperature, top_p| Request { temperature, top_p, ..asking(vec![user("Hi")]) };
    let (body, loss) = write_for(&ask(Some(1.7), Some(0.5)), &hints());
    assert_eq!((body["temperature"].as_f64(), body["top_p"].clone()), (Some(1.0), Value::Null));
    assert_eq!(loss, ["temperature", "top_p"]);
    assert_eq!(written(&ask(None, Some(0.5)))["top_p"].as_f64(), Some(0.5));
    let none = TargetHints { sampling: false, ..hints() };
    let (body, loss) = write_for(&ask(Some(0.5), None), &none);
    assert_eq!((body["temperature"].clone(), loss), (Value::Null, vec!["temperature".to_owned()]));
}

// 75
#[test]
fn several_answers_are_refused_and_never_silently_one() {
    let request = Request { choices: Some(2), ..asking(vec![user("Hi")]) };
    assert!(refused(&request).starts_with("`n`"));
}
