//! What was spent, by whom and for what.

use std::ops::RangeInclusive;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::call::Call;
use super::documents::{invalid, unfit};
use super::reply;
use crate::domain::{Money, Timestamp};
use crate::port::Body;
use crate::record::spend::{self, APART, By, COST, COUNTERS, FIELDS, Question, Report, Step, Sums};
use crate::refusal::Refusal;

/// Rows of one report at the most.
const MOST_ROWS: usize = 20_000;

/// `GET /admin/v1/spend?from=&to=&by=&format=`, and a value for each of what can be told apart: sums of requests, tokens
/// and cost, as JSON or CSV. Days are in UTC, the last one is included; without any it is this month. By the minute or the hour it is
/// the last hour or day, and moments may be asked for.
///
/// Whoever has a role with bounds is told of what lies within them.
pub(super) async fn show(call: &Call<'_>) -> Result<Response<Body>, Refusal> {
    let shard = call.shard()?;
    let Asked { mut question, csv } = read(call)?;
    let principal = call.permit.principal();
    for (name, id) in principal.bounds() {
        question.only.extend(By::named(name).map(|by| (by, vec![id.to_owned()])));
    }
    if let Some((step, _)) = &question.finer {
        told_apart(*step, &question)?;
    }
    if principal.shard().is_some_and(|mine| *mine != shard) {
        return Err(Refusal::NotFound { what: "shard" });
    }
    let report = spend::report(&call.core.ports, &shard, &question).await?;
    if report.too_many {
        let problem = format!("more than {MOST_ROWS} rows, or too many sums: ask for fewer days, or by less");
        return Err(unfit("by", problem));
    }
    if csv {
        let mut response = Response::new(Body::from(table(&question, &report).into_bytes()));
        let value = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
        response.headers_mut().insert(CONTENT_TYPE, value);
        return Ok(response);
    }
    let rows = report.rows.iter().map(|row| {
        let mut shown = Map::new();
        for (by, value) in question.by.iter().zip(&row.of) {
            shown.insert(by.name().to_owned(), json!(value));
        }
        counted(&mut shown, &row.sums);
        Value::Object(shown)
    });
    let rows: Vec<Value> = rows.collect();
    let mut total = Map::new();
    counted(&mut total, &report.total);
    let by: Vec<&str> = question.by.iter().map(|by| by.name()).collect();
    let [from, to] = match &question.finer {
        None => [question.days.start(), question.days.end()].map(|day| spend::date(*day)),
        Some((step, span)) => [span.start(), span.end()].map(|number| step.begins(*number).to_string()),
    };
    Ok(reply(
        StatusCode::OK,
        &json!({
            "shard": shard.as_str(), "from": from, "to": to,
            "as_of": report.as_of.to_string(), "by": by, "rows": rows, "total": total, "reads": report.reads,
        }),
    ))
}

struct Asked {
    question: Question,
    csv: bool,
}

fn read(call: &Call<'_>) -> Result<Asked, Refusal> {
    let (today, parts) = (day_of(call.now), call.parts);
    let (mut from, mut to) = (None, None);
    let (mut by, mut only): (Vec<By>, Vec<(By, Vec<String>)>) = (Vec::new(), Vec::new());
    let accepted = parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    let mut csv = accepted.is_some_and(|accepted| accepted.trim_start().starts_with("text/csv"));
    for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
        match &*name {
            "shard" => {}
            // What was shown to open this call is not whose sums are asked for.
            "key" if value.starts_with("gk_") || call.core.settings.admin_key.opens(&value) => {}
            "from" => from = Some(value),
            "to" => to = Some(value),
            "by" => {
                for word in value.split(',').map(str::trim).filter(|word| !word.is_empty()) {
                    let known = By::named(word).ok_or_else(|| {
                        let known = FIELDS.join(", ");
                        invalid(
                            "by",
                            format!(
                                "expected words of minute, hour, day, month, tag, {known}, parted by commas"
                            ),
                        )
                    })?;
                    if !by.contains(&known) {
                        by.push(known);
                    }
                }
            }
            "format" => {
                csv = match &*value {
                    "csv" => true,
                    "json" => false,
                    _ => return Err(invalid("format", "expected json or csv")),
                };
            }
            // The route lets no other words pass.
            other => {
                let Some(field) = By::named(other) else { continue };
                match only.iter_mut().find(|(known, _)| *known == field) {
                    Some((_, values)) => values.push(value.into_owned()),
                    None => only.push((field, vec![value.into_owned()])),
                }
            }
        }
    }
    let finer = [Step::Minute, Step::Hour].into_iter().find(|step| {
        by.contains(match step {
            Step::Minute => &By::Minute,
            Step::Hour => &By::Hour,
        })
    });
    let (from, to) = (from.as_deref(), to.as_deref());
    let (days, finer) = if let Some(step) = finer {
        (today..=today, Some((step, span(step, from, to, call.now)?)))
    } else {
        let to = to.map_or(Ok(today), |text| day("to", text))?;
        let from = from.map_or_else(|| Ok(spend::month_begins(to)), |text| day("from", text))?;
        (from..=to, None)
    };
    if days.is_empty() || finer.as_ref().is_some_and(|(_, span)| span.is_empty()) {
        return Err(unfit("from", "expected a day or moment that is not after `to`"));
    }
    Ok(Asked { question: Question { days, finer, by, only, most: MOST_ROWS }, csv })
}

