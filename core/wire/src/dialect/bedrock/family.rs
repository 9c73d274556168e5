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

/// Where an inference profile does its work, as the beginning of its id.
const PLACES: &[&str] = &["us.", "eu.", "apac.", "jp.", "au.", "ca.", "global.", "us-gov."];

/// What a model may be known by besides its own name: an ARN's last part, and without the place in front of it.
///
/// A name that only an account knows (an application inference profile, a provisioned or imported model) has no other.
pub(super) fn known_names(model: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = model;
    if model.starts_with("arn:") {
        let known = [":foundation-model/", ":inference-profile/"];
        let Some(last) = known.iter().find_map(|kind| model.split_once(kind)).map(|(_, last)| last) else {
            return names;
        };
        names.push(last.to_owned());
        name = last;
    }
    if let Some(bare) = PLACES.iter().find_map(|place| name.strip_prefix(place)) {
        names.push(bare.to_owned());
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{Family, known_names};

    #[test]
    fn profiles_and_arns_are_known_by_the_models_in_them() {
        const CLAUDE: &str = "anthropic.claude-sonnet-4-5-20250929-v1:0";
        let eu = format!("eu.{CLAUDE}");
        assert_eq!(known_names(CLAUDE), Vec::<String>::new());
        assert_eq!(known_names(&eu), [CLAUDE]);
        let profile = format!("arn:aws:bedrock:eu-west-1:123456789012:inference-profile/{eu}");
        assert_eq!(known_names(&profile), [eu.as_str(), CLAUDE]);
        let foundation = format!("arn:aws:bedrock:us-east-1::foundation-model/{CLAUDE}");
        assert_eq!(known_names(&foundation), [CLAUDE]);
        let own = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abcdef123456";
        assert_eq!(known_names(own), Vec::<String>::new());
    }

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
