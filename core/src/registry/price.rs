//! Prices: what a call costs, and the most that it can cost.

use gatelet_catalogue::{Day, Meter};
use gatelet_wire::sort::sort_by;
use gatelet_wire::{Operation, Units, Usage};

use crate::domain::{Money, Rate, Timestamp};

/// The price of a model.
///
/// A tier holds for the whole request as soon as its prompt, cached tokens included, has more tokens than the tier's
/// mark. A service tier (`flex`, `priority`, `batch`) has rates and tiers of its own; what it leaves out is as in the
/// standard service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    standard: Schedule,
    services: Box<[(Box<str>, Schedule)]>,
    /// Prices that replace this one, by the rising day on which each begins to hold.
    later: Box<[(Day, Self)]>,
}

/// Of what a cost is made, in the order of [`Parts::NAMES`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts(pub [Money; 6]);

impl Parts {
    /// `other`: searches, pictures, seconds, fees for the request and the like.
    pub const NAMES: [&str; 6] = ["input", "cache_read", "cache_write", "output", "reasoning", "other"];

    /// Those that are anything.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Money)> {
        Self::NAMES.into_iter().zip(self.0).filter(|(_, money)| *money > Money::ZERO)
    }
}

/// Rates that a price names, in pico-dollars for one unit of each meter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rates(Vec<(Meter, Rate)>);

