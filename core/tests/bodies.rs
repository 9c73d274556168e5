//! Every field of every body that the admin API takes is judged: type, range and length, as its document says them.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use serde_json::{Map, Value, json};
use world::{World, completion, openai, whole};

/// Of each kind something, small and large.
fn candidates() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(7),
        json!(-1),
        json!(1.5),
        json!(1e99),
        json!(""),
        json!("\u{1}"),
        json!("x".repeat(20_000)),
        json!([]),
        json!([[]]),
        json!(["x".repeat(300)]),
        json!(vec!["x"; 2_000]),
        json!({}),
        json!({ "nobody": 1 }),
    ]
}

/// What the document says a value may be.
struct Document(Value);

impl Document {
    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(name) => self.0.pointer(name.trim_start_matches('#')).unwrap(),
            None => schema,
        }
    }

    /// Whether a value may be right. Patterns are not read, so that a text may always be.
    fn admits(&self, schema: &Value, value: &Value) -> bool {
        let schema = self.resolve(schema);
        for ways in ["anyOf", "oneOf"] {
            if let Some(ways) = schema[ways].as_array() {
                return ways.iter().any(|way| self.admits(way, value));
            }
        }
        if let Some(only) = schema.get("const") {
            return only == value;
        }
        if let Some(all) = schema["enum"].as_array() {
            return all.contains(value);
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::String(name) => vec![name],
            Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        let has = |name| types.contains(&name);
        let within = |size: usize, least: &str, most: &str| {
            let size = size as u64;
            schema[least].as_u64().is_none_or(|least| size >= least)
                && schema[most].as_u64().is_none_or(|most| size <= most)
        };
        match value {
            Value::Null => has("null"),
            Value::Bool(_) => has("boolean"),
            Value::Number(number) => {
                let fits = has("number") || has("integer") && !number.is_f64();
                let number = number.as_f64().unwrap();
                fits && schema["minimum"].as_f64().is_none_or(|least| number >= least)
                    && schema["maximum"].as_f64().is_none_or(|most| number <= most)
            }
            Value::String(text) => has("string") && within(text.chars().count(), "minLength", "maxLength"),
            Value::Array(items) => {
                has("array")
                    && within(items.len(), "minItems", "maxItems")
                    && items.iter().all(|item| self.admits(&schema["items"], item))
            }
            Value::Object(fields) => {
                has("object")
                    && within(fields.len(), "minProperties", "maxProperties")
                    && schema["required"].as_array().is_none_or(|names| {
                        names.iter().all(|name| fields.contains_key(name.as_str().unwrap()))
                    })
                    && fields.iter().all(|(name, value)| {
                        schema["properties"].get(name).map_or_else(
                            || match &schema["additionalProperties"] {
                                Value::Bool(any) => *any,
                                Value::Null => true,
                                rule => self.admits(rule, value),
                            },
                            |rule| self.admits(rule, value),
                        )
                    })
            }
        }
    }

    /// Something that has what must be there.
    fn least(&self, schema: &Value) -> Map<String, Value> {
        let schema = self.resolve(schema);
        let names = schema["required"].as_array().cloned().unwrap_or_default();
        let value = |name: &str| match name {
            "budget" => json!("1 USD / day"),
            "until" => json!("2099-01-01T00:00:00Z"),
            "of" => json!("team/some"),
            "value" => json!(1),
            "messages" => json!([{ "role": "user", "content": "hi" }]),
            "items" => json!([{ "create": { "id": "new" } }]),
            _ => json!("some"),
        };
        names.iter().map(|name| (name.as_str().unwrap().to_owned(), value(name.as_str().unwrap()))).collect()
    }

    /// Wrong values for all that stands in a value of this schema, each with the path to it.
    fn wrong(&self, schema: &Value, path: &str, depth: u8) -> Vec<(String, Value)> {
        let schema = self.resolve(schema);
        let mut found: Vec<(String, Value)> = candidates()
            .into_iter()
            .filter(|value| !self.admits(schema, value))
            .map(|value| (path.to_owned(), value))
            .collect();
        if depth == 0 {
            return found;
        }
        for way in ["anyOf", "oneOf"].iter().filter_map(|ways| schema[*ways].as_array()).flatten() {
            let deeper = self.wrong(way, path, depth - 1);
            found.extend(deeper.into_iter().filter(|(at, value)| at != path && !self.admits(schema, value)));
        }
        if schema["items"].is_object() {
            let deeper = self.wrong(&schema["items"], &format!("{path}[0]"), depth - 1);
            found.extend(deeper.into_iter().map(|(at, value)| (at, json!([value]))));
        }
        let mut inside: Vec<(&str, &Value)> = schema["properties"]
            .as_object()
            .map(|fields| fields.iter().map(|(name, rule)| (name.as_str(), rule)).collect())
            .unwrap_or_default();
        if schema["additionalProperties"].is_object() {
            inside.push(("any", &schema["additionalProperties"]));
        }
        for (name, rule) in inside {
            let at = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
            for (at, value) in self.wrong(rule, &at, depth - 1) {
                let mut around = self.least(schema);
                around.insert(name.to_owned(), value);
                found.push((at, Value::Object(around)));
            }
        }
        found.retain(|(_, value)| !self.admits(schema, value));
        found
    }
}

