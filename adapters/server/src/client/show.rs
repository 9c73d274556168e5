//! Answers as people read them.

use std::fmt::Write as _;

use serde_json::Value;

/// What an answer shows this once.
pub(super) fn once(answer: &Value) -> String {
    let mut text = String::new();
    for secret in [&answer["key"], &answer["aws"]["secret_access_key"]] {
        if secret.is_string() {
            let _ = writeln!(text, "{}", word(secret));
        }
    }
    if !text.is_empty() {
        text.push_str("\nKeep it: it is not shown again.\n\n");
    }
    text
}

pub(super) fn keys(answer: &Value) -> String {
    const COLUMNS: [&str; 7] = ["id", "alias", "state", "kind", "team", "user", "expires"];
    let keys = answer["keys"].as_array().map(Vec::as_slice).unwrap_or_default();
    if keys.is_empty() {
        return "No keys yet: `gatelet keys create` makes one.".to_owned();
    }
    let mut rows = vec![titles(&COLUMNS)];
    rows[0].extend(["SPENT USD", "MODELS"].map(str::to_owned));
    rows.extend(keys.iter().map(|key| {
        let mut row: Vec<String> = COLUMNS.iter().map(|name| word(&key[*name])).collect();
        row.extend([word(&key["usage"]["spent"]), models_of(key)]);
        row
    }));
    table(&rows)
}

fn titles(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_uppercase()).collect()
}

/// One key with each of its limits.
pub(super) fn key(key: &Value) -> String {
    let mut rows = fields(key, &["models", "tags", "guards"]);
    rows.insert(3.min(rows.len()), pair("models", models_of(key)));
    rows.push(pair("tags", list(&key["tags"])));
    rows.push(pair("guards", list(&key["guards"])));
    of_limits(&mut rows, key);
    table(&rows)
}

pub(super) fn scopes(answer: &Value) -> String {
    const COLUMNS: [&str; 4] = ["id", "name", "org", "state"];
    let lists = answer.as_object().into_iter().flat_map(|lists| lists.values());
    let scopes: Vec<&Value> = lists.filter_map(Value::as_array).flatten().collect();
    if scopes.is_empty() {
        return "None yet.".to_owned();
    }
    let mut rows = vec![titles(&COLUMNS)];
    rows[0].extend(["SPENT USD", "LIMITS"].map(str::to_owned));
    rows.extend(scopes.into_iter().map(|scope| {
        let limits = scope["limits"].as_object().into_iter().flatten();
        let limits: Vec<String> = limits
            .map(|(name, value)| match value {
                Value::Array(list) => list.iter().map(word).collect::<Vec<_>>().join(", "),
                value => format!("{name} {}", word(value)),
            })
            .collect();
        let mut row: Vec<String> = COLUMNS.iter().map(|name| word(&scope[*name])).collect();
        row.extend([word(&scope["usage"]["spent"]), limits.join(", ")]);
        row
    }));
    table(&rows)
}

/// A team, a project or a user with each of its limits.
pub(super) fn scope(scope: &Value) -> String {
    let mut rows = fields(scope, &[]);
    of_limits(&mut rows, scope);
    table(&rows)
}

/// What became of each of many.
pub(super) fn bulk(answer: &Value) -> String {
    let mut rows = vec![titles(&["status", "id", "version", "what"])];
    rows.extend(answer["items"].as_array().into_iter().flatten().map(|item| {
        let mut row: Vec<String> = ["status", "id", "version"].map(|name| word(&item[name])).into();
        row.push(match (&item["problem"]["detail"], &item["key"]) {
            (Value::String(detail), _) => detail.clone(),
            (_, Value::String(key)) => key.clone(),
            _ => String::new(),
        });
        row
    }));
    table(&rows)
}

/// What an answer says in words and lists, in its order; beside what is shown otherwise.
fn fields(holder: &Value, otherwise: &[&str]) -> Vec<Vec<String>> {
    let apart = ["key", "version", "updated", "metadata", "limits", "usage"];
    let mut rows = Vec::new();
    for (name, value) in holder.as_object().into_iter().flatten() {
        if apart.contains(&name.as_str()) || otherwise.contains(&name.as_str()) {
            continue;
        }
        let shown = match value {
            Value::Null => continue,
            Value::Array(items) if items.is_empty() => continue,
            Value::Object(fields) if fields.is_empty() => continue,
            Value::Array(items) if items.iter().all(Value::is_string) => list(value),
            value => word(value),
        };
        rows.push(pair(&name.replace('_', " "), shown));
    }
    rows
}

/// The books of one, and what becomes of requests at its limits.
fn of_limits(rows: &mut Vec<Vec<String>>, holder: &Value) {
    books(rows, holder);
    if holder["limits"]["at_limit"] != Value::Null {
        rows.push(pair("at limit", word(&holder["limits"]["at_limit"])));
    }
    if holder["limits"]["shadow"] == true {
        rows.push(pair("shadow", "limits are only watched".to_owned()));
    }
}

/// What was spent, each limit with what is used of it, and what an admin attached.
pub(super) fn books(rows: &mut Vec<Vec<String>>, holder: &Value) {
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

pub(super) fn pair(name: &str, value: String) -> Vec<String> {
    vec![name.to_owned(), value]
}

fn renews(line: &Value) -> String {
    line["renews_at"].as_str().map(|at| format!(", renews {at}")).unwrap_or_default()
}

fn models_of(key: &Value) -> String {
    if key["models"].is_array() { list(&key["models"]) } else { "all".to_owned() }
}

pub(super) fn list(value: &Value) -> String {
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
