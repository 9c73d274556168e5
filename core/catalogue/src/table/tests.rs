use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::{pack, text};

fn some() -> BTreeMap<String, Vec<Entry>> {
    let models = |count: usize, prefix: &str| {
        let mut ids: Vec<String> = (0..count).map(|at| format!("{prefix}-{at}")).collect();
        ids.sort();
        let line = |id: &String| match id.len() % 3 {
            0 => format!(
                "{id} chat context=1000 tools | input 2.5 output 10 | >5000 input 5 | batch input 1.25"
            ),
            1 => format!("{id} image until=2027-01-01 | picture 0.04"),
            _ => format!("{id} other"),
        };
        ids.iter().map(|id| text::entry(&line(id)).expect("a line")).collect::<Vec<_>>()
    };
    BTreeMap::from([
        ("alpha".to_owned(), models(1, "a")),
        ("beta".to_owned(), models(16, "b")),
        ("gamma".to_owned(), models(401, "g")),
        ("none".to_owned(), Vec::new()),
    ])
}

#[test]
fn every_model_is_found_and_nothing_else() {
    let all = some();
    let bytes = pack(&all);
    let table = Table::new(&bytes).expect("a catalogue");
    assert!(table.providers().eq(all.keys()));
    for (provider, entries) in &all {
        for entry in entries {
            assert_eq!(table.find(provider, &entry.id).as_ref(), Some(entry));
            assert_eq!(table.find(provider, &format!("{}x", entry.id)), None);
        }
        assert!(table.ids(provider).eq(entries.iter().map(|entry| entry.id.clone())));
        assert!(table.entries(provider).eq(entries.iter().cloned()));
        for id in ["", "a", "z", "g-", "\u{10ffff}"] {
            assert_eq!(table.find(provider, id), None);
        }
    }
    assert_eq!(table.find("delta", "a-0"), None);
    assert_eq!(table.ids("delta").count(), 0);
    assert!(table.has_provider("none") && !table.has_provider("no"));
}

/// Whoever parsed it whole would be led astray by one wrong byte anywhere before the model.
#[test]
fn a_look_up_hangs_on_few_of_the_bytes() {
    let all = some();
    let bytes = pack(&all);
    let right = Table::new(&bytes).expect("a catalogue").find("gamma", "g-250");
    assert!(right.is_some());
    let mut hangs = 0_usize;
    for at in HEADER..bytes.len() - CHECKSUM {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x41;
        hangs +=
            usize::from(Table::new(&damaged).expect("the header is whole").find("gamma", "g-250") != right);
    }
    assert!(hangs < 250, "a look-up hangs on {hangs} of {} bytes", bytes.len());
}

#[test]
fn what_is_no_catalogue_is_refused() {
    let bytes = pack(&some());
    for wrong in [&b""[..], b"gatecat", b"something else entirely", &bytes[..bytes.len() - 1], &bytes[..20]] {
        assert!(Table::new(wrong).is_err());
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(Table::new(&longer).is_err());
    assert!(Table::checked(&bytes).is_ok());
    let mut damaged = bytes;
    damaged[HEADER + 100] ^= 1;
    assert_eq!(Table::checked(&damaged).err(), Some(NotACatalogue));
}

proptest! {
    /// Bytes may come from anywhere: reading ends, and never beyond them.
    #[test]
    fn damaged_bytes_are_read_without_a_panic(at in 0_usize..4_000, by: u8, id in "[abg]-[0-9]{1,3}") {
        let mut bytes = pack(&some());
        let length = bytes.len();
        bytes[HEADER + at % (length - HEADER)] ^= by;
        let table = Table::new(&bytes).expect("the header is whole");
        for provider in ["alpha", "beta", "gamma", "none"] {
            let _ = table.find(provider, &id);
            prop_assert!(table.entries(provider).take(100_000).count() < 100_000);
        }
    }
}
