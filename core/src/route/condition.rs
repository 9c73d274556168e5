//! What a rule asks of a request before it sends it elsewhere.

use fastrand::Rng;

use crate::domain::{Timestamp, Zone};

/// All that a rule asks; empty: nothing, and it holds for every request.
#[derive(Clone, Debug, Default)]
pub struct Condition {
    /// Each has one of its values. `*` is any.
    pub subjects: Vec<(Subject, Vec<Box<str>>)>,
    pub stream: Option<bool>,
    /// Tokens of input, as they are estimated: more than this, fewer than this.
    pub over: Option<u64>,
    pub under: Option<u64>,
    /// The request has each of these.
    pub has: Vec<Part>,
    pub hours: Option<Hours>,
    /// Of a thousand requests that it holds for otherwise, so many.
    pub mille: Option<u16>,
}

/// What is compared with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Tag,
    /// By its id or its alias.
    Key,
    Team,
    Org,
    Project,
    User,
    Customer,
    Header(Box<str>),
    /// Of the key.
    Metadata(Box<str>),
    /// Of the request's body: one that is a text, a number or a truth.
    Field(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Image,
    Audio,
    Document,
    Tools,
    Schema,
}

impl Part {
    pub const ALL: [Self; 5] = [Self::Image, Self::Audio, Self::Document, Self::Tools, Self::Schema];

    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Document => "document",
            Self::Tools => "tools",
            Self::Schema => "schema",
        }
    }
}

/// Times of the week, as clocks of a zone show them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// None: UTC.
    pub zone: Option<Zone>,
    /// Monday first.
    pub days: [bool; 7],
    /// Minutes since midnight: from the first, up to the second. Where that is earlier, it is one of the next day, and the
    /// night belongs to the day on which it began.
    pub between: (u16, u16),
}

impl Hours {
    fn hold(&self, now: Timestamp) -> bool {
        let second = now.seconds();
        let local = second.saturating_add(self.zone.map_or(0, |zone| zone.offset(second)));
        let minute = local.rem_euclid(86_400) / 60;
        // 1970-01-01 was a Thursday.
        let weekday = |days: i64| usize::try_from((days + 3).rem_euclid(7)).unwrap_or(0);
        let today = local.div_euclid(86_400);
        let on = |day: i64| self.days.get(weekday(day)).copied().unwrap_or(false);
        let (from, to) = (i64::from(self.between.0), i64::from(self.between.1));
        if from < to {
            on(today) && (from..to).contains(&minute)
        } else {
            (on(today) && minute >= from) || (on(today - 1) && minute < to)
        }
    }
}

/// What is known of a request.
pub trait Facts {
    /// Whether `subject` is, or has among others, `value`.
    fn is(&self, subject: &Subject, value: &str) -> bool;
    fn stream(&self) -> bool;
    /// Tokens of input, estimated.
    fn input(&self) -> u64;
    fn has(&self, part: Part) -> bool;
    fn now(&self) -> Timestamp;
}

impl Condition {
    /// Whether all of it holds. Chance is asked last, so that its share is of the requests that it holds for otherwise.
    pub fn holds(&self, facts: &dyn Facts, rng: &mut Rng) -> bool {
        self.subjects.iter().all(|(subject, values)| values.iter().any(|value| facts.is(subject, value)))
            && self.stream.is_none_or(|stream| stream == facts.stream())
            && self.over.is_none_or(|over| facts.input() > over)
            && self.under.is_none_or(|under| facts.input() < under)
            && self.has.iter().all(|part| facts.has(*part))
            && self.hours.as_ref().is_none_or(|hours| hours.hold(facts.now()))
            && self.mille.is_none_or(|mille| rng.u16(..1_000) < mille)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hours(zone: Option<&str>, days: &[usize], between: (u16, u16)) -> Hours {
        let zone = zone.map(|name| Zone::named(name).unwrap());
        Hours { zone, days: std::array::from_fn(|day| days.contains(&day)), between }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn hours_are_those_of_the_zones_clocks() {
        let office = hours(Some("Europe/Berlin"), &[0, 1, 2, 3, 4], (9 * 60, 17 * 60));
        // A Monday in winter and one in summer.
        assert!(!office.hold(at("2026-11-23T07:59:59Z")));
        assert!(office.hold(at("2026-11-23T08:00:00Z")));
        assert!(office.hold(at("2026-07-06T07:00:00Z")));
        assert!(!office.hold(at("2026-07-06T15:00:00Z")));
        assert!(!office.hold(at("2026-11-22T10:00:00Z")), "a Sunday");
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_began() {
        let friday = hours(None, &[4], (22 * 60, 6 * 60));
        assert!(friday.hold(at("2026-11-27T22:00:00Z")));
        assert!(friday.hold(at("2026-11-28T05:59:00Z")), "early on Saturday");
        assert!(!friday.hold(at("2026-11-28T22:00:00Z")));
        assert!(!friday.hold(at("2026-11-27T05:00:00Z")), "early on Friday");
    }

    proptest! {
        #[test]
        fn every_minute_of_a_week_is_in_hours_or_in_the_rest_of_the_day(minute in 0_i64..10_080, from in 1_u16..1_440, to in 1_u16..1_440) {
            prop_assume!(from != to);
            let now = at("2026-11-23T00:00:00Z").seconds() + minute * 60;
            let all = [0, 1, 2, 3, 4, 5, 6];
            let one = hours(None, &all, (from, to)).hold(Timestamp::from_seconds(now));
            let other = hours(None, &all, (to, from)).hold(Timestamp::from_seconds(now));
            prop_assert!(one != other);
        }
    }
}
