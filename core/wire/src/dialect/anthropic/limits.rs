//! How much may be generated, and how much of it thought.

use crate::chat::{Reasoning, Request};
use crate::dialect::turns::History;
use crate::object::ObjectWriter;
use crate::{Loss, Malformed, TargetHints};

/// What is asked for where neither the caller nor the catalogue says how much.
const DEFAULT_MAX_TOKENS: u64 = 4096;
const LEAST_BUDGET: u64 = 1024;

#[derive(Debug, PartialEq, Eq)]
pub(in crate::dialect) enum Thinking {
    Unsaid,
    Disabled,
    Enabled { budget: u64, display: Option<String> },
    Adaptive { display: Option<String> },
}

/// How much may be generated and thought.
#[derive(Debug)]
pub(in crate::dialect) struct Limits {
    pub(in crate::dialect) max_tokens: u64,
    pub(in crate::dialect) thinking: Thinking,
    pub(in crate::dialect) effort: Option<String>,
}

impl Limits {
    /// With `own`, the caller has said in the dialect's own words how to think.
    pub(in crate::dialect) fn of(
        request: &Request,
        hints: &TargetHints,
        history: History,
        own: bool,
        loss: &mut Loss,
    ) -> Result<Self, Malformed> {
        let most = hints.max_output_tokens.unwrap_or(u64::MAX);
        let asked = request.max_output_tokens;
        let max_tokens =
            asked.unwrap_or_else(|| hints.max_output_tokens.unwrap_or(DEFAULT_MAX_TOKENS)).min(most);
        if asked.is_some_and(|asked| asked > most) {
            loss.note("max_tokens");
        }
        let mut limits = Self { max_tokens, thinking: Thinking::Unsaid, effort: None };
        if let Some(reasoning) = request.reasoning.as_ref().filter(|_| !own) {
            limits.think(reasoning, hints, asked.is_some(), loss);
        }
        if matches!(limits.thinking, Thinking::Enabled { .. }) && history.thoughtless_loop {
            if history.thinking {
                let expected =
                    "the thinking block that the assistant's turn began with, before its tool calls";
                return Err(Malformed::field("messages", expected));
            }
            // A history from elsewhere has no thinking to show: it goes on without.
            loss.note("reasoning");
            limits.thinking = Thinking::Unsaid;
        }
        Ok(limits)
    }

    fn think(&mut self, reasoning: &Reasoning, hints: &TargetHints, capped: bool, loss: &mut Loss) {
        let shown = |wanted: bool| match reasoning.display.as_deref() {
            Some(display @ ("omitted" | "summarized")) => Some(display.to_owned()),
            Some(_) => Some("summarized".to_owned()),
            None => wanted.then(|| "summarized".to_owned()),
        };
        let effort = reasoning.effort.as_deref();
        if effort == Some("none") {
            if hints.adaptive_thinking {
                self.thinking = Thinking::Disabled;
            }
            return;
        }
        if reasoning.effort_only {
            self.effort = effort.map(effort_word);
            return;
        }
        if hints.adaptive_thinking {
            self.effort = effort.map(effort_word);
            if let Some(budget) = reasoning.budget_tokens {
                loss.note("reasoning.budget_tokens");
                self.effort.get_or_insert_with(|| effort_of(budget).to_owned());
            }
            // Without a word on display the text comes back empty; who asked in this dialect knows that.
            self.thinking = Thinking::Adaptive { display: shown(!reasoning.adaptive) };
            return;
        }
        let budget = reasoning.budget_tokens.unwrap_or_else(|| budget_of(effort.unwrap_or("high")));
        self.budget(budget.max(LEAST_BUDGET), capped, hints, shown(false), loss);
        if reasoning.budget_tokens.is_some() {
            // Both were said, as this dialect allows.
            self.effort = effort.map(effort_word);
        }
    }

    /// A budget below the cap. The cap is the caller's, or what its money affords: it is never raised; only where
    /// nobody capped is room made for thoughts.
    fn budget(
        &mut self,
        budget: u64,
        capped: bool,
        hints: &TargetHints,
        display: Option<String>,
        loss: &mut Loss,
    ) {
        if !capped && budget >= self.max_tokens {
            let most = hints.max_output_tokens.unwrap_or(u64::MAX);
            self.max_tokens = budget.saturating_add(DEFAULT_MAX_TOKENS).min(most);
        }
        let fitting = budget.min(self.max_tokens.saturating_sub(1));
        if fitting < LEAST_BUDGET {
            loss.note("reasoning");
            return;
        }
        if fitting < budget {
            loss.note("reasoning.budget_tokens");
        }
        self.thinking = Thinking::Enabled { budget: fitting, display };
    }

    pub(in crate::dialect) fn thinks(&self) -> bool {
        matches!(self.thinking, Thinking::Enabled { .. } | Thinking::Adaptive { .. })
    }

    pub(in crate::dialect) fn write(&self, object: &mut ObjectWriter<'_>) {
        let (kind, budget, display) = match &self.thinking {
            Thinking::Unsaid => return,
            Thinking::Disabled => ("disabled", None, None),
            Thinking::Enabled { budget, display } => ("enabled", Some(*budget), display.as_ref()),
            Thinking::Adaptive { display } => ("adaptive", None, display.as_ref()),
        };
        object.object("thinking", |object| {
            object.string("type", kind);
            if let Some(budget) = budget {
                object.count("budget_tokens", budget);
            }
            if let Some(display) = display {
                object.string("display", display);
            }
        });
    }
}

fn effort_word(effort: &str) -> String {
    if effort == "minimal" { "low" } else { effort }.to_owned()
}

/// The budgets that gateways agree on for words of effort.
fn budget_of(effort: &str) -> u64 {
    match effort {
        "medium" => 2048,
        "high" => 4096,
        "xhigh" => 8192,
        "max" => 16384,
        _low_or_minimal => 1024,
    }
}

fn effort_of(budget: u64) -> &'static str {
    match budget {
        0..=1024 => "low",
        1025..=2048 => "medium",
        _ => "high",
    }
}
