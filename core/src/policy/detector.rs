//! What a guard looks for in texts, as admins write it.

use std::sync::Arc;

use gatelet_detect::Severity;
use gatelet_detect::language::Language;

use super::guard::{Chain, PATTERN, needed};
use super::read::{At, Reader};
use crate::guard::{Action, Check, Detector, Hosts, Pattern, Schema, Shape, Whole, WordRules, Words};

pub(super) fn patterns(
    reader: &mut Reader<'_>,
    name: &Arc<str>,
    chain: &Chain<'_>,
    actions: &mut Vec<(Arc<str>, Action)>,
) -> Option<Vec<(Arc<str>, Pattern)>> {
    const MOST: usize = 200;
    let at = needed(reader, chain, "patterns", "regular expressions, by the names of what they find")?;
    let entries: Vec<(Arc<str>, At<'_>)> = if at.is_scalar() || at.is_list() {
        at.list().into_iter().map(|at| (name.clone(), at)).collect()
    } else {
        reader.entries(at)?.into_iter().map(|(name, at)| (name.into(), at)).collect()
    };
    if entries.is_empty() || entries.len() > MOST {
        reader.note(&at.spot, format!("expected from 1 to {MOST} patterns"));
        return None;
    }
    let mut patterns = Vec::new();
    for (kind, at) in entries {
        let (text, spot, longest) = if at.is_scalar() {
            (reader.verbatim(&at)?, at.spot.clone(), None)
        } else {
            let fields = reader.fields(&at, &PATTERN, &[])?;
            let Some(text) = fields.get("pattern") else {
                reader.note(&at.spot, "expected `pattern`");
                return None;
            };
            let modes = "block, mask, flag or shadow";
            if let Some(mode) = fields.get("mode").and_then(|at| reader.parsed(at, modes, Action::read)) {
                actions.push((kind.clone(), mode));
            }
            let bytes =
                |text: &str| text.parse().ok().filter(|most| (1..=Pattern::MOST_LONGEST).contains(most));
            let expected = format!("a number of bytes from 1 to {}", Pattern::MOST_LONGEST);
            let longest = fields.get("longest").and_then(|at| reader.parsed(at, &expected, bytes));
            (reader.verbatim(text)?, text.spot.clone(), longest)
        };
        match Pattern::read(&text, longest.unwrap_or(Pattern::LONGEST)) {
            Ok(pattern) => patterns.push((kind, pattern)),
            Err(problem) => reader.note(&spot, format!("not a pattern that can be looked for: {problem}")),
        }
    }
    Some(patterns)
}

pub(super) fn words(reader: &mut Reader<'_>, name: &Arc<str>, chain: &Chain<'_>) -> Option<Detector> {
    let at = needed(reader, chain, "words", "a list of terms")?;
    let list = at.list();
    let terms: Vec<String> = list.iter().filter_map(|at| reader.text(at, "a term")).collect();
    let letters: usize = terms.iter().map(String::len).sum();
    if terms.is_empty() || terms.len() > Words::MOST_TERMS || letters > Words::MOST_LETTERS {
        let most = (Words::MOST_TERMS, Words::MOST_LETTERS);
        reader.note(&at.spot, format!("expected from 1 to {} terms of {} bytes in all", most.0, most.1));
        return None;
    }
    if let Some(long) = terms.iter().position(|term| term.len() > Words::LONGEST || term.is_empty()) {
        let spot = list.get(long).map_or_else(|| at.spot.clone(), |at| at.spot.clone());
        reader.note(&spot, format!("expected a term of 1 to {} bytes", Words::LONGEST));
        return None;
    }
    let mut flag = |key: &str| {
        chain.get(key).and_then(|at| reader.parsed(at, "true or false", |text| text.parse().ok()))
    };
    let rules =
        WordRules { folds: flag("ignore_case").unwrap_or(true), whole: flag("whole_words").unwrap_or(true) };
    let kind = chain.get("name").and_then(|at| reader.text(at, "a name for what is found"));
    let kind = kind.map_or_else(|| name.clone(), Into::into);
    Some(Detector::Words(vec![(kind, Words::new(terms.iter().map(String::as_str), rules))]))
}

