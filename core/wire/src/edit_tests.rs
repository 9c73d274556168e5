use super::*;

fn edited(body: &str, edits: &str) -> (String, Vec<String>) {
    let edits: Vec<Edit> = serde_json::from_str(edits).unwrap();
    let fields = Fields::read(body.as_bytes()).unwrap();
    let mut draft = Draft::from(&fields);
    let mut loss = Loss::default();
    draft.apply(&edits, &mut loss).unwrap();
    (String::from_utf8(draft.write()).unwrap(), loss.items().map(str::to_owned).collect())
}

#[track_caller]
fn check(body: &str, edits: &str, after: &str, losses: &[&str]) {
    let (text, loss) = edited(body, edits);
    assert_eq!(text, after);
    assert_eq!(loss, losses);
}

#[test]
fn untouched_values_keep_their_bytes_and_order() {
    check(
        r#"{"z":1.10,"a":12345678901234567890123,"m":{ "x" : "\u00e9" },"b":[1, 2]}"#,
        r#"[{"drop":"b"}]"#,
        r#"{"z":1.10,"a":12345678901234567890123,"m":{ "x" : "\u00e9" }}"#,
        &["b"],
    );
}

#[test]
fn a_renamed_field_stays_in_its_place_and_is_no_loss() {
    let rename = r#"[{"rename":["max_completion_tokens","max_tokens"]}]"#;
    check(r#"{"max_completion_tokens":7,"x":1}"#, rename, r#"{"max_tokens":7,"x":1}"#, &[]);
    check(r#"{"x":1}"#, rename, r#"{"x":1}"#, &[]);
    check(r#"{"max_tokens":5,"max_completion_tokens":7}"#, rename, r#"{"max_tokens":5}"#, &[]);
    check(r#"{"max_tokens":null,"max_completion_tokens":7}"#, rename, r#"{"max_tokens":7}"#, &[]);
    check(r#"{"max_tokens":5,"max_completion_tokens":null}"#, rename, r#"{"max_tokens":5}"#, &[]);
}

#[test]
fn a_field_moves_into_an_object_and_out_of_one() {
    let inward = r#"[{"move":["user","metadata.user_id"]}]"#;
    check(r#"{"user":"u","x":1}"#, inward, r#"{"x":1,"metadata":{"user_id":"u"}}"#, &[]);
    check(r#"{"user":"u","metadata":{"a":1.0}}"#, inward, r#"{"metadata":{"a":1.0,"user_id":"u"}}"#, &[]);
    check(r#"{"user":"u","metadata":{"user_id":"v"}}"#, inward, r#"{"metadata":{"user_id":"v"}}"#, &[]);
    check(r#"{"x":1}"#, inward, r#"{"x":1}"#, &[]);
    check(r#"{"a":{"b":{"c":1}}}"#, r#"[{"move":["a.b.c","d"]}]"#, r#"{"a":{"b":{}},"d":1}"#, &[]);
}

#[test]
fn what_is_dropped_is_noted_unless_it_said_nothing() {
    check(r#"{"a":null,"b":1}"#, r#"[{"drop":"a"},{"drop":"b"},{"drop":"c"}]"#, "{}", &["b"]);
    check(r#"{"o":{"a":1,"b":2}}"#, r#"[{"drop":"o.a"},{"drop":"p.q"}]"#, r#"{"o":{"b":2}}"#, &["o.a"]);
}

#[test]
fn numbers_are_clamped_only_when_out_of_bounds() {
    let clamp = r#"[{"clamp":["temperature",0.01,1.0]}]"#;
    check(r#"{"temperature":1.50}"#, clamp, r#"{"temperature":1.0}"#, &["temperature"]);
    check(r#"{"temperature":0}"#, clamp, r#"{"temperature":0.01}"#, &["temperature"]);
    check(r#"{"temperature":0.70}"#, clamp, r#"{"temperature":0.70}"#, &[]);
    check(r#"{"temperature":null}"#, clamp, r#"{"temperature":null}"#, &[]);
    // A whole number stays one, where it can.
    check(r#"{"temperature":2}"#, clamp, r#"{"temperature":1}"#, &["temperature"]);
    check(r#"{"n":-3}"#, r#"[{"clamp":["n",-1,4]}]"#, r#"{"n":-1}"#, &["n"]);
}

#[test]
fn defaults_yield_to_the_caller_and_sets_do_not() {
    let both = r#"[{"default":["a",[1]]},{"set":["b","x"]}]"#;
    check(r#"{"a":2,"b":3}"#, both, r#"{"a":2,"b":"x"}"#, &[]);
    check(r#"{"a":null}"#, both, r#"{"a":[1],"b":"x"}"#, &[]);
}

#[test]
fn a_value_is_said_in_another_word() {
    let map = r#"[{"replace":["tool_choice","required","any"]}]"#;
    check(r#"{"tool_choice":"required"}"#, map, r#"{"tool_choice":"any"}"#, &[]);
    check(r#"{"tool_choice":"r\u0065quired"}"#, map, r#"{"tool_choice":"any"}"#, &[]);
    check(r#"{"tool_choice":"auto"}"#, map, r#"{"tool_choice":"auto"}"#, &[]);
}

#[test]
fn names_of_messages_are_removed_for_providers_that_refuse_them() {
    check(
        r#"{"messages":[{"role":"user","name":"ann","content":"hi"},{"role":"user", "content":1.10}]}"#,
        r#"[{"messages":"drop-name"}]"#,
        r#"{"messages":[{"role":"user","content":"hi"},{"role":"user", "content":1.10}]}"#,
        &["messages.*.name"],
    );
}

#[test]
fn null_fields_of_messages_are_removed_but_for_content() {
    check(
        r#"{"messages":[{"role":"assistant","content":null,"function_call":null,"tool_calls":[]}]}"#,
        r#"[{"messages":"drop-null"}]"#,
        r#"{"messages":[{"role":"assistant","content":null,"tool_calls":[]}]}"#,
        &[],
    );
}

#[test]
fn a_list_of_text_is_flattened_and_one_with_an_image_is_not() {
    let flatten = r#"[{"messages":"flatten-text"}]"#;
    check(
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}"#,
        flatten,
        r#"{"messages":[{"role":"user","content":"a\n\nb"}]}"#,
        &[],
    );
    let image = r#"{"messages":[{"content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"u"}}]}]}"#;
    check(image, flatten, image, &[]);
}

#[test]
fn the_developer_becomes_the_system() {
    check(
        r#"{"messages":[{"role":"developer","content":"d"},{"role":"user","content":"u"}]}"#,
        r#"[{"messages":"developer-to-system"}]"#,
        r#"{"messages":[{"role":"system","content":"d"},{"role":"user","content":"u"}]}"#,
        &[],
    );
}

#[test]
fn cache_marks_are_removed_for_providers_that_refuse_them() {
    check(
        r#"{"tools":[{"type":"function","cache_control":{}}],"messages":[{"content":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}},{"b" :1}]}]}"#,
        r#"[{"messages":"drop-cache-marks"}]"#,
        r#"{"tools":[{"type":"function"}],"messages":[{"content":[{"type":"text","text":"a"},{"b" :1}]}]}"#,
        &["messages.*.content.*.cache_control", "tools.*.cache_control"],
    );
}

#[test]
fn reasoning_is_dropped_or_filled_as_the_provider_wants() {
    let body = r#"{"messages":[{"role":"assistant","reasoning_content":"r","content":"c"}]}"#;
    let without = r#"{"messages":[{"role":"assistant","content":"c"}]}"#;
    check(body, r#"[{"messages":"drop-reasoning"}]"#, without, &["messages.*.reasoning_content"]);
    check(
        r#"{"messages":[{"role":"assistant","tool_calls":[{}]},{"role":"assistant","content":"c"}]}"#,
        r#"[{"messages":"fill-reasoning"}]"#,
        r#"{"messages":[{"role":"assistant","tool_calls":[{}],"reasoning_content":" "},{"role":"assistant","content":"c"}]}"#,
        &[],
    );
}

#[test]
fn messages_that_are_no_list_are_the_callers_fault() {
    let fields = Fields::read(br#"{"messages":{}}"#).unwrap();
    let error = Draft::from(&fields).apply(&[Edit::Messages(MessageEdit::DropNull)], &mut Loss::default());
    assert_eq!(error, Err(Malformed::field("messages", "a list")));
}

#[test]
fn a_star_reaches_every_element_and_only_what_is_there() {
    check(
        r#"{"tools":[{"function":{"name":"a","strict":true}},{"function":{ "name" : "b" }},"odd"]}"#,
        r#"[{"drop":"tools.*.function.strict"}]"#,
        r#"{"tools":[{"function":{"name":"a"}},{"function":{ "name" : "b" }},"odd"]}"#,
        &["tools.*.function.strict"],
    );
    check(
        r#"{"messages":[{"reasoning_content":"r","x":1},{"content":"c"}]}"#,
        r#"[{"rename":["messages.*.reasoning_content","messages.*.reasoning"]}]"#,
        r#"{"messages":[{"reasoning":"r","x":1},{"content":"c"}]}"#,
        &[],
    );
    let odd = r#"{"messages":"none","tools":{"a":1},"n":[1,[2]]}"#;
    check(
        odd,
        r#"[{"drop":"messages.*.name"},{"drop":"tools.*.x"},{"drop":"n.*.a"},{"drop":"n.a"}]"#,
        odd,
        &[],
    );
}

#[test]
fn every_edit_survives_its_data_form() {
    let text = r#"[{"rename":["a","b"]},{"move":["a","b.c"]},{"drop":"c"},{"clamp":["t",0.0,1.0]},{"default":["d",1]},
        {"set":["e",{"x":[true]}]},{"replace":["v","x","y"]},{"messages":"drop-name"}]"#;
    let edits: Vec<Edit> = serde_json::from_str(text).unwrap();
    let again: Vec<Edit> = serde_json::from_str(&serde_json::to_string(&edits).unwrap()).unwrap();
    assert_eq!(edits, again);
}

#[test]
fn an_edit_that_makes_no_sense_is_refused() {
    for wrong in [
        r#"{"drop":"a","rename":["b","c"]}"#,
        r#"{"clamp":"a"}"#,
        r#"{"default":["a"]}"#,
        r#"{"drap":"a"}"#,
        r#"{"messages":"no-such"}"#,
        "{}",
    ] {
        assert!(serde_json::from_str::<Edit>(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_choice_by_a_word_has_another_name_than_one_by_an_object() {
    let rename = r#"[{"rename-text":["tool_choice","tool_choice_option"]}]"#;
    check(r#"{"tool_choice":"auto","x":1}"#, rename, r#"{"tool_choice_option":"auto","x":1}"#, &[]);
    check(r#"{"tool_choice":{"type":"function"}}"#, rename, r#"{"tool_choice":{"type":"function"}}"#, &[]);
    check(r#"{"x":1}"#, rename, r#"{"x":1}"#, &[]);
}

#[test]
fn ids_of_calls_have_nine_characters_the_same_wherever_they_stand() {
    let nine = r#"[{"messages":"nine-character-ids"}]"#;
    let body = r#"{"messages":[{"role":"assistant","tool_calls":[{"id":"call_abc","type":"function"},{"id":"Ab3dEf6hI"}]},{"role":"tool","tool_call_id":"call_abc","content":"1"},{"role":"tool","tool_call_id":"Ab3dEf6hI","content":"2"}]}"#;
    let (text, loss) = edited(body, nine);
    let json: Value = serde_json::from_str(&text).unwrap();
    let id = json["messages"][0]["tool_calls"][0]["id"].as_str().unwrap();
    assert_eq!(id.len(), 9);
    assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
    assert_eq!(json["messages"][1]["tool_call_id"], id);
    assert_eq!(json["messages"][0]["tool_calls"][1]["id"], "Ab3dEf6hI");
    assert_eq!(text, body.replace("call_abc", id));
    assert!(loss.is_empty());
    // What fits already keeps its bytes.
    let fits = r#"{"messages":[{"role":"tool","tool_call_id": "Ab3dEf6hI"}]}"#;
    check(fits, nine, fits, &[]);
}

#[test]
fn an_assistant_speaks_between_a_tools_result_and_the_user() {
    let edit = r#"[{"messages":"assistant-after-tool"}]"#;
    check(
        r#"{"messages":[{"role":"tool","content":"1"},{"role":"user","content":"and?"}]}"#,
        edit,
        r#"{"messages":[{"role":"tool","content":"1"},{"role":"assistant","content":"OK."},{"role":"user","content":"and?"}]}"#,
        &[],
    );
    let fine = r#"{"messages":[ {"role":"tool"},{"role":"assistant"},{"role":"user"}]}"#;
    check(fine, edit, fine, &[]);
}

#[test]
fn turns_of_one_role_in_a_row_become_one() {
    let edit = r#"[{"messages":"merge-turns"}]"#;
    check(
        r#"{"messages":[{"role":"user","content":"a"},{"role":"user","content":"b"},{"role":"user","content":[{"type":"text","text":"c"}]},{"role":"assistant","content":"d"}]}"#,
        edit,
        r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a\n\nb"},{"type":"text","text":"c"}]},{"role":"assistant","content":"d"}]}"#,
        &[],
    );
    let fine = r#"{"messages":[{"role":"user","name":"x","content":"a"},{"role":"user","content":"b"},{"role":"tool","content":"c"},{"role":"tool","content":"d"}]}"#;
    check(fine, edit, fine, &[]);
}

#[test]
fn reasoning_goes_back_as_a_part_of_content() {
    let mistral = r#"[{"messages":"reasoning-to-thinking"}]"#;
    check(
        r#"{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a","reasoning_content":"hm"}]}"#,
        mistral,
        r#"{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]},{"type":"text","text":"a"}]}]}"#,
        &[],
    );
    check(
        r#"{"messages":[{"role":"assistant","content":null,"reasoning_content":"hm","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":"s1"}],"tool_calls":[]}]}"#,
        r#"[{"messages":"reasoning-to-summary"}]"#,
        r#"{"messages":[{"role":"assistant","content":[{"type":"reasoning","summary":[{"type":"summary_text","text":"hm","signature":"s1"}]}],"tool_calls":[]}]}"#,
        &[],
    );
    check(
        r#"{"messages":[{"role":"assistant","content":"a","reasoning_content":""}]}"#,
        mistral,
        r#"{"messages":[{"role":"assistant","content":"a"}]}"#,
        &[],
    );
    let fine = r#"{"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":[]}]}]}"#;
    check(fine, mistral, fine, &[]);
}
