//! Looking for things in text that comes in pieces.

use std::sync::Arc;

use gatelet_detect as detect;

use super::Site;
use super::block::{BlockMachine, Whole};
use super::content;
use super::injection::InjectionMachine;
use super::links::{Hosts, LinkMachine};
use super::pattern::{Machine, Pattern};
use super::words::{WordMachine, Words};

/// A place in a text, in bytes from its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// Looks for one thing in one text. What it finds must not depend on where the text is cut.
pub(super) trait Scanner: Send {
    /// Takes more of the text, and gives what is certain now.
    fn push(&mut self, text: &str, out: &mut Vec<Span>);
    /// The text is over.
    fn finish(&mut self, out: &mut Vec<Span>);
    /// Nothing that it will yet give begins before this place.
    fn settled(&self) -> usize;
}

/// What a thing that was found is called: `email`, `card`, or a name that an admin gave.
pub type Kind = Arc<str>;

/// Something that a detector found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub kind: Kind,
    pub span: Span,
}

/// What is looked for in texts, on board.
#[derive(Clone, Debug)]
pub enum Detector {
    /// Regular expressions, each with the kind of what it finds.
    Patterns(Vec<(Kind, Pattern)>),
    /// Terms of lists, each with the kind of what it finds.
    Words(Vec<(Kind, Words)>),
    /// What a text is as a whole.
    Whole(Kind, Arc<Whole>),
    /// Addresses of hosts that are not allowed.
    Links(Kind, Arc<Hosts>),
    /// More characters than this: the rest is a finding.
    Length(Kind, usize),
    /// What the gateway knows: personal data and secrets.
    Board { kinds: detect::Kinds, least: u8 },
    /// Attempts to take a model's instructions away, of at least this score in percent.
    Injection(u8),
}

const PERSONAL: &str = "pii";
const CONTENT: &str = "content";

impl Detector {
    /// The score in percent from which on a text is an attempt, unless an admin says another.
    pub const INJECTION: u8 = detect::injection::THRESHOLD;

    /// What is found of a family of kinds: `pii`, `secrets` or `content`.
    pub fn board_kinds(family: &str) -> Vec<&'static str> {
        family_of(family).iter().map(detect::Kind::name).collect()
    }

    /// The kind that a word means, in that family.
    pub fn board_kind(family: &str, word: &str) -> Option<&'static str> {
        let kind = detect::Kind::from_name(word)?;
        family_of(family).has(kind).then(|| kind.name())
    }

    /// Finds `wanted`, or all of the family where nothing is named, of at least this score in percent.
    pub fn board(family: &str, wanted: &[&str], least: u8) -> Self {
        let named: detect::Kinds = wanted.iter().filter_map(|name| detect::Kind::from_name(name)).collect();
        Self::Board { kinds: if named.is_empty() { family_of(family) } else { named }, least }
    }

    /// Finds content of these categories, or of all where nothing is named, of at least this severity.
    pub fn content(wanted: &[&str], least: detect::Severity) -> Self {
        let all = Self::board_kinds(CONTENT);
        Self::Words(content::lists(if wanted.is_empty() { &all } else { wanted }, least))
    }

    /// Whether it looks at what stands there. Whoever built the application may give orders, and a model gives none to itself.
    pub fn reads(&self, site: Site) -> bool {
        match self {
            Self::Injection(_) => site != Site::Instructions,
            Self::Patterns(_)
            | Self::Words(_)
            | Self::Whole(..)
            | Self::Links(..)
            | Self::Length(..)
            | Self::Board { .. } => true,
        }
    }

    /// A scan of one text, that stands there.
    pub fn scan(&self, site: Site) -> Scan {
        let one = |kind: &Kind, by| (kind.clone(), by);
        let board = match self {
            Self::Board { kinds, least } => {
                Some(Board::new(Looks { guard: 0, kinds: *kinds, least: *least }))
            }
            Self::Patterns(_)
            | Self::Words(_)
            | Self::Whole(..)
            | Self::Links(..)
            | Self::Length(..)
            | Self::Injection(_) => None,
        };
        Scan {
            growing: board,
            parts: match self {
                Self::Board { .. } => Vec::new(),
                Self::Patterns(patterns) => {
                    patterns.iter().map(|(kind, pattern)| one(kind, By::Pattern(pattern.machine()))).collect()
                }
                Self::Words(lists) => {
                    lists.iter().map(|(kind, words)| one(kind, By::Words(words.machine()))).collect()
                }
                Self::Whole(kind, whole) => vec![one(kind, By::Block(BlockMachine::new(whole.clone())))],
                Self::Links(kind, hosts) => vec![one(kind, By::Links(LinkMachine::new(hosts.clone())))],
                Self::Injection(least) => {
                    let source = match site {
                        Site::Document | Site::ToolResults => detect::injection::Source::Outside,
                        Site::Input | Site::Instructions | Site::Output | Site::ToolArguments => {
                            detect::injection::Source::User
                        }
                    };
                    let kind = detect::Kind::Injection.name().into();
                    vec![(kind, By::Injection(InjectionMachine::new(source, *least)))]
                }
                Self::Length(kind, most) => {
                    vec![one(kind, By::Length { most: *most, letters: 0, at: 0, passed: None })]
                }
            },
        }
    }

    /// Everything in a text that is there whole.
    pub fn find(&self, text: &str, site: Site) -> Vec<Finding> {
        let mut scan = self.scan(site);
        let mut found = Vec::new();
        scan.push(text, &mut found);
        scan.finish(&mut found);
        found
    }
}

