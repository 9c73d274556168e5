//! Thought signatures: the provider's own, and those of others that a caller keeps for them.
//!
//! The dialect has one field for them, bytes in base64. What came from another dialect is wrapped, so that it is still
//! base64 and known again when the caller brings it back.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::DialectId;
use crate::proof::{opened, sealed};
use crate::source::{decoded, standard_base64};

const HERE: DialectId = DialectId::Gemini;

const SIGNATURE: &str = "gatelet-signature:";
const REDACTED: &str = "gatelet-redacted:";

/// What a call in the history carries where its own signature is not known: the provider's word for "do not check".
pub(super) const UNKNOWN: &str = "skip_thought_signature_validator";

/// What stands in `thoughtSignature`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// As the canonical form has it.
    Signature(String),
    /// Another's thoughts that only it can read.
    Redacted(String),
}

pub(super) fn read(said: &str) -> Proof {
    // Long signatures are the provider's own: only the beginning is looked at before all is decoded.
    let wrapped = said.starts_with("Z2F0ZWxldC");
    let text = wrapped.then(|| String::from_utf8(decoded(&standard_base64(said)?)?).ok()).flatten();
    match text.as_deref() {
        Some(text) if text.starts_with(SIGNATURE) => {
            Proof::Signature(text.get(SIGNATURE.len()..).unwrap_or_default().to_owned())
        }
        Some(text) if text.starts_with(REDACTED) => {
            Proof::Redacted(text.get(REDACTED.len()..).unwrap_or_default().to_owned())
        }
        _ => Proof::Signature(sealed(HERE, said)),
    }
}

/// A signature for the provider: its own, as it gave it.
pub(super) fn own(canonical: &str) -> Option<&str> {
    opened(HERE, canonical)
}

/// A signature for a caller, who brings it back.
pub(super) fn kept(canonical: &str) -> String {
    own(canonical).map_or_else(|| STANDARD.encode(format!("{SIGNATURE}{canonical}")), str::to_owned)
}

pub(super) fn kept_redacted(data: &str) -> String {
    STANDARD.encode(format!("{REDACTED}{data}"))
}

/// [`UNKNOWN`] in the field's form.
pub(super) fn unknown() -> String {
    STANDARD.encode(UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signature_comes_back_as_what_it_was() {
        assert_eq!(read("CiQB0e2K"), Proof::Signature("gemini:CiQB0e2K".to_owned()));
        assert_eq!(kept("gemini:CiQB0e2K"), "CiQB0e2K");
        for foreign in ["EqQBCkgIARABGAIiQL8=", "openai:x", ""] {
            assert_eq!(read(&kept(foreign)), Proof::Signature(foreign.to_owned()));
            assert_eq!(own(foreign), None);
        }
        assert_eq!(read(&kept_redacted("abc==")), Proof::Redacted("abc==".to_owned()));
        assert_eq!(read("Z2F0ZWxldC!"), Proof::Signature("gemini:Z2F0ZWxldC!".to_owned()));
    }
}
