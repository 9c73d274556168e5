//! What is known of providers, models and prices, as data.
//!
//! `core/registry/<provider>.toml` declares a provider, `core/registry/models/<provider>.models` its models; `build.rs`
//! checks them and embeds all providers and the models of the main ones. The full catalogue is bytes of the same form,
//! which a host may load. Nothing is parsed before it is asked for: a provider is a line of JSON, found by binary search
//! in the text as it lies in the executable; a model is found in the catalogue's bytes where they lie.

mod credential;
mod near;
mod price;
mod provider;
mod stated;
mod table;
pub mod token;

use bytes::Bytes;
use gatelet_wire::DialectId;

pub(crate) use credential::Shown;
pub use credential::{Credential, NotAHeader};
pub use gatelet_catalogue::{Capabilities, Capability, Day, Meter, Mode, NotACatalogue, Per, picos};
use gatelet_catalogue::{Entry, Table};
pub use near::near_names;
pub use price::{Bound, Parts, Price, Rates, Tiers};
pub use provider::{Model, Provider};
pub(crate) use table::NATIVE;
pub use table::PLACES;
pub use table::{
    Also, Auth, Betas, Catalogue, Endpoint, Kind, Quirks, Reasoning, Scheme, StatedCost, StreamUsage, When,
};

/// All providers, and what is known of their models. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Registry {
    /// A catalogue that the host has loaded: what it says stands, what it does not know the embedded one may.
    loaded: Option<Bytes>,
}

/// The name under which a store may have a catalogue, as `gatelet catalogue` writes it.
pub const CATALOGUE: &str = "catalogue";

/// A line `<id>\t<JSON>` for each provider, `<alias>\t=<id>` for each other name; sorted.
const PROVIDERS: &str = include_str!(concat!(env!("OUT_DIR"), "/providers.txt"));

/// The models of the main providers.
const MODELS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/embedded.catalogue"));

/// All models of all providers, for hosts that have room for them.
#[cfg(feature = "full-catalogue")]
const ALL_MODELS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/full.catalogue"));

impl Default for Registry {
    fn default() -> Self {
        Self::embedded()
    }
}

impl Registry {
    /// What every build carries. Costs nothing.
    pub const fn embedded() -> Self {
        Self { loaded: None }
    }

    /// With all models of all providers.
    #[cfg(feature = "full-catalogue")]
    pub const fn full() -> Self {
        Self { loaded: Some(Bytes::from_static(ALL_MODELS)) }
    }

    /// With a catalogue that the host has loaded, which goes before the embedded one.
    ///
    /// # Errors
    /// The bytes are damaged, no catalogue, or one of another version.
    pub fn with_catalogue(bytes: Bytes) -> Result<Self, NotACatalogue> {
        Table::checked(&bytes)?;
        Ok(Self { loaded: Some(bytes) })
    }

    /// The bytes of the catalogue that was loaded, to be given to another host.
    pub fn catalogue(&self) -> &[u8] {
        self.loaded.as_deref().unwrap_or(MODELS)
    }

