use super::*;
use serde_json::json;

fn fits(schema: Value, value: &Value) -> Option<bool> {
    Schema::read(schema).unwrap().fits(value)
}

#[test]
fn every_keyword_takes_what_it_means_and_nothing_else() {
    let tree = json!({ "$ref": "#/$defs/node", "$defs": { "node": { "type": "object", "required": ["v"],
        "additionalProperties": false,
        "properties": { "v": { "type": "integer" }, "next": { "$ref": "#/$defs/node" } } } } });
    for (schema, good, bad) in [
        (json!({ "type": "string" }), json!("a"), json!(1)),
        (json!({ "type": ["string", "null"] }), json!(null), json!(1)),
        (json!({ "type": "integer" }), json!(2.0), json!(2.5)),
        (json!({ "type": "string", "nullable": true }), json!(null), json!(1)),
        (json!({ "enum": ["1", 2] }), json!(2.0), json!(1)),
        (json!({ "const": { "a": [1] } }), json!({ "a": [1.0] }), json!({ "a": [2] })),
        (json!({ "minimum": 1, "maximum": 3 }), json!(3), json!(3.1)),
        (json!({ "exclusiveMinimum": 1, "exclusiveMaximum": 3 }), json!(2), json!(3)),
        (json!({ "multipleOf": 0.1 }), json!(0.3), json!(0.35)),
        (json!({ "minLength": 2, "maxLength": 3 }), json!("äöü"), json!("ä")),
        (json!({ "pattern": "^[a-z]*$" }), json!(""), json!("a1")),
        (json!({ "pattern": "b+" }), json!("abc"), json!("ac")),
        (json!({ "format": "date-time" }), json!("2026-01-02T03:04:05Z"), json!("yesterday")),
        (json!({ "format": "date" }), json!("2026-01-02"), json!("2026-13-02")),
        (json!({ "format": "uuid" }), json!("01234567-89ab-cdef-0123-456789abcdef"), json!("0123")),
        (json!({ "format": "ipv4" }), json!("192.0.2.1"), json!("192.0.2")),
        (json!({ "format": "ipv6" }), json!("2001:db8::1"), json!("2001")),
        (json!({ "format": "email" }), json!("a@b.example"), json!("a b@c")),
        (json!({ "items": { "type": "string" }, "minItems": 1, "maxItems": 2 }), json!(["a"]), json!([])),
        (json!({ "items": { "type": "string" } }), json!([]), json!([1])),
        (json!({ "prefixItems": [{ "type": "string" }], "items": false }), json!(["a"]), json!(["a", 1])),
        (json!({ "contains": { "const": 1 } }), json!([2, 1]), json!([2])),
        (json!({ "uniqueItems": true }), json!([1, 2]), json!([1, 2, 1.0])),
        (json!({ "properties": { "a": { "type": "null" } } }), json!({ "b": 1 }), json!({ "a": 1 })),
        (json!({ "required": ["a", "b"] }), json!({ "a": 1, "b": 2 }), json!({ "a": 1 })),
        (
            json!({ "properties": { "a": true }, "patternProperties": { "^x-": { "type": "string" } },
                "additionalProperties": false }),
            json!({ "a": 1, "x-b": "c" }),
            json!({ "b": 1 }),
        ),
        (
            json!({ "patternProperties": { "^x": { "type": "string" } } }),
            json!({ "a": 1 }),
            json!({ "x": 1 }),
        ),
        (json!({ "propertyNames": { "maxLength": 2 } }), json!({ "ab": 1 }), json!({ "abc": 1 })),
        (json!({ "minProperties": 1, "maxProperties": 1 }), json!({ "a": 1 }), json!({})),
        (json!({ "anyOf": [{ "type": "string" }, { "minimum": 3 }] }), json!(3), json!(2)),
        (json!({ "oneOf": [{ "type": "number" }, { "minimum": 3 }] }), json!(2), json!(3)),
        (json!({ "allOf": [{ "minimum": 1 }, { "maximum": 3 }] }), json!(2), json!(4)),
        (json!({ "not": { "type": "string" } }), json!(1), json!("a")),
        (
            json!({ "if": { "type": "string" }, "then": { "minLength": 2 }, "else": { "minimum": 2 } }),
            json!(2),
            json!("a"),
        ),
        (tree, json!({ "v": 1, "next": { "v": 2 } }), json!({ "v": 1, "next": { "w": 2 } })),
        (
            json!({ "$ref": "#/definitions/a%20b", "definitions": { "a b": { "const": 1 } } }),
            json!(1),
            json!(2),
        ),
        (json!(true), json!(1), json!(1)),
    ] {
        assert_eq!(fits(schema.clone(), &good), Some(true), "{schema}: {good}");
        assert_eq!(fits(schema.clone(), &bad), Some(schema == json!(true)), "{schema}: {bad}");
    }
}

#[test]
fn what_cannot_be_judged_is_no_schema_and_says_where() {
    for (schema, said) in [
        (json!({ "properties": { "a": { "unevaluatedItems": false } } }), "#/properties/a/unevaluatedItems"),
        (json!({ "$ref": "https://example.com/a" }), "#/$ref"),
        (json!({ "$ref": "#/$defs/none" }), "#/$ref"),
        (json!({ "type": "text" }), "string, array"),
        (json!({ "pattern": "(?=a)" }), "#/pattern"),
        (json!({ "minimum": "1" }), "a number"),
        (json!({ "maxLength": -1 }), "a whole number"),
        (json!({ "anyOf": [] }), "a list"),
        (json!({ "items": [{}] }), "#/items"),
        (json!({ "required": [1] }), "a list"),
        (json!("string"), "no schema"),
    ] {
        let problem = Schema::read(schema.clone()).unwrap_err();
        assert!(problem.contains(said), "{schema}: {problem}");
    }
    let deep = (0..200).fold(json!({}), |inner, _| json!({ "not": inner }));
    assert!(Schema::read(deep).is_err());
}

#[test]
fn a_schema_that_asks_for_endless_work_is_given_up() {
    let ring = json!({ "$ref": "#" });
    assert_eq!(fits(ring, &json!(1)), None);
    let doubling = json!({ "$ref": "#/$defs/a0", "$defs": (0..40).map(|nth| {
        let next = json!({ "$ref": format!("#/$defs/a{}", nth + 1) });
        (format!("a{nth}"), json!({ "oneOf": [{ "allOf": [next.clone(), { "not": {} }] }, { "allOf": [next, { "not": {} }] }] }))
    }).chain([("a40".to_owned(), json!({}))]).collect::<Map<String, Value>>() });
    assert_eq!(fits(doubling, &json!(1)), None);
    let many: Vec<u32> = (0..5_000).collect();
    assert_eq!(fits(json!({ "uniqueItems": true }), &json!(many)), None);
    let pattern = json!({ "pattern": "(a?){100}b$" });
    assert_eq!(fits(pattern, &json!("a".repeat(100_000))), None);
}
