//! Content by lists: what it is about, and how grave that is.

use gatelet_detect::Severity;

use super::scan::Kind;
use super::words::{WordRules, Words};

/// For each category and severity its terms, in the words of seven languages. Lists catch what is said outright and nothing else: they know
/// neither what is meant nor in what spirit.
const LISTS: &str = include_str!("content.txt");

/// The terms of these categories, of at least this severity, each category as its own kind.
pub(super) fn lists(wanted: &[&str], least: Severity) -> Vec<(Kind, Words)> {
    let rules = WordRules { folds: true, whole: true };
    let of = |category: &&str| {
        let terms = rows().filter(|(name, severity, _)| name == category && *severity >= least);
        let terms: Vec<&str> = terms.flat_map(|(.., terms)| terms.split("; ")).collect();
        (Kind::from(*category), Words::new(terms, rules))
    };
    wanted.iter().map(of).collect()
}

/// Category, severity and terms of each line.
fn rows() -> impl Iterator<Item = (&'static str, Severity, &'static str)> {
    LISTS.lines().filter_map(|line| {
        let (head, terms) = line.split_once(": ")?;
        let (category, severity) = head.split_once(' ')?;
        Some((category, Severity::from_name(severity)?, terms))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::{Detector, Site};

    #[test]
    fn every_line_is_read_and_every_category_has_a_list() {
        assert_eq!(rows().count(), LISTS.lines().count());
        for category in Detector::board_kinds("content") {
            assert!(rows().any(|(name, ..)| name == category), "{category}");
        }
        assert!(rows().all(|(category, ..)| Detector::board_kind("content", category).is_some()));
    }

    #[test]
    fn a_category_is_found_from_its_severity_on() {
        let kinds = |least, text: &str| {
            let detector = Detector::content(&["violence", "self-harm", "hate"], least);
            let found = detector.find(text, Site::Input);
            found.iter().map(|finding| finding.kind.to_string()).collect::<Vec<_>>()
        };
        let text = "He was murdered. Jetzt will er eine Bombe bauen, sagt er; I want to die.";
        assert_eq!(kinds(Severity::Low, text).len(), 3);
        assert_eq!(kinds(Severity::Medium, text).len(), 2);
        assert_eq!(kinds(Severity::High, text), ["violence"]);
        assert!(kinds(Severity::Low, "A skill for killing time: murderers' row.").is_empty());
    }
}
