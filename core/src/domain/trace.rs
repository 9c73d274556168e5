//! W3C Trace Context: the trace that a request is part of, and the spans that are ours.
//!
//! A request's id has 128 bits, as a trace's id has. So a request that nobody else traces is its own trace, and whoever knows
//! the one knows the other; a span's id is made of the request's, too, and nothing has to be kept for it.

use super::RequestId;

/// What a caller's `traceparent` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    pub id: u128,
    /// The caller's span.
    pub parent: u64,
    pub sampled: bool,
}

impl Trace {
    /// Reads `00-<32 digits>-<16 digits>-<2 digits>`; a later version may have more behind that. None: it is not sound, and
    /// is as if it were not there.
    pub fn parse(text: &str) -> Option<Self> {
        let (head, more) = text.split_at_checked(55)?;
        let mut parts = head.split('-');
        let (version, id) = (digits::<2>(parts.next()?)?, digits::<32>(parts.next()?)?);
        let (parent, flags) = (digits::<16>(parts.next()?)?, digits::<2>(parts.next()?)?);
        let sound = version != 0xff
            && id != 0
            && parent != 0
            && parts.next().is_none()
            && (more.is_empty() || (version > 0 && more.starts_with('-')));
        let parent = u64::try_from(parent).ok()?;
        sound.then_some(Self { id, parent, sampled: flags & 1 == 1 })
    }

    /// What is sent on: this trace, with `span` as the parent of what comes.
    pub fn header(&self, span: u64) -> String {
        format!("00-{:032x}-{span:016x}-{:02x}", self.id, u8::from(self.sampled))
    }
}

/// Lower-case hexadecimal digits, exactly so many.
fn digits<const N: usize>(text: &str) -> Option<u128> {
    let fits = text.len() == N && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if fits { u128::from_str_radix(text, 16).ok() } else { None }
}

/// The trace of a request that is nobody else's.
pub fn trace_of(id: &RequestId) -> u128 {
    id.bits().max(1)
}

/// The span of a request (attempt 0) and of each of its attempts (1, 2, 3 …).
pub fn span_of(id: &RequestId, attempt: u32) -> u64 {
    /// Odd, so that no two attempts have the same.
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let low = u64::try_from(id.bits() & u128::from(u64::MAX)).unwrap_or(1);
    low.wrapping_add(STEP.wrapping_mul(u64::from(attempt))).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let trace = Trace::parse(text).unwrap();
        assert_eq!((trace.parent, trace.sampled), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(trace.header(trace.parent), text);
        assert!(Trace::parse(&format!("{text}-more")).is_none());
        assert!(Trace::parse(&format!("cc{}-more", &text[2..])).is_some());
        for wrong in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-011",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0é",
        ] {
            assert!(Trace::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_request_is_its_own_trace_and_its_attempts_are_spans_of_their_own() {
        let id = RequestId::mint(Timestamp::from_seconds(1_764_000_000), [7; 16]);
        let millis: u128 = 1_764_000_000_000;
        assert_eq!(trace_of(&id) >> 80, millis);
        assert_eq!(trace_of(&id) & u128::from(u64::MAX), 0x0707_0707_0707_0707);
        let spans: std::collections::BTreeSet<u64> = (0..100).map(|attempt| span_of(&id, attempt)).collect();
        assert_eq!(spans.len(), 100);
        assert_ne!(trace_of(&RequestId::new("resp_other")), trace_of(&RequestId::new("resp_another")));
    }
}
