//! A configuration of LiteLLM's proxy, as ours.
//!
//! Whatever is understood is taken out of the document; what is still there at the end is what was not carried, and is
//! told, each with the reason or the way to have it. Source of the names: LiteLLM 1.106.

mod faults;
mod provider;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use gatelet_core::api::says_nothing;
use gatelet_core::registry::Registry;
use serde_json::{Map, Value, json};

use super::{Imported, Left};
use provider::Providers;

type Fields = Map<String, Value>;

/// Rates by their names there and here.
const RATES: [(&str, &str); 18] = [
    ("input_cost_per_token", "input"),
    ("output_cost_per_token", "output"),
    ("cache_read_input_token_cost", "cache_read"),
    ("cache_creation_input_token_cost", "cache_write_5m"),
    ("cache_creation_input_token_cost_above_1hr", "cache_write_1h"),
    ("output_cost_per_reasoning_token", "reasoning"),
    ("input_cost_per_audio_token", "audio_input"),
    ("output_cost_per_audio_token", "audio_output"),
    ("input_cost_per_image_token", "image_input"),
    ("output_cost_per_image_token", "image_output"),
    ("input_cost_per_character", "character_input"),
    ("input_cost_per_query", "query"),
    ("input_cost_per_request", "request"),
    ("output_cost_per_image", "picture"),
    ("input_cost_per_pixel", "pixel_input"),
    ("output_cost_per_pixel", "pixel_output"),
    ("input_cost_per_second", "second_input"),
    ("output_cost_per_second", "second_output"),
];

/// Why a setting is not carried, or how to have it. Those that are not here get [`UNKNOWN`].
const ADVICE: [(&str, &str); 34] = [
    ("weight", "targets are tried in their order"),
    ("order", "targets are tried in their order"),
    ("rpm", "a limit belongs to a key or to what it belongs to: `gatelet keys create --rpm`"),
    ("tpm", "a limit belongs to a key or to what it belongs to: `gatelet keys create --tpm`"),
    ("max_parallel_requests", "a limit belongs to a key: `gatelet keys create --parallel`"),
    ("max_budget", "a budget belongs to a key or to what it belongs to: `gatelet keys create --budget`"),
    ("budget_duration", "a budget belongs to a key or to what it belongs to: `gatelet keys create --budget`"),
    ("master_key", "set GATELET_ADMIN_KEY instead"),
    ("database_url", "no database is needed"),
    ("store_model_in_db", "no database is needed"),
    ("database_connection_pool_limit", "no database is needed"),
    ("disable_prisma_schema_update", "no database is needed"),
    ("use_redis_transaction_buffer", "no Redis is needed"),
    ("proxy_batch_write_at", "what is spent is written with each request"),
    ("redis_host", "no Redis is needed"),
    ("redis_port", "no Redis is needed"),
    ("redis_password", "no Redis is needed"),
    ("coordination_redis", "no Redis is needed"),
    ("routing_strategy", "targets are tried in their order"),
    ("enable_pre_call_checks", "targets that cannot serve a request are always left out"),
    ("set_verbose", "there is no such mode"),
    ("cache", "answers are not cached"),
    ("cache_params", "answers are not cached"),
    ("temperature", "write `edits: [{ default: [temperature, …] }]` at the provider"),
    ("max_tokens", "write `edits: [{ default: [max_tokens, …] }]` at the provider"),
    ("guardrails", "guards are not carried out"),
    ("callbacks", "records go to the archive"),
    ("success_callback", "records go to the archive"),
    ("failure_callback", "records go to the archive"),
    ("mcp_servers", "tools are not carried out"),
    ("background_health_checks", "a target that fails is passed over while a request is answered"),
    ("health_check_interval", "a target that fails is passed over while a request is answered"),
    ("alerting", "alerts are not taken over"),
    ("drop_params", "what a target does not take is dropped and named, or refused with `?strict=loss`"),
];
const UNKNOWN: &str = "it has no counterpart here";

/// Converts a file, and those that it includes.
pub(super) fn convert(file: &Path, registry: &Registry) -> Result<Imported> {
    let mut document = read(file)?;
    include(&mut document, file)?;
    Ok(Conversion::new(registry).run(document))
}

fn read(file: &Path) -> Result<Fields> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let value: Value = serde_saphyr::from_str(&text).with_context(|| file.display().to_string())?;
    match value {
        Value::Object(fields) => Ok(fields),
        Value::Null => Ok(Fields::new()),
        _ => bail!("{}: expected keys and values", file.display()),
    }
}

