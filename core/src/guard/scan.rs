//! Looking for things in text that comes in pieces.

use std::sync::Arc;

use gatelet_detect as detect;

use super::Site;
use super::injection::InjectionMachine;
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
    /// Terms of a list.
    Words(Kind, Words),
    /// More characters than this: the rest is a finding.
    Length(Kind, usize),
    /// What the gateway knows: personal data and secrets.
    Board { kinds: detect::Kinds, least: u8 },
    /// Attempts to take a model's instructions away, of at least this score in percent.
    Injection(u8),
}

const PERSONAL: &str = "pii";

impl Detector {
    /// The score in percent from which on a text is an attempt, unless an admin says another.
    pub const INJECTION: u8 = detect::injection::THRESHOLD;

    /// What is found of a family of kinds: `pii` or `secrets`.
    pub fn board_kinds(family: &str) -> Vec<&'static str> {
        family_of(family).iter().filter(|kind| kind.is_found()).map(detect::Kind::name).collect()
    }

    /// The kind that a word means, in that family; none, too, where nothing finds it yet.
    pub fn board_kind(family: &str, word: &str) -> Option<&'static str> {
        let kind = detect::Kind::from_name(word)?;
        (family_of(family).has(kind) && kind.is_found()).then(|| kind.name())
    }

    /// Finds `wanted`, or all of the family where nothing is named, of at least this score in percent.
    pub fn board(family: &str, wanted: &[&str], least: u8) -> Self {
        let named: detect::Kinds = wanted.iter().filter_map(|name| detect::Kind::from_name(name)).collect();
        Self::Board { kinds: if named.is_empty() { family_of(family) } else { named }, least }
    }

    /// Whether it looks at what stands there. Whoever built the application may give orders, and a model gives none to itself.
    pub fn reads(&self, site: Site) -> bool {
        match self {
            Self::Injection(_) => site != Site::Instructions,
            Self::Patterns(_) | Self::Words(..) | Self::Length(..) | Self::Board { .. } => true,
        }
    }

    /// A scan of one text, that stands there.
    pub fn scan(&self, site: Site) -> Scan {
        let one = |kind: &Kind, by| (kind.clone(), by);
        let board = match self {
            Self::Board { kinds, least } => Some(Board::new(*kinds, *least)),
            Self::Patterns(_) | Self::Words(..) | Self::Length(..) | Self::Injection(_) => None,
        };
        Scan {
            growing: board,
            parts: match self {
                Self::Board { .. } => Vec::new(),
                Self::Patterns(patterns) => {
                    patterns.iter().map(|(kind, pattern)| one(kind, By::Pattern(pattern.machine()))).collect()
                }
                Self::Words(kind, words) => vec![one(kind, By::Words(words.machine()))],
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

/// The gateway's own detectors on a text that grows: of what has been settled only the end is kept, for the words before a
/// value.
#[derive(Debug)]
struct Board {
    kinds: detect::Kinds,
    least: u8,
    text: String,
    /// Where that begins.
    base: usize,
    settled: usize,
}

impl Board {
    fn new(kinds: detect::Kinds, least: u8) -> Self {
        Self { kinds, least, text: String::new(), base: 0, settled: 0 }
    }

    fn push(&mut self, text: &str, out: &mut Vec<Finding>) {
        self.text.push_str(text);
        let open = self.base + detect::open(&self.text, self.kinds);
        self.settle(open, out);
    }

    fn settle(&mut self, upto: usize, out: &mut Vec<Finding>) {
        if upto <= self.settled {
            return;
        }
        for found in detect::scan(&self.text, self.kinds) {
            let span = Span { start: self.base + found.start, end: self.base + found.end };
            if (self.settled..upto).contains(&span.start) && found.score >= self.least {
                out.push(Finding { kind: found.kind.name().into(), span });
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

    fn finish(&mut self, out: &mut Vec<Finding>) {
        let end = self.base + self.text.len();
        // What begins at the very end has nothing in it.
        self.settle(end, out);
    }
}

fn family_of(family: &str) -> detect::Kinds {
    if family == PERSONAL { detect::Kinds::PERSONAL } else { detect::Kinds::SECRETS }
}

#[derive(Debug)]
enum By {
    Pattern(Machine),
    Words(WordMachine),
    Injection(InjectionMachine),
    Length { most: usize, letters: usize, at: usize, passed: Option<usize> },
}

impl Scan {
    pub fn push(&mut self, text: &str, out: &mut Vec<Finding>) {
        self.each(out, |by, spans| by.push(text, spans));
        if let Some(board) = &mut self.growing {
            board.push(text, out);
        }
    }

    pub fn finish(&mut self, out: &mut Vec<Finding>) {
        self.each(out, Scanner::finish);
        if let Some(board) = &mut self.growing {
            board.finish(out);
        }
    }

    /// Nothing that it will yet give begins before this place.
    pub fn settled(&self) -> usize {
        let growing = match &self.growing {
            Some(board) => board.settled,
            None => usize::MAX,
        };
        self.parts.iter().map(|(_, by)| by.settled()).fold(growing, usize::min)
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
            Self::Injection(machine) => machine.push(text, out),
            Self::Length { most, letters, at, passed } => {
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
            Self::Injection(machine) => machine.settled(),
            Self::Length { at, passed, .. } => passed.unwrap_or(*at),
        }
    }
}
