//! Bedrock's paths: the model, percent-encoded, in the middle.

use gatelet_wire::dialect::Addressed;
use gatelet_wire::{DialectId, Operation};

use super::decoded;
use crate::pipeline::Asking;

/// What a path of Bedrock's asks of a model, if it is one.
pub(super) fn ask(segments: &[&str]) -> Option<Asking> {
    let segments = segments.strip_prefix(&["bedrock"]).unwrap_or(segments);
    let ["model", model @ .., last] = segments else { return None };
    let (operation, stream) = match *last {
        "converse" => (Operation::Chat, Some(false)),
        "converse-stream" => (Operation::Chat, Some(true)),
        "count-tokens" => (Operation::TokenCount, None),
        _ => return None,
    };
    let model = decoded(&model.join("/")).filter(|model| !model.is_empty())?;
    let addressed = Addressed { model: Some(model), stream, ..Addressed::default() };
    Some(Asking { operation, dialect: DialectId::Bedrock, addressed })
}
