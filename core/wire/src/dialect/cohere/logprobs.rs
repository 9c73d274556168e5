//! How probable tokens were: `{text, token_ids, logprobs}` for a piece of text, which is nearly always one token.

use serde::Deserialize;
use serde_json::{json, value::RawValue};

use crate::Json;

#[derive(Debug, Deserialize)]
struct Piece {
    #[serde(default)]
    text: String,
    #[serde(default)]
    token_ids: Vec<i64>,
    #[serde(default)]
    logprobs: Vec<f64>,
}

#[derive(Debug, Deserialize)]
struct Canonical {
    content: Vec<Token>,
}

#[derive(Debug, Deserialize)]
struct Token {
    #[serde(rename = "token")]
    text: String,
    logprob: f64,
    /// The token's number, an addition of this dialect to the canonical form.
    #[serde(rename = "token_id")]
    id: Option<i64>,
}

/// One piece or a list of them in the canonical form. None where a piece is several tokens: nobody can say which of
/// its letters belong to which.
pub(super) fn read(raw: &RawValue) -> Option<Json> {
    let pieces: Vec<Piece> = if raw.get().starts_with('[') {
        crate::json::from_str(raw.get()).ok()?
    } else {
        vec![crate::json::from_str(raw.get()).ok()?]
    };
    let tokens: Option<Vec<serde_json::Value>> = pieces.iter().map(token).collect();
    Some(Json::of(&json!({ "content": tokens.filter(|tokens| !tokens.is_empty())? })))
}

fn token(piece: &Piece) -> Option<serde_json::Value> {
    let [logprob] = piece.logprobs.as_slice() else { return None };
    let bytes = piece.text.as_bytes();
    let mut token = json!({ "token": piece.text, "logprob": logprob, "bytes": bytes, "top_logprobs": [] });
    if let ([id], Some(fields)) = (piece.token_ids.as_slice(), token.as_object_mut()) {
        fields.insert("token_id".to_owned(), json!(id));
    }
    Some(token)
}

/// The pieces of a canonical form. None where the numbers of the tokens are not known, without which there are none.
pub(super) fn write(json: &Json) -> Option<Vec<Json>> {
    let canonical: Canonical = crate::json::from_str(json.as_str()).ok()?;
    let piece = |token: &Token| {
        let ids = [token.id?];
        Some(Json::of(&json!({ "text": token.text, "token_ids": ids, "logprobs": [token.logprob] })))
    };
    canonical.content.iter().map(piece).collect()
}
