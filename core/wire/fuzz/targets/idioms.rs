//! Any bytes as a request, an answer and a stream in every idiom, and of a picture: never a panic, and a stream says the
//! same however it is cut.
#![no_main]

use gatelet_wire::frame::Open;
use gatelet_wire::idiom::Prediction;
use gatelet_wire::{Idiom, Loss, Malformed, imagen};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for idiom in [Idiom::Tgi, Idiom::Replicate, Idiom::Oci, Idiom::OciCohere] {
        let _ = idiom.request(bytes, &mut Loss::default());
        let _ = idiom.answer(bytes);
        assert_eq!(opened(idiom, bytes, bytes.len().max(1)), opened(idiom, bytes, 3));
    }
    for model in ["imagen-4", "gemini-image"] {
        let _ = imagen::request(bytes, model, &mut Loss::default());
    }
    let _ = (imagen::answer(bytes, 0), Prediction::read(bytes));
    if let Ok(model) = std::str::from_utf8(bytes) {
        let path = Idiom::Replicate.path(model).unwrap_or_default();
        assert!(path.starts_with('/') && !path.contains(['?', '#', ' ']));
    }
});

fn opened(idiom: Idiom, bytes: &[u8], size: usize) -> (Vec<u8>, Option<Malformed>) {
    let mut opener = idiom.opener();
    let mut out = Vec::new();
    for piece in bytes.chunks(size) {
        match opener.push(piece) {
            Ok(said) => out.extend(said),
            // What was said before in the same piece is lost with it, so that only the fault is compared.
            Err(wrong) => return (Vec::new(), Some(wrong)),
        }
    }
    match opener.finish() {
        Ok(said) => out.extend(said),
        Err(wrong) => return (Vec::new(), Some(wrong)),
    }
    (out, None)
}
