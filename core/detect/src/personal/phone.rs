//! Telephone numbers: ITU-T E.164 by its country codes, and national ways of writing.

use crate::Kind;
use crate::personal::number::{Digits, Judged};
use crate::walk::Walk;
use crate::words::Senses;

pub(crate) fn phone(walk: &Walk<'_>, digits: &Digits<'_>) -> Option<Judged> {
    let values = digits.values();
    let count = values.len();
    let told = walk.told(Senses::PHONE, digits.start);
    let abroad = !digits.plus && count >= 10 && values.starts_with(&[0, 0]);
    let score = if digits.plus {
        international(values).then_some(92)
    } else if abroad && international(values.get(2..)?) {
        (told || digits.groups > 1).then_some(82)
    } else {
        national(digits, told)
    };
    let dated = digits.groups == 3 && count <= 8 && !digits.text.contains(&b' ');
    score.filter(|_| !dated || digits.plus).map(|score| Judged {
        kind: Kind::Phone,
        label: "phone",
        score: if told { score.max(90) } else { score },
    })
}

/// Country code and subscriber, E.164: at most fifteen digits.
fn international(values: &[u8]) -> bool {
    let code =
        |length: usize| values.iter().take(length).fold(0_u32, |sum, &digit| sum * 10 + u32::from(digit));
    let length = match (code(1), code(2)) {
        (1 | 7, _) => 1,
        (
            _,
            20 | 27 | 30..=34 | 36 | 39..=41 | 43..=49 | 51..=58 | 60..=66 | 81 | 82 | 84 | 86 | 90..=95 | 98,
        ) => 2,
        (0, _) => return false,
        _ => 3,
    };
    let rest = values.len().saturating_sub(length);
    match code(1) {
        // North America's plan has ten digits, the first of area and exchange from 2 on.
        1 => rest == 10 && values.get(1).is_some_and(|digit| *digit >= 2),
        _ => (6..=13).contains(&rest) && values.len() <= 16,
    }
}

fn national(digits: &Digits<'_>, told: bool) -> Option<u8> {
    let values = digits.values();
    let form: Vec<u8> = shape(digits.text);
    let brackets = digits.text.first() == Some(&b'(');
    let dots = digits.text.contains(&b'.') || digits.text.contains(&b'-');
    let american = |values: &[u8]| values.first().is_some_and(|digit| *digit >= 2);
    if values.len() == 10 && form == [3, 3, 4] && american(values) && (told || brackets || dots) {
        return Some(if brackets { 90 } else { 85 });
    }
    if values.len() == 11 && form == [1, 3, 3, 4] && values.first() == Some(&1) {
        return Some(85);
    }
    let zero = values.first() == Some(&0) && values.get(1).is_some_and(|digit| *digit > 0);
    if zero && form == [2, 2, 2, 2, 2] {
        return Some(85);
    }
    let long = (6..=15).contains(&values.len());
    if told && long {
        return Some(80);
    }
    // An area code with its zero, and a gap behind it.
    let area = zero && (9..=12).contains(&values.len()) && (2..=4).contains(&form.len());
    let gap = form.first().is_some_and(|first| (2..=5).contains(first));
    (area && gap && !digits.text.contains(&b'.')).then_some(65)
}

/// The lengths of the groups.
fn shape(text: &[u8]) -> Vec<u8> {
    text.split(|byte| !byte.is_ascii_digit())
        .filter(|group| !group.is_empty())
        .map(|group| u8::try_from(group.len()).unwrap_or(u8::MAX))
        .collect()
}
