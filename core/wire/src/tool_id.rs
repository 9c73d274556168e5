//! Ids of calls of tools, as some models take them.

/// The longest id.
const MOST: usize = 64;

/// An id of letters, digits, `_`, `.`, `:` and `-`, no longer than they may be: itself if it is one, else its letters
/// and a hash of the whole.
pub(crate) fn conforming(id: &str) -> String {
    let fits = |character: char| character.is_ascii_alphanumeric() || "_.:-".contains(character);
    if !id.is_empty() && id.len() <= MOST && id.chars().all(fits) {
        return id.to_owned();
    }
    let plain = id.chars().take(MOST - 12).map(|character| if fits(character) { character } else { '_' });
    format!("{}_{}", plain.collect::<String>(), nine_of(id))
}

/// The one form that Mistral's models take: nine letters and digits.
pub(crate) fn nine(id: &str) -> String {
    if id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return id.to_owned();
    }
    nine_of(id)
}

/// Nine letters and digits out of a hash (FNV-1a: stable over versions, and collisions are no matter of attack).
fn nine_of(id: &str) -> String {
    const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut letter = || {
        let place = usize::try_from(hash % 36).unwrap_or_default();
        hash /= 36;
        LETTERS.get(place).copied().map_or('0', char::from)
    };
    std::iter::repeat_with(&mut letter).take(9).collect()
}