/// The form that answers are held to: that of `schema`, or what each request asks for.
pub(super) fn shape(reader: &mut Reader<'_>, chain: &Chain<'_>) -> Option<Shape> {
    let Some(at) = chain.get("schema") else { return Some(Shape::Asked) };
    // Of JSON as text, so that `"1"` is no number.
    let text = reader.text(at, "a JSON Schema, as text that is JSON")?;
    let schema = gatelet_wire::json::from_str(&text).map_err(|problem| problem.to_string());
    match schema.and_then(Schema::read) {
        Ok(schema) => Some(Shape::Own(Arc::new(schema))),
        Err(problem) => {
            reader.note(&at.spot, format!("not a schema that answers can be held to: {problem}"));
            None
        }
    }
}

/// What the gateway itself can find.
pub(super) fn board(
    reader: &mut Reader<'_>,
    family: &str,
    chain: &Chain<'_>,
    actions: &mut Vec<(Arc<str>, Action)>,
) -> Detector {
    let wanted = wanted(reader, family, chain, actions);
    let least = score(reader, chain).unwrap_or(50);
    Detector::board(family, &wanted, least)
}

/// Categories of content, by lists.
pub(super) fn content(
    reader: &mut Reader<'_>,
    chain: &Chain<'_>,
    actions: &mut Vec<(Arc<str>, Action)>,
) -> Detector {
    let wanted = wanted(reader, "content", chain, actions);
    let severity = chain.get("severity").and_then(|at| {
        let graded =
            |word: &str| Severity::from_name(word).filter(|severity| *severity != Severity::Critical);
        reader.parsed(at, "low, medium or high", graded)
    });
    Detector::content(&wanted, severity.unwrap_or(Severity::Medium))
}

/// The kinds of a family that are named, each once with what follows; none: all of them.
fn wanted(
    reader: &mut Reader<'_>,
    family: &str,
    chain: &Chain<'_>,
    actions: &mut Vec<(Arc<str>, Action)>,
) -> Vec<&'static str> {
    let known: Vec<&str> = Detector::board_kinds(family);
    let expected = format!("one of {}", known.join(", "));
    let mut wanted: Vec<&'static str> = Vec::new();
    let lists = [
        ("kinds", None),
        ("block", Some(Action::Block)),
        ("mask", Some(Action::Mask)),
        ("flag", Some(Action::Flag)),
        ("shadow", Some(Action::Shadow)),
    ];
    for (key, action) in lists {
        for at in chain.get(key).map(At::list).unwrap_or_default() {
            let named = |text: &str| Detector::board_kind(family, text);
            let Some(kind) = reader.parsed(&at, &expected, named) else { continue };
            if !wanted.contains(&kind) {
                wanted.push(kind);
            }
            actions.extend(action.map(|action| (Arc::from(kind), action)));
        }
    }
    wanted
}

pub(super) fn score(reader: &mut Reader<'_>, chain: &Chain<'_>) -> Option<u8> {
    let at = chain.get("score")?;
    let percent = |text: &str| text.trim_end_matches('%').parse::<u8>().ok().filter(|score| *score <= 100);
    reader.parsed(at, "how sure it must be, from 0% to 100%", percent)
}

pub(super) fn links(reader: &mut Reader<'_>, chain: &Chain<'_>) -> Option<Detector> {
    let mut hosts = |key: &str| -> Option<Vec<String>> {
        let named = |text: &str| {
            let name = text.strip_prefix("*.").unwrap_or(text);
            let plain = |letter: char| letter.is_alphanumeric() || "-.".contains(letter);
            let sound = (1..=253).contains(&name.len()) && name.chars().all(plain);
            sound.then(|| text.to_ascii_lowercase())
        };
        let list = chain.get(key)?.list();
        Some(
            list.iter()
                .filter_map(|at| reader.parsed(at, "a host, or `*.` and one for all below it", named))
                .collect(),
        )
    };
    let (allow, deny) = (hosts("allow"), hosts("deny"));
    if allow.is_none() && deny.is_none() {
        reader.note(&chain.spot, "expected `allow` or `deny`: hosts that addresses may lead to, or may not");
        return None;
    }
    let hosts = Hosts { allow, deny: deny.unwrap_or_default() };
    Some(Detector::Links("link".into(), Arc::new(hosts)))
}

pub(super) fn whole(kind: &str, whole: Whole) -> Check {
    Check::Texts(Detector::Whole(kind.into(), Arc::new(whole)))
}

pub(super) fn language(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Language> {
    let codes: Vec<&str> = Language::ALL.into_iter().map(Language::code).collect();
    let known = |text: &str| Language::ALL.into_iter().find(|language| language.code() == text);
    reader.parsed(at, &format!("one of {}", codes.join(", ")), known)
}