/// A detector at work on one text.
#[derive(Debug)]
pub struct Scan {
    parts: Vec<(Kind, By)>,
    growing: Option<Board>,
}

/// What a guard wants of the gateway's own detectors.
#[derive(Clone, Copy, Debug)]
struct Looks {
    guard: usize,
    kinds: detect::Kinds,
    least: u8,
}

/// The gateway's own detectors on a text that grows: of what has been settled only the end is kept, for the words before a
/// value. Several guards share one, and the text is walked once for all of them.
#[derive(Debug)]
pub(super) struct Board {
    looks: Vec<Looks>,
    kinds: detect::Kinds,
    text: String,
    /// Where that begins.
    base: usize,
    settled: usize,
}

impl Board {
    fn new(looks: Looks) -> Self {
        Self { kinds: looks.kinds, looks: vec![looks], text: String::new(), base: 0, settled: 0 }
    }

    /// Takes another guard's in, before anything was read; gives it back where both look for things of one family, which must not
    /// hide each other's.
    pub(super) fn join(&mut self, other: Self) -> Option<Self> {
        let families = [detect::Kinds::PERSONAL, detect::Kinds::SECRETS, detect::Kinds::CONTENT];
        if families.iter().any(|family| family.meets(self.kinds) && family.meets(other.kinds)) {
            return Some(other);
        }
        self.kinds = self.kinds.union(other.kinds);
        self.looks.extend(other.looks);
        None
    }

    pub(super) fn push(&mut self, text: &str, out: &mut Vec<(usize, Finding)>) {
        self.text.push_str(text);
        let open = self.base + detect::open(&self.text, self.kinds);
        self.settle(open, out);
    }

    fn settle(&mut self, upto: usize, out: &mut Vec<(usize, Finding)>) {
        if upto <= self.settled {
            return;
        }
        let sets: Vec<detect::Kinds> = self.looks.iter().map(|looks| looks.kinds).collect();
        for (looks, found) in self.looks.iter().zip(detect::scan_each(&self.text, &sets)) {
            for found in found {
                let span = Span { start: self.base + found.start, end: self.base + found.end };
                if (self.settled..upto).contains(&span.start) && found.score >= looks.least {
                    out.push((looks.guard, Finding { kind: found.kind.name().into(), span }));
                }
            }
        }
        self.settled = upto;
        let mut kept = (upto - self.base).saturating_sub(detect::CONTEXT).min(self.text.len());
        while !self.text.is_char_boundary(kept) {
            kept -= 1;
        }
        self.text.drain(..kept);
        self.base += kept;
    }

