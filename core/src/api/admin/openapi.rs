//! The description of this interface, made of the route table and of the types that it reads and writes. `openapi.json`
//! beside this file is what it makes; a test holds the two together, and hosts carry only that.

mod shapes;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use super::routes::{About, Answer, ROUTES, Row};
use super::{
    archive, bulk, cache, credentials, dependents, erasures, explain, guards, keys, prompts, requests,
    scopes, targets,
};
use crate::domain::key::KeyKind;
use crate::domain::{Resource, Role, ScopeKind, TABLE};
use crate::pipeline::approach;
use crate::record::spend::FIELDS;
use shapes::{credential, deleted, erasure, line, page_of, problem, report, trail};

/// A route as a test walks it.
#[derive(Clone, Debug)]
pub struct Route {
    pub method: String,
    /// With `{id}` and `{name}`.
    pub path: String,
    pub resource: Resource,
    pub verb: crate::domain::Verb,
}

/// All routes, once for each kind of scope.
pub fn routes() -> Vec<Route> {
    let of = |row: &Row, path: String, resource| Route {
        method: row.method.to_string(),
        path: format!("/admin/v1/{path}"),
        resource,
        verb: row.verb,
    };
    let mut all = Vec::new();
    for row in ROUTES {
        match row.about {
            About::One(resource) => all.push(of(row, row.path.to_owned(), resource)),
            About::Scope => all.extend(
                ScopeKind::ALL
                    .into_iter()
                    .map(|kind| of(row, row.path.replace("{scopes}", kind.plural()), Resource::Scope(kind))),
            ),
        }
    }
    all
}

/// What a call is given and gives, beside its path.
struct Contract {
    id: String,
    summary: String,
    body: Option<Value>,
    /// A body may be left out: an empty object is meant.
    body_needed: bool,
    status: u16,
    answer: Value,
    media: &'static str,
}

/// The whole document.
pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut types = Types {
        reads: settings.clone().for_deserialize().into_generator(),
        writes: settings.for_serialize().into_generator(),
        patches: Map::new(),
    };
    let mut paths: Map<String, Value> = Map::new();
    for row in ROUTES {
        let kinds: &[ScopeKind] = match row.about {
            About::One(_) => &[ScopeKind::Team],
            About::Scope => &ScopeKind::ALL,
        };
        for kind in kinds {
            let path = format!("/admin/v1/{}", row.path.replace("{scopes}", kind.plural()));
            let operation = operation(row, types.contract(row, *kind));
            let item = paths.entry(path).or_insert_with(|| json!({}));
            item[row.method.as_str().to_lowercase()] = operation;
        }
    }
    let mut schemas = types.writes.take_definitions(true);
    // What is read may have less than what is written: a name that means two things has two.
    let mut read = types.reads.take_definitions(true);
    let two = two_things(&schemas, &read);
    let bodies = paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut);
    let bodies = bodies.filter_map(|operation| operation.get_mut("requestBody"));
    bodies.chain(read.values_mut()).chain(types.patches.values_mut()).for_each(|schema| rename(schema, &two));
    for (name, schema) in read {
        let name = if two.contains(&name) { format!("{name}Wish") } else { name };
        schemas.insert(name, schema);
    }
    schemas.extend(types.patches);
    schemas.insert("Problem".to_owned(), problem());
    schemas.values_mut().chain(paths.values_mut()).for_each(bound);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Gatelet admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Whoever has the admin key, or a key of the kind `management` or `read_only`, manages a \
                gateway here. What is another's answers as if it were not there. Refusals are problem details (RFC 9457) \
                with a stable `code`. A document's version is its `ETag`; `If-Match` guards a change against others'.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
            "parameters": { "IdempotencyKey": {
                "name": "Idempotency-Key", "in": "header",
                "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
                "description": "A name for this call. Sent again by the same token within 24 hours, with the same body, it is done \
                    once and has the same answer.",
            } },
            "schemas": schemas,
        },
    })
}

