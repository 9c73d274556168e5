//! Any bytes as a stream of every dialect, whole and cut: the same events, in the order of the grammar, and streams
//! again in every dialect.
#![no_main]

use gatelet_wire::event::Grammar;
use gatelet_wire::dialect::Reading;
use gatelet_wire::{DialectId, EncoderOptions, Event, Loss, Malformed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for from in DialectId::ALL {
        let (events, error) = decode(*from, bytes, bytes.len().max(1));
        assert_eq!(Grammar::check(&events), Ok(()));
        assert_eq!((events.clone(), error), decode(*from, bytes, 3));
        for to in DialectId::ALL {
            let options = EncoderOptions { usage: true, ..EncoderOptions::default() };
            let mut encoder = to.dialect().encoder(options);
            let (mut out, mut loss) = (Vec::new(), Loss::default());
            for event in &events {
                encoder.push(event, &mut out, &mut loss);
            }
            let (again, _) = decode(*to, &out, out.len().max(1));
            assert_eq!(Grammar::check(&again), Ok(()));
        }
    }
});

fn decode(dialect: DialectId, bytes: &[u8], chunk: usize) -> (Vec<Event>, Option<Malformed>) {
    let dialect = dialect.dialect();
    let (mut framer, mut decoder) = (dialect.conventions().framing.framer(), dialect.decoder(Reading::default()));
    let mut events = Vec::new();
    for bytes in bytes.chunks(chunk) {
        framer.push(bytes);
        while let Some(frame) = framer.next() {
            if let Err(error) = frame.and_then(|frame| decoder.push(&frame, &mut events)) {
                return (events, Some(error));
            }
        }
    }
    while let Some(frame) = framer.finish() {
        if let Err(error) = frame.and_then(|frame| decoder.push(&frame, &mut events)) {
            return (events, Some(error));
        }
    }
    let error = decoder.finish(&mut events).err();
    (events, error)
}
