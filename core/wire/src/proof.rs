//! Proofs of thoughts on their way through other dialects.
//!
//! A provider signs or encrypts its thoughts, and takes back only its own. Callers of another dialect keep such a proof
//! in the place that their dialect has for one, where it must not be taken for a proof of that dialect's vendor. So each
//! proof but Anthropic's, after whose words the canonical types are modelled, names its dialect in front.

use crate::DialectId;

/// The proof `own` of `dialect`, as it stands in [`Thinking`](crate::chat::Content::Thinking) and
/// [`RedactedThinking`](crate::chat::Content::RedactedThinking).
pub fn sealed(dialect: DialectId, own: &str) -> String {
    format!("{}:{own}", dialect.name())
}

/// The proof in `dialect`'s own words, if it is that dialect's.
pub fn opened(dialect: DialectId, proof: &str) -> Option<&str> {
    match maker(proof) {
        Some((maker, own)) => (maker == dialect).then_some(own),
        None => (dialect == DialectId::Anthropic).then_some(proof),
    }
}

fn maker(proof: &str) -> Option<(DialectId, &str)> {
    let (name, own) = proof.split_once(':')?;
    DialectId::ALL.iter().copied().find(|dialect| dialect.name() == name).map(|dialect| (dialect, own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_opened_by_its_own_dialect_alone() {
        let proof = sealed(DialectId::Openai, "abc:def");
        assert_eq!(opened(DialectId::Openai, &proof), Some("abc:def"));
        assert_eq!(opened(DialectId::Anthropic, &proof), None);
        assert_eq!(opened(DialectId::Anthropic, "EqQBCgIYAg=="), Some("EqQBCgIYAg=="));
        assert_eq!(opened(DialectId::Openai, "EqQBCgIYAg=="), None);
    }
}
