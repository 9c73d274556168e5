//! Laws of streams: however the bytes are cut, the events are the same; what is encoded decodes to what it was; and
//! the grammar of events holds in every decoder, on every fixture.

mod support;

use gatelet_wire::dialect::Reading;
use gatelet_wire::event::{Delta, Grammar};
use gatelet_wire::fold::{fold, unfold};
use gatelet_wire::frame::Framing;
use gatelet_wire::{Dialect, DialectId, Event, Loss, Malformed};
use proptest::prelude::*;
use support::{Fixture, decode, dialect, encode_bytes, fixtures, options};

fn streams() -> Vec<(&'static dyn Dialect, Fixture)> {
    let fixtures = DialectId::ALL.iter().flat_map(|id| fixtures(*id, "stream"));
    fixtures.map(|fixture| (dialect(fixture.dialect), fixture)).collect()
}

fn whole(dialect: &dyn Dialect, bytes: &[u8]) -> (Vec<Event>, Option<Malformed>) {
    decode(dialect, Reading::default(), [bytes])
}

#[test]
fn byte_by_byte_gives_the_same_events_as_all_at_once() {
    for (dialect, fixture) in streams() {
        let single = decode(dialect, Reading::default(), fixture.bytes.chunks(1));
        assert_eq!(single, whole(dialect, &fixture.bytes), "{}", fixture.path.display());
    }
}

#[test]
fn a_cut_at_any_byte_gives_the_same_events_also_inside_a_character() {
    for (dialect, fixture) in streams() {
        let expected = whole(dialect, &fixture.bytes);
        for at in 0..=fixture.bytes.len() {
            let (left, right) = fixture.bytes.split_at(at);
            let cut = decode(dialect, Reading::default(), [left, right]);
            assert_eq!(cut, expected, "{} cut at {at}", fixture.path.display());
        }
    }
}

#[test]
fn line_ends_of_every_kind_give_the_same_events() {
    for (dialect, fixture) in streams() {
        let Ok(text) = String::from_utf8(fixture.bytes.clone()) else { continue };
        let expected = whole(dialect, text.as_bytes());
        // A lone carriage return ends a line of server-sent events only.
        let endings: &[&str] = match dialect.conventions().framing {
            Framing::Sse => &["\r\n", "\r"],
            Framing::Ndjson => &["\r\n"],
            // Binary: it has no lines.
            Framing::EventStream => &[],
        };
        for ending in endings {
            let other = text.replace('\n', ending);
            let found = decode(dialect, Reading::default(), other.as_bytes().chunks(7));
            assert_eq!(found, expected, "{} with {ending:?}", fixture.path.display());
        }
    }
}

#[test]
fn the_grammar_holds_in_every_decoder_on_every_fixture_and_at_every_truncation() {
    for (dialect, fixture) in streams() {
        for end in 0..=fixture.bytes.len() {
            let (events, error) = whole(dialect, &fixture.bytes[..end]);
            Grammar::check(&events)
                .unwrap_or_else(|breach| panic!("{} up to {end}: {breach}", fixture.path.display()));
            let ended = matches!(events.last(), Some(Event::End | Event::Error(_)));
            assert!(
                ended != error.is_some(),
                "{} up to {end}: a stream either ends or is broken, but {error:?} after {:?}",
                fixture.path.display(),
                events.last()
            );
        }
    }
}

#[test]
fn what_is_encoded_decodes_to_what_it_was() {
    for (dialect, fixture) in streams() {
        let (events, error) = whole(dialect, &fixture.bytes);
        if error.is_some() {
            continue; // A broken stream has no ending to encode.
        }
        let (bytes, loss) = encode_bytes(&mut *dialect.encoder(options()), &events);
        let (again, error) = whole(dialect, &bytes);
        assert_eq!(error, None, "{}", fixture.path.display());
        // What is dropped on purpose: usage before its last word, and parts without content.
        if loss.is_empty() {
            assert_eq!(said(&fold(&again)), said(&fold(&events)), "{}", fixture.path.display());
        }
        // From then on nothing changes any more, to the byte.
        let (third, _) = encode_bytes(&mut *dialect.encoder(options()), &again);
        assert_eq!(third, bytes, "{}", fixture.path.display());
    }
}

