//! What was said on the command line, as the API reads it. Of a patch an empty value is `null`, which takes a setting away.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::{COUNTS, WrongUsage};
use crate::cli::{CeilingWish, Creation, LimitWish, More, ScopeWish, Wish};

type Fields = Map<String, Value>;

/// A key that is to be made.
pub(super) fn new_key(creation: Creation, wish: Wish) -> Result<Value> {
    let Creation { kind, role, template, opening, aws, token_hash } = creation;
    let mut fields = Fields::new();
    texts(
        &mut fields,
        [
            ("kind", kind),
            ("role", role.map(|role| role.replace('-', "_"))),
            ("template", template),
            ("opening", opening),
            ("token_hash", token_hash),
        ],
    );
    if aws {
        fields.insert("aws".to_owned(), Value::Bool(true));
    }
    said_of_key(&mut fields, wish)?;
    Ok(creation_of(fields))
}

/// What changes of a key.
pub(super) fn key(wish: Wish) -> Result<Value> {
    let mut fields = Fields::new();
    said_of_key(&mut fields, wish)?;
    Ok(Value::Object(fields))
}

/// A team or the like that is to be made.
pub(super) fn new_scope(once: [(&str, Option<String>); 4], wish: ScopeWish) -> Result<Value> {
    let mut fields = Fields::new();
    texts(&mut fields, once);
    said_of_scope(&mut fields, wish)?;
    Ok(creation_of(fields))
}

/// What changes of a team or the like.
pub(super) fn scope(wish: ScopeWish) -> Result<Value> {
    let mut fields = Fields::new();
    said_of_scope(&mut fields, wish)?;
    Ok(Value::Object(fields))
}

fn said_of_key(fields: &mut Fields, wish: Wish) -> Result<()> {
    let Wish {
        alias,
        org,
        team,
        project,
        user,
        models,
        routes,
        sources,
        limits,
        model_limit,
        session_limits,
        expires,
        rotate_every,
        tags,
        more,
    } = wish;
    texts(
        fields,
        [
            ("alias", alias),
            ("org", org),
            ("team", team),
            ("project", project),
            ("user", user),
            ("expires", expires),
            ("rotate_every", rotate_every),
        ],
    );
    lists(fields, [("models", models), ("routes", routes), ("sources", sources)]);
    if !tags.is_empty() {
        fields.insert("tags".to_owned(), list(tags));
    }
    limit(fields, limits)?;
    let mut of_models = Fields::new();
    for said in model_limit {
        let (model, limits) = said.split_once('=').ok_or_else(|| {
            WrongUsage(format!("--model-limit takes a model and its limits, such as m=rpm:5, not {said:?}"))
        })?;
        of_models.insert(model.to_owned(), limits_of(limits)?);
    }
    if !of_models.is_empty() {
        fields.insert("model_limits".to_owned(), Value::Object(of_models));
    }
    if let Some(said) = session_limits {
        fields.insert("session_limits".to_owned(), limits_of(&said)?);
    }
    add(fields, more)
}

fn said_of_scope(fields: &mut Fields, wish: ScopeWish) -> Result<()> {
    let ScopeWish { name, models, limits, ceilings, more } = wish;
    texts(fields, [("name", name)]);
    lists(fields, [("models", models)]);
    limit(fields, limits)?;
    let CeilingWish { default_limits, max_limits, key_models, max_expiry, required, allowed_tags } = ceilings;
    let mut ceilings = Fields::new();
    for (name, said) in [("default_limits", default_limits), ("max_limits", max_limits)] {
        if let Some(said) = said {
            ceilings.insert(name.to_owned(), limits_of(&said)?);
        }
    }
    texts(&mut ceilings, [("max_expiry", max_expiry)]);
    lists(&mut ceilings, [("models", key_models), ("required", required), ("allowed_tags", allowed_tags)]);
    if !ceilings.is_empty() {
        fields.insert("ceilings".to_owned(), Value::Object(ceilings));
    }
    add(fields, more)
}

/// What is not there yet has nothing to be taken away.
fn creation_of(mut fields: Fields) -> Value {
    fields.retain(|_, value| !value.is_null());
    if let Some(Value::Object(limits)) = fields.get_mut("limits") {
        limits.retain(|_, value| !value.is_null());
    }
    Value::Object(fields)
}

fn texts<const N: usize>(fields: &mut Fields, texts: [(&str, Option<String>); N]) {
    for (name, value) in texts {
        fields.extend(value.map(|value| {
            (name.to_owned(), if value.is_empty() { Value::Null } else { Value::String(value) })
        }));
    }
}

/// Lists that, when they are not there, mean everything: one empty word takes them away.
fn lists<const N: usize>(fields: &mut Fields, lists: [(&str, Vec<String>); N]) {
    for (name, words) in lists {
        if !words.is_empty() {
            let none = words.iter().all(String::is_empty);
            fields.insert(name.to_owned(), if none { Value::Null } else { list(words) });
        }
    }
}

fn list(list: Vec<String>) -> Value {
    list.into_iter().filter(|item| !item.is_empty()).collect()
}

