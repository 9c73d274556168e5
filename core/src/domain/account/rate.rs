//! Limits by the minute and by the day.

use super::Limits;
use super::window::Log;

/// What one window counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counted {
    Requests,
    /// Input and output.
    Tokens,
    Input,
    Output,
}

/// One kind of limit: so much in any stretch of a length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) counted: Counted,
    /// Seconds in a bucket of its window, which has [`Log::BUCKETS`].
    pub(super) width: i64,
    /// What it is in words, after a number.
    pub(super) words: &'static str,
}

const MINUTE: i64 = 60 / Log::BUCKETS;
const DAY: i64 = 86_400 / Log::BUCKETS;

const fn rate(counted: Counted, width: i64, words: &'static str) -> Rate {
    Rate { counted, width, words }
}

impl Rate {
    /// In the order of [`Limits::rates`]. The place of each is its number in accounts that are kept: new ones are added at the
    /// end.
    pub(super) const ALL: [Self; 8] = [
        rate(Counted::Requests, MINUTE, "requests a minute"),
        rate(Counted::Tokens, MINUTE, "tokens a minute"),
        rate(Counted::Requests, DAY, "requests a day"),
        rate(Counted::Tokens, DAY, "tokens a day"),
        rate(Counted::Input, MINUTE, "input tokens a minute"),
        rate(Counted::Output, MINUTE, "output tokens a minute"),
        rate(Counted::Input, DAY, "input tokens a day"),
        rate(Counted::Output, DAY, "output tokens a day"),
    ];

    /// What one request counts here.
    pub(super) fn amount(&self, input: u64, output: u64) -> u64 {
        match self.counted {
            Counted::Requests => 1,
            Counted::Tokens => input.saturating_add(output),
            Counted::Input => input,
            Counted::Output => output,
        }
    }
}

/// What was counted for one [`Rate`]: since there is a limit for it, and until it has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Its place in [`Rate::ALL`].
    pub(super) place: usize,
    pub(super) log: Log,
}

impl Window {
    pub(super) fn new(place: usize) -> Self {
        Self { place, log: Log::new(Rate::ALL.get(place).map_or(1, |rate| rate.width)) }
    }

    pub(super) fn rate(&self) -> &'static Rate {
        Rate::ALL.get(self.place).unwrap_or(&Rate::ALL[0])
    }
}

impl Limits {
    /// The limits of each of [`Rate::ALL`], in their order.
    pub(super) fn rates(&self) -> [Option<u64>; 8] {
        let Self { rpm, tpm, rpd, tpd, input_tpm, output_tpm, input_tpd, output_tpd, .. } = self;
        [*rpm, *tpm, *rpd, *tpd, *input_tpm, *output_tpm, *input_tpd, *output_tpd]
    }

    /// Whether something bounds how much a request may put out.
    pub fn bounds_output(&self) -> bool {
        let rates = self.rates();
        let tokens = |rate: &Rate| matches!(rate.counted, Counted::Tokens | Counted::Output);
        Rate::ALL.iter().zip(rates).any(|(rate, limit)| limit.is_some() && tokens(rate))
            || !self.budget.is_empty()
    }
}