/// The answer without its silent parts.
fn said(response: &gatelet_wire::chat::Response) -> gatelet_wire::chat::Response {
    use gatelet_wire::chat::Content;
    let mut response = response.clone();
    for choice in &mut response.choices {
        choice.parts.retain(|part| match &part.content {
            Content::Text { text, .. } | Content::Refusal { text } => !text.is_empty(),
            Content::Thinking { text, signature } => !text.is_empty() || signature.is_some(),
            _ => true,
        });
    }
    response
}

#[test]
fn a_whole_answer_folds_to_itself() {
    for id in DialectId::ALL.iter().copied() {
        let dialect = dialect(id);
        for fixture in fixtures(id, "response") {
            let response = dialect.read_response(&fixture.bytes, Reading::default()).unwrap();
            let events = unfold(&response);
            Grammar::check(&events).unwrap_or_else(|breach| panic!("{}: {breach}", fixture.path.display()));
            assert_eq!(fold(&events), response, "{}", fixture.path.display());
        }
    }
}

#[test]
fn a_whole_answer_and_its_stream_say_the_same() {
    for id in DialectId::ALL.iter().copied() {
        let dialect = dialect(id);
        for fixture in fixtures(id, "response") {
            let response = dialect.read_response(&fixture.bytes, Reading::default()).unwrap();
            let (bytes, _) = encode_bytes(&mut *dialect.encoder(options()), &unfold(&response));
            let (events, error) = whole(dialect, &bytes);
            assert_eq!(error, None, "{}", fixture.path.display());
            let mut streamed = fold(&events);
            streamed.choices.resize_with(response.choices.len(), Default::default);
            // As values: in a stream, line breaks between fields are gone.
            let written = |response| -> serde_json::Value {
                serde_json::from_slice(&dialect.write_response(response, &mut Loss::default())).unwrap()
            };
            assert_eq!(written(&streamed), written(&response), "{}", fixture.path.display());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn any_cuts_give_the_same_events(pick in any::<prop::sample::Index>(), mut cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let streams = streams();
        let (dialect, fixture) = &streams[pick.index(streams.len())];
        let mut places: Vec<usize> = cuts.drain(..).map(|cut| cut.index(fixture.bytes.len() + 1)).collect();
        places.sort_unstable();
        let mut chunks = Vec::new();
        let mut start = 0;
        for end in places.into_iter().chain([fixture.bytes.len()]) {
            chunks.push(&fixture.bytes[start..end]);
            start = end;
        }
        prop_assert_eq!(decode(*dialect, Reading::default(), chunks), whole(*dialect, &fixture.bytes));
    }
}

#[test]
fn the_grammar_refuses_what_breaks_it() {
    let start = Event::Start { id: String::new(), model: String::new(), created: None };
    let open = |part| Event::PartStart {
        choice: 0,
        part,
        kind: gatelet_wire::event::PartKind::Text,
        extra: gatelet_wire::chat::Extra::default(),
    };
    let text = |part| Event::Delta { choice: 0, part, delta: Delta::Text("a".to_owned()) };
    let thought = Event::Delta { choice: 0, part: 0, delta: Delta::Thinking("a".to_owned()) };
    let close = |part| Event::PartStop { choice: 0, part };
    let stop = || Event::Stop { choice: 0, stop: gatelet_wire::chat::Stop::EndTurn };
    let good = vec![start.clone(), open(0), text(0), close(0), open(1), close(1), stop(), Event::End];
    assert_eq!(Grammar::check(&good), Ok(()));
    let breaches: Vec<Vec<Event>> = vec![
        vec![open(0)],
        vec![start.clone(), start.clone()],
        vec![start.clone(), open(1)],
        vec![start.clone(), open(0), open(1)],
        vec![start.clone(), text(0)],
        vec![start.clone(), open(0), text(1)],
        vec![start.clone(), open(0), thought],
        vec![start.clone(), open(0), close(0), close(0)],
        vec![start.clone(), open(0), stop()],
        vec![start.clone(), stop(), stop()],
        vec![start.clone(), stop(), open(0)],
        vec![start.clone(), open(0), Event::End],
        vec![start.clone(), Event::End, Event::Ping],
    ];
    for breach in breaches {
        assert!(Grammar::check(&breach).is_err(), "{breach:?}");
    }
}
