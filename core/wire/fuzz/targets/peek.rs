//! A look at any bytes: the fields, the peek, and a splice that must stay JSON.
#![no_main]

use gatelet_wire::dialect::Reading;
use gatelet_wire::dialect::Addressed;
use gatelet_wire::{DialectId, Fields};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let Ok(fields) = Fields::read(body) else { return };
    for dialect in DialectId::ALL {
        let _refused = dialect.dialect().peek(&fields, &Addressed::default());
    }
    let spliced = fields.splice(&[("model", "\"m\""), ("stream", "true")]);
    let fields = Fields::read(&spliced).expect("a splice keeps its body whole");
    assert_eq!(fields.get("model").map(|model| model.get()), Some("\"m\""));
});
