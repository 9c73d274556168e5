//! Chance for ids, fetched a page at a time.

use std::cell::RefCell;

use gatelet_core::port::Chance;
use gatelet_tokio::SystemChance;

/// The operating system's generator, asked once for many ids: a call of it is as dear as making one. Secrets are longer
/// than ids and asked for each by itself, so that none ever waits in memory.
///
/// Only for a process that is never copied while it runs (forked, or restored twice from one snapshot): both would
/// mint the same ids.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BufferedChance;

/// The longest that comes out of the buffer: an id's.
const ID: usize = 16;
const BUFFER: usize = 64 * ID;

thread_local! {
    static WAITING: RefCell<Waiting> = const { RefCell::new(Waiting { bytes: [0; BUFFER], used: BUFFER }) };
}

struct Waiting {
    bytes: [u8; BUFFER],
    used: usize,
}

impl Chance for BufferedChance {
    fn fill(&self, bytes: &mut [u8]) {
        if bytes.len() > ID {
            return SystemChance.fill(bytes);
        }
        WAITING.with_borrow_mut(|waiting| waiting.fill(bytes));
    }
}

impl Waiting {
    fn fill(&mut self, bytes: &mut [u8]) {
        if BUFFER - self.used < bytes.len() {
            SystemChance.fill(&mut self.bytes);
            self.used = 0;
        }
        if let Some(next) = self.bytes.get_mut(self.used..self.used + bytes.len()) {
            bytes.copy_from_slice(next);
            next.fill(0);
        }
        self.used += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_are_alike_within_a_buffer_across_buffers_and_across_threads() {
        let draw = || {
            (0..500).map(|_| {
                let mut bytes = [0; ID];
                BufferedChance.fill(&mut bytes);
                bytes
            })
        };
        let mut seen: HashSet<_> = draw().collect();
        seen.extend(std::thread::spawn(move || draw().collect::<Vec<_>>()).join().unwrap());
        assert_eq!(seen.len(), 1_000);
        assert!(!seen.contains(&[0; ID]));
    }

    #[test]
    fn lengths_that_do_not_divide_the_buffer_and_longer_ones_are_filled() {
        for length in [1, 7, 13, 16, 17, 44, 2_000] {
            for _ in 0..200 {
                let mut bytes = vec![0; length];
                BufferedChance.fill(&mut bytes);
                // Eight zero bytes in a row come once in 10^19.
                assert!(length < 8 || bytes.windows(8).all(|eight| eight != [0; 8]), "{length}");
            }
        }
    }
}
