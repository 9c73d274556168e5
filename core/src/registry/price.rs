//! Prices: what a call costs, and the most that it can cost.

use gatelet_wire::{Operation, Units, Usage};

use super::table::{PriceRow, RATES, RateRow, ServiceRow, TierRow};
use crate::domain::{Money, Rate};

/// The price of a model.
///
/// A tier holds for the whole request as soon as its prompt, cached tokens included, has more tokens than the tier's
/// mark. A service tier (`flex`, `priority`, `batch`) has rates and tiers of its own; what it leaves out is as in the
/// standard service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    /// What the standard rates say themselves.
    said: Rates,
    standard: Schedule,
    services: Box<[(Box<str>, Schedule)]>,
}

/// Rates that a price names, in pico-dollars a token (a search, a request); none where it says nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    pub input: Option<Rate>,
    pub output: Option<Rate>,
    /// Else `input`.
    pub cache_read: Option<Rate>,
    /// Else `input`.
    pub cache_write_5m: Option<Rate>,
    /// Else `cache_write_5m`.
    pub cache_write_1h: Option<Rate>,
    /// Else `cache_write_1h`.
    pub cache_write_12h: Option<Rate>,
    /// Else `output`.
    pub reasoning: Option<Rate>,
    /// Else `input`.
    pub audio_input: Option<Rate>,
    /// Else `output`.
    pub audio_output: Option<Rate>,
    /// Else `input`.
    pub image_input: Option<Rate>,
    /// Else nothing.
    pub web_search: Option<Rate>,
    /// A fee that every request has; else nothing.
    pub request: Option<Rate>,
    /// Else `output`.
    pub image_output: Option<Rate>,
    /// A character of text to be spoken; else nothing.
    pub character_input: Option<Rate>,
    /// A second of audio that is sent; else nothing.
    pub second_input: Option<Rate>,
    /// A second of audio that is made; else nothing.
    pub second_output: Option<Rate>,
    /// A picture that is made; else nothing.
    pub picture: Option<Rate>,
    /// Else nothing.
    pub page: Option<Rate>,
    /// A unit of search; else nothing.
    pub query: Option<Rate>,
}

/// What is known of a request's size before it is made. A token is at least one byte, so bytes bound tokens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bound<'a> {
    /// The most tokens of text: of messages, tools, schemas.
    pub text_tokens: u64,
    /// The most tokens of images and audio.
    pub media_tokens: u64,
    /// The most that is counted otherwise than in tokens.
    pub units: Units,
    /// The service tier that the request pins. None: it pins none, so the provider chooses, so the dearest counts.
    pub service: Option<&'a str>,
}

/// The words by which requests and answers name the service that has no name.
const STANDARD: [&str; 4] = ["default", "standard", "standard_only", "on_demand"];

impl Price {
    /// One price for every size of request.
    pub fn flat(rates: Rates) -> Self {
        Self { said: rates, standard: Schedule::new(&rates, &[]), services: Box::default() }
    }

    /// The price of what costs nothing.
    pub fn free() -> Self {
        Self::flat(Rates { input: Some(Rate::ZERO), output: Some(Rate::ZERO), ..Rates::default() })
    }

    pub(super) fn from_row(row: &PriceRow) -> Self {
        let base = Rates::from_row(&row.base);
        let tiers_over = |below: &Rates, tiers: &[TierRow]| {
            tiers.iter().map(|(over, rates)| (*over, Rates::from_row(rates).or(below))).collect::<Vec<_>>()
        };
        let service = |(name, rates, tiers): &ServiceRow| {
            let rates = Rates::from_row(rates).or(&base);
            let tiers = tiers_over(&rates, tiers);
            (name.as_str().into(), Schedule::new(&rates, &tiers))
        };
        Self {
            said: base,
            standard: Schedule::new(&base, &tiers_over(&base, &row.tiers)),
            services: row.services.iter().map(service).collect(),
        }
    }

    /// What `usage` costs, rounded up to a nano-dollar once. `service` is the tier that the answer says it had; a tier
    /// that the price does not know costs what the standard service costs.
    pub fn cost(&self, usage: &Usage, service: Option<&str>) -> Money {
        let schedule = service.and_then(|name| self.service(name)).unwrap_or(&self.standard);
        schedule.rates_for(usage.input_total()).cost(usage)
    }

    /// The most that the input of a request within `bound` can cost, rounded up. Searches of the web are not in it: how
    /// many a model makes is not known before.
    pub fn input_bound(&self, bound: &Bound<'_>) -> Money {
        Money::from_picos_up(self.candidates(bound).map(|rates| rates.input_most(bound)).max().unwrap_or(0))
    }

    /// The most that one output token of a request within `bound` can cost, reasoning and audio included.
    pub fn output_bound(&self, bound: &Bound<'_>) -> Rate {
        self.candidates(bound).map(Resolved::output_most).max().unwrap_or_default()
    }

