//! Providers and models as the program sees them.

use gatelet_wire::{DialectId, Edit};

use super::price::Price;
use super::table::{Auth, Capability, Catalogue, Kind, ModelRow, ProviderRow, Quirks, When};

/// A provider as its file declares it, without a credential.
#[derive(Clone, Debug)]
pub struct Provider {
    pub id: String,
    /// The name that people know it by.
    pub name: String,
    pub kind: Kind,
    pub dialect: DialectId,
    /// Where it listens, by the convention of its dialect, without a slash at the end; `{name}` is to be filled in.
    pub base: String,
    /// None where no request needs a credential.
    pub auth: Option<Auth>,
    /// Headers that every request carries.
    pub headers: Vec<(String, String)>,
    /// Changes to a request of the same dialect, in order.
    pub edits: Vec<Edit>,
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
    pub(super) fn read(row: &str) -> Option<Self> {
        let row: ProviderRow = serde_json::from_str(row).ok()?;
        Some(Self {
            dialect: row.dialect,
            id: row.id,
            name: row.name,
            kind: row.kind,
            base: row.base,
            auth: row.auth,
            headers: row.headers.into_iter().collect(),
            edits: row.edits,
            when: row.when,
            quirks: row.quirks,
            free: row.free,
            catalogue: row.catalogue,
            model_prefix: row.model_prefix,
        })
    }
}

/// A model as the table knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The provider's own name for it.
    pub id: String,
    /// Tokens of input and output together.
    pub context: Option<u64>,
    /// The most output tokens of one answer.
    pub max_output: Option<u64>,
    pub capabilities: Vec<Capability>,
    /// The date (`YYYY-MM-DD`) on which its provider shuts it down.
    pub deprecated: Option<String>,
    /// None where no source names one.
    pub price: Option<Price>,
}

impl Model {
    pub(super) fn read(row: &str) -> Option<Self> {
        let row: ModelRow = serde_json::from_str(row).ok()?;
        let known = |count: u64| (count > 0).then_some(count);
        let capability = |letter| {
            Capability::LETTERS.iter().find(|(known, _)| *known == letter).map(|(_, capability)| *capability)
        };
        Some(Self {
            id: row.id,
            context: known(row.context),
            max_output: known(row.max_output),
            capabilities: row.capabilities.chars().filter_map(capability).collect(),
            deprecated: Some(row.deprecated).filter(|date| !date.is_empty()),
            price: row.price.as_ref().map(Price::from_row),
        })
    }

    pub fn has(&self, capability: Capability) -> bool {
        self.capabilities.contains(&capability)
    }
}
