//! The vendors' models behind the one shape, and what each takes.

/// A vendor's models, told by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Claude,
    Nova,
    Mistral,
    Llama,
    Qwen,
    /// Open weights of `OpenAI`.
    GptOss,
    /// Others, and models behind names that tell nothing, such as application inference profiles.
    Other,
}

impl Family {
    /// The family of a bare id (`anthropic.claude-…`), an inference profile (`eu.anthropic.…`) or an ARN.
    pub(super) fn of(model: &str) -> Self {
        const WORDS: &[(&str, Family)] = &[
            ("anthropic.", Family::Claude),
            ("claude", Family::Claude),
            ("amazon.nova", Family::Nova),
            ("mistral", Family::Mistral),
            ("meta.", Family::Llama),
            ("llama", Family::Llama),
            ("qwen", Family::Qwen),
            ("openai.", Family::GptOss),
        ];
        WORDS.iter().find(|(word, _)| model.contains(word)).map_or(Self::Other, |(_, family)| *family)
    }

    /// Whether reasoning of the history goes back to it.
    pub(super) fn takes_reasoning(self) -> bool {
        match self {
            Self::Claude => true,
            Self::Nova | Self::Mistral | Self::Llama | Self::Qwen | Self::GptOss | Self::Other => false,
        }
    }

    /// Whether its prompts can be marked for the cache; the others refuse the marks.
    pub(super) fn caches(self) -> bool {
        match self {
            Self::Claude | Self::Nova | Self::Other => true,
            Self::Mistral | Self::Llama | Self::Qwen | Self::GptOss => false,
        }
    }

    /// Whether it takes text beside a tool's result in one turn.
    pub(super) fn takes_text_beside_results(self) -> bool {
        match self {
            Self::Claude | Self::Nova | Self::Qwen | Self::GptOss | Self::Other => true,
            Self::Mistral | Self::Llama => false,
        }
    }

    /// Whether it takes documents beside a tool's result in one turn: of Claude's only PDF.
    pub(super) fn takes_document_beside_results(self, format: Option<&str>) -> bool {
        match self {
            Self::Claude => format == Some("pdf"),
            Self::Nova | Self::GptOss | Self::Other => true,
            Self::Qwen | Self::Mistral | Self::Llama => false,
        }
    }

    /// Whether references in schemas are followed by it; for the others they are written out.
    pub(super) fn takes_references(self) -> bool {
        self == Self::Claude
    }

    /// Whether temperature and top-p exclude each other.
    pub(super) fn takes_one_of_sampling(self) -> bool {
        self == Self::Claude
    }

    /// What it can be made to do about tools.
    pub(super) fn forced(self) -> Forced {
        match self {
            Self::Claude | Self::Nova | Self::Qwen | Self::GptOss | Self::Other => Forced::Named,
            Self::Mistral => Forced::Any,
            Self::Llama => Forced::Nothing,
        }
    }
}

/// How far a model can be made to call a tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Forced {
    Nothing,
    /// Some tool, but not a certain one.
    Any,
    Named,
}

#[cfg(test)]
mod tests {
    use super::Family;

    #[test]
    fn a_family_is_told_by_bare_ids_profiles_and_arns() {
        for (model, family) in [
            ("anthropic.claude-sonnet-4-5-20250929-v1:0", Family::Claude),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", Family::Claude),
            (
                "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.amazon.nova-lite-v1:0",
                Family::Nova,
            ),
            ("meta.llama3-1-70b-instruct-v1:0", Family::Llama),
            ("mistral.mistral-large-2407-v1:0", Family::Mistral),
            ("qwen.qwen3-32b-v1:0", Family::Qwen),
            ("openai.gpt-oss-120b-1:0", Family::GptOss),
            ("arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc", Family::Other),
        ] {
            assert_eq!(Family::of(model), family, "{model}");
        }
    }
}
