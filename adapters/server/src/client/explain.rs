//! `gatelet explain`: what would become of a request, and why.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use http::Method;
use serde_json::{Map, Value};

use super::show::{books, list, pair, table, word};
use super::{Admin, WrongUsage, print};
use crate::cli::{ExplainWish, Remote};

pub fn explain(remote: &Remote, wish: &ExplainWish) -> Result<()> {
    let admin = Admin::of(remote)?;
    let ExplainWish { key, model, request, form, path, method, header, source } = wish;
    let mut body = Map::new();
    for (name, value) in
        [("key", key), ("model", model), ("path", path), ("method", method), ("source", source)]
    {
        body.extend(value.clone().map(|value| (name.to_owned(), Value::String(value))));
    }
    if let Some(file) = request {
        let text =
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let said: Map<String, Value> = serde_json::from_str(&text)
            .map_err(|error| WrongUsage(format!("{}: expected a JSON object: {error}", file.display())))?;
        body.insert("request".to_owned(), Value::Object(said));
    }
    let mut fields = Map::new();
    for said in form {
        let (name, value) = said.split_once('=').ok_or_else(|| {
            WrongUsage(format!(
                "--form takes a name and a value, such as model=openai/whisper-1, not {said:?}"
            ))
        })?;
        match value.strip_prefix('@') {
            Some(file) => {
                let of = std::fs::metadata(file).with_context(|| format!("cannot read {file}"))?;
                body.insert("file".to_owned(), of.len().into());
            }
            None => drop(fields.insert(name.to_owned(), Value::String(value.to_owned()))),
        }
    }
    if !form.is_empty() {
        body.insert("form".to_owned(), Value::Object(fields));
    }
    let mut headers = Map::new();
    for said in header {
        let (name, value) = said.split_once(':').ok_or_else(|| {
            WrongUsage(format!(
                "--header takes a name and a value, such as \"x-gatelet-tags: a\", not {said:?}"
            ))
        })?;
        headers.insert(name.trim().to_ascii_lowercase(), Value::String(value.trim().to_owned()));
    }
    if !headers.is_empty() {
        body.insert("headers".to_owned(), Value::Object(headers));
    }
    let told = admin.call(Method::POST, "/admin/v1/explain", Some(Value::Object(body)))?;
    print(remote, &told, shown)?;
    if told["admitted"] != true {
        bail!("it would be refused");
    }
    Ok(())
}

fn shown(told: &Value) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "KEY\n{}", table(&of_key(&told["key"])));
    let _ = writeln!(text, "REQUEST\n{}", table(&of_request(told)));
    let allowed = told["models"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !allowed.is_empty() {
        let rows = allowed.iter().map(|one| {
            let allows = if one["allows"] == true { "allows it" } else { "does not have it" };
            vec![word(&one["account"]), allows.to_owned(), list(&one["models"])]
        });
        let _ = writeln!(text, "LISTS OF MODELS\n{}", table(&rows.collect::<Vec<_>>()));
    }
    if let Some(last) = told["tries"].as_array().and_then(|tries| tries.last()) {
        let _ = writeln!(text, "LIMITS\n{}", table(&of_accounts(last)));
    }
    let ways = told["plan"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !ways.is_empty() {
        let titles = ["TARGET", "WHY", "DIALECT", "CREDENTIAL", "USD PER UNIT"];
        let mut rows = vec![titles.map(str::to_owned).to_vec()];
        rows.extend(ways.iter().map(|way| {
            let rates = way["price"].as_object().map(|rates| {
                rates.iter().map(|(meter, rate)| format!("{meter} {}", word(rate))).collect::<Vec<_>>()
            });
            let price = rates.map_or_else(|| "no price".to_owned(), |rates| rates.join(", "));
            let [target, why, dialect, credential] =
                ["target", "why", "dialect", "credential"].map(|name| word(&way[name]));
            vec![target, why, dialect, credential, price]
        }));
        let _ = writeln!(text, "PLAN\n{}", table(&rows));
    }
    let absent = told["absent"].as_array().map(Vec::as_slice).unwrap_or_default();
    if !absent.is_empty() {
        let rows = absent.iter().map(|one| vec![word(&one["target"]), word(&one["why"])]);
        let _ = writeln!(text, "NOT ASKED\n{}", table(&rows.collect::<Vec<_>>()));
    }
    text.push_str(&verdict(told));
    text
}

fn of_key(key: &Value) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for name in [
        "id",
        "alias",
        "kind",
        "role",
        "state",
        "org",
        "team",
        "project",
        "user",
        "routes",
        "sources",
        "expires",
        "rotation_due",
    ] {
        match &key[name] {
            Value::Null => {}
            Value::Array(_) => rows.push(pair(name, list(&key[name]))),
            value => rows.push(pair(name, word(value))),
        }
    }
    rows
}

