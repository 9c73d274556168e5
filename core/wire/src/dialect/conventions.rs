//! What a dialect says outside of its bodies: headers, framing, names of fields.

use crate::frame::Framing;

/// The outside of a dialect, as data.
#[derive(Debug)]
pub struct Conventions {
    /// How its streams are cut into frames.
    pub framing: Framing,
    /// How its clients send their key, where a provider does not want it otherwise.
    pub key: KeyIn,
    /// Headers that every request carries, where a provider does not want them otherwise.
    pub headers: &'static [(&'static str, &'static str)],
    /// Headers of a caller that are a part of the dialect: they go on to a target of the same dialect.
    pub passed: &'static [&'static str],
    /// The header of an answer in which the vendor's SDK looks for the request's id.
    pub request_id: &'static str,
    /// The headers of an answer in which the vendor's SDK looks for what is left of its limits.
    pub rates: RateHeaders,
    /// Requests name their model in the path, and not in the body.
    pub model_in_path: bool,
    /// The field that bounds the output, by its dotted path.
    pub output_cap: &'static str,
    /// Streams tell their usage only where the request asks for it.
    pub usage_on_request: bool,
    /// Fields by which a provider spends or chooses by itself: nobody knows before what they cost.
    pub unbounded: &'static [&'static str],
    /// The most tokens that a provider tells its model about the use of tools, unseen by the caller.
    pub unseen_with_tools: u64,
}

/// Where a key travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyIn {
    /// `Authorization: Bearer …`
    Bearer,
    /// A header of its own.
    Header(&'static str),
    /// `Authorization: Bearer …`, or where the key is a pair (`id:secret`, or `id:secret:token`) AWS's signature for the
    /// service of this name.
    BearerOrSigned(&'static str),
}

/// A vendor's names for what is left of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateHeaders {
    /// `x-ratelimit-remaining-requests` and its like; resets in seconds from now.
    Openai,
    /// `anthropic-ratelimit-requests-remaining` and its like; resets as points in time.
    Anthropic,
}

/// What the address of a request says of it, for dialects that say there what others say in the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addressed {
    /// The model's name. It wins over the body's.
    pub model: Option<String>,
    /// Whether the answer is to be a stream.
    pub stream: Option<bool>,
    /// The stream is to be one JSON list.
    pub list: bool,
}
