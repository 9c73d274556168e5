//! The admin API is what its document says.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects")]

mod world;

use serde_json::{Value, json};
use world::{World, completion, openai, whole};

const METHODS: [&str; 5] = ["get", "post", "patch", "put", "delete"];

fn document(world: &World) -> Value {
    let (status, document) = world.admin("GET", "/admin/v1/openapi.json", &json!({}));
    assert_eq!(status, 200);
    document
}

/// What is checked in, and carried by every host, is what the code makes. `UPDATE_OPENAPI=1` writes it.
#[test]
#[expect(clippy::disallowed_methods, reason = "the checked-in document is a file")]
fn the_document_is_what_the_routes_and_types_make() {
    let made = format!("{:#}\n", gatelet_core::api::openapi::document());
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/src/api/admin/openapi.json");
    if std::env::var("UPDATE_OPENAPI").is_ok() {
        std::fs::write(file, &made).unwrap();
    }
    let kept = std::fs::read_to_string(file).unwrap();
    assert!(kept == made, "{file} is another: UPDATE_OPENAPI=1 cargo test -p gatelet-core --test admin");
}

#[test]
fn every_operation_of_the_document_exists_and_no_other_method_does() {
    let world = World::new();
    let document = document(&world);
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        let (mut id, _) = world.key(&json!({}));
        // What belongs to nobody yet has a name of its own.
        let plural = path.trim_start_matches("/admin/v1/").split_once("/{id}").map(|(plural, _)| plural);
        if plural == Some("requests") {
            let (_, secret) = world.key(&json!({}));
            world.handles.upstream.always(|_, _| Ok(whole(200, &completion("hi", 7, 3))));
            let body = json!({ "model": "plain", "messages": [{ "role": "user", "content": "hello" }] });
            let response = world.send(openai(&secret, &body));
            response.headers()["x-gatelet-request-id"].to_str().unwrap().clone_into(&mut id);
        } else if let Some(plural) = plural
            && !["keys", "credentials", "guards"].contains(&plural)
        {
            "some".clone_into(&mut id);
            if plural == "members" {
                for plural in ["teams", "users"] {
                    world.admin("POST", &format!("/admin/v1/{plural}"), &json!({ "id": "m" }));
                }
                "m/m".clone_into(&mut id);
            }
            let mut wish = json!({ "id": id });
            if plural == "prompts" {
                wish["messages"] = json!([{ "role": "user", "content": "hello" }]);
            }
            let (status, made) = world.admin("POST", &format!("/admin/v1/{plural}"), &wish);
            assert_eq!(status, 201, "{made}");
        }
        let real = path.replace("{id}", &id).replace("{name}", "v1/none");
        for method in METHODS {
            let (status, answer) = world.admin(&method.to_uppercase(), &real, &json!({}));
            let Some(operation) = item.get(method) else {
                assert!(matches!(status, 404 | 405), "{method} {path}: {status}");
                continue;
            };
            operations += 1;
            let code = answer["code"].as_str().unwrap_or_default();
            assert!(!matches!(code, "path_unknown" | "method_wrong"), "{method} {path}: {answer}");
            let declared = operation["responses"].as_object().unwrap();
            let said = if status < 400 { status.to_string() } else { "default".to_owned() };
            assert!(declared.contains_key(&said), "{method} {path}: {status}");
        }
    }
    assert_eq!(operations, gatelet_core::api::openapi::routes().len());
}

#[test]
fn a_keys_view_has_the_fields_of_the_document() {
    let world = World::new();
    let document = document(&world);
    let limits = json!({ "rpm": 5, "tpm": 10_000, "rpd": 50, "tpd": 100_000, "input_tpm": 9_000,
        "output_tpm": 5_000, "input_tpd": 90_000, "output_tpd": 50_000, "parallel": 2, "budget": ["0.01 USD / day"], "soft_budget": ["1 USD / total"] });
    let wish = json!({ "alias": "a", "models": ["plain"], "limits": limits, "expires": "2027-01-01T00:00:00Z",
        "tags": ["t"], "metadata": { "owner": "me" } });
    let (status, new) = world.admin("POST", "/admin/v1/keys", &wish);
    assert_eq!(status, 201, "{new}");
    let (_, shown) =
        world.admin("GET", &format!("/admin/v1/keys/{}", new["id"].as_str().unwrap()), &json!({}));
    same_fields(&document["components"]["schemas"]["Key"], &shown);
    same_fields(&document["components"]["schemas"]["Statement"], &shown["usage"]);
    same_fields(&document["components"]["schemas"]["BudgetLine"], &shown["usage"]["budget"][0]);
    for (field, value) in wish.as_object().unwrap() {
        assert_eq!(&new[field], value, "{field}");
    }
}

fn same_fields(schema: &Value, value: &Value) {
    let mut declared: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
    let mut shown: Vec<&String> = value.as_object().unwrap().keys().collect();
    declared.sort();
    shown.sort();
    assert_eq!(declared, shown);
}

#[test]
fn a_scopes_view_has_the_fields_of_the_document() {
    let world = World::new();
    let document = document(&world);
    for plural in ["teams", "projects", "users"] {
        let wish = json!({ "id": "a.b", "name": "A & B", "limits": { "rpm": 5, "budget": ["1 USD / day"] },
            "metadata": { "owner": "me" } });
        let (status, new) = world.admin("POST", &format!("/admin/v1/{plural}"), &wish);
        assert_eq!(status, 201, "{new}");
        same_fields(&document["components"]["schemas"]["Scope"], &new);
        for (field, value) in wish.as_object().unwrap() {
            assert_eq!(&new[field], value, "{field}");
        }
        let (_, page) = world.admin("GET", &format!("/admin/v1/{plural}"), &json!({}));
        assert_eq!(page[plural], json!([new]));
    }
}

/// What is sent in a wrong place may be a secret, and refusals are kept.
#[test]
fn a_refusal_does_not_repeat_what_was_sent() {
    const SECRET: &str = "sk-proj-sent-by-mistake";
    let world = World::new();
    for (path, body) in [
        ("keys", json!({ "limits": { "rpm": SECRET } })),
        ("keys", json!({ "blocked": SECRET })),
        ("keys", json!({ "models": SECRET })),
        ("keys", json!({ "limits": SECRET })),
        ("keys", json!({ "kind": SECRET })),
        ("keys", json!({ "expires": SECRET })),
        ("credentials", json!({ "provider": 5, "of": SECRET })),
        ("explain", json!({ "key": [SECRET], "request": SECRET })),
    ] {
        let (status, refused) = world.admin("POST", &format!("/admin/v1/{path}"), &body);
        assert!((400..500).contains(&status), "{body}: {refused}");
        assert!(!refused.to_string().contains(SECRET), "{refused}");
    }
    assert!(!world.admin("GET", "/admin/v1/audit", &json!({})).1.to_string().contains(SECRET));
}
