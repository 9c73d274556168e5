//! Limits, budgets and lengths of time, in their words and ours.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::fields::{Fields, invalid};
use crate::refusal::Refusal;

/// Their names of limits that are counts, and ours.
const COUNTS: [(&str, &str); 4] =
    [("rpm_limit", "rpm"), ("tpm_limit", "tpm"), ("tpd_limit", "tpd"), ("max_parallel_requests", "parallel")];
/// How long their budgets last, and what ours is called: theirs begin with the calendar's, too. Others are rolling.
const PERIODS: [(&str, &str); 10] = [
    ("1h", "hour"),
    ("60m", "hour"),
    ("24h", "day"),
    ("1d", "day"),
    ("7d", "week"),
    ("1w", "week"),
    ("30d", "month"),
    ("1mo", "month"),
    ("365d", "year"),
    ("12mo", "year"),
];

/// Takes what is a limit there out of `fields`, as a merge patch of ours. `standing` are ours before it, for what two of
/// their fields say together.
pub(super) fn limits(fields: &mut Fields, standing: Option<&Value>) -> Result<Map<String, Value>, Refusal> {
    let mut limits = Map::new();
    for (there, here) in COUNTS {
        if fields.has(there) {
            limits.insert(here.to_owned(), fields.take(there).unwrap_or_default());
        }
    }
    let says_budget = fields.has("max_budget") || fields.has("budget_duration");
    let windows = fields.take("budget_limits");
    if says_budget || windows.is_some() {
        let before = standing.and_then(|limits| limits["budget"][0].as_str()).map(read);
        let (amount_before, period_before) = before.unwrap_or_default();
        let has_amount = fields.has("max_budget");
        let amount = fields.take("max_budget").map(|amount| dollars("max_budget", &amount)).transpose()?;
        let amount = if has_amount { amount } else { amount_before };
        let has_period = fields.has("budget_duration");
        let period =
            fields.text("budget_duration")?.map(|text| period("budget_duration", &text)).transpose()?;
        let period = if has_period { period } else { period_before };
        let period = period.unwrap_or_else(|| "total".to_owned());
        let mut budgets: Vec<String> =
            amount.into_iter().map(|amount| format!("{amount} USD / {period}")).collect();
        for window in windows.as_ref().and_then(Value::as_array).into_iter().flatten() {
            let amount = dollars("budget_limits", &window["max_budget"])?;
            let length = window["budget_duration"].as_str();
            let length = length.ok_or_else(|| invalid("budget_limits", "expected `budget_duration`"))?;
            budgets.push(format!("{amount} USD / {}", self::period("budget_limits", length)?));
        }
        limits.insert("budget".to_owned(), json!(budgets));
    }
    if let Some(soft) = fields.take("soft_budget") {
        limits.insert(
            "soft_budget".to_owned(),
            json!([format!("{} USD / total", dollars("soft_budget", &soft)?)]),
        );
    }
    Ok(limits)
}

/// What was spent before, as our field of it.
pub(super) fn opening(fields: &mut Fields) -> Result<Option<(String, Value)>, Refusal> {
    let Some(spend) = fields.take("spend") else { return Ok(None) };
    let opening = dollars("spend", &spend)?;
    Ok((opening != "0").then(|| ("opening".to_owned(), json!(opening))))
}

/// Limits of single models, of each of their fields a map by model.
pub(super) fn by_model(fields: &mut Fields) -> Result<Map<String, Value>, Refusal> {
    let mut limits: Map<String, Value> = Map::new();
    for (there, here) in
        [("model_rpm_limit", "rpm"), ("model_tpm_limit", "tpm"), ("model_max_budget", "budget")]
    {
        let Some(by_model) = fields.take(there) else { continue };
        let by_model = by_model.as_object().ok_or_else(|| invalid(there, "expected a limit by model"))?;
        for (model, limit) in by_model {
            let limit = match (here, limit.as_object()) {
                ("budget", Some(window)) => {
                    let amount = window.get("budget_limit").or_else(|| window.get("max_budget"));
                    let amount = dollars(there, amount.unwrap_or(&Value::Null))?;
                    let length = window.get("time_period").or_else(|| window.get("budget_duration"));
                    let period = match length.and_then(Value::as_str) {
                        Some(length) => period(there, length)?,
                        None => "total".to_owned(),
                    };
                    json!([format!("{amount} USD / {period}")])
                }
                ("budget", None) => json!([format!("{} USD / total", dollars(there, limit)?)]),
                _ => limit.clone(),
            };
            limits.entry(model).or_insert_with(|| json!({}))[here] = limit;
        }
    }
    Ok(limits)
}