/// The minutes or hours from one moment or day to another, which is included; the last sixty or the last day's, unless said.
fn span(
    step: Step,
    from: Option<&str>,
    to: Option<&str>,
    now: Timestamp,
) -> Result<RangeInclusive<u32>, Refusal> {
    let last = step.at(now);
    let moment = |param, text: &str, of_day: u32| -> Result<u32, Refusal> {
        match Timestamp::parse(text) {
            Some(at) => Ok(step.at(at)),
            None => Ok((day(param, text)? * 1_440 + of_day) / step.minutes()),
        }
    };
    let to = to.map_or(Ok(last), |text| moment("to", text, 1_439))?.min(last);
    let usual = match step {
        Step::Minute => 59,
        Step::Hour => 23,
    };
    let from = from.map_or_else(|| Ok(to.saturating_sub(usual)), |text| moment("from", text, 0))?;
    if from < last.saturating_sub(step.kept()) {
        let name = step.name();
        return Err(unfit("from", format!("{name}s are kept for {} {name}s", step.kept())));
    }
    Ok(from..=to)
}

/// Minutes and hours are not kept by all that days are.
fn told_apart(step: Step, question: &Question) -> Result<(), Refusal> {
    let asked = question.by.iter().chain(question.only.iter().map(|(by, _)| by));
    for by in asked {
        let kept = match by {
            By::Minute => step == Step::Minute,
            By::Hour | By::Day | By::Month => true,
            By::Field(place) => APART.contains(place),
            By::Tag => false,
        };
        if !kept {
            let names = APART.map(|place| FIELDS.get(place).copied().unwrap_or_default()).join(", ");
            let problem =
                format!("{}s are told apart by {names} alone, and not by {}", step.name(), by.name());
            return Err(unfit("by", problem));
        }
    }
    Ok(())
}

fn day(param: &str, text: &str) -> Result<u32, Refusal> {
    let at = (text.len() == 10).then(|| Timestamp::parse(&format!("{text}T00:00:00Z"))).flatten();
    let at = at.ok_or_else(|| unfit(param, "expected a day such as 2026-11-22"))?;
    if at < Timestamp::EPOCH {
        return Err(unfit(param, "expected a day after 1969"));
    }
    Ok(day_of(at))
}

fn day_of(at: Timestamp) -> u32 {
    u32::try_from(at.seconds().div_euclid(86_400)).unwrap_or(0)
}

fn counted(shown: &mut Map<String, Value>, sums: &Sums) {
    for (place, (name, sum)) in COUNTERS.iter().zip(sums).enumerate() {
        let value = if place == COST { json!(Money::from_nanos(*sum)) } else { json!(sum) };
        shown.insert((*name).to_owned(), value);
    }
}

fn table(question: &Question, report: &Report) -> String {
    let names: Vec<&str> = question.by.iter().map(|by| by.name()).chain(COUNTERS).collect();
    let mut text = names.join(",");
    text.push_str("\r\n");
    for row in &report.rows {
        for value in &row.of {
            cell(&mut text, value.as_deref().unwrap_or_default());
            text.push(',');
        }
        for (place, sum) in row.sums.iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            text.push_str(&if place == COST { Money::from_nanos(*sum).to_string() } else { sum.to_string() });
        }
        text.push_str("\r\n");
    }
    text
}

/// RFC 4180. What a spreadsheet would take for a formula is written as text: names may be a stranger's.
fn cell(out: &mut String, value: &str) {
    let formula = value.starts_with(['=', '+', '-', '@', '\t', '\r']);
    if !formula && !value.contains([',', '"', '\r', '\n']) {
        out.push_str(value);
        return;
    }
    out.push_str(if formula { "\"'" } else { "\"" });
    out.push_str(&value.replace('"', "\"\""));
    out.push('"');
}
