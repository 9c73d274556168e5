//! The law of folding, on answers that no provider ever gave: what is unfolded folds to itself, and restoring a stream
//! means the same as restoring the whole.

use gatelet_wire::chat::{
    Choice, Citation, Content, Extra, Part, Response, Source, Stop, ToolCall, ToolKind, ToolResult,
};
use gatelet_wire::event::Grammar;
use gatelet_wire::fold::{fold, unfold};
use gatelet_wire::tape::{self, Tape};
use gatelet_wire::{DialectId, Json, Restore, Usage};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

fn words() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 \"\\\\\n{}é世🌍]{0,12}"
}

fn json() -> impl Strategy<Value = Json> {
    words().prop_map(|text| Json::of(&serde_json::json!({ "type": "x", "text": text })))
}

fn dialect() -> impl Strategy<Value = DialectId> {
    prop::sample::select(DialectId::ALL)
}

fn extra() -> impl Strategy<Value = Extra> {
    prop_oneof![
        3 => Just(Extra::default()),
        1 => (dialect(), json())
            .prop_map(|(dialect, json)| Extra { dialect: Some(dialect), fields: vec![("own".to_owned(), json)] }),
    ]
}

fn citation() -> impl Strategy<Value = Citation> {
    (option::of(words()), option::of(words()), option::of((dialect(), json()))).prop_map(
        |(url, title, raw)| Citation { url, title, cited_text: None, start: None, end: Some(3), raw },
    )
}

fn call() -> impl Strategy<Value = Content> {
    let names = prop::sample::select(vec!["plain", "sent", "free", "answer"]);
    let arguments = prop_oneof![
        words(),
        words().prop_map(|text| serde_json::json!({ "input": text }).to_string()),
        words().prop_map(|text| serde_json::json!({ "value": [text] }).to_string()),
    ];
    (names, arguments).prop_map(|(name, arguments)| {
        let (id, name) = ("id".to_owned(), name.to_owned());
        Content::ToolCall(ToolCall { id, name, arguments, kind: ToolKind::Function })
    })
}

fn content() -> impl Strategy<Value = Content> {
    let source = words().prop_map(|data| Source::Base64 { media_type: "image/png".to_owned(), data });
    let result = words().prop_map(|call_id| ToolResult { call_id, parts: Vec::new(), is_error: true });
    prop_oneof![
        (words(), vec(citation(), 0..3)).prop_map(|(text, citations)| Content::Text { text, citations }),
        (words(), option::of(words())).prop_map(|(text, signature)| Content::Thinking { text, signature }),
        words().prop_map(|data| Content::RedactedThinking { data }),
        words().prop_map(|text| Content::Refusal { text }),
        call(),
        call(),
        (dialect(), json()).prop_map(|(dialect, json)| Content::Foreign { dialect, json }),
        source.prop_map(|source| Content::Image { source, detail: None }),
        result.prop_map(Content::ToolResult),
    ]
}

fn choice() -> impl Strategy<Value = Choice> {
    let part = (content(), extra()).prop_map(|(content, extra)| Part { content, cache: None, extra });
    let stop = prop_oneof![
        Just(Stop::EndTurn),
        Just(Stop::ToolUse),
        Just(Stop::MaxTokens),
        option::of(words()).prop_map(Stop::Sequence),
        words().prop_map(Stop::Other),
    ];
    (vec(part, 0..5), stop, option::of(json())).prop_map(|(parts, stop, logprobs)| Choice {
        parts,
        stop: Some(stop),
        logprobs,
    })
}

fn response() -> impl Strategy<Value = Response> {
    (words(), option::of(any::<u64>()), vec(choice(), 0..3), any::<[u32; 4]>(), option::of(words()), extra())
        .prop_map(|(id, created, choices, counts, service_tier, extra)| {
            let [input, cache_read, output, reasoning] = counts.map(u64::from);
            let usage = Usage { input, cache_read, output, reasoning, ..Usage::default() };
            Response { id, model: "m".to_owned(), created, choices, usage, service_tier, extra }
        })
}

fn restore() -> Restore {
    let mut restore = Restore::default();
    restore.tool("sent", "files.read", ToolKind::Function, None);
    restore.tool("free", "free", ToolKind::Custom, Some(Restore::FREE_TEXT));
    restore.answer("answer", Some(Restore::VALUE));
    restore
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn what_is_unfolded_folds_to_itself(response in response()) {
        let events = unfold(&response);
        prop_assert_eq!(Grammar::check(&events), Ok(()));
        prop_assert_eq!(fold(&events), response);
    }

    #[test]
    fn a_tape_says_what_was_put_on_it_and_nothing_when_it_is_cut(response in response(), cut in any::<prop::sample::Index>()) {
        let fits = |part: &Part| !matches!(part.content, Content::ToolResult(_));
        prop_assume!(response.choices.iter().all(|choice| choice.parts.iter().all(fits)));
        let mut tape = Tape::new(usize::MAX);
        for event in &unfold(&response) {
            tape.push(event);
        }
        let bytes = tape.finish().unwrap();
        let events = tape::read(&bytes).unwrap();
        prop_assert_eq!(Grammar::check(&events), Ok(()));
        prop_assert_eq!(fold(&events), response);
        prop_assert!(tape::read(&bytes[..cut.index(bytes.len())]).is_none());
    }

    #[test]
    fn a_tape_of_any_bytes_is_read_or_is_none(bytes in vec(0_u8..12, 0..200)) {
        let _ = tape::read(&bytes);
    }

    #[test]
    fn restoring_a_stream_means_the_same_as_restoring_the_whole(response in response()) {
        let (mut stream, mut events) = (restore().stream(), Vec::new());
        for event in unfold(&response) {
            stream.push(event, &mut events);
        }
        prop_assert_eq!(Grammar::check(&events), Ok(()));
        let mut whole = response;
        restore().response(&mut whole);
        prop_assert_eq!(fold(&events), whole);
    }
}
