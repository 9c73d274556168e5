use proptest::prelude::*;

use super::*;
use crate::cache::memory::Memory;

fn name(of: u8) -> Name {
    Naming::default().with(&[of]).finish()
}

fn entry(size: usize, until: i64) -> Entry {
    let label = Label {
        made: 1,
        until,
        cost: 7,
        target: "p/m".to_owned(),
        key: "k".to_owned(),
        model: "m".to_owned(),
        tags: vec!["t".to_owned()],
        form: Form::Tape,
    };
    Entry { label, answer: vec![7; size].into() }
}

#[test]
fn an_entry_is_read_back_only_as_it_was_written() {
    let entry = entry(40, 9);
    let bytes = entry.write(&name(1)).unwrap();
    assert_eq!(Entry::read(&name(1), &bytes), Some(entry));
    assert_eq!(Entry::read(&name(2), &bytes), None, "under another name");
    for place in 0..bytes.len() {
        assert_eq!(Entry::read(&name(1), &bytes.slice(..place)), None, "cut off at {place}");
        for bit in 0..8 {
            let mut spoilt = bytes.to_vec();
            spoilt[place] ^= 1 << bit;
            assert_eq!(Entry::read(&name(1), &spoilt.into()), None, "bit {bit} of {place}");
        }
    }
}

#[test]
fn parts_of_a_name_do_not_run_into_each_other() {
    let two = |one: &[u8], two: &[u8]| Naming::default().with(one).with(two).finish();
    assert_ne!(two(b"ab", b"c"), two(b"a", b"bc"));
    assert_ne!(two(b"", b"a"), two(b"a", b""));
    assert_eq!(two(b"a", b"b"), two(b"a", b"b"));
}

#[test]
fn one_asks_at_a_time_and_the_next_may_when_it_is_done() {
    let cache = Cache::default();
    let first = cache.begin(name(1)).unwrap();
    assert!(cache.begin(name(1)).is_none());
    assert!(cache.begin(name(2)).is_some());
    assert!(cache.is_asked_for(&name(1)));
    drop(first);
    assert!(!cache.is_asked_for(&name(1)));
    assert!(cache.begin(name(1)).is_some());
}

#[test]
fn what_is_used_outlives_what_is_not() {
    let memory = Memory::default();
    let now = Timestamp::from_micros(0);
    let most = 10 * (100 + entry(0, 9).label.size());
    for nth in 0..50 {
        memory.put(name(nth), Arc::new(entry(100, 9)), most);
        assert!(memory.get(&name(0), now).is_some(), "{nth}");
    }
    assert!(memory.get(&name(1), now).is_none());
    assert!(memory.get(&name(49), now).is_some());
    assert!(memory.get(&name(49), Timestamp::from_micros(9)).is_none(), "its time is over");
}

proptest! {
    /// However answers come and go, there are never more bytes than allowed, and what is given is what was kept.
    #[test]
    fn memory_is_bounded(steps in prop::collection::vec((0_u8..20, 0_usize..4_000, any::<bool>()), 0..200)) {
        const MOST: usize = 3_000;
        let memory = Memory::default();
        let now = Timestamp::from_micros(0);
        let mut last = std::collections::HashMap::new();
        for (of, size, keeps) in steps {
            if keeps {
                memory.put(name(of), Arc::new(entry(size, 9)), MOST);
                last.insert(of, size);
            } else if size < 100 {
                memory.forget(&name(of));
                prop_assert!(memory.get(&name(of), now).is_none());
            } else if let Some(found) = memory.get(&name(of), now) {
                prop_assert_eq!(Some(&found.answer.len()), last.get(&of));
            }
            prop_assert!(memory.bytes() <= MOST);
        }
        for of in 0..20 {
            memory.forget(&name(of));
        }
        prop_assert_eq!(memory.bytes(), 0);
    }
}
