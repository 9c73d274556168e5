//! What keys may be that others than a team's or an organisation's own admins make.

use serde::{Deserialize, Serialize};

use super::account::Limits;
use super::key::{Key, KeyKind};
use super::{ScopeKind, Span};

/// Ceilings and defaults of a team or an organisation, for its keys. They bind whoever may not change them.
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ceilings {
    /// The limits of keys that say nothing, whoever makes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_limits: Option<Limits>,
    /// The most that a key's limits may be. What it does not say is as here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_limits: Option<Limits>,
    /// Names and patterns of the models that a key may name. One that names none gets these.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(length(max = 1_000), inner(length(min = 1, max = 256))))]
    pub models: Option<Vec<String>>,
    /// How long a key may live after it was made. One that does not say lives so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_expiry: Option<Span>,
    /// What a key must have: alias, user, project, tags, expires, sources, or a field of its metadata, such as
    /// `metadata.cost_center`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(
        feature = "schema",
        schemars(
            length(max = 32),
            inner(
                length(min = 1, max = 128),
                regex(pattern = r"^(alias|user|project|tags|expires|sources|metadata\.[\s\S]+)$")
            )
        )
    )]
    pub required: Vec<String>,
    /// The tags that a key, and a request of it, may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(
        feature = "schema",
        schemars(
            length(max = 256),
            inner(length(min = 1, max = 128), regex(pattern = r"^[^\x00-\x1f\x7f-\x9f]*$"))
        )
    )]
    pub allowed_tags: Option<Vec<String>>,
}

/// A field of a key that a ceiling does not let pass: which, what is expected there, and which of the ceilings says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Above {
    pub field: String,
    pub expected: String,
    pub ceiling: String,
}

impl Ceilings {
    const FIELDS: [&str; 6] = ["alias", "user", "project", "tags", "expires", "sources"];
    pub const MOST_REQUIRED: usize = 32;
    pub const MOST_TAGS: usize = 256;

    /// Whether a field may be required by this name.
    pub fn may_require(name: &str) -> bool {
        let metadata = name.strip_prefix("metadata.");
        Self::FIELDS.contains(&name) || metadata.is_some_and(|name| !name.is_empty())
    }

    /// Brings a key below the ceilings, or says what is above them. Of a key that there was before, what is as it was is not
    /// judged again. `said`: whether its limits were said by somebody, and not only come to be.
    pub fn hold(&self, key: &mut Key, before: Option<&Key>, said: bool) -> Result<(), Above> {
        let above = |field: &str, expected: String, ceiling: String| {
            Err(Above { field: field.to_owned(), expected, ceiling })
        };
        for name in &self.required {
            if !has(key, name) && before.is_none_or(|before| has(before, name)) {
                return above(name, "expected to be there".to_owned(), "required".to_owned());
            }
        }
        let known = |tag: &String| before.is_some_and(|before| before.tags.contains(tag));
        if let Some(allowed) = &self.allowed_tags
            && key.tags.iter().any(|tag| !allowed.contains(tag) && !known(tag))
        {
            let expected = format!("expected only `{}`", allowed.join("`, `"));
            return above("tags", expected, "allowed_tags".to_owned());
        }
        if let Some(longest) = self.max_expiry
            && before.is_none_or(|before| before.expires != key.expires)
        {
            let latest = key.created.after(longest.duration());
            if key.expires.is_some_and(|expires| expires > latest) {
                return above("expires", format!("expected {latest} at the latest"), "max_expiry".to_owned());
            }
            key.expires = key.expires.or(Some(latest));
        }
        // What follows is about calls of models.
        if key.kind != KeyKind::Inference {
            return Ok(());
        }
        if let Some(models) = &self.models
            && before.is_none_or(|before| before.models != key.models)
        {
            let mine = key.models.get_or_insert_with(|| models.clone());
            if let Some(model) = mine.iter().find(|model| !models.iter().any(|most| covers(most, model))) {
                let expected = format!("expected nothing beyond `{}`: `{model}` is", models.join("`, `"));
                return above("models", expected, "models".to_owned());
            }
        }
        if let Some(most) = &self.max_limits
            && before.is_none_or(|before| before.limits != key.limits)
            && let Err(field) = key.limits.under(most, !said)
        {
            let expected = "expected no more than the ceiling".to_owned();
            return above(&format!("limits.{field}"), expected, format!("max_limits.{field}"));
        }
        Ok(())
    }
}

fn has(key: &Key, name: &str) -> bool {
    match name {
        "alias" => key.alias.is_some(),
        "user" | "project" => {
            let kind = if name == "user" { ScopeKind::User } else { ScopeKind::Project };
            key.scope(kind).is_some()
        }
        "tags" => !key.tags.is_empty(),
        "expires" => key.expires.is_some(),
        "sources" => key.sources.is_some(),
        _ => {
            let value = name.strip_prefix("metadata.").and_then(|name| key.metadata.get(name));
            value.is_some_and(|value| !value.is_null() && value.as_str() != Some(""))
        }
    }
}

/// Whether every model that the one pattern names is named by the other.
fn covers(most: &str, model: &str) -> bool {
    match most.strip_suffix('*') {
        Some(prefix) => model.strip_suffix('*').unwrap_or(model).starts_with(prefix),
        None => most == model,
    }
}
