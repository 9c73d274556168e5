//! Any bytes as an answer and as an error of every dialect; an answer folds to itself.
#![no_main]

use gatelet_wire::dialect::Reading;
use gatelet_wire::event::Grammar;
use gatelet_wire::fold::{fold, unfold};
use gatelet_wire::{DialectId, Loss};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    for from in DialectId::ALL {
        let _any = from.dialect().read_error(500, body);
        let Ok(response) = from.dialect().read_response(body, Reading::default()) else { continue };
        let events = unfold(&response);
        assert_eq!(Grammar::check(&events), Ok(()));
        let folded = fold(&events);
        assert_eq!(folded.usage, response.usage);
        for to in DialectId::ALL {
            let written = to.dialect().write_response(&response, &mut Loss::default());
            to.dialect().read_response(&written, Reading::default()).expect("what is written can be read");
        }
    }
});
