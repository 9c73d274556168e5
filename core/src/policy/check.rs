//! Checks of targets that nobody has asked for: which, how, and how often.

use std::sync::Arc;
use std::time::Duration;

use super::document::duration;
use super::model::Target;
use super::read::{At, Reader, Spot};
use super::{Policy, Resolution};

/// One of `health.checks`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// `provider/model`, or all whose names begin so: `provider/*`.
    pub targets: Vec<Box<str>>,
    pub every: Duration,
    pub how: Probe,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A question of one word, which the provider bills.
    Chat,
    /// A GET of a path below the provider's base.
    Get(Box<str>),
}

const CHECK: [&str; 3] = ["targets", "every", "get"];

/// Every key of it, for the test that the reference explains it.
#[cfg(test)]
pub(super) fn known_keys() -> Vec<&'static str> {
    CHECK.to_vec()
}

/// Reads `health.checks`, with the place of each target's name.
pub(super) fn checks(reader: &mut Reader<'_>, at: &At<'_>) -> Vec<(Check, Vec<Spot>)> {
    const MOST: usize = 64;
    let list = at.list();
    if list.len() > MOST {
        reader.note(&at.spot, format!("expected at most {MOST} checks"));
    }
    list.iter().filter_map(|at| check(reader, at)).collect()
}

fn check(reader: &mut Reader<'_>, at: &At<'_>) -> Option<(Check, Vec<Spot>)> {
    let fields = reader.fields(at, &CHECK, &[])?;
    let named = fields.get("targets").map(At::list).unwrap_or_default();
    if named.is_empty() {
        reader.note(&fields.spot, "expected `targets`: names such as openai/gpt-4o, or openai/*");
    }
    let (mut targets, mut spots) = (Vec::new(), Vec::new());
    for at in &named {
        if let Some(name) = reader.text(at, "the name of a target, such as openai/gpt-4o, or openai/*") {
            targets.push(name.into());
            spots.push(at.spot.clone());
        }
    }
    let long = |text: &str| duration(text).filter(|time| *time >= Duration::from_secs(10));
    let every = fields.get("every");
    let every = every.and_then(|at| reader.parsed(at, "a duration of at least 10s, such as 1m", long));
    let path = |text: &str| (text.starts_with('/') && !text.contains([' ', '#'])).then(|| text.into());
    let how = match fields.get("get") {
        None => Probe::Chat,
        Some(at) => {
            Probe::Get(reader.parsed(at, "a path below the provider's base, such as /models", path)?)
        }
    };
    Some((Check { targets, every: every.unwrap_or(Duration::from_mins(1)), how }, spots))
}

/// Notes names that no target has.
pub(super) fn known(reader: &mut Reader<'_>, policy: &Policy, checks: &[(Check, Vec<Spot>)]) {
    for (check, spots) in checks {
        for (name, spot) in check.targets.iter().zip(spots) {
            if policy.named(name).is_empty() {
                reader.note(
                    spot,
                    format!(
                        "no target `{name}`: expected `provider/model` of one in `models`, or `provider/*`"
                    ),
                );
            }
        }
    }
}

impl Policy {
    /// Targets of models by the name of one, or by what the names of several begin with; each once.
    pub fn named(&self, name: &str) -> Vec<Arc<Target>> {
        let fits = |target: &Target| match name.strip_suffix('*') {
            Some(prefix) => target.name().starts_with(prefix),
            None => **target.name() == *name,
        };
        let mut found: Vec<Arc<Target>> = Vec::new();
        let listed = self.models.values().flat_map(|model| &model.targets);
        for target in listed.filter(|target| fits(target)) {
            if !found.iter().any(|known| known.name() == target.name()) {
                found.push(target.clone());
            }
        }
        if found.is_empty()
            && !name.ends_with('*')
            && let Resolution::Found(model) = self.resolve(name)
        {
            // What a wildcard makes of it.
            found.extend(model.targets.iter().filter(|target| fits(target)).take(1).cloned());
        }
        found
    }
}
