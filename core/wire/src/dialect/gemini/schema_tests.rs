use super::*;

fn own(standard: &Value) -> (Value, bool) {
    let (own, left_out) = to_own(&Json::of(standard), "schema").unwrap();
    (own.to_value(), left_out)
}

#[test]
fn references_are_written_out_and_what_refers_to_itself_is_refused() {
    let schema = json!({
        "$defs": {"point": {"type": "object", "properties": {"x": {"type": "number"}}}},
        "type": "object",
        "properties": {"at": {"$ref": "#/$defs/point"}},
        "required": ["at", "gone"]
    });
    let expected = json!({
        "type": "object",
        "required": ["at"],
        "properties": {"at": {"type": "object", "properties": {"x": {"type": "number"}}}}
    });
    assert_eq!(own(&schema), (expected, false));
    let circle = json!({"$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}}}}, "$ref": "#/$defs/node"});
    assert!(to_own(&Json::of(&circle), "schema").is_err());
    let mut doubling = json!({"type": "string"});
    for _ in 0..16 {
        doubling = json!({"properties": {"a": doubling.clone(), "b": doubling}});
    }
    assert!(to_own(&Json::of(&doubling), "schema").is_err());
}

#[test]
fn what_the_own_form_says_otherwise_is_said_so_and_the_rest_is_left_out() {
    assert_eq!(
        own(&json!({"type": ["string", "null"]})),
        (json!({"nullable": true, "type": "string"}), false)
    );
    assert_eq!(own(&json!({"const": "a"})), (json!({"type": "string", "enum": ["a"]}), false));
    assert_eq!(own(&json!({"enum": ["", "a"]})), (json!({}), true));
    assert_eq!(own(&json!({"enum": [1, 2]})), (json!({}), true));
    assert_eq!(
        own(&json!({"description": "d", "oneOf": [{"type": "string"}, {"type": "null"}]})),
        (json!({"type": "string", "description": "d", "nullable": true}), false)
    );
    assert_eq!(
        own(&json!({"allOf": [{"properties": {"a": {"type": "string"}}}, {"properties": {"b": {"type": "string"}}}]})).0,
        json!({"properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "type": "object"})
    );
    assert_eq!(own(&json!({"type": "number", "exclusiveMinimum": 0})), (json!({"type": "number"}), true));
}

#[test]
fn the_own_form_becomes_a_standard_schema() {
    let own = json!({
        "type": "OBJECT",
        "properties": {
            "ref": {"type": "STRING", "nullable": true, "enum": ["a"]},
            "list": {"type": "ARRAY", "minItems": "1", "items": {"any_of": [{"type": "INTEGER"}, {"type": "STRING"}]}}
        },
        "propertyOrdering": ["list", "ref"]
    });
    let standard = json!({
        "type": "object",
        "properties": {
            "ref": {"type": ["string", "null"], "enum": ["a", null]},
            "list": {"type": "array", "minItems": 1, "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]}}
        }
    });
    assert_eq!(to_standard(&Json::of(&own)).to_value(), standard);
}