fn of_request(told: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![pair("operation", word(&told["operation"])), pair("model", word(&told["model"]))];
    if let Some(last) = told["tries"].as_array().and_then(|tries| tries.last()) {
        let more = if last["elastic"] == true { " (no cap: lowered to what limits afford)" } else { "" };
        rows.push(pair(
            "input",
            format!("at most {} tokens, {} USD", last["input_tokens"], word(&last["input_cost"])),
        ));
        rows.push(pair("output", format!("at most {} tokens{more}", last["output_tokens"])));
        rows.push(pair("cost", format!("at most {} USD", word(&last["cost"]))));
    }
    if let Some(cap) = told["output_cap"].as_u64() {
        rows.push(pair("output cap", format!("{cap} tokens, which are sent as the cap")));
    }
    rows
}

/// Each account with its limits, and what they say.
fn of_accounts(tried: &Value) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for met in tried["accounts"].as_array().into_iter().flatten() {
        let limits = met["limits"].as_object().is_some_and(|limits| !limits.is_empty());
        if !limits {
            continue;
        }
        let mut of = Vec::new();
        books(&mut of, met);
        if met["limits"]["at_limit"] != Value::Null {
            of.push(pair("at limit", met["limits"]["at_limit"].to_string()));
        }
        if met["limits"]["shadow"] == true {
            of.push(pair("shadow", "only watched".to_owned()));
        }
        if met["refuses"].is_object() {
            let at = met["refuses"]["retry_at"].as_str();
            let at = at.map(|at| format!(", until {at}")).unwrap_or_default();
            let refuses = if met["limits"]["shadow"] == true { "would refuse" } else { "REFUSES" };
            of.push(pair(refuses, format!("{}{at}", word(&met["refuses"]["limit"]))));
        }
        for (place, row) in of.into_iter().enumerate() {
            let account = if place == 0 { word(&met["account"]) } else { String::new() };
            rows.push(std::iter::once(account).chain(row).collect());
        }
    }
    if rows.is_empty() {
        rows.push(vec!["none".to_owned()]);
    }
    rows
}

fn verdict(told: &Value) -> String {
    let mut text = String::new();
    let waits = told["waits_ms"].as_u64().filter(|waits| *waits > 0);
    let waits = waits.map(|waits| format!(" after waiting {waits} ms")).unwrap_or_default();
    if told["admitted"] == true {
        let fell = told["fell_to"].as_str();
        let fell = fell.map(|model| format!(", falling to {model}")).unwrap_or_default();
        let _ = writeln!(text, "ADMITTED{waits}{fell}");
    }
    for (name, shown) in
        [("soft_passed", "passes the soft budget"), ("shadowed", "would be refused, were it enforced, by")]
    {
        for limit in told[name].as_array().into_iter().flatten() {
            let _ = writeln!(text, "{shown} {}", word(limit));
        }
    }
    for refusal in told["refusals"].as_array().into_iter().flatten() {
        let (status, code) = (&refusal["status"], word(&refusal["code"]));
        let _ = writeln!(text, "REFUSED{waits}: {} ({status} {code})", word(&refusal["detail"]));
    }
    text
}
