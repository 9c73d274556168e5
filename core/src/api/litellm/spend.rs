//! `/spend/…` and `/global/spend…`: reports in their words, from our sums by day.

use std::time::Duration;

use http::Method;
use serde_json::{Map, Value, json};

use super::fields::invalid;
use super::{Ours, amounts, escaped, keys};
use crate::domain::Timestamp;
use crate::refusal::Refusal;

/// What follows `/global/spend/`, and by which word of ours its rows are told apart.
const GLOBAL: [(&str, &str, &str); 5] = [
    ("keys", "key", "api_key"),
    ("teams", "team", "team_id"),
    ("models", "model", "model"),
    ("provider", "provider", "provider"),
    ("end_users", "customer", "end_user"),
];

pub(super) fn knows(segments: &[&str]) -> bool {
    match segments {
        ["spend", "logs" | "tags"] | ["global", "spend"] | ["global", "spend", "report"] => true,
        ["global", "spend", rows] => GLOBAL.iter().any(|(known, ..)| known == rows),
        _ => false,
    }
}

pub(super) async fn answer(ours: &Ours<'_>, segments: &[&str]) -> Result<Value, Refusal> {
    match segments {
        ["spend", "logs"] => logs(ours).await,
        ["spend", "tags"] => {
            let rows = rows(ours, "tag").await?;
            let tagged = rows.iter().filter(|row| row["tag"].is_string());
            Ok(tagged
                .map(|row| {
                    json!({ "individual_request_tag": row["tag"], "log_count": row["requests"],
                            "total_spend": cost(row) })
                })
                .collect())
        }
        ["global", "spend"] => {
            let total = ask(ours, "").await?;
            Ok(json!({ "spend": cost(&total["total"]), "max_budget": null }))
        }
        ["global", "spend", "report"] => report(ours).await,
        ["global", "spend", named] => {
            let (_, by, field) =
                GLOBAL.iter().find(|(known, ..)| known == named).ok_or_else(|| nowhere(ours))?;
            let rows = rows(ours, by).await?;
            Ok(rows.iter().map(|row| json!({ *field: row[*by], "total_spend": cost(row) })).collect())
        }
        _ => Err(nowhere(ours)),
    }
}

/// One request; or a day a row, with what each model and user spent in it.
async fn logs(ours: &Ours<'_>) -> Result<Value, Refusal> {
    if let Some(id) = ours.query("request_id") {
        return one(ours, &id).await;
    }
    if ours.query("summarize").is_some_and(|value| !value.eq_ignore_ascii_case("true")) {
        return Err(invalid("summarize", "requests are told by days here: `/admin/v1/requests` has each"));
    }
    let mut days: Map<String, Value> = Map::new();
    for row in rows(ours, "day,key,user,model").await? {
        let day = row["day"].as_str().unwrap_or_default();
        let fresh = || json!({ "startTime": day, "spend": 0.0, "users": {}, "models": {} });
        let shown = days.entry(day).or_insert_with(fresh);
        let spent = cost(&row).as_f64().unwrap_or_default();
        add(&mut shown["spend"], spent);
        for (by, many) in [("user", "users"), ("model", "models")] {
            add(&mut shown[many][row[by].as_str().unwrap_or_default()], spent);
        }
        if let Some(key) = row["key"].as_str() {
            add(&mut shown[key], spent);
        }
    }
    Ok(days.into_iter().map(|(_, day)| day).collect())
}