    /// Whether it prices what `operation` uses. One that names a fee for the request alone prices every operation.
    pub fn covers(&self, operation: Operation) -> bool {
        let said = &self.said;
        let any = |rates: &[Option<Rate>]| rates.iter().any(Option::is_some);
        let flat = *said == Rates { request: said.request, ..Rates::default() } && said.request.is_some();
        let tokens = any(&[said.input, said.output]);
        flat || match operation {
            Operation::Chat | Operation::Completion | Operation::Moderation => tokens,
            Operation::Embedding => any(&[said.input, said.query]),
            Operation::Rerank => any(&[said.query, said.input]),
            Operation::Image | Operation::ImageEdit => any(&[said.picture, said.output, said.image_output]),
            Operation::Speech => {
                any(&[said.character_input, said.output, said.audio_output, said.second_output])
            }
            Operation::Transcription | Operation::Translation => {
                any(&[said.second_input, said.input, said.audio_input])
            }
            // It costs nothing anywhere.
            Operation::TokenCount => true,
            Operation::Native => false,
        }
    }

    /// Whether it prices audio that is made by its length.
    pub fn by_second_made(&self) -> bool {
        self.said.second_output.is_some()
    }

    /// Whether it prices audio that is sent by its length.
    pub fn by_second_sent(&self) -> bool {
        self.said.second_input.is_some()
    }

    /// True where no call can cost anything.
    pub fn is_free(&self) -> bool {
        let schedules =
            std::iter::once(&self.standard).chain(self.services.iter().map(|(_, schedule)| schedule));
        schedules.flat_map(Schedule::all).all(|rates| *rates == Resolved::default())
    }

    /// Every set of rates that may hold for a call within `bound`.
    fn candidates<'a>(&'a self, bound: &Bound<'_>) -> impl Iterator<Item = &'a Resolved> {
        let pinned = bound.service.map(|name| self.service(name).unwrap_or(&self.standard));
        let any = || {
            let named = self.services.iter().filter(|(name, _)| &**name != "batch");
            std::iter::once(&self.standard).chain(named.map(|(_, schedule)| schedule))
        };
        let prompt = bound.text_tokens.saturating_add(bound.media_tokens);
        let schedules: Vec<_> = pinned.map_or_else(|| any().collect(), |schedule| vec![schedule]);
        schedules.into_iter().flat_map(move |schedule| schedule.up_to(prompt))
    }

    fn service(&self, name: &str) -> Option<&Schedule> {
        if STANDARD.contains(&name) {
            return Some(&self.standard);
        }
        self.services.iter().find(|(known, _)| &**known == name).map(|(_, schedule)| schedule)
    }
}

impl Rates {
    /// Rates by their words in files.
    pub(crate) fn by_name(rate: impl Fn(&str) -> Option<Rate>) -> Self {
        Self {
            input: rate("input"),
            output: rate("output"),
            cache_read: rate("cache_read"),
            cache_write_5m: rate("cache_write_5m"),
            cache_write_1h: rate("cache_write_1h"),
            cache_write_12h: rate("cache_write_12h"),
            reasoning: rate("reasoning"),
            audio_input: rate("audio_input"),
            audio_output: rate("audio_output"),
            image_input: rate("image_input"),
            web_search: rate("web_search"),
            request: rate("request"),
            image_output: rate("image_output"),
            character_input: rate("character_input"),
            second_input: rate("second_input"),
            second_output: rate("second_output"),
            picture: rate("picture"),
            page: rate("page"),
            query: rate("query"),
        }
    }

    fn from_row(row: &RateRow) -> Self {
        Self::by_name(|name| {
            let place = RATES.iter().position(|known| *known == name)?;
            row.get(place).copied().flatten().map(Rate::from_picos)
        })
    }

    /// These rates, and those of `below` where these say nothing.
    fn or(self, below: &Self) -> Self {
        Self {
            input: self.input.or(below.input),
            output: self.output.or(below.output),
            cache_read: self.cache_read.or(below.cache_read),
            cache_write_5m: self.cache_write_5m.or(below.cache_write_5m),
            cache_write_1h: self.cache_write_1h.or(below.cache_write_1h),
            cache_write_12h: self.cache_write_12h.or(below.cache_write_12h),
            reasoning: self.reasoning.or(below.reasoning),
            audio_input: self.audio_input.or(below.audio_input),
            audio_output: self.audio_output.or(below.audio_output),
            image_input: self.image_input.or(below.image_input),
            web_search: self.web_search.or(below.web_search),
            request: self.request.or(below.request),
            image_output: self.image_output.or(below.image_output),
            character_input: self.character_input.or(below.character_input),
            second_input: self.second_input.or(below.second_input),
            second_output: self.second_output.or(below.second_output),
            picture: self.picture.or(below.picture),
            page: self.page.or(below.page),
            query: self.query.or(below.query),
        }
    }
}

/// Rates by the size of the prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Schedule {
    base: Resolved,
    /// By rising mark.
    tiers: Box<[(u64, Resolved)]>,
}

