//! "Did you mean": names that resemble one that does not exist.

use gatelet_wire::sort::sort_by;

/// The names nearest to `name`, best first, at most three; those that share nothing with it are left out.
pub fn near_names<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let allowed = (name.chars().count() / 3).min(4);
    let mut near: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|candidate| Some((distance(name, candidate, allowed)?, candidate)))
        .collect();
    sort_by(&mut near, Ord::cmp);
    near.dedup();
    near.into_iter().take(3).map(|(_, candidate)| candidate).collect()
}

/// How far apart two names are: letters added, left out, changed, or swapped with a neighbour; case counts nothing. A
/// name that continues the other at a word's end (`gpt-4o` and `gpt-4o-mini`) is as far as allowed at most. None
/// where it is more than `most`.
fn distance(one: &str, other: &str, most: usize) -> Option<usize> {
    const LONGEST: usize = 128;
    // Most names fall out here, before anything is copied.
    let plain = one.is_ascii() && other.is_ascii();
    if plain && one.len().abs_diff(other.len()) > most && !other.starts_with(one) && !one.starts_with(other) {
        return None;
    }
    let letters = |name: &str| -> Vec<char> {
        name.chars().map(|letter| letter.to_ascii_lowercase()).take(LONGEST).collect()
    };
    let (one, other) = (letters(one), letters(other));
    if continues(&one, &other) || continues(&other, &one) {
        return Some(most);
    }
    if one.len().abs_diff(other.len()) > most {
        return None;
    }
    // Three rows of the usual table: the one being filled, the one above, and the one above that, for swaps.
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = Vec::with_capacity(other.len() + 1);
        row.push(i + 1);
        for (j, b) in other.iter().enumerate() {
            let mut cost = (above[j] + usize::from(a != b)).min(above[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                cost = cost.min(before[j - 1] + 1);
            }
            row.push(cost);
        }
        if row.iter().all(|cost| *cost > most) {
            return None;
        }
        before = std::mem::replace(&mut above, row);
    }
    above.last().copied().filter(|cost| *cost <= most)
}

fn continues(long: &[char], short: &[char]) -> bool {
    short.len() >= 3
        && long.strip_prefix(short).and_then(<[char]>::first).is_some_and(|next| !next.is_alphanumeric())
}