fn limit(fields: &mut Fields, wish: LimitWish) -> Result<(), WrongUsage> {
    let LimitWish {
        rpm,
        tpm,
        rpd,
        tpd,
        input_tpm,
        output_tpm,
        input_tpd,
        output_tpd,
        parallel,
        budget,
        soft_budget,
        increase,
        at_limit,
        shadow,
    } = wish;
    let mut limits = Fields::new();
    let counts = [rpm, tpm, rpd, tpd, input_tpm, output_tpm, input_tpd, output_tpd, parallel];
    for (name, count) in COUNTS.into_iter().zip(counts) {
        if let Some(said) = count {
            limits.insert(name.to_owned(), count_of(name, &said)?);
        }
    }
    for (name, budgets) in [("budget", budget), ("soft_budget", soft_budget)] {
        if !budgets.is_empty() {
            limits.insert(name.to_owned(), list(budgets));
        }
    }
    if !increase.is_empty() {
        let said = increase.iter().filter(|said| !said.is_empty());
        let all = said.map(|said| increase_of(said)).collect::<Result<Vec<Value>, WrongUsage>>()?;
        limits.insert("increase".to_owned(), Value::Array(all));
    }
    if let Some(at_limit) = at_limit {
        limits.insert("at_limit".to_owned(), at_limit_of(&at_limit)?);
    }
    if let Some(shadow) = shadow {
        limits.insert("shadow".to_owned(), Value::Bool(shadow));
    }
    if !limits.is_empty() {
        fields.insert("limits".to_owned(), Value::Object(limits));
    }
    Ok(())
}

fn count_of(name: &str, said: &str) -> Result<Value, WrongUsage> {
    if said.is_empty() {
        return Ok(Value::Null);
    }
    let number = said.parse::<u64>();
    number.map(Value::from).map_err(|_| WrongUsage(format!("{name} takes a whole number, not {said:?}")))
}

/// `rpm:5,budget:1 USD / day`; nothing takes them away.
fn limits_of(text: &str) -> Result<Value, WrongUsage> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let mut limits = Fields::new();
    for one in text.split(',') {
        let (name, value) = one.split_once(':').ok_or_else(|| {
            WrongUsage(format!("expected limits such as rpm:5,budget:1 USD / day, not {text:?}"))
        })?;
        let (name, value) = (name.trim(), value.trim());
        match name {
            "budget" | "soft_budget" => {
                let known = limits.entry(name).or_insert_with(|| json!([]));
                if let Value::Array(list) = known {
                    list.push(value.into());
                }
            }
            "at_limit" => drop(limits.insert(name.to_owned(), at_limit_of(value)?)),
            "shadow" => drop(limits.insert(name.to_owned(), Value::Bool(value == "true"))),
            name if COUNTS.contains(&name) => drop(limits.insert(name.to_owned(), count_of(name, value)?)),
            name => {
                let known = COUNTS.join(", ");
                return Err(WrongUsage(format!(
                    "there is no limit {name:?}: expected {known}, budget, soft_budget, at_limit or shadow"
                )));
            }
        }
    }
    Ok(Value::Object(limits))
}

/// `2 USD / day until 2026-12-31T00:00:00Z`.
fn increase_of(text: &str) -> Result<Value, WrongUsage> {
    let (budget, until) = text.split_once(" until ").ok_or_else(|| {
        WrongUsage(format!(
            "--increase takes a budget and a moment, such as \"2 USD / day until 2026-12-31T00:00:00Z\", not {text:?}"
        ))
    })?;
    Ok(json!({ "budget": budget.trim(), "until": until.trim() }))
}

/// `refuse`, `wait 10`, `throttle 10`, or `cheaper openai/gpt-4o-mini,demo/echo`.
fn at_limit_of(text: &str) -> Result<Value, WrongUsage> {
    let wrong = || {
        WrongUsage(format!(
            "--at-limit takes refuse, \"wait 10\", \"throttle 10\" or \"cheaper MODEL,MODEL\", not {text:?}"
        ))
    };
    match text.split_once(' ') {
        None if text.is_empty() => Ok(Value::Null),
        None if text == "refuse" => Ok(json!("refuse")),
        Some((word @ ("wait" | "throttle"), seconds)) => {
            let seconds: u8 = seconds.trim().trim_end_matches('s').parse().map_err(|_| wrong())?;
            Ok(json!({ word: seconds }))
        }
        Some(("cheaper", models)) => {
            Ok(json!({ "cheaper": list(models.split(',').map(|model| model.trim().to_owned()).collect()) }))
        }
        _ => Err(wrong()),
    }
}

fn add(fields: &mut Fields, more: More) -> Result<()> {
    let More { customers, customer_template, model_aliases, regions, providers, guards, metadata, set } =
        more;
    let mut aliases = Fields::new();
    for said in model_aliases {
        let (name, model) = said.split_once('=').ok_or_else(|| {
            WrongUsage(format!(
                "--model-alias takes a name and a model, such as fast=demo/echo, not {said:?}"
            ))
        })?;
        texts(&mut aliases, [(name, Some(model.to_owned()))]);
    }
    if !aliases.is_empty() {
        fields.insert("aliases".to_owned(), Value::Object(aliases));
    }
    let mut pins = Fields::new();
    lists(&mut pins, [("regions", regions), ("providers", providers)]);
    if !pins.is_empty() {
        // What pins nothing is no pin.
        let none = pins.values().all(Value::is_null);
        fields.insert("residency".to_owned(), if none { Value::Null } else { Value::Object(pins) });
    }
    lists(fields, [("guards", guards)]);
    if customers.is_some() || customer_template.is_some() {
        let mut said = Fields::new();
        texts(&mut said, [("allow", customers), ("template", customer_template)]);
        fields.insert("customers".to_owned(), Value::Object(said));
    }
    if let Some(metadata) = metadata {
        let object = serde_json::from_str::<Fields>(&metadata)
            .map_err(|error| WrongUsage(format!("--metadata takes a JSON object: {error}")))?;
        fields.insert("metadata".to_owned(), Value::Object(object));
    }
    for said in set {
        let (name, value) = said.split_once('=').ok_or_else(|| {
            WrongUsage(format!("--set takes a field and its value, such as name=value, not {said:?}"))
        })?;
        let value = if value.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()))
        };
        fields.insert(name.to_owned(), value);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
