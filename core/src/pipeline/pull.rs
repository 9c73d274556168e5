//! What draws a request to one of several targets: its session, or the beginning of its prompt, which that target's cache
//! may hold.

use gatelet_wire::Operation;

use super::receive::Received;
use crate::domain::Caller;
use crate::policy::{Affinity, Model};

/// Two requests with the same number belong to the same target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pull {
    pub(super) number: u64,
    /// As records name it.
    pub(super) by: &'static str,
}

/// No provider keeps less of a prompt than a thousand tokens, so prompts that are alike in so many bytes are taken to share
/// what is kept, and shorter ones share nothing.
const PREFIX: usize = 4_096;
/// Where prompts stand in the bodies of all dialects, in the order in which providers read them.
const PROMPT: [&str; 8] =
    ["tools", "toolConfig", "system", "systemInstruction", "instructions", "messages", "contents", "input"];

impl Pull {
    pub(super) fn of(received: &Received<'_>, caller: &Caller, model: &Model) -> Option<Self> {
        model.extras.affinity.iter().find_map(|affinity| {
            let number = match affinity {
                Affinity::Session => session(received, caller),
                Affinity::Prefix => prefix(received),
            }?;
            Some(Self { number, by: affinity.name() })
        })
    }
}

/// A session is its key's: others may call theirs the same.
fn session(received: &Received<'_>, caller: &Caller) -> Option<u64> {
    let session = received.arrived.knobs.session.as_deref()?;
    Some(mixed(mixed(0, caller.key.id.as_bytes()), session.as_bytes()))
}

/// None: the prompt is too short to be kept anywhere.
fn prefix(received: &Received<'_>) -> Option<u64> {
    if received.arrived.operation != Operation::Chat {
        return None;
    }
    let (mut number, mut left) = (0, PREFIX);
    for name in PROMPT {
        let Some(said) = received.fields.present(name) else { continue };
        let said = said.get().as_bytes();
        let begins = said.get(..left).unwrap_or(said);
        number = mixed(mixed(number, name.as_bytes()), begins);
        left -= begins.len();
        if left == 0 {
            return Some(number);
        }
    }
    None
}

/// A number for a text, eight bytes at a time: for choosing among friends, not against enemies.
pub(super) fn mixed(mut number: u64, text: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut turn = |word: u64| {
        number = (number.rotate_left(23) ^ word).wrapping_mul(ODD);
        number ^= number >> 29;
    };
    let (words, rest) = text.as_chunks::<8>();
    for word in words {
        turn(u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    turn(u64::from_le_bytes(last));
    // So that no text is the beginning of another.
    turn(text.len() as u64);
    number
}
