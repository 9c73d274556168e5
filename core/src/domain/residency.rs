//! Where requests may go, and what is kept of them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Regions and providers to which a key, a team or an organisation is pinned. What it does not say it leaves open; several
/// pins bind all together.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Residency {
    /// Regions by name, such as `eu-west-1`, or all whose names begin so: `eu*`. What nobody knows the region of is outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 64), inner(length(min = 1, max = 64))))]
    pub regions: Option<Vec<String>>,
    /// Providers by their names in the configuration.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(min = 1, max = 64), inner(length(min = 1, max = 64))))]
    pub providers: Option<Vec<String>>,
}

impl Residency {
    /// Of regions, and of providers.
    pub const MOST: usize = 64;

    /// Whether a target may be called.
    pub fn allows(&self, provider: &str, region: Option<&str>) -> bool {
        self.allows_region(region)
            && self.providers.as_ref().is_none_or(|pinned| pinned.iter().any(|name| name == provider))
    }

    /// Whether anything may be kept there: of what is no provider, the region counts alone.
    pub fn allows_region(&self, region: Option<&str>) -> bool {
        let Some(pinned) = &self.regions else { return true };
        region.is_some_and(|region| pinned.iter().any(|pin| Self::covers(pin, region)))
    }

    /// A place where something is kept, as records name it: `cache (eu-west-1)`.
    pub fn place(name: &str, region: Option<&str>) -> String {
        region.map_or_else(|| name.to_owned(), |region| format!("{name} ({region})"))
    }

    /// Whether a pin names a region.
    pub fn covers(pin: &str, region: &str) -> bool {
        match pin.strip_suffix('*') {
            Some(prefix) => region.starts_with(prefix),
            None => region == pin,
        }
    }

    /// Whether it pins anything, and only what may be a name.
    pub fn is_sound(&self) -> bool {
        let sound = |list: &Option<Vec<String>>| {
            list.as_ref().is_none_or(|list| {
                let named = |name: &String| (1..=64).contains(&name.len()) && name.is_ascii();
                (1..=Self::MOST).contains(&list.len()) && list.iter().all(named)
            })
        };
        sound(&self.regions) && sound(&self.providers) && (self.regions.is_some() || self.providers.is_some())
    }
}

impl fmt::Display for Residency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (word, list) in [("regions", &self.regions), ("providers", &self.providers)] {
            if let Some(list) = list {
                write!(f, "{between}{word} {}", list.join(", "))?;
                between = "; ";
            }
        }
        Ok(())
    }
}