/// A request as a row of their table of logs.
async fn one(ours: &Ours<'_>, id: &str) -> Result<Value, Refusal> {
    let found = ours.ask(Method::GET, &["requests/", &escaped(id)].concat(), None).await?;
    let record = &found["request"];
    let tokens =
        |names: &[&str]| -> u64 { names.iter().filter_map(|name| record["usage"][*name].as_u64()).sum() };
    let input = tokens(&[
        "input",
        "cache_read",
        "cache_write_5m",
        "cache_write_1h",
        "cache_write_12h",
        "audio_input",
        "image_input",
    ]);
    let output = tokens(&["output", "reasoning", "audio_output", "image_output"]);
    let began = record["at"].as_str().and_then(Timestamp::parse);
    let lasted = Duration::from_secs_f64(record["total_ms"].as_f64().unwrap_or_default().max(0.0) / 1e3);
    Ok(json!([{
        "request_id": record["id"], "call_type": record["operation"], "api_key": record["key"],
        "spend": cost(record), "total_tokens": input + output, "prompt_tokens": input,
        "completion_tokens": output, "startTime": record["at"],
        "endTime": began.map(|began| began.after(lasted).to_string()), "model": record["target"],
        "model_group": record["model"], "user": record["user"], "team_id": record["team"],
        "end_user": record["customer"], "session_id": record["session"], "request_tags": record["tags"],
        "status": if record["outcome"] == "done" { "success" } else { "failure" },
    }]))
}

/// By day and team, customer or key, each with its models.
async fn report(ours: &Ours<'_>) -> Result<Value, Refusal> {
    let asked = ours.query("group_by").unwrap_or_else(|| "team".to_owned());
    let (by, many, name) = match asked.as_str() {
        "team" => ("team", "teams", "team_name"),
        "customer" => ("customer", "customers", "customer"),
        "api_key" => ("key", "keys", "api_key"),
        _ => return Err(invalid("group_by", "expected team, customer or api_key")),
    };
    let mut days: Map<String, Value> = Map::new();
    for row in rows(ours, &format!("day,{by},model")).await? {
        let day = row["day"].as_str().unwrap_or_default();
        let shown = days
            .entry(day)
            .or_insert_with(|| json!({ "group_by_day": format!("{day}T00:00:00+00:00"), many: [] }));
        let Some(groups) = shown[many].as_array_mut() else { continue };
        let place = groups.iter().position(|group| group[name] == row[by]).unwrap_or_else(|| {
            groups.push(json!({ name: row[by], "total_spend": 0.0, "metadata": [] }));
            groups.len() - 1
        });
        let Some(group) = groups.get_mut(place) else { continue };
        add(&mut group["total_spend"], cost(&row).as_f64().unwrap_or_default());
        let tokens = |name: &str| row[name].as_u64().unwrap_or_default();
        let total =
            ["input", "cache_read", "cache_write", "output", "reasoning"].map(tokens).iter().sum::<u64>();
        let model = json!({ "model": row["model"], "spend": cost(&row), "total_tokens": total });
        if let Some(models) = group["metadata"].as_array_mut() {
            models.push(model);
        }
    }
    Ok(days.into_iter().map(|(_, day)| day).collect())
}

async fn rows(ours: &Ours<'_>, by: &str) -> Result<Vec<Value>, Refusal> {
    match ask(ours, &format!("&by={by}")).await?["rows"].take() {
        Value::Array(rows) => Ok(rows),
        _ => Ok(Vec::new()),
    }
}

/// Our report for the days and the names that they ask for.
async fn ask(ours: &Ours<'_>, by: &str) -> Result<Value, Refusal> {
    let mut path = format!("spend?format=json{by}");
    let names = [
        ("start_date", "from"),
        ("end_date", "to"),
        ("user_id", "user"),
        ("team_id", "team"),
        ("customer_id", "customer"),
        ("end_user_id", "customer"),
        ("internal_user_id", "user"),
    ];
    for (there, here) in names {
        if let Some(value) = ours.query(there) {
            // A day of theirs may have a time of day.
            let value = if there.ends_with("_date") { value.get(..10).unwrap_or(&value) } else { &value };
            path.extend(["&", here, "=", &escaped(value)]);
        }
    }
    if let Some(key) = ours.query("api_key") {
        path.extend(["&key=", &keys::named(&key)]);
    }
    ours.ask(Method::GET, &path, None).await
}

fn cost(row: &Value) -> Value {
    amounts::number(row["cost"].as_str().unwrap_or("0"))
}

fn add(sum: &mut Value, more: f64) {
    *sum = json!(sum.as_f64().unwrap_or_default() + more);
}

fn nowhere(ours: &Ours<'_>) -> Refusal {
    Refusal::NoRoute { path: ours.parts.uri.path().to_owned() }
}