/// Rates that hold above marks, the marks rising.
pub type Tiers = Vec<(u64, Rates)>;

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
    pub fn flat(rates: &Rates) -> Self {
        Self::tiered(rates, Vec::new(), Vec::new())
    }

    /// Rates, tiers above marks that rise, and service tiers with theirs.
    pub fn tiered(rates: &Rates, tiers: Tiers, services: Vec<(Box<str>, Rates, Tiers)>) -> Self {
        let service = |(name, service, tiers): (Box<str>, Rates, Tiers)| {
            (name, Schedule::new(&service.or(rates), tiers))
        };
        let services = services.into_iter().map(service).collect();
        Self { standard: Schedule::new(rates, tiers), services, later: Box::default() }
    }

    /// The price of what costs nothing.
    pub fn free() -> Self {
        Self::flat(&[(Meter::Input, Rate::ZERO), (Meter::Output, Rate::ZERO)].into_iter().collect())
    }

    /// None where there is no price at all.
    pub(super) fn of(prices: &[gatelet_catalogue::Price]) -> Option<Self> {
        let (first, later) = prices.split_first()?;
        let rates = |rates: &gatelet_catalogue::Rates| -> Rates {
            rates.iter().map(|(meter, picos)| (*meter, Rate::from_picos(*picos))).collect()
        };
        let tiers = |schedule: &gatelet_catalogue::Schedule| {
            schedule.tiers.iter().map(|(mark, tier)| (*mark, rates(tier))).collect::<Vec<_>>()
        };
        let one = |price: &gatelet_catalogue::Price| {
            let services = price
                .services
                .iter()
                .map(|(name, service)| (name.as_str().into(), rates(&service.rates), tiers(service)));
            Self::tiered(&rates(&price.standard.rates), tiers(&price.standard), services.collect())
        };
        let later = later.iter().filter_map(|price| Some((price.from?, one(price)))).collect();
        Some(Self { later, ..one(first) })
    }

    /// The price that holds at a moment, by the day in UTC.
    pub fn at(&self, now: Timestamp) -> &Self {
        const DAY: i64 = 24 * 60 * 60;
        if self.later.is_empty() {
            return self;
        }
        let today = Day(u32::try_from(now.seconds() / DAY).unwrap_or_default());
        self.later.iter().rev().find(|(from, _)| *from <= today).map_or(self, |(_, price)| price)
    }

    /// What `usage` costs, rounded up to a nano-dollar once. `service` is the tier that the answer says it had; a tier
    /// that the price does not know costs what the standard service costs.
    pub fn cost(&self, usage: &Usage, service: Option<&str>) -> Money {
        self.bill(usage, &[], service)
    }

    /// Of what the cost is made: parts that add up to what [`cost`](Self::cost) says, to the nano-dollar.
    pub fn parts(&self, usage: &Usage, service: Option<&str>) -> Parts {
        let schedule = service.and_then(|name| self.service(name)).unwrap_or(&self.standard);
        let picos = schedule.rates_for(usage.input_total()).parts(usage);
        let (mut sum, mut before) = (0_u128, 0);
        Parts(picos.map(|part| {
            // What is rounded up once is parted as it grows.
            sum = sum.saturating_add(part);
            let all = Money::from_picos_up(sum).nanos();
            let own = all.saturating_sub(before);
            before = all;
            Money::from_nanos(own)
        }))
    }

    /// Tells this price from another: another number means other rates. FNV-1a of all that it names.
    pub fn version(&self) -> u32 {
        let mut hash = 0x811c_9dc5_u32;
        let mut push = |bytes: &[u8]| {
            for byte in bytes {
                hash = (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
            }
        };
        for (service, mark, rates) in self.sets() {
            push(service.unwrap_or_default().as_bytes());
            push(&mark.unwrap_or_default().to_le_bytes());
            for (meter, rate) in rates {
                push(meter.word().as_bytes());
                push(&rate.picos().to_le_bytes());
            }
        }
        hash
    }

    /// As [`cost`](Self::cost), for a call that used more than the tokens of `usage`: pictures, pages, queries,
    /// characters, and milliseconds where the meter counts seconds. What has no rate of its own, and none that stands for
    /// it, costs nothing.
    pub fn bill(&self, usage: &Usage, units: &[(Meter, u64)], service: Option<&str>) -> Money {
        let schedule = service.and_then(|name| self.service(name)).unwrap_or(&self.standard);
        let rates = schedule.rates_for(usage.input_total());
        let picos = units
            .iter()
            .fold(rates.tokens(usage), |sum, (meter, count)| sum.saturating_add(rates.unit(*meter, *count)));
        Money::from_picos_up(picos)
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

    /// What one unit costs in the standard service, where the price names it.
    pub fn rate(&self, meter: Meter) -> Option<Rate> {
        self.standard.named.get(meter)
    }

    /// Every set of rates as it is said: the service's name (none: the standard one), the mark above which it holds (none:
    /// from nothing on), and the rates, with those that it takes from the standard price.
    pub fn sets(&self) -> impl Iterator<Item = (Option<&str>, Option<u64>, &[(Meter, Rate)])> {
        let named = self.services.iter().map(|(name, schedule)| (Some(&**name), schedule));
        std::iter::once((None, &self.standard)).chain(named).flat_map(|(name, schedule)| {
            let tiers = schedule.named_tiers.iter().map(move |(over, rates)| (name, Some(*over), &*rates.0));
            std::iter::once((name, None, &*schedule.named.0)).chain(tiers)
        })
    }

    /// Whether it prices what `operation` uses. One that names a fee for the request alone prices every operation.
    pub fn covers(&self, operation: Operation) -> bool {
        let any = |meters: &[Meter]| meters.iter().any(|meter| self.rate(*meter).is_some());
        let flat = matches!(self.rates(), [(Meter::Request, _)]);
        let tokens = any(&[Meter::Input, Meter::Output]);
        flat || match operation {
            Operation::Chat | Operation::Completion | Operation::Moderation => tokens,
            Operation::Embedding | Operation::Rerank => any(&[Meter::Input, Meter::Query]),
            Operation::Image | Operation::ImageEdit => {
                any(&[Meter::Picture, Meter::Output, Meter::ImageOutput])
            }
            Operation::Speech => {
                any(&[Meter::CharacterInput, Meter::Output, Meter::AudioOutput, Meter::SecondOutput])
            }
            Operation::Transcription | Operation::Translation => {
                any(&[Meter::SecondInput, Meter::Input, Meter::AudioInput])
            }
            // It costs nothing anywhere.
            Operation::TokenCount => true,
            Operation::Native => self.is_free(),
        }
    }

    /// Whether it prices audio that is made by its length.
    pub fn by_second_made(&self) -> bool {
        self.rate(Meter::SecondOutput).is_some()
    }

    /// Whether it prices audio that is sent by its length.
    pub fn by_second_sent(&self) -> bool {
        self.rate(Meter::SecondInput).is_some()
    }

    /// What the price names for the standard service, in the order of meters.
    pub fn rates(&self) -> &[(Meter, Rate)] {
        &self.standard.named.0
    }

    /// True where no call can cost anything.
    pub fn is_free(&self) -> bool {
        let schedules =
            std::iter::once(&self.standard).chain(self.services.iter().map(|(_, schedule)| schedule));
        schedules.flat_map(Schedule::all).all(Resolved::is_free)
            && self.later.iter().all(|(_, price)| price.is_free())
    }

    /// Every set of rates that may hold for a call within `bound`.
    fn candidates<'a>(&'a self, bound: &Bound<'_>) -> impl Iterator<Item = &'a Resolved> {
        let pinned = bound.service.map(|name| self.service(name).unwrap_or(&self.standard));
        let others = self.services.iter().filter(move |(name, _)| pinned.is_none() && &**name != "batch");
        let prompt = bound.text_tokens.saturating_add(bound.media_tokens);
        std::iter::once(pinned.unwrap_or(&self.standard))
            .chain(others.map(|(_, schedule)| schedule))
            .flat_map(move |schedule| schedule.up_to(prompt))
    }

    fn service(&self, name: &str) -> Option<&Schedule> {
        if STANDARD.contains(&name) {
            return Some(&self.standard);
        }
        self.services.iter().find(|(known, _)| &**known == name).map(|(_, schedule)| schedule)
    }
}

impl FromIterator<(Meter, Rate)> for Rates {
    fn from_iter<I: IntoIterator<Item = (Meter, Rate)>>(rates: I) -> Self {
        let mut rates: Vec<_> = rates.into_iter().collect();
        sort_by(&mut rates, Ord::cmp);
        Self(rates)
    }
}

impl Rates {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get(&self, meter: Meter) -> Option<Rate> {
        self.0.iter().find(|(known, _)| *known == meter).map(|(_, rate)| *rate)
    }

    /// These rates, and those of `below` where these say nothing.
    fn or(&self, below: &Self) -> Self {
        let missing = below.0.iter().filter(|(meter, _)| self.get(*meter).is_none());
        self.0.iter().chain(missing).copied().collect()
    }
}

/// Rates by the size of the prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Schedule {
    named: Rates,
    named_tiers: Tiers,
    base: Resolved,
    /// By rising mark.
    tiers: Box<[(u64, Resolved)]>,
}

