//! Guards: what may not go in or come out.
//!
//! They read conversations in no particular dialect, whole and in streams, so that no dialect escapes them. A guard is a
//! check (what is looked for), the sites that it reads, and what follows when something is found. Everything on board is
//! a machine that takes text in pieces: whole texts go through the same machines in one piece, so that a stream, however
//! it is cut, is judged as the whole would be. [`Case`] is one request's: its guards, what they found, and what they hid.

mod block;
mod case;
mod channel;
mod content;
pub mod external;
mod injection;
mod json;
mod links;
mod mask;
mod note;
mod pattern;
mod plain;
mod request;
mod response;
mod rewrite;
mod scan;
mod schema;
mod shape;
mod stream;
mod template;
mod tools;
mod topics;
mod unmask;
mod words;

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

pub use block::Whole;
pub use case::{Blocked, Case, Duty, Found};
pub use external::External;
pub use links::Hosts;
pub use mask::{Masking, Style};
pub use note::{Direction, Note, Outcome};
pub use pattern::Pattern;
pub use plain::{PlainTexts, plain_fields};
pub use response::answers_json;
pub use rewrite::rewritten;
pub use scan::{Detector, Finding, Kind, Span};
pub use schema::Schema;
pub use shape::Shape;
pub use stream::GuardStream;
pub use template::{TEMPLATES, Template};
pub use tools::{Permit, ToolRule, ToolRules};
pub use topics::{Pieces, Topic, Topics};
pub use words::{WordRules, Words};

/// One guard, ready for use.
#[derive(Clone, Debug)]
pub struct Guard {
    pub name: Arc<str>,
    /// Of its definition: it changes when anything in that does, and with nothing else.
    pub version: Arc<str>,
    pub check: Check,
    pub on: Sites,
    /// What follows when something is found, where `actions` has no word for its kind.
    pub action: Action,
    pub actions: Vec<(Kind, Action)>,
    pub when: When,
    /// Smaller ones first.
    pub order: i32,
    /// Where it cannot judge (it timed out, said nonsense, or cannot read this), the request goes on.
    pub fails_open: bool,
    pub timeout: Duration,
    /// Of a thousand requests so many are judged.
    pub sample: u16,
    pub masking: Masking,
    pub attached: Attached,
    pub choice: Choice,
    /// What a caller reads when it blocks.
    pub message: Option<Arc<str>>,
}

/// What is looked for.
#[derive(Clone, Debug)]
pub enum Check {
    Texts(Detector),
    /// Which tools may be called, and with what.
    Tools(ToolRules),
    /// What form a whole answer has.
    Shape(Shape),
    /// A service judges.
    External(Arc<External>),
    /// What questions are about.
    Topics(Arc<Topics>),
}

/// What follows when something is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Block,
    /// It is replaced.
    Mask,
    /// The record and the answer's headers say so.
    Flag,
    /// The record says so: what blocking would have done is to be seen first.
    Shadow,
}

impl Action {
    pub fn read(word: &str) -> Option<Self> {
        match word {
            "block" => Some(Self::Block),
            "mask" => Some(Self::Mask),
            "flag" => Some(Self::Flag),
            "shadow" => Some(Self::Shadow),
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Mask => "mask",
            Self::Flag => "flag",
            Self::Shadow => "shadow",
        }
    }

    fn changes(self) -> bool {
        match self {
            Self::Block | Self::Mask => true,
            Self::Flag | Self::Shadow => false,
        }
    }
}

/// When a service is asked. What is on board judges in microseconds, and always before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// What it reads waits for its verdict.
    #[default]
    Before,
    /// The model is called meanwhile; the answer waits for the verdict.
    Beside,
}

/// A place in a conversation where text stands.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename = "GuardPlace"))]
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Site {
    /// What the model is told in turns.
    Input,
    /// What it is told to be and to do: by whoever built the application.
    Instructions,
    /// What it is given to read: somebody else wrote it.
    Document,
    ToolResults,
    /// What the model says, its reasoning included.
    Output,
    ToolArguments,
}

/// The sites that a guard reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "a set of four")]
pub struct Sites {
    pub input: bool,
    pub output: bool,
    pub tool_arguments: bool,
    pub tool_results: bool,
}

impl Site {
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Instructions => "instructions",
            Self::Document => "document",
            Self::ToolResults => "tool_results",
            Self::Output => "output",
            Self::ToolArguments => "tool_arguments",
        }
    }
}

impl Sites {
    pub const ALL: Self = Self { input: true, output: true, tool_arguments: true, tool_results: true };

    pub fn has(self, site: Site) -> bool {
        match site {
            Site::Input | Site::Instructions | Site::Document => self.input,
            Site::Output => self.output,
            Site::ToolArguments => self.tool_arguments,
            Site::ToolResults => self.tool_results,
        }
    }

    /// Whether it reads anything of a request. Calls that an answer made come back with the next request.
    pub fn of_requests(self) -> bool {
        self.input || self.tool_results || self.tool_arguments
    }

    pub fn of_answers(self) -> bool {
        self.output || self.tool_arguments
    }
}

/// Whom a guard is for, beside whoever names it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    pub everybody: bool,
    pub organisations: Vec<String>,
    pub teams: Vec<String>,
    pub keys: Vec<String>,
    pub tags: Vec<String>,
    /// Names of models, or patterns that end in `*`.
    pub models: Vec<String>,
}

/// What a request may choose for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Choice {
    Nothing,
    /// To be judged by it, too.
    #[default]
    Add,
    /// Not to be judged by it.
    Drop,
    Both,
}

impl Choice {
    pub fn adds(self) -> bool {
        matches!(self, Self::Add | Self::Both)
    }

    pub fn drops(self) -> bool {
        matches!(self, Self::Drop | Self::Both)
    }
}

impl Guard {
    /// What follows when something of this kind is found.
    pub fn action(&self, kind: &str) -> Action {
        let own = self.actions.iter().find(|(known, _)| **known == *kind);
        own.map_or(self.action, |(_, action)| *action)
    }

    /// Whether anything that it finds can change what is said.
    pub fn changes(&self) -> bool {
        self.action.changes() || self.actions.iter().any(|(_, action)| action.changes())
    }

    /// Whether nothing goes on where it cannot judge.
    pub(super) fn shuts(&self) -> bool {
        !self.fails_open && self.changes()
    }

    /// Whether it may leave a request longer than it was.
    pub fn may_lengthen(&self) -> bool {
        self.on.of_requests() && (self.masks() || matches!(self.check, Check::External(_)))
    }

    /// Whether somebody else judges, who has to be waited for.
    pub fn is_service(&self) -> bool {
        matches!(self.check, Check::External(_) | Check::Topics(_))
    }

    pub fn masks(&self) -> bool {
        self.action == Action::Mask || self.actions.iter().any(|(_, action)| *action == Action::Mask)
    }

    /// Whether it reads this text of a request or, else, of an answer.
    fn reads(&self, site: Site, direction: Direction) -> bool {
        match (direction, site) {
            // What a model was told to call is part of what it is told the next time.
            (Direction::In, Site::ToolArguments) => self.on.input || self.on.tool_arguments,
            _ => self.on.has(site),
        }
    }
}
