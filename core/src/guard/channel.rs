//! One text on its way past the guards.

use gatelet_wire::sort::sort_by;

use super::Action;
use super::case::Case;
use super::note::Direction;
use super::scan::{Board, Finding, Scan};

/// A text that comes in pieces and leaves in pieces: what is safe leaves at once, and what may yet become part of
/// something waits.
#[derive(Debug)]
pub(super) struct Channel {
    readers: Vec<Reader>,
    /// What guards share, and whether the text waits for what it says.
    boards: Vec<(bool, Board)>,
    /// What has not left.
    pending: String,
    /// Where it begins.
    base: usize,
    found: Vec<(usize, Finding)>,
    /// Something was replaced.
    pub(super) changed: bool,
}

#[derive(Debug)]
struct Reader {
    guard: usize,
    /// The text waits for what it says.
    holds: bool,
    scan: Scan,
}

/// Adds to what is shared. Who only watches must not let others' text wait, and the other way round.
fn share(boards: &mut Vec<(bool, Board)>, holds: bool, board: Board) {
    let mut left = Some(board);
    for (_, known) in boards.iter_mut().filter(|(other, _)| *other == holds) {
        left = left.and_then(|board| known.join(board));
    }
    boards.extend(left.map(|board| (holds, board)));
}

impl Channel {
    pub(super) fn new(readers: Vec<(usize, bool, Scan)>) -> Self {
        let mut own = Vec::new();
        let mut boards: Vec<(bool, Board)> = Vec::new();
        for (guard, holds, scan) in readers {
            match scan.into_board(guard) {
                Ok(board) => share(&mut boards, holds, board),
                Err(scan) => own.push(Reader { guard, holds, scan }),
            }
        }
        Self { readers: own, boards, pending: String::new(), base: 0, found: Vec::new(), changed: false }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.readers.is_empty() && self.boards.is_empty()
    }

    /// Bytes that wait.
    pub(super) fn held(&self) -> usize {
        self.pending.len()
    }

    pub(super) fn push(&mut self, text: &str, case: &mut Case, out: &mut String) {
        if self.is_idle() {
            out.push_str(text);
            return;
        }
        self.pending.push_str(text);
        self.read(|scan, found| scan.push(text, found));
        self.boards.iter_mut().for_each(|(_, board)| board.push(text, &mut self.found));
        let holding = self.readers.iter().filter(|reader| reader.holds).map(|reader| reader.scan.settled());
        let boards = self.boards.iter().filter(|(holds, _)| *holds).map(|(_, board)| board.settled());
        let settled = holding.chain(boards).min();
        self.pass(settled.unwrap_or(usize::MAX), case, out);
    }

    pub(super) fn finish(&mut self, case: &mut Case, out: &mut String) {
        self.read(Scan::finish);
        self.boards.iter_mut().for_each(|(_, board)| board.finish(&mut self.found));
        self.pass(usize::MAX, case, out);
    }

    fn read(&mut self, work: impl Fn(&mut Scan, &mut Vec<Finding>)) {
        let mut found = Vec::new();
        for reader in &mut self.readers {
            work(&mut reader.scan, &mut found);
            self.found.extend(found.drain(..).map(|finding| (reader.guard, finding)));
        }
    }

    /// Lets go what stands before `settled`, all of whose findings are known.
    fn pass(&mut self, settled: usize, case: &mut Case, out: &mut String) {
        if !self.found.is_empty() {
            self.act(settled, case, out);
        }
        if case.blocked.is_none() {
            self.leave(settled, out);
        }
    }

    fn act(&mut self, settled: usize, case: &mut Case, out: &mut String) {
        // By where they begin, so that it makes no difference when each was found.
        sort_by(&mut self.found, |(nth, one), (other_nth, other)| {
            let key =
                |nth: usize, finding: &Finding| (finding.span.start, nth, usize::MAX - finding.span.end);
            key(*nth, one).cmp(&key(*other_nth, other))
        });
        let ready = self.found.partition_point(|(_, finding)| finding.span.start < settled);
        let ready: Vec<(usize, Finding)> = self.found.drain(..ready).collect();
        for (nth, finding) in ready {
            if case.blocked.is_some() {
                return;
            }
            match case.found_in(nth, &finding) {
                Action::Block => self.leave(finding.span.start, out),
                Action::Mask => self.mask(nth, &finding, case, out),
                Action::Flag | Action::Shadow => {}
            }
        }
    }

    /// Replaces a finding, or what of it was not replaced yet.
    fn mask(&mut self, nth: usize, finding: &Finding, case: &mut Case, out: &mut String) {
        let Some(guard) = case.guards.get(nth).cloned() else { return };
        if finding.span.end <= self.base {
            return;
        }
        self.leave(finding.span.start, out);
        let length = (finding.span.end - self.base).min(self.pending.len());
        let Some(value) = self.pending.get(..length) else { return };
        let restores = case.direction == Direction::In;
        out.push_str(&case.vault.hide(&finding.kind, value, &guard.masking, restores));
        self.drop_pending(length);
        self.changed = true;
    }

    fn leave(&mut self, upto: usize, out: &mut String) {
        let length = upto.saturating_sub(self.base).min(self.pending.len());
        out.push_str(self.pending.get(..length).unwrap_or_default());
        self.drop_pending(length);
    }

    fn drop_pending(&mut self, length: usize) {
        if length == self.pending.len() {
            self.pending.clear();
        } else {
            self.pending.drain(..length);
        }
        self.base += length;
    }
}
