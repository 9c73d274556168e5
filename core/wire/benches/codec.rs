//! What it costs to turn a stream of one dialect into another's: `cargo bench -p gatelet-wire`.
//!
//! A stream of 500 pieces of text in each dialect is cut, decoded and encoded in every other. The figure is the least of
//! many rounds, in microseconds a chunk: machines are noisy, and noise only adds.
#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench prints, and reads a clock")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use gatelet_wire::chat::{Extra, Stop};
use gatelet_wire::dialect::Reading;
use gatelet_wire::event::{Delta, PartKind};
use gatelet_wire::{DialectId, EncoderOptions, Event, Loss, Usage};

const CHUNKS: u32 = 500;
const ROUNDS: u32 = 200;

fn main() {
    // `cargo test` runs benches too, with an argument that asks for a glance only.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { ROUNDS } else { 1 };
    print!("{:>18}", "us a chunk, to");
    for to in DialectId::ALL {
        print!("{:>18}", to.name());
    }
    println!();
    for from in DialectId::ALL.iter().copied() {
        let stream = encoded(from);
        print!("{:>18}", from.name());
        for to in DialectId::ALL.iter().copied() {
            let least = (0..rounds).map(|_| translate(from, to, &stream)).min().unwrap_or_default();
            print!("{:>18.2}", least.as_secs_f64() * 1e6 / f64::from(CHUNKS));
        }
        println!();
    }
}

fn translate(from: DialectId, to: DialectId, chunks: &[Vec<u8>]) -> Duration {
    let from = from.dialect();
    let (mut framer, mut decoder) = (from.conventions().framing.framer(), from.decoder(Reading::default()));
    let mut encoder = to.dialect().encoder(options());
    let (mut events, mut loss) = (Vec::new(), Loss::default());
    let begun = Instant::now();
    for chunk in chunks {
        let mut out = Vec::new();
        framer.push(chunk);
        while let Some(Ok(frame)) = framer.next() {
            events.clear();
            let _read = decoder.push(&frame, &mut events);
            for event in &events {
                encoder.push(event, &mut out, &mut loss);
            }
        }
        black_box(out);
    }
    begun.elapsed()
}

/// The same answer in each dialect, one element a chunk.
fn encoded(dialect: DialectId) -> Vec<Vec<u8>> {
    let mut encoder = dialect.dialect().encoder(options());
    let (mut chunks, mut loss) = (Vec::new(), Loss::default());
    for event in events() {
        let mut out = Vec::new();
        encoder.push(&event, &mut out, &mut loss);
        chunks.push(out);
    }
    chunks
}

fn events() -> Vec<Event> {
    let text =
        |_| Event::Delta { choice: 0, part: 0, delta: Delta::Text(" and so on, \"quoted\"".to_owned()) };
    let start = Event::Start { id: "id".to_owned(), model: "model".to_owned(), created: Some(1) };
    let open = Event::PartStart { choice: 0, part: 0, kind: PartKind::Text, extra: Extra::default() };
    let mut events = vec![start, open];
    events.extend((0..CHUNKS).map(text));
    events.push(Event::PartStop { choice: 0, part: 0 });
    events.push(Event::Stop { choice: 0, stop: Stop::EndTurn });
    events.push(Event::Usage(Usage { input: 10, output: 500, ..Usage::default() }));
    events.push(Event::End);
    events
}

fn options() -> EncoderOptions {
    EncoderOptions { usage: true, created: 1, ..EncoderOptions::default() }
}
