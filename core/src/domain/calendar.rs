//! Dates and times of day in UTC, and the texts in which others write moments.
//!
//! The proleptic Gregorian calendar from the year 0 to 9999, by hand: calendars of all times and zones weigh a
//! thirtieth of the Worker. A law holds it to one of them.

use super::Timestamp;

/// A moment as a calendar in UTC shows it, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// 0 to 9999.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
}

const DAY: i64 = 86_400;
/// 0000-01-01T00:00:00Z and 9999-12-30T22:00:01Z: the first that is shown, and the first that is not. The last
/// day is left out, for the zones in which it is over before.
const SHOWN: std::ops::Range<i64> = -62_167_219_200..253_402_207_201;

impl Civil {
    /// None: no calendar shows it.
    pub fn of(at: Timestamp) -> Option<Self> {
        let seconds = at.seconds();
        if !SHOWN.contains(&seconds) {
            return None;
        }
        let (days, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
        // Days since 0000-03-01 in eras of 400 years; years that begin in March have their odd day at the end.
        // http://howardhinnant.github.io/date_algorithms.html#civil_from_days
        let days = days + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day = day - (365 * year + year / 4 - year / 100);
        let shifted = (5 * day + 2) / 153;
        let day = day - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year + era * 400 + i64::from(month <= 2);
        Some(Self { year, month, day, hour: second / 3_600, minute: second / 60 % 60, second: second % 60 })
    }

    /// The first moment of a month, in seconds since 1970; months beyond 12 are those of the years after. None: no
    /// calendar shows it.
    pub fn month_begins(year: i64, month: i64) -> Option<i64> {
        let (year, month) = (year + (month - 1).div_euclid(12), (month - 1).rem_euclid(12) + 1);
        let begins = days(year, month, 1) * DAY;
        SHOWN.contains(&begins).then_some(begins)
    }
}

/// Days from 1970-01-01 to a date.
/// <http://howardhinnant.github.io/date_algorithms.html#days_from_civil>
pub(super) fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year * 365 + year / 4 - year / 100 + day - 719_468
}

/// The weekday of a day since 1970-01-01; 0 is Sunday.
pub(super) fn weekday(day: i64) -> i64 {
    // 1970-01-01 was a Thursday.
    (day + 4).rem_euclid(7)
}

fn month_length(year: i64, month: i64) -> i64 {
    days(year + month / 12, month % 12 + 1, 1) - days(year, month, 1)
}

