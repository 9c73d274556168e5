//! Sorting in little code: the standard library's sorts are up to five kilobytes for each type and each order.

use std::cmp::Ordering;

/// Sorts stably. For lists of entries: what is sorted often, or may be long, is for the standard library.
pub fn sort_by<T>(list: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    if list.len() < 2 {
        return;
    }
    let targets = targets(list.len(), &|one, other| compare(&list[one], &list[other]));
    settle(targets, &mut |one, other| list.swap(one, other));
}

/// Swaps until each is where it goes.
fn settle(mut targets: Vec<usize>, swap: &mut dyn FnMut(usize, usize)) {
    for at in 0..targets.len() {
        while targets[at] != at {
            let target = targets[at];
            swap(at, target);
            targets.swap(at, target);
        }
    }
}

/// Where each of so many goes.
fn targets(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut sorted: Vec<usize> = (0..count).collect();
    sorted.sort_unstable_by(|one, other| compare(*one, *other).then(one.cmp(other)));
    let mut targets = vec![0; count];
    for (target, from) in sorted.into_iter().enumerate() {
        targets[from] = target;
    }
    targets
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_what_the_standard_library_makes_of_it(mut list: Vec<(u8, u32)>) {
            let mut wanted = list.clone();
            wanted.sort_by_key(|(key, _)| *key);
            sort_by(&mut list, |one, other| one.0.cmp(&other.0));
            prop_assert_eq!(list, wanted);
        }
    }
}
