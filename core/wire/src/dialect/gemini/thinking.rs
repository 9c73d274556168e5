//! How much is thought: by levels for the newest models, by budgets for those before them.

use crate::chat::Request;
use crate::object::ObjectWriter;
use crate::{Json, Loss};

use super::model::{Generation, Model};

#[derive(Debug, Default)]
pub(super) struct Thinking {
    shown: Option<bool>,
    level: Option<&'static str>,
    /// -1 where the model decides.
    budget: Option<i64>,
}

impl Thinking {
    pub(super) fn of(request: &Request, model: Model, loss: &mut Loss) -> Self {
        let Some(asked) = &request.reasoning else { return Self::default() };
        if model.generation < Generation::Budgets {
            if asked.effort.as_deref() != Some("none") {
                loss.note("reasoning");
            }
            return Self::default();
        }
        let none = asked.effort.as_deref() == Some("none");
        let shown = match asked.display.as_deref() {
            Some("omitted") => Some(false),
            Some(_) => Some(true),
            // Who asks for thinking wants to see it; who asks for an effort of the whole answer did not ask for that.
            None => (!asked.effort_only).then_some(!none),
        };
        let mut thinking = Self { shown, ..Self::default() };
        match (asked.effort.as_deref(), asked.budget_tokens) {
            (_, Some(budget)) => thinking.budget = Some(i64::try_from(budget).unwrap_or(i64::MAX)),
            (Some(effort), None) if model.generation == Generation::Levels => {
                thinking.level = Some(level(effort, model, loss));
            }
            (Some(effort), None) => thinking.budget = Some(budget(effort, model)),
            (None, None) if model.generation == Generation::Budgets => thinking.budget = Some(-1),
            (None, None) => {}
        }
        thinking
    }

    pub(super) fn write(&self, object: &mut ObjectWriter<'_>, own: &[(&str, &Json)]) {
        if self.shown.is_none() && self.level.is_none() && self.budget.is_none() && own.is_empty() {
            return;
        }
        object.object("thinkingConfig", |config| {
            if let Some(shown) = self.shown {
                config.flag("includeThoughts", shown);
            }
            if let Some(level) = self.level {
                config.string("thinkingLevel", level);
            }
            if let Some(budget) = self.budget {
                config.raw("thinkingBudget", &budget.to_string());
            }
            for (name, json) in own {
                config.json(name, json);
            }
        });
    }
}

fn level(effort: &str, model: Model, loss: &mut Loss) -> &'static str {
    match effort {
        // The larger models cannot do without.
        "none" | "minimal" => {
            if model.flash {
                "MINIMAL"
            } else {
                "LOW"
            }
        }
        "low" => "LOW",
        "medium" => "MEDIUM",
        "high" => "HIGH",
        _more => {
            loss.note("reasoning_effort");
            "HIGH"
        }
    }
}

/// The budgets that gateways agree on for words of effort.
fn budget(effort: &str, model: Model) -> i64 {
    match effort {
        "none" if model.flash => 0,
        "minimal" if model.lite => 512,
        "none" | "minimal" => 128,
        "low" => 1_024,
        "medium" => 2_048,
        "high" => 4_096,
        "xhigh" => 8_192,
        _max => 16_384,
    }
}