/// Our limits and what is used of them, in their fields.
pub(super) fn shown(ours: &Value) -> Map<String, Value> {
    let limits = &ours["limits"];
    let mut shown = Map::new();
    for (there, here) in COUNTS {
        shown.insert(there.to_owned(), limits[here].clone());
    }
    let budget = limits["budget"][0].as_str().map(read);
    let (amount, period) = budget.unwrap_or_default();
    let theirs = period.as_deref().and_then(|period| {
        let known = PERIODS.iter().rev().find(|(_, ours)| *ours == period).map(|(theirs, _)| *theirs);
        known.or_else(|| period.strip_prefix("rolling "))
    });
    shown.insert("max_budget".to_owned(), amount.as_deref().map_or(Value::Null, number));
    shown.insert("budget_duration".to_owned(), json!(theirs));
    shown.insert("budget_reset_at".to_owned(), ours["usage"]["budget"][0]["renews_at"].clone());
    shown.insert("spend".to_owned(), number(ours["usage"]["spent"].as_str().unwrap_or("0")));
    shown
}

/// A budget of ours: its amount, and its period if that ends.
fn read(budget: &str) -> (Option<String>, Option<String>) {
    let Some((amount, period)) = budget.split_once(" USD / ") else { return (None, None) };
    (Some(amount.to_owned()), Some(period.to_owned()).filter(|period| period != "total"))
}

/// A decimal string as the number that their clients expect.
pub(super) fn number(text: &str) -> Value {
    json!(gatelet_wire::json::number(text).unwrap_or_default())
}

/// A number of theirs as a decimal of ours, to the nano-dollar.
fn dollars(param: &str, amount: &Value) -> Result<String, Refusal> {
    const MOST: f64 = 1e9;
    const NANOS: u64 = 1_000_000_000;
    let amount = amount.as_f64().or_else(|| gatelet_wire::json::number(amount.as_str()?));
    let amount = amount.filter(|amount| (0.0..=MOST).contains(amount));
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 10^18 fits")]
    let nanos = amount.map(|amount| (amount * 1e9).round() as u64);
    let text = nanos.map(|nanos| format!("{}.{:09}", nanos / NANOS, nanos % NANOS));
    let text = text.ok_or_else(|| invalid(param, "expected US dollars from 0 to a thousand million"))?;
    Ok(text.trim_end_matches('0').trim_end_matches('.').to_owned())
}

fn period(param: &str, text: &str) -> Result<String, Refusal> {
    if let Some((_, ours)) = PERIODS.iter().find(|(theirs, _)| *theirs == text) {
        return Ok((*ours).to_owned());
    }
    let minutes = length(param, text)?.as_secs().div_ceil(60);
    Ok(format!("rolling {minutes}m"))
}

/// A length of time, as `30s`, `30m`, `30h`, `30d`, `2w` or `1mo`.
pub(super) fn length(param: &str, text: &str) -> Result<Duration, Refusal> {
    let wrong = || invalid(param, "expected a length of time such as 30s, 30m, 24h, 30d, 2w or 1mo");
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
    let (count, unit) = text.split_at_checked(digits).ok_or_else(wrong)?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        "w" => 7 * 86_400,
        "mo" => 30 * 86_400,
        _ => return Err(wrong()),
    };
    let most = 100 * 366 * 86_400;
    let seconds = count.parse::<u64>().ok().and_then(|count| count.checked_mul(seconds));
    seconds.filter(|seconds| (1..=most).contains(seconds)).map(Duration::from_secs).ok_or_else(wrong)
}
