//! Providers and models as the program sees them.

use gatelet_catalogue::{Capabilities, Capability, Day, Entry, Mode};
use gatelet_wire::edit::MessageEdit;
use gatelet_wire::{DialectId, Edit, Operation};

use super::Row;
use super::price::Price;
use super::table::{Also, Auth, Catalogue, Endpoint, Kind, ProviderRow, Quirks, Scheme, When};

/// A provider as its file declares it, without a credential.
#[derive(Clone, Debug)]
pub struct Provider {
    pub id: String,
    /// The name that people know it by.
    pub name: String,
    pub kind: Kind,
    /// The word for its language, which this build may not speak.
    pub dialect: String,
    /// Where it listens, by the convention of its dialect, without a slash at the end; `{name}` is to be filled in.
    pub base: String,
    /// Where conversations are sent after the base, whole ones and streams, where that is not the dialect's own path.
    pub paths: [Option<String>; 2],
    /// Where tokens are counted after the base, where that is not the dialect's own path.
    pub count_path: Option<String>,
    /// Nobody has confirmed the base: it is used only where the admin says that it is right.
    pub confirm: bool,
    /// Bases of single regions, by their words.
    pub bases: Vec<(String, String)>,
    pub also: Vec<Also>,
    /// Ways to prove who sends a request, the usual one first; none where there is nothing to prove.
    pub auth: Vec<Auth>,
    /// By place in the base, the variables that usually hold what stands for it.
    pub fill: Vec<(String, Vec<String>)>,
    /// What stands for a place that nothing else fills.
    pub usual: Vec<(String, String)>,
    /// Places of which one at least must be filled.
    pub needs: Vec<String>,
    /// Headers that every request carries.
    pub headers: Vec<(String, String)>,
    pub endpoints: Vec<Endpoint>,
    pub regions: Vec<String>,
    /// The provider whose models it has too.
    pub models: Option<String>,
    /// Changes to a request of the same dialect, in order.
    pub edits: Vec<Edit>,
    /// Changes to requests of other operations, in order.
    pub edits_on: Vec<(Operation, Vec<Edit>)>,
    /// Changes for models with a capability, applied after `edits`.
    pub when: Vec<When>,
    pub quirks: Quirks,
    /// A model without a price of its own costs nothing here.
    pub free: bool,
    pub catalogue: Catalogue,
    /// What callers may leave out in front of a model's id.
    pub model_prefix: Option<String>,
}

impl Provider {
    /// A line that the build has written is readable.
    pub(super) fn read(line: &Row) -> Option<Self> {
        let row: ProviderRow = gatelet_wire::json::from_str(line.json).ok()?;
        let mut edits = if row.classic { classic().to_vec() } else { Vec::new() };
        edits.extend(row.edits);
        Some(Self {
            dialect: row.dialect,
            id: line.id.to_owned(),
            name: row.name,
            kind: row.kind,
            base: row.base,
            paths: [row.path.clone(), row.stream_path.or(row.path)],
            count_path: row.count_path,
            confirm: row.confirm,
            bases: row.bases.into_iter().collect(),
            also: row.also,
            auth: row.auth,
            fill: row.fill.into_iter().collect(),
            usual: row.usual.into_iter().collect(),
            needs: row.needs,
            headers: row.headers.into_iter().collect(),
            endpoints: row.endpoints,
            regions: row.regions,
            models: row.models,
            edits,
            edits_on: row
                .edits_on
                .into_iter()
                .filter_map(|(word, edits)| {
                    Some((Operation::edited().find(|operation| operation.name() == word)?, edits))
                })
                .collect(),
            when: row.when,
            quirks: row.quirks,
            free: row.free,
            catalogue: row.catalogue,
            model_prefix: row.model_prefix,
        })
    }

    /// Its language, if this build speaks it.
    pub fn dialect(&self) -> Option<DialectId> {
        super::dialect(&self.dialect)
    }

    /// The usual way to prove who sends a request.
    pub fn scheme(&self) -> Option<&Scheme> {
        self.auth.first().map(|auth| &auth.scheme)
    }

    /// Whether `place` stands anywhere in it: what the configuration says of others has no meaning.
    pub fn has_place(&self, place: &str) -> bool {
        let braced = format!("{{{place}}}");
        let edits = serde_json::to_string(&self.edits).unwrap_or_default();
        let texts = self.paths.iter().chain([&self.count_path]).flatten();
        let texts = texts.chain(self.headers.iter().map(|(_, value)| value)).chain([&self.base, &edits]);
        let schemes = self.auth.iter().filter_map(|auth| match &auth.scheme {
            Scheme::Oauth(address) => Some(address),
            _ => None,
        });
        texts.chain(schemes).any(|text| text.contains(&braced))
            || self.fill.iter().any(|(known, _)| known == place)
    }

    /// Every request needs a secret.
    pub fn needs_secret(&self) -> bool {
        !self.auth.is_empty() && !self.auth.iter().any(|auth| auth.optional)
    }
}

/// What the dialect's first servers want said otherwise than its newest clients say it.
fn classic() -> [Edit; 3] {
    [
        Edit::Rename("max_completion_tokens".to_owned(), "max_tokens".to_owned()),
        Edit::Messages(MessageEdit::DeveloperToSystem),
        Edit::Messages(MessageEdit::DropCacheMarks),
    ]
}

/// A model as the catalogue knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The provider's own name for it.
    pub id: String,
    pub mode: Mode,
    /// Tokens of input and output together.
    pub context: Option<u64>,
    /// The most output tokens of one answer.
    pub max_output: Option<u64>,
    /// Numbers in an embedding, at most.
    pub dimensions: Option<u64>,
    pub capabilities: Capabilities,
    /// The day on which its provider shuts it down.
    pub ends: Option<Day>,
    /// None where no source names one.
    pub price: Option<Price>,
}

impl Model {
    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities.has(capability)
    }
}

impl From<Entry> for Model {
    fn from(entry: Entry) -> Self {
        let known = |count: u64| (count > 0).then_some(count);
        Self {
            mode: entry.mode,
            context: known(entry.context),
            max_output: known(entry.max_output),
            dimensions: known(entry.dimensions),
            capabilities: entry.capabilities,
            ends: entry.ends,
            price: Price::of(&entry.prices),
            id: entry.id,
        }
    }
}
