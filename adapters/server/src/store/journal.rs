//! What happened since SQLite was last brought up to date.
//!
//! A transaction of SQLite writes whole pages, four of them for one request: tens of microseconds. A line in a file that
//! only grows costs two. So what has to be durable before it is answered is written here, in one `write` for all
//! who wait; once a second [`super::Embedded::sync`] moves it into SQLite and forgets the file.
//!
//! Frames say how things are, not what changed, so reading one twice does no harm. A frame is its length and its CRC-32
//! (little-endian, 4 bytes each) before its content; the first that is not whole ends a file: the process was killed
//! while it wrote it, so nobody was told that it was kept.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use gatelet_core::domain::compact;
use serde::{Deserialize, Serialize, Serializer};

/// The file that grows.
pub(super) struct Journal {
    folder: PathBuf,
    file: File,
    number: u64,
    /// Bytes in it.
    length: u64,
    /// A frame may be there in part: nothing may follow it.
    torn: bool,
    /// Kept from frame to frame for its room.
    buffer: Vec<u8>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Frame<'a> {
    #[serde(borrow)]
    pub(super) accounts: Vec<AccountState<'a>>,
    #[serde(borrow)]
    pub(super) entries: Vec<EntryLine<'a>>,
    /// Shards and ids of entries that are archived.
    #[serde(borrow)]
    pub(super) cleared: Vec<(&'a str, &'a str)>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct AccountState<'a> {
    pub(super) shard: &'a str,
    pub(super) id: &'a str,
    /// Written at once, and not as a list of numbers; both read the same.
    #[serde(borrow, serialize_with = "at_once")]
    pub(super) state: std::borrow::Cow<'a, [u8]>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct EntryLine<'a> {
    pub(super) shard: &'a str,
    pub(super) id: &'a str,
    pub(super) line: &'a str,
}

fn at_once<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(bytes)
}

const HEAD: usize = 8;

impl Journal {
    /// Begins file `number`.
    pub(super) fn begin(folder: &Path, number: u64) -> io::Result<Self> {
        let file = File::options().create_new(true).append(true).open(path(folder, number))?;
        Ok(Self { folder: folder.to_owned(), file, number, length: 0, torn: false, buffer: Vec::new() })
    }

    /// When this answers, the frame has reached the operating system.
    pub(super) fn append(&mut self, frame: &Frame<'_>) -> io::Result<()> {
        if self.torn {
            self.next()?;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer.extend_from_slice(&[0; HEAD]);
        let mut buffer = compact(frame, buffer).map_err(io::Error::other)?;
        let (head, content) = buffer.split_at_mut(HEAD);
        let length = u32::try_from(content.len()).map_err(io::Error::other)?;
        head[..4].copy_from_slice(&length.to_le_bytes());
        head[4..].copy_from_slice(&crc32fast::hash(content).to_le_bytes());
        let written = self.file.write_all(&buffer);
        match &written {
            Ok(()) => self.length += u64::try_from(buffer.len()).unwrap_or(0),
            Err(_) => self.torn = true,
        }
        self.buffer = buffer;
        // A large frame is rare; its room is not kept for the next.
        self.buffer.shrink_to(64 << 10);
        written
    }

    pub(super) fn is_empty(&self) -> bool {
        self.length == 0 && !self.torn
    }

    /// Begins the next file, and answers its number: all before it can be forgotten once SQLite has what they say.
    pub(super) fn next(&mut self) -> io::Result<u64> {
        let mut next = Self::begin(&self.folder, self.number + 1)?;
        next.buffer = std::mem::take(&mut self.buffer);
        *self = next;
        Ok(self.number)
    }
}

/// Reads all files in their order, each up to its end or to the first frame that is not whole. Answers the first number
/// that is free.
pub(super) fn replay<E: From<io::Error>>(
    folder: &Path,
    mut take: impl FnMut(Frame<'_>) -> Result<(), E>,
) -> Result<u64, E> {
    let numbers = numbers(folder)?;
    for number in &numbers {
        let bytes = fs::read(path(folder, *number))?;
        let mut rest = bytes.as_slice();
        while let Some((content, after)) = first(rest) {
            let Ok(frame) = postcard::from_bytes(content) else { break };
            take(frame)?;
            rest = after;
        }
    }
    Ok(numbers.last().map_or(1, |last| last + 1))
}

/// The content of the first frame, and what follows it.
fn first(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let (length, sum) = head.split_at_checked(4)?;
    let length = usize::try_from(u32::from_le_bytes(length.try_into().ok()?)).ok()?;
    let (content, after) = rest.split_at_checked(length)?;
    (crc32fast::hash(content).to_le_bytes() == sum).then_some((content, after))
}

/// Removes the files before `number`.
pub(super) fn forget(folder: &Path, before: u64) -> io::Result<()> {
    for number in numbers(folder)?.into_iter().filter(|number| *number < before) {
        fs::remove_file(path(folder, number))?;
    }
    Ok(())
}

fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_prefix("journal-"));
        numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("journal-{number:012}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(journal: &mut Journal, id: &str) {
        let line = EntryLine { shard: "main", id, line: "{}" };
        journal.append(&Frame { entries: vec![line], ..Frame::default() }).unwrap();
    }

    fn ids(folder: &Path) -> Vec<String> {
        let mut ids = Vec::new();
        replay::<io::Error>(folder, |frame| {
            ids.extend(frame.entries.iter().map(|entry| entry.id.to_owned()));
            Ok(())
        })
        .unwrap();
        ids
    }

    #[test]
    fn a_file_that_is_cut_anywhere_keeps_its_whole_frames() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::begin(folder.path(), 1).unwrap();
        append(&mut journal, "one");
        let first = journal.length;
        append(&mut journal, "two");
        let whole = fs::read(path(folder.path(), 1)).unwrap();
        for length in 0..whole.len() {
            fs::write(path(folder.path(), 1), &whole[..length]).unwrap();
            let expected: &[&str] = if (length as u64) < first { &[] } else { &["one"] };
            assert_eq!(ids(folder.path()), expected, "{length} bytes");
        }
    }

    #[test]
    fn a_byte_that_changed_ends_a_file_and_not_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::begin(folder.path(), 1).unwrap();
        append(&mut journal, "one");
        append(&mut journal, "two");
        journal.next().unwrap();
        append(&mut journal, "three");
        let mut bytes = fs::read(path(folder.path(), 1)).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(path(folder.path(), 1), bytes).unwrap();
        assert_eq!(ids(folder.path()), ["one", "three"]);
        forget(folder.path(), 2).unwrap();
        assert_eq!(ids(folder.path()), ["three"]);
    }
}