/// Reads the files of `include`: their lists are put at the end of those that are there, their other keys in place.
fn include(document: &mut Fields, file: &Path) -> Result<()> {
    let Some(names) = document.remove("include") else { return Ok(()) };
    let folder = file.parent().map(PathBuf::from).unwrap_or_default();
    for name in names.as_array().into_iter().flatten() {
        let name = name.as_str().context("`include` is a list of files")?;
        for (key, value) in read(&folder.join(name))? {
            match (document.get_mut(&key), value) {
                (Some(Value::Array(all)), Value::Array(more)) => all.extend(more),
                (_, value) => {
                    document.insert(key, value);
                }
            }
        }
    }
    Ok(())
}

struct Conversion<'a> {
    providers: Providers<'a>,
    /// Models of ours, in the order in which their names were met first.
    models: Fields,
    left: Vec<Left>,
}

impl<'a> Conversion<'a> {
    fn new(registry: &'a Registry) -> Self {
        Self { providers: Providers::new(registry), models: Fields::new(), left: Vec::new() }
    }

    fn run(mut self, mut document: Fields) -> Imported {
        let credentials = credentials(&mut document);
        for (place, entry) in taken_list(&mut document, "model_list").into_iter().enumerate() {
            self.deployment(&format!("model_list[{place}]"), entry, &credentials);
        }
        for (place, entry) in taken_list(&mut document, "pass_through_endpoints").into_iter().enumerate() {
            self.passthrough(&format!("pass_through_endpoints[{place}]"), entry);
        }
        let mut general = taken_map(&mut document, "general_settings");
        for (place, entry) in taken_list(&mut general, "pass_through_endpoints").into_iter().enumerate() {
            self.passthrough(&format!("general_settings.pass_through_endpoints[{place}]"), entry);
        }
        let mut router = taken_map(&mut document, "router_settings");
        let mut litellm = taken_map(&mut document, "litellm_settings");
        // The router's own settings win over the global ones: what is set stays.
        for settings in [&mut router, &mut litellm] {
            self.everywhere(settings);
        }
        for settings in [&mut router, &mut litellm] {
            self.fall_back_by_default(settings);
        }
        self.retry_by_fault(&mut router);
        let mut health = Fields::new();
        for settings in [&mut router, &mut litellm] {
            self.leave_alone(settings, &mut health);
        }
        self.aliases(&mut router);
        for (name, value) in taken_map(&mut document, "environment_variables") {
            // An empty value there is nothing to set.
            if !value.is_null() {
                self.leave(format!("environment_variables.{name}"), "set it in the host's environment");
            }
        }
        for (section, fields) in
            [("router_settings", router), ("litellm_settings", litellm), ("general_settings", general)]
        {
            self.leave_all(section, fields);
        }
        self.leave_all("", document);
        let mut ours = Fields::new();
        ours.insert("providers".to_owned(), Value::Object(self.providers.entries));
        ours.insert("models".to_owned(), Value::Object(self.models));
        if !health.is_empty() {
            ours.insert("health".to_owned(), Value::Object(health));
        }
        // A tree of plain values can always be written.
        let document = serde_saphyr::to_string(&ours).unwrap_or_default() + "\n";
        Imported { document, left: self.left, variables: self.providers.variables }
    }

    /// One of `model_list`: a target of the model of that name.
    fn deployment(&mut self, place: &str, entry: Value, credentials: &Fields) {
        let Value::Object(mut entry) = entry else { return self.leave(place, "expected keys and values") };
        let mut params = taken_map(&mut entry, "litellm_params");
        let mut info = taken_map(&mut entry, "model_info");
        let Some(name) = taken_text(&mut entry, "model_name") else {
            return self.leave(place, "it has no `model_name`");
        };
        if name.contains(char::is_whitespace) || name.trim_end_matches('*').contains('*') {
            return self.leave(place, "a model's name has no spaces, and `*` at its end alone");
        }
        if let Some(named) = taken_text(&mut params, "litellm_credential_name") {
            match credentials.get(&named).and_then(Value::as_object) {
                Some(values) => params.extend(values.clone()),
                None => self.leave(format!("{place}.litellm_params"), "no credential has this name"),
            }
        }
        let (retries, timeouts) = knobs(&mut params);
        let mut target = Fields::new();
        match self.providers.target(&mut params) {
            Ok(model) => target.insert("model".to_owned(), Value::String(model)),
            Err(advice) => return self.leave(format!("{place}.litellm_params"), &advice),
        };
        if let Some(base) = taken_text(&mut info, "base_model") {
            let plain = base.rsplit('/').next().unwrap_or(&base).to_owned();
            target.insert("base_model".to_owned(), Value::String(plain));
        }
        let price = price(&mut params, &mut info);
        if !price.is_empty() {
            target.insert("price".to_owned(), Value::Object(price));
        }
        for (there, here) in [("max_output_tokens", "max_output"), ("max_input_tokens", "context")] {
            if let Some(count) = info.remove(there).filter(Value::is_u64) {
                target.insert(here.to_owned(), count);
            }
        }
        // Names of their own bookkeeping.
        for known in ["id", "mode", "db_model"] {
            info.remove(known);
        }
        self.leave_all(place, entry);
        self.leave_all(&format!("{place}.litellm_params"), params);
        self.leave_all(&format!("{place}.model_info"), info);
        let model = self.models.entry(name).or_insert_with(|| json!({ "targets": [] }));
        if let Some(Value::Array(targets)) = model.get_mut("targets") {
            let plain = target.len() == 1;
            let target = target.get("model").filter(|_| plain).cloned().unwrap_or(Value::Object(target));
            // Twice the same is a way to weigh there.
            if !targets.contains(&target) {
                targets.push(target);
            }
        }
        set(model, "retries", retries);
        set(model, "timeouts", timeouts);
    }