/// The names under which something else is read than written, be it in what they refer to.
fn two_things(written: &Map<String, Value>, read: &Map<String, Value>) -> BTreeSet<String> {
    let differs = |name: &str, schema: &Value| written.get(name).is_some_and(|other| other != schema);
    let mut two: BTreeSet<String> =
        read.iter().filter(|(name, schema)| differs(name, schema)).map(|(name, _)| name.clone()).collect();
    loop {
        let refers = |schema: &Value| {
            let mut renamed = schema.clone();
            rename(&mut renamed, &two);
            renamed != *schema
        };
        let more: Vec<String> = read
            .iter()
            .filter(|(name, schema)| written.contains_key(*name) && !two.contains(*name) && refers(schema))
            .map(|(name, _)| name.clone())
            .collect();
        if more.is_empty() {
            return two;
        }
        two.extend(more);
    }
}

/// Refers to what is read.
fn rename(schema: &mut Value, two: &BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            if let Some(Value::String(to)) = fields.get_mut("$ref")
                && to.rsplit('/').next().is_some_and(|name| two.contains(name))
            {
                to.push_str("Wish");
            }
            fields.values_mut().for_each(|field| rename(field, two));
        }
        Value::Array(list) => list.iter_mut().for_each(|item| rename(item, two)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

struct Types {
    reads: SchemaGenerator,
    writes: SchemaGenerator,
    patches: Map<String, Value>,
}

impl Types {
    fn reads<T: JsonSchema>(&mut self) -> Value {
        self.reads.subschema_for::<T>().to_value()
    }

    fn writes<T: JsonSchema>(&mut self) -> Value {
        self.writes.subschema_for::<T>().to_value()
    }

    /// A merge patch of what `T` reads, under a name: whatever it names may be `null`, and nothing must be there.
    fn patch<T: JsonSchema>(&mut self, name: &str) -> Value {
        let whole = self.reads::<T>();
        let whole = self.resolved(whole);
        let mut properties = Map::new();
        for (name, schema) in whole["properties"].as_object().into_iter().flatten() {
            properties.insert(name.clone(), nullable(self.patched(schema)));
        }
        let mut patch = json!({ "type": "object", "properties": properties, "additionalProperties": false });
        doors(&mut patch);
        self.under(name, patch)
    }

    /// What is said of an object in a patch: each of its fields, or of its entries, may be taken away.
    fn patched(&self, schema: &Value) -> Value {
        let mut inner = self.resolved(schema.clone());
        if inner["type"] != "object" {
            return schema.clone();
        }
        if let Some(fields) = inner.get_mut("properties").and_then(Value::as_object_mut) {
            fields.values_mut().for_each(|field| *field = nullable(self.patched(field)));
        } else if inner["additionalProperties"].is_object() {
            inner["additionalProperties"] = nullable(self.patched(&inner["additionalProperties"]));
        } else {
            return schema.clone();
        }
        if let Some(fields) = inner.as_object_mut() {
            fields.shift_remove("required");
        }
        inner
    }

    fn resolved(&self, schema: Value) -> Value {
        let inner = schema["anyOf"].as_array().and_then(|any| any.iter().find(|one| one["$ref"].is_string()));
        let reference = inner.unwrap_or(&schema)["$ref"].as_str();
        let name = reference.and_then(|reference| reference.rsplit('/').next());
        name.and_then(|name| self.reads.definitions().get(name)).cloned().unwrap_or(schema)
    }

    /// A page of `T`, under `plural`.
    fn page<T: JsonSchema>(&mut self, plural: &str) -> Value {
        let item = self.writes::<T>();
        page_of(plural, &item)
    }

    /// Two objects as one.
    fn joined(&mut self, mut one: Value, other: Value) -> Value {
        one = self.resolved(one);
        let other = self.resolved(other);
        for (name, schema) in other["properties"].as_object().into_iter().flatten() {
            one["properties"][name] = schema.clone();
        }
        one
    }

    /// A schema under a name, for what is said of many routes.
    fn under(&mut self, name: &str, schema: Value) -> Value {
        self.patches.insert(name.to_owned(), schema);
        json!({ "$ref": format!("#/components/schemas/{name}") })
    }

    fn key_creation(&mut self) -> Value {
        let (always, once) = (self.reads::<keys::Wish>(), self.reads::<keys::Creation>());
        self.creation(always, once)
    }

    fn scope_creation(&mut self, kind: ScopeKind) -> Value {
        let (always, once) = (self.reads::<scopes::Wish>(), self.reads::<scopes::Creation>());
        let mut body = self.creation(always, once);
        body["properties"]["id"] = id_of(kind);
        body["required"] = json!(["id"]);
        body
    }

    fn creation(&mut self, always: Value, once: Value) -> Value {
        let mut body = self.joined(always, once);
        doors(&mut body);
        if let Some(properties) = body["properties"].as_object_mut() {
            properties.shift_remove("blocked");
        }
        body
    }

    #[expect(clippy::too_many_lines, reason = "one table, which is best read as one")]
    fn contract(&mut self, row: &Row, kind: ScopeKind) -> Contract {
        let ok = |id: &str, summary: &str, answer: Value| Contract {
            id: id.to_owned(),
            summary: summary.to_owned(),
            body: None,
            body_needed: false,
            status: 200,
            answer,
            media: "application/json",
        };
        let one = kind.name();
        let many = kind.plural();
        let key = self.writes::<keys::View<'_>>();
        match row.answer {
            Answer::CreateKey => {
                // One that another gateway has made is nowhere to be shown.
                let mut answer = with_secret(&key);
                answer["allOf"][1]["required"] = json!([]);
                Contract {
                    body: Some(self.key_creation()),
                    status: 201,
                    ..ok("createKey", "Make a key; it is shown this once.", answer)
                }
            }
            Answer::ListKeys => {
                let page = self.page::<keys::View<'_>>("keys");
                ok("listKeys", "Keys, in order of id.", page)
            }
            Answer::ShowKey => ok("showKey", "A key, its limits and what is used of them.", key),
            Answer::UpdateKey => Contract {
                body: Some(self.patch::<keys::Wish>("KeyPatch")),
                ..ok("updateKey", "Change what is named, and nothing else.", key)
            },
            Answer::RevokeKey => ok("revokeKey", "Refuse a key for ever; its books stay.", key),
            Answer::BlockKey => ok("blockKey", "Refuse a key until it is unblocked.", key),
            Answer::UnblockKey => ok("unblockKey", "Let a blocked key in again.", key),
            Answer::RotateKey => Contract {
                body: Some(self.reads::<keys::Rotation>()),
                ..ok("rotateKey", "Another token of the same key, shown this once.", with_secret(&key))
            },
            Answer::PairKey => {
                ok("pairKey", "A pair for clients of AWS, whose secret is shown this once.", key)
            }
            Answer::UnpairKey => ok("unpairKey", "No signature opens the key any more.", key),
            Answer::CreateScope => Contract {
                body: Some(self.scope_creation(kind)),
                body_needed: true,
                status: 201,
                ..ok(
                    &format!("create_{one}"),
                    &format!("Make one of {many}."),
                    self.writes::<scopes::View<'_>>(),
                )
            },
            Answer::ListScopes => {
                let page = self.page::<scopes::View<'_>>(many);
                ok(&format!("list_{many}"), &format!("All {many}, in order of id."), page)
            }
            Answer::ShowScope => ok(
                &format!("show_{one}"),
                &format!("One of {many}, its limits and what is used of them."),
                self.writes::<scopes::View<'_>>(),
            ),
            Answer::UpdateScope => Contract {
                body: Some(self.patch::<scopes::Wish>("ScopePatch")),
                ..ok(
                    &format!("update_{one}"),
                    "Change what is named, and nothing else.",
                    self.writes::<scopes::View<'_>>(),
                )
            },
            Answer::DeleteScope => {
                let (view, closed) = (self.writes::<scopes::View<'_>>(), self.writes::<dependents::Closed>());
                let answer = json!({ "allOf": [view, { "type": "object", "required": ["closed"],
                    "properties": { "closed": closed } }] });
                let answer = self.under("DeletedScope", answer);
                ok(&format!("delete_{one}"), "Close it for ever; its books stay.", answer)
            }
            Answer::Bulk => {
                let (noun, name) = match row.about {
                    About::One(_) => ("keys", "KeyBatch"),
                    About::Scope => (many, "ScopeBatch"),
                };
                let body = self.under(name, batch());
                let answer = self.under("BatchDone", results());
                Contract {
                    body: Some(body),
                    body_needed: true,
                    ..ok(&format!("bulk_{noun}"), "Up to 100, each by itself.", answer)
                }
            }
            Answer::ListArchive => ok(
                "listArchive",
                "Names of objects in the archive, in order.",
                self.page::<archive::Name>("names"),
            ),
            Answer::ShowArchived => Contract {
                media: "application/gzip",
                ..ok("showArchived", "One object, as it lies there.", json!({}))
            },
            Answer::CreateCredential => Contract {
                body: Some(self.reads::<credentials::Creation>()),
                body_needed: true,
                status: 201,
                ..ok("createCredential", "Give a provider's credential; it is never shown.", credential())
            },
            Answer::ListCredentials => ok(
                "listCredentials",
                "All credentials, without their secrets.",
                json!({ "type": "object", "required": ["credentials"], "additionalProperties": false,
                    "properties": { "credentials": { "type": "array", "items": credential() } } }),
            ),
            Answer::ShowCredential => ok("showCredential", "A credential, without its secret.", credential()),
            Answer::ReplaceCredential => Contract {
                body: Some(self.reads::<credentials::Replacement>()),
                body_needed: true,
                ..ok("replaceCredential", "Another secret in its place.", credential())
            },
            Answer::DeleteCredential => {
                ok("deleteCredential", "Take it away; the configuration's own is used again.", deleted())
            }
            Answer::Reseal => ok(
                "reseal",
                "Seal all with the newest sealing key, so that older ones can be taken away.",
                json!({ "type": "object", "required": ["resealed", "sealing_key"], "additionalProperties": false,
                    "properties": { "resealed": { "type": "integer", "minimum": 0 },
                        "sealing_key": { "type": "string", "description": "Its name, which tells nothing of it." } } }),
            ),
            Answer::CreatePrompt => Contract {
                body: Some(prompts::body(true)),
                body_needed: true,
                status: 201,
                ..ok(
                    "createPrompt",
                    "Write a prompt: its first version.",
                    self.under("Prompt", prompts::shape()),
                )
            },
            Answer::ListPrompts => {
                let item = self.under("Prompt", prompts::shape());
                ok(
                    "listPrompts",
                    "An organisation's prompts, without what they say.",
                    page_of("prompts", &item),
                )
            }
            Answer::ShowPrompt => ok(
                "showPrompt",
                "A version of a prompt, the newest unless said.",
                self.under("Prompt", prompts::shape()),
            ),
            Answer::UpdatePrompt => Contract {
                body: Some(prompts::body(false)),
                ..ok(
                    "updatePrompt",
                    "Another version, of what is named and otherwise as the newest; or other labels.",
                    self.under("Prompt", prompts::shape()),
                )
            },
            Answer::DeletePrompt => {
                ok("deletePrompt", "Take all its versions away; its numbers are not used again.", deleted())
            }
            Answer::Spend => {
                ok("spend", "What was spent, by whom and for what; CSV with `format=csv`.", report())
            }
            Answer::Audit => ok(
                "audit",
                "What admins did and were refused, or what content the archive has; in order.",
                trail(),
            ),
            Answer::ListRequests => ok(
                "listRequests",
                "Records of requests, the newest first; a line of JSON each with `format=ndjson`. A page may have none and still a `next`.",
                json!({ "type": "object", "required": ["next", "reads", "requests"], "properties": {
                    "next": { "type": ["string", "null"] }, "reads": { "type": "integer", "minimum": 0 },
                    "requests": { "type": "array", "items": line("request") } } }),
            ),
            Answer::ShowRequest => ok(
                "showRequest",
                "One request, with its attempts and scores; and with what it said and was answered, where that is kept and the caller may read it.",
                json!({ "type": "object", "required": ["request", "attempts", "scores"], "properties": {
                    "request": line("request"), "attempts": { "type": "array", "items": line("attempt") },
                    "scores": { "type": "array", "items": line("score") }, "content": line("content") } }),
            ),
            Answer::Score => Contract {
                body: Some(self.reads::<requests::Scoring>()),
                body_needed: true,
                status: 201,
                ..ok(
                    "scoreRequest",
                    "Say what an answer is worth: joined to its record, told to sinks.",
                    line("score"),
                )
            },
            Answer::Erase => Contract {
                body: Some(self.reads::<erasures::Wish>()),
                body_needed: true,
                status: 202,
                ..ok(
                    "erase",
                    "Delete what somebody's requests said and were answered until now, but for what is on legal hold. Begins after a minute; records stay.",
                    erasure(),
                )
            },
            Answer::ListErasures => ok(
                "listErasures",
                "Deletions of content that were asked for, the oldest first.",
                json!({ "type": "object", "required": ["erasures"], "additionalProperties": false,
                    "properties": { "erasures": { "type": "array", "items": erasure() } } }),
            ),
            Answer::Targets => {
                let page = self.page::<targets::View>("targets");
                ok("targets", "Targets that were asked, which of them are out, and why.", page)
            }
            Answer::Describe => ok("describe", "This document.", json!({ "type": "object" })),
            Answer::Explain => Contract {
                body: Some(self.reads::<explain::Wish>()),
                body_needed: true,
                ..ok(
                    "explain",
                    "What would become of a request, and why; a key for models may ask it of itself.",
                    self.writes::<explain::View<'_>>(),
                )
            },
            Answer::PurgeCache => Contract {
                body: Some(self.reads::<cache::Wish>()),
                ..ok(
                    "purgeCache",
                    "Give answers that were kept to nobody any more; other processes follow within ten seconds.",
                    json!({ "type": "object", "required": ["purged"], "additionalProperties": false,
                        "properties": { "purged": { "type": "string" } } }),
                )
            },
            Answer::TestGuard => Contract {
                body: Some(self.reads::<guards::Wish>()),
                body_needed: true,
                ..ok(
                    "testGuard",
                    "What a guard, or those of a group, would say of a text or of a request; services are asked, and nothing is sent on.",
                    self.writes::<guards::View>(),
                )
            },
            Answer::Tick => ok(
                "tick",
                "What the gateway does from time to time, now.",
                json!({ "type": "object", "required": ["archived", "told", "passed_on"], "additionalProperties": false,
                    "properties": { "archived": { "type": "integer", "minimum": 0 },
                        "told": { "type": "integer", "minimum": 0, "description": "Alerts." },
                        "passed_on": { "type": "integer", "minimum": 0,
                            "description": "Requests that sinks were told of, each counted for each sink." } } }),
            ),
        }
    }
}

fn operation(row: &Row, contract: Contract) -> Value {
    let mut parameters = Vec::new();
    for name in ["id", "name"] {
        if row.path.contains(&format!("{{{name}}}")) {
            parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string", "minLength": 1 } }));
        }
    }
    for word in row.query {
        let (schema, description) = match (row.answer, *word) {
            (Answer::Audit, "after") => (
                json!({ "type": "integer", "minimum": 0, "maximum": (1_u64 << 48) - 1 }),
                "The number of an entry.",
            ),
            (Answer::Audit, "of") => (
                json!({ "enum": ["admin", "content"] }),
                "Of what: what admins did and were refused (unless said), or prompts and answers that were kept, by their hashes.",
            ),
            (Answer::ListRequests, "from" | "to") => (
                json!({ "type": "string" }),
                "A moment (RFC 3339) or a day in UTC; the last day until now, unless said.",
            ),
            (Answer::ListRequests, "format") => (json!({ "enum": ["json", "ndjson"] }), "JSON unless said."),
            (Answer::Spend, "from" | "to") => (
                json!({ "type": "string" }),
                "A day in UTC; the last one is included. By the minute or the hour it may be a moment (RFC 3339), and is the last hour or day \
                 unless said: minutes are kept for 47 hours, hours for 31 days.",
            ),
            (_, "org") if row.path.starts_with("prompts") => (
                json!({ "type": "string", "pattern": "^[a-z0-9][a-z0-9._-]{0,63}$" }),
                "Whose; the caller's own organisation's unless said.",
            ),
            (Answer::ShowPrompt, "version") => {
                (json!({ "type": "string" }), "A number, a label, or `latest`.")
            }
            (_, word) => word_of(word),
        };
        parameters.push(json!({ "name": word, "in": "query", "schema": schema, "description": description }));
    }
    if row.method == http::Method::POST {
        parameters.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
    }
    let mut operation = json!({
        "operationId": contract.id,
        "summary": contract.summary,
        "x-permission": permission(row),
        "parameters": parameters,
        "responses": {
            contract.status.to_string(): { "description": "Done.", "content": { contract.media: { "schema": contract.answer } } },
            "default": { "description": "Refused.", "content": { "application/problem+json": {
                "schema": { "$ref": "#/components/schemas/Problem" } } } },
        },
    });
    if contract.media == "application/gzip" {
        operation["responses"][contract.status.to_string()]["content"] = json!({ contract.media: {} });
    }
    if matches!(row.answer, Answer::ListRequests) {
        operation["responses"][contract.status.to_string()]["content"]["application/x-ndjson"] =
            json!({ "schema": { "type": "string" } });
    } else if row.query.contains(&"format") {
        operation["responses"][contract.status.to_string()]["content"]["text/csv"] =
            json!({ "schema": { "type": "string" } });
    }
    if let Some(body) = contract.body {
        operation["requestBody"] = json!({ "required": contract.body_needed, "content": { "application/json": { "schema": body } } });
    }
    operation
}

/// The roles that the table lets in, in words.
fn permission(row: &Row) -> String {
    let named = match row.about {
        About::One(resource) => resource,
        About::Scope => Resource::Scope(ScopeKind::Team),
    };
    let roles = Role::ALL.into_iter().filter(|role| {
        TABLE.iter().any(|(who, what, verbs)| who == role && *what == named && verbs.contains(&row.verb))
    });
    roles.map(Role::name).collect::<Vec<_>>().join(", ")
}

fn word_of(word: &str) -> (Value, &'static str) {
    match word {
        "shard" => (
            json!({ "type": "string", "pattern": "^[a-z0-9]{1,24}$" }),
            "Where it is; the gateway's own shard unless said.",
        ),
        "limit" => (
            json!({ "type": "integer", "minimum": 1, "maximum": 1_000, "default": 100 }),
            "The most on one page.",
        ),
        "after" => (json!({ "type": "string" }), "`next` of the page before."),
        "from" | "to" => {
            (json!({ "type": "string", "format": "date" }), "A day in UTC; the last one is included.")
        }
        "format" => (json!({ "enum": ["json", "csv"] }), "JSON unless said."),
        "by" => (
            json!({ "type": "string", "pattern": format!("^((minute|hour|day|month|tag|{})(,|$))*$", FIELDS.join("|")) }),
            "What rows are told apart by, parted by commas: day, month, tag, or a word of this query; minute or hour with org, provider \
             and model alone.",
        ),
        "blocked" | "cascade" => (
            json!({ "type": "boolean" }),
            match word {
                "cascade" => "Whether what belongs to it is closed with it.",
                _ => "Whether it is blocked.",
            },
        ),
        "kind" => (json!({ "enum": KeyKind::NAMES }), "What it opens."),
        "expires_before" => {
            (json!({ "type": "string", "format": "date-time" }), "It has a last moment, before this one.")
        }
        "prefix" => (json!({ "type": "string" }), "What the names begin with."),
        _ => (json!({ "type": "string" }), ""),
    }
}

/// Says of each count how large it may be, as its format does.
fn bound(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.get("format") == Some(&json!("uint64")) {
                fields.insert("maximum".to_owned(), json!(u64::MAX));
            }
            fields.values_mut().for_each(bound);
        }
        Value::Array(list) => list.iter_mut().for_each(bound),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The names that `routes` may have.
fn doors(keys: &mut Value) {
    let operations = gatelet_wire::Operation::ALL.iter().map(|operation| operation.name());
    let names: Vec<&str> = operations.chain([approach::MODELS]).collect();
    if keys["properties"]["routes"].is_object() {
        keys["properties"]["routes"]["items"] = json!({ "enum": names });
    }
}

/// What may name one of a kind.
fn id_of(kind: ScopeKind) -> Value {
    const WORD: &str = "[a-z0-9][a-z0-9._-]{0,63}";
    match kind {
        ScopeKind::Member => {
            json!({ "type": "string", "pattern": format!(r"^{WORD}/[^/\x00-\x1f\x7f-\x9f]{{1,256}}$") })
        }
        ScopeKind::User => {
            json!({ "type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^/\x00-\x1f\x7f-\x9f]*$" })
        }
        ScopeKind::Customer | ScopeKind::Tag | ScopeKind::Model => {
            json!({ "type": "string", "minLength": 1, "maxLength": 256, "pattern": r"^[^\x00-\x1f\x7f-\x9f]*$" })
        }
        ScopeKind::Organisation
        | ScopeKind::Team
        | ScopeKind::Project
        | ScopeKind::Agent
        | ScopeKind::Tool
        | ScopeKind::Template => json!({ "type": "string", "pattern": format!("^{WORD}$") }),
    }
}

fn nullable(schema: Value) -> Value {
    let has_null = match &schema["type"] {
        Value::Array(types) => types.contains(&json!("null")),
        _ => schema["anyOf"].as_array().is_some_and(|any| any.contains(&json!({ "type": "null" }))),
    };
    if has_null { schema } else { json!({ "anyOf": [schema, { "type": "null" }] }) }
}

/// A key's view, with the key itself.
fn with_secret(view: &Value) -> Value {
    json!({ "allOf": [view, { "type": "object", "required": ["key"], "properties": {
        "key": { "type": "string", "description": "The key itself: it is shown this once." } } }] })
}

/// Many in one call. What is wrong with one is said of that one, so that none is judged here.
fn batch() -> Value {
    let version = json!({ "type": ["integer", "null"], "format": "uint64", "minimum": 0, "description": "Refused if it has another one." });
    let named = json!({ "id": { "type": "string" }, "version": version });
    let mut update = named.clone();
    update["set"] = json!({ "type": "object", "description": "As the body that changes one." });
    let one = |word: &str, schema: Value| {
        json!({ "type": "object", "required": [word], "additionalProperties": false,
        "properties": { word: schema } })
    };
    let object = |properties: Value, required: Value| {
        json!({ "type": "object", "required": required,
        "additionalProperties": false, "properties": properties })
    };
    let items = [
        one("create", json!({ "type": "object", "description": "As the body that makes one." })),
        one("update", object(update, json!(["id", "set"]))),
        one("delete", object(named, json!(["id"]))),
    ];
    object(
        json!({ "items": { "type": "array", "minItems": 1, "maxItems": bulk::MOST, "items": { "oneOf": items } } }),
        json!(["items"]),
    )
}

/// What became of them.
fn results() -> Value {
    let item = json!({ "type": "object", "required": ["status"], "properties": {
        "status": { "type": "integer" }, "id": { "type": "string" }, "version": { "type": "integer" },
        "key": { "type": "string", "description": "The key itself: it is shown this once." },
        "problem": { "$ref": "#/components/schemas/Problem" } } });
    json!({ "type": "object", "required": ["items", "refused"], "additionalProperties": false, "properties": {
        "items": { "type": "array", "items": item }, "refused": { "type": "integer", "minimum": 0 } } })
}
