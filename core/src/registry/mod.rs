//! What is known of providers, models and prices, as data.
//!
//! `core/registry/<provider>.toml` declares it, `build.rs` checks it and embeds one compact table, this module gives a
//! typed view of that. Nothing is parsed before it is asked for: a provider is one line of JSON, a model another, found
//! by binary search in the text as it lies in the executable.

mod credential;
mod near;
mod price;
mod provider;
mod table;

use gatelet_wire::DialectId;

pub use credential::{Credential, NotAHeader};
pub use near::near_names;
pub use price::{Bound, Price, Rates};
pub use provider::{Model, Provider};
pub use table::{Auth, Capability, Catalogue, Kind, Quirks, Reasoning, Scheme, StreamUsage, ToolIds, When};
pub(crate) use table::{RATES, SINGLE};

/// The embedded table.
#[derive(Clone, Copy, Debug)]
pub struct Registry {
    entries: &'static [Entry],
}

/// One provider in the table.
#[derive(Debug)]
struct Entry {
    id: &'static str,
    /// A [`table::ProviderRow`] in JSON.
    provider: &'static str,
    /// Lines of [`table::ModelRow`] in JSON, sorted by id.
    models: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/registry.rs"));

impl Registry {
    /// The table that this build carries. Costs nothing.
    pub const fn embedded() -> Self {
        Self { entries: ENTRIES }
    }

    /// The ids of all providers, sorted.
    pub fn providers(self) -> impl Iterator<Item = &'static str> {
        self.entries.iter().map(|entry| entry.id)
    }

    /// What is known of a provider. None when the table has no such id.
    pub fn provider(self, id: &str) -> Option<Provider> {
        Provider::read(self.entry(id)?.provider)
    }

    /// What is known of a provider's model.
    ///
    /// `model` is matched as it is; then with the provider's declared prefix put in front of it or taken off
    /// (`llama-v3` for `accounts/fireworks/models/llama-v3`); and a fine-tuned model (`ft:<base>:…`) has the row of
    /// `ft:<base>`. Nothing is guessed beyond that: a name that is not in
    /// the table has no price, which is better than a wrong one.
    pub fn model(self, provider: &str, model: &str) -> Option<Model> {
        let entry = self.entry(provider)?;
        let prefix = || Provider::read(entry.provider)?.model_prefix;
        let tuned = || {
            let base = model.strip_prefix("ft:")?.split(':').next()?;
            find(entry.models, &format!("ft:{base}"))
        };
        let row = find(entry.models, model).or_else(tuned).or_else(|| {
            let prefix = prefix()?;
            match model.strip_prefix(prefix.as_str()) {
                Some(short) => find(entry.models, short),
                None => find(entry.models, &format!("{prefix}{model}")),
            }
        })?;
        Model::read(row)
    }

    /// The ids of a provider's models, sorted.
    pub fn models(self, provider: &str) -> impl Iterator<Item = &'static str> {
        let models = self.entry(provider).map_or("", |entry| entry.models);
        models.lines().map(line_id)
    }

    fn entry(self, id: &str) -> Option<&'static Entry> {
        let place = self.entries.binary_search_by(|entry| entry.id.cmp(id)).ok()?;
        self.entries.get(place)
    }
}

/// The dialect of a configuration word.
pub fn dialect(word: &str) -> Option<DialectId> {
    DialectId::ALL.iter().copied().find(|dialect| dialect.name() == word)
}

/// The line whose id is `id`, by binary search over sorted lines.
fn find(lines: &'static str, id: &str) -> Option<&'static str> {
    let (mut low, mut high) = (0, lines.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = lines.get(..middle)?.rfind('\n').map_or(0, |newline| newline + 1).max(low);
        let end = lines.get(middle..)?.find('\n').map_or(lines.len(), |newline| middle + newline);
        let line = lines.get(start..end)?;
        match line_id(line).cmp(id) {
            std::cmp::Ordering::Equal => return Some(line),
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

/// The id in a line `["<id>",…`; the build refuses ids that JSON would escape.
fn line_id(line: &str) -> &str {
    line.strip_prefix("[\"").and_then(|rest| rest.split('"').next()).unwrap_or("")
}

#[cfg(test)]
mod tests;
