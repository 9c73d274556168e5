//! Any bytes as a request of every dialect; what can be read is written in every dialect, and read again.
#![no_main]

use gatelet_wire::{DialectId, Loss, Malformed, TargetHints};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    for from in DialectId::ALL {
        let Ok(request) = from.dialect().read_request(body) else { continue };
        for to in DialectId::ALL {
            for hints in [
                TargetHints::unknown("m"),
                TargetHints {
                    native_schema: true,
                    adaptive_thinking: true,
                    mid_system: true,
                    ..TargetHints::default()
                },
            ] {
                let Ok(written) = to.dialect().write_request(&request, &hints, &mut Loss::default()) else {
                    continue;
                };
                // What is kept raw may say a field twice, which only the dialect that looks inside refuses.
                let again = to.dialect().read_request(&written.body);
                assert!(matches!(again, Ok(_) | Err(Malformed::Duplicate { .. })), "{again:?}");
            }
        }
    }
});