impl Schedule {
    fn new(base: &Rates, tiers: &[(u64, Rates)]) -> Self {
        let tiers = tiers.iter().map(|(over, rates)| (*over, Resolved::new(rates))).collect();
        Self { base: Resolved::new(base), tiers }
    }

    fn rates_for(&self, prompt: u64) -> &Resolved {
        self.up_to(prompt).last().unwrap_or(&self.base)
    }

    /// The rates of every prompt with at most so many tokens, by rising size.
    fn up_to(&self, prompt: u64) -> impl Iterator<Item = &Resolved> {
        let reached = self.tiers.iter().take_while(move |(over, _)| prompt > *over);
        std::iter::once(&self.base).chain(reached.map(|(_, rates)| rates))
    }

    fn all(&self) -> impl Iterator<Item = &Resolved> {
        self.up_to(u64::MAX)
    }
}

/// Rates with every gap filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Resolved {
    input: Rate,
    output: Rate,
    cache_read: Rate,
    cache_write_5m: Rate,
    cache_write_1h: Rate,
    cache_write_12h: Rate,
    reasoning: Rate,
    audio_input: Rate,
    audio_output: Rate,
    image_input: Rate,
    web_search: Rate,
    request: Rate,
    image_output: Rate,
    character_input: Rate,
    second_input: Rate,
    second_output: Rate,
    picture: Rate,
    page: Rate,
    query: Rate,
}

impl Resolved {
    fn new(rates: &Rates) -> Self {
        let input = rates.input.unwrap_or_default();
        let output = rates.output.unwrap_or_default();
        let short = rates.cache_write_5m.unwrap_or(input);
        let long = rates.cache_write_1h.unwrap_or(short);
        Self {
            input,
            output,
            cache_read: rates.cache_read.unwrap_or(input),
            cache_write_5m: short,
            cache_write_1h: long,
            cache_write_12h: rates.cache_write_12h.unwrap_or(long),
            reasoning: rates.reasoning.unwrap_or(output),
            audio_input: rates.audio_input.unwrap_or(input),
            audio_output: rates.audio_output.unwrap_or(output),
            image_input: rates.image_input.unwrap_or(input),
            web_search: rates.web_search.unwrap_or_default(),
            request: rates.request.unwrap_or_default(),
            image_output: rates.image_output.unwrap_or(output),
            character_input: rates.character_input.unwrap_or_default(),
            second_input: rates.second_input.unwrap_or_default(),
            second_output: rates.second_output.unwrap_or_default(),
            picture: rates.picture.unwrap_or_default(),
            page: rates.page.unwrap_or_default(),
            query: rates.query.unwrap_or_default(),
        }
    }

    /// Each token once: the input kinds of [`Usage`] exclude each other, and reasoning is taken out of output.
    fn cost(&self, usage: &Usage) -> Money {
        let reasoning = usage.reasoning.min(usage.output);
        let parts = [
            self.input.times(usage.input),
            self.cache_read.times(usage.cache_read),
            self.cache_write_5m.times(usage.cache_write_5m),
            self.cache_write_1h.times(usage.cache_write_1h),
            self.cache_write_12h.times(usage.cache_write_12h),
            self.audio_input.times(usage.audio_input),
            self.image_input.times(usage.image_input),
            self.output.times(usage.output - reasoning),
            self.reasoning.times(reasoning),
            self.audio_output.times(usage.audio_output),
            self.web_search.times(usage.web_searches),
            self.image_output.times(usage.image_output),
            self.request.times(1),
        ];
        let tokens = parts.into_iter().fold(0, u128::saturating_add);
        Money::from_picos_up(tokens.saturating_add(self.units(&usage.units)))
    }

    /// What is counted otherwise than in tokens, in pico-dollars.
    fn units(&self, units: &Units) -> u128 {
        if units.is_empty() {
            return 0;
        }
        let milliseconds = |rate: Rate, count: u64| rate.times(count).div_ceil(1_000);
        let parts = [
            self.character_input.times(units.characters),
            milliseconds(self.second_input, units.input_ms),
            milliseconds(self.second_output, units.output_ms),
            self.picture.times(units.pictures),
            self.page.times(units.pages),
            self.query.times(units.queries),
        ];
        parts.into_iter().fold(0, u128::saturating_add)
    }

    /// In pico-dollars. Whether a token of text will be written to a cache is not known before, so its dearest fate
    /// counts.
    fn input_most(&self, bound: &Bound<'_>) -> u128 {
        let text =
            [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.cache_write_12h];
        let text = text.into_iter().max().unwrap_or_default();
        let media = text.max(self.audio_input).max(self.image_input);
        let tokens = text.times(bound.text_tokens).saturating_add(media.times(bound.media_tokens));
        tokens.saturating_add(self.request.times(1)).saturating_add(self.units(&bound.units))
    }

    fn output_most(&self) -> Rate {
        self.output.max(self.reasoning).max(self.audio_output).max(self.image_output)
    }
}