/// A world in which something of each kind is there.
fn world() -> (World, String, String) {
    let world = World::sealed("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    for plural in
        ["orgs", "teams", "projects", "users", "customers", "tags", "models", "agents", "tools", "templates"]
    {
        let (status, made) = world.admin("POST", &format!("/admin/v1/{plural}"), &json!({ "id": "some" }));
        assert_eq!(status, 201, "{made}");
    }
    let (status, made) = world.admin("POST", "/admin/v1/members", &json!({ "id": "some/some" }));
    assert_eq!(status, 201, "{made}");
    let prompt = json!({ "id": "some", "messages": [{ "role": "user", "content": "hi" }] });
    assert_eq!(world.admin("POST", "/admin/v1/prompts", &prompt).0, 201);
    let (key, secret) = world.key(&json!({}));
    world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 7, 3))));
    let question = json!({ "model": "plain", "messages": [{ "role": "user", "content": "hello" }] });
    let response = world.send(openai(&secret, &question));
    let request = response.headers()["x-gatelet-request-id"].to_str().unwrap().to_owned();
    (world, key, request)
}

#[test]
fn every_field_of_every_body_is_judged_by_itself() {
    let (world, key, request) = world();
    let document = Document(world.admin("GET", "/admin/v1/openapi.json", &json!({})).1);
    let (mut judged, mut missed) = (0, Vec::new());
    for (path, item) in document.0["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(body) = operation.pointer("/requestBody/content/application~1json/schema") else {
                continue;
            };
            let id = match path.trim_start_matches("/admin/v1/").split('/').next().unwrap() {
                "keys" => &key,
                "requests" => &request,
                "members" => "some/some",
                _ => "some",
            };
            let real = path.replace("{id}", id);
            // Whether the guard is there is asked before what is to be tried on it.
            if path.starts_with("/admin/v1/guards/") {
                continue;
            }
            for (place, wrong) in document.wrong(body, "", 4) {
                if place.is_empty() && wrong == json!({}) {
                    continue;
                }
                let mut wrong = wrong;
                // What is asked before a field is judged by itself.
                match path.as_str() {
                    "/admin/v1/members" if wrong["id"] == "some" => wrong["id"] = json!("some/some"),
                    "/admin/v1/explain" if wrong.is_object() && wrong.get("key").is_none() => {
                        wrong["key"] = json!(key);
                    }
                    _ => {}
                }
                let (status, answer) = world.admin(&method.to_uppercase(), &real, &wrong);
                let said = answer["param"].as_str().unwrap_or_default();
                let field = place.split(['.', '[']).next().unwrap();
                let short: String = wrong.to_string().chars().take(200).collect();
                if !matches!(status, 400 | 422) || !said.starts_with(field) {
                    missed.push(format!("{method} {path} {place}: {short}: {status} {answer}"));
                }
                judged += 1;
            }
        }
    }
    assert!(missed.is_empty(), "{} of {judged}:\n{}", missed.len(), missed.join("\n"));
    assert!(judged > 10_000, "{judged} wrong bodies were tried");
}
