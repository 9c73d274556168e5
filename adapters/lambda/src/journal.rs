//! One step of a shard's log: a transaction with its moment, and the bytes that stand for it.
//!
//! The table charges by the kilobyte of an item, so a step is packed: its JSON, deflated behind a text that has the words which all
//! steps have in common. A reservation in five accounts is about 130 bytes, a settlement with its record about 230.

use std::io::Read as _;
use std::sync::LazyLock;

use flate2::{Compress, Compression, FlushCompress, Status};
use gatelet_core::domain::account::{Account, Op, transact};
use gatelet_core::domain::{AccountId, Notice, Timestamp};
use gatelet_core::port::{Entry, Fault, FaultKind};
use serde::{Deserialize, Serialize};

/// What a step begins with: the text before it is this one. Another text is another letter.
const FORMAT: u8 = b'1';
/// Written once and for all: what was packed behind it is unpacked behind it.
const WORDS: &[u8] = include_bytes!("journal/words.txt");

/// A transaction, as everyone who reads the log decides it anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) at: Timestamp,
    /// Each once.
    pub(crate) accounts: Vec<AccountId>,
    pub(crate) op: Op,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) entries: Vec<Entry>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) notices: Vec<Notice>,
}

impl Step {
    pub(crate) fn pack(&self) -> Result<Vec<u8>, Fault> {
        let json = serde_json::to_vec(self).map_err(|error| corrupt("a transaction").with_source(error))?;
        let mut packer = Compress::new(Compression::best(), false);
        // What the words themselves become is not kept: it ends at a whole byte, and what follows refers to it.
        run(&mut packer, WORDS, FlushCompress::Sync, Vec::new())?;
        run(&mut packer, &json, FlushCompress::Finish, vec![FORMAT])
    }

    pub(crate) fn unpack(bytes: &[u8]) -> Result<Self, Fault> {
        static BEFORE: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let mut packer = Compress::new(Compression::fast(), false);
            run(&mut packer, WORDS, FlushCompress::Sync, Vec::new()).unwrap_or_default()
        });
        let Some((&FORMAT, packed)) = bytes.split_first() else {
            return Err(corrupt("a step of another format"));
        };
        let mut text = Vec::with_capacity(WORDS.len() + 4 * packed.len());
        flate2::read::DeflateDecoder::new(BEFORE.as_slice().chain(packed))
            .read_to_end(&mut text)
            .map_err(|error| corrupt("a step").with_source(error))?;
        let json = text.get(WORDS.len()..).unwrap_or_default();
        serde_json::from_slice(json).map_err(|error| corrupt("a step").with_source(error))
    }

    /// What the transaction would be answered where no account exists.
    pub(crate) fn on_nothing(&self) -> gatelet_core::domain::account::Grant {
        let mut none: Vec<_> =
            self.accounts.iter().map(|account| (account.clone(), Account::default())).collect();
        transact(&mut none, &self.op, self.at)
    }
}

/// Feeds all of `input` to the packer, and gathers what comes out behind `output`.
fn run(
    packer: &mut Compress,
    input: &[u8],
    flush: FlushCompress,
    mut output: Vec<u8>,
) -> Result<Vec<u8>, Fault> {
    let before = packer.total_in();
    loop {
        output.reserve(input.len() / 2 + 128);
        let taken = usize::try_from(packer.total_in() - before).unwrap_or(usize::MAX);
        let status = packer
            .compress_vec(input.get(taken..).unwrap_or_default(), &mut output, flush)
            .map_err(|error| corrupt("a step").with_source(error))?;
        let all = packer.total_in() - before == input.len() as u64;
        let done = status == Status::StreamEnd
            || (flush == FlushCompress::Sync && all && output.len() < output.capacity());
        if done {
            return Ok(output);
        }
    }
}

fn corrupt(what: &str) -> Fault {
    Fault::new(FaultKind::Corrupt, "ledger.journal", what)
}

#[cfg(test)]
mod tests;
