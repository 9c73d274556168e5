//! Lists of terms: all of them are looked for at once, in time that does not grow with the list.

use std::collections::VecDeque;
use std::sync::Arc;

use gatelet_wire::SmallMap;

use super::pattern::{is_word, small};
use super::scan::{Scanner, Span};

/// A list of terms, as a tree of their letters with a way back from each place (Aho and Corasick).
#[derive(Clone, Debug)]
pub struct Words(Arc<Tree>);

#[derive(Debug)]
struct Tree {
    nodes: Vec<Node>,
    /// All ways between nodes, those of one node together, in the order of their letters.
    ways: Vec<(char, u32)>,
    /// From the root, for ASCII.
    root: Vec<u32>,
    /// Whether a term may begin with a byte; those above 127 stand for all other letters.
    first: Box<[bool; 256]>,
    folds: bool,
    /// Terms are found only where they stand by themselves.
    whole: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    first: u32,
    count: u32,
    back: u32,
    /// Letters of the node's text.
    depth: u32,
    /// A term ends here, of so many letters.
    term: bool,
    /// The nearest node on the way back at which a term ends; zero: none.
    shorter: u32,
}

/// How terms are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WordRules {
    /// Capital and small letters are the same.
    pub folds: bool,
    /// Only where no letter, digit or underscore stands beside it.
    pub whole: bool,
}

impl Words {
    /// The most terms of a list, and the most letters of all of them.
    pub const MOST_TERMS: usize = 50_000;
    pub const MOST_LETTERS: usize = 1_000_000;
    pub const LONGEST: usize = 256;

    pub fn new<'t>(terms: impl IntoIterator<Item = &'t str>, rules: WordRules) -> Self {
        let mut children: Vec<SmallMap<char, u32>> = vec![SmallMap::new()];
        let mut nodes = vec![Node::default()];
        for term in terms.into_iter().filter(|term| !term.is_empty()) {
            let mut at = 0_usize;
            for letter in term.chars() {
                let letter = if rules.folds { small(letter) } else { letter };
                let known = children.get(at).and_then(|ways| ways.get(&letter)).copied();
                let next = known.unwrap_or_else(|| {
                    let made = u32::try_from(nodes.len()).unwrap_or(u32::MAX);
                    let depth = nodes.get(at).map_or(0, |node| node.depth) + 1;
                    nodes.push(Node { depth, ..Node::default() });
                    children.push(SmallMap::new());
                    if let Some(ways) = children.get_mut(at) {
                        ways.insert(letter, made);
                    }
                    made
                });
                at = next as usize;
            }
            if let Some(node) = nodes.get_mut(at) {
                node.term = true;
            }
        }
        let mut tree = Tree {
            nodes,
            ways: Vec::new(),
            root: vec![0; 128],
            first: Box::new([false; 256]),
            folds: rules.folds,
            whole: rules.whole,
        };
        for (node, ways) in tree.nodes.iter_mut().zip(&children) {
            node.first = u32::try_from(tree.ways.len()).unwrap_or(u32::MAX);
            node.count = u32::try_from(ways.len()).unwrap_or(u32::MAX);
            tree.ways.extend(ways.iter().map(|(letter, to)| (*letter, *to)));
        }
        for (letter, to) in children.first().into_iter().flatten() {
            if let Some(place) = tree.root.get_mut(*letter as usize) {
                *place = *to;
            }
        }
        for (byte, first) in (0_u8..=255).zip(tree.first.iter_mut()) {
            let small = if rules.folds { byte.to_ascii_lowercase() } else { byte };
            *first = tree.root.get(usize::from(small)).is_none_or(|to| *to != 0);
        }
        tree.find_ways_back();
        Self(Arc::new(tree))
    }

    pub fn machine(&self) -> WordMachine {
        WordMachine {
            tree: self.0.clone(),
            node: 0,
            letters: VecDeque::new(),
            before: VecDeque::new(),
            last: None,
            at: 0,
            ended: Vec::new(),
        }
    }
}

impl Tree {
    /// Where a letter of ASCII leads that nothing precedes; 0: nowhere.
    fn begins(&self, byte: u8) -> u32 {
        let small = if self.folds { byte.to_ascii_lowercase() } else { byte };
        self.root.get(usize::from(small)).copied().unwrap_or(0)
    }

    /// Whether a term ends with a letter, or may have one behind it that begins with this byte.
    fn goes_on(&self, node: u32, byte: u8) -> bool {
        let Some(node) = self.nodes.get(node as usize).filter(|node| !node.term && byte.is_ascii()) else {
            return true;
        };
        let small = char::from(if self.folds { byte.to_ascii_lowercase() } else { byte });
        let ways = self.ways.get(node.first as usize..(node.first + node.count) as usize);
        // What folds to a letter of ASCII is no ASCII itself: `K` of kelvin.
        ways.unwrap_or_default().iter().any(|(letter, _)| *letter == small)
    }

