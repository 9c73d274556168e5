//! Tokens by kind.

/// What a call used. Every count is exclusive of the others unless said otherwise, so that each token is priced once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Input tokens that were neither read from nor written to a prompt cache; without audio and image tokens.
    pub input: u64,
    pub cache_read: u64,
    /// Cache writes that live five minutes (and `OpenAI`'s thirty-minute ones, priced alike).
    pub cache_write_5m: u64,
    pub cache_write_1h: u64,
    pub cache_write_12h: u64,
    pub audio_input: u64,
    pub image_input: u64,
    /// Output tokens, reasoning included, audio excluded.
    pub output: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
    pub audio_output: u64,
    /// Searches of the web that the provider made and bills.
    pub web_searches: u64,
}

impl Usage {
    /// All input, cached and written included: what the `OpenAI` dialect calls `prompt_tokens`.
    pub fn input_total(&self) -> u64 {
        [self.input, self.cache_read, self.cache_write(), self.audio_input, self.image_input]
            .into_iter()
            .fold(0, u64::saturating_add)
    }

    pub fn cache_write(&self) -> u64 {
        self.cache_write_5m.saturating_add(self.cache_write_1h).saturating_add(self.cache_write_12h)
    }

    /// All output: what the `OpenAI` dialect calls `completion_tokens`.
    pub fn output_total(&self) -> u64 {
        self.output.saturating_add(self.audio_output)
    }

    pub fn total(&self) -> u64 {
        self.input_total().saturating_add(self.output_total())
    }
}
