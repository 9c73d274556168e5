//! Time zones by name: their rules of today, in a table of a few kilobytes.

use super::calendar::{days, weekday};

/// A zone of the table. Two are the same when their names are.
#[derive(Clone, Copy, Debug)]
pub struct Zone {
    name: &'static str,
    rule: &'static str,
}

static TABLE: &str = include_str!("zones.txt");

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Zone {}

impl std::hash::Hash for Zone {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl Zone {
    /// The zone of a name such as `Europe/Berlin`; names are those of IANA, letter by letter.
    pub fn named(name: &str) -> Option<Self> {
        lines().find_map(|(rule, mut names)| {
            let name = names.find(|known| *known == name)?;
            Some(Self { name, rule })
        })
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Seconds east of UTC at a moment.
    pub fn offset(&self, second: i64) -> i64 {
        // Changes that no rule says; the rule is in force before the first of them and from the last on.
        let mut parts = self.rule.split('@');
        let mut rule = parts.next().unwrap_or_default();
        let mut carried = None;
        for part in parts {
            let (at, east, after) = change(part);
            if !after.is_empty() {
                rule = after;
                carried = carried.filter(|_| at > second);
            } else if at <= second {
                carried = Some(east);
            }
        }
        carried.unwrap_or_else(|| Rule::read(rule).map_or(0, |rule| rule.offset(second)))
    }

    /// The first second of what the zone's clocks show as `local` (seconds since 1970, as if it were UTC) or, where they skip
    /// that, of what they show next; the first of two where they show it twice.
    pub fn first(&self, local: i64) -> i64 {
        // No zone is a day away, none changes twice in two days.
        const DAY: i64 = 86_400;
        let (before, after) = (self.offset(local - DAY), self.offset(local + DAY));
        let (early, late) = (local - before.max(after), local - before.min(after));
        match (before, after) {
            _ if before == after => early,
            // Set back: it is shown twice, if the change lies between.
            _ if before > after => {
                if self.offset(early) == before {
                    early
                } else {
                    late
                }
            }
            _ if self.offset(late) == before => late,
            _ if self.offset(early) == after => early,
            // Set forward over it: the moment of the change.
            _ => {
                let (mut low, mut high) = (early, late);
                while low + 1 < high {
                    let middle = low.midpoint(high);
                    if self.offset(middle) == before { low = middle } else { high = middle }
                }
                high
            }
        }
    }
}

/// Rules with their names.
fn lines() -> impl Iterator<Item = (&'static str, impl Iterator<Item = &'static str>)> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let (rule, names) = line.split_once(' ')?;
        Some((rule, names.split(' ')))
    })
}

/// The moment of a carried change, the offset from then on, and the rule that follows the last.
fn change(text: &str) -> (i64, i64, &str) {
    let (at, text) = text.split_at(text.find(['+', '-']).unwrap_or(text.len()));
    let end = text.char_indices().skip(1).find(|(_, c)| !c.is_ascii_digit()).map_or(text.len(), |(at, _)| at);
    let (east, rule) = text.split_at(end);
    (at.parse().unwrap_or(i64::MAX), east.parse().unwrap_or(0), rule)
}

/// POSIX's TZ, as far as the table uses it.
struct Rule {
    /// Seconds east of UTC.
    standard: i64,
    /// With its offset, when it begins by standard time and when it ends by its own.
    summer: Option<(i64, Change, Change)>,
}

/// A weekday of a month, and a time of that day, which may lie before or after it.
struct Change {
    month: i64,
    /// 1 to 5; 5 is the last.
    week: i64,
    /// 0 is Sunday.
    weekday: i64,
    seconds: i64,
}

impl Rule {
    fn read(text: &str) -> Option<Self> {
        let text = skip_name(text)?;
        let (west, text) = hours(text)?;
        let standard = -west;
        if text.is_empty() {
            return Some(Self { standard, summer: None });
        }
        let text = skip_name(text)?;
        // An hour, unless it is said.
        let (offset, changes) = if let Some(changes) = text.strip_prefix(',') {
            (standard + 3_600, changes)
        } else {
            let (west, rest) = hours(text)?;
            (-west, rest.strip_prefix(',')?)
        };
        let (begins, ends) = changes.split_once(',')?;
        Some(Self { standard, summer: Some((offset, Change::read(begins)?, Change::read(ends)?)) })
    }

    fn offset(&self, second: i64) -> i64 {
        let Some((offset, begins, ends)) = &self.summer else { return self.standard };
        let Some(civil) = super::Civil::of(super::Timestamp::from_seconds(second + self.standard)) else {
            return self.standard;
        };
        let begins = begins.of(civil.year) - self.standard;
        let ends = ends.of(civil.year) - offset;
        // South of the equator summer lies around the turn of the year.
        let summer =
            if begins < ends { (begins..ends).contains(&second) } else { !(ends..begins).contains(&second) };
        if summer { *offset } else { self.standard }
    }
}