    pub(super) fn finish(&mut self, out: &mut Vec<(usize, Finding)>) {
        let end = self.base + self.text.len();
        // What begins at the very end has nothing in it.
        self.settle(end, out);
    }

    /// Nothing that it will yet give begins before this place.
    pub(super) fn settled(&self) -> usize {
        self.settled
    }
}

fn family_of(family: &str) -> detect::Kinds {
    match family {
        PERSONAL => detect::Kinds::PERSONAL,
        CONTENT => detect::Kinds::CONTENT,
        _ => detect::Kinds::SECRETS,
    }
}

#[derive(Debug)]
enum By {
    Pattern(Machine),
    Words(WordMachine),
    Block(BlockMachine),
    Links(LinkMachine),
    Injection(InjectionMachine),
    Length { most: usize, letters: usize, at: usize, passed: Option<usize> },
}

impl Scan {
    pub fn push(&mut self, text: &str, out: &mut Vec<Finding>) {
        self.each(out, |by, spans| by.push(text, spans));
        self.board(out, |board, found| board.push(text, found));
    }

    pub fn finish(&mut self, out: &mut Vec<Finding>) {
        self.each(out, Scanner::finish);
        self.board(out, Board::finish);
    }

    /// Nothing that it will yet give begins before this place.
    pub fn settled(&self) -> usize {
        let growing = match &self.growing {
            Some(board) => board.settled(),
            None => usize::MAX,
        };
        self.parts.iter().map(|(_, by)| by.settled()).fold(growing, usize::min)
    }

    /// Its own detectors alone, for this guard, where it has nothing else: then they may be shared.
    pub(super) fn into_board(mut self, guard: usize) -> Result<Board, Self> {
        match self.growing.take_if(|_| self.parts.is_empty()) {
            Some(mut board) => {
                board.looks.iter_mut().for_each(|looks| looks.guard = guard);
                Ok(board)
            }
            None => Err(self),
        }
    }

    fn board(&mut self, out: &mut Vec<Finding>, work: impl Fn(&mut Board, &mut Vec<(usize, Finding)>)) {
        if let Some(board) = &mut self.growing {
            let mut found = Vec::new();
            work(board, &mut found);
            out.extend(found.into_iter().map(|(_, finding)| finding));
        }
    }

    fn each(&mut self, out: &mut Vec<Finding>, work: impl Fn(&mut By, &mut Vec<Span>)) {
        let mut spans = Vec::new();
        for (kind, by) in &mut self.parts {
            work(by, &mut spans);
            out.extend(spans.drain(..).map(|span| Finding { kind: kind.clone(), span }));
        }
    }
}

impl Scanner for By {
    fn push(&mut self, text: &str, out: &mut Vec<Span>) {
        match self {
            Self::Pattern(machine) => machine.push(text, out),
            Self::Words(machine) => machine.push(text, out),
            Self::Block(machine) => machine.push(text, out),
            Self::Links(machine) => machine.push(text, out),
            Self::Injection(machine) => machine.push(text, out),
            Self::Length { most, letters, at, passed } => {
                let all = text.chars().count();
                if *letters + all <= *most {
                    *letters += all;
                    *at += text.len();
                    return;
                }
                for letter in text.chars() {
                    if letters == most {
                        passed.get_or_insert(*at);
                    }
                    *letters += 1;
                    *at += letter.len_utf8();
                }
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<Span>) {
        match self {
            Self::Pattern(machine) => machine.finish(out),
            Self::Words(machine) => machine.finish(out),
            Self::Block(machine) => machine.finish(out),
            Self::Links(machine) => machine.finish(out),
            Self::Injection(machine) => machine.finish(out),
            Self::Length { at, passed, .. } => {
                out.extend(passed.map(|start| Span { start, end: *at }));
            }
        }
    }

    fn settled(&self) -> usize {
        match self {
            Self::Pattern(machine) => machine.settled(),
            Self::Words(machine) => machine.settled(),
            Self::Block(machine) => machine.settled(),
            Self::Links(machine) => machine.settled(),
            Self::Injection(machine) => machine.settled(),
            Self::Length { at, passed, .. } => passed.unwrap_or(*at),
        }
    }
}
