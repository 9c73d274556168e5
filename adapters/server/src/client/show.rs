//! Answers as people read them.

use std::fmt::Write as _;

use serde_json::Value;

/// A key that was made just now.
pub(super) fn created(key: &Value) -> String {
    format!("{}\n\nKeep it: it is not shown again.\n", word(&key["key"]))
}

pub(super) fn keys(answer: &Value) -> String {
    let keys = answer["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    if keys.is_empty() {
        return "No keys yet: `gatelet keys create` makes one.".to_owned();
    }
    let mut rows =
        vec![["ID", "ALIAS", "STATE", "SPENT USD", "MODELS", "EXPIRES"].map(ToOwned::to_owned).to_vec()];
    rows.extend(keys.iter().map(|key| {
        vec![
            word(&key["id"]),
            word(&key["alias"]),
            word(&key["state"]),
            word(&key["usage"]["spent"]),
            models_of(key),
            word(&key["expires"]),
        ]
    }));
    table(&rows)
}

/// One key with each of its limits.
pub(super) fn key(key: &Value) -> String {
    let mut rows: Vec<_> = ["id", "alias", "state"].map(|name| pair(name, word(&key[name]))).into();
    for name in ["team", "project", "user"] {
        if key[name].is_string() {
            rows.push(pair(name, word(&key[name])));
        }
    }
    rows.push(pair("models", models_of(key)));
    rows.push(pair("tags", list(&key["tags"])));
    rows.extend(["expires", "created"].map(|name| pair(name, word(&key[name]))));
    books(&mut rows, key);
    table(&rows)
}

pub(super) fn scopes(answer: &Value) -> String {
    let lists = answer.as_object().into_iter().flat_map(|lists| lists.values());
    let scopes: Vec<&Value> = lists.filter_map(Value::as_array).flatten().collect();
    if scopes.is_empty() {
        return "None yet.".to_owned();
    }
    let mut rows = vec![["ID", "NAME", "STATE", "SPENT USD"].map(ToOwned::to_owned).to_vec()];
    rows.extend(scopes.into_iter().map(|scope| {
        vec![word(&scope["id"]), word(&scope["name"]), word(&scope["state"]), word(&scope["usage"]["spent"])]
    }));
    table(&rows)
}

/// A team, a project or a user with each of its limits.
pub(super) fn scope(scope: &Value) -> String {
    let mut rows: Vec<_> =
        ["id", "name", "state", "created"].map(|name| pair(name, word(&scope[name]))).into();
    books(&mut rows, scope);
    table(&rows)
}

/// What was spent, each limit with what is used of it, and what an admin attached.
fn books(rows: &mut Vec<Vec<String>>, holder: &Value) {
    let usage = &holder["usage"];
    rows.push(pair("spent", format!("{} USD, {} held", word(&usage["spent"]), word(&usage["held"]))));
    for name in crate::client::COUNTS {
        let line = &usage[name];
        if line.is_object() {
            rows.push(pair(name, format!("{} of {} used{}", line["used"], line["limit"], renews(line))));
        }
    }
    for (name, shown) in [("budget", "budget"), ("soft_budget", "soft budget")] {
        for line in usage[name].as_array().into_iter().flatten() {
            let spent = format!("{} spent, {} held", word(&line["spent"]), word(&line["held"]));
            rows.push(pair(shown, format!("{}: {spent}{}", word(&line["budget"]), renews(line))));
        }
    }
    if holder["metadata"].as_object().is_some_and(|metadata| !metadata.is_empty()) {
        rows.push(pair("metadata", holder["metadata"].to_string()));
    }
}

pub(super) fn models(answer: &Value) -> String {
    let models = answer["data"].as_array().into_iter().flatten();
    models.map(|model| word(&model["id"])).collect::<Vec<_>>().join("\n")
}

fn pair(name: &str, value: String) -> Vec<String> {
    vec![name.to_owned(), value]
}

fn renews(line: &Value) -> String {
    line["renews_at"].as_str().map(|at| format!(", renews {at}")).unwrap_or_default()
}

fn models_of(key: &Value) -> String {
    if key["models"].is_array() { list(&key["models"]) } else { "all".to_owned() }
}

fn list(value: &Value) -> String {
    let words: Vec<String> = value.as_array().into_iter().flatten().map(word).collect();
    if words.is_empty() { "-".to_owned() } else { words.join(" ") }
}

pub(super) fn word(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

/// Columns as wide as their widest word; the last one as it is.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|word| word.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let last = row.len().saturating_sub(1);
        for (column, word) in row.iter().enumerate() {
            let width = if column == last { 0 } else { widths[column] + 2 };
            let _ = write!(text, "{word:width$}");
        }
        text.push('\n');
    }
    text
}