impl Schedule {
    /// What a tier leaves out is as below its mark.
    fn new(base: &Rates, tiers: Tiers) -> Self {
        let named_tiers: Tiers = tiers.into_iter().map(|(over, rates)| (over, rates.or(base))).collect();
        let tiers = named_tiers.iter().map(|(over, rates)| (*over, Resolved::new(rates))).collect();
        Self { named: base.clone(), base: Resolved::new(base), named_tiers, tiers }
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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    image_output: Rate,
    web_search: Rate,
    request: Rate,
    /// What a conversation's usage does not count.
    others: Box<[(Meter, Rate)]>,
}

impl Resolved {
    fn new(rates: &Rates) -> Self {
        let input = rates.get(Meter::Input).unwrap_or_default();
        let output = rates.get(Meter::Output).unwrap_or_default();
        let short = rates.get(Meter::CacheWrite5m).unwrap_or(input);
        let long = rates.get(Meter::CacheWrite1h).unwrap_or(short);
        Self {
            input,
            output,
            cache_read: rates.get(Meter::CacheRead).unwrap_or(input),
            cache_write_5m: short,
            cache_write_1h: long,
            cache_write_12h: rates.get(Meter::CacheWrite12h).unwrap_or(long),
            reasoning: rates.get(Meter::Reasoning).unwrap_or(output),
            audio_input: rates.get(Meter::AudioInput).unwrap_or(input),
            audio_output: rates.get(Meter::AudioOutput).unwrap_or(output),
            image_input: rates.get(Meter::ImageInput).unwrap_or(input),
            image_output: rates.get(Meter::ImageOutput).unwrap_or(output),
            web_search: rates.get(Meter::WebSearch).unwrap_or_default(),
            request: rates.get(Meter::Request).unwrap_or_default(),
            others: rates.0.iter().filter(|(meter, _)| !is_usage(*meter)).copied().collect(),
        }
    }

    fn is_free(&self) -> bool {
        let free = Self { others: self.others.clone(), ..Self::default() };
        *self == free && self.others.iter().all(|(_, rate)| *rate == Rate::ZERO)
    }

    /// Each token once: the input kinds of [`Usage`] exclude each other, and reasoning is taken out of output. In
    /// pico-dollars.
    fn tokens(&self, usage: &Usage) -> u128 {
        self.parts(usage).into_iter().fold(0, u128::saturating_add)
    }

    /// The same in parts, as [`Parts`] names them.
    fn parts(&self, usage: &Usage) -> [u128; 6] {
        let reasoning = usage.reasoning.min(usage.output);
        let sum = |parts: &[u128]| parts.iter().copied().fold(0, u128::saturating_add);
        [
            sum(&[
                self.input.times(usage.input),
                self.audio_input.times(usage.audio_input),
                self.image_input.times(usage.image_input),
            ]),
            self.cache_read.times(usage.cache_read),
            sum(&[
                self.cache_write_5m.times(usage.cache_write_5m),
                self.cache_write_1h.times(usage.cache_write_1h),
                self.cache_write_12h.times(usage.cache_write_12h),
            ]),
            sum(&[
                self.output.times(usage.output - reasoning),
                self.audio_output.times(usage.audio_output),
                self.image_output.times(usage.image_output),
            ]),
            self.reasoning.times(reasoning),
            sum(&[
                self.web_search.times(usage.web_searches),
                self.request.times(1),
                self.units(&usage.units),
            ]),
        ]
    }

