//! Embeddings: every pair of dialects, both ways.

use std::fmt::Write as _;

use gatelet_wire::embed::{Cohere, Embed, Gemini, Input, Ollama, Openai, Purpose, Vector};
use gatelet_wire::operation::AnswerForm;
use gatelet_wire::{Fields, Loss, Malformed};
use proptest::prelude::*;

const DIALECTS: [(&str, &dyn Embed); 4] =
    [("openai", &Openai), ("cohere", &Cohere), ("gemini", &Gemini), ("ollama", &Ollama)];

fn request(dialect: &str) -> &'static str {
    match dialect {
        "openai" => {
            r#"{"model":"m","input":["one","two"],"dimensions":2,"encoding_format":"float","user":"u","odd":1}"#
        }
        "cohere" => {
            r#"{"model":"m","texts":["one","two"],"input_type":"search_query","embedding_types":["float"],"output_dimension":2,"truncate":"END"}"#
        }
        "gemini" => {
            r#"{"requests":[{"model":"models/m","content":{"parts":[{"text":"one"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":2},{"model":"models/m","content":{"parts":[{"text":"two"}]},"taskType":"RETRIEVAL_QUERY","outputDimensionality":2}]}"#
        }
        _ => r#"{"model":"m","input":["one","two"],"dimensions":2,"truncate":true}"#,
    }
}

fn response(dialect: &str) -> &'static str {
    match dialect {
        "openai" => {
            r#"{"object":"list","data":[{"object":"embedding","index":1,"embedding":[0.5,-2]},{"object":"embedding","index":0,"embedding":[0.10,1e-3]}],"model":"up","usage":{"prompt_tokens":4,"total_tokens":4}}"#
        }
        "cohere" => {
            r#"{"id":"e1","embeddings":{"float":[[0.10,1e-3],[0.5,-2]]},"texts":["one","two"],"meta":{"api_version":{"version":"2"},"billed_units":{"input_tokens":4}},"response_type":"embeddings_by_type"}"#
        }
        "gemini" => r#"{"embeddings":[{"values":[0.10,1e-3]},{"values":[0.5,-2]}]}"#,
        _ => r#"{"model":"up","embeddings":[[0.10,1e-3],[0.5,-2]],"total_duration":1,"prompt_eval_count":4}"#,
    }
}

#[test]
fn every_pair_carries_texts_and_vectors() {
    let mut out = String::new();
    for (from, caller) in DIALECTS {
        for (to, upstream) in DIALECTS {
            let body = request(from).as_bytes();
            let fields = Fields::read(body).unwrap();
            let mut loss = Loss::default();
            let asked = caller.read_request(&fields).unwrap();
            let sent = upstream.write_request(&asked, "target", &mut loss).unwrap();
            let answer = upstream.read_response(response(to).as_bytes()).unwrap();
            let told = caller.write_response(&answer, caller.form(&fields), "target").unwrap();
            let missing: Vec<&str> = loss.items().collect();
            writeln!(
                out,
                "{from} -> {to} {}\n  {}\n  loss: {}\n  {}",
                upstream.path("target", AnswerForm::default()),
                String::from_utf8(sent).unwrap(),
                missing.join(", "),
                String::from_utf8(told).unwrap(),
            )
            .unwrap();
        }
    }
    insta::assert_snapshot!(out);
}

#[test]
fn what_one_dialect_writes_it_reads() {
    for (name, dialect) in DIALECTS {
        let asked = dialect.read_request(&Fields::read(request(name).as_bytes()).unwrap()).unwrap();
        let written = dialect.write_request(&asked, "m", &mut Loss::default()).unwrap();
        let again = dialect.read_request(&Fields::read(&written).unwrap()).unwrap();
        assert_eq!(asked.inputs, again.inputs, "{name}");
        assert_eq!(asked.dimensions, again.dimensions, "{name}");
        let answer = dialect.read_response(response(name).as_bytes()).unwrap();
        let told = dialect.write_response(&answer, AnswerForm::default(), "m").unwrap();
        assert_eq!(dialect.read_response(&told).unwrap().vectors, answer.vectors, "{name}");
    }
}

#[test]
fn openai_takes_texts_and_tokens_alone_and_in_lists() {
    let inputs = |input: &str| {
        let body = format!(r#"{{"model":"m","input":{input}}}"#);
        Openai.read_request(&Fields::read(body.as_bytes()).unwrap()).map(|request| request.inputs)
    };
    let text = |text: &str| Input::Text(text.to_owned());
    assert_eq!(inputs(r#""a""#).unwrap(), [text("a")]);
    assert_eq!(inputs(r#"["a","b"]"#).unwrap(), [text("a"), text("b")]);
    assert!(
        matches!(inputs("[1,2]").unwrap().as_slice(), [Input::Tokens(tokens)] if tokens.as_str() == "[1,2]")
    );
    assert_eq!(inputs("[[1,2],[3]]").unwrap().len(), 2);
    for wrong in ["[]", "3", "{}", "[1,\"a\"]", "[true]", "[[\"a\"]]", "[-1]"] {
        assert!(matches!(inputs(wrong), Err(Malformed::Field { .. })), "{wrong}");
    }
}

#[test]
fn tokens_of_one_tokenizer_are_refused_by_all_others() {
    let fields = Fields::read(br#"{"model":"m","input":[[1,2]]}"#).unwrap();
    let asked = Openai.read_request(&fields).unwrap();
    for (name, dialect) in DIALECTS {
        let written = dialect.write_request(&asked, "m", &mut Loss::default());
        assert_eq!(written.is_ok(), name == "openai", "{name}");
    }
}

#[test]
fn a_purpose_reaches_those_who_know_purposes() {
    let fields = Fields::read(br#"{"model":"m","input":"a","input_type":"query"}"#).unwrap();
    let asked = Openai.read_request(&fields).unwrap();
    assert_eq!(asked.purpose, Some(Purpose::Query));
    let mut loss = Loss::default();
    let sent = String::from_utf8(Cohere.write_request(&asked, "m", &mut loss).unwrap()).unwrap();
    assert!(sent.contains(r#""input_type":"search_query""#), "{sent}");
    assert!(loss.is_empty());
    Ollama.write_request(&asked, "m", &mut loss).unwrap();
    assert_eq!(loss.items().collect::<Vec<_>>(), ["input_type"]);
}

#[test]
fn base64_that_is_none_is_an_error_and_not_a_vector() {
    for packed in ["&&&", "AAAA"] {
        assert!(Vector::Packed(packed.to_owned()).numbers().is_err(), "{packed}");
    }
    let read = |vector: &str| {
        let body = format!(r#"{{"data":[{{"embedding":{vector}}}]}}"#);
        Openai.read_response(body.as_bytes())
    };
    assert!(read("[1,\"a\"]").unwrap().vectors[0].packed().is_err());
    assert!(read("7").is_err());
    assert!(Openai.read_response(b"{}").is_err());
}

proptest! {
    #[test]
    fn packing_loses_no_bit(floats in prop::collection::vec(any::<f32>().prop_filter("finite", |f| f.is_finite()), 0..50)) {
        let body = serde_json::json!({ "data": [{ "embedding": floats }] }).to_string();
        let read = Openai.read_response(body.as_bytes()).unwrap();
        let packed = Vector::Packed(read.vectors[0].packed().unwrap());
        let back: Vec<f32> = serde_json::from_str(packed.numbers().unwrap().as_str()).unwrap();
        prop_assert_eq!(back.iter().map(|f| f.to_bits()).collect::<Vec<_>>(), floats.iter().map(|f| f.to_bits()).collect::<Vec<_>>());
    }
}