impl Change {
    /// `M3.5.0`, `M3.5.0/-1`.
    fn read(text: &str) -> Option<Self> {
        let (day, time) = text.split_once('/').unwrap_or((text, "2"));
        let mut parts = day.strip_prefix('M')?.split('.').map(|part| part.parse().ok());
        let (month, week, weekday) = (parts.next()??, parts.next()??, parts.next()??);
        Some(Self { month, week, weekday, seconds: hours(time)?.0 })
    }

    /// Seconds since 1970 by the clock on the wall.
    fn of(&self, year: i64) -> i64 {
        let first = days(year, self.month, 1);
        let next = days(year + self.month / 12, self.month % 12 + 1, 1);
        let mut day = first + (self.weekday - weekday(first)).rem_euclid(7) + (self.week - 1) * 7;
        if day >= next {
            day -= 7;
        }
        day * 86_400 + self.seconds
    }
}

/// `CET`, `<+0330>`.
fn skip_name(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('<') {
        return quoted.split_once('>').map(|(_, rest)| rest);
    }
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    text.get(end..)
}

/// `2`, `-5:30`: seconds, and what follows.
fn hours(text: &str) -> Option<(i64, &str)> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'-' => (-1, text.get(1..)?),
        b'+' => (1, text.get(1..)?),
        _ => (1, text),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit() && c != ':').unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    let mut seconds = 0;
    for (part, unit) in number.split(':').zip([3_600, 60, 1]) {
        seconds += part.parse::<i64>().ok()? * unit;
    }
    Some((sign * seconds, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01 and 2036-12-31.
    const YEARS: std::ops::Range<i64> = 1_767_225_600..2_114_294_400;

    fn rules() -> impl Iterator<Item = (&'static str, Zone)> {
        lines().map(|(rule, mut names)| (rule, Zone { name: names.next().unwrap(), rule }))
    }

    #[test]
    fn every_rule_is_what_another_calendar_makes_of_it() {
        let mut summers = 0;
        for (rule, zone) in rules().filter(|(rule, _)| !rule.starts_with('@')) {
            let other = jiff::tz::TimeZone::posix(rule).unwrap();
            let of =
                |second| i64::from(other.to_offset(jiff::Timestamp::from_second(second).unwrap()).seconds());
            // Around every change, and now and then.
            let start = jiff::Timestamp::from_second(YEARS.start).unwrap();
            let changes = other.following(start).map(|change| change.timestamp().as_second());
            let changes: Vec<i64> = changes.take_while(|second| *second < YEARS.end).collect();
            summers += usize::from(!changes.is_empty());
            let around = changes.iter().flat_map(|at| [at - 3_601, at - 1, *at, at + 1, at + 3_600]);
            for second in around.chain(YEARS.step_by(86_400 * 5 + 1)) {
                assert_eq!(zone.offset(second), of(second), "{rule} at {second}");
            }
            // Midnight and other times of the days around, skipped and repeated ones included.
            for day in changes.iter().flat_map(|at| (-2..=2).map(move |day| at.div_euclid(86_400) + day)) {
                for minute in (0..24 * 60).step_by(15) {
                    let local = day * 86_400 + minute * 60;
                    let civil =
                        jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::from_second(local).unwrap());
                    let first = other.to_ambiguous_timestamp(civil);
                    let first = match first.offset() {
                        jiff::tz::AmbiguousOffset::Gap { before, .. } => {
                            // The change itself.
                            let after = local - i64::from(before.seconds());
                            *changes.iter().filter(|at| **at <= after).max().unwrap()
                        }
                        _ => first.earlier().unwrap().as_second(),
                    };
                    assert_eq!(zone.first(local), first, "{rule}: {civil}");
                }
            }
        }
        assert!(summers > 20, "{summers}");
    }

    #[test]
    fn changes_that_no_rule_says_come_first() {
        let gaza = Zone::named("Asia/Gaza").unwrap();
        assert!(gaza.rule.starts_with('@'));
        let mut last = None;
        for (at, offset, rule) in gaza.rule.split('@').skip(1).map(change) {
            assert!(last.is_none_or(|last| gaza.offset(at - 1) == last), "{at}");
            assert_eq!(gaza.offset(at), offset, "{at}: {rule}");
            last = Some(offset);
        }
        assert!(last.is_some());
    }

    #[test]
    fn zones_have_their_names_alone() {
        assert_eq!(Zone::named("Europe/Berlin").unwrap().offset(1_782_864_000), 7_200);
        assert_eq!(Zone::named("Asia/Kolkata").unwrap().offset(0), 19_800);
        for unknown in ["", "Europe", "europe/berlin", "Mars/Base", "CET-1", "#", "Europe/Berlin "] {
            assert_eq!(Zone::named(unknown), None, "{unknown}");
        }
        assert!(lines().map(|(_, names)| names.count()).sum::<usize>() > 300);
        for (rule, _) in lines() {
            let rule = rule.rsplit_once('@').map_or(rule, |(_, last)| change(last).2);
            assert!(Rule::read(rule).is_some(), "{rule}");
        }
    }
}