    /// Something behind a path: a provider that speaks no dialect.
    fn passthrough(&mut self, place: &str, entry: Value) {
        let Value::Object(mut entry) = entry else { return self.leave(place, "expected keys and values") };
        let path = taken_text(&mut entry, "path").unwrap_or_default();
        let id: String = path
            .trim_matches('/')
            .chars()
            .map(|letter| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' })
            .collect();
        let Some(target) = taken_text(&mut entry, "target").filter(|_| !id.is_empty()) else {
            return self.leave(place, "it has no `path` and `target`");
        };
        let cost = entry.remove("cost_per_request").as_ref().and_then(decimal);
        let passthrough = cost.map_or_else(|| json!("free"), |cost| json!({ "request": cost }));
        let headers = taken_map(&mut entry, "headers");
        // All paths below it are open here, and no key is no way in.
        for usual in ["include_subpath", "auth"] {
            if entry.get(usual) == Some(&Value::Bool(true)) {
                entry.remove(usual);
            }
        }
        if let Err(advice) = self.providers.bare(&id, &target, &passthrough, headers) {
            return self.leave(place, &advice);
        }
        if path.trim_matches('/') != id {
            self.leave(format!("{place}.path"), &format!("it is at /{id}/ here"));
        }
        self.leave_all(place, entry);
    }

    /// What holds for all models that say nothing themselves.
    fn everywhere(&mut self, settings: &mut Fields) {
        if settings.get("drop_params") == Some(&Value::Bool(true)) {
            settings.remove("drop_params");
        }
        let (retries, timeouts) = knobs(settings);
        for model in self.models.values_mut() {
            set(model, "retries", retries.clone());
            set(model, "timeouts", timeouts.clone());
        }
        for fallbacks in taken_list(settings, "fallbacks") {
            for (name, to) in fallbacks.as_object().into_iter().flatten() {
                self.fall_back(name, to);
            }
        }
    }

    /// Fallbacks of all models that have none of their own.
    fn fall_back_by_default(&mut self, settings: &mut Fields) {
        let to = Value::Array(taken_list(settings, "default_fallbacks"));
        let own = |model: &Value| model.get("fallbacks").is_some();
        let bare = self.models.iter().filter(|(_, model)| !own(model)).map(|(name, _)| name.clone());
        for name in bare.collect::<Vec<_>>() {
            self.fall_back(&name, &to);
        }
    }

    fn fall_back(&mut self, name: &str, fallbacks: &Value) {
        let mut good = Vec::new();
        for to in fallbacks.as_array().into_iter().flatten() {
            let problem = match to.as_str() {
                Some(to) if !self.models.contains_key(to) => "is no model of this configuration",
                // The last resort of others has none itself.
                Some(to) if to == name => continue,
                Some(to) if self.leads(to, name) => "would lead back here",
                Some(_) => {
                    good.push(to.clone());
                    continue;
                }
                None => "is no model's name",
            };
            self.leave(format!("fallbacks.{name}"), &format!("{to} {problem}"));
        }
        match self.models.get_mut(name) {
            Some(model) if !good.is_empty() => set(model, "fallbacks", Some(Value::Array(good))),
            Some(_) => {}
            None => self.leave(format!("fallbacks.{name}"), "no model has this name"),
        }
    }

    /// Whether the fallbacks of `from` lead to `to`. There are no rings in what is there, so this ends.
    fn leads(&self, from: &str, to: &str) -> bool {
        let next = self.models.get(from).and_then(|model| model.get("fallbacks")).and_then(Value::as_array);
        from == to || next.into_iter().flatten().filter_map(Value::as_str).any(|next| self.leads(next, to))
    }

    /// Further names for models: the same model again.
    fn aliases(&mut self, router: &mut Fields) {
        for (alias, meant) in taken_map(router, "model_group_alias") {
            let name = meant.as_str().or_else(|| meant.get("model")?.as_str()).unwrap_or_default();
            match self.models.get(name).cloned() {
                Some(model) => {
                    self.models.insert(alias, model);
                }
                None => {
                    self.leave(format!("model_group_alias.{alias}"), "no model has the name that is meant");
                }
            }
        }
    }

    fn leave_all(&mut self, place: &str, fields: Fields) {
        for (name, value) in fields {
            // Nothing at all may be allowed by a zero.
            if value.is_number() || !says_nothing(&value) {
                let advice =
                    ADVICE.iter().find(|(known, _)| *known == name).map_or(UNKNOWN, |(_, advice)| advice);
                let place = if place.is_empty() { name } else { format!("{place}.{name}") };
                self.leave(place, advice);
            }
        }
    }

    fn leave(&mut self, place: impl Into<String>, advice: &str) {
        self.left.push(Left { place: place.into(), advice: advice.to_owned() });
    }
}

/// Their values by their names.
fn credentials(document: &mut Fields) -> Fields {
    let list = taken_list(document, "credential_list").into_iter().filter_map(|entry| {
        let name = entry.get("credential_name")?.as_str()?.to_owned();
        Some((name, entry.get("credential_values")?.clone()))
    });
    list.collect()
}

/// Retries and timeouts, as a model of ours has them.
fn knobs(fields: &mut Fields) -> (Option<Value>, Option<Value>) {
    const MOST_RETRIES: u64 = 10;
    let mut whole = |name| fields.remove(name).and_then(|value| value.as_u64());
    // The second name is the one for the client of one deployment.
    let retries = [whole("num_retries"), whole("max_retries")].into_iter().flatten().next();
    let mut timeouts = Fields::new();
    for (there, here) in [("timeout", "total"), ("request_timeout", "total"), ("stream_timeout", "first")] {
        const DAY: f64 = 86_400.0;
        let seconds = fields.remove(there).and_then(|value| value.as_f64());
        if let Some(seconds) = seconds.filter(|seconds| *seconds > 0.0) {
            timeouts.entry(here).or_insert(json!(duration(seconds.min(DAY))));
        }
    }
    (
        retries.map(|retries| json!(retries.min(MOST_RETRIES))),
        (!timeouts.is_empty()).then_some(Value::Object(timeouts)),
    )
}

/// As our documents write it.
fn duration(seconds: f64) -> String {
    if seconds.fract() == 0.0 { format!("{seconds}s") } else { format!("{}ms", (seconds * 1_000.0).round()) }
}

fn price(params: &mut Fields, info: &mut Fields) -> Fields {
    let mut price = Fields::new();
    for (there, here) in RATES {
        let (own, general) = (params.remove(there), info.remove(there));
        if let Some(rate) = own.or(general).as_ref().and_then(decimal) {
            price.insert(here.to_owned(), Value::String(rate));
        }
    }
    if price.contains_key("input") != price.contains_key("output") {
        for half in ["input", "output"] {
            price.entry(half).or_insert_with(|| json!("0"));
        }
    }
    if !price.is_empty() {
        price.insert("per".to_owned(), json!("1"));
    }
    price
}

/// A number without an exponent, as it was meant: the shortest that is read as the same.
fn decimal(value: &Value) -> Option<String> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    (number.is_finite() && number >= 0.0).then(|| format!("{number}"))
}

/// Sets what is not set.
fn set(model: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(fields), Some(value)) = (model.as_object_mut(), value) {
        fields.entry(key).or_insert(value);
    }
}

fn taken_list(fields: &mut Fields, key: &str) -> Vec<Value> {
    match fields.remove(key) {
        Some(Value::Array(list)) => list,
        Some(other) if !other.is_null() => {
            fields.insert(key.to_owned(), other);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn taken_map(fields: &mut Fields, key: &str) -> Fields {
    match fields.remove(key) {
        Some(Value::Object(map)) => map,
        Some(other) if !other.is_null() => {
            fields.insert(key.to_owned(), other);
            Fields::new()
        }
        _ => Fields::new(),
    }
}

/// A text, or a number where a text is meant (`api_version: 1`).
fn taken_text(fields: &mut Fields, key: &str) -> Option<String> {
    match fields.remove(key)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