    /// What is counted otherwise than in tokens, in pico-dollars.
    fn units(&self, units: &Units) -> u128 {
        if units.is_empty() {
            return 0;
        }
        let parts = [
            (Meter::CharacterInput, units.characters),
            (Meter::SecondInput, units.input_ms),
            (Meter::SecondOutput, units.output_ms),
            (Meter::Picture, units.pictures),
            (Meter::Page, units.pages),
            (Meter::Query, units.queries),
        ];
        parts.into_iter().map(|(meter, count)| self.unit(meter, count)).fold(0, u128::saturating_add)
    }

    /// What `count` units cost, in pico-dollars; of a meter that counts seconds, milliseconds.
    fn unit(&self, meter: Meter, count: u64) -> u128 {
        let rate = self.rate(meter);
        if counts_seconds(meter) { rate.times(count).div_ceil(1_000) } else { rate.times(count) }
    }

    /// The rate of a meter, or of the one that stands for it: the particular follows the general.
    fn rate(&self, meter: Meter) -> Rate {
        let own = || self.others.iter().find(|(known, _)| *known == meter).map(|(_, rate)| *rate);
        let or = |other: Meter| own().unwrap_or_else(|| self.rate(other));
        match meter {
            Meter::Input => self.input,
            Meter::Output => self.output,
            Meter::CacheRead => self.cache_read,
            Meter::CacheWrite5m => self.cache_write_5m,
            Meter::CacheWrite1h => self.cache_write_1h,
            Meter::CacheWrite12h => self.cache_write_12h,
            Meter::Reasoning => self.reasoning,
            Meter::AudioInput => self.audio_input,
            Meter::AudioOutput => self.audio_output,
            Meter::ImageInput => self.image_input,
            Meter::ImageOutput => self.image_output,
            Meter::WebSearch => self.web_search,
            Meter::Request => self.request,
            Meter::AudioCacheRead | Meter::ImageCacheRead => or(Meter::CacheRead),
            Meter::AudioCacheWrite => or(Meter::CacheWrite5m),
            Meter::VideoOutput => or(Meter::Output),
            Meter::VideoInput => or(Meter::Input),
            Meter::AnnotatedPage => or(Meter::Page),
            Meter::AudioSecondInput | Meter::VideoSecondInput => or(Meter::SecondInput),
            Meter::VideoSecondOutput
            | Meter::Second480p
            | Meter::Second720p
            | Meter::Second768p
            | Meter::Second1080p
            | Meter::Second2k
            | Meter::Second4k => or(Meter::SecondOutput),
            Meter::Citation
            | Meter::CharacterInput
            | Meter::CharacterOutput
            | Meter::PixelInput
            | Meter::PixelOutput
            | Meter::MapsSearch
            | Meter::Query
            | Meter::PictureInput
            | Meter::Picture
            | Meter::Page
            | Meter::CodeSession
            | Meter::SecondInput
            | Meter::SecondOutput => own().unwrap_or_default(),
        }
    }

    /// In pico-dollars. Whether a token of text will be written to a cache is not known before, so its dearest fate
    /// counts.
    fn input_most(&self, bound: &Bound<'_>) -> u128 {
        let text =
            [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h, self.cache_write_12h];
        let text = text.into_iter().max().unwrap_or_default();
        let media = text.max(self.audio_input).max(self.image_input).max(self.rate(Meter::VideoInput));
        let tokens = text.times(bound.text_tokens).saturating_add(media.times(bound.media_tokens));
        tokens.saturating_add(self.request.times(1)).saturating_add(self.units(&bound.units))
    }

    fn output_most(&self) -> Rate {
        self.output.max(self.reasoning).max(self.audio_output).max(self.image_output)
    }
}

/// What [`Usage`] counts, and the fee of a request.
const fn is_usage(meter: Meter) -> bool {
    matches!(
        meter,
        Meter::Input
            | Meter::Output
            | Meter::CacheRead
            | Meter::CacheWrite5m
            | Meter::CacheWrite1h
            | Meter::CacheWrite12h
            | Meter::Reasoning
            | Meter::AudioInput
            | Meter::AudioOutput
            | Meter::ImageInput
            | Meter::ImageOutput
            | Meter::WebSearch
            | Meter::Request
    )
}

const fn counts_seconds(meter: Meter) -> bool {
    matches!(
        meter,
        Meter::SecondInput
            | Meter::SecondOutput
            | Meter::AudioSecondInput
            | Meter::VideoSecondInput
            | Meter::VideoSecondOutput
            | Meter::Second480p
            | Meter::Second720p
            | Meter::Second768p
            | Meter::Second1080p
            | Meter::Second2k
            | Meter::Second4k
    )
}