    /// The ids of all providers, sorted.
    pub fn providers(&self) -> impl Iterator<Item = &'static str> + use<> {
        rows().filter(|row| !row.json.starts_with('=')).map(|row| row.id)
    }

    /// What is known of all providers, in the order of ids. Reads every row: about a millisecond.
    pub fn known_providers(&self) -> impl Iterator<Item = Provider> + use<> {
        rows().filter_map(|row| Provider::read(&row))
    }

    /// What is known of a provider, by its id or another name of it; `_` counts as `-`. None when nobody has that name.
    pub fn provider(&self, name: &str) -> Option<Provider> {
        Provider::read(&row(name)?)
    }

    /// What is known of a provider's model.
    ///
    /// `model` is matched as it is; then with the provider's declared prefix put in front of it or taken off
    /// (`llama-v3` for `accounts/fireworks/models/llama-v3`); and a fine-tuned model (`ft:<base>:…`) has the row of
    /// `ft:<base>`; and some dialects have names that say more than the model (Bedrock's profiles). Nothing is guessed beyond that: a name that is not in
    /// the table has no price, which is better than a wrong one.
    pub fn model(&self, provider: &str, model: &str) -> Option<Model> {
        if let Some(entry) = self.find(provider, model) {
            return Some(entry.into());
        }
        if let Some(base) = model.strip_prefix("ft:").and_then(|tuned| tuned.split(':').next())
            && let Some(entry) = self.find(provider, &format!("ft:{base}"))
        {
            return Some(entry.into());
        }
        let row = self.provider(provider)?;
        let owner = row.models.as_deref().unwrap_or(&row.id);
        let entry = self.find(owner, model).or_else(|| {
            let prefix = row.model_prefix.as_deref()?;
            match model.strip_prefix(prefix) {
                Some(short) => self.find(owner, short),
                None => self.find(owner, &format!("{prefix}{model}")),
            }
        });
        let entry = entry.or_else(|| {
            let names = row.dialect()?.dialect().known_names(model);
            names.iter().find_map(|name| self.find(owner, name))
        });
        entry.map(Model::from)
    }

    /// What a picture of a quality and a size is billed by, where a provider prices those one by one
    /// (`hd/1024-x-1024/dall-e-3`); else the model itself.
    pub fn picture_model(
        &self,
        provider: &str,
        model: &str,
        quality: Option<&str>,
        size: Option<&str>,
    ) -> Option<Model> {
        let size = size.map(|size| size.replace('x', "-x-"));
        let both = size.as_ref().zip(quality).map(|(size, quality)| format!("{quality}/{size}/{model}"));
        let by_size = size.map(|size| format!("{size}/{model}"));
        let found = [both, by_size].into_iter().flatten().find_map(|id| self.find(provider, &id));
        found.map(Model::from).or_else(|| self.model(provider, model))
    }

    /// The ids of a provider's models, sorted.
    pub fn models(&self, provider: &str) -> Vec<String> {
        let owner = self.owner(provider);
        self.tables()
            .find(|table| table.has_provider(&owner))
            .map_or_else(Vec::new, |table| table.ids(&owner).collect())
    }

    /// All that is known of a provider's models, sorted by id.
    pub fn known_models(&self, provider: &str) -> Vec<Model> {
        let owner = self.owner(provider);
        let table = self.tables().find(|table| table.has_provider(&owner));
        table.map_or_else(Vec::new, |table| table.entries(&owner).map(Model::from).collect())
    }

    /// Whether the models of a provider are known here, if they are known anywhere.
    pub fn has_models(&self, provider: &str) -> bool {
        let owner = self.owner(provider);
        self.loaded.is_some() || self.tables().any(|table| table.has_provider(&owner))
    }

    fn owner(&self, provider: &str) -> String {
        let row = self.provider(provider);
        row.map_or_else(|| provider.to_owned(), |row| row.models.unwrap_or(row.id))
    }

    fn find(&self, provider: &str, model: &str) -> Option<Entry> {
        self.tables().find_map(|table| table.find(provider, model))
    }

    /// The loaded catalogue, then the embedded one.
    fn tables(&self) -> impl Iterator<Item = Table<'_>> {
        let bytes = self.loaded.as_deref().into_iter().chain(std::iter::once(MODELS));
        bytes.filter_map(|bytes| Table::new(bytes).ok())
    }
}

/// The dialect of a configuration word.
pub fn dialect(word: &str) -> Option<DialectId> {
    DialectId::ALL.iter().copied().find(|dialect| dialect.name() == word)
}

/// A line of [`PROVIDERS`], taken apart.
struct Row {
    id: &'static str,
    /// Or `=` and the id of the provider whose name it is too.
    json: &'static str,
}

impl Row {
    fn of(line: &'static str) -> Option<Self> {
        line.split_once('\t').map(|(id, json)| Self { id, json })
    }
}

fn rows() -> impl Iterator<Item = Row> {
    PROVIDERS.lines().filter_map(Row::of)
}

/// The row of a provider, by its id or an alias.
fn row(name: &str) -> Option<Row> {
    let row = line(&name.replace('_', "-"))?;
    match row.json.strip_prefix('=') {
        Some(id) => line(id),
        None => Some(row),
    }
}

/// The line whose id is `id`, by binary search over sorted lines.
fn line(id: &str) -> Option<Row> {
    let (mut low, mut high) = (0, PROVIDERS.len());
    while low < high {
        let middle = low + (high - low) / 2;
        let start = PROVIDERS.get(..middle)?.rfind('\n').map_or(0, |newline| newline + 1).max(low);
        let end = PROVIDERS.get(middle..)?.find('\n').map_or(PROVIDERS.len(), |newline| middle + newline);
        let row = Row::of(PROVIDERS.get(start..end)?)?;
        match row.id.cmp(id) {
            std::cmp::Ordering::Equal => return Some(row),
            std::cmp::Ordering::Less => low = end + 1,
            std::cmp::Ordering::Greater => high = start,
        }
    }
    None
}

#[cfg(test)]
mod bills;
#[cfg(test)]
mod tests;
