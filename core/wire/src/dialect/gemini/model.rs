//! What a model's name says of the model: the provider's names are versions.

/// The generation of a model, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Generation {
    /// Before 2.0: schemas in the provider's own form only.
    First,
    /// 2.0: standard schemas, no thinking.
    Second,
    /// 2.5: thinking by budgets.
    Budgets,
    /// 3 and later, and whatever a name does not tell: thinking by levels, media in tool results, schema beside tools.
    Levels,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Model {
    pub(super) generation: Generation,
    /// A smaller sibling, which can do without thinking.
    pub(super) flash: bool,
    pub(super) lite: bool,
    /// An open model: it takes no instructions of the system.
    pub(super) gemma: bool,
}

impl Model {
    pub(super) fn of(name: &str) -> Self {
        let name = name.rsplit('/').next().unwrap_or(name);
        let gemma = name.starts_with("gemma");
        let version = name.strip_prefix("gemini-").and_then(|rest| rest.split('-').next());
        let number = version.and_then(crate::json::number);
        let generation = match number {
            _ if gemma => Generation::First,
            Some(number) if number < 2.0 => Generation::First,
            Some(number) if number < 2.5 => Generation::Second,
            Some(number) if number < 3.0 => Generation::Budgets,
            Some(_) | None => Generation::Levels,
        };
        Self { generation, flash: name.contains("flash"), lite: name.contains("lite"), gemma }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_generation_and_an_unknown_one_is_of_the_newest() {
        for (name, generation) in [
            ("gemini-1.5-pro-002", Generation::First),
            ("gemma-3-27b-it", Generation::First),
            ("gemini-2.0-flash", Generation::Second),
            ("gemini-2.5-flash-lite", Generation::Budgets),
            ("publishers/google/models/gemini-2.5-pro", Generation::Budgets),
            ("gemini-3-pro-preview", Generation::Levels),
            ("gemini-3.5-flash", Generation::Levels),
            ("gemini-flash-latest", Generation::Levels),
            ("tuned-7", Generation::Levels),
        ] {
            assert_eq!(Model::of(name).generation, generation, "{name}");
        }
        assert!(Model::of("gemini-2.5-flash-lite").lite && Model::of("gemini-2.5-flash-lite").flash);
    }
}