    fn find_ways_back(&mut self) {
        let mut open = VecDeque::from([0_u32]);
        while let Some(at) = open.pop_front() {
            let Some(node) = self.nodes.get(at as usize).copied() else { continue };
            for nth in node.first..node.first + node.count {
                let Some((letter, child)) = self.ways.get(nth as usize).copied() else { continue };
                let back = if at == 0 { 0 } else { self.next(node.back, letter) };
                let shorter = self
                    .nodes
                    .get(back as usize)
                    .map_or(0, |node| if node.term { back } else { node.shorter });
                if let Some(child) = self.nodes.get_mut(child as usize) {
                    child.back = back;
                    child.shorter = shorter;
                }
                open.push_back(child);
            }
        }
    }

    fn next(&self, mut at: u32, letter: char) -> u32 {
        loop {
            if at == 0 && letter.is_ascii() {
                return self.root.get(letter as usize).copied().unwrap_or(0);
            }
            let Some(node) = self.nodes.get(at as usize) else { return 0 };
            let ways = self.ways.get(node.first as usize..(node.first + node.count) as usize);
            let ways = ways.unwrap_or_default();
            if let Ok(place) = ways.binary_search_by(|(known, _)| known.cmp(&letter)) {
                return ways.get(place).map_or(0, |(_, to)| *to);
            }
            if at == 0 {
                return 0;
            }
            at = node.back;
        }
    }
}

/// A list that is being looked for in one text.
#[derive(Debug)]
pub struct WordMachine {
    tree: Arc<Tree>,
    node: u32,
    /// Where the letters of the node's text stand.
    letters: VecDeque<usize>,
    /// Whether what stands before each of them is part of a word.
    before: VecDeque<bool>,
    last: Option<char>,
    at: usize,
    /// Terms that end here, if no letter follows.
    ended: Vec<Span>,
}

impl Scanner for WordMachine {
    fn push(&mut self, text: &str, out: &mut Vec<Span>) {
        let mut rest = text;
        loop {
            if self.node == 0 && self.ended.is_empty() {
                rest = self.skip(rest);
            }
            let mut letters = rest.chars();
            let Some(letter) = letters.next() else { break };
            self.step(letter, out);
            rest = letters.as_str();
        }
    }

    fn finish(&mut self, out: &mut Vec<Span>) {
        out.append(&mut self.ended);
    }

    fn settled(&self) -> usize {
        let begun = self.letters.front().copied().unwrap_or(self.at);
        self.ended.iter().map(|span| span.start).fold(begun, usize::min)
    }
}

impl WordMachine {
    /// Goes on to where a term may begin: most letters begin none, and most that do are followed by another one.
    fn skip<'t>(&mut self, text: &'t str) -> &'t str {
        let bytes = text.as_bytes();
        let first = &*self.tree.first;
        let joined = |at: usize| match at.checked_sub(1).and_then(|at| bytes.get(at)) {
            Some(byte) => is_word(char::from(*byte)),
            None => self.last.is_some_and(is_word),
        };
        let mut at = 0;
        let skipped = loop {
            let begins = |byte: &u8| first[usize::from(*byte)];
            let Some(more) = bytes.get(at..).and_then(|rest| rest.iter().position(begins)) else {
                break bytes.len();
            };
            at += more;
            let Some(byte) = bytes.get(at).filter(|byte| byte.is_ascii()) else { break at };
            let child = self.tree.begins(*byte);
            let next = bytes.get(at + 1);
            if !(self.tree.whole && joined(at)) && next.is_none_or(|next| self.tree.goes_on(child, *next)) {
                break at;
            }
            at += 1;
        };
        let (passed, rest) = text.split_at_checked(skipped).unwrap_or((text, ""));
        self.last = passed.chars().next_back().or(self.last);
        self.at += passed.len();
        rest
    }

    fn step(&mut self, letter: char, out: &mut Vec<Span>) {
        if self.tree.whole && is_word(letter) {
            self.ended.clear();
        }
        out.append(&mut self.ended);
        let small = if self.tree.folds { small(letter) } else { letter };
        self.letters.push_back(self.at);
        self.before.push_back(self.last.is_some_and(is_word));
        self.node = self.tree.next(self.node, small);
        self.at += letter.len_utf8();
        self.last = Some(letter);
        let depth = |node: u32| self.tree.nodes.get(node as usize).map_or(0, |node| node.depth) as usize;
        while self.letters.len() > depth(self.node) {
            self.letters.pop_front();
            self.before.pop_front();
        }
        let mut at = self.node;
        while at != 0 {
            let Some(node) = self.tree.nodes.get(at as usize).copied() else { break };
            if node.term {
                let from = self.letters.len() - (node.depth as usize).min(self.letters.len());
                let joined = self.before.get(from).copied().unwrap_or(false);
                if let Some(start) = self.letters.get(from).copied().filter(|_| !(self.tree.whole && joined))
                {
                    self.ended.push(Span { start, end: self.at });
                }
            }
            at = node.shorter;
        }
        if !self.tree.whole {
            // What follows makes no difference.
            out.append(&mut self.ended);
        }
    }
}
