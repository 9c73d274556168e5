//! Names of tools, for dialects that take letters, digits, `_` and `-`.

use crate::Restore;
use crate::chat::ToolKind;

/// The longest name of a tool.
const MOST_NAME: usize = 64;

/// A tool's name as these dialects take it, noted for its way back where it differs or where its arguments are wrapped
/// under `key`. The same name always becomes the same, so that calls of the history and choices still mean their tool.
pub(super) fn sent_name(
    name: &str,
    kind: ToolKind,
    key: Option<&'static str>,
    restore: &mut Restore,
) -> String {
    let fits = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == '-';
    if !name.is_empty() && name.len() <= MOST_NAME && name.chars().all(fits) {
        if key.is_some() {
            restore.tool(name, name, kind, key);
        }
        return name.to_owned();
    }
    let plain =
        name.chars().take(MOST_NAME - 9).map(|character| if fits(character) { character } else { '_' });
    // FNV-1a: stable over versions, and collisions among a few names are no matter of attack.
    let hash =
        name.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let sent = format!("{}_{hash:08x}", plain.collect::<String>());
    restore.tool(&sent, name, kind, key);
    sent
}
