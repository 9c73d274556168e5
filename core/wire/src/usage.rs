//! What a call used: tokens by kind, and what is counted otherwise.

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
    /// Output tokens, reasoning included, audio and images excluded.
    pub output: u64,
    /// The part of `output` that was reasoning.
    pub reasoning: u64,
    pub audio_output: u64,
    /// Tokens of images that were made, beside `output`.
    #[serde(skip_serializing_if = "is_zero")]
    pub image_output: u64,
    /// Searches of the web that the provider made and bills.
    pub web_searches: u64,
    /// What is counted in other units than tokens.
    #[serde(skip_serializing_if = "Units::is_empty")]
    pub units: Units,
}

/// What operations other than conversations count beside tokens. Where a provider counts a thing both ways, it stands
/// in one of them only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub struct Units {
    /// Characters (Unicode scalar values) of text to be spoken.
    #[serde(skip_serializing_if = "is_zero")]
    pub characters: u64,
    /// Milliseconds of audio that was sent.
    #[serde(skip_serializing_if = "is_zero")]
    pub input_ms: u64,
    /// Milliseconds of audio that was made.
    #[serde(skip_serializing_if = "is_zero")]
    pub output_ms: u64,
    /// Pictures that were made.
    #[serde(skip_serializing_if = "is_zero")]
    pub pictures: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub pages: u64,
    /// Units of search, as those bill who rank: a query over up to a hundred documents.
    #[serde(skip_serializing_if = "is_zero")]
    pub queries: u64,
}

impl Units {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// These, and those of `other` where these say nothing.
    #[must_use]
    pub fn or(self, other: &Self) -> Self {
        let or = |this: u64, that: u64| if this == 0 { that } else { this };
        Self {
            characters: or(self.characters, other.characters),
            input_ms: or(self.input_ms, other.input_ms),
            output_ms: or(self.output_ms, other.output_ms),
            pictures: or(self.pictures, other.pictures),
            pages: or(self.pages, other.pages),
            queries: or(self.queries, other.queries),
        }
    }
}

/// For serde's `skip_serializing_if`, which passes by reference.
fn is_zero<T: Default + PartialEq>(count: &T) -> bool {
    *count == T::default()
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
        self.output.saturating_add(self.audio_output).saturating_add(self.image_output)
    }

    pub fn total(&self) -> u64 {
        self.input_total().saturating_add(self.output_total())
    }

    /// Counts the tokens and searches of another call, too. What is counted otherwise stays as it is.
    pub fn add(&mut self, other: &Self) {
        for (own, more) in [
            (&mut self.input, other.input),
            (&mut self.cache_read, other.cache_read),
            (&mut self.cache_write_5m, other.cache_write_5m),
            (&mut self.cache_write_1h, other.cache_write_1h),
            (&mut self.cache_write_12h, other.cache_write_12h),
            (&mut self.audio_input, other.audio_input),
            (&mut self.image_input, other.image_input),
            (&mut self.output, other.output),
            (&mut self.reasoning, other.reasoning),
            (&mut self.audio_output, other.audio_output),
            (&mut self.image_output, other.image_output),
            (&mut self.web_searches, other.web_searches),
        ] {
            *own = own.saturating_add(more);
        }
    }
}