/// Reads RFC 3339: `2026-12-01T00:00:00Z`, with parts of a second and offsets.
pub(super) fn rfc3339(text: &str) -> Option<Timestamp> {
    let text = text.as_bytes();
    let (head, mut rest) = text.split_at_checked(19)?;
    let [_, _, _, _, b'-', _, _, b'-', _, _, b'T' | b't' | b' ', _, _, b':', _, _, b':', _, _] = head else {
        return None;
    };
    let field = |from: usize, to: usize| number(head.get(from..to)?);
    let seconds =
        moment([field(0, 4)?, field(5, 7)?, field(8, 10)?, field(11, 13)?, field(14, 16)?, field(17, 19)?])?;
    let mut micros = 0;
    if let [b'.', after @ ..] = rest {
        let length = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, after) = after.split_at(length);
        // What is finer than a microsecond is left out.
        let digits = digits.get(..length.min(6)).filter(|_| (1..=9).contains(&length))?;
        micros = number(digits)? * 10_i64.pow(6 - u32::try_from(digits.len()).ok()?);
        rest = after;
    }
    let at = match rest {
        b"Z" | b"z" => seconds,
        [sign @ (b'+' | b'-'), hours @ .., b':', _, _] | [sign @ (b'+' | b'-'), hours @ .., _, _]
            if hours.len() == 2 =>
        {
            let (hours, minutes) = (number(hours)?, number(rest.get(rest.len() - 2..)?)?);
            seconds - offset(*sign, hours, minutes)?
        }
        _ => return None,
    };
    SHOWN.contains(&at).then(|| Timestamp::from_micros(at * 1_000_000 + micros))
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
/// 1970-01-01 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// Writes the dates of HTTP (RFC 9110): `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn imf_fixdate(civil: Civil, seconds: i64) -> String {
    let Civil { year, month, day, hour, minute, second } = civil;
    let name = |names: &[&'static str], at: i64| {
        usize::try_from(at).ok().and_then(|at| names.get(at).copied()).unwrap_or_default()
    };
    let weekday = name(&WEEKDAYS, seconds.div_euclid(DAY).rem_euclid(7));
    let month = name(&MONTHS, month - 1);
    format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Reads the dates of HTTP and of mail: `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(super) fn rfc2822(text: &str) -> Option<Timestamp> {
    let text = text.split_once(',').map_or(text, |(_, date)| date);
    let mut words = text.split_ascii_whitespace();
    let day = number(words.next()?.as_bytes())?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| month.eq_ignore_ascii_case(name))?;
    let year = words.next().filter(|year| year.len() == 4)?;
    let mut time = words.next()?.split(':').map(|part| number(part.as_bytes()));
    let (hour, minute, second) = (time.next()??, time.next()??, time.next().unwrap_or(Some(0))?);
    let seconds =
        moment([number(year.as_bytes())?, i64::try_from(month).ok()? + 1, day, hour, minute, second])?;
    let seconds = match words.next()?.as_bytes() {
        b"GMT" | b"UT" | b"UTC" => seconds,
        [sign @ (b'+' | b'-'), hours_minutes @ ..] if hours_minutes.len() == 4 => {
            let (hours, minutes) = hours_minutes.split_at(2);
            seconds - offset(*sign, number(hours)?, number(minutes)?)?
        }
        _ => return None,
    };
    words.next().is_none().then_some(Timestamp::from_seconds(seconds))
}

/// Seconds since 1970 of a year, month, day, hour, minute and second; a leap second is the one before it.
fn moment([year, month, day, hour, minute, second]: [i64; 6]) -> Option<i64> {
    let possible = (1..=12).contains(&month)
        && (1..=month_length(year, month)).contains(&day)
        && (hour < 24 && minute < 60 && second <= 60);
    possible.then(|| days(year, month, day) * DAY + hour * 3_600 + minute * 60 + second.min(59))
}

/// Seconds east of UTC.
fn offset(sign: u8, hours: i64, minutes: i64) -> Option<i64> {
    let seconds = hours * 3_600 + minutes * 60;
    let signed = if sign == b'-' { -seconds } else { seconds };
    (hours < 24 && minutes < 60).then_some(signed)
}

/// Digits and nothing else.
fn number(digits: &[u8]) -> Option<i64> {
    let plain = !digits.is_empty() && digits.len() <= 9 && digits.iter().all(u8::is_ascii_digit);
    plain.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_that_are_no_moments_are_none() {
        for text in [
            "",
            "2026-12-01",
            "2026-12-01T00:00:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-12-00T00:00:00Z",
            "2026-12-01T24:00:00Z",
            "2026-12-01T00:60:00Z",
            "2026-12-01T00:00:00.Z",
            "2026-12-01T00:00:00+2:00",
            "2026-12-01T00:00:00+24:00",
            "2026-12-01T00:00:00Zulu",
            "+026-12-01T00:00:00Z",
            "2026-12-01T00:00:00é",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(rfc3339(text), None, "{text}");
        }
        for text in ["", "Sun, 06 Nov 1994", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 CET"]
        {
            assert_eq!(rfc2822(text), None, "{text}");
        }
    }

    #[test]
    fn forms_that_are_seen_in_the_field_are_read() {
        let noon = Timestamp::from_seconds(1_780_315_200);
        for text in [
            "2026-06-01T12:00:00Z",
            "2026-06-01t12:00:00z",
            "2026-06-01 12:00:00Z",
            "2026-06-01T12:00:00.000Z",
            "2026-06-01T14:00:00+02:00",
            "2026-06-01T14:00:00+0200",
            "2026-06-01T06:30:00-05:30",
        ] {
            assert_eq!(rfc3339(text), Some(noon), "{text}");
        }
        for text in [
            "Mon, 01 Jun 2026 12:00:00 GMT",
            "1 Jun 2026 12:00 GMT",
            "Mon, 1 jun 2026 14:00:00 +0200",
            "Mon, 01 Jun 2026 12:00:00 UT",
        ] {
            assert_eq!(rfc2822(text), Some(noon), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_is_read_as_another_calendar_writes_it(micros in -62_167_219_200_000_000..253_402_207_200_000_000_i64) {
            let other = jiff::Timestamp::from_microsecond(micros).unwrap();
            prop_assert_eq!(rfc3339(&other.to_string()), Some(Timestamp::from_micros(micros)));
            let zoned = jiff::tz::Offset::constant(-9).to_datetime(other);
            let text = format!("{zoned}-09:00");
            if zoned.year() >= 0 {
                prop_assert_eq!(rfc3339(&text), Some(Timestamp::from_micros(micros)));
            }
            let civil = jiff::tz::Offset::UTC.to_datetime(other);
            let date = [i64::from(civil.year()), civil.month().into(), civil.day().into()];
            let time = [i64::from(civil.hour()), civil.minute().into(), civil.second().into()];
            let mine = Civil::of(Timestamp::from_micros(micros)).unwrap();
            prop_assert_eq!([mine.year, mine.month, mine.day], date);
            prop_assert_eq!([mine.hour, mine.minute, mine.second], time);
        }

        #[test]
        fn dates_of_http_are_read_as_another_calendar_writes_them(seconds in 0..253_402_207_200_i64) {
            let other = jiff::Timestamp::from_second(seconds).unwrap();
            let text = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&other).unwrap();
            prop_assert_eq!(rfc2822(&text), Some(Timestamp::from_seconds(seconds)));
            prop_assert_eq!(Timestamp::from_seconds(seconds).to_http(), text);
        }

        #[test]
        fn whatever_the_other_calendar_does_not_read_is_not_read(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?Z") {
            let micros = |at: jiff::Timestamp| i64::try_from(at.as_nanosecond().div_euclid(1_000)).unwrap();
            let other = text.parse().ok().map(|at| Timestamp::from_micros(micros(at)));
            let shown = other.filter(|at| SHOWN.contains(&at.seconds()));
            prop_assert_eq!(rfc3339(&text), shown, "{}", text);
        }
    }
}
