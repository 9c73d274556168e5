//! The words: what a model is for, what it can do, what its provider counts.

use serde::{Deserialize, Serialize};

/// An enum whose members have one word each, and a list of them all. The order is part of the packed form.
macro_rules! words {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $member:ident = $word:literal,)* }) => {
        $(#[$outer])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$inner])* #[serde(rename = $word)] $member,)*
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$member,)*];

            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$member => $word,)*
                }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.word() == word)
            }

            /// Its place in [`Self::ALL`].
            pub const fn code(self) -> u8 {
                self as u8
            }

            pub fn from_code(code: u8) -> Option<Self> {
                Self::ALL.get(usize::from(code)).copied()
            }
        }
    };
}

words! {
    /// What a model is for.
    Mode {
        Chat = "chat",
        /// Chat by the Responses operation alone.
        Responses = "responses",
        Completion = "completion",
        Embedding = "embedding",
        Rerank = "rerank",
        Moderation = "moderation",
        Image = "image",
        ImageEdit = "image-edit",
        Speech = "speech",
        Transcription = "transcription",
        Video = "video",
        Realtime = "realtime",
        Search = "search",
        Ocr = "ocr",
        Other = "other",
    }
}

words! {
    /// What a model is known to do, or known not to do.
    Capability {
        Tools = "tools",
        ToolChoice = "tool-choice",
        ParallelTools = "parallel-tools",
        Schema = "schema",
        Reasoning = "reasoning",
        AdaptiveThinking = "adaptive-thinking",
        AlwaysThinks = "always-thinks",
        Vision = "vision",
        Pdf = "pdf",
        AudioInput = "audio-input",
        AudioOutput = "audio-output",
        VideoInput = "video-input",
        PromptCache = "prompt-cache",
        WebSearch = "web-search",
        ComputerUse = "computer-use",
        ToolSearch = "tool-search",
        UrlContext = "url-context",
        Prefill = "prefill",
        SystemAnywhere = "system-anywhere",
        /// It is reached by the Responses operation only.
        ResponsesOnly = "responses-only",
        NoTemperature = "no-temperature",
        /// Neither temperature nor `top_p` nor `top_k`.
        NoSampling = "no-sampling",
        NoSystem = "no-system",
        NoStream = "no-stream",
        NoForcedTool = "no-forced-tool",
        NoToolChoice = "no-tool-choice",
        NoSchema = "no-schema",
    }
}

/// A set of [`Capability`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Capabilities(u64);

impl Capabilities {
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & (1 << capability.code()) != 0
    }

    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | 1 << capability.code())
    }

    pub fn iter(self) -> impl Iterator<Item = Capability> {
        Capability::ALL.iter().copied().filter(move |capability| self.has(*capability))
    }

    pub(crate) const fn bits(self) -> u64 {
        self.0
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

impl FromIterator<Capability> for Capabilities {
    fn from_iter<I: IntoIterator<Item = Capability>>(capabilities: I) -> Self {
        capabilities.into_iter().fold(Self::default(), Self::with)
    }
}

words! {
    /// What a provider counts and bills.
    Meter {
        Input = "input",
        Output = "output",
        CacheRead = "cache_read",
        CacheWrite5m = "cache_write_5m",
        CacheWrite1h = "cache_write_1h",
        CacheWrite12h = "cache_write_12h",
        Reasoning = "reasoning",
        AudioInput = "audio_input",
        AudioOutput = "audio_output",
        AudioCacheRead = "audio_cache_read",
        AudioCacheWrite = "audio_cache_write",
        ImageInput = "image_input",
        ImageOutput = "image_output",
        ImageCacheRead = "image_cache_read",
        VideoInput = "video_input",
        VideoOutput = "video_output",
        /// Tokens of sources that an answer cites.
        Citation = "citation",
        CharacterInput = "character_input",
        CharacterOutput = "character_output",
        PixelInput = "pixel_input",
        PixelOutput = "pixel_output",
        /// A search of the web that the provider makes.
        WebSearch = "web_search",
        /// An answer that is grounded on maps.
        MapsSearch = "maps_search",
        /// A fee that every request has.
        Request = "request",
        /// A query of a search or of a reranking.
        Query = "query",
        /// A picture that is sent.
        PictureInput = "picture_input",
        /// A picture that is made.
        Picture = "picture",
        Page = "page",
        /// A page with annotations.
        AnnotatedPage = "annotated_page",
        /// A session of a code interpreter.
        CodeSession = "code_session",
        /// A second of what is sent: of speech, where nothing else is said.
        SecondInput = "second_input",
        /// A second of what is made: of speech or video, by the model's mode.
        SecondOutput = "second_output",
        AudioSecondInput = "audio_second_input",
        VideoSecondInput = "video_second_input",
        VideoSecondOutput = "video_second_output",
        /// A second of video of so many lines.
        Second480p = "second_480p",
        Second720p = "second_720p",
        Second768p = "second_768p",
        Second1080p = "second_1080p",
        Second2k = "second_2k",
        Second4k = "second_4k",
    }
}

/// What a rate in a text is for: so many units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Tokens, characters, pixels.
    Million,
    /// Searches, requests, pictures, pages, seconds.
    One,
}

impl Meter {
    pub const fn per(self) -> Per {
        if (self as u8) < Self::WebSearch as u8 { Per::Million } else { Per::One }
    }

    /// Decimal places of a rate in US dollars that make it a whole number of pico-dollars for one unit.
    pub const fn places(self) -> u32 {
        match self.per() {
            Per::Million => 6,
            Per::One => 12,
        }
    }
}
